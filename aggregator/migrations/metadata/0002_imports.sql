-- How far sources outside have been read: one row each.
CREATE TABLE imports (
    source      TEXT   PRIMARY KEY,
    -- generation of sequence numbers: Unix seconds of the first start
    epoch       BIGINT NOT NULL,
    -- of the next batch
    seq         BIGINT NOT NULL,
    -- microseconds since the epoch; everything up to here is taken
    position    BIGINT NOT NULL,
    -- everything up to here is being taken under seq
    pending     BIGINT
);
