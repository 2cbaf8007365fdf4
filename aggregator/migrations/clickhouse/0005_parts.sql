-- What an insert leaves is one file, not one for each of a hundred columns and subcolumns.
--
-- Our inserts have up to 32 MiB before they are encoded, which the server's 10 MiB would make wide
-- parts: a quarter of an insert's CPU was spent on their files, each with an fsync. What merges make
-- of several inserts is wide as ever.

ALTER TABLE span_rows MODIFY SETTING min_bytes_for_wide_part = 134217728;

ALTER TABLE log_rows MODIFY SETTING min_bytes_for_wide_part = 134217728;
