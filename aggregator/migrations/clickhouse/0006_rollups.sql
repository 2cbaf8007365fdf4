-- Groups by five minutes and by the hour, for questions over longer times.
--
-- Like minutes, these rows are made by us, inserted under tokens of their own: see
-- ../../src/rows/rollups.rs. What was counted by the minute before is added up once, here; deleting
-- first makes that safe to repeat after a migration that was cut off.

CREATE TABLE IF NOT EXISTS group_five_minutes
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

CREATE TABLE IF NOT EXISTS group_hours
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

ALTER TABLE group_five_minutes DELETE WHERE 1 SETTINGS mutations_sync = 2;

INSERT INTO group_five_minutes (project_id, time, system, group_id, service, environment, kind, name, items, errors, duration, longest, buckets, trace_id, span_id, accepted)
SETTINGS insert_deduplicate = 0, throw_on_max_partitions_per_insert_block = 0
SELECT
    m.project_id, toStartOfFiveMinutes(m.time) AS step, m.system, m.group_id, m.service, m.environment, m.kind,
    any(m.name), sum(m.items), sum(m.errors), sum(m.duration), max(m.longest), sumMap(m.buckets),
    any(m.trace_id), any(m.span_id), max(m.accepted)
FROM group_minutes AS m
GROUP BY m.project_id, step, m.system, m.group_id, m.service, m.environment, m.kind;

ALTER TABLE group_hours DELETE WHERE 1 SETTINGS mutations_sync = 2;

INSERT INTO group_hours (project_id, time, system, group_id, service, environment, kind, name, items, errors, duration, longest, buckets, trace_id, span_id, accepted)
SETTINGS insert_deduplicate = 0, throw_on_max_partitions_per_insert_block = 0
SELECT
    m.project_id, toStartOfHour(m.time) AS step, m.system, m.group_id, m.service, m.environment, m.kind,
    any(m.name), sum(m.items), sum(m.errors), sum(m.duration), max(m.longest), sumMap(m.buckets),
    any(m.trace_id), any(m.span_id), max(m.accepted)
FROM group_minutes AS m
GROUP BY m.project_id, step, m.system, m.group_id, m.service, m.environment, m.kind;
