//! Log records: `log_rows`.

use std::cmp::Ordering;

use petrel_wire::Signal;
use petrel_wire::otlp::view::{self, LogRecord, Scope, Value};

use super::attributes::{put, span_id, trace_id, write_value};
use super::columns::{Dictionary, Map, Nanos, Plain, Seconds, Text, table};
use super::derived::Derived;
use super::groups::Whose;
use super::resources::Resources;
use super::spans::{put_count, put_id, put_scope};
use super::time::{Calendar, Moment, nanos};
use super::vocabulary::sample;
use super::{Block, Source};
use crate::meaning::body::{self, Parsed};
use crate::meaning::facts::Facts;
use crate::meaning::severity;

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
        level: Plain<u8>,
        message: Text,
        group_id: Plain<u64>,
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

impl<'a> Row<'a> {
    fn whose(&self, derived: &mut Derived<'a>) -> Whose<'a> {
        Whose {
            project: self.project,
            service: self.service,
            environment: derived.environment(self.resource_id),
            at: self.at,
            accepted: self.accepted,
        }
    }

    /// What the body says; structured bodies and events have said it in their own way.
    fn parse(&self) -> Parsed<'a> {
        match self.record.body() {
            Some(Value::Str(text)) => body::parse(text),
            _ => Parsed::default(),
        }
    }

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
    derived: &mut Derived<'a>,
) -> Vec<Block> {
    let mut rows = Vec::new();
    for source in sources {
        let accepted = Calendar::accepted(source.accepted.0);
        let whose = (source.project.0, Signal::Logs);
        for of_resource in view::logs(source.batch) {
            let handle = resources.describe(&of_resource.resource(), of_resource.schema_url());
            let (service, resource_id) = {
                let described = resources.get(handle);
                derived.resource(described.id, &described.pairs);
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
        .map(|rows| {
            let parsed: Vec<Parsed<'a>> = rows.iter().map(Row::parse).collect();
            logs(rows, &parsed, derived).finish(rows[0].at.day())
        })
        .collect()
}

fn logs<'p, 'a: 'p>(
    rows: &[Row<'a>],
    parsed: &'p [Parsed<'a>],
    derived: &mut Derived<'a>,
) -> Columns<'p> {
    let mut columns = Columns::default();
    let mut buffer = String::new();
    for (row, parsed) in rows.iter().zip(parsed) {
        push(&mut columns, row, parsed, &mut buffer, derived);
    }
    let (stride, sampled) = sample(rows.len());
    for row in sampled.map(|at| &rows[at]) {
        let (whose, attributes) = (row.whose(derived), row.record.attributes());
        derived
            .vocabulary
            .item(Signal::Logs, &whose, row.resource_id, attributes, stride);
    }
    columns
}

fn push<'p, 'a: 'p>(
    columns: &mut Columns<'p>,
    row: &Row<'a>,
    parsed: &'p Parsed<'a>,
    buffer: &mut String,
    derived: &mut Derived<'a>,
) {
    let record = &row.record;
    let mut facts = Facts::default();
    columns.rows += 1;
    columns.project_id.push(row.project);
    columns.bucket.push(row.at.bucket());
    columns.service.push(row.service);
    columns.time.push(row.at.nanos());
    columns
        .observed_time
        .push(nanos(record.observed_time_unix_nano()));
    let trace = match trace_id(record.trace_id()) {
        id if id == [0; 16] && record.trace_id().is_empty() => parsed.trace_id,
        id => id,
    };
    let span = match span_id(record.span_id()) {
        0 if record.span_id().is_empty() => parsed.span_id,
        id => id,
    };
    columns.trace_id.push(trace);
    columns.span_id.push(span);
    columns
        .severity_number
        .push(u8::try_from(record.severity_number()).unwrap_or(0));
    columns.severity_text.push(record.severity_text());
    columns.event_name.push(record.event_name());
    let text = match record.body() {
        None => "",
        Some(Value::Str(text)) => text,
        Some(other) => {
            buffer.clear();
            write_value(other, buffer);
            &*buffer
        }
    };
    columns.body.push(text);
    let message = parsed.message.as_deref();
    columns.message.push(message.unwrap_or(""));
    let severity = severity::of(
        record.severity_number(),
        record.severity_text(),
        || match parsed.severity {
            0 => body::level_in_text(text),
            named => named,
        },
    );
    columns.level.push(severity);
    for (key, value) in record.attributes() {
        facts.see(key, &value);
    }
    for (key, value) in &parsed.pairs {
        facts.see(key, &Value::Str(value));
    }
    let whose = row.whose(derived);
    let message = match (message, record.event_name()) {
        (None, event) if text.is_empty() => event,
        (message, _) => message.unwrap_or(text),
    };
    let group = derived
        .groups
        .log(&whose, severity, message, (trace, span), &facts);
    columns.group_id.push(group);

    columns.flags.push(record.flags());
    columns.scope_name.push(row.scope.name());
    columns.scope_version.push(row.scope.version());
    columns.resource_id.push(row.resource_id);
    let attributes = &mut columns.attributes;
    for (key, value) in record.attributes() {
        put(attributes, key, value, buffer);
    }
    put_parsed(attributes, record, parsed);
    put_scope(attributes, row.scope.attributes(), buffer);
    let dropped = record.dropped_attributes_count();
    put_count(attributes, "otel.dropped_attributes_count", dropped, buffer);
    put_id(attributes, "petrel.trace_id", record.trace_id(), 16);
    put_id(attributes, "petrel.span_id", record.span_id(), 8);
    if let Some(claimed) = row.claimed {
        attributes.put("petrel.time_unix_nano", &claimed.to_string());
    }
    attributes.end_row();
    columns.accepted.push(row.accepted.seconds());
    columns.batch.push(row.origin);
}

/// What was found in the body, as attributes; one that the sender has given itself stays as it is.
fn put_parsed<'p>(map: &mut Map<'p>, record: &LogRecord<'p>, parsed: &'p Parsed<'_>) {
    if parsed.pairs.is_empty() {
        return;
    }
    let mut given: Vec<&str> = record.attributes().map(|(key, _)| key).collect();
    for (key, value) in &parsed.pairs {
        if !given.contains(&&**key) {
            map.put(key, value);
            given.push(key);
        }
    }
}
