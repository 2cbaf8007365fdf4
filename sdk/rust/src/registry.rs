//! The numbers of `wit/README.md` by name. They are open sets: a later host may know more.

use std::ops::BitOr;

/// A kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub u8);

impl Table {
    /// Who sent the telemetry.
    pub const RESOURCE: Self = Self(0);
    /// The library that made it; its parent is the resource.
    pub const SCOPE: Self = Self(1);
    /// Spans, log records or data points; their parent is the scope, of data points the metric.
    pub const RECORD: Self = Self(2);
    /// Events of spans.
    pub const EVENT: Self = Self(3);
    /// Links of spans.
    pub const LINK: Self = Self(4);
    /// Exemplars of data points.
    pub const EXEMPLAR: Self = Self(5);
    /// Metrics; their attributes are called `metadata` in OTLP, their parent is the scope.
    pub const METRIC: Self = Self(6);

    /// Every table, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::RESOURCE,
        Self::SCOPE,
        Self::RECORD,
        Self::EVENT,
        Self::LINK,
        Self::EXEMPLAR,
        Self::METRIC,
    ];
}

/// A built-in field of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(pub u16);

impl Field {
    /// Name of a scope, span or event; a log record's event name.
    pub const NAME: Self = Self(1);
    /// Body of a log record.
    pub const BODY: Self = Self(2);
    /// Severity number of a log record.
    pub const SEVERITY_NUMBER: Self = Self(3);
    /// Severity text of a log record.
    pub const SEVERITY_TEXT: Self = Self(4);
    /// Time of a log record, data point, event or exemplar; the start of a span.
    pub const TIME: Self = Self(5);
    /// When a log record was observed.
    pub const OBSERVED_TIME: Self = Self(6);
    /// Duration of a span, nanoseconds.
    pub const DURATION: Self = Self(7);
    /// Kind of a span.
    pub const SPAN_KIND: Self = Self(8);
    /// Status code of a span.
    pub const STATUS_CODE: Self = Self(9);
    /// Status message of a span.
    pub const STATUS_MESSAGE: Self = Self(10);
    /// Trace id.
    pub const TRACE_ID: Self = Self(11);
    /// Span id.
    pub const SPAN_ID: Self = Self(12);
    /// Parent's span id.
    pub const PARENT_ID: Self = Self(13);
    /// Trace flags.
    pub const TRACE_FLAGS: Self = Self(14);
    /// W3C `tracestate` of a span or link.
    pub const TRACESTATE: Self = Self(15);
    /// Name of a metric.
    pub const METRIC_NAME: Self = Self(20);
    /// Unit of a metric.
    pub const UNIT: Self = Self(21);
    /// Description of a metric.
    pub const METRIC_DESCRIPTION: Self = Self(43);
    /// Version of a scope.
    pub const SCOPE_VERSION: Self = Self(44);
}

/// A set of signals; combine with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals(pub u8);

impl Signals {
    /// Spans.
    pub const TRACES: Self = Self(1);
    /// Log records.
    pub const LOGS: Self = Self(2);
    /// Metrics.
    pub const METRICS: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// Whether `other` is part of this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Signals {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A set of kinds of values; combine with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(pub u32);

impl Kinds {
    /// Of any kind, but without the value: where one is, never what it is.
    pub const UNSEEN: Self = Self(0);
    /// Strings.
    pub const STRING: Self = Self(1 << kind::STRING);
    /// Bytes.
    pub const BYTES: Self = Self(1 << kind::BYTES);
    /// `true` and `false`.
    pub const BOOL: Self = Self(1 << kind::BOOL);
    /// Whole numbers.
    pub const INT: Self = Self(1 << kind::INT);
    /// Doubles.
    pub const DOUBLE: Self = Self(1 << kind::DOUBLE);
    /// Arrays and maps, as JSON text.
    pub const JSON: Self = Self(1 << kind::JSON);
    /// Whatever an attribute can hold.
    pub const ANY: Self = Self(
        Self::STRING.0 | Self::BYTES.0 | Self::BOOL.0 | Self::INT.0 | Self::DOUBLE.0 | Self::JSON.0,
    );
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Kinds of values.
pub(crate) mod kind {
    pub(crate) const NULL: u8 = 0;
    pub(crate) const STRING: u8 = 1;
    pub(crate) const BYTES: u8 = 2;
    pub(crate) const BOOL: u8 = 3;
    pub(crate) const INT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const UINT: u8 = 6;
    pub(crate) const TIME: u8 = 7;
    pub(crate) const ID16: u8 = 8;
    pub(crate) const ID8: u8 = 9;
    pub(crate) const JSON: u8 = 10;
    pub(crate) const MIXED: u8 = 255;
}

/// Bits of `selector.access`.
pub(crate) mod access {
    pub(crate) const READ: u8 = 1;
    pub(crate) const WRITE: u8 = 2;
    pub(crate) const CREATE: u8 = 4;
    pub(crate) const DELETE: u8 = 8;
}

/// Verdicts on a record.
pub(crate) mod verdict {
    pub(crate) const KEEP: u8 = 0;
    pub(crate) const DROP: u8 = 1;
    pub(crate) const HOLD: u8 = 2;
    pub(crate) const SAMPLED: u8 = 4;
}
