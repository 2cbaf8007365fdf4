//! Does one small thing with the columns it is told to read, so that the host can be measured.
//!
//! `do`: `pass` reads string attributes and changes nothing; `hide` replaces whatever the keys hold;
//! `scan` looks through the strings for a `@` and replaces those; `sample` keeps `percent` of the
//! traces; `mark` gives every record an attribute `edge.marked`.

use std::cell::RefCell;

use serde_json::Value;

wit_bindgen::generate!({ path: "../../../../../wit", world: "plugin" });

use exports::petrel::plugin::processor::Guest;
use petrel::plugin::types::{Batch, Blob, Descriptor, Edits, Error, Limits, Plan, Selector};

const RECORD: u8 = 2;
const TRACE_ID: u16 = 11;
const READ: u8 = 1;
const WRITE: u8 = 2;
const CREATE: u8 = 4;
const STRING: u8 = 1;
const ID16: u8 = 8;
const ANY_VALUE: u32 = 0xffff_fffe;
const OWN_KEY: u32 = 0xffff_ffff;
const ADDED: u32 = 0x8000_0000;

#[derive(Clone, Copy, PartialEq)]
enum Task {
    Pass,
    Hide,
    Scan,
    /// Traces whose low 56 bits are below this go.
    Sample(u64),
    Mark,
}

thread_local! {
    static TASK: RefCell<(Task, u16)> = const { RefCell::new((Task::Pass, 0)) };
}

struct Columns;

impl Guest for Columns {
    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            signals: 7,
            config_schema: String::new(),
            fail_closed: false,
            stateless: true,
            deterministic: true,
            extra: Vec::new(),
        }
    }

    fn configure(config: Vec<u8>, _: Limits, _: Option<Vec<u8>>) -> Result<Plan, Error> {
        let wrong = |message: &str| Error { code: 1, message: message.into(), retryable: false };
        let config: Value =
            serde_json::from_slice(&config).map_err(|error| wrong(&error.to_string()))?;
        let percent = config["percent"].as_u64().unwrap_or(100).min(100);
        let task = match config["do"].as_str() {
            Some("pass") => Task::Pass,
            Some("hide") => Task::Hide,
            Some("scan") => Task::Scan,
            Some("sample") => Task::Sample((1 << 56) / 100 * (100 - percent)),
            Some("mark") => Task::Mark,
            _ => return Err(wrong("`do` must be pass, hide, scan, sample or mark")),
        };
        let attribute = |key: &str, kinds, access| Selector {
            table: RECORD,
            field: 0,
            key: key.into(),
            kinds,
            access,
        };
        let keys = config["keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let selectors: Vec<_> = match task {
            Task::Pass => keys.map(|key| attribute(key, 1 << STRING, READ)).collect(),
            Task::Hide => keys.map(|key| attribute(key, 0, WRITE)).collect(),
            Task::Scan => keys.map(|key| attribute(key, 1 << STRING, READ | WRITE)).collect(),
            Task::Mark => vec![attribute("edge.marked", 1 << STRING, WRITE | CREATE)],
            Task::Sample(_) => vec![Selector {
                table: RECORD,
                field: TRACE_ID,
                key: String::new(),
                kinds: 1 << ID16,
                access: READ,
            }],
        };
        TASK.set((task, u16::try_from(selectors.len()).unwrap_or(u16::MAX)));
        Ok(Plan {
            signals: 7,
            selectors,
            only_if_key: Vec::new(),
            want_dict: matches!(task, Task::Pass | Task::Scan),
            outputs: Vec::new(),
            tick_ms: 0,
            merge_duplicates: false,
        })
    }

    fn process(batch: Batch) -> Result<Edits, Error> {
        let (task, slots) = TASK.with_borrow(|task| *task);
        let mut edits = nothing();
        match task {
            Task::Pass => {}
            Task::Hide => {
                add(&mut edits, "[redacted]");
                for slot in 0..slots {
                    replace(&mut edits, slot, ANY_VALUE);
                }
            }
            Task::Scan => {
                let mut start = 0;
                for (code, end) in (0..).zip(&batch.dict.ends) {
                    let end = *end as usize;
                    if batch.dict.bytes[start..end].contains(&b'@') {
                        replace(&mut edits, 0xffff, code);
                    }
                    start = end;
                }
                add(&mut edits, "[redacted]");
            }
            Task::Sample(below) => {
                for column in &batch.columns {
                    let low = column.words.iter().skip(1).step_by(2);
                    let gone = low.map(|word| u8::from(word & ((1 << 56) - 1) < below));
                    edits.verdicts = gone.collect();
                }
            }
            Task::Mark => {
                add(&mut edits, "yes");
                let rows = batch.tables.iter().find(|table| table.table == RECORD);
                for row in 0..rows.map_or(0, |table| table.rows) {
                    edits.cell_slot.push(0);
                    edits.cell_key.push(OWN_KEY);
                    edits.cell_row.push(row);
                    edits.cell_kind.push(STRING);
                    edits.cell_word.push(ADDED.into());
                }
            }
        }
        Ok(edits)
    }

    fn tick(_: u64) -> Result<Edits, Error> {
        Ok(nothing())
    }

    fn flush(_: u8) -> Result<Edits, Error> {
        Ok(nothing())
    }

    fn save() -> Vec<u8> {
        Vec::new()
    }
}

fn add(edits: &mut Edits, text: &str) {
    edits.added = Blob {
        ends: vec![u32::try_from(text.len()).unwrap_or(0)],
        bytes: text.into(),
    };
}

fn replace(edits: &mut Edits, slot: u16, from: u32) {
    edits.dict_slot.push(slot);
    edits.dict_from.push(from);
    edits.dict_to.push(ADDED);
}

fn nothing() -> Edits {
    Edits {
        verdicts: Vec::new(),
        added: Blob { ends: Vec::new(), bytes: Vec::new() },
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

export!(Columns);
