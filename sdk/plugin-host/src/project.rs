//! From OTLP bytes to columns: one walk, nothing decoded that nobody asked for.
//!
//! Each row and each attribute remembers where it lies, so that an edit can be a splice.

use std::collections::HashMap;
use std::ops::Range;

use petrel_wire::otlp::fields::{Field, Fields, Wire};
use petrel_wire::otlp::view::Value;
use petrel_wire::{Batch, UnixNanos};

use crate::bindings::petrel::plugin::types;
use crate::columns::{Cell, Column, Places};
use crate::dictionary::Dictionary;
use crate::layout::{self, KEY, Level, Read, SPAN_START, STATUS_CODE, STATUS_MESSAGE, VALUE};
use crate::plan::{Action, Plan, Walk};
use crate::registry::{TABLES, Table, code, kind};

/// Columns of one batch and plan. Ordinary batches have dozens; a sender who makes up a key for
/// each value must not make thousands of tiny ones out of them.
const MAX_COLUMNS: usize = 1 << 16;

/// A batch as a plugin sees it, and the way back.
#[derive(Debug)]
pub(crate) struct Projection {
    pub(crate) batch: types::Batch,
    /// Beside `batch.columns`.
    pub(crate) places: Vec<Places>,
    pub(crate) rows: [Rows; TABLES],
}

/// The rows of a table.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) parents: Vec<u32>,
    /// The message with its key and length; of resources and scopes, the group.
    pub(crate) ranges: Vec<(u32, u32)>,
    pub(crate) levels: Vec<&'static Level>,
}

/// What the host adds to each batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: u64,
    pub(crate) now: UnixNanos,
    pub(crate) seed: u64,
}

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

/// Projects what `walk`, one of the plan's, asks for.
pub(crate) fn project(
    batch: &Batch,
    plan: &Plan,
    walk: &Walk,
    stamp: Stamp,
) -> Result<(Projection, Dictionary), ProjectError> {
    if u32::try_from(batch.bytes().len()).is_err() {
        return Err(ProjectError::TooLarge);
    }
    let mut projector = Projector {
        plan,
        bytes: batch.bytes(),
        rows: Default::default(),
        keys: Default::default(),
        columns: Vec::new(),
        field_columns: vec![u32::MAX; plan.selectors.len()],
        dictionary: Dictionary::new(stamp.seed),
        json: String::new(),
    };
    for field in Fields::new(batch.bytes()) {
        if field.number == 1 {
            projector.message(walk, &field, 0, 0)?;
        }
    }
    Ok(projector.finish(batch, stamp))
}

struct Projector<'a> {
    plan: &'a Plan,
    bytes: &'a [u8],
    rows: [Rows; TABLES],
    keys: [Keys<'a>; TABLES],
    columns: Vec<Column>,
    /// By slot, the column of a built-in field.
    field_columns: Vec<u32>,
    dictionary: Dictionary,
    json: String,
}

/// The attribute keys met in one table.
#[derive(Default)]
struct Keys<'a> {
    met: Vec<Key<'a>>,
    index: HashMap<&'a [u8], u32>,
    /// What stood at each position in the row before: rows of one kind repeat their keys in order.
    order: Vec<u32>,
}

struct Key<'a> {
    text: &'a [u8],
    /// Columns it goes to, with the kinds wanted there.
    columns: Vec<(u32, u32)>,
}

impl<'a> Projector<'a> {
    /// One row. `field` is relative to `base`.
    fn message(
        &mut self,
        walk: &Walk,
        field: &Field<'a>,
        base: usize,
        parent: u32,
    ) -> Result<(), ProjectError> {
        let Some(content) = field.len_range() else {
            return Ok(());
        };
        let start = base + content.start;
        let rows = &mut self.rows[walk.level.table.index()];
        let row = offset(rows.ranges.len());
        rows.parents.push(parent);
        rows.ranges.push((
            offset(base + field.range.start),
            offset(base + field.range.end),
        ));
        rows.levels.push(walk.level);
        let message = &self.bytes[start..base + content.end];
        let mut position = 0;
        for field in Fields::new(message) {
            match Walk::action(&walk.outer, field.number) {
                Action::Skip => {}
                Action::Attribute => {
                    self.attribute(walk.level.table, row, position, &field, start)?;
                    position += 1;
                }
                Action::Field => self.field(walk, row, &field, message),
                Action::Inner => self.inner(walk, row, &field, start)?,
                Action::Child(index, 0) => {
                    self.message(&walk.children[usize::from(index)], &field, start, row)?;
                }
                Action::Child(index, through) => {
                    let Some(between) = field.len_range() else {
                        continue;
                    };
                    for inside in Fields::new(&message[between.clone()]) {
                        if inside.number == u32::from(through) {
                            let walk = &walk.children[usize::from(index)];
                            self.message(walk, &inside, start + between.start, row)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The message inside a group that holds a resource or a scope.
    fn inner(
        &mut self,
        walk: &Walk,
        row: u32,
        field: &Field<'a>,
        base: usize,
    ) -> Result<(), ProjectError> {
        let Some(content) = field.len_range() else {
            return Ok(());
        };
        let start = base + content.start;
        let message = &self.bytes[start..base + content.end];
        let mut position = 0;
        for field in Fields::new(message) {
            match Walk::action(&walk.inner, field.number) {
                Action::Attribute => {
                    self.attribute(walk.level.table, row, position, &field, start)?;
                    position += 1;
                }
                Action::Field => self.field(walk, row, &field, message),
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        table: Table,
        row: u32,
        position: usize,
        field: &Field<'a>,
        base: usize,
    ) -> Result<(), ProjectError> {
        let Some(pair) = field.len_bytes() else {
            return Ok(());
        };
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        for part in Fields::new(pair) {
            match (part.number, part.value) {
                (KEY, Wire::Len(text)) => key = text,
                (VALUE, Wire::Len(message)) => value = message,
                _ => {}
            }
        }
        let met = self.key(table, position, key)?;
        let columns = &self.keys[table.index()].met[met as usize].columns;
        if columns.is_empty() {
            return Ok(());
        }
        let place = base + field.range.start..base + field.range.end;
        let mut coded: Option<(u8, Cell)> = None;
        for &(column, kinds) in columns {
            let cell = if kinds == 0 {
                Some(Cell::Present)
            } else if let Some((of, cell)) = coded {
                (kinds & bit(of) != 0).then_some(cell)
            } else {
                let read = Value::read(value);
                let of = kind_of(&read);
                let wanted = kinds & bit(of) != 0;
                wanted.then(|| {
                    let cell = cell(&mut self.dictionary, &mut self.json, &read);
                    coded = Some((of, cell));
                    cell
                })
            };
            if let Some(cell) = cell {
                self.columns[column as usize].push_at(row, cell, place.clone());
            }
        }
        Ok(())
    }

    /// Which of the table's keys this is.
    fn key(&mut self, table: Table, position: usize, key: &'a [u8]) -> Result<u32, ProjectError> {
        let keys = &mut self.keys[table.index()];
        if let Some(&guess) = keys.order.get(position)
            && keys.met[guess as usize].text == key
        {
            return Ok(guess);
        }
        let met = match keys.index.get(key) {
            Some(met) => *met,
            None => self.meet(table, key)?,
        };
        let order = &mut self.keys[table.index()].order;
        if position < order.len() {
            order[position] = met;
        } else if position == order.len() {
            order.push(met);
        }
        Ok(met)
    }

    #[cold]
    fn meet(&mut self, table: Table, key: &'a [u8]) -> Result<u32, ProjectError> {
        let mut columns = Vec::new();
        let mut key_code = code::NULL;
        for (slot, selector) in self.plan.selectors.iter().enumerate() {
            let covered = selector.table == table
                && selector.rule.as_ref().is_some_and(|rule| rule.covers(key));
            if !covered {
                continue;
            }
            if self.columns.len() >= MAX_COLUMNS {
                return Err(ProjectError::TooManyKeys);
            }
            if columns.is_empty() {
                key_code = self.dictionary.intern(key, kind::NULL);
            }
            columns.push((offset(self.columns.len()), selector.kinds));
            let slot = u16::try_from(slot).unwrap_or(u16::MAX);
            self.columns.push(Column::new(slot, key_code));
        }
        let keys = &mut self.keys[table.index()];
        let met = offset(keys.met.len());
        keys.met.push(Key { text: key, columns });
        keys.index.insert(key, met);
        Ok(met)
    }

    fn field(&mut self, walk: &Walk, row: u32, field: &Field<'a>, message: &'a [u8]) {
        for &(slot, number, read) in &walk.fields {
            if number != field.number {
                continue;
            }
            let Some(cell) = self.field_cell(slot, read, field.value, message) else {
                continue;
            };
            let index = &mut self.field_columns[usize::from(slot)];
            if *index == u32::MAX {
                *index = offset(self.columns.len());
                self.columns.push(Column::new(slot, code::NULL));
            }
            self.columns[*index as usize].set(row, cell);
        }
    }

    fn field_cell(
        &mut self,
        slot: u16,
        read: Read,
        value: Wire<'a>,
        message: &'a [u8],
    ) -> Option<Cell> {
        let kinds = self.plan.selectors[usize::from(slot)].kinds;
        if kinds == 0 {
            return Some(Cell::Present);
        }
        let wanted = |of: u8| kinds & bit(of) != 0;
        let text = |dictionary: &mut Dictionary, text| {
            wanted(kind::STRING)
                .then(|| Cell::Coded(kind::STRING, dictionary.intern(text, kind::STRING)))
        };
        match (read, value) {
            (Read::Text | Read::Syntax, Wire::Len(bytes)) => text(&mut self.dictionary, bytes),
            (Read::StatusText, Wire::Len(status)) => {
                let message = last(status, STATUS_MESSAGE)?.len_bytes()?;
                text(&mut self.dictionary, message)
            }
            (Read::StatusCode, Wire::Len(status)) => match last(status, STATUS_CODE)?.value {
                Wire::Varint(code) => Some(Cell::Word(kind::UINT, code)),
                _ => None,
            },
            (Read::Any, Wire::Len(bytes)) => {
                let read = Value::read(bytes);
                wanted(kind_of(&read)).then(|| cell(&mut self.dictionary, &mut self.json, &read))
            }
            (Read::Uint, Wire::Varint(word)) => Some(Cell::Word(kind::UINT, word)),
            (Read::Flags, Wire::Fixed32(word)) => Some(Cell::Word(kind::UINT, word.into())),
            (Read::Time, Wire::Fixed64(word)) => Some(Cell::Word(kind::TIME, word)),
            (Read::End, Wire::Fixed64(end)) => {
                let start = match last(message, SPAN_START).map(|field| field.value) {
                    Some(Wire::Fixed64(start)) => start,
                    _ => 0,
                };
                Some(Cell::Word(kind::UINT, end.saturating_sub(start)))
            }
            (Read::Id8, Wire::Len(bytes)) => {
                let word = u64::from_be_bytes(bytes.try_into().ok()?);
                Some(Cell::Word(kind::ID8, word))
            }
            (Read::Id16, Wire::Len(bytes)) => {
                let wide = u128::from_be_bytes(bytes.try_into().ok()?);
                #[expect(clippy::cast_possible_truncation, reason = "two halves")]
                Some(Cell::Wide([(wide >> 64) as u64, wide as u64]))
            }
            _ => None,
        }
    }

    fn finish(self, batch: &Batch, stamp: Stamp) -> (Projection, Dictionary) {
        let Self {
            plan,
            rows,
            dictionary,
            ..
        } = self;
        let tables = Table::ALL
            .into_iter()
            .filter(|table| !rows[table.index()].ranges.is_empty())
            .map(|table| types::TableRows {
                table: table as u8,
                rows: offset(rows[table.index()].ranges.len()),
                parent: if table == Table::Resource {
                    Vec::new()
                } else {
                    rows[table.index()].parents.clone()
                },
            })
            .collect();
        let (columns, places) = self
            .columns
            .into_iter()
            .filter(|column| !column.rows.is_empty())
            .map(|column| {
                let table = plan.selectors[usize::from(column.slot)].table;
                column.finish(rows[table.index()].ranges.len())
            })
            .unzip();
        let projection = Projection {
            batch: types::Batch {
                signal: layout::signal_bit(batch.signal()),
                id: stamp.id,
                now_ns: stamp.now.0,
                seed: stamp.seed,
                tables,
                dict: if plan.want_dict {
                    dictionary.to_blob()
                } else {
                    types::Blob {
                        ends: Vec::new(),
                        bytes: Vec::new(),
                    }
                },
                columns,
            },
            places,
            rows,
        };
        (projection, dictionary)
    }
}

/// The bit of a kind in `selector.kinds`; the largest that a sender can cause is 10.
fn bit(of: u8) -> u32 {
    1 << of
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The field that counts, of those with this number.
fn last(message: &[u8], number: u32) -> Option<Field<'_>> {
    Fields::new(message)
        .filter(|field| field.number == number)
        .last()
}

fn kind_of(value: &Value<'_>) -> u8 {
    match value {
        Value::Null => kind::NULL,
        Value::Str(_) => kind::STRING,
        Value::Bool(_) => kind::BOOL,
        Value::Int(_) => kind::INT,
        Value::Double(_) => kind::DOUBLE,
        Value::Bytes(_) => kind::BYTES,
        Value::Array(_) | Value::Map(_) => kind::JSON,
    }
}

fn cell(dictionary: &mut Dictionary, json: &mut String, value: &Value<'_>) -> Cell {
    match value {
        Value::Null => Cell::Present,
        Value::Str(text) => Cell::Coded(
            kind::STRING,
            dictionary.intern(text.as_bytes(), kind::STRING),
        ),
        Value::Bytes(bytes) => Cell::Coded(kind::BYTES, dictionary.intern(bytes, kind::BYTES)),
        Value::Bool(value) => Cell::Word(kind::BOOL, u64::from(*value)),
        Value::Int(value) => Cell::Word(kind::INT, value.cast_unsigned()),
        Value::Double(value) => Cell::Word(kind::DOUBLE, value.to_bits()),
        Value::Array(_) | Value::Map(_) => {
            json.clear();
            value.write_json(json);
            Cell::Coded(kind::JSON, dictionary.intern(json.as_bytes(), kind::JSON))
        }
    }
}

/// The content of a message, given where it lies with its key and length.
pub(crate) fn content_of(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    Fields::new(&bytes[range.clone()])
        .next()
        .and_then(|field| field.len_range())
        .map_or(range.end..range.end, |content| {
            range.start + content.start..range.start + content.end
        })
}
