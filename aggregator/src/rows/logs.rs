//! Log records: `log_rows`.

use petrel_wire::Signal;
use petrel_wire::otlp::view::{self, LogHead, LogRecord, Value, View as _};

use super::attributes::{Finder, span_id, trace_id, write_value};
use super::columns::{Dictionary, Map, Nanos, Plain, Seconds, Text, table};
use super::derived::Derived;
use super::items::{Group, Item, Items, Place};
use super::kept::Kept;
use super::resources::Resources;
use super::spans::{DROPPED_ATTRIBUTES, put_count, put_id, put_scope};
use super::time::{Calendar, nanos};
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

/// A record without a time happened when it was observed (OpenTelemetry's rule for readers).
fn time(time: u64, observed: u64) -> u64 {
    if time == 0 { observed } else { time }
}

pub(super) fn blocks<'a>(
    sources: impl Iterator<Item = &'a Source<'a>>,
    calendar: &mut Calendar,
    resources: &mut Resources<'a>,
    derived: &mut Derived<'a>,
) -> Vec<Block> {
    let mut items = Items::default();
    for source in sources {
        let accepted = Calendar::accepted(source.accepted.0);
        let whose = (source.project.0, Signal::Logs);
        for of_resource in view::logs(source.batch) {
            let handle = resources.describe(&of_resource.resource(), of_resource.schema_url());
            {
                let described = resources.get(handle);
                derived.resource(described.id, &described.pairs);
            }
            for of_scope in of_resource.scopes() {
                let described = resources.get(handle);
                items.begin(Group {
                    project: source.project.0,
                    accepted,
                    service: described.service,
                    resource_id: described.id,
                    scope: of_scope.scope(),
                    origin: source.origin,
                });
                for record in of_scope.records().through::<LogHead<'_>>() {
                    let time = time(record.time_unix_nano(), record.observed_time_unix_nano());
                    let (at, _) = calendar.place(whose, time, accepted);
                    resources.refer(handle, source.project.0, at.day(), accepted);
                    items.push(at, "", record.bytes());
                }
            }
        }
    }
    let places = items.sorted();
    places
        .chunk_by(|a, b| a.day() == b.day())
        .map(|places| {
            // Most bodies say nothing but themselves: only the others are kept.
            let (found, nothing) = (Kept::default(), Parsed::default());
            let mut found = found.adding();
            let mut day = Day::default();
            for item in items.each(places) {
                let record = LogRecord::read(item.message);
                let parsed = match parse(&record) {
                    parsed if parsed == nothing => &nothing,
                    parsed => found.add(parsed),
                };
                day.push(&item, &record, parsed, derived);
            }
            suggest(&items, places, derived);
            day.columns.finish(places[0].day())
        })
        .collect()
}

/// What the body says; structured bodies and events have said it in their own way.
fn parse<'a>(record: &LogRecord<'a>) -> Parsed<'a> {
    match record.body() {
        Some(Value::Str(text)) => body::parse(text),
        _ => Parsed::default(),
    }
}

/// Keys and values for who types a filter, from some of the records.
fn suggest<'a>(items: &Items<'a>, places: &[Place], derived: &mut Derived<'a>) {
    let (stride, sampled) = sample(places.len());
    for item in sampled.map(|at| items.at(places[at])) {
        let (whose, resource_id) = (item.whose(derived), item.group.resource_id);
        let attributes = LogRecord::read(item.message).attributes();
        derived
            .vocabulary
            .item(Signal::Logs, &whose, resource_id, attributes, stride);
    }
}

/// The rows of one day.
#[derive(Debug, Default)]
struct Day<'p> {
    columns: Columns<'p>,
    finder: Finder,
    facts: Facts<'p>,
    buffer: String,
}

impl<'p> Day<'p> {
    fn push<'a: 'p>(
        &mut self,
        item: &Item<'_, 'a>,
        record: &LogRecord<'a>,
        parsed: &'p Parsed<'a>,
        derived: &mut Derived<'a>,
    ) {
        let Self {
            columns,
            finder,
            facts,
            buffer,
        } = self;
        let group = item.group;
        facts.clear();
        columns.rows += 1;
        finder.put_all(&mut columns.attributes, record.attributes(), facts, buffer);
        columns.project_id.push(group.project);
        columns.bucket.push(item.at.bucket());
        columns.service.push(group.service);
        columns.time.push(item.at.nanos());
        let observed = record.observed_time_unix_nano();
        columns.observed_time.push(nanos(observed));
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
        let severity =
            severity::of(
                record.severity_number(),
                record.severity_text(),
                || match parsed.severity {
                    0 => body::level_in_text(text),
                    named => named,
                },
            );
        columns.level.push(severity);
        for (key, value) in &parsed.pairs {
            facts.see(key, value);
        }
        let whose = item.whose(derived);
        let message = match (message, record.event_name()) {
            (None, event) if text.is_empty() => event,
            (message, _) => message.unwrap_or(text),
        };
        let group_id = derived
            .groups
            .log(&whose, severity, message, (trace, span), facts);
        columns.group_id.push(group_id);

        columns.flags.push(record.flags());
        columns.scope_name.push(group.scope.name());
        columns.scope_version.push(group.scope.version());
        columns.resource_id.push(group.resource_id);
        let attributes = &mut columns.attributes;
        put_parsed(attributes, record, parsed);
        put_scope(attributes, group.scope.attributes(), buffer);
        let dropped = record.dropped_attributes_count();
        put_count(attributes, DROPPED_ATTRIBUTES, dropped, buffer);
        put_id(attributes, "petrel.trace_id", record.trace_id(), 16);
        put_id(attributes, "petrel.span_id", record.span_id(), 8);
        if let Some(claimed) = item.claimed(time(record.time_unix_nano(), observed)) {
            attributes.put("petrel.time_unix_nano", claimed.to_string());
        }
        attributes.end_row();
        columns.accepted.push(group.accepted.seconds());
        columns.batch.push(group.origin);
    }
}

/// What was found in the body, as attributes; one that the sender has given itself stays as it is.
fn put_parsed<'p>(map: &mut Map<'p>, record: &LogRecord<'p>, parsed: &'p Parsed<'_>) {
    if parsed.pairs.is_empty() {
        return;
    }
    let mut given: Vec<&str> = record.attributes().map(|(key, _)| key).collect();
    for (key, value) in &parsed.pairs {
        if !given.contains(&&**key) {
            map.put(&**key, &**value);
            given.push(key);
        }
    }
}
