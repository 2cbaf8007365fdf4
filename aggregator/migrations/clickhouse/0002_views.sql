-- What an operator reads. Columns are described in ../README.md.

CREATE OR REPLACE VIEW spans AS
SELECT
    s.project_id AS project_id,
    s.bucket AS bucket,
    s.time AS time,
    lower(hex(s.trace_id)) AS trace_id,
    lower(leftPad(hex(s.span_id), 16, '0')) AS span_id,
    if(s.parent_id = 0, '', lower(leftPad(hex(s.parent_id), 16, '0'))) AS parent_id,
    s.service AS service_name,
    s.name AS name,
    s.kind AS kind,
    s.status AS status,
    s.status_message AS status_message,
    s.duration AS duration,
    s.attributes AS attributes,
    r.attributes AS resource,
    s.scope_name AS scope,
    s.scope_version AS scope_version,
    s.trace_state AS trace_state,
    s.flags AS flags,
    arrayMap((t, n, a) -> CAST((t, n, a), 'Tuple(time DateTime64(9, \'UTC\'), name String, attributes Map(String, String))'),
        s.event_times, s.event_names, s.event_attributes) AS events,
    arrayMap((t, i, w, a) -> CAST((lower(hex(t)), lower(leftPad(hex(i), 16, '0')), w, a), 'Tuple(trace_id String, span_id String, trace_state String, attributes Map(String, String))'),
        s.link_trace_ids, s.link_span_ids, s.link_trace_states, s.link_attributes) AS links,
    s.accepted AS accepted,
    s.batch AS batch
FROM span_rows AS s
LEFT ANY JOIN resources AS r ON r.project_id = s.project_id AND r.resource_id = s.resource_id;

CREATE OR REPLACE VIEW logs AS
SELECT
    l.project_id AS project_id,
    l.bucket AS bucket,
    l.time AS time,
    l.observed_time AS observed_time,
    l.service AS service_name,
    l.severity_text AS severity_text,
    l.severity_number AS severity_number,
    l.event_name AS event_name,
    l.body AS body,
    if(l.trace_id = toFixedString('', 16), '', lower(hex(l.trace_id))) AS trace_id,
    if(l.span_id = 0, '', lower(leftPad(hex(l.span_id), 16, '0'))) AS span_id,
    l.attributes AS attributes,
    r.attributes AS resource,
    l.scope_name AS scope,
    l.scope_version AS scope_version,
    l.flags AS flags,
    l.accepted AS accepted,
    l.batch AS batch
FROM log_rows AS l
LEFT ANY JOIN resources AS r ON r.project_id = l.project_id AND r.resource_id = l.resource_id;

CREATE OR REPLACE VIEW points AS
SELECT
    p.project_id AS project_id,
    p.bucket AS bucket,
    p.time AS time,
    p.start_time AS start_time,
    p.metric AS metric,
    x.type AS type,
    x.unit AS unit,
    x.temporality AS temporality,
    x.monotonic AS monotonic,
    x.service AS service_name,
    p.value AS value,
    p.count AS count,
    p.sum AS sum,
    p.min AS min,
    p.max AS max,
    p.bounds AS bounds,
    p.bucket_counts AS bucket_counts,
    p.scale AS scale,
    p.zero_count AS zero_count,
    p.zero_threshold AS zero_threshold,
    p.positive_offset AS positive_offset,
    p.positive_counts AS positive_counts,
    p.negative_offset AS negative_offset,
    p.negative_counts AS negative_counts,
    p.quantiles AS quantiles,
    p.quantile_values AS quantile_values,
    x.attributes AS attributes,
    r.attributes AS resource,
    x.scope_name AS scope,
    x.scope_version AS scope_version,
    p.flags AS flags,
    p.fingerprint AS fingerprint,
    p.accepted AS accepted,
    p.batch AS batch
FROM
(
    SELECT
        project_id, metric, fingerprint, bucket, time, start_time,
        CAST(if(isNaN(value), NULL, value), 'Nullable(Float64)') AS value,
        CAST(NULL, 'Nullable(UInt64)') AS count,
        CAST(NULL, 'Nullable(Float64)') AS sum, CAST(NULL, 'Nullable(Float64)') AS min, CAST(NULL, 'Nullable(Float64)') AS max,
        emptyArrayFloat64() AS bounds, emptyArrayUInt64() AS bucket_counts,
        toInt32(0) AS scale, toUInt64(0) AS zero_count, toFloat64(0) AS zero_threshold,
        toInt32(0) AS positive_offset, emptyArrayUInt64() AS positive_counts,
        toInt32(0) AS negative_offset, emptyArrayUInt64() AS negative_counts,
        emptyArrayFloat64() AS quantiles, emptyArrayFloat64() AS quantile_values,
        flags, accepted, batch
    FROM samples
    UNION ALL
    SELECT
        project_id, metric, fingerprint, bucket, time, start_time,
        CAST(NULL, 'Nullable(Float64)') AS value,
        CAST(count, 'Nullable(UInt64)') AS count, sum, min, max, bounds, bucket_counts,
        scale, zero_count, zero_threshold, positive_offset, positive_counts, negative_offset, negative_counts,
        quantiles, quantile_values, flags, accepted, batch
    FROM histogram_samples
) AS p
LEFT ANY JOIN series AS x ON x.project_id = p.project_id AND x.metric = p.metric AND x.fingerprint = p.fingerprint
LEFT ANY JOIN resources AS r ON r.project_id = x.project_id AND r.resource_id = x.resource_id;
