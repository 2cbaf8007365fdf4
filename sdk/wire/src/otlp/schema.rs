//! What OTLP's messages are made of (opentelemetry-proto 1.11, `opentelemetry/proto/**`), as data:
//! the check, the JSON translation and the tests read the same tables.

use crate::Signal;

/// A message type.
pub(super) struct Message {
    pub(super) fields: [Option<Spec>; SLOTS],
    /// Bits of the field numbers that exclude each other; no OTLP message has two oneofs.
    pub(super) one_of: u32,
    /// Those of them that are messages.
    pub(super) one_of_messages: u32,
    /// An array or a map: what values nest by.
    pub(super) nests: bool,
}

/// One more than the largest field number in use.
pub(super) const SLOTS: usize = 17;

/// A field of a message.
#[derive(Clone, Copy)]
pub(super) struct Spec {
    /// Its name in the proto; the JSON name is its lowerCamelCase.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) times: Times,
}

/// How often a field may come, and what it counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// Singular: of two scalars the last one counts, two messages would have to be merged.
    Once,
    /// Member of a oneof.
    OneOf,
    /// Repeated; bounded as elements of their parent.
    Many,
    /// Repeated; each is an item of the signal.
    Items,
    /// Repeated; bounded over the whole request together with items.
    Groups,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Message(&'static Message),
    Text,
    Bytes,
    /// Bytes that JSON writes in hexadecimal.
    Id,
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Enum(&'static [(&'static str, i32)]),
}

impl Kind {
    /// Travels as a varint, packed or not.
    pub(super) fn is_varint(self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::Int32
                | Self::Int64
                | Self::Uint32
                | Self::Uint64
                | Self::Sint32
                | Self::Enum(_)
        )
    }
}

impl Kind {
    /// A number or a truth value: packed when repeated.
    pub(super) fn is_number(self) -> bool {
        !matches!(self, Self::Message(_) | Self::Text | Self::Bytes | Self::Id)
    }
}

impl Message {
    #[inline]
    pub(super) fn field(&self, number: u32) -> Option<&Spec> {
        self.fields.get(number as usize)?.as_ref()
    }

    /// By the name in JSON, or the name in the proto, which parsers of proto3 JSON take as well.
    pub(super) fn named(&'static self, name: &str) -> Option<(u32, &'static Spec)> {
        let fields = self.fields.iter().zip(0_u32..);
        fields
            .filter_map(|(spec, number)| Some((number, spec.as_ref()?)))
            .find(|(_, spec)| spec.is_named(name.as_bytes()))
    }
}

impl Spec {
    fn is_named(&self, name: &[u8]) -> bool {
        let own = self.name.as_bytes();
        // Names differ in their first letters and lengths: most are told apart here.
        own.first() == name.first()
            && name.len() <= own.len()
            && (own == name || camel(self.name).eq(name.iter().copied()))
    }
}

impl Times {
    pub(super) fn is_repeated(self) -> bool {
        matches!(self, Self::Many | Self::Items | Self::Groups)
    }
}

/// The JSON name of a field.
pub(super) fn camel(name: &str) -> impl Iterator<Item = u8> + '_ {
    let mut upper = false;
    name.bytes().filter_map(move |byte| {
        let this = std::mem::replace(&mut upper, byte == b'_');
        (byte != b'_').then(|| {
            if this {
                byte.to_ascii_uppercase()
            } else {
                byte
            }
        })
    })
}

/// Null in JSON is an `AnyValue` without a value.
pub(super) fn is_any_value(message: &Message) -> bool {
    std::ptr::eq(message, &raw const ANY_VALUE)
}

/// What attributes are.
#[inline]
pub(super) fn is_pair(message: &Message) -> bool {
    std::ptr::eq(message, &raw const KEY_VALUE)
}

/// The request message of a signal.
pub(super) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
        Signal::Metrics => &METRICS,
    }
}

const fn message<const N: usize>(list: [(usize, &'static str, Kind, Times); N]) -> Message {
    let mut fields = [const { None }; SLOTS];
    let (mut one_of, mut one_of_messages) = (0, 0);
    let mut index = 0;
    while index < N {
        let (number, name, kind, times) = list[index];
        fields[number] = Some(Spec { name, kind, times });
        if matches!(times, OneOf) {
            one_of |= 1 << number;
            if matches!(kind, Kind::Message(_)) {
                one_of_messages |= 1 << number;
            }
        }
        index += 1;
    }
    Message {
        fields,
        one_of,
        one_of_messages,
        nests: false,
    }
}

const fn nesting(message: Message) -> Message {
    Message {
        nests: true,
        ..message
    }
}

use Kind::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Sfixed64, Sint32, Text, Uint32,
    Uint64,
};
use Times::{Groups, Items, Many, Once, OneOf};

const fn of(message: &'static Message) -> Kind {
    Kind::Message(message)
}

static ANY_VALUE: Message = message([
    (1, "string_value", Text, OneOf),
    (2, "bool_value", Bool, OneOf),
    (3, "int_value", Int64, OneOf),
    (4, "double_value", Double, OneOf),
    (5, "array_value", of(&ARRAY_VALUE), OneOf),
    (6, "kvlist_value", of(&KVLIST), OneOf),
    (7, "bytes_value", Bytes, OneOf),
    (8, "string_value_strindex", Int32, OneOf),
]);
static ARRAY_VALUE: Message = nesting(message([(1, "values", of(&ANY_VALUE), Many)]));
static KVLIST: Message = nesting(message([(1, "values", of(&KEY_VALUE), Many)]));
static KEY_VALUE: Message = message([
    (1, "key", Text, Once),
    (2, "value", of(&ANY_VALUE), Once),
    (3, "key_strindex", Int32, Once),
]);
static SCOPE: Message = message([
    (1, "name", Text, Once),
    (2, "version", Text, Once),
    (3, "attributes", of(&KEY_VALUE), Many),
    (4, "dropped_attributes_count", Uint32, Once),
]);
static ENTITY_REF: Message = message([
    (1, "schema_url", Text, Once),
    (2, "type", Text, Once),
    (3, "id_keys", Text, Many),
    (4, "description_keys", Text, Many),
]);
static RESOURCE: Message = message([
    (1, "attributes", of(&KEY_VALUE), Many),
    (2, "dropped_attributes_count", Uint32, Once),
    (3, "entity_refs", of(&ENTITY_REF), Many),
]);

static TRACES: Message = message([(1, "resource_spans", of(&RESOURCE_SPANS), Groups)]);
static RESOURCE_SPANS: Message = message([
    (1, "resource", of(&RESOURCE), Once),
    (2, "scope_spans", of(&SCOPE_SPANS), Groups),
    (3, "schema_url", Text, Once),
]);
static SCOPE_SPANS: Message = message([
    (1, "scope", of(&SCOPE), Once),
    (2, "spans", of(&SPAN), Items),
    (3, "schema_url", Text, Once),
]);
static SPAN: Message = message([
    (1, "trace_id", Id, Once),
    (2, "span_id", Id, Once),
    (3, "trace_state", Text, Once),
    (4, "parent_span_id", Id, Once),
    (5, "name", Text, Once),
    (6, "kind", Enum(&SPAN_KIND), Once),
    (7, "start_time_unix_nano", Fixed64, Once),
    (8, "end_time_unix_nano", Fixed64, Once),
    (9, "attributes", of(&KEY_VALUE), Many),
    (10, "dropped_attributes_count", Uint32, Once),
    (11, "events", of(&EVENT), Many),
    (12, "dropped_events_count", Uint32, Once),
    (13, "links", of(&LINK), Many),
    (14, "dropped_links_count", Uint32, Once),
    (15, "status", of(&STATUS), Once),
    (16, "flags", Fixed32, Once),
]);
static EVENT: Message = message([
    (1, "time_unix_nano", Fixed64, Once),
    (2, "name", Text, Once),
    (3, "attributes", of(&KEY_VALUE), Many),
    (4, "dropped_attributes_count", Uint32, Once),
]);
static LINK: Message = message([
    (1, "trace_id", Id, Once),
    (2, "span_id", Id, Once),
    (3, "trace_state", Text, Once),
    (4, "attributes", of(&KEY_VALUE), Many),
    (5, "dropped_attributes_count", Uint32, Once),
    (6, "flags", Fixed32, Once),
]);
static STATUS: Message = message([
    (2, "message", Text, Once),
    (3, "code", Enum(&STATUS_CODE), Once),
]);

static LOGS: Message = message([(1, "resource_logs", of(&RESOURCE_LOGS), Groups)]);
static RESOURCE_LOGS: Message = message([
    (1, "resource", of(&RESOURCE), Once),
    (2, "scope_logs", of(&SCOPE_LOGS), Groups),
    (3, "schema_url", Text, Once),
]);
static SCOPE_LOGS: Message = message([
    (1, "scope", of(&SCOPE), Once),
    (2, "log_records", of(&LOG_RECORD), Items),
    (3, "schema_url", Text, Once),
]);
static LOG_RECORD: Message = message([
    (1, "time_unix_nano", Fixed64, Once),
    (2, "severity_number", Enum(&SEVERITY), Once),
    (3, "severity_text", Text, Once),
    (5, "body", of(&ANY_VALUE), Once),
    (6, "attributes", of(&KEY_VALUE), Many),
    (7, "dropped_attributes_count", Uint32, Once),
    (8, "flags", Fixed32, Once),
    (9, "trace_id", Id, Once),
    (10, "span_id", Id, Once),
    (11, "observed_time_unix_nano", Fixed64, Once),
    (12, "event_name", Text, Once),
]);

static METRICS: Message = message([(1, "resource_metrics", of(&RESOURCE_METRICS), Groups)]);
static RESOURCE_METRICS: Message = message([
    (1, "resource", of(&RESOURCE), Once),
    (2, "scope_metrics", of(&SCOPE_METRICS), Groups),
    (3, "schema_url", Text, Once),
]);
static SCOPE_METRICS: Message = message([
    (1, "scope", of(&SCOPE), Once),
    (2, "metrics", of(&METRIC), Groups),
    (3, "schema_url", Text, Once),
]);
static METRIC: Message = message([
    (1, "name", Text, Once),
    (2, "description", Text, Once),
    (3, "unit", Text, Once),
    (5, "gauge", of(&GAUGE), OneOf),
    (7, "sum", of(&SUM), OneOf),
    (9, "histogram", of(&HISTOGRAM), OneOf),
    (10, "exponential_histogram", of(&EXPONENTIAL), OneOf),
    (11, "summary", of(&SUMMARY), OneOf),
    (12, "metadata", of(&KEY_VALUE), Many),
]);
static GAUGE: Message = message([(1, "data_points", of(&NUMBER_POINT), Items)]);
static SUM: Message = message([
    (1, "data_points", of(&NUMBER_POINT), Items),
    (2, "aggregation_temporality", Enum(&TEMPORALITY), Once),
    (3, "is_monotonic", Bool, Once),
]);
static HISTOGRAM: Message = message([
    (1, "data_points", of(&HISTOGRAM_POINT), Items),
    (2, "aggregation_temporality", Enum(&TEMPORALITY), Once),
]);
static EXPONENTIAL: Message = message([
    (1, "data_points", of(&EXPONENTIAL_POINT), Items),
    (2, "aggregation_temporality", Enum(&TEMPORALITY), Once),
]);
static SUMMARY: Message = message([(1, "data_points", of(&SUMMARY_POINT), Items)]);
static NUMBER_POINT: Message = message([
    (2, "start_time_unix_nano", Fixed64, Once),
    (3, "time_unix_nano", Fixed64, Once),
    (4, "as_double", Double, OneOf),
    (5, "exemplars", of(&EXEMPLAR), Many),
    (6, "as_int", Sfixed64, OneOf),
    (7, "attributes", of(&KEY_VALUE), Many),
    (8, "flags", Uint32, Once),
]);
static HISTOGRAM_POINT: Message = message([
    (2, "start_time_unix_nano", Fixed64, Once),
    (3, "time_unix_nano", Fixed64, Once),
    (4, "count", Fixed64, Once),
    (5, "sum", Double, Once),
    (6, "bucket_counts", Fixed64, Many),
    (7, "explicit_bounds", Double, Many),
    (8, "exemplars", of(&EXEMPLAR), Many),
    (9, "attributes", of(&KEY_VALUE), Many),
    (10, "flags", Uint32, Once),
    (11, "min", Double, Once),
    (12, "max", Double, Once),
]);
static EXPONENTIAL_POINT: Message = message([
    (1, "attributes", of(&KEY_VALUE), Many),
    (2, "start_time_unix_nano", Fixed64, Once),
    (3, "time_unix_nano", Fixed64, Once),
    (4, "count", Fixed64, Once),
    (5, "sum", Double, Once),
    (6, "scale", Sint32, Once),
    (7, "zero_count", Fixed64, Once),
    (8, "positive", of(&BUCKETS), Once),
    (9, "negative", of(&BUCKETS), Once),
    (10, "flags", Uint32, Once),
    (11, "exemplars", of(&EXEMPLAR), Many),
    (12, "min", Double, Once),
    (13, "max", Double, Once),
    (14, "zero_threshold", Double, Once),
]);
static BUCKETS: Message = message([
    (1, "offset", Sint32, Once),
    (2, "bucket_counts", Uint64, Many),
]);
static SUMMARY_POINT: Message = message([
    (2, "start_time_unix_nano", Fixed64, Once),
    (3, "time_unix_nano", Fixed64, Once),
    (4, "count", Fixed64, Once),
    (5, "sum", Double, Once),
    (6, "quantile_values", of(&QUANTILE), Many),
    (7, "attributes", of(&KEY_VALUE), Many),
    (8, "flags", Uint32, Once),
]);
static QUANTILE: Message = message([(1, "quantile", Double, Once), (2, "value", Double, Once)]);
static EXEMPLAR: Message = message([
    (2, "time_unix_nano", Fixed64, Once),
    (3, "as_double", Double, OneOf),
    (4, "span_id", Id, Once),
    (5, "trace_id", Id, Once),
    (6, "as_int", Sfixed64, OneOf),
    (7, "filtered_attributes", of(&KEY_VALUE), Many),
]);

static SPAN_KIND: [(&str, i32); 6] = [
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];
static STATUS_CODE: [(&str, i32); 3] = [
    ("STATUS_CODE_UNSET", 0),
    ("STATUS_CODE_OK", 1),
    ("STATUS_CODE_ERROR", 2),
];
static TEMPORALITY: [(&str, i32); 3] = [
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];
static SEVERITY: [(&str, i32); 25] = [
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];
