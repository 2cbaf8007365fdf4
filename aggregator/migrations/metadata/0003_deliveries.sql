-- Which batches of which senders were taken, for aggregators that share one store.

-- One row for each recent batch.
CREATE TABLE deliveries (
    project_id  BIGINT NOT NULL,
    -- agent_id of the spool that sealed it, 32 hex digits
    agent       TEXT   NOT NULL,
    epoch       BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    -- xxh3-128 of the sealed bytes, 32 hex digits
    hash        TEXT   NOT NULL,
    -- agent_id of the journal that takes or has taken it
    owner       TEXT   NOT NULL,
    -- 1 once it is durable in that journal
    taken       BIGINT NOT NULL,
    -- Unix nanoseconds of the owner
    at          BIGINT NOT NULL,
    PRIMARY KEY (project_id, agent, epoch, seq)
);
CREATE INDEX deliveries_open ON deliveries (owner, at) WHERE taken = 0;
CREATE INDEX deliveries_age ON deliveries (at);

-- Older ones, summed up: sequence numbers from first to last, for ever.
CREATE TABLE delivered (
    project_id  BIGINT NOT NULL,
    agent       TEXT   NOT NULL,
    epoch       BIGINT NOT NULL,
    first       BIGINT NOT NULL,
    last        BIGINT NOT NULL,
    PRIMARY KEY (project_id, agent, epoch, first)
);

-- Whose turn it is to sum up: one row, locked while it is done.
CREATE TABLE summing_up (
    id          BIGINT PRIMARY KEY,
    at          BIGINT NOT NULL
);
INSERT INTO summing_up (id, at) VALUES (1, 0);
