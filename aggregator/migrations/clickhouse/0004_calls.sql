-- Calls between services whose sides came in different inserts, or of which one never came.
--
-- All that is to be known of a side stands in its span already: to say which spans are such sides
-- costs nothing, where rows of their own with the same ids again cost a fifth of the span.

-- `call_side` says whose other side was not known when the span was stored; `call_peer` is what the
-- calling side calls the other.
ALTER TABLE span_rows
    ADD COLUMN IF NOT EXISTS call_side Enum8('none' = 0, 'client' = 1, 'server' = 2) CODEC(${codec}),
    ADD COLUMN IF NOT EXISTS call_peer LowCardinality(String) CODEC(${codec});

-- Calls by the minute. A call of which one side is missing names what the other side knows.
CREATE OR REPLACE VIEW edges AS
SELECT project_id, time, toString(caller) AS caller, toString(callee) AS callee, toString(via) AS via, calls, errors,
    client_duration, server_duration
FROM service_edges
UNION ALL
SELECT
    project_id, toStartOfMinute(at) AS time, caller, callee, via, count() AS calls, countIf(failed) AS errors,
    sum(client_duration) AS client_duration, sum(server_duration) AS server_duration
FROM
(
    SELECT
        project_id, trace_id,
        if(s.call_side = 'client', s.span_id, s.parent_id) AS call,
        anyIf(toString(s.service), s.call_side = 'client') AS caller,
        countIf(s.call_side = 'server') AS servers,
        if(servers > 0, anyIf(toString(s.service), s.call_side = 'server'), any(toString(s.call_peer))) AS callee,
        any(multiIf(startsWith(s.system, 'rpc:'), 'rpc', startsWith(s.system, 'http:') OR startsWith(s.system, 'httpclient:'), 'http', '')) AS via,
        toDateTime(if(servers > 0, minIf(s.time, s.call_side = 'server'), min(s.time)), 'UTC') AS at,
        max(s.status = 'error') AS failed,
        sumIf(s.duration, s.call_side = 'client') AS client_duration,
        sumIf(s.duration, s.call_side = 'server') AS server_duration
    FROM span_rows AS s
    WHERE s.call_side != 'none'
    GROUP BY project_id, trace_id, call
)
GROUP BY project_id, time, caller, callee, via;
