//! Log records: `log_rows`.

use std::cmp::Ordering;

use petrel_wire::Signal;
use petrel_wire::otlp::view::{self, LogRecord, Scope, Value};

use super::attributes::{put_all, span_id, trace_id, write_value};
use super::columns::{Dictionary, Map, Nanos, Plain, Seconds, Text, table};
use super::resources::Resources;
use super::spans::{put_count, put_id, put_scope};
use super::time::{Calendar, Moment, nanos};
use super::{Block, Source};

table! {
    /// As in `migrations/clickhouse`.
    Columns<'a> for "log_rows" {
        project_id: Plain<u32>,
        bucket: Plain<Seconds>,
        service: Dictionary<'a>,
        time: Plain<Nanos>,
        observed_time: Plain<Nanos>,
        trace_id: Plain<[u8; 16]>,
        span_id: Plain<u64>,
        severity_number: Plain<u8>,
        severity_text: Dictionary<'a>,
        event_name: Dictionary<'a>,
        body: Text,
        flags: Plain<u32>,
        scope_name: Dictionary<'a>,
        scope_version: Dictionary<'a>,
        resource_id: Plain<u64>,
        attributes: Map<'a>,
        accepted: Plain<Seconds>,
        batch: Dictionary<'a>,
    }
}

/// A record and everything around it that its row needs.
#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    project: u32,
    at: Moment,
    /// What the sender said, if it was not believed.
    claimed: Option<u64>,
    accepted: Moment,
    service: &'a str,
    resource_id: u64,
    scope: Scope<'a>,
    record: LogRecord<'a>,
    origin: &'a str,
}

impl Row<'_> {
    fn order(&self, other: &Self) -> Ordering {
        let head = |row: &Self| (row.at.day(), row.project, row.at.bucket().0);
        head(self)
            .cmp(&head(other))
            .then_with(|| self.service.cmp(other.service))
            .then_with(|| self.at.cmp(&other.at))
    }
}

/// A record without a time happened when it was observed (OpenTelemetry's rule for readers).
fn time(record: &LogRecord<'_>) -> u64 {
    match record.time_unix_nano() {
        0 => record.observed_time_unix_nano(),
        time => time,
    }
}

pub(super) fn blocks<'a>(
    sources: impl Iterator<Item = &'a Source<'a>>,
    calendar: &mut Calendar,
    resources: &mut Resources<'a>,
) -> Vec<Block> {
    let mut rows = Vec::new();
    for source in sources {
        let accepted = Calendar::accepted(source.accepted.0);
        let whose = (source.project.0, Signal::Logs);
        for of_resource in view::logs(source.batch) {
            let handle = resources.describe(&of_resource.resource(), of_resource.schema_url());
            let (service, resource_id) = {
                let described = resources.get(handle);
                (described.service, described.id)
            };
            for of_scope in of_resource.scopes() {
                for record in of_scope.records() {
                    let (at, claimed) = calendar.place(whose, time(&record), accepted);
                    resources.refer(handle, source.project.0, at.day(), accepted);
                    rows.push(Row {
                        project: source.project.0,
                        at,
                        claimed,
                        accepted,
                        service,
                        resource_id,
                        scope: of_scope.scope(),
                        record,
                        origin: source.origin,
                    });
                }
            }
        }
    }
    rows.sort_by(Row::order);
    rows.chunk_by(|a, b| a.at.day() == b.at.day())
        .map(|rows| logs(rows).finish(rows[0].at.day()))
        .collect()
}

fn logs<'a>(rows: &[Row<'a>]) -> Columns<'a> {
    let mut columns = Columns::default();
    let mut buffer = String::new();
    for row in rows {
        let record = &row.record;
        columns.rows += 1;
        columns.project_id.push(row.project);
        columns.bucket.push(row.at.bucket());
        columns.service.push(row.service);
        columns.time.push(row.at.nanos());
        columns
            .observed_time
            .push(nanos(record.observed_time_unix_nano()));
        columns.trace_id.push(trace_id(record.trace_id()));
        columns.span_id.push(span_id(record.span_id()));
        columns
            .severity_number
            .push(u8::try_from(record.severity_number()).unwrap_or(0));
        columns.severity_text.push(record.severity_text());
        columns.event_name.push(record.event_name());
        match record.body() {
            None => columns.body.push(""),
            Some(Value::Str(text)) => columns.body.push(text),
            Some(other) => {
                buffer.clear();
                write_value(other, &mut buffer);
                columns.body.push(&buffer);
            }
        }
        columns.flags.push(record.flags());
        columns.scope_name.push(row.scope.name());
        columns.scope_version.push(row.scope.version());
        columns.resource_id.push(row.resource_id);
        let attributes = &mut columns.attributes;
        put_all(attributes, record.attributes(), &mut buffer);
        put_scope(attributes, row.scope.attributes(), &mut buffer);
        let dropped = record.dropped_attributes_count();
        put_count(
            attributes,
            "otel.dropped_attributes_count",
            dropped,
            &mut buffer,
        );
        put_id(attributes, "petrel.trace_id", record.trace_id(), 16);
        put_id(attributes, "petrel.span_id", record.span_id(), 8);
        if let Some(claimed) = row.claimed {
            attributes.put("petrel.time_unix_nano", &claimed.to_string());
        }
        attributes.end_row();
        columns.accepted.push(row.accepted.seconds());
        columns.batch.push(row.origin);
    }
    columns
}
