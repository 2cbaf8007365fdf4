//! Questions about spans and traces.

use clickhouse::Row;
use serde::Deserialize;

use super::filters::{self, Filter, FilterError};
use super::{EVER, Param, Scope, Select, Sql, Table, Window, push_step};

/// Where a list goes on: after the row with this time and this tie-breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After<T> {
    /// Unix nanoseconds.
    pub time: i64,
    /// Decides between rows of one time.
    pub tie: T,
}

/// A trace with matching spans.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct FoundTrace {
    /// Hex.
    pub trace: String,
    /// Start of its newest matching span, Unix nanoseconds.
    pub newest: i64,
}

/// Traces that have matching spans, newest first.
pub fn search(
    scope: &Scope,
    window: Window,
    filters: &[Filter],
    limit: usize,
    after: Option<&After<String>>,
) -> Result<Select<FoundTrace>, FilterError> {
    let mut sql = Sql::new(
        "SELECT lower(hex(trace_id)) AS trace, toUnixTimestamp64Nano(max(time)) AS newest",
    );
    sql.from(Table::Spans, scope, window);
    filters::push_all(&mut sql, Table::Spans, scope, filters)?;
    sql.push(" GROUP BY trace_id");
    if let Some(After { time, tie }) = after {
        sql.push(" HAVING (newest, trace) < (")
            .integer(*time)
            .push(", ")
            .text(tie.as_str());
        sql.push(")");
    }
    sql.push(" ORDER BY newest DESC, trace DESC").limit(limit);
    Ok(sql.finish())
}

/// Where a trace is, and how large.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Extent {
    /// Whose.
    pub project: u32,
    /// Hex.
    pub trace: String,
    /// Unix nanoseconds of the first start.
    pub first: i64,
    /// Unix nanoseconds of the last end.
    pub last: i64,
    /// Spans.
    pub total: u64,
    /// Spans with an error.
    pub failed: u64,
}

/// Where these traces are, by the lookup table.
pub fn extents(scope: &Scope, traces: &[String]) -> Select<Extent> {
    let mut sql = Sql::new(
        "SELECT project_id AS project, lower(hex(trace_id)) AS trace, \
         toUnixTimestamp64Nano(min(start)) AS first, toUnixTimestamp64Nano(max(end)) AS last, \
         sum(spans) AS total, sum(errors) AS failed",
    );
    sql.from(Table::TraceIndex, scope, EVER);
    push_traces(&mut sql, traces);
    sql.push(" GROUP BY project_id, trace_id ORDER BY first DESC, project_id");
    sql.finish()
}

/// What a list of traces shows beside sizes.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Summary {
    /// Hex.
    pub trace: String,
    /// Service of the root, or of the earliest span when the root is not here.
    pub root_service: String,
    /// Its name.
    pub root_name: String,
    /// Its status.
    pub root_status: String,
    /// Every service in it, at most 20.
    pub services: Vec<String>,
}

/// Roots and services of these traces.
pub fn summaries(scope: &Scope, window: Window, traces: &[String]) -> Select<Summary> {
    let mut sql = Sql::new(
        "SELECT lower(hex(trace_id)) AS trace, \
         toString(argMin(service, (parent_id != 0, time))) AS root_service, \
         toString(argMin(name, (parent_id != 0, time))) AS root_name, \
         toString(argMin(status, (parent_id != 0, time))) AS root_status, \
         arraySort(groupUniqArray(20)(toString(service))) AS services",
    );
    sql.from(Table::Spans, scope, window);
    push_traces(&mut sql, traces);
    sql.push(" GROUP BY trace_id");
    sql.finish()
}

fn push_traces(sql: &mut Sql, traces: &[String]) {
    // Constants, not a subquery: the index on trace_id is used for those alone.
    sql.push(" AND trace_id IN (");
    for (index, trace) in traces.iter().enumerate() {
        sql.push(if index == 0 {
            "toFixedString(unhex("
        } else {
            ", toFixedString(unhex("
        });
        sql.text(trace.as_str()).push("), 16)");
    }
    sql.push(if traces.is_empty() {
        "toFixedString('', 16))"
    } else {
        ")"
    });
}

/// A span in a list.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct ListedSpan {
    /// Hex.
    pub trace: String,
    /// Never zero.
    pub id: u64,
    /// Zero for a root.
    pub parent: u64,
    /// `service.name`.
    pub service_name: String,
    /// Name.
    pub span_name: String,
    /// `server` and its like.
    pub kind_word: String,
    /// `unset`, `ok`, `error`.
    pub status_word: String,
    /// Unix nanoseconds.
    pub start: i64,
    /// Nanoseconds.
    pub nanos: u64,
}

const LISTED: &str = "SELECT lower(hex(trace_id)) AS trace, span_id AS id, parent_id AS parent, \
    toString(service) AS service_name, toString(name) AS span_name, toString(kind) AS kind_word, \
    toString(status) AS status_word, toUnixTimestamp64Nano(time) AS start, duration AS nanos";

/// Spans, newest first.
pub fn spans(
    scope: &Scope,
    window: Window,
    filters: &[Filter],
    limit: usize,
    after: Option<&After<u64>>,
) -> Result<Select<ListedSpan>, FilterError> {
    let mut sql = Sql::new(LISTED);
    sql.from(Table::Spans, scope, window);
    filters::push_all(&mut sql, Table::Spans, scope, filters)?;
    if let Some(After { time, tie }) = after {
        sql.push(" AND (toUnixTimestamp64Nano(time), span_id) < (")
            .integer(*time)
            .push(", ");
        sql.value("UInt64", Param::Unsigned(*tie)).push(")");
    }
    sql.push(" ORDER BY time DESC, span_id DESC").limit(limit);
    Ok(sql.finish())
}

/// One step of the chart over spans.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct SpanStep {
    /// Unix milliseconds.
    pub at: i64,
    /// Spans that started in it.
    pub total: u64,
    /// Those with an error.
    pub failed: u64,
    /// Median of their durations, nanoseconds.
    pub p50: f64,
    /// 99th percentile of their durations, nanoseconds.
    pub p99: f64,
}

/// Rate, errors and durations over time.
pub fn timeseries(
    scope: &Scope,
    window: Window,
    filters: &[Filter],
    step_ms: i64,
) -> Result<Select<SpanStep>, FilterError> {
    let mut sql = Sql::new("SELECT ");
    push_step(&mut sql, step_ms);
    sql.push(
        " AS at, count() AS total, countIf(status = 'error') AS failed, \
         toFloat64(quantile(0.5)(duration)) AS p50, toFloat64(quantile(0.99)(duration)) AS p99",
    );
    sql.from(Table::Spans, scope, window);
    filters::push_all(&mut sql, Table::Spans, scope, filters)?;
    sql.push(" GROUP BY at ORDER BY at");
    Ok(sql.finish())
}

/// A span as the outline needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Deserialize)]
pub struct OutlineSpan {
    /// Never zero.
    pub id: u64,
    /// Zero for a root.
    pub parent: u64,
    /// `service.name`.
    pub service_name: String,
    /// Name.
    pub span_name: String,
    /// `server` and its like.
    pub kind_word: String,
    /// Status is `error`.
    pub failed: bool,
    /// Unix nanoseconds.
    pub start: i64,
    /// Nanoseconds.
    pub nanos: u64,
    /// Has span events.
    pub has_events: bool,
    /// Has span links.
    pub has_links: bool,
}

/// The spans of a trace, by start: only what its picture needs.
pub fn outline(scope: &Scope, window: Window, trace: &str, limit: usize) -> Select<OutlineSpan> {
    let mut sql = Sql::new(
        "SELECT span_id AS id, parent_id AS parent, toString(service) AS service_name, \
         toString(name) AS span_name, toString(kind) AS kind_word, \
         CAST(status = 'error', 'Bool') AS failed, toUnixTimestamp64Nano(time) AS start, \
         duration AS nanos, CAST(notEmpty(event_times), 'Bool') AS has_events, \
         CAST(notEmpty(link_span_ids), 'Bool') AS has_links",
    );
    sql.from(Table::Spans, scope, window);
    push_traces(&mut sql, &[trace.to_owned()]);
    sql.push(" ORDER BY time, span_id").limit(limit);
    sql.finish()
}

/// A span that has log records.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct LoggedSpan {
    /// Its id.
    pub id: u64,
}

/// The spans of a trace that have log records.
pub fn logged(scope: &Scope, window: Window, trace: &str, limit: usize) -> Select<LoggedSpan> {
    let mut sql = Sql::new("SELECT DISTINCT span_id AS id");
    sql.from(Table::Logs, scope, window);
    push_traces(&mut sql, &[trace.to_owned()]);
    sql.push(" AND span_id != 0").limit(limit);
    sql.finish()
}

/// Text keys and text values.
pub type Pairs = Vec<(String, String)>;

/// A span with all it has.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct FullSpan {
    /// Hex.
    pub trace: String,
    /// Never zero.
    pub id: u64,
    /// Zero for a root.
    pub parent: u64,
    /// `service.name`.
    pub service_name: String,
    /// Name.
    pub span_name: String,
    /// `server` and its like.
    pub kind_word: String,
    /// `unset`, `ok`, `error`.
    pub status_word: String,
    /// Unix nanoseconds.
    pub start: i64,
    /// Nanoseconds.
    pub nanos: u64,
    /// What the sender said to the status.
    pub status_text: String,
    /// Instrumentation scope.
    pub scope: String,
    /// Its version.
    pub version: String,
    /// Its resource.
    pub resource: u64,
    /// Its own attributes.
    pub pairs: Pairs,
    /// Unix nanoseconds of its events.
    pub event_at: Vec<i64>,
    /// Their names.
    pub event_name: Vec<String>,
    /// Their attributes.
    pub event_pairs: Vec<Pairs>,
    /// Traces of its links, hex.
    pub link_trace: Vec<String>,
    /// Spans of its links.
    pub link_span: Vec<u64>,
    /// Their attributes.
    pub link_pairs: Vec<Pairs>,
}

/// Some spans of a trace, with all they have.
pub fn full(scope: &Scope, window: Window, trace: &str, spans: &[u64]) -> Select<FullSpan> {
    let mut sql = Sql::new(LISTED);
    sql.push(
        ", status_message AS status_text, toString(scope_name) AS scope, \
         toString(scope_version) AS version, resource_id AS resource, \
         CAST(attributes, 'Map(String, String)') AS pairs, \
         arrayMap(t -> toUnixTimestamp64Nano(t), event_times) AS event_at, \
         CAST(event_names, 'Array(String)') AS event_name, \
         CAST(event_attributes, 'Array(Map(String, String))') AS event_pairs, \
         arrayMap(t -> lower(hex(t)), link_trace_ids) AS link_trace, link_span_ids AS link_span, \
         CAST(link_attributes, 'Array(Map(String, String))') AS link_pairs",
    );
    sql.from(Table::Spans, scope, window);
    push_traces(&mut sql, &[trace.to_owned()]);
    sql.push(" AND has(")
        .value("Array(UInt64)", Param::Numbers(spans.to_vec()));
    sql.push(", span_id) ORDER BY time, span_id")
        .limit(spans.len() * 4);
    sql.finish()
}

/// A resource's attributes.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Resource {
    /// Hash of the attributes.
    pub id: u64,
    /// The attributes.
    pub pairs: Pairs,
}

/// The attributes of these resources.
pub fn resources(scope: &Scope, ids: &[u64]) -> Select<Resource> {
    let mut sql =
        Sql::new("SELECT resource_id AS id, CAST(any(attributes), 'Map(String, String)') AS pairs");
    sql.from(Table::Resources, scope, EVER);
    sql.push(" AND resource_id IN (SELECT arrayJoin(");
    sql.value("Array(UInt64)", Param::Numbers(ids.to_vec()))
        .push(")) GROUP BY resource_id");
    sql.finish()
}
