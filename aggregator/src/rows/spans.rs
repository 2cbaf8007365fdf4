//! Spans: `span_rows`.

use petrel_wire::Signal;
use petrel_wire::otlp::view::{self, Attributes, Span, SpanHead, View as _};

use super::attributes::{Finder, odd_id, put_all, span_id, trace_id};
use super::columns::{Array, Dictionary, Enum, Map, Names, Nanos, Plain, Seconds, Text, table};
use super::counts::Words;
use super::derived::Derived;
use super::edges::{RowOf, Side};
use super::groups::Whose;
use super::items::{Group, Item, Items, Place};
use super::resources::Resources;
use super::time::{Calendar, nanos};
use super::traces::{Traces, duration};
use super::vocabulary::sample;
use super::{Block, Source};
use crate::meaning::facts::Facts;

#[derive(Debug)]
pub(super) struct Kind;

impl Names for Kind {
    const KIND: &'static str = "Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, \
                                'producer' = 4, 'consumer' = 5)";
}

#[derive(Debug)]
struct StatusCode;

impl Names for StatusCode {
    const KIND: &'static str = "Enum8('unset' = 0, 'ok' = 1, 'error' = 2)";
}

/// `StatusCode.STATUS_CODE_ERROR`
pub(super) const ERROR: i32 = 2;

table! {
    /// As in `migrations/clickhouse`.
    Columns<'a> for "span_rows" {
        project_id: Plain<u32>,
        bucket: Plain<Seconds>,
        service: Dictionary<'a>,
        name: Dictionary<'a>,
        time: Plain<Nanos>,
        duration: Plain<u64>,
        trace_id: Plain<[u8; 16]>,
        span_id: Plain<u64>,
        parent_id: Plain<u64>,
        kind: Enum<Kind>,
        status: Enum<StatusCode>,
        status_message: Text,
        trace_state: Text,
        flags: Plain<u32>,
        scope_name: Dictionary<'a>,
        scope_version: Dictionary<'a>,
        resource_id: Plain<u64>,
        attributes: Map<'a>,
        event_times: Array<Plain<Nanos>>,
        event_names: Array<Dictionary<'a>>,
        event_attributes: Array<Map<'a>>,
        link_trace_ids: Array<Plain<[u8; 16]>>,
        link_span_ids: Array<Plain<u64>>,
        link_trace_states: Array<Text>,
        link_attributes: Array<Map<'a>>,
        accepted: Plain<Seconds>,
        batch: Dictionary<'a>,
        system: Words,
        group_id: Plain<u64>,
        call_side: Enum<Side>,
        call_peer: Dictionary<'a>,
    }
}

pub(super) fn blocks<'a>(
    sources: impl Iterator<Item = &'a Source<'a>>,
    calendar: &mut Calendar,
    resources: &mut Resources<'a>,
    derived: &mut Derived<'a>,
) -> Vec<Block> {
    let mut items = Items::default();
    let mut traces = Traces::default();
    for source in sources {
        let accepted = Calendar::accepted(source.accepted.0);
        let whose = (source.project.0, Signal::Traces);
        for of_resource in view::traces(source.batch) {
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
                for span in of_scope.spans().through::<SpanHead<'_>>() {
                    let (at, _) = calendar.place(whose, span.start_time_unix_nano(), accepted);
                    resources.refer(handle, source.project.0, at.day(), accepted);
                    items.push(at, span.name(), span.bytes());
                    traces.note(source.project.0, &span, at, accepted);
                }
            }
        }
    }
    let mut days: Vec<Day<'_>> = Vec::new();
    for places in items.sorted().chunk_by(|a, b| a.day() == b.day()) {
        let mut day = Day {
            number: places[0].day(),
            index: number(days.len()),
            ..Day::default()
        };
        for item in items.each(places) {
            day.push(&Row::read(item), derived);
        }
        suggest(&items, places, derived);
        days.push(day);
    }
    // The two sides of a call may be spans of different days.
    for RowOf { day, row } in derived.edges.meet() {
        let sides = &mut days[day as usize].columns.call_side;
        sides.set(row as usize, Side::NONE);
    }
    let mut index = traces.blocks();
    days.into_iter()
        .flat_map(|day| {
            let index = index.remove(&day.number);
            std::iter::once(day.columns.finish(day.number)).chain(index)
        })
        .collect()
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a cut has fewer items")
}

/// Keys and values for who types a filter, from some of the spans.
fn suggest<'a>(items: &Items<'a>, places: &[Place], derived: &mut Derived<'a>) {
    let (stride, sampled) = sample(places.len());
    for row in sampled.map(|at| Row::read(items.at(places[at]))) {
        let (whose, resource_id) = (row.item.whose(derived), row.item.group.resource_id);
        let attributes = row.span.attributes();
        derived
            .vocabulary
            .item(Signal::Traces, &whose, resource_id, attributes, stride);
    }
}

/// A span, read where it lies, and what it belongs to.
#[derive(Clone, Copy, Debug)]
struct Row<'i, 'a> {
    item: Item<'i, 'a>,
    span: Span<'a>,
}

impl<'i, 'a> Row<'i, 'a> {
    fn read(item: Item<'i, 'a>) -> Self {
        let span = Span::read(item.message);
        Self { item, span }
    }

    fn duration(&self) -> u64 {
        let span = &self.span;
        duration(span.start_time_unix_nano(), span.end_time_unix_nano())
    }
}

/// The rows of one day.
#[derive(Debug, Default)]
struct Day<'a> {
    number: u16,
    /// Among those of the piece.
    index: u32,
    columns: Columns<'a>,
    finder: Finder,
    facts: Facts<'a>,
    buffer: String,
}

impl<'a> Day<'a> {
    fn push(&mut self, row: &Row<'_, 'a>, derived: &mut Derived<'a>) {
        let of = RowOf {
            day: self.index,
            row: number(self.columns.rows),
        };
        self.facts.clear();
        let whose = row.item.whose(derived);
        push(self, row, &whose, derived);
        let (span, facts) = (&row.span, &self.facts);
        let columns = &mut self.columns;
        let group = derived.groups.span(&whose, span, row.duration(), facts);
        columns.system.push(&group.system);
        columns.group_id.push(group.id);
        let mark = derived.edges.span(&whose, span, of, row.duration(), facts);
        columns.call_side.push(mark.side);
        columns.call_peer.push(mark.peer);
    }
}

/// What was sent.
fn push<'a>(day: &mut Day<'a>, row: &Row<'_, 'a>, whose: &Whose<'a>, derived: &mut Derived<'a>) {
    let Day {
        columns,
        finder,
        facts,
        buffer,
        ..
    } = day;
    let Row { item, span } = row;
    let group = item.group;
    columns.rows += 1;
    columns.project_id.push(group.project);
    columns.bucket.push(item.at.bucket());
    columns.service.push(group.service);
    columns.name.push(item.name);
    columns.time.push(item.at.nanos());
    columns.duration.push(row.duration());
    columns.trace_id.push(trace_id(span.trace_id()));
    columns.span_id.push(span_id(span.span_id()));
    columns.parent_id.push(span_id(span.parent_span_id()));
    columns.kind.push(within(span.kind(), 5));
    columns.status.push(within(span.status().code(), 2));
    columns.status_message.push(span.status().message());
    columns.trace_state.push(span.trace_state());
    columns.flags.push(span.flags());
    columns.scope_name.push(group.scope.name());
    columns.scope_version.push(group.scope.version());
    columns.resource_id.push(group.resource_id);
    finder.put_all(&mut columns.attributes, span.attributes(), facts, buffer);
    put_scope(&mut columns.attributes, group.scope.attributes(), buffer);
    put_remarks(&mut columns.attributes, row, buffer);
    columns.attributes.end_row();

    let mut events = 0;
    for event in span.events() {
        events += 1;
        columns
            .event_times
            .items
            .push(nanos(event.time_unix_nano()));
        columns.event_names.items.push(event.name());
        if event.name() == "exception" {
            derived.groups.exception(whose, span, &event);
        }
        let attributes = &mut columns.event_attributes.items;
        put_all(attributes, event.attributes(), buffer);
        put_count(
            attributes,
            DROPPED_ATTRIBUTES,
            event.dropped_attributes_count(),
            buffer,
        );
        attributes.end_row();
    }
    columns.event_times.end_row(events);
    columns.event_names.end_row(events);
    columns.event_attributes.end_row(events);

    let mut links = 0;
    for link in span.links() {
        links += 1;
        columns.link_trace_ids.items.push(trace_id(link.trace_id()));
        columns.link_span_ids.items.push(span_id(link.span_id()));
        columns.link_trace_states.items.push(link.trace_state());
        let attributes = &mut columns.link_attributes.items;
        put_all(attributes, link.attributes(), buffer);
        put_count(
            attributes,
            DROPPED_ATTRIBUTES,
            link.dropped_attributes_count(),
            buffer,
        );
        put_id(attributes, "petrel.trace_id", link.trace_id(), 16);
        put_id(attributes, "petrel.span_id", link.span_id(), 8);
        attributes.end_row();
    }
    columns.link_trace_ids.end_row(links);
    columns.link_span_ids.end_row(links);
    columns.link_trace_states.end_row(links);
    columns.link_attributes.end_row(links);
    columns.accepted.push(group.accepted.seconds());
    columns.batch.push(group.origin);
}

// How OpenTelemetry spells these where a format has no field for them ("Mapping to non-OTLP").
pub(super) const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
const DROPPED_EVENTS: &str = "otel.dropped_events_count";
const DROPPED_LINKS: &str = "otel.dropped_links_count";

/// What has no column and must not be lost.
fn put_remarks<'a>(map: &mut Map<'a>, row: &Row<'_, 'a>, buffer: &mut String) {
    let span = &row.span;
    put_count(
        map,
        DROPPED_ATTRIBUTES,
        span.dropped_attributes_count(),
        buffer,
    );
    put_count(map, DROPPED_EVENTS, span.dropped_events_count(), buffer);
    put_count(map, DROPPED_LINKS, span.dropped_links_count(), buffer);
    put_id(map, "petrel.trace_id", span.trace_id(), 16);
    put_id(map, "petrel.span_id", span.span_id(), 8);
    put_id(map, "petrel.parent_span_id", span.parent_span_id(), 8);
    if let Some(claimed) = row.item.claimed(span.start_time_unix_nano()) {
        map.put("petrel.start_time_unix_nano", claimed.to_string());
    }
    let end = span.end_time_unix_nano();
    if end != 0 && end < span.start_time_unix_nano() {
        map.put("petrel.end_time_unix_nano", end.to_string());
    }
}

pub(super) fn put_count<'a>(map: &mut Map<'a>, key: &'a str, count: u32, buffer: &mut String) {
    use std::fmt::Write as _;
    if count > 0 {
        map.put_with(key, buffer, |out| {
            write!(out, "{count}").expect("writing to a string cannot fail");
        });
    }
}

pub(super) fn put_id<'a>(map: &mut Map<'a>, key: &'a str, id: &[u8], length: usize) {
    if let Some(odd) = odd_id(id, length) {
        map.put(key, &odd);
    }
}

/// Attributes of the scope, rare, as one JSON object.
pub(super) fn put_scope<'a>(map: &mut Map<'a>, attributes: Attributes<'a>, buffer: &mut String) {
    if attributes.clone().next().is_some() {
        map.put_with("otel.scope.attributes", buffer, |out| {
            attributes.write_json(out);
        });
    }
}

/// The number of an enum that this version knows, or 0, "unspecified" in all of OTLP's.
fn within(code: i32, most: u8) -> u8 {
    u8::try_from(code)
        .ok()
        .filter(|code| *code <= most)
        .unwrap_or(0)
}
