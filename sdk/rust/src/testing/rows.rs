//! Where the rows of an OTLP/JSON request are.

use serde_json::Value;

use crate::registry::{Field, Signals, Table};

/// The rows of every table.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) signal: Signals,
    pub(super) tables: [Vec<Row>; 7],
}

/// One row: JSON pointers into the request.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) parent: u32,
    /// What goes when the row is dropped.
    pub(super) group: String,
    /// What has the attributes and fields; need not be there.
    pub(super) message: String,
}

const POINTS: [&str; 5] = [
    "gauge",
    "sum",
    "histogram",
    "exponentialHistogram",
    "summary",
];

impl Rows {
    pub(super) fn read(request: &Value) -> Option<Self> {
        let (signal, groups, scopes, records) = [
            (Signals::TRACES, "resourceSpans", "scopeSpans", "spans"),
            (Signals::LOGS, "resourceLogs", "scopeLogs", "logRecords"),
            (
                Signals::METRICS,
                "resourceMetrics",
                "scopeMetrics",
                "metrics",
            ),
        ]
        .into_iter()
        .find(|(_, groups, _, _)| request.get(groups).is_some())?;
        let mut rows = Self {
            signal,
            tables: Default::default(),
        };
        for group in each(request, "", groups) {
            let resource = rows.push(Table::RESOURCE, 0, &group, "/resource");
            for group in each(request, &group, scopes) {
                let scope = rows.push(Table::SCOPE, resource, &group, "/scope");
                for record in each(request, &group, records) {
                    if signal == Signals::METRICS {
                        rows.metric(request, scope, &record);
                    } else {
                        let row = rows.push(Table::RECORD, scope, &record, "");
                        for (table, list) in [(Table::EVENT, "events"), (Table::LINK, "links")] {
                            for below in each(request, &record, list) {
                                rows.push(table, row, &below, "");
                            }
                        }
                    }
                }
            }
        }
        Some(rows)
    }

    fn metric(&mut self, request: &Value, scope: u32, metric: &str) {
        let row = self.push(Table::METRIC, scope, metric, "");
        for kind in POINTS {
            for point in each(request, &format!("{metric}/{kind}"), "dataPoints") {
                let point_row = self.push(Table::RECORD, row, &point, "");
                for exemplar in each(request, &point, "exemplars") {
                    self.push(Table::EXEMPLAR, point_row, &exemplar, "");
                }
            }
        }
    }

    fn push(&mut self, table: Table, parent: u32, group: &str, inner: &str) -> u32 {
        let rows = &mut self.tables[usize::from(table.0)];
        rows.push(Row {
            parent,
            group: group.into(),
            message: format!("{group}{inner}"),
        });
        u32::try_from(rows.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn of(&self, table: Table) -> &[Row] {
        self.tables
            .get(usize::from(table.0))
            .map_or(&[], Vec::as_slice)
    }
}

/// Pointers to the elements of a list.
fn each(request: &Value, at: &str, list: &str) -> Vec<String> {
    let list = format!("{at}/{list}");
    let count = request
        .pointer(&list)
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    (0..count).map(|index| format!("{list}/{index}")).collect()
}

/// The name of the list of attributes.
pub(super) fn attributes(table: Table) -> &'static str {
    match table {
        Table::EXEMPLAR => "filteredAttributes",
        Table::METRIC => "metadata",
        _ => "attributes",
    }
}

/// How a field is written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Text,
    /// Text that may not be written.
    Syntax,
    Any,
    Uint,
    Time,
    Duration,
    Id16,
    Id8,
}

/// Where a field is in a row's message.
pub(super) fn field(signal: Signals, table: Table, field: Field) -> Option<(&'static str, Read)> {
    let is_log = signal == Signals::LOGS;
    Some(match (table, field) {
        (Table::SCOPE | Table::EVENT | Table::METRIC, Field::NAME | Field::METRIC_NAME)
            if (table == Table::METRIC) == (field == Field::METRIC_NAME) =>
        {
            ("/name", Read::Text)
        }
        (Table::SCOPE, Field::SCOPE_VERSION) => ("/version", Read::Text),
        (Table::METRIC, Field::METRIC_DESCRIPTION) => ("/description", Read::Text),
        (Table::METRIC, Field::UNIT) => ("/unit", Read::Text),
        (Table::EVENT | Table::EXEMPLAR, Field::TIME) => ("/timeUnixNano", Read::Time),
        (Table::LINK | Table::EXEMPLAR, Field::TRACE_ID) => ("/traceId", Read::Id16),
        (Table::LINK | Table::EXEMPLAR, Field::SPAN_ID) => ("/spanId", Read::Id8),
        (Table::LINK, Field::TRACESTATE) => ("/traceState", Read::Syntax),
        (Table::RECORD, Field::TIME) if signal == Signals::TRACES => {
            ("/startTimeUnixNano", Read::Time)
        }
        (Table::RECORD, Field::TIME) => ("/timeUnixNano", Read::Time),
        (Table::RECORD, _) if signal == Signals::METRICS => return None,
        (Table::RECORD, Field::TRACE_ID) => ("/traceId", Read::Id16),
        (Table::RECORD, Field::SPAN_ID) => ("/spanId", Read::Id8),
        (Table::RECORD, Field::TRACE_FLAGS) => ("/flags", Read::Uint),
        (Table::RECORD, Field::NAME) if is_log => ("/eventName", Read::Text),
        (Table::RECORD, Field::BODY) if is_log => ("/body", Read::Any),
        (Table::RECORD, Field::SEVERITY_NUMBER) if is_log => ("/severityNumber", Read::Uint),
        (Table::RECORD, Field::SEVERITY_TEXT) if is_log => ("/severityText", Read::Text),
        (Table::RECORD, Field::OBSERVED_TIME) if is_log => ("/observedTimeUnixNano", Read::Time),
        (Table::RECORD, _) if is_log => return None,
        (Table::RECORD, Field::NAME) => ("/name", Read::Text),
        (Table::RECORD, Field::DURATION) => ("/endTimeUnixNano", Read::Duration),
        (Table::RECORD, Field::SPAN_KIND) => ("/kind", Read::Uint),
        (Table::RECORD, Field::STATUS_CODE) => ("/status/code", Read::Uint),
        (Table::RECORD, Field::STATUS_MESSAGE) => ("/status/message", Read::Text),
        (Table::RECORD, Field::PARENT_ID) => ("/parentSpanId", Read::Id8),
        (Table::RECORD, Field::TRACESTATE) => ("/traceState", Read::Syntax),
        _ => return None,
    })
}
