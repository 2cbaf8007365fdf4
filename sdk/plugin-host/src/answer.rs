//! A plugin's answer: checked as a whole, then applied to the sheet.
//!
//! Nothing is half applied. A row, code or slot out of range, a list of the wrong length, a write
//! without the right to it: the whole answer is refused, as the plugin's fault.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use petrel_wire::Signal;

use crate::bindings::petrel::plugin::types::{Blob, Edits};
use crate::columns::{Cell, Column, hidden};
use crate::hold::{Decision, decisions};
use crate::layout::{self, Read};
use crate::plan::{Plan, Selector};
use crate::registry::{ALL_SLOTS, Table, access, code, field, kind, verdict};
use crate::sheet::{Selection, Sheet};
use crate::value;
use crate::view::{Codes, ColumnView as _, View};

/// Everything an answer refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) sheet: &'a Sheet,
    pub(crate) plan: &'a Plan,
    pub(crate) view: &'a View,
    pub(crate) codes: &'a Codes,
    /// Bytes of new strings that the answer may bring.
    pub(crate) added_bytes: usize,
    /// Levels that arrays and maps may nest.
    pub(crate) depth: u32,
}

/// A checked answer, not yet applied. Refers to the sheet it was made for, as that was.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    made: Vec<(Place, New)>,
    /// By position among the sheet's records that are kept.
    dropped: Option<Vec<bool>>,
    /// Rows of the sheet.
    held: Vec<u32>,
    /// Rows of the sheet, and the outputs that they go to.
    routes: Vec<(u32, Arc<str>)>,
    decided: Vec<Decision>,
    /// What it leaves of the sheet's.
    room: usize,
}

/// What an answer came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Records taken out.
    pub(crate) dropped: u32,
    /// Records sent somewhere else, by output.
    pub(crate) routed: BTreeMap<Arc<str>, u64>,
    /// Values changed, made or deleted.
    pub(crate) edits: u64,
}

/// What a cell becomes; codes are the sheet's, or those of added strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum New {
    Delete,
    Coded(u8, u32),
    Word(u8, u64),
}

/// Which cell; rows are the sheet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Of a column of the sheet.
    Cell { column: u32, cell: u32 },
    /// All cells of a column of the sheet.
    Column { column: u32 },
    /// One that the plugin does not see, and most likely is not there. The key is null where the
    /// selector means only one.
    Absent { slot: u16, row: u32, key: u32 },
}

impl Question<'_> {
    /// Checks `edits`; the error is for the operator.
    pub(crate) fn check(&self, edits: &Edits) -> Result<Answer, String> {
        check_added(&edits.added, self.added_bytes)?;
        let decides = !edits.decided.is_empty() || !edits.decided_verdict.is_empty();
        if decides && !self.plan.holds {
            return Err("decides about traces that are not held".into());
        }
        let decided = decisions(edits)?;
        let mut changes = Changes {
            question: *self,
            added: &edits.added,
            made: Vec::new(),
            room: self.sheet.room,
        };
        changes.drop_keys(edits)?;
        changes.dictionary_edits(edits)?;
        changes.cell_edits(edits)?;
        let dropped = self.verdicts(&edits.verdicts)?;
        Ok(Answer {
            made: changes.made,
            dropped,
            held: self.held(&edits.verdicts)?,
            routes: self.routes(&edits.route)?,
            decided,
            room: changes.room,
        })
    }

    /// Everything that the plugin may write, removed: what `on_error: strip` passes on.
    pub(crate) fn strip(&self) -> Answer {
        let mut made = Vec::new();
        for (column, origin) in self.view.batch.columns.iter().zip(&self.view.origins) {
            if self.plan.selectors[usize::from(column.slot)].writes() {
                let cells = 0..column.cells(self.rows_of(column.slot));
                made.extend(cells.map(|cell| (at(origin.column, origin.cell(cell)), New::Delete)));
            }
        }
        Answer {
            made,
            room: self.sheet.room,
            ..Answer::default()
        }
    }

    fn selector(&self, slot: u16) -> Result<&Selector, String> {
        let selector = self.plan.selectors.get(usize::from(slot));
        selector.ok_or_else(|| format!("names slot {slot}, which it did not select"))
    }

    fn table_rows(&self, table: Table) -> usize {
        self.view.selection.len(self.sheet, table)
    }

    fn rows_of(&self, slot: u16) -> usize {
        self.table_rows(self.plan.selectors[usize::from(slot)].table)
    }

    fn verdicts(&self, verdicts: &[u8]) -> Result<Option<Vec<bool>>, String> {
        let records = self.table_rows(Table::Record);
        if !verdicts.is_empty() && verdicts.len() != records {
            return Err(format!(
                "gives {} verdicts on {records} records",
                verdicts.len()
            ));
        }
        let unknown = |given: &&u8| match **given {
            verdict::KEEP | verdict::DROP => false,
            verdict::HOLD => !self.plan.holds,
            _ => true,
        };
        if let Some(other) = verdicts.iter().find(unknown) {
            return Err(format!(
                "gives verdict {other}, which this version does not offer"
            ));
        }
        if !verdicts.contains(&verdict::DROP) {
            return Ok(None);
        }
        let drops = |index: usize| verdicts[index] == verdict::DROP;
        Ok(Some(self.among_kept(drops)))
    }

    /// The sheet's rows of the spans that are to be held.
    fn held(&self, verdicts: &[u8]) -> Result<Vec<u32>, String> {
        let held = verdicts
            .iter()
            .zip(0..)
            .filter(|(given, _)| **given == verdict::HOLD);
        let rows: Vec<u32> = held
            .map(|(_, index)| self.view.selection.row(Table::Record, index))
            .collect();
        if !rows.is_empty() && self.sheet.signal != Signal::Traces {
            return Err("holds what is no span".into());
        }
        Ok(rows)
    }

    /// The sheet's rows that do not go where all go.
    fn routes(&self, route: &[u8]) -> Result<Vec<(u32, Arc<str>)>, String> {
        let records = self.table_rows(Table::Record);
        if !route.is_empty() && route.len() != records {
            let count = route.len();
            return Err(format!("gives {count} outputs for {records} records"));
        }
        let sent = route.iter().zip(0..).filter(|(output, _)| **output != 0);
        sent.map(|(output, index)| {
            let name = self.plan.outputs.get(usize::from(*output));
            let name =
                name.ok_or_else(|| format!("routes to output {output}, which it did not name"))?;
            let row = self.view.selection.row(Table::Record, index);
            Ok((row, Arc::clone(name)))
        })
        .collect()
    }

    /// From positions in the view to positions among the records that are kept.
    fn among_kept(&self, is: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut out = vec![false; self.sheet.records()];
        let kept = &self.sheet.kept.rows[Table::Record.index()];
        for index in 0..self.table_rows(Table::Record) {
            let row = self
                .view
                .selection
                .row(Table::Record, u32::try_from(index).unwrap_or(u32::MAX));
            let position = match kept {
                Some(kept) => kept.binary_search(&row).unwrap_or(usize::MAX),
                None => row as usize,
            };
            if let Some(out) = out.get_mut(position) {
                *out = is(index);
            }
        }
        out
    }
}

fn at(column: usize, cell: usize) -> Place {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Place::Cell {
        column: number(column),
        cell: number(cell),
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

/// The string with this code, where codes are the sheet's or those of added strings.
fn text<'a>(sheet: &'a Sheet, added: &'a Blob, code: u32) -> Option<&'a [u8]> {
    let Some(index) = code.checked_sub(code::ADDED) else {
        return sheet.dictionary.get(code);
    };
    let index = index as usize;
    let end = *added.ends.get(index)? as usize;
    let start = index.checked_sub(1).map_or(0, |before| added.ends[before]) as usize;
    added.bytes.get(start..end)
}

/// What the cells with some code shall hold.
#[derive(Clone, Copy, Debug)]
struct Target {
    code: u32,
    length: usize,
    /// Bits of the kinds that this string is known to be fit for.
    checked: u32,
}

/// As it is.
const LEAVE: Target = Target {
    code: code::ANY,
    length: 0,
    checked: 0,
};

struct Changes<'a> {
    question: Question<'a>,
    added: &'a Blob,
    made: Vec<(Place, New)>,
    /// Bytes that new values may still have.
    room: usize,
}

impl<'a> Changes<'a> {
    /// A code of the guest as one of the sheet, and how long its string is.
    fn sheet_code(&self, guest: u32) -> Result<(u32, usize), String> {
        let mine = match guest {
            code::ADDED.. => guest,
            _ => self.question.codes.to_sheet(guest),
        };
        let text = text(self.question.sheet, self.added, mine)
            .ok_or_else(|| format!("uses code {guest}, which is no string's"))?;
        Ok((mine, text.len()))
    }

    /// A code that a cell of this kind may hold.
    fn value_code(&self, of: u8, guest: u32) -> Result<(u32, usize), String> {
        let (mine, length) = self.sheet_code(guest)?;
        self.check_value(of, mine)?;
        Ok((mine, length))
    }

    fn check_value(&self, of: u8, mine: u32) -> Result<(), String> {
        let text = text(self.question.sheet, self.added, mine).unwrap_or_default();
        // OTLP's strings are UTF-8; a plugin must not be the one to break a request.
        if of != kind::BYTES && std::str::from_utf8(text).is_err() {
            return Err("writes a string that is not UTF-8".into());
        }
        if of == kind::JSON && !value::fits(text, self.question.depth) {
            return Err(format!(
                "writes JSON that nests deeper than {} levels",
                self.question.depth
            ));
        }
        Ok(())
    }

    fn put(&mut self, column: usize, cell: usize, new: New, length: usize) -> Result<(), String> {
        let origin = &self.question.view.origins[column];
        self.make(at(origin.column, origin.cell(cell)), new, length)
    }

    fn make(&mut self, place: Place, new: New, length: usize) -> Result<(), String> {
        self.room = self
            .room
            .checked_sub(length)
            .ok_or("writes more than a batch may grow")?;
        self.made.push((place, new));
        Ok(())
    }

    fn drop_keys(&mut self, edits: &Edits) -> Result<(), String> {
        if edits.drop_table.len() != edits.drop_key.len() {
            return Err("gives lists of different lengths in drop-*".into());
        }
        let question = self.question;
        for (&table, &key) in edits.drop_table.iter().zip(&edits.drop_key) {
            for (index, column) in question.view.batch.columns.iter().enumerate() {
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
                for cell in 0..column.cells(question.rows_of(column.slot)) {
                    self.put(index, cell, New::Delete, 0)?;
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
        let strings = self.question.codes.len(&self.question.sheet.dictionary);
        // By code of what a cell holds, what it shall hold; `ANY` = as it is.
        let mut becomes = Vec::new();
        let mut at = 0;
        while at < slots.len() {
            let slot = slots[at];
            if from[at] == code::ANY {
                let to = self.target(slot, to[at])?;
                self.replace_any(slot, to)?;
                at += 1;
                continue;
            }
            // One pass over the cells serves all edits of a slot that stand together.
            becomes.resize(strings, LEAVE);
            let start = at;
            while at < slots.len() && slots[at] == slot && from[at] != code::ANY {
                let to = self.target(slot, to[at])?;
                let place = becomes.get_mut(from[at] as usize);
                *place
                    .ok_or_else(|| format!("replaces code {}, which is no string's", from[at]))? =
                    to;
                at += 1;
            }
            self.replace(slot, &mut becomes)?;
            for code in &from[start..at] {
                becomes[*code as usize] = LEAVE;
            }
        }
        Ok(())
    }

    fn target(&self, slot: u16, to: u32) -> Result<Target, String> {
        let needed = if to == code::NULL {
            access::DELETE
        } else {
            access::WRITE
        };
        if slot != ALL_SLOTS && !self.question.selector(slot)?.may(needed) {
            return Err(format!("writes to slot {slot} without the right"));
        }
        if to == code::NULL {
            return Ok(Target {
                code: code::NULL,
                ..LEAVE
            });
        }
        let (code, length) = self.sheet_code(to)?;
        Ok(Target {
            code,
            length,
            ..LEAVE
        })
    }

    /// The columns that a dictionary edit means.
    fn columns(&self, slot: u16, needed: u8) -> impl Iterator<Item = usize> + use<'a> {
        let Question { plan, view, .. } = self.question;
        let columns = view.batch.columns.iter().enumerate();
        columns
            .filter(move |(_, column)| {
                let selector = &plan.selectors[usize::from(column.slot)];
                column.slot == slot || (slot == ALL_SLOTS && selector.may(needed))
            })
            .map(|(index, _)| index)
    }

    fn replace_any(&mut self, slot: u16, to: Target) -> Result<(), String> {
        let (needed, new) = if to.code == code::NULL {
            (access::DELETE, New::Delete)
        } else {
            self.check_value(kind::STRING, to.code)?;
            (access::WRITE, New::Coded(kind::STRING, to.code))
        };
        for index in self.columns(slot, needed) {
            let Question { view, .. } = self.question;
            let (column, origin) = (&view.batch.columns[index], &view.origins[index]);
            let cells = column.cells(self.question.rows_of(column.slot));
            if origin.cells.is_none() {
                let column = u32::try_from(origin.column).unwrap_or(u32::MAX);
                self.make(
                    Place::Column { column },
                    new,
                    to.length.saturating_mul(cells),
                )?;
                continue;
            }
            for cell in 0..cells {
                self.put(index, cell, new, to.length)?;
            }
        }
        Ok(())
    }

    fn replace(&mut self, slot: u16, becomes: &mut [Target]) -> Result<(), String> {
        for index in self.columns(slot, access::WRITE) {
            let column = &self.question.view.batch.columns[index];
            let selector = &self.question.plan.selectors[usize::from(column.slot)];
            for cell in 0..column.coded_len() {
                let Some((of, held)) = column.code_at(cell) else {
                    continue;
                };
                let Some(to) = becomes.get_mut(held as usize) else {
                    continue;
                };
                match to.code {
                    code::ANY => {}
                    code::NULL if !selector.may(access::DELETE) => {}
                    code::NULL => self.put(index, cell, New::Delete, 0)?,
                    code => {
                        if to.checked & (1 << of) == 0 {
                            self.check_value(of, code)?;
                            to.checked |= 1 << of;
                        }
                        let length = to.length;
                        self.put(index, cell, New::Coded(of, code), length)?;
                    }
                }
            }
        }
        Ok(())
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
        let Question { view, sheet, .. } = self.question;
        let columns = view.batch.columns.iter().enumerate();
        let index: HashMap<(u16, u32), usize> = columns
            .map(|(index, column)| ((column.slot, column.key), index))
            .collect();
        // Edits of one column stand together, as a rule.
        let mut last = ((ALL_SLOTS, code::NULL), None);
        for at in 0..count {
            let (slot, key, row) = (edits.cell_slot[at], edits.cell_key[at], edits.cell_row[at]);
            let selector = self.question.selector(slot)?;
            let rows = self.question.table_rows(selector.table);
            if row as usize >= rows {
                return Err(format!("edits row {row} of {rows}"));
            }
            let (may_write, may_delete) =
                (selector.may(access::WRITE), selector.may(access::DELETE));
            let table = selector.table;
            let (new, length) =
                self.new_value(selector, edits.cell_kind[at], edits.cell_word[at])?;
            let may = if new == New::Delete {
                may_delete
            } else {
                may_write
            };
            if last.0 != (slot, key) {
                last = ((slot, key), index.get(&(slot, key)).copied());
            }
            let row = view.selection.row(table, row);
            let mut is_there = false;
            if let Some(column) = last.1 {
                let origin = &view.origins[column];
                for cell in sheet.columns[origin.column].find(row) {
                    if !origin.shows(cell) || is_deleted(&sheet.columns[origin.column], cell) {
                        continue;
                    }
                    is_there = true;
                    if !may {
                        return Err(format!("writes to slot {slot} without the right"));
                    }
                    self.make(self::at(origin.column, cell), new, length)?;
                }
            }
            if !is_there {
                self.absent(slot, key, row, new, length)?;
            }
        }
        Ok(())
    }

    fn new_value(&self, selector: &Selector, of: u8, word: u64) -> Result<(New, usize), String> {
        if of == kind::NULL {
            return Ok((New::Delete, 0));
        }
        let only_text = selector.field != field::ATTRIBUTES
            && layout::find(selector.table, selector.field) != Some(Read::Any);
        if only_text && of != kind::STRING {
            return Err(format!("writes kind {of} to field {}", selector.field));
        }
        match of {
            kind::STRING | kind::BYTES | kind::JSON => {
                let code = u32::try_from(word).unwrap_or(code::NULL);
                let (code, length) = self.value_code(of, code)?;
                Ok((New::Coded(of, code), length))
            }
            // As OTLP has them; the next plugin meets what a decoder would.
            kind::INT | kind::UINT | kind::TIME => Ok((New::Word(kind::INT, word), 10)),
            kind::BOOL => Ok((New::Word(kind::BOOL, u64::from(word != 0)), 2)),
            kind::DOUBLE => Ok((New::Word(kind::DOUBLE, word), 9)),
            _ => Err(format!("writes a value of kind {of}")),
        }
    }

    /// An edit of a cell that the plugin does not see: makes it, or takes back that it was made.
    fn absent(
        &mut self,
        slot: u16,
        key: u32,
        row: u32,
        new: New,
        length: usize,
    ) -> Result<(), String> {
        let selector = self.question.selector(slot)?;
        if !selector.may(access::CREATE) {
            return match new {
                New::Delete => Ok(()),
                _ => Err(format!("creates in slot {slot} without the right")),
            };
        }
        let mut sheet_key = code::NULL;
        let mut key_length = 0;
        if let Some(rule) = &selector.rule {
            let covered = if key == code::NULL {
                rule.exact().is_some()
            } else {
                let (code, length) = self.value_code(kind::STRING, key)?;
                (sheet_key, key_length) = (code, length);
                let text = text(self.question.sheet, self.added, code);
                text.is_some_and(|key| rule.covers(key))
            };
            if !covered {
                return Err(format!("creates a key that slot {slot} does not cover"));
            }
        }
        let key = sheet_key;
        self.make(Place::Absent { slot, row, key }, new, length + key_length)
    }
}

fn is_deleted(column: &Column, cell: usize) -> bool {
    column.kind_at(cell) == hidden::DELETED
}

impl Answer {
    /// Applies what was checked. `seen` tells who sees a new column: table, field or 0, and key.
    pub(crate) fn apply(
        self,
        sheet: &mut Sheet,
        plan: &Plan,
        added: &Blob,
        seen: impl Fn(Table, u16, &[u8]) -> Vec<crate::columns::Seen>,
    ) -> Applied {
        let mut applied = Applied::default();
        // Numbers of answers only tell one from the one before.
        sheet.answers = sheet.answers.checked_add(1).unwrap_or(1);
        let by = sheet.answers;
        sheet.room = self.room;
        let mut codes = vec![code::NULL; added.ends.len()];
        let mut keys = codes.clone();
        let mut last_made = (Table::Resource, 0, code::NULL, usize::MAX);
        let mut cell_of = |sheet: &mut Sheet, new| match new {
            New::Delete => Cell::Bare(hidden::DELETED),
            New::Word(of, word) => Cell::Word(of, word),
            New::Coded(of, code) => Cell::Coded(of, intern(sheet, added, &mut codes, code)),
        };
        // What is made moves what is there, so it comes last. No cell is in both.
        for (place, new) in &self.made {
            let (Place::Cell { column, .. } | Place::Column { column }) = *place else {
                continue;
            };
            let cell = cell_of(sheet, *new);
            let column = &mut sheet.columns[column as usize];
            applied.edits += match *place {
                Place::Cell { cell: index, .. } => {
                    u64::from(column.change(index as usize, cell, by))
                }
                _ => column.change_all(cell, by),
            };
        }
        for (place, new) in &self.made {
            if let Place::Absent { slot, row, key } = *place {
                let cell = cell_of(sheet, *new);
                let selector = &plan.selectors[usize::from(slot)];
                let key = match &selector.rule {
                    None => code::NULL,
                    Some(rule) if key == code::NULL => {
                        sheet.dictionary.intern(rule.exact().unwrap_or_default())
                    }
                    Some(_) => intern(sheet, added, &mut keys, key),
                };
                let wanted = (selector.table, selector.field, key);
                if (last_made.0, last_made.1, last_made.2) != wanted {
                    let index = column_of(sheet, wanted, &seen);
                    last_made = (wanted.0, wanted.1, wanted.2, index);
                }
                let column = &mut sheet.columns[last_made.3];
                applied.edits += create(column, row, cell, by, selector.may(access::WRITE));
            }
        }
        sheet.is_changed |= applied.edits > 0;
        sheet.aside.rows.extend(self.held);
        sheet.aside.decided.extend(self.decided);
        for (_, output) in &self.routes {
            *applied.routed.entry(Arc::clone(output)).or_default() += 1;
        }
        sheet.aside.routes.send(self.routes);
        if let Some(dropped) = self.dropped {
            let count = dropped.iter().filter(|dropped| **dropped).count();
            applied.dropped = u32::try_from(count).unwrap_or(u32::MAX);
            let next = sheet.without(&dropped);
            sheet.keep(next);
        }
        applied
    }
}

/// Makes a cell, or changes the one that is there though the plugin does not see it.
fn create(column: &mut Column, row: u32, cell: Cell, by: u8, may_write: bool) -> u64 {
    let is_delete = cell == Cell::Bare(hidden::DELETED);
    let mut changed = 0;
    let mut is_there = false;
    for index in column.find(row) {
        // What this answer made it may change. A deleted field comes back where it was, a deleted
        // attribute comes anew.
        let is_back = is_deleted(column, index) && column.field != field::ATTRIBUTES;
        let own = is_back || column.changed_by.get(index) == Some(&by);
        if !own && is_deleted(column, index) {
            continue;
        }
        is_there = true;
        if may_write || own {
            changed += u64::from(column.change(index, cell, by));
        }
    }
    if is_there || is_delete {
        return changed;
    }
    column.create(row, cell, by);
    1
}

fn intern(sheet: &mut Sheet, added: &Blob, codes: &mut [u32], code: u32) -> u32 {
    let Some(index) = code.checked_sub(code::ADDED) else {
        return code;
    };
    let Some(known) = codes.get_mut(index as usize) else {
        return code::NULL;
    };
    if *known == code::NULL {
        let end = added.ends[index as usize] as usize;
        let start = (index as usize)
            .checked_sub(1)
            .map_or(0, |at| added.ends[at] as usize);
        *known = sheet.dictionary.intern(&added.bytes[start..end]);
    }
    *known
}

/// The column with this table, field and key; a new one if there is none.
fn column_of(
    sheet: &mut Sheet,
    (table, field, key): (Table, u16, u32),
    seen: impl Fn(Table, u16, &[u8]) -> Vec<crate::columns::Seen>,
) -> usize {
    let text = sheet.dictionary.get(key).unwrap_or_default();
    let is_it = |column: &Column| {
        let same_key = || column.key == key || sheet.dictionary.get(column.key) == Some(text);
        column.table == table && column.field == field && (field != field::ATTRIBUTES || same_key())
    };
    if let Some(index) = sheet.columns.iter().position(is_it) {
        return index;
    }
    let seen = seen(table, field, text);
    sheet.columns.push(Column::new(table, key, field, seen));
    sheet.columns.len() - 1
}

/// The part of the sheet that a question is about, when it is not all of it.
pub(crate) fn part(sheet: &Sheet, records: std::ops::Range<usize>) -> Selection {
    if records == (0..sheet.records()) {
        return sheet.kept.clone();
    }
    let mut gone = vec![true; sheet.records()];
    if let Some(inside) = gone.get_mut(records) {
        inside.fill(false);
    }
    sheet.without(&gone)
}

#[cfg(test)]
mod tests;
