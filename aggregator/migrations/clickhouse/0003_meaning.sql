-- What an item means, and what is counted of it by the minute. See ../../src/meaning.rs.
--
-- Rows of the tables below are made by us, from the same piece of the journal as the items
-- themselves, and inserted under tokens of the same kind: a repeated insert counts nothing twice.
-- They are sums, so that rows of one key from many inserts melt into one: readers add them up.

ALTER TABLE span_rows
    ADD COLUMN IF NOT EXISTS system LowCardinality(String) CODEC(${codec}),
    ADD COLUMN IF NOT EXISTS group_id UInt64 CODEC(${codec});

-- `level` is what counts, `severity_number` what was sent. `message` is empty where the body is it.
ALTER TABLE log_rows
    ADD COLUMN IF NOT EXISTS level UInt8 DEFAULT severity_number CODEC(${codec}),
    ADD COLUMN IF NOT EXISTS message String CODEC(${codec}),
    ADD COLUMN IF NOT EXISTS group_id UInt64 CODEC(${codec});

-- Rate, errors, durations of every group of spans; counts of log templates and exceptions.
-- `buckets` are exponential at scale 3: key i counts what is in (2^(i/8), 2^((i+1)/8)] nanoseconds.
-- `trace_id` and `span_id` are an example, of one insert its longest.
CREATE TABLE IF NOT EXISTS group_minutes
(
    project_id UInt32 CODEC(${codec}),
    time DateTime('UTC') CODEC(Delta, ${codec}),
    system LowCardinality(String) CODEC(${codec}),
    group_id UInt64 CODEC(${codec}),
    service LowCardinality(String) CODEC(${codec}),
    environment LowCardinality(String) CODEC(${codec}),
    kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) CODEC(${codec}),
    name SimpleAggregateFunction(any, LowCardinality(String)) CODEC(${codec}),
    items SimpleAggregateFunction(sum, UInt64) CODEC(T64, ${codec}),
    errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ${codec}),
    duration SimpleAggregateFunction(sum, UInt64) CODEC(${codec}),
    longest SimpleAggregateFunction(max, UInt64) CODEC(${codec}),
    buckets SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(${codec}),
    trace_id SimpleAggregateFunction(any, FixedString(16)) CODEC(${codec}),
    span_id SimpleAggregateFunction(any, UInt64) CODEC(${codec}),
    accepted SimpleAggregateFunction(max, DateTime('UTC')) CODEC(Delta, ${codec})
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(time)
ORDER BY (project_id, time, system, group_id, service, environment, kind)
TTL accepted + INTERVAL ${metrics_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${metrics_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- Who calls whom, as far as one insert knew both sides, or the called side sends no spans.
CREATE TABLE IF NOT EXISTS service_edges
(
    project_id UInt32 CODEC(${codec}),
    time DateTime('UTC') CODEC(Delta, ${codec}),
    caller LowCardinality(String) CODEC(${codec}),
    callee LowCardinality(String) CODEC(${codec}),
    via LowCardinality(String) CODEC(${codec}),
    calls SimpleAggregateFunction(sum, UInt64) CODEC(T64, ${codec}),
    errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ${codec}),
    client_duration SimpleAggregateFunction(sum, UInt64) CODEC(${codec}),
    client_buckets SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(${codec}),
    server_duration SimpleAggregateFunction(sum, UInt64) CODEC(${codec}),
    server_buckets SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(${codec}),
    accepted SimpleAggregateFunction(max, DateTime('UTC')) CODEC(Delta, ${codec})
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(time)
ORDER BY (project_id, time, caller, callee, via)
TTL accepted + INTERVAL ${metrics_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${metrics_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- Attribute keys and their most frequent values by the hour, from a sample of each insert. Values
-- that are rare or long are counted together under ''.
CREATE TABLE IF NOT EXISTS attribute_values
(
    project_id UInt32 CODEC(${codec}),
    signal Enum8('traces' = 1, 'logs' = 2, 'metrics' = 3) CODEC(${codec}),
    key LowCardinality(String) CODEC(${codec}),
    time DateTime('UTC') CODEC(Delta, ${codec}),
    value String CODEC(${codec}),
    items SimpleAggregateFunction(sum, UInt64) CODEC(T64, ${codec}),
    accepted SimpleAggregateFunction(max, DateTime('UTC')) CODEC(Delta, ${codec})
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(time)
ORDER BY (project_id, signal, key, time, value)
TTL accepted + INTERVAL ${shared_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- Log templates and exceptions.
CREATE OR REPLACE VIEW log_patterns AS
SELECT
    project_id, time, system, group_id, service AS service_name, environment, name AS pattern, items, errors,
    lower(hex(trace_id)) AS example_trace_id, lower(leftPad(hex(span_id), 16, '0')) AS example_span_id
FROM group_minutes
WHERE startsWith(system, 'log:');
