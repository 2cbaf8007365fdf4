//! A plugin's answer: checked as a whole, then turned into splices.
//!
//! Nothing is half applied. A row, code or slot out of range, a list of the wrong length, a write
//! without the right to it: the whole answer is refused, as the plugin's fault.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use petrel_wire::otlp::fields::{Fields, put_len};

use crate::bindings::petrel::plugin::types::{Blob, Edits};
use crate::columns::ColumnView as _;
use crate::dictionary::Dictionary;
use crate::layout::{self, Read, STATUS_MESSAGE, VALUE};
use crate::plan::{Plan, Selector};
use crate::project::{Projection, content_of};
use crate::registry::{ALL_SLOTS, Table, access, code, field, kind, verdict};
use crate::splice::Splice;
use crate::value;

/// What an answer comes to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) splices: Vec<Splice>,
    /// Records taken out.
    pub(crate) dropped: u32,
    /// Values changed, made or deleted.
    pub(crate) edits: u64,
}

/// Everything an answer refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) plan: &'a Plan,
    pub(crate) projection: &'a Projection,
    pub(crate) dictionary: &'a Dictionary,
    pub(crate) added_bytes: usize,
}

impl Question<'_> {
    /// Checks `edits` and says what they change; the error is for the operator.
    pub(crate) fn resolve(&self, edits: &Edits) -> Result<Outcome, String> {
        check_added(&edits.added, self.added_bytes)?;
        if edits.route.iter().any(|output| *output != 0) {
            return Err("routes to an output that is not there".into());
        }
        if !edits.decided.is_empty() || !edits.decided_verdict.is_empty() {
            return Err("decides about traces that are not held".into());
        }
        let mut changes = Changes {
            question: *self,
            added: &edits.added,
            made: Vec::new(),
        };
        changes.drop_keys(edits)?;
        changes.dictionary_edits(edits)?;
        changes.cell_edits(edits)?;
        let dropped = self.verdicts(&edits.verdicts)?;
        let (mut splices, count) = changes.into_splices()?;
        let items = self.drop_rows(&dropped, &mut splices);
        Ok(Outcome {
            splices,
            dropped: items,
            edits: count,
        })
    }

    /// Everything that the plugin may write, removed: what `on_error: strip` passes on.
    pub(crate) fn strip(&self) -> Result<Outcome, String> {
        let nothing = Blob {
            ends: Vec::new(),
            bytes: Vec::new(),
        };
        let mut changes = Changes {
            question: *self,
            added: &nothing,
            made: Vec::new(),
        };
        for (index, column) in self.projection.batch.columns.iter().enumerate() {
            let selector = &self.plan.selectors[usize::from(column.slot)];
            if selector.access & !access::READ != 0 {
                for cell in 0..self.cells(index) {
                    changes.put(index, cell, New::Delete);
                }
            }
        }
        let (splices, edits) = changes.into_splices()?;
        Ok(Outcome {
            splices,
            dropped: 0,
            edits,
        })
    }

    fn selector(&self, slot: u16) -> Result<&Selector, String> {
        let selector = self.plan.selectors.get(usize::from(slot));
        selector.ok_or_else(|| format!("names slot {slot}, which it did not select"))
    }

    fn table_rows(&self, table: Table) -> usize {
        self.projection.rows[table.index()].ranges.len()
    }

    /// How many values a column has.
    fn cells(&self, column: usize) -> usize {
        let places = self.projection.places[column].len();
        if places > 0 {
            return places;
        }
        let column = &self.projection.batch.columns[column];
        if column.rows.is_empty() {
            let selector = &self.plan.selectors[usize::from(column.slot)];
            self.table_rows(selector.table)
        } else {
            column.rows.len()
        }
    }

    fn verdicts(&self, verdicts: &[u8]) -> Result<Vec<bool>, String> {
        let records = self.table_rows(Table::Record);
        if !verdicts.is_empty() && verdicts.len() != records {
            return Err(format!(
                "gives {} verdicts on {records} records",
                verdicts.len()
            ));
        }
        verdicts
            .iter()
            .map(|given| match *given {
                verdict::KEEP => Ok(false),
                verdict::DROP => Ok(true),
                other => Err(format!(
                    "gives verdict {other}, which this version does not offer"
                )),
            })
            .collect()
    }

    /// Removes dropped records, and the metrics, scopes and resources that hold nothing without them.
    fn drop_rows(&self, dropped: &[bool], splices: &mut Vec<Splice>) -> u32 {
        let count = dropped.iter().filter(|dropped| **dropped).count();
        if count == 0 {
            return 0;
        }
        let has_metrics = self.table_rows(Table::Metric) > 0;
        let mut gone = dropped.to_vec();
        let mut table = Table::Record;
        loop {
            let rows = &self.projection.rows[table.index()];
            for (range, _) in rows.ranges.iter().zip(&gone).filter(|(_, gone)| **gone) {
                splices.push(Splice::remove(range.0 as usize..range.1 as usize));
            }
            let above = match table {
                Table::Record if has_metrics => Table::Metric,
                Table::Record | Table::Metric => Table::Scope,
                Table::Scope => Table::Resource,
                _ => break,
            };
            // Gone is what lost something and has nothing left; what was empty before stays.
            let mut lost = vec![false; self.table_rows(above)];
            let mut left = vec![false; self.table_rows(above)];
            for (parent, gone) in rows.parents.iter().zip(&gone) {
                let counted = if *gone { &mut lost } else { &mut left };
                counted[*parent as usize] = true;
            }
            gone = lost
                .into_iter()
                .zip(left)
                .map(|(lost, left)| lost && !left)
                .collect();
            table = above;
        }
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

fn check_added(added: &Blob, limit: usize) -> Result<(), String> {
    let total = added.bytes.len();
    if total > limit {
        return Err(format!(
            "adds {total} bytes of strings, {limit} are allowed"
        ));
    }
    let ends = &added.ends;
    let ascending = ends.windows(2).all(|pair| pair[0] <= pair[1]);
    if !ascending || ends.last().copied().unwrap_or(0) as usize != total {
        return Err("adds strings whose ends do not fit their bytes".into());
    }
    Ok(())
}

/// What a cell becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum New {
    Delete,
    Coded(u8, u32),
    Word(u8, u64),
}

/// Which cell; ordered, so that of several changes to one the last can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The `KeyValue` at this offset.
    Attribute {
        start: u32,
        end: u32,
    },
    /// A key that the row does not have yet.
    Create {
        table: Table,
        row: u32,
        key: u32,
        slot: u16,
    },
    Field {
        table: Table,
        row: u32,
        field: u16,
    },
}

struct Changes<'a> {
    question: Question<'a>,
    added: &'a Blob,
    made: Vec<(Place, New)>,
}

impl<'a> Changes<'a> {
    fn text(&self, code: u32) -> Option<&'a [u8]> {
        let Some(index) = code.checked_sub(code::ADDED) else {
            return self.question.dictionary.get(code);
        };
        let index = index as usize;
        let end = *self.added.ends.get(index)? as usize;
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.added.ends[before]) as usize;
        self.added.bytes.get(start..end)
    }

    fn check_text(&self, code: u32) -> Result<(), String> {
        let text = self
            .text(code)
            .ok_or_else(|| format!("uses code {code}, which is no string's"))?;
        // OTLP's strings are UTF-8; a plugin must not be the one to break a request.
        let valid = code < code::ADDED || std::str::from_utf8(text).is_ok();
        valid
            .then_some(())
            .ok_or_else(|| "adds a string that is not UTF-8".into())
    }

    fn put(&mut self, column: usize, cell: usize, new: New) {
        let projection = self.question.projection;
        let place = if let Some(&(start, end)) = projection.places[column].get(cell) {
            Place::Attribute { start, end }
        } else {
            let column = &projection.batch.columns[column];
            let selector = &self.question.plan.selectors[usize::from(column.slot)];
            Place::Field {
                table: selector.table,
                row: column.row_at(cell),
                field: selector.field,
            }
        };
        self.made.push((place, new));
    }

    fn drop_keys(&mut self, edits: &Edits) -> Result<(), String> {
        if edits.drop_table.len() != edits.drop_key.len() {
            return Err("gives lists of different lengths in drop-*".into());
        }
        let question = self.question;
        for (&table, &key) in edits.drop_table.iter().zip(&edits.drop_key) {
            for (index, column) in question.projection.batch.columns.iter().enumerate() {
                let selector = &question.plan.selectors[usize::from(column.slot)];
                if column.key != key || key == code::NULL || selector.table as u8 != table {
                    continue;
                }
                if !selector.may(access::DELETE) {
                    return Err(format!(
                        "deletes keys of slot {} without the right",
                        column.slot
                    ));
                }
                for cell in 0..question.cells(index) {
                    self.put(index, cell, New::Delete);
                }
            }
        }
        Ok(())
    }

    fn dictionary_edits(&mut self, edits: &Edits) -> Result<(), String> {
        let (slots, from, to) = (&edits.dict_slot, &edits.dict_from, &edits.dict_to);
        if slots.len() != from.len() || slots.len() != to.len() {
            return Err("gives lists of different lengths in dict-*".into());
        }
        let strings = self.question.dictionary.len();
        // By code of what a cell holds, what it shall hold; `ANY` = as it is.
        let mut becomes = Vec::new();
        let mut at = 0;
        while at < slots.len() {
            let slot = slots[at];
            if from[at] == code::ANY {
                self.check_target(slot, to[at])?;
                self.replace_any(slot, to[at]);
                at += 1;
                continue;
            }
            // One pass over the cells serves all edits of a slot that stand together.
            becomes.resize(strings, code::ANY);
            let start = at;
            while at < slots.len() && slots[at] == slot && from[at] != code::ANY {
                self.check_target(slot, to[at])?;
                let place = becomes.get_mut(from[at] as usize);
                *place
                    .ok_or_else(|| format!("replaces code {}, which is no string's", from[at]))? =
                    to[at];
                at += 1;
            }
            self.replace(slot, &becomes);
            for code in &from[start..at] {
                becomes[*code as usize] = code::ANY;
            }
        }
        Ok(())
    }

    fn check_target(&self, slot: u16, to: u32) -> Result<(), String> {
        let needed = if to == code::NULL {
            access::DELETE
        } else {
            access::WRITE
        };
        if slot != ALL_SLOTS && !self.question.selector(slot)?.may(needed) {
            return Err(format!("writes to slot {slot} without the right"));
        }
        if to == code::NULL {
            Ok(())
        } else {
            self.check_text(to)
        }
    }

    /// The columns that a dictionary edit means.
    fn columns(&self, slot: u16, needed: u8) -> impl Iterator<Item = usize> + use<'a> {
        let Question {
            plan, projection, ..
        } = self.question;
        let columns = projection.batch.columns.iter().enumerate();
        columns
            .filter(move |(_, column)| {
                let selector = &plan.selectors[usize::from(column.slot)];
                column.slot == slot || (slot == ALL_SLOTS && selector.may(needed))
            })
            .map(|(index, _)| index)
    }

    fn replace_any(&mut self, slot: u16, to: u32) {
        let (needed, new) = if to == code::NULL {
            (access::DELETE, New::Delete)
        } else {
            (access::WRITE, New::Coded(kind::STRING, to))
        };
        for index in self.columns(slot, needed) {
            for cell in 0..self.question.cells(index) {
                self.put(index, cell, new);
            }
        }
    }

    fn replace(&mut self, slot: u16, becomes: &[u32]) {
        for index in self.columns(slot, access::WRITE) {
            let column = &self.question.projection.batch.columns[index];
            let selector = &self.question.plan.selectors[usize::from(column.slot)];
            for cell in 0..column.coded_len() {
                let Some((of, held)) = column.code_at(cell) else {
                    continue;
                };
                match becomes.get(held as usize) {
                    None | Some(&code::ANY) => {}
                    Some(&code::NULL) if !selector.may(access::DELETE) => {}
                    Some(&code::NULL) => self.put(index, cell, New::Delete),
                    Some(&to) => self.put(index, cell, New::Coded(of, to)),
                }
            }
        }
    }

    fn cell_edits(&mut self, edits: &Edits) -> Result<(), String> {
        let count = edits.cell_slot.len();
        let lists = [
            edits.cell_key.len(),
            edits.cell_row.len(),
            edits.cell_kind.len(),
            edits.cell_word.len(),
        ];
        if lists.iter().any(|length| *length != count) {
            return Err("gives lists of different lengths in cell-*".into());
        }
        if count == 0 {
            return Ok(());
        }
        let columns = &self.question.projection.batch.columns;
        let index: HashMap<(u16, u32), usize> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| ((column.slot, column.key), index))
            .collect();
        for at in 0..count {
            let (slot, key, row) = (edits.cell_slot[at], edits.cell_key[at], edits.cell_row[at]);
            let selector = self.question.selector(slot)?;
            let rows = self.question.table_rows(selector.table);
            if row as usize >= rows {
                return Err(format!("edits row {row} of {rows}"));
            }
            let (of, word) = (edits.cell_kind[at], edits.cell_word[at]);
            let new = self.new_value(selector, of, word)?;
            let needed = if new == New::Delete {
                access::DELETE
            } else {
                access::WRITE
            };
            let column = index.get(&(slot, key)).copied();
            let found = column.map_or(0..0, |column| columns[column].find(row, rows));
            if let (Some(column), false) = (column, found.is_empty()) {
                if !selector.may(needed) {
                    return Err(format!("writes to slot {slot} without the right"));
                }
                for cell in found {
                    self.put(column, cell, new);
                }
            } else {
                self.absent(slot, key, row, new)?;
            }
        }
        Ok(())
    }

    fn new_value(&self, selector: &Selector, of: u8, word: u64) -> Result<New, String> {
        if of == kind::NULL {
            return Ok(New::Delete);
        }
        let only_text = selector.field != field::ATTRIBUTES
            && layout::find(selector.table, selector.field) != Some(Read::Any);
        if only_text && of != kind::STRING {
            return Err(format!("writes kind {of} to field {}", selector.field));
        }
        match of {
            kind::STRING | kind::BYTES | kind::JSON => {
                let code = u32::try_from(word).unwrap_or(code::NULL);
                self.check_text(code)?;
                Ok(New::Coded(of, code))
            }
            kind::BOOL | kind::INT | kind::DOUBLE | kind::UINT | kind::TIME => {
                Ok(New::Word(of, word))
            }
            _ => Err(format!("writes a value of kind {of}")),
        }
    }

    /// An edit of a cell that the batch does not have: makes it, or takes back that it was made.
    fn absent(&mut self, slot: u16, key: u32, row: u32, new: New) -> Result<(), String> {
        let selector = self.question.selector(slot)?;
        if !selector.may(access::CREATE) {
            return match new {
                New::Delete => Ok(()),
                _ => Err(format!("creates in slot {slot} without the right")),
            };
        }
        let table = selector.table;
        let place = if let Some(rule) = &selector.rule {
            let covered = match key {
                code::NULL => rule.exact().is_some(),
                _ => self.text(key).is_some_and(|key| rule.covers(key)),
            };
            if !covered {
                return Err(format!("creates a key that slot {slot} does not cover"));
            }
            Place::Create {
                table,
                row,
                key,
                slot,
            }
        } else {
            Place::Field {
                table,
                row,
                field: selector.field,
            }
        };
        self.made.push((place, new));
        Ok(())
    }

    /// The last change to each cell, as splices, and how many there are.
    fn into_splices(mut self) -> Result<(Vec<Splice>, u64), String> {
        let mut made = std::mem::take(&mut self.made);
        made.sort_by_key(|(place, _)| *place);
        let mut writer = Writer {
            question: self.question,
            splices: Vec::with_capacity(made.len()),
            inserts: BTreeMap::new(),
        };
        let mut count = 0;
        let mut rest = made.iter().peekable();
        while let Some(&(place, new)) = rest.next() {
            if rest.peek().is_some_and(|(next, _)| *next == place) {
                continue;
            }
            count += 1;
            match place {
                Place::Attribute { start, end } => {
                    writer.attribute(start as usize..end as usize, self.any_value(new));
                }
                Place::Create {
                    table,
                    row,
                    key,
                    slot,
                } => {
                    let selector = self.question.selector(slot)?;
                    let exact = || selector.rule.as_ref().and_then(|rule| rule.exact());
                    let key = match key {
                        code::NULL => exact(),
                        _ => self.text(key),
                    };
                    if let Some(value) = self.any_value(new) {
                        writer.create(table, row, key.unwrap_or_default(), &value);
                    }
                }
                Place::Field { table, row, field } => {
                    let text = match new {
                        New::Coded(_, code) => self.text(code),
                        _ => None,
                    };
                    writer.field(table, row, field, text, self.any_value(new));
                }
            }
        }
        Ok((writer.finish(), count))
    }

    /// An encoded `AnyValue`, or nothing to delete.
    fn any_value(&self, new: New) -> Option<Vec<u8>> {
        match new {
            New::Delete => None,
            New::Coded(of, code) => Some(value::coded(of, self.text(code)?)),
            New::Word(of, word) => value::scalar(of, word),
        }
    }
}

/// Makes splices of changes.
struct Writer<'a> {
    question: Question<'a>,
    splices: Vec<Splice>,
    /// Fields that messages do not have yet, by row: one message may get several.
    inserts: BTreeMap<(Table, u32), Vec<u8>>,
}

impl Writer<'_> {
    fn attribute(&mut self, range: Range<usize>, value: Option<Vec<u8>>) {
        let Some(value) = value else {
            return self.splices.push(Splice::remove(range));
        };
        let bytes = self.question.bytes;
        let content = content_of(bytes, range.clone());
        let mut fields = Fields::new(&bytes[content.clone()]);
        let mut with = Vec::with_capacity(value.len() + 4);
        put_len(&mut with, VALUE, &value);
        if let Some(old) = fields.find(|field| field.number == VALUE) {
            let old = content.start + old.range.start..content.start + old.range.end;
            self.splices.push(Splice::new(old, with));
        } else {
            // A pair without a value: its value comes after what it has.
            let mut pair = bytes[content].to_vec();
            pair.extend_from_slice(&with);
            let number = Fields::new(&bytes[range.clone()])
                .next()
                .map_or(0, |field| field.number);
            with.clear();
            put_len(&mut with, number, &pair);
            self.splices.push(Splice::new(range, with));
        }
    }

    fn create(&mut self, table: Table, row: u32, key: &[u8], value: &[u8]) {
        let level = self.question.projection.rows[table.index()].levels[row as usize];
        let fields = self.inserts.entry((table, row)).or_default();
        put_len(fields, level.attributes, &value::pair(key, value));
    }

    /// Sets, or with nothing given removes, a built-in field.
    fn field(
        &mut self,
        table: Table,
        row: u32,
        field: u16,
        text: Option<&[u8]>,
        any: Option<Vec<u8>>,
    ) {
        let level = self.question.projection.rows[table.index()].levels[row as usize];
        let Some(at) = level.fields.iter().find(|at| at.field == field) else {
            return;
        };
        let new = match at.read {
            Read::Any => any,
            _ => text.map(<[u8]>::to_vec),
        };
        let encoded = |number| {
            new.as_ref().map(|value| {
                let mut with = Vec::with_capacity(value.len() + 4);
                put_len(&mut with, number, value);
                with
            })
        };
        let message = self.message(table, row);
        if at.read == Read::StatusText {
            let Some(status) = message.and_then(|message| self.last(message, at.number)) else {
                if let Some(with) = encoded(STATUS_MESSAGE) {
                    put_len(
                        self.inserts.entry((table, row)).or_default(),
                        at.number,
                        &with,
                    );
                }
                return;
            };
            let content = content_of(self.question.bytes, status.clone());
            let with = encoded(STATUS_MESSAGE);
            if !self.set(content.clone(), STATUS_MESSAGE, with.as_deref())
                && let Some(with) = with
            {
                // An inner message that may be empty: written anew with what it had.
                let mut inner = with;
                inner.extend_from_slice(&self.question.bytes[content]);
                let mut whole = Vec::with_capacity(inner.len() + 4);
                put_len(&mut whole, at.number, &inner);
                self.splices.push(Splice::new(status, whole));
            }
            return;
        }
        let with = encoded(at.number);
        let set = message.is_some_and(|message| self.set(message, at.number, with.as_deref()));
        if let (false, Some(with)) = (set, with) {
            self.inserts.entry((table, row)).or_default().extend(with);
        }
    }

    /// Replaces the last field of this number in the message whose content is at `content`, and
    /// removes others of it. False if it has none.
    fn set(&mut self, content: Range<usize>, number: u32, with: Option<&[u8]>) -> bool {
        let start = content.start;
        let mut found: Vec<_> = Fields::new(&self.question.bytes[content])
            .filter(|field| field.number == number)
            .map(|field| start + field.range.start..start + field.range.end)
            .collect();
        let Some(last) = found.pop() else {
            return false;
        };
        self.splices.extend(found.into_iter().map(Splice::remove));
        self.splices
            .push(Splice::new(last, with.unwrap_or_default().to_vec()));
        true
    }

    fn last(&self, content: Range<usize>, number: u32) -> Option<Range<usize>> {
        let start = content.start;
        Fields::new(&self.question.bytes[content])
            .filter(|field| field.number == number)
            .last()
            .map(|field| start + field.range.start..start + field.range.end)
    }

    /// The content of the message that holds the attributes and fields of a row.
    fn message(&self, table: Table, row: u32) -> Option<Range<usize>> {
        let rows = &self.question.projection.rows[table.index()];
        let (start, end) = rows.ranges[row as usize];
        let content = content_of(self.question.bytes, start as usize..end as usize);
        match rows.levels[row as usize].inner {
            0 => Some(content),
            inner => self
                .last(content, inner)
                .map(|inner| content_of(self.question.bytes, inner)),
        }
    }

    fn finish(mut self) -> Vec<Splice> {
        for ((table, row), fields) in std::mem::take(&mut self.inserts) {
            self.insert(table, row, fields);
        }
        self.splices
    }

    /// New fields at the start of a row's message.
    fn insert(&mut self, table: Table, row: u32, fields: Vec<u8>) {
        let bytes = self.question.bytes;
        let rows = &self.question.projection.rows[table.index()];
        let (start, end) = rows.ranges[row as usize];
        let (mut range, mut fields) = (start as usize..end as usize, fields);
        let mut content = content_of(bytes, range.clone());
        let inner = rows.levels[row as usize].inner;
        if inner != 0 {
            if let Some(found) = self.last(content.clone(), inner) {
                content = content_of(bytes, found.clone());
                range = found;
            } else {
                let mut message = Vec::with_capacity(fields.len() + 4);
                put_len(&mut message, inner, &fields);
                fields = message;
            }
        }
        if !content.is_empty() {
            self.splices
                .push(Splice::new(content.start..content.start, fields));
        } else if let Some(field) = Fields::new(&bytes[range.clone()]).next() {
            let mut whole = Vec::with_capacity(fields.len() + 4);
            put_len(&mut whole, field.number, &fields);
            self.splices.push(Splice::new(range, whole));
        }
    }
}

#[cfg(test)]
mod tests;
