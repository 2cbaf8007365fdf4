//! From OTLP/JSON to columns, and the place that each cell came from.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use serde_json::Value;

use super::keys;
use super::rows::{Read, Rows, attributes, field};
use crate::bindings::petrel::plugin::types;
use crate::registry::{Field, Table, kind};

/// A request as the plugin sees it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) rows: Rows,
    pub(super) plan: types::Plan,
    pub(super) columns: Vec<Column>,
    pub(super) strings: Strings,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) slot: u16,
    pub(super) key: u32,
    pub(super) cells: Vec<Cell>,
}

#[derive(Debug)]
pub(super) struct Cell {
    pub(super) row: u32,
    /// Which of the row's attributes it is.
    pub(super) index: usize,
    pub(super) value: Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Unseen,
    Coded(u8, u32),
    Word(u8, u64),
    Wide([u64; 2]),
}

/// Distinct strings, and which kinds of values each is of.
#[derive(Clone, Debug, Default)]
pub(super) struct Strings {
    pub(super) list: Vec<(Vec<u8>, u32)>,
    index: HashMap<Vec<u8>, u32>,
}

impl Strings {
    pub(super) fn intern(&mut self, text: &[u8], of: u8) -> u32 {
        let code = match self.index.get(text) {
            Some(code) => *code,
            None => {
                let code = self.append(text);
                self.index.insert(text.to_vec(), code);
                code
            }
        };
        if of != kind::NULL {
            self.list[code as usize].1 |= 1 << of;
        }
        code
    }

    pub(super) fn append(&mut self, text: &[u8]) -> u32 {
        self.list.push((text.to_vec(), 0));
        u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, code: u32) -> Option<&[u8]> {
        self.list
            .get(code as usize)
            .map(|(text, _)| text.as_slice())
    }
}

impl Model {
    pub(super) fn project(request: &Value, rows: Rows, plan: &types::Plan) -> Self {
        let mut columns: BTreeMap<(u16, u32), Vec<Cell>> = BTreeMap::new();
        let mut strings = Strings::default();
        for (slot, selector) in (0_u16..).zip(&plan.selectors) {
            let table = Table(selector.table);
            for (row, place) in (0_u32..).zip(rows.of(table)) {
                let Some(message) = request.pointer(&place.message) else {
                    continue;
                };
                if selector.field != 0 {
                    let at = field(rows.signal, table, Field(selector.field));
                    let read = at.and_then(|(at, read)| {
                        read_field(message, at, read, selector.kinds, &mut strings)
                    });
                    if let Some(value) = read {
                        let cells = columns.entry((slot, u32::MAX)).or_default();
                        cells.push(Cell {
                            row,
                            index: 0,
                            value,
                        });
                    }
                    continue;
                }
                let list = message.get(attributes(table)).and_then(Value::as_array);
                for (index, pair) in list.into_iter().flatten().enumerate() {
                    let key = pair.get("key").and_then(Value::as_str).unwrap_or_default();
                    if !keys::covers(&selector.key, key) {
                        continue;
                    }
                    let value = pair.get("value").unwrap_or(&Value::Null);
                    if let Some(value) = read_any(value, selector.kinds, &mut strings) {
                        let key = strings.intern(key.as_bytes(), kind::NULL);
                        let cells = columns.entry((slot, key)).or_default();
                        cells.push(Cell { row, index, value });
                    }
                }
            }
        }
        let columns = columns
            .into_iter()
            .map(|((slot, key), cells)| Column { slot, key, cells })
            .collect();
        Self {
            rows,
            plan: plan.clone(),
            columns,
            strings,
        }
    }

    pub(super) fn batch(&self, id: u64, now_ns: u64) -> types::Batch {
        let tables = Table::ALL
            .iter()
            .filter(|table| !self.rows.of(**table).is_empty());
        let mut dict = types::Blob {
            ends: Vec::new(),
            bytes: Vec::new(),
        };
        if self.plan.want_dict {
            for (text, _) in &self.strings.list {
                dict.bytes.extend_from_slice(text);
                dict.ends.push(number(dict.bytes.len()));
            }
        }
        types::Batch {
            signal: self.rows.signal.0,
            id,
            now_ns,
            seed: id.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            tables: tables
                .map(|table| types::TableRows {
                    table: table.0,
                    rows: number(self.rows.of(*table).len()),
                    parent: match *table {
                        Table::RESOURCE => Vec::new(),
                        table => self.rows.of(table).iter().map(|row| row.parent).collect(),
                    },
                })
                .collect(),
            dict,
            columns: self
                .columns
                .iter()
                .map(|column| self.column(column))
                .collect(),
        }
    }

    fn column(&self, column: &Column) -> types::Column {
        let Column { slot, key, cells } = column;
        let of = |cell: &Cell| match cell.value {
            Raw::Unseen => kind::NULL,
            Raw::Coded(of, _) | Raw::Word(of, _) => of,
            Raw::Wide(_) => kind::ID16,
        };
        let first = cells.first().map_or(kind::NULL, of);
        let mixed = cells.iter().any(|cell| of(cell) != first);
        let mut out = types::Column {
            slot: *slot,
            key: *key,
            kind: if mixed { kind::MIXED } else { first },
            rows: Vec::new(),
            codes: Vec::new(),
            words: Vec::new(),
            kinds: Vec::new(),
            present: Vec::new(),
        };
        let table = Table(self.plan.selectors[usize::from(*slot)].table);
        let dense = cells.len() == self.rows.of(table).len()
            && (0_u32..).zip(cells).all(|(row, cell)| row == cell.row);
        if !dense {
            out.rows = cells.iter().map(|cell| cell.row).collect();
        }
        for cell in cells {
            if mixed {
                out.kinds.push(of(cell));
            }
            match cell.value {
                Raw::Coded(_, code) if mixed => out.words.push(code.into()),
                Raw::Coded(_, code) => out.codes.push(code),
                Raw::Word(_, word) => out.words.push(word),
                Raw::Wide(words) => out.words.extend(words),
                Raw::Unseen if mixed => out.words.push(0),
                Raw::Unseen => {}
            }
        }
        out
    }
}

pub(super) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn read_field(
    message: &Value,
    at: &str,
    read: Read,
    kinds: u32,
    strings: &mut Strings,
) -> Option<Raw> {
    let value = message.pointer(at)?;
    if kinds == 0 {
        return Some(Raw::Unseen);
    }
    match read {
        Read::Any => return read_any(value, kinds, strings),
        Read::Text | Read::Syntax => {
            let wanted = kinds & 1 << kind::STRING != 0;
            let text = value.as_str().filter(|text| wanted && !text.is_empty())?;
            return Some(Raw::Coded(
                kind::STRING,
                strings.intern(text.as_bytes(), kind::STRING),
            ));
        }
        _ => {}
    }
    Some(match read {
        Read::Time => Raw::Word(kind::TIME, whole(value)?.cast_unsigned()),
        Read::Duration => {
            let start = message
                .get("startTimeUnixNano")
                .and_then(whole)
                .unwrap_or(0);
            let took = whole(value)?
                .cast_unsigned()
                .saturating_sub(start.cast_unsigned());
            Raw::Word(kind::UINT, took)
        }
        Read::Id8 => Raw::Word(kind::ID8, u64::from_str_radix(hex(value, 16)?, 16).ok()?),
        Read::Id16 => {
            let hex = hex(value, 32)?;
            let half = |part: &str| u64::from_str_radix(part, 16).ok();
            Raw::Wide([half(&hex[..16])?, half(&hex[16..])?])
        }
        _ => Raw::Word(kind::UINT, whole(value)?.cast_unsigned()),
    })
}

fn hex(value: &Value, digits: usize) -> Option<&str> {
    value
        .as_str()
        .filter(|hex| hex.len() == digits && hex.is_ascii())
}

/// 64-bit numbers are strings or numbers.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        value => value.as_i64(),
    }
}

fn read_any(value: &Value, kinds: u32, strings: &mut Strings) -> Option<Raw> {
    if kinds == 0 {
        return Some(Raw::Unseen);
    }
    let (member, inside) = value.as_object()?.iter().next()?;
    let (of, text, word) = match member.as_str() {
        "stringValue" => (kind::STRING, inside.as_str()?.as_bytes().to_vec(), 0),
        "bytesValue" => (kind::BYTES, bytes(inside)?, 0),
        "boolValue" => (kind::BOOL, Vec::new(), inside.as_bool()?.into()),
        "intValue" => (kind::INT, Vec::new(), whole(inside)?.cast_unsigned()),
        "doubleValue" => (kind::DOUBLE, Vec::new(), inside.as_f64()?.to_bits()),
        "arrayValue" | "kvlistValue" => (kind::JSON, plain(value).to_string().into_bytes(), 0),
        _ => return None,
    };
    (kinds & 1 << of != 0).then(|| match of {
        kind::STRING | kind::BYTES | kind::JSON => Raw::Coded(of, strings.intern(&text, of)),
        _ => Raw::Word(of, word),
    })
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD
        .decode(value.as_str()?)
        .ok()
}

/// An AnyValue as the JSON that it means.
fn plain(any: &Value) -> Value {
    let values = |inside: &Value| {
        let list = inside.get("values").and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    match any.as_object().and_then(|any| any.iter().next()) {
        Some((member, inside)) => match member.as_str() {
            "arrayValue" => values(inside).iter().map(plain).collect(),
            "kvlistValue" => Value::Object(
                values(inside)
                    .iter()
                    .map(|pair| {
                        let key = pair.get("key").and_then(Value::as_str).unwrap_or_default();
                        (key.to_owned(), plain(&pair["value"]))
                    })
                    .collect(),
            ),
            "intValue" => whole(inside).into(),
            _ => inside.clone(),
        },
        None => Value::Null,
    }
}
