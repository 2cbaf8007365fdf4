//! What a processor answers: sparse, and applied by the host in one order - keys dropped, dictionary
//! edits, cell edits, verdicts. Of edits of one kind the later wins.

use std::collections::BTreeMap;

use crate::batch::Batch;
use crate::bindings::petrel::plugin::types;
use crate::column::{Cell, Code, Text};
use crate::plan::{Output, Slot};
use crate::registry::{Table, kind, verdict};

/// Changes to one batch. Nothing said = everything passes as it is, byte for byte.
///
/// An edit without the right to it (see [`Selector`](crate::Selector)) makes the host refuse the
/// whole answer.
#[derive(Debug)]
pub struct Edits {
    answer: types::Edits,
    added: BTreeMap<Box<[u8]>, Code>,
}

/// A new value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum New<'a> {
    /// A string.
    Text(&'a str),
    /// A string that the batch, a kernel or [`Edits::text`] has already.
    Code(Code),
    /// An array or a map, as JSON text.
    Json(&'a str),
    /// As [`New::Json`], of a string that there is already.
    JsonCode(Code),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A double.
    Double(f64),
}

/// What becomes of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its spans go on.
    Keep,
    /// Its spans go on, and say in `sampling.threshold` that they were kept with this threshold, of 56
    /// bits: they stand for 2^56 / (2^56 - threshold) of their kind.
    Sampled(u64),
    /// Its spans are dropped.
    Drop,
}

macro_rules! new_from {
    ($($from:ty => $into:ident),* $(,)?) => {$(
        impl<'a> From<$from> for New<'a> {
            fn from(value: $from) -> Self {
                Self::$into(value)
            }
        }
    )*};
}

new_from! { &'a str => Text, Code => Code, bool => Bool, i64 => Int, f64 => Double, &'a [u8] => Bytes }

impl<'a> From<&'a String> for New<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Text<'a>> for New<'a> {
    fn from(text: Text<'a>) -> Self {
        Self::Code(text.code)
    }
}

impl Edits {
    pub(crate) fn new() -> Self {
        Self {
            answer: nothing(),
            added: BTreeMap::new(),
        }
    }

    pub(crate) fn finish(self) -> types::Edits {
        self.answer
    }

    /// The generated record, for what this type does not offer.
    pub fn raw(&mut self) -> &mut types::Edits {
        &mut self.answer
    }

    /// Adds a string, once, for use in any number of edits.
    pub fn text(&mut self, text: &str) -> Code {
        self.intern(text.as_bytes())
    }

    fn intern(&mut self, text: &[u8]) -> Code {
        if let Some(code) = self.added.get(text) {
            return *code;
        }
        let blob = &mut self.answer.added;
        let code = Code(Code::ADDED.0 | u32::try_from(blob.ends.len()).unwrap_or(u32::MAX));
        blob.bytes.extend_from_slice(text);
        blob.ends
            .push(u32::try_from(blob.bytes.len()).unwrap_or(u32::MAX));
        self.added.insert(text.into(), code);
        code
    }

    /// Everywhere in the columns of `slot` where `from` stands, `to` shall stand. Of all edits this
    /// is the cheapest: one for a thousand equal values.
    pub fn replace(&mut self, slot: Slot, from: Code, to: Code) {
        self.answer.dict_slot.push(slot.0);
        self.answer.dict_from.push(from.0);
        self.answer.dict_to.push(to.0);
    }

    /// What a kernel found ([`crate::accel`]): pairs of codes.
    pub fn replace_many(&mut self, slot: Slot, from: Vec<u32>, to: Vec<u32>) {
        let answer = &mut self.answer;
        let count = answer.dict_slot.len() + from.len();
        answer.dict_slot.resize(count, slot.0);
        if answer.dict_from.is_empty() {
            (answer.dict_from, answer.dict_to) = (from, to);
        } else {
            answer.dict_from.extend(from);
            answer.dict_to.extend(to);
        }
    }

    /// Every value of `slot`, of whatever kind, becomes this text.
    pub fn replace_all(&mut self, slot: Slot, to: &str) {
        let to = self.text(to);
        self.replace(slot, Code::ANY, to);
    }

    /// Every value of `slot` is removed.
    pub fn remove_all(&mut self, slot: Slot) {
        self.replace(slot, Code::ANY, Code::NONE);
    }

    /// Calls `change` once for each distinct string of `slot`. What it answers stands wherever that
    /// string stood; `None` leaves it alone. Strings that are not UTF-8 are left alone.
    pub fn map_text(
        &mut self,
        batch: &Batch<'_>,
        slot: Slot,
        mut change: impl FnMut(&str) -> Option<String>,
    ) {
        let dictionary = batch.dictionary();
        let mut seen = vec![0_u64; dictionary.len().div_ceil(64)];
        let texts = batch.cells(slot).filter_map(|cell| cell.value.text());
        for text in texts {
            let (word, bit) = (text.code.0 as usize / 64, 1 << (text.code.0 % 64));
            let Some(word) = seen.get_mut(word).filter(|word| **word & bit == 0) else {
                continue;
            };
            *word |= bit;
            let changed = text.as_str().and_then(&mut change);
            if let Some(changed) = changed.filter(|new| new.as_bytes() != text.bytes) {
                let to = self.text(&changed);
                self.replace(slot, text.code, to);
            }
        }
    }

    /// The cell shall hold `value`.
    pub fn set<'v>(&mut self, cell: &Cell<'_>, value: impl Into<New<'v>>) {
        let key = cell.key.map_or(Code::NONE, |key| key.code);
        self.cell(cell.slot, key, cell.row, value.into());
    }

    /// The cell goes; of an attribute, the key as well.
    pub fn remove(&mut self, cell: &Cell<'_>) {
        let key = cell.key.map_or(Code::NONE, |key| key.code);
        self.push(cell.slot, key, cell.row, kind::NULL, 0);
    }

    /// The row shall hold `value` for a selector of a field or of one exact key, whether it has one
    /// already (then the selector needs `write`) or not (then it needs `create`).
    pub fn put<'v>(&mut self, batch: &Batch<'_>, slot: Slot, row: u32, value: impl Into<New<'v>>) {
        match batch.get(slot, row) {
            Some(cell) => self.set(&cell, value),
            None => self.cell(slot, Code::NONE, row, value.into()),
        }
    }

    /// As [`Edits::put`], for a selector of many keys: `key` is the one meant.
    pub fn put_key<'v>(
        &mut self,
        batch: &Batch<'_>,
        slot: Slot,
        key: &str,
        row: u32,
        value: impl Into<New<'v>>,
    ) {
        let is_it = |cell: &Cell<'_>| cell.key.is_some_and(|have| have.bytes == key.as_bytes());
        let columns = batch.columns(slot);
        let have = columns.filter_map(|column| column.get(row)).find(is_it);
        match have {
            Some(cell) => self.set(&cell, value),
            None => {
                let key = self.text(key);
                self.cell(slot, key, row, value.into());
            }
        }
    }

    fn cell(&mut self, slot: Slot, key: Code, row: u32, value: New<'_>) {
        let (of, word) = match value {
            New::Text(text) => (kind::STRING, self.text(text).0.into()),
            New::Code(code) => (kind::STRING, code.0.into()),
            New::Json(text) => (kind::JSON, self.text(text).0.into()),
            New::JsonCode(code) => (kind::JSON, code.0.into()),
            New::Bytes(bytes) => (kind::BYTES, self.intern(bytes).0.into()),
            New::Bool(value) => (kind::BOOL, value.into()),
            New::Int(value) => (kind::INT, value.cast_unsigned()),
            New::Double(value) => (kind::DOUBLE, value.to_bits()),
        };
        self.push(slot, key, row, of, word);
    }

    fn push(&mut self, slot: Slot, key: Code, row: u32, of: u8, word: u64) {
        let answer = &mut self.answer;
        answer.cell_slot.push(slot.0);
        answer.cell_key.push(key.0);
        answer.cell_row.push(row);
        answer.cell_kind.push(of);
        answer.cell_word.push(word);
    }

    /// A whole attribute key goes from a table; the selector that covers it needs `delete`.
    pub fn drop_key(&mut self, table: Table, key: Text<'_>) {
        self.answer.drop_table.push(table.0);
        self.answer.drop_key.push(key.code.0);
    }

    /// The span, log record or data point goes.
    pub fn drop_record(&mut self, batch: &Batch<'_>, row: u32) {
        self.verdict(batch, row, verdict::DROP);
    }

    /// The span, log record or data point goes to another output. It goes on through the processors
    /// that follow all the same, and keeps its output.
    pub fn route(&mut self, batch: &Batch<'_>, row: u32, output: Output) {
        let route = &mut self.answer.route;
        if route.is_empty() {
            route.resize(batch.rows(Table::RECORD) as usize, Output::DEFAULT.0);
        }
        if let Some(place) = route.get_mut(row as usize) {
            *place = output.0;
        }
    }

    /// The span waits until its trace is decided ([`Edits::decide`]), in this answer or a later one. It
    /// is acknowledged to its sender all the same. Only for plugins that say
    /// [`About::holds_traces`](crate::About::holds_traces). A span without a trace id passes.
    pub fn hold(&mut self, batch: &Batch<'_>, row: u32) {
        self.verdict(batch, row, verdict::HOLD);
    }

    /// Decides about a trace: about its spans that are held, and for some minutes about those that
    /// are still to come, which the plugin does not see any more. The first decision counts.
    pub fn decide(&mut self, trace: [u8; 16], fate: Fate) {
        let id = u128::from_be_bytes(trace);
        let words = [id >> 64, id & u128::from(u64::MAX)];
        let words = words.map(|word| u64::try_from(word).unwrap_or_default());
        self.answer.decided.extend(words);
        self.answer.decided_verdict.push(match fate {
            Fate::Keep => verdict::KEEP,
            Fate::Drop => verdict::DROP,
            Fate::Sampled(threshold) => {
                self.answer.decided.push(threshold);
                verdict::SAMPLED
            }
        });
    }

    fn verdict(&mut self, batch: &Batch<'_>, row: u32, given: u8) {
        let verdicts = &mut self.answer.verdicts;
        if verdicts.is_empty() {
            verdicts.resize(batch.rows(Table::RECORD) as usize, verdict::KEEP);
        }
        if let Some(verdict) = verdicts.get_mut(row as usize) {
            *verdict = given;
        }
    }
}

fn nothing() -> types::Edits {
    types::Edits {
        verdicts: Vec::new(),
        added: types::Blob {
            ends: Vec::new(),
            bytes: Vec::new(),
        },
        dict_slot: Vec::new(),
        dict_from: Vec::new(),
        dict_to: Vec::new(),
        cell_slot: Vec::new(),
        cell_key: Vec::new(),
        cell_row: Vec::new(),
        cell_kind: Vec::new(),
        cell_word: Vec::new(),
        drop_table: Vec::new(),
        drop_key: Vec::new(),
        route: Vec::new(),
        decided: Vec::new(),
        decided_verdict: Vec::new(),
    }
}
