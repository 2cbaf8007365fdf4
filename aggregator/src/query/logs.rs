//! Questions about log records.

use clickhouse::Row;
use serde::Deserialize;

use super::filters::{self, Filter, FilterError, SEVERITY};
use super::traces::{After, Pairs};
use super::{Param, Scope, Select, Sql, Table, Window, push_step};

/// A log record.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct LogRecord {
    /// Unix nanoseconds.
    pub at: i64,
    /// Decides between records of one time.
    pub tie: u64,
    /// As the sender wrote it, or after its number.
    pub severity: String,
    /// OpenTelemetry's number, zero for none.
    pub number: u8,
    /// `service.name`.
    pub service_name: String,
    /// Text, or JSON where it was structured.
    pub text: String,
    /// Hex; all zeros for none.
    pub trace: String,
    /// Zero for none.
    pub span: u64,
    /// Its resource.
    pub resource: u64,
    /// Its own attributes.
    pub pairs: Pairs,
}

/// Equal records (a line that was logged twice within a nanosecond) share a tie-breaker: a page
/// that ends between two of them skips as many as it has shown.
const TIE: &str = "cityHash64(trace_id, span_id, body)";

fn select() -> Sql {
    let mut sql = Sql::new("SELECT toUnixTimestamp64Nano(time) AS at, ");
    sql.push(TIE)
        .push(" AS tie, if(severity_text = '', ")
        .push(SEVERITY);
    sql.push(
        ", toString(severity_text)) AS severity, level AS number, \
         toString(service) AS service_name, body AS text, lower(hex(trace_id)) AS trace, \
         span_id AS span, resource_id AS resource, \
         CAST(attributes, 'Map(String, String)') AS pairs",
    );
    sql
}

fn push_matching(
    sql: &mut Sql,
    scope: &Scope,
    window: Window,
    filters: &[Filter],
    text: Option<&str>,
) -> Result<(), FilterError> {
    sql.from(Table::Logs, scope, window);
    filters::push_all(sql, Table::Logs, scope, filters)?;
    for word in text.into_iter().flat_map(str::split_whitespace).take(20) {
        sql.push(" AND positionCaseInsensitiveUTF8(body, ")
            .text(word)
            .push(") > 0");
    }
    Ok(())
}

/// Log records, newest first; every word of `text` is in the body. `seen` of those at `after`
/// were on the page before.
pub fn search(
    scope: &Scope,
    window: Window,
    filters: &[Filter],
    text: Option<&str>,
    limit: usize,
    after: Option<(&After<u64>, usize)>,
) -> Result<Select<LogRecord>, FilterError> {
    let mut sql = select();
    push_matching(&mut sql, scope, window, filters, text)?;
    if let Some((After { time, tie }, _)) = after {
        sql.push(" AND (toUnixTimestamp64Nano(time), ")
            .push(TIE)
            .push(") <= (");
        sql.integer(*time)
            .push(", ")
            .value("UInt64", Param::Unsigned(*tie))
            .push(")");
    }
    sql.push(" ORDER BY time DESC, tie DESC").limit(limit);
    if let Some((_, seen)) = after {
        sql.push(" OFFSET ")
            .value("UInt64", Param::Unsigned(seen as u64));
    }
    Ok(sql.finish())
}

/// The log records of a trace, oldest first.
pub fn of_trace(scope: &Scope, window: Window, trace: &str, limit: usize) -> Select<LogRecord> {
    let mut sql = select();
    sql.from(Table::Logs, scope, window);
    sql.push(" AND trace_id = toFixedString(unhex(")
        .text(trace)
        .push("), 16)");
    sql.push(" ORDER BY time, tie").limit(limit);
    sql.finish()
}

/// One bar of the histogram.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct LogStep {
    /// Unix milliseconds.
    pub at: i64,
    /// `TRACE` to `FATAL`, or what the sender wrote.
    pub severity: String,
    /// Records.
    pub total: u64,
}

/// How many records of which severity, over time.
pub fn histogram(
    scope: &Scope,
    window: Window,
    filters: &[Filter],
    text: Option<&str>,
    step_ms: i64,
) -> Result<Select<LogStep>, FilterError> {
    let mut sql = Sql::new("SELECT ");
    push_step(&mut sql, step_ms);
    sql.push(" AS at, ")
        .push(SEVERITY)
        .push(" AS severity, count() AS total");
    push_matching(&mut sql, scope, window, filters, text)?;
    sql.push(" GROUP BY at, severity ORDER BY at, severity");
    Ok(sql.finish())
}
