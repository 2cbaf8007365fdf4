//! The answer, checked as a whole by the host's rules, then applied to the JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::columns::{Column, Model, Strings};
use super::kernels::any_value;
use super::keys;
use super::rows::{Read, attributes, field};
use crate::bindings::petrel::plugin::types;
use crate::column::Code;
use crate::registry::{Field, Table, access, kind, verdict};

/// What the host would pass on; the error is what it would log.
pub(super) fn apply(
    request: &Value,
    model: &Model,
    strings: Strings,
    edits: &types::Edits,
) -> Result<Value, String> {
    if edits.route.iter().any(|output| *output != 0) {
        return Err("routes are not offered by this version".into());
    }
    let mut changes = Changes {
        model,
        strings,
        added: &edits.added,
        made: BTreeMap::new(),
    };
    changes.drop_keys(edits)?;
    changes.dictionary(edits)?;
    changes.cells(edits)?;
    let mut out = request.clone();
    for (place, new) in std::mem::take(&mut changes.made) {
        changes.write(&mut out, &place, new);
    }
    drop_records(&mut out, model, &edits.verdicts)?;
    sweep(&mut out);
    Ok(out)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Attribute(u8, u32, usize),
    Create(u8, u32, Vec<u8>),
    Field(u8, u32, u16),
}

#[derive(Clone, Copy, Debug)]
enum New {
    Delete,
    Coded(u8, u32),
    Word(u8, u64),
}

struct Changes<'a> {
    model: &'a Model,
    strings: Strings,
    added: &'a types::Blob,
    /// Of several changes to one cell the last counts.
    made: BTreeMap<Place, New>,
}

impl Changes<'_> {
    fn selector(&self, slot: u16) -> Result<&types::Selector, String> {
        let selector = self.model.plan.selectors.get(usize::from(slot));
        selector.ok_or_else(|| format!("names slot {slot}, which it did not select"))
    }

    fn check(&self, slot: u16, needed: u8, what: &str) -> Result<(), String> {
        let selector = self.selector(slot)?;
        if selector.access & needed == needed {
            return Ok(());
        }
        let right = match needed {
            access::WRITE => ".write()",
            access::CREATE => ".create()",
            _ => ".delete()",
        };
        let key = match selector.field {
            0 => format!("{:?}", selector.key),
            field => format!("of field {field}"),
        };
        Err(format!(
            "{what} slot {slot} without the right; give the selector {key} {right}"
        ))
    }

    fn text(&self, code: u32) -> Option<&[u8]> {
        let Some(index) = code.checked_sub(Code::ADDED.0) else {
            return self.strings.get(code);
        };
        let end = *self.added.ends.get(index as usize)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.added.ends.get(before as usize)? as usize,
            None => 0,
        };
        self.added.bytes.get(start..end)
    }

    fn check_text(&self, code: u32, of: u8) -> Result<(), String> {
        let text = self
            .text(code)
            .ok_or_else(|| format!("uses code {code}, which is no string's"))?;
        if of == kind::STRING && std::str::from_utf8(text).is_err() {
            return Err("adds a string that is not UTF-8".into());
        }
        Ok(())
    }

    fn put(&mut self, column: &Column, cell: usize, new: New) {
        let selector = &self.model.plan.selectors[usize::from(column.slot)];
        let cell = &column.cells[cell];
        let place = match selector.field {
            0 => Place::Attribute(selector.table, cell.row, cell.index),
            field => Place::Field(selector.table, cell.row, field),
        };
        self.made.insert(place, new);
    }

    fn drop_keys(&mut self, edits: &types::Edits) -> Result<(), String> {
        same_length(&[edits.drop_table.len(), edits.drop_key.len()], "drop-*")?;
        for (table, key) in edits.drop_table.iter().zip(&edits.drop_key) {
            for column in &self.model.columns {
                let meant = column.key == *key && *key != u32::MAX;
                if meant && self.selector(column.slot)?.table == *table {
                    self.check(column.slot, access::DELETE, "deletes keys of")?;
                    for cell in 0..column.cells.len() {
                        self.put(column, cell, New::Delete);
                    }
                }
            }
        }
        Ok(())
    }

    fn dictionary(&mut self, edits: &types::Edits) -> Result<(), String> {
        let lengths = [
            edits.dict_slot.len(),
            edits.dict_from.len(),
            edits.dict_to.len(),
        ];
        same_length(&lengths, "dict-*")?;
        for at in 0..edits.dict_slot.len() {
            let (slot, from, to) = (edits.dict_slot[at], edits.dict_from[at], edits.dict_to[at]);
            let needed = if to == Code::NONE.0 {
                access::DELETE
            } else {
                self.check_text(to, kind::NULL)?;
                access::WRITE
            };
            if slot != u16::MAX {
                self.check(slot, needed, "writes to")?;
            }
            for column in &self.model.columns {
                let may = self.selector(column.slot)?.access & needed == needed;
                if !may || (slot != u16::MAX && slot != column.slot) {
                    continue;
                }
                for (index, cell) in column.cells.iter().enumerate() {
                    let held = match cell.value {
                        super::columns::Raw::Coded(of, code) => Some((of, code)),
                        _ => None,
                    };
                    let of = match held {
                        _ if from == Code::ANY.0 => kind::STRING,
                        Some((of, code)) if code == from => of,
                        _ => continue,
                    };
                    let new = if needed == access::DELETE {
                        New::Delete
                    } else {
                        New::Coded(of, to)
                    };
                    self.put(column, index, new);
                }
            }
        }
        Ok(())
    }

    fn cells(&mut self, edits: &types::Edits) -> Result<(), String> {
        let lengths = [
            edits.cell_slot.len(),
            edits.cell_key.len(),
            edits.cell_row.len(),
            edits.cell_kind.len(),
            edits.cell_word.len(),
        ];
        same_length(&lengths, "cell-*")?;
        for at in 0..edits.cell_slot.len() {
            let (slot, key, row) = (edits.cell_slot[at], edits.cell_key[at], edits.cell_row[at]);
            let selector = self.selector(slot)?.clone();
            let rows = self.model.rows.of(Table(selector.table)).len();
            if row as usize >= rows {
                return Err(format!("edits row {row} of {rows}"));
            }
            let new = self.new_value(&selector, edits.cell_kind[at], edits.cell_word[at])?;
            let needed = match new {
                New::Delete => access::DELETE,
                _ => access::WRITE,
            };
            let mut found = false;
            for column in &self.model.columns {
                for (index, cell) in column.cells.iter().enumerate() {
                    if (column.slot, column.key, cell.row) == (slot, key, row) {
                        self.check(slot, needed, "writes to")?;
                        self.put(column, index, new);
                        found = true;
                    }
                }
            }
            if !found {
                self.absent(slot, &selector, key, row, new)?;
            }
        }
        Ok(())
    }

    fn new_value(&self, selector: &types::Selector, of: u8, word: u64) -> Result<New, String> {
        let signal = self.model.rows.signal;
        let at = field(signal, Table(selector.table), Field(selector.field));
        if of != kind::NULL && of != kind::STRING && at.is_some_and(|at| at.1 != Read::Any) {
            return Err(format!("writes kind {of} to field {}", selector.field));
        }
        match of {
            kind::NULL => Ok(New::Delete),
            kind::STRING | kind::BYTES | kind::JSON => {
                let code = u32::try_from(word).unwrap_or(u32::MAX);
                self.check_text(code, of)?;
                Ok(New::Coded(of, code))
            }
            kind::BOOL | kind::INT | kind::DOUBLE | kind::UINT | kind::TIME => {
                Ok(New::Word(of, word))
            }
            _ => Err(format!("writes a value of kind {of}")),
        }
    }

    fn absent(
        &mut self,
        slot: u16,
        selector: &types::Selector,
        key: u32,
        row: u32,
        new: New,
    ) -> Result<(), String> {
        if let (New::Delete, 0) = (new, selector.access & access::CREATE) {
            return Ok(());
        }
        self.check(slot, access::CREATE, "creates in")?;
        let place = if selector.field == 0 {
            let name = match key {
                u32::MAX => keys::exact(&selector.key).map(|key| key.as_bytes().to_vec()),
                key => self.text(key).map(<[u8]>::to_vec),
            };
            let covered =
                |name: &Vec<u8>| keys::covers(&selector.key, &String::from_utf8_lossy(name));
            let name = name
                .filter(covered)
                .ok_or_else(|| format!("creates a key that slot {slot} does not cover"))?;
            Place::Create(selector.table, row, name)
        } else {
            Place::Field(selector.table, row, selector.field)
        };
        self.made.insert(place, new);
        Ok(())
    }

    fn value(&self, new: New) -> Option<Value> {
        Some(match new {
            New::Delete => return None,
            New::Coded(of, code) => any_value(of, self.text(code)?),
            New::Word(kind::BOOL, word) => json!({"boolValue": word != 0}),
            New::Word(kind::DOUBLE, word) => json!({"doubleValue": f64::from_bits(word)}),
            New::Word(_, word) => json!({"intValue": word.cast_signed().to_string()}),
        })
    }

    fn write(&self, out: &mut Value, place: &Place, new: New) {
        let value = self.value(new);
        match place {
            Place::Attribute(table, row, index) => {
                let pair = &mut self.attributes(out, *table, *row)[index];
                match value {
                    Some(value) => pair["value"] = value,
                    None => *pair = Value::Null,
                }
            }
            Place::Create(table, row, key) => {
                let Some(value) = value else { return };
                let pair = json!({"key": String::from_utf8_lossy(key), "value": value});
                match self.attributes(out, *table, *row) {
                    Value::Array(list) => list.push(pair),
                    none => *none = json!([pair]),
                }
            }
            Place::Field(table, row, number) => {
                let at = field(self.model.rows.signal, Table(*table), Field(*number));
                let Some((at, read)) = at else { return };
                let value = match (value, read) {
                    (None, _) => Value::Null,
                    (Some(value), Read::Any) => value,
                    (Some(value), _) => value["stringValue"].clone(),
                };
                let mut to = self.message(out, *table, *row);
                for step in at.split('/').skip(1) {
                    to = &mut to[step];
                }
                *to = value;
            }
        }
    }

    fn message<'v>(&self, out: &'v mut Value, table: u8, row: u32) -> &'v mut Value {
        let message = &self.model.rows.of(Table(table))[row as usize].message;
        let mut at = out;
        for step in message.split('/').skip(1) {
            at = match step.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[step],
            };
        }
        at
    }

    fn attributes<'v>(&self, out: &'v mut Value, table: u8, row: u32) -> &'v mut Value {
        &mut self.message(out, table, row)[attributes(Table(table))]
    }
}

fn same_length(lengths: &[usize], of: &str) -> Result<(), String> {
    let same = lengths.iter().all(|length| *length == lengths[0]);
    same.then_some(())
        .ok_or_else(|| format!("gives lists of different lengths in {of}"))
}

/// Dropped rows become null, and what holds nothing without them.
fn drop_records(out: &mut Value, model: &Model, verdicts: &[u8]) -> Result<(), String> {
    let records = model.rows.of(Table::RECORD);
    if !verdicts.is_empty() && verdicts.len() != records.len() {
        let (given, records) = (verdicts.len(), records.len());
        return Err(format!("gives {given} verdicts on {records} records"));
    }
    if let Some(other) = verdicts.iter().find(|given| **given > verdict::DROP) {
        return Err(format!(
            "gives verdict {other}, which this version does not offer"
        ));
    }
    let mut gone: Vec<bool> = verdicts
        .iter()
        .map(|given| *given == verdict::DROP)
        .collect();
    gone.resize(records.len(), false);
    let mut table = Table::RECORD;
    loop {
        let rows = model.rows.of(table);
        for (row, _) in rows.iter().zip(&gone).filter(|(_, gone)| **gone) {
            if let Some(group) = out.pointer_mut(&row.group) {
                *group = Value::Null;
            }
        }
        let above = match table {
            Table::RECORD if !model.rows.of(Table::METRIC).is_empty() => Table::METRIC,
            Table::RECORD | Table::METRIC => Table::SCOPE,
            Table::SCOPE => Table::RESOURCE,
            _ => return Ok(()),
        };
        let below = |parent: usize, wanted: bool| {
            rows.iter()
                .zip(&gone)
                .any(|(row, gone)| row.parent as usize == parent && *gone == wanted)
        };
        gone = (0..model.rows.of(above).len())
            .map(|row| below(row, true) && !below(row, false))
            .collect();
        table = above;
    }
}

/// Removes what edits left as null.
fn sweep(value: &mut Value) {
    match value {
        Value::Array(list) => {
            list.retain(|one| !one.is_null());
            list.iter_mut().for_each(sweep);
        }
        Value::Object(members) => {
            members.retain(|_, one| !one.is_null());
            members.values_mut().for_each(sweep);
        }
        _ => {}
    }
}
