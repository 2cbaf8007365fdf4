//! From the sheet back to bytes: what changed is replaced, every other byte is copied.
//!
//! A patch replaces a range. The messages around it get new lengths, which are patches, too: nobody
//! has to read the batch again to find them. Unknown fields survive, because nobody looks at them.

use std::collections::BTreeMap;
use std::ops::Range;

use petrel_wire::otlp::fields::{put_len, varint_len};

use crate::columns::{Cell, Column, MADE, hidden};
use crate::layout::{Read, STATUS_MESSAGE, VALUE};
use crate::registry::{Table, field, kind};
use crate::scan::{Part, Scan, put_short, put_varint, varint};
use crate::sheet::{Frame, NO_FRAME, Sheet};
use crate::value;

const VALUE_FIELD: u8 = 2;

/// Bytes that take the place of others, or stand before what is there if `length` is 0.
#[derive(Clone, Debug)]
struct Patch {
    at: u32,
    length: u32,
    /// In the arena.
    with: Range<u32>,
}

/// The batch as the plugins left it.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) bytes: Vec<u8>,
    /// Arrays or maps were written, which have limits of their own.
    pub(crate) is_nested: bool,
}

/// Writes the batch as the plugins left it.
pub(crate) fn emit(sheet: &Sheet) -> Emitted {
    let mut emitter = Emitter {
        sheet,
        bytes: &sheet.bytes,
        gone: gone(sheet),
        patches: Vec::new(),
        arena: Vec::new(),
        growth: vec![0; sheet.frames.len()],
        scratch: Vec::new(),
        written: None,
        wrapped: BTreeMap::new(),
        is_nested: false,
    };
    for column in &sheet.columns {
        if column.field == field::ATTRIBUTES {
            emitter.attributes(column);
        } else {
            emitter.fields(column);
        }
    }
    emitter.wrap();
    emitter.removals();
    emitter.lengths();
    Emitted {
        is_nested: emitter.is_nested,
        bytes: emitter.write(),
    }
}

/// By frame, whether it lies in something that was dropped; empty if nothing was.
fn gone(sheet: &Sheet) -> Vec<bool> {
    if sheet.removed.is_empty() {
        return Vec::new();
    }
    let mut gone = vec![false; sheet.frames.len()];
    for frame in &sheet.removed {
        gone[*frame as usize] = true;
    }
    for (index, frame) in sheet.frames.iter().enumerate() {
        if frame.parent != NO_FRAME && gone[frame.parent as usize] {
            gone[index] = true;
        }
    }
    gone
}

struct Emitter<'a> {
    sheet: &'a Sheet,
    bytes: &'a [u8],
    gone: Vec<bool>,
    patches: Vec<Patch>,
    arena: Vec<u8>,
    /// By frame, how much its content grows.
    growth: Vec<i64>,
    /// An encoded value, and of what.
    scratch: Vec<u8>,
    written: Option<Cell>,
    /// Fields for messages that are not there yet, by row.
    wrapped: BTreeMap<(Table, u32), Vec<u8>>,
    is_nested: bool,
}

impl<'a> Emitter<'a> {
    fn is_gone(&self, frame: u32) -> bool {
        self.gone.get(frame as usize).copied().unwrap_or(false)
    }

    /// What was written to the arena since `start` takes the place of a range of `frame`.
    fn patch(&mut self, frame: u32, at: u32, length: u32, start: usize) {
        let end = self.arena.len();
        if let Some(growth) = self.growth.get_mut(frame as usize) {
            *growth += i64::from(offset(end - start)) - i64::from(length);
        }
        self.patches.push(Patch {
            at,
            length,
            with: offset(start)..offset(end),
        });
    }

    fn changed(column: &'a Column) -> impl Iterator<Item = usize> + use<'a> {
        let changed = column.changed_by.iter().enumerate();
        changed.filter(|(_, by)| **by != 0).map(|(index, _)| index)
    }

    /// The cell's value as an `AnyValue`, in `scratch`; false if it was deleted.
    fn value(&mut self, cell: Cell) -> bool {
        // Redaction writes the same again and again.
        if self.written == Some(cell) {
            return true;
        }
        self.written = None;
        self.scratch.clear();
        match cell {
            Cell::Bare(hidden::DELETED) => return false,
            Cell::Bare(_) | Cell::Wide(_) => {}
            Cell::Word(of, word) => value::put_scalar(&mut self.scratch, of, word),
            Cell::Coded(of, code) => {
                let text = self.sheet.dictionary.get(code).unwrap_or_default();
                self.is_nested |= of == kind::JSON;
                value::put_coded(&mut self.scratch, of, text);
            }
        }
        self.written = Some(cell);
        true
    }

    fn attributes(&mut self, column: &'a Column) {
        let rows = &self.sheet.rows[column.table.index()];
        for index in Self::changed(column) {
            let row = column.rows[index];
            if self.is_gone(rows.frames[row as usize]) {
                continue;
            }
            let is_there = self.value(column.cell(index));
            let frame = rows.inner[row as usize];
            let place = column.places[index];
            if place == MADE {
                if is_there {
                    let key = self.sheet.dictionary.get(column.key).unwrap_or_default();
                    let pair = value::pair(key, &self.scratch);
                    let number = rows.levels[row as usize].attributes;
                    self.insert(column.table, row, number, &pair);
                }
                continue;
            }
            let start = self.arena.len();
            if is_there {
                self.attribute(place);
            }
            self.patch(frame, place.0, place.1 - place.0, start);
        }
    }

    /// Writes the `KeyValue` at `place` with the value in `scratch`.
    fn attribute(&mut self, place: (u32, u32)) {
        let Some(pair) = self.part(place.0, place.1) else {
            return;
        };
        // All that stands before and behind the value stays; one without a value gets it last.
        let old = Scan::of(self.bytes, pair)
            .filter(|part| part.number == VALUE)
            .last();
        let (before, after) = old.map_or((pair.end, pair.end), |old| (old.start, old.end));
        let value = self.scratch.len();
        let field = 1 + varint_len(value as u64) + value;
        let length = before - pair.content + field + (pair.end - after);
        self.tag(pair);
        put_varint(&mut self.arena, length);
        self.arena
            .extend_from_slice(&self.bytes[pair.content..before]);
        put_short(&mut self.arena, VALUE_FIELD, &self.scratch);
        self.arena.extend_from_slice(&self.bytes[after..pair.end]);
    }

    /// Copies the key of a field as it was written.
    fn tag(&mut self, part: Part) {
        let end = key_end(self.bytes, part.start);
        self.arena.extend_from_slice(&self.bytes[part.start..end]);
    }

    fn part(&self, start: u32, end: u32) -> Option<Part> {
        Scan::new(self.bytes, start as usize, end as usize).next()
    }

    /// A new field of a row's message, before those that it has.
    fn insert(&mut self, table: Table, row: u32, number: u32, content: &[u8]) {
        let inner = self.sheet.rows[table.index()].inner[row as usize];
        let Some(frame) = self.sheet.frames.get(inner as usize) else {
            put_len(
                self.wrapped.entry((table, row)).or_default(),
                number,
                content,
            );
            return;
        };
        let start = self.arena.len();
        put_len(&mut self.arena, number, content);
        self.patch(inner, frame.content, 0, start);
    }

    /// Makes the messages that are not there, with what belongs into them.
    fn wrap(&mut self) {
        for ((table, row), fields) in std::mem::take(&mut self.wrapped) {
            let rows = &self.sheet.rows[table.index()];
            let frame = rows.frames[row as usize];
            let start = self.arena.len();
            put_len(&mut self.arena, rows.levels[row as usize].inner, &fields);
            self.patch(frame, self.sheet.frames[frame as usize].content, 0, start);
        }
    }

    fn fields(&mut self, column: &'a Column) {
        let rows = &self.sheet.rows[column.table.index()];
        for index in Self::changed(column) {
            let row = column.rows[index];
            if self.is_gone(rows.frames[row as usize]) {
                continue;
            }
            let level = rows.levels[row as usize];
            let Some(at) = level.fields.iter().find(|at| at.field == column.field) else {
                continue;
            };
            let cell = column.cell(index);
            let content = match (at.read, cell) {
                (_, Cell::Bare(hidden::DELETED)) => None,
                (Read::Any, cell) => {
                    self.value(cell);
                    Some(self.scratch.clone())
                }
                (_, Cell::Coded(_, code)) => self.sheet.dictionary.get(code).map(<[u8]>::to_vec),
                _ => continue,
            };
            if at.read == Read::StatusText {
                self.status(column.table, row, at.number, content);
            } else {
                self.set(column.table, row, at.number, content.as_deref());
            }
        }
    }

    fn inside(&self, table: Table, row: u32) -> Option<(u32, Frame)> {
        let inner = self.sheet.rows[table.index()].inner[row as usize];
        Some((inner, *self.sheet.frames.get(inner as usize)?))
    }

    /// Replaces the last field of this number in a row's message, and removes others of it.
    fn set(&mut self, table: Table, row: u32, number: u32, content: Option<&[u8]>) {
        let mut last = None;
        if let Some((inner, frame)) = self.inside(table, row) {
            let scan = Scan::new(self.bytes, frame.content as usize, frame.end as usize);
            for part in scan.filter(|part| part.number == number) {
                if let Some(before) = last.replace(part) {
                    self.replace(inner, before, None);
                }
            }
            if let Some(last) = last {
                self.replace(inner, last, content);
            }
        }
        if let (None, Some(content)) = (last, content) {
            self.insert(table, row, number, content);
        }
    }

    fn replace(&mut self, frame: u32, part: Part, content: Option<&[u8]>) {
        let start = self.arena.len();
        if let Some(content) = content {
            self.tag(part);
            put_varint(&mut self.arena, content.len());
            self.arena.extend_from_slice(content);
        }
        self.patch(
            frame,
            offset(part.start),
            offset(part.end - part.start),
            start,
        );
    }

    /// The text in a span's status, which is a message of its own.
    fn status(&mut self, table: Table, row: u32, number: u32, text: Option<Vec<u8>>) {
        let status = self.inside(table, row).and_then(|(_, frame)| {
            Scan::new(self.bytes, frame.content as usize, frame.end as usize).last_of(number)
        });
        let mut content = Vec::new();
        if let Some(text) = &text {
            put_len(&mut content, STATUS_MESSAGE, text);
        }
        let Some(status) = status else {
            if text.is_some() {
                self.set(table, row, number, Some(&content));
            }
            return;
        };
        for part in Scan::of(self.bytes, status).filter(|part| part.number != STATUS_MESSAGE) {
            content.extend_from_slice(&self.bytes[part.start..part.end]);
        }
        self.set(table, row, number, Some(&content));
    }

    fn removals(&mut self) {
        for frame in &self.sheet.removed {
            let Frame {
                start, end, parent, ..
            } = self.sheet.frames[*frame as usize];
            if !self.is_gone(parent) {
                let nothing = self.arena.len();
                self.patch(parent, start, end - start, nothing);
            }
        }
    }

    /// New lengths, from the inside out.
    fn lengths(&mut self) {
        for index in (0..self.growth.len()).rev() {
            let growth = self.growth[index];
            let Frame {
                start,
                content,
                end,
                parent,
            } = self.sheet.frames[index];
            if growth == 0 || self.is_gone(offset(index)) {
                continue;
            }
            let length = usize::try_from(i64::from(end - content) + growth).unwrap_or(0);
            let key_end = offset(key_end(self.bytes, start as usize));
            let from = self.arena.len();
            put_varint(&mut self.arena, length);
            self.patch(parent, key_end, content - key_end, from);
            if let Some(around) = self.growth.get_mut(parent as usize) {
                *around += growth;
            }
        }
    }

    fn write(mut self) -> Vec<u8> {
        // What is inserted stands before what is replaced. Patches come column by column, each in
        // order: this sort likes that.
        self.patches
            .sort_by_key(|patch| (patch.at, patch.length != 0));
        let removed: usize = self.patches.iter().map(|patch| patch.length as usize).sum();
        let length = (self.bytes.len() + self.arena.len()).saturating_sub(removed);
        let mut out = Vec::with_capacity(length);
        let mut copied = 0;
        for patch in &self.patches {
            let at = patch.at as usize;
            debug_assert!(at >= copied, "patches lie in each other");
            out.extend_from_slice(self.bytes.get(copied..at).unwrap_or_default());
            out.extend_from_slice(&self.arena[patch.with.start as usize..patch.with.end as usize]);
            copied = at + patch.length as usize;
        }
        out.extend_from_slice(&self.bytes[copied..]);
        out
    }
}

/// Where the key that begins at `start` ends.
fn key_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    varint(bytes, &mut at);
    at
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
