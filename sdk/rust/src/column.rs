//! Values as they come: columns of cells.

use std::borrow::Cow;

use crate::batch::Dictionary;
use crate::bindings::petrel::plugin::types;
use crate::plan::Slot;
use crate::registry::kind;

/// The number of a string: in the batch's dictionary, or of one that an edit added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u32);

impl Code {
    /// No value; as the target of an edit: delete.
    pub const NONE: Self = Self(u32::MAX);
    /// As the source of an edit: whatever is there.
    pub(crate) const ANY: Self = Self(u32::MAX - 1);
    /// The first string that an edit adds.
    pub(crate) const ADDED: Self = Self(1 << 31);
}

/// The values of one selector under one key; of a built-in field there is one column.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    column: &'a types::Column,
    dictionary: Dictionary<'a>,
    /// Rows of its table, which a dense column has a value for each of.
    rows: u32,
}

/// One value, and the place that an edit names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell<'a> {
    /// The selector that asked for it.
    pub slot: Slot,
    /// The attribute's key; `None` for a built-in field.
    pub key: Option<Text<'a>>,
    /// The row in the selector's table.
    pub row: u32,
    /// What is there.
    pub value: Value<'a>,
}

/// A string of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// Its number: equal strings of a batch have the same.
    pub code: Code,
    /// The string itself; empty if the plan is [`without_strings`](crate::Plan::without_strings).
    pub bytes: &'a [u8],
}

impl<'a> Text<'a> {
    /// As text, if it is UTF-8. Strings of a batch are, bytes need not be.
    pub fn as_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes).ok()
    }

    /// As text, with what is not UTF-8 replaced.
    pub fn to_str(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// There is a value, and it is not the plugin's to see.
    Unseen,
    /// A string.
    Text(Text<'a>),
    /// Bytes.
    Bytes(Text<'a>),
    /// An array or a map, as JSON text.
    Json(Text<'a>),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A double.
    Double(f64),
    /// An enum, flags or a duration in nanoseconds.
    Uint(u64),
    /// Nanoseconds since 1970.
    Time(u64),
    /// A trace id.
    TraceId([u8; 16]),
    /// A span id.
    SpanId([u8; 8]),
}

impl<'a> Value<'a> {
    /// The string, if it is one.
    pub fn text(self) -> Option<Text<'a>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'a> Column<'a> {
    pub(crate) fn new(column: &'a types::Column, dictionary: Dictionary<'a>, rows: u32) -> Self {
        Self {
            column,
            dictionary,
            rows,
        }
    }

    /// The selector that asked for it.
    pub fn slot(&self) -> Slot {
        Slot(self.column.slot)
    }

    /// The attribute's key; `None` for a built-in field.
    pub fn key(&self) -> Option<Text<'a>> {
        let code = Code(self.column.key);
        (code != Code::NONE).then(|| self.dictionary.text(code))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        if self.column.rows.is_empty() {
            self.rows as usize
        } else {
            self.column.rows.len()
        }
    }

    /// Never: a column without values does not come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values with their rows, ascending. A row comes twice if the sender gave the attribute twice.
    pub fn cells(&self) -> Cells<'a> {
        Cells {
            column: *self,
            next: 0,
        }
    }

    /// The codes of its strings, bytes and JSON, one for each such value, without their rows.
    pub fn codes(&self) -> impl Iterator<Item = Code> + use<'a> {
        let Self { column, .. } = *self;
        let mixed = column.kinds.iter().zip(&column.words);
        let of_mixed = mixed
            .filter(|(of, _)| is_coded(**of))
            .map(|(_, word)| Code(u32::try_from(*word).unwrap_or(u32::MAX)));
        column.codes.iter().map(|code| Code(*code)).chain(of_mixed)
    }

    /// The first value of a row.
    pub fn get(&self, row: u32) -> Option<Cell<'a>> {
        let rows = &self.column.rows;
        let index = if rows.is_empty() {
            row as usize
        } else {
            rows.partition_point(|have| *have < row)
        };
        let cell = self.cell(index)?;
        (cell.row == row).then_some(cell)
    }

    fn cell(&self, index: usize) -> Option<Cell<'a>> {
        let row = match self.column.rows.get(index) {
            Some(row) => *row,
            None if self.column.rows.is_empty() => u32::try_from(index)
                .ok()
                .filter(|index| *index < self.rows)?,
            None => return None,
        };
        Some(Cell {
            slot: self.slot(),
            key: self.key(),
            row,
            value: self.value(index)?,
        })
    }

    fn value(&self, index: usize) -> Option<Value<'a>> {
        let column = self.column;
        let of = match column.kind {
            kind::MIXED => *column.kinds.get(index)?,
            of => of,
        };
        if is_coded(of) {
            let code = match column.kind {
                kind::MIXED => u32::try_from(*column.words.get(index)?).ok()?,
                _ => *column.codes.get(index)?,
            };
            let text = self.dictionary.text(Code(code));
            return Some(match of {
                kind::STRING => Value::Text(text),
                kind::BYTES => Value::Bytes(text),
                _ => Value::Json(text),
            });
        }
        let word = || column.words.get(index).copied();
        Some(match of {
            kind::BOOL => Value::Bool(word()? != 0),
            kind::INT => Value::Int(word()?.cast_signed()),
            kind::DOUBLE => Value::Double(f64::from_bits(word()?)),
            kind::UINT => Value::Uint(word()?),
            kind::TIME => Value::Time(word()?),
            kind::ID8 => Value::SpanId(word()?.to_be_bytes()),
            kind::ID16 => {
                let halves = column.words.get(index * 2..index * 2 + 2)?;
                let wide = u128::from(halves[0]) << 64 | u128::from(halves[1]);
                Value::TraceId(wide.to_be_bytes())
            }
            _ => Value::Unseen,
        })
    }
}

fn is_coded(of: u8) -> bool {
    matches!(of, kind::STRING | kind::BYTES | kind::JSON)
}

/// The cells of a column.
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    column: Column<'a>,
    next: usize,
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    fn next(&mut self) -> Option<Cell<'a>> {
        let cell = self.column.cell(self.next)?;
        self.next += 1;
        Some(cell)
    }
}
