//! Where tables, attributes and fields lie in an OTLP request: the schema as far as plugins see it.
//!
//! A level is a message that is a row of a table. Resources and scopes are rows by their group
//! (`ResourceSpans`, `ScopeSpans`), and what is known of them lies in a message inside the group.

use petrel_wire::Signal;

use crate::registry::{Table, field};

/// A message that is a row of a table.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) table: Table,
    /// Attributes and fields lie in this sub-message; 0 = in the message itself.
    pub(crate) inner: u32,
    /// The repeated `KeyValue`.
    pub(crate) attributes: u32,
    pub(crate) fields: &'static [FieldAt],
    pub(crate) children: &'static [Child],
}

/// A built-in field: its number in the registry, its number in the message, how it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldAt {
    pub(crate) field: u16,
    pub(crate) number: u32,
    pub(crate) read: Read,
}

/// How a field is encoded and what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A string that plugins may write.
    Text,
    /// A string with a syntax of its own, read only.
    Syntax,
    /// An `AnyValue`.
    Any,
    /// A varint.
    Uint,
    /// A fixed32.
    Flags,
    /// A fixed64 of nanoseconds.
    Time,
    /// The end of a span; its value is the time since the start.
    End,
    /// 16 bytes.
    Id16,
    /// 8 bytes.
    Id8,
    /// `Status.message`.
    StatusText,
    /// `Status.code`.
    StatusCode,
}

impl Read {
    pub(crate) fn is_writable(self) -> bool {
        matches!(self, Self::Text | Self::Any | Self::StatusText)
    }

    /// Whether it is of one kind, and not text.
    pub(crate) fn is_scalar(self) -> bool {
        !self.is_writable() && self != Self::Syntax
    }
}

/// The field of `Status` that holds its message, and the one with its code.
pub(crate) const STATUS_MESSAGE: u32 = 2;
pub(crate) const STATUS_CODE: u32 = 3;
/// The start of a span, which its end is counted from.
pub(crate) const SPAN_START: u32 = 7;
/// `KeyValue` and the members of `AnyValue`.
pub(crate) const KEY: u32 = 1;
pub(crate) const VALUE: u32 = 2;

/// Messages of the next level.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) number: u32,
    /// They lie in this field of a message between (`Gauge.data_points`); 0 = directly.
    pub(crate) through: u32,
    pub(crate) level: &'static Level,
}

/// The group that a request repeats in its field 1.
pub(crate) fn root(signal: Signal) -> &'static Level {
    match signal {
        Signal::Traces => &RESOURCE_SPANS,
        Signal::Logs => &RESOURCE_LOGS,
        Signal::Metrics => &RESOURCE_METRICS,
    }
}

/// The bit of a signal in `plan.signals` and `batch.signal`.
pub(crate) fn signal_bit(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 1,
        Signal::Logs => 2,
        Signal::Metrics => 4,
    }
}

/// How a field of a table is read; nothing if no signal has it there.
pub(crate) fn find(table: Table, field: u16) -> Option<Read> {
    fn search(level: &Level, table: Table, field: u16) -> Option<Read> {
        let here = || {
            let at = level.fields.iter().find(|at| at.field == field)?;
            (level.table == table).then_some(at.read)
        };
        here().or_else(|| {
            let mut below = level.children.iter();
            below.find_map(|child| search(child.level, table, field))
        })
    }
    [&RESOURCE_SPANS, &RESOURCE_LOGS, &RESOURCE_METRICS]
        .into_iter()
        .find_map(|level| search(level, table, field))
}

const fn at(field: u16, number: u32, read: Read) -> FieldAt {
    FieldAt {
        field,
        number,
        read,
    }
}

const fn child(number: u32, level: &'static Level) -> Child {
    Child {
        number,
        through: 0,
        level,
    }
}

const fn points(number: u32, level: &'static Level) -> Child {
    Child {
        number,
        through: 1,
        level,
    }
}

const fn resource(children: &'static [Child]) -> Level {
    Level {
        table: Table::Resource,
        inner: 1,
        attributes: 1,
        fields: &[],
        children,
    }
}

const SCOPE_FIELDS: &[FieldAt] = &[
    at(field::NAME, 1, Read::Text),
    at(field::VERSION, 2, Read::Text),
];
const POINT_FIELDS: &[FieldAt] = &[at(field::TIME, 3, Read::Time)];

const fn scope(children: &'static [Child]) -> Level {
    Level {
        table: Table::Scope,
        inner: 1,
        attributes: 3,
        fields: SCOPE_FIELDS,
        children,
    }
}

static RESOURCE_SPANS: Level = resource(&[child(2, &SCOPE_SPANS)]);
static SCOPE_SPANS: Level = scope(&[child(2, &SPAN)]);
static SPAN: Level = Level {
    table: Table::Record,
    inner: 0,
    attributes: 9,
    fields: &[
        at(field::TRACE_ID, 1, Read::Id16),
        at(field::SPAN_ID, 2, Read::Id8),
        at(field::TRACESTATE, 3, Read::Syntax),
        at(field::PARENT_ID, 4, Read::Id8),
        at(field::NAME, 5, Read::Text),
        at(field::KIND, 6, Read::Uint),
        at(field::TIME, 7, Read::Time),
        at(field::DURATION, 8, Read::End),
        at(field::STATUS_TEXT, 15, Read::StatusText),
        at(field::STATUS_CODE, 15, Read::StatusCode),
        at(field::TRACE_FLAGS, 16, Read::Flags),
    ],
    children: &[child(11, &EVENT), child(13, &LINK)],
};
static EVENT: Level = Level {
    table: Table::Event,
    inner: 0,
    attributes: 3,
    fields: &[
        at(field::TIME, 1, Read::Time),
        at(field::NAME, 2, Read::Text),
    ],
    children: &[],
};
static LINK: Level = Level {
    table: Table::Link,
    inner: 0,
    attributes: 4,
    fields: &[
        at(field::TRACE_ID, 1, Read::Id16),
        at(field::SPAN_ID, 2, Read::Id8),
        at(field::TRACESTATE, 3, Read::Syntax),
    ],
    children: &[],
};

static RESOURCE_LOGS: Level = resource(&[child(2, &SCOPE_LOGS)]);
static SCOPE_LOGS: Level = scope(&[child(2, &LOG_RECORD)]);
static LOG_RECORD: Level = Level {
    table: Table::Record,
    inner: 0,
    attributes: 6,
    fields: &[
        at(field::TIME, 1, Read::Time),
        at(field::SEVERITY_NUMBER, 2, Read::Uint),
        at(field::SEVERITY_TEXT, 3, Read::Text),
        at(field::BODY, 5, Read::Any),
        at(field::TRACE_FLAGS, 8, Read::Flags),
        at(field::TRACE_ID, 9, Read::Id16),
        at(field::SPAN_ID, 10, Read::Id8),
        at(field::OBSERVED_TIME, 11, Read::Time),
        at(field::NAME, 12, Read::Text),
    ],
    children: &[],
};

static RESOURCE_METRICS: Level = resource(&[child(2, &SCOPE_METRICS)]);
static SCOPE_METRICS: Level = scope(&[child(2, &METRIC)]);
static METRIC: Level = Level {
    table: Table::Metric,
    inner: 0,
    attributes: 12,
    fields: &[
        at(field::METRIC_NAME, 1, Read::Text),
        at(field::DESCRIPTION, 2, Read::Text),
        at(field::UNIT, 3, Read::Text),
    ],
    children: &[
        points(5, &NUMBER_POINT),
        points(7, &NUMBER_POINT),
        points(9, &HISTOGRAM_POINT),
        points(10, &EXPONENTIAL_POINT),
        points(11, &SUMMARY_POINT),
    ],
};

const fn point(attributes: u32, children: &'static [Child]) -> Level {
    Level {
        table: Table::Record,
        inner: 0,
        attributes,
        fields: POINT_FIELDS,
        children,
    }
}

static NUMBER_POINT: Level = point(7, &[child(5, &EXEMPLAR)]);
static HISTOGRAM_POINT: Level = point(9, &[child(8, &EXEMPLAR)]);
static EXPONENTIAL_POINT: Level = point(1, &[child(11, &EXEMPLAR)]);
static SUMMARY_POINT: Level = point(7, &[]);
static EXEMPLAR: Level = Level {
    table: Table::Exemplar,
    inner: 0,
    attributes: 7,
    fields: &[
        at(field::TIME, 2, Read::Time),
        at(field::SPAN_ID, 4, Read::Id8),
        at(field::TRACE_ID, 5, Read::Id16),
    ],
    children: &[],
};
