//! From OTLP bytes to columns: one walk, nothing decoded that nobody asked for.
//!
//! Each message and each attribute remembers where it lies, so that an edit can be a splice.

use std::collections::HashMap;

use petrel_wire::Batch;
use petrel_wire::otlp::view::Value;

use crate::columns::{Cell, Column, hidden};
use crate::dictionary::Dictionary;
use crate::hold::Aside;
use crate::layout::{KEY, Read, SPAN_START, STATUS_CODE, STATUS_MESSAGE, VALUE};
use crate::readers::{Action, FieldRead, Readers, Walk};
use crate::registry::{TABLES, Table, code, field, kind};
use crate::scan::{Part, Scan, same, varint};
use crate::sheet::{Frame, MOST_GROWTH, NO_FRAME, Rows, Selection, Sheet};

/// Columns of one batch. Ordinary batches have dozens; a sender who makes up a key for each value
/// must not make thousands of tiny ones out of them.
const MAX_COLUMNS: usize = 1 << 16;

/// Columns that get room for all their cells at once, and for how many.
const COLUMNS_WITH_ROOM: usize = 32;
const MOST_ROOM: usize = 4_096;

/// The batch is of a shape that cannot be projected within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProjectError {
    /// See [`MAX_COLUMNS`].
    #[error("the batch has more than {MAX_COLUMNS} distinct attribute keys")]
    TooManyKeys,
    /// Offsets are 32 bits.
    #[error("the batch is larger than 4 GiB")]
    TooLarge,
}

/// Projects what the plugins behind `readers` ask for. `seed` must not be known to senders.
pub(crate) fn project(batch: &Batch, readers: &Readers, seed: u64) -> Result<Sheet, ProjectError> {
    let bytes: &[u8] = batch.bytes();
    if u32::try_from(bytes.len()).is_err() {
        return Err(ProjectError::TooLarge);
    }
    let mut projector = Projector {
        bytes,
        readers,
        frames: Vec::with_capacity(batch.items() as usize + 16),
        rows: Default::default(),
        keys: Default::default(),
        columns: Vec::new(),
        field_columns: vec![code::NULL; readers.fields],
        dictionary: Dictionary::new(seed, bytes.len(), readers.strings(bytes.len())),
        json: String::new(),
        most_attributes: 0,
        items: (batch.items() as usize).min(MOST_ROOM),
    };
    projector.rows[Table::Record.index()].reserve(batch.items() as usize);
    for part in Scan::new(bytes, 0, bytes.len()) {
        if part.number == 1 {
            projector.message(&readers.walk, part, 0, NO_FRAME)?;
        }
    }
    readers.met(projector.dictionary.interned(), bytes.len());
    let Projector {
        frames,
        rows,
        mut columns,
        dictionary,
        most_attributes,
        ..
    } = projector;
    columns.retain(|column| column.len() > 0);
    Ok(Sheet {
        signal: batch.signal(),
        bytes: batch.bytes().clone(),
        dictionary,
        frames,
        rows,
        columns,
        kept: Selection::default(),
        removed: Vec::new(),
        most_attributes,
        room: bytes.len() * 2 + MOST_GROWTH,
        answers: 0,
        is_changed: false,
        aside: Aside::default(),
    })
}

struct Projector<'a> {
    bytes: &'a [u8],
    readers: &'a Readers,
    frames: Vec<Frame>,
    rows: [Rows; TABLES],
    keys: [Keys<'a>; TABLES],
    columns: Vec<Column>,
    /// By index of the field, its column.
    field_columns: Vec<u32>,
    dictionary: Dictionary,
    json: String,
    most_attributes: usize,
    /// Rows to make room for.
    items: usize,
}

/// The attribute keys met in one table.
#[derive(Default)]
struct Keys<'a> {
    index: HashMap<&'a [u8], Key<'a>>,
    /// What stood at each position in the row before: rows of one kind repeat their keys in order.
    order: Vec<Key<'a>>,
}

#[derive(Clone, Copy)]
struct Key<'a> {
    /// The key as it stands at the beginning of its pair, with tag and length; empty if it does not.
    head: &'a [u8],
    /// Null if nobody wants it.
    column: u32,
    /// As in `Wanted`.
    values: u32,
    presence: bool,
}

impl Key<'_> {
    /// What stands behind the key, if this is the key of the pair.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
    fn rest<'b>(&self, pair: &'b [u8]) -> Option<&'b [u8]> {
        let (head, rest) = pair.split_at_checked(self.head.len())?;
        let is_it = !head.is_empty() && same(head, self.head);
        (is_it && matches!(rest, [] | [VALUE_TAG, ..])).then_some(rest)
    }
}

impl<'a> Projector<'a> {
    fn frame(&mut self, part: Part, parent: u32) -> u32 {
        self.frames.push(Frame {
            start: offset(part.start),
            content: offset(part.content),
            end: offset(part.end),
            parent,
        });
        offset(self.frames.len() - 1)
    }

    /// One row, in the message `around`.
    fn message(
        &mut self,
        walk: &Walk,
        part: Part,
        parent: u32,
        around: u32,
    ) -> Result<(), ProjectError> {
        if !part.is_len() {
            return Ok(());
        }
        let frame = self.frame(part, around);
        let table = walk.level.table;
        let rows = &mut self.rows[table.index()];
        let row = offset(rows.len());
        rows.parents.push(parent);
        rows.frames.push(frame);
        let is_inner = walk.level.inner == 0;
        rows.inner.push(if is_inner { frame } else { NO_FRAME });
        rows.levels.push(walk.level);
        let mut position = 0;
        let mut fields = Scan::of(self.bytes, part);
        while let Some(field) = fields.next() {
            match Walk::action(&walk.outer, field.number) {
                Action::Skip if field.is_len() => while fields.next_like(field).is_some() {},
                Action::Skip => {}
                Action::Attribute if field.is_len() => {
                    let mut next = Some(field);
                    while let Some(field) = next {
                        if !self.is_unwanted(table, position, field) {
                            self.attribute(table, row, position, field)?;
                        }
                        position += 1;
                        next = fields.next_like(field);
                    }
                }
                Action::Attribute => {}
                Action::Field => self.field(walk, row, field, part),
                Action::Inner => self.inner(walk, row, field, frame)?,
                Action::Child(index, 0) => {
                    self.message(&walk.children[usize::from(index)], field, row, frame)?;
                }
                Action::Child(index, through) if field.is_len() => {
                    let between = self.frame(field, frame);
                    for inside in Scan::of(self.bytes, field) {
                        if inside.number == u32::from(through) {
                            let walk = &walk.children[usize::from(index)];
                            self.message(walk, inside, row, between)?;
                        }
                    }
                }
                Action::Child(..) => {}
            }
        }
        self.most_attributes = self.most_attributes.max(position);
        Ok(())
    }

    /// The message inside a group that holds a resource or a scope.
    fn inner(
        &mut self,
        walk: &Walk,
        row: u32,
        part: Part,
        around: u32,
    ) -> Result<(), ProjectError> {
        if !part.is_len() {
            return Ok(());
        }
        let frame = self.frame(part, around);
        let table = walk.level.table;
        if let Some(inner) = self.rows[table.index()].inner.last_mut() {
            *inner = frame;
        }
        let mut position = 0;
        for field in Scan::of(self.bytes, part) {
            match Walk::action(&walk.inner, field.number) {
                Action::Attribute if field.is_len() => {
                    self.attribute(table, row, position, field)?;
                    position += 1;
                }
                Action::Field => self.field(walk, row, field, part),
                _ => {}
            }
        }
        self.most_attributes = self.most_attributes.max(position);
        Ok(())
    }

    #[inline]
    fn attribute(
        &mut self,
        table: Table,
        row: u32,
        position: usize,
        part: Part,
    ) -> Result<(), ProjectError> {
        let pair = part.bytes(self.bytes);
        let guess = self.keys[table.index()].order.get(position);
        let known = guess.and_then(|guess| Some((*guess, guess.rest(pair)?)));
        let (key, rest) = match known {
            Some(known) => known,
            None => self.key(table, position, part)?,
        };
        let Some(column) = self.columns.get_mut(key.column as usize) else {
            return Ok(());
        };
        let cell = if key.values == 0 {
            Cell::Bare(hidden::UNREAD)
        } else {
            let last = column.codes.last().copied();
            let read = short_text(rest).unwrap_or_else(|| {
                let value = plain_value(rest);
                read(value.unwrap_or_else(|| odd_pair(self.bytes, part).1))
            });
            if key.values & (1 << read.kind()) != 0 {
                intern(&mut self.dictionary, &mut self.json, &read, last)
            } else if key.presence {
                Cell::Bare(hidden::UNREAD)
            } else {
                return Ok(());
            }
        };
        column.push_at(row, cell, (offset(part.start), offset(part.end)));
        Ok(())
    }

    /// Whether it has the key that stood here in the row before, which nobody asks for.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "most attributes of most batches, measured"
    )]
    fn is_unwanted(&self, table: Table, position: usize, part: Part) -> bool {
        let guess = self.keys[table.index()].order.get(position);
        guess.is_some_and(|guess| {
            guess.column == code::NULL && guess.rest(part.bytes(self.bytes)).is_some()
        })
    }

    /// Which of the table's keys this is, if it is not the one that stood here before, and what
    /// stands behind it.
    fn key(
        &mut self,
        table: Table,
        position: usize,
        part: Part,
    ) -> Result<(Key<'a>, &'a [u8]), ProjectError> {
        let bytes = self.bytes;
        let pair = part.bytes(bytes);
        let (key, rest, head) = match plain_key(pair) {
            Some((key, rest)) => (key, rest, &pair[..pair.len() - rest.len()]),
            None => (odd_pair(bytes, part).0, &pair[..0], &pair[..0]),
        };
        let mut met = match self.keys[table.index()].index.get(key) {
            Some(met) => *met,
            None => self.meet(table, key)?,
        };
        met.head = head;
        let order = &mut self.keys[table.index()].order;
        if position < order.len() {
            order[position] = met;
        } else if position == order.len() {
            order.push(met);
        }
        Ok((met, rest))
    }

    #[cold]
    fn meet(&mut self, table: Table, text: &'a [u8]) -> Result<Key<'a>, ProjectError> {
        let wanted = self.readers.key(table, text);
        let mut column = code::NULL;
        if !wanted.seen.is_empty() {
            if self.columns.len() >= MAX_COLUMNS {
                return Err(ProjectError::TooManyKeys);
            }
            column = offset(self.columns.len());
            let key = self.dictionary.intern(text);
            let seen = wanted.seen.clone();
            let mut column = Column::new(table, key, field::ATTRIBUTES, seen);
            if table == Table::Record && self.columns.len() < COLUMNS_WITH_ROOM {
                column.reserve(self.items);
            }
            self.columns.push(column);
        }
        let met = Key {
            head: &[],
            column,
            values: wanted.values(),
            presence: wanted.presence(),
        };
        self.keys[table.index()].index.insert(text, met);
        Ok(met)
    }

    #[inline]
    fn field(&mut self, walk: &Walk, row: u32, part: Part, message: Part) {
        for read in walk.fields.iter().filter(|read| read.number == part.number) {
            let Some(cell) = self.field_cell(read, part, message) else {
                continue;
            };
            let index = &mut self.field_columns[read.index];
            if *index == code::NULL {
                *index = offset(self.columns.len());
                let seen = read.wanted.seen.clone();
                let column = Column::new(walk.level.table, code::NULL, read.field, seen);
                self.columns.push(column);
            }
            self.columns[*index as usize].set(row, cell);
        }
    }

    fn field_cell(&mut self, read: &FieldRead, part: Part, message: Part) -> Option<Cell> {
        let bytes = self.bytes;
        let wanted = &read.wanted;
        if wanted.only_presence() {
            return Some(Cell::Bare(hidden::UNREAD));
        }
        let unread = wanted.presence().then_some(Cell::Bare(hidden::UNREAD));
        let mut text = |text| {
            let mut cell = || Cell::Coded(kind::STRING, self.dictionary.intern(text));
            if wanted.value(kind::STRING) {
                Some(cell())
            } else {
                unread
            }
        };
        match read.read {
            Read::Text | Read::Syntax if part.is_len() => text(part.bytes(bytes)),
            Read::StatusText if part.is_len() => {
                let message = Scan::of(bytes, part).last_of(STATUS_MESSAGE)?;
                message.is_len().then(|| text(message.bytes(bytes)))?
            }
            Read::StatusCode if part.is_len() => {
                let code = Scan::of(bytes, part).last_of(STATUS_CODE)?;
                Some(Cell::Word(kind::UINT, code.varint(bytes)?))
            }
            Read::Any if part.is_len() => {
                let value = self::read(part.bytes(bytes));
                if wanted.value(value.kind()) {
                    Some(intern(&mut self.dictionary, &mut self.json, &value, None))
                } else {
                    unread
                }
            }
            Read::Uint => Some(Cell::Word(kind::UINT, part.varint(bytes)?)),
            Read::Flags => Some(Cell::Word(kind::UINT, part.fixed32(bytes)?.into())),
            Read::Time => Some(Cell::Word(kind::TIME, part.fixed64(bytes)?)),
            Read::End => {
                let end = part.fixed64(bytes)?;
                let start = Scan::of(bytes, message).last_of(SPAN_START);
                let start = start.and_then(|start| start.fixed64(bytes)).unwrap_or(0);
                Some(Cell::Word(kind::UINT, end.saturating_sub(start)))
            }
            Read::Id8 if part.is_len() => {
                let word = u64::from_be_bytes(part.bytes(bytes).try_into().ok()?);
                Some(Cell::Word(kind::ID8, word))
            }
            Read::Id16 if part.is_len() => {
                let (high, low) = part.bytes(bytes).split_first_chunk()?;
                let low = low.try_into().ok()?;
                Some(Cell::Wide([
                    u64::from_be_bytes(*high),
                    u64::from_be_bytes(low),
                ]))
            }
            _ => None,
        }
    }
}

/// The key of a `KeyValue`, and what stands behind it, if the key comes first as everywhere.
#[inline]
fn plain_key(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    const TAG: u8 = 1 << 3 | 2;
    match pair {
        [TAG, length, rest @ ..] if *length < 0x80 => {
            let (key, rest) = rest.split_at_checked(usize::from(*length))?;
            // Another key behind it would be the one that counts.
            matches!(rest, [] | [VALUE_TAG, ..]).then_some((key, rest))
        }
        _ => None,
    }
}

const VALUE_TAG: u8 = 2 << 3 | 2;

/// The value behind a key, if it is the last field.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
fn plain_value(rest: &[u8]) -> Option<&[u8]> {
    let [VALUE_TAG, rest @ ..] = rest else {
        return None;
    };
    let mut at = 0;
    let length = varint(rest, &mut at);
    let value = rest.get(at..)?;
    (value.len() as u64 == length).then_some(value)
}

/// Key and value of any `KeyValue`.
#[cold]
fn odd_pair(bytes: &[u8], part: Part) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for part in Scan::of(bytes, part).filter(Part::is_len) {
        match part.number {
            KEY => key = part.bytes(bytes),
            VALUE => value = part.bytes(bytes),
            _ => {}
        }
    }
    (key, value)
}

/// A value, as far as it is cheap to know it.
enum Shape<'a> {
    Text(&'a [u8]),
    Int(u64),
    Other(Value<'a>),
}

impl Shape<'_> {
    #[inline]
    fn kind(&self) -> u8 {
        match self {
            Self::Text(_) => kind::STRING,
            Self::Int(_) => kind::INT,
            Self::Other(value) => match value {
                Value::Null => kind::NULL,
                Value::Str(_) => kind::STRING,
                Value::Bool(_) => kind::BOOL,
                Value::Int(_) => kind::INT,
                Value::Double(_) => kind::DOUBLE,
                Value::Bytes(_) => kind::BYTES,
                Value::Array(_) | Value::Map(_) => kind::JSON,
            },
        }
    }
}

const TEXT_TAG: u8 = 1 << 3 | 2;

/// The text that is the value, if both lengths have one byte, as in most pairs.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a tenth of the walk, measured")]
fn short_text(rest: &[u8]) -> Option<Shape<'_>> {
    match rest {
        [VALUE_TAG, around, TEXT_TAG, length, text @ ..]
            if *length < 0x7e && *around == *length + 2 && text.len() == usize::from(*length) =>
        {
            Some(Shape::Text(text))
        }
        _ => None,
    }
}

/// Reads an `AnyValue`: text and integers without ceremony.
#[inline]
fn read(value: &[u8]) -> Shape<'_> {
    const INT_TAG: u8 = 3 << 3;
    let mut at = 1;
    match value.first() {
        Some(&TEXT_TAG) => {
            let length = varint(value, &mut at);
            if let Some(text) = value.get(at..)
                && text.len() as u64 == length
            {
                return Shape::Text(text);
            }
        }
        Some(&INT_TAG) => {
            let word = varint(value, &mut at);
            if at == value.len() {
                return Shape::Int(word);
            }
        }
        _ => {}
    }
    Shape::Other(Value::read(value))
}

/// `last`: the code before it in its column, which it often repeats.
#[inline]
fn intern(
    dictionary: &mut Dictionary,
    json: &mut String,
    value: &Shape<'_>,
    last: Option<u32>,
) -> Cell {
    let mut text = |text: &[u8]| match last {
        Some(last) if dictionary.is(last, text) => Cell::Coded(kind::STRING, last),
        _ => Cell::Coded(kind::STRING, dictionary.intern(text)),
    };
    match value {
        Shape::Text(value) => text(value),
        Shape::Int(word) => Cell::Word(kind::INT, *word),
        Shape::Other(value) => match value {
            Value::Null => Cell::Bare(kind::NULL),
            Value::Str(value) => text(value.as_bytes()),
            Value::Bytes(bytes) => Cell::Coded(kind::BYTES, dictionary.intern(bytes)),
            Value::Bool(value) => Cell::Word(kind::BOOL, u64::from(*value)),
            Value::Int(value) => Cell::Word(kind::INT, value.cast_unsigned()),
            Value::Double(value) => Cell::Word(kind::DOUBLE, value.to_bits()),
            Value::Array(_) | Value::Map(_) => {
                json.clear();
                value.write_json(json);
                Cell::Coded(kind::JSON, dictionary.intern(json.as_bytes()))
            }
        },
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
