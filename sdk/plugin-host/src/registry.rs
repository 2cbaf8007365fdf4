//! The numbers of the contract (`wit/README.md`): tables, kinds, fields, access, verdicts.
//!
//! They are never reused, and a plugin that names one that this host does not know is told so when
//! it is loaded, not when data comes.

/// Tables, as numbered on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Table {
    Resource = 0,
    Scope = 1,
    Record = 2,
    Event = 3,
    Link = 4,
    Exemplar = 5,
    Metric = 6,
}

/// How many tables there are.
pub(crate) const TABLES: usize = 7;

impl Table {
    pub(crate) const ALL: [Self; TABLES] = [
        Self::Resource,
        Self::Scope,
        Self::Record,
        Self::Event,
        Self::Link,
        Self::Exemplar,
        Self::Metric,
    ];

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn bit(self) -> u8 {
        1 << self.index()
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

    /// Whether values of this kind are codes into the dictionary.
    pub(crate) fn is_coded(kind: u8) -> bool {
        matches!(kind, STRING | BYTES | JSON)
    }
}

/// Built-in fields; 0 stands for attributes.
pub(crate) mod field {
    pub(crate) const ATTRIBUTES: u16 = 0;
    pub(crate) const NAME: u16 = 1;
    pub(crate) const BODY: u16 = 2;
    pub(crate) const SEVERITY_NUMBER: u16 = 3;
    pub(crate) const SEVERITY_TEXT: u16 = 4;
    pub(crate) const TIME: u16 = 5;
    pub(crate) const OBSERVED_TIME: u16 = 6;
    pub(crate) const DURATION: u16 = 7;
    pub(crate) const KIND: u16 = 8;
    pub(crate) const STATUS_CODE: u16 = 9;
    pub(crate) const STATUS_TEXT: u16 = 10;
    pub(crate) const TRACE_ID: u16 = 11;
    pub(crate) const SPAN_ID: u16 = 12;
    pub(crate) const PARENT_ID: u16 = 13;
    pub(crate) const TRACE_FLAGS: u16 = 14;
    pub(crate) const TRACESTATE: u16 = 15;
    pub(crate) const METRIC_NAME: u16 = 20;
    pub(crate) const UNIT: u16 = 21;
    pub(crate) const DESCRIPTION: u16 = 43;
    pub(crate) const VERSION: u16 = 44;
}

/// Bits of `selector.access`.
pub(crate) mod access {
    pub(crate) const READ: u8 = 1;
    pub(crate) const WRITE: u8 = 2;
    pub(crate) const CREATE: u8 = 4;
    pub(crate) const DELETE: u8 = 8;
    pub(crate) const ALL: u8 = READ | WRITE | CREATE | DELETE;
}

/// Verdicts on a record.
pub(crate) mod verdict {
    pub(crate) const KEEP: u8 = 0;
    pub(crate) const DROP: u8 = 1;
    /// On a span: until its trace is decided.
    pub(crate) const HOLD: u8 = 2;
    /// On a trace: kept, with the sampling threshold that follows its id.
    pub(crate) const SAMPLED: u8 = 4;
}

/// Codes with a meaning of their own.
pub(crate) mod code {
    /// No value; as the target of an edit: delete.
    pub(crate) const NULL: u32 = u32::MAX;
    /// As the source of an edit: whatever is there.
    pub(crate) const ANY: u32 = u32::MAX - 1;
    /// The first string that a plugin adds.
    pub(crate) const ADDED: u32 = 1 << 31;
}

/// As a slot: every column.
pub(crate) const ALL_SLOTS: u16 = u16::MAX;
