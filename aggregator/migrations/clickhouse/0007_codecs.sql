-- Columns whose bytes repeat further away than a granule, and times in no order.
--
-- Spans of one trace lie some ten thousand rows apart, since names come before times: a compressed
-- block of one granule repeats few of their ids, one of two granules or more most of them. To find a
-- trace costs as much more as a block is larger. Measured on spans of which eight make a trace:
-- 11.6 bytes a span in blocks of 128 KiB, 7.7 in blocks of 256 KiB, 6.6 in blocks of 1 MiB.

ALTER TABLE span_rows
    MODIFY COLUMN trace_id MODIFY SETTING min_compress_block_size = 262144, max_compress_block_size = 262144;

-- By trace id, times are random: differences of them have more bits than they have themselves.

ALTER TABLE trace_index
    MODIFY COLUMN start DateTime64(9, 'UTC') CODEC(T64, ${codec}),
    MODIFY COLUMN end DateTime64(9, 'UTC') CODEC(T64, ${codec});
