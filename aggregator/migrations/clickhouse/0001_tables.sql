-- Physical tables. `${...}` is filled in from the configuration.
--
-- Every table leads with the project, then the five-minute bucket: a predicate on `time` alone does
-- not prune by an expression of it, so the bucket is a column of its own, and readers name both.
-- `accepted` is when our journal took the item. Retention counts from there: what comes late from
-- an agent that was offline for a month is kept as long as everything else.
-- `batch` is the sender's `agent:epoch:seq`, empty for senders without an identity.

CREATE TABLE IF NOT EXISTS span_rows
(
    project_id UInt32 CODEC(${codec}),
    bucket DateTime('UTC') CODEC(Delta, ${codec}),
    service LowCardinality(String) CODEC(${codec}),
    name LowCardinality(String) CODEC(${codec}),
    time DateTime64(9, 'UTC') CODEC(Delta, ${codec}),
    duration UInt64 CODEC(T64, ${codec}),
    trace_id FixedString(16) CODEC(${codec}),
    span_id UInt64 CODEC(${codec}),
    parent_id UInt64 CODEC(${codec}),
    kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) CODEC(${codec}),
    status Enum8('unset' = 0, 'ok' = 1, 'error' = 2) CODEC(${codec}),
    status_message String CODEC(${codec}),
    trace_state String CODEC(${codec}),
    flags UInt32 CODEC(${codec}),
    scope_name LowCardinality(String) CODEC(${codec}),
    scope_version LowCardinality(String) CODEC(${codec}),
    resource_id UInt64 CODEC(${codec}),
    attributes Map(LowCardinality(String), String) CODEC(${codec}),
    event_times Array(DateTime64(9, 'UTC')) CODEC(${codec}),
    event_names Array(LowCardinality(String)) CODEC(${codec}),
    event_attributes Array(Map(LowCardinality(String), String)) CODEC(${codec}),
    link_trace_ids Array(FixedString(16)) CODEC(${codec}),
    link_span_ids Array(UInt64) CODEC(${codec}),
    link_trace_states Array(String) CODEC(${codec}),
    link_attributes Array(Map(LowCardinality(String), String)) CODEC(${codec}),
    accepted DateTime('UTC') CODEC(Delta, ${codec}),
    batch LowCardinality(String) CODEC(${codec}),
    INDEX trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(bucket)
ORDER BY (project_id, bucket, service, name, time)
TTL accepted + INTERVAL ${spans_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${spans_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- One row for each trace of an insert: where to look for its spans.
CREATE TABLE IF NOT EXISTS trace_index
(
    trace_id FixedString(16) CODEC(${codec}),
    project_id UInt32 CODEC(${codec}),
    start DateTime64(9, 'UTC') CODEC(Delta, ${codec}),
    end DateTime64(9, 'UTC') CODEC(Delta, ${codec}),
    spans UInt32 CODEC(${codec}),
    errors UInt32 CODEC(${codec}),
    accepted DateTime('UTC') CODEC(Delta, ${codec})
)
ENGINE = MergeTree
PARTITION BY toDate(start)
ORDER BY (trace_id, project_id, start)
TTL accepted + INTERVAL ${spans_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${spans_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

CREATE TABLE IF NOT EXISTS log_rows
(
    project_id UInt32 CODEC(${codec}),
    bucket DateTime('UTC') CODEC(Delta, ${codec}),
    service LowCardinality(String) CODEC(${codec}),
    time DateTime64(9, 'UTC') CODEC(Delta, ${codec}),
    observed_time DateTime64(9, 'UTC') CODEC(Delta, ${codec}),
    trace_id FixedString(16) CODEC(${codec}),
    span_id UInt64 CODEC(${codec}),
    severity_number UInt8 CODEC(${codec}),
    severity_text LowCardinality(String) CODEC(${codec}),
    event_name LowCardinality(String) CODEC(${codec}),
    body String CODEC(${codec}),
    flags UInt32 CODEC(${codec}),
    scope_name LowCardinality(String) CODEC(${codec}),
    scope_version LowCardinality(String) CODEC(${codec}),
    resource_id UInt64 CODEC(${codec}),
    attributes Map(LowCardinality(String), String) CODEC(${codec}),
    accepted DateTime('UTC') CODEC(Delta, ${codec}),
    batch LowCardinality(String) CODEC(${codec}),
    INDEX trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(bucket)
ORDER BY (project_id, bucket, service, time)
TTL accepted + INTERVAL ${logs_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${logs_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- What rows refer to by resource_id (a hash of the attributes). One row per project, day and
-- resource after merges; before them several equal ones: join with LEFT ANY JOIN.
CREATE TABLE IF NOT EXISTS resources
(
    project_id UInt32 CODEC(${codec}),
    resource_id UInt64 CODEC(${codec}),
    day Date CODEC(${codec}),
    service LowCardinality(String) CODEC(${codec}),
    schema_url LowCardinality(String) CODEC(${codec}),
    attributes Map(LowCardinality(String), String) CODEC(${codec}),
    accepted DateTime('UTC') CODEC(${codec})
)
ENGINE = ReplacingMergeTree(accepted)
PARTITION BY day
ORDER BY (project_id, resource_id)
TTL accepted + INTERVAL ${shared_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- A metric with one set of labels from one resource. Same rule as for `resources`.
CREATE TABLE IF NOT EXISTS series
(
    project_id UInt32 CODEC(${codec}),
    metric LowCardinality(String) CODEC(${codec}),
    fingerprint UInt64 CODEC(${codec}),
    day Date CODEC(${codec}),
    type Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exponential_histogram' = 4, 'summary' = 5) CODEC(${codec}),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(${codec}),
    monotonic Bool CODEC(${codec}),
    unit LowCardinality(String) CODEC(${codec}),
    description LowCardinality(String) CODEC(${codec}),
    service LowCardinality(String) CODEC(${codec}),
    scope_name LowCardinality(String) CODEC(${codec}),
    scope_version LowCardinality(String) CODEC(${codec}),
    resource_id UInt64 CODEC(${codec}),
    attributes Map(LowCardinality(String), String) CODEC(${codec}),
    last_seen DateTime64(9, 'UTC') CODEC(${codec}),
    accepted DateTime('UTC') CODEC(${codec})
)
ENGINE = ReplacingMergeTree(last_seen)
PARTITION BY day
ORDER BY (project_id, metric, fingerprint)
TTL accepted + INTERVAL ${metrics_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${metrics_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- Points of gauges and sums. `value` is NaN where the sender recorded none (flags & 1).
-- An integer that a double cannot hold is toInt64(value) + integer_rest. `claimed_time` is what the
-- sender said, in Unix nanoseconds, where that cannot be and `accepted` stands in `time`; else 0.
CREATE TABLE IF NOT EXISTS samples
(
    project_id UInt32 CODEC(${codec}),
    metric LowCardinality(String) CODEC(${codec}),
    fingerprint UInt64 CODEC(${codec}),
    bucket DateTime('UTC') CODEC(Delta, ${codec}),
    time DateTime64(9, 'UTC') CODEC(DoubleDelta, ${codec}),
    start_time DateTime64(9, 'UTC') CODEC(DoubleDelta, ${codec}),
    value Float64 CODEC(${codec}),
    integer_rest Int64 CODEC(${codec}),
    claimed_time UInt64 CODEC(${codec}),
    flags UInt32 CODEC(${codec}),
    accepted DateTime('UTC') CODEC(DoubleDelta, ${codec}),
    batch LowCardinality(String) CODEC(${codec})
)
ENGINE = MergeTree
PARTITION BY toDate(bucket)
ORDER BY (project_id, metric, fingerprint, time)
TTL accepted + INTERVAL ${metrics_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${metrics_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- Points of histograms (bounds, bucket_counts), exponential histograms (scale and what follows) and
-- summaries (quantiles, quantile_values); `series.type` says which.
CREATE TABLE IF NOT EXISTS histogram_samples
(
    project_id UInt32 CODEC(${codec}),
    metric LowCardinality(String) CODEC(${codec}),
    fingerprint UInt64 CODEC(${codec}),
    bucket DateTime('UTC') CODEC(Delta, ${codec}),
    time DateTime64(9, 'UTC') CODEC(DoubleDelta, ${codec}),
    start_time DateTime64(9, 'UTC') CODEC(DoubleDelta, ${codec}),
    count UInt64 CODEC(${codec}),
    sum Nullable(Float64) CODEC(${codec}),
    min Nullable(Float64) CODEC(${codec}),
    max Nullable(Float64) CODEC(${codec}),
    bounds Array(Float64) CODEC(${codec}),
    bucket_counts Array(UInt64) CODEC(${codec}),
    scale Int32 CODEC(${codec}),
    zero_count UInt64 CODEC(${codec}),
    zero_threshold Float64 CODEC(${codec}),
    positive_offset Int32 CODEC(${codec}),
    positive_counts Array(UInt64) CODEC(${codec}),
    negative_offset Int32 CODEC(${codec}),
    negative_counts Array(UInt64) CODEC(${codec}),
    quantiles Array(Float64) CODEC(${codec}),
    quantile_values Array(Float64) CODEC(${codec}),
    claimed_time UInt64 CODEC(${codec}),
    flags UInt32 CODEC(${codec}),
    accepted DateTime('UTC') CODEC(DoubleDelta, ${codec}),
    batch LowCardinality(String) CODEC(${codec})
)
ENGINE = MergeTree
PARTITION BY toDate(bucket)
ORDER BY (project_id, metric, fingerprint, time)
TTL accepted + INTERVAL ${metrics_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${metrics_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};

-- Single measurements that the sender kept beside its points.
CREATE TABLE IF NOT EXISTS exemplars
(
    project_id UInt32 CODEC(${codec}),
    metric LowCardinality(String) CODEC(${codec}),
    fingerprint UInt64 CODEC(${codec}),
    bucket DateTime('UTC') CODEC(Delta, ${codec}),
    time DateTime64(9, 'UTC') CODEC(Delta, ${codec}),
    value Float64 CODEC(${codec}),
    trace_id FixedString(16) CODEC(${codec}),
    span_id UInt64 CODEC(${codec}),
    attributes Map(LowCardinality(String), String) CODEC(${codec}),
    accepted DateTime('UTC') CODEC(Delta, ${codec}),
    batch LowCardinality(String) CODEC(${codec})
)
ENGINE = MergeTree
PARTITION BY toDate(bucket)
ORDER BY (project_id, metric, fingerprint, time)
TTL accepted + INTERVAL ${metrics_ttl}
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = '${metrics_policy}', fsync_after_insert = ${fsync}, fsync_part_directory = ${fsync};
