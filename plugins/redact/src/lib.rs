//! Hides secrets and personal data before anything is written down or sent on.
//!
//! By key: the values of attributes whose key matches a rule are replaced, whatever they are, on
//! resources, scopes, metrics, spans, log records, data points, events, links and exemplars, and
//! inside JSON. By pattern: e-mail addresses, card numbers, tokens and the like are replaced inside
//! every text, log bodies and names included.
//!
//! Not one byte of telemetry enters this module: it tells the host where to look, the host's kernels
//! look, and what comes back are codes. It fails closed.

mod config;
mod patterns;

use std::cell::RefCell;

use config::Config;

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
});

use exports::petrel::plugin::processor::Guest;
use petrel::plugin::accel;
use petrel::plugin::types::{
    Batch, Blob, Descriptor, Edits, Error, Limits, Plan, Selector,
};

/// Tables that have attributes: resource, scope, record, event, link, exemplar, metric.
const TABLES: [u8; 7] = [0, 1, 2, 3, 4, 5, 6];
/// Built-in texts that people write secrets into: (table, field). Names of spans, events and log
/// events, bodies, status messages, descriptions of metrics.
const TEXTS: [(u8, u16); 5] = [(2, 1), (2, 2), (2, 10), (3, 1), (6, 43)];

const TRACES_LOGS_METRICS: u8 = 1 | 2 | 4;
const READ: u8 = 1;
const WRITE: u8 = 2;
const STRING: u32 = 1 << 1;
const JSON: u32 = 1 << 10;
const ALL_WRITABLE: u16 = 0xffff;
const ANY_VALUE: u32 = 0xffff_fffe;
const NONE: u32 = 0xffff_ffff;
/// The code of the first added string.
const ADDED: u32 = 0x8000_0000;

/// What `configure` prepared for `process`.
struct Redactor {
    replacement: String,
    /// The first slots are the key rules, one for each of `TABLES`.
    key_slots: u16,
    patterns: u32,
    keys: u32,
}

thread_local! {
    static REDACTOR: RefCell<Option<Redactor>> = const { RefCell::new(None) };
}

struct Redact;

impl Guest for Redact {
    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            signals: TRACES_LOGS_METRICS,
            config_schema: config::SCHEMA.into(),
            fail_closed: true,
            stateless: true,
            deterministic: true,
            extra: Vec::new(),
        }
    }

    fn configure(config: Vec<u8>, _: Limits, _: Option<Vec<u8>>) -> Result<Plan, Error> {
        let config = Config::parse(&config).map_err(|message| Error {
            code: 1,
            message,
            retryable: false,
        })?;
        let keys = config.keys.join("|");
        let mut selectors = Vec::new();
        if !config.keys.is_empty() {
            selectors.extend(TABLES.map(|table| Selector {
                table,
                field: 0,
                key: keys.clone(),
                kinds: 0,
                access: WRITE,
            }));
        }
        let key_slots = u16::try_from(selectors.len()).unwrap_or(u16::MAX);
        // JSON is looked into for keys, too, so it is selected in either case.
        let kinds = if config.patterns.is_empty() { JSON } else { STRING | JSON };
        selectors.extend(TABLES.map(|table| Selector {
            table,
            field: 0,
            key: "*".into(),
            kinds,
            access: READ | WRITE,
        }));
        selectors.extend(TEXTS.map(|(table, field)| Selector {
            table,
            field,
            key: String::new(),
            kinds,
            access: READ | WRITE,
        }));
        let redactor = Redactor {
            replacement: config.replacement,
            key_slots,
            patterns: if config.patterns.is_empty() {
                NONE
            } else {
                accel::regex_set(&config.patterns)?
            },
            keys: if config.keys.is_empty() { NONE } else { accel::key_set(&keys)? },
        };
        REDACTOR.set(Some(redactor));
        Ok(Plan {
            signals: TRACES_LOGS_METRICS,
            selectors,
            only_if_key: Vec::new(),
            want_dict: false,
            outputs: Vec::new(),
            tick_ms: 0,
            merge_duplicates: false,
        })
    }

    fn process(batch: Batch) -> Result<Edits, Error> {
        REDACTOR.with_borrow(|redactor| {
            let Some(redactor) = redactor else {
                return Err(internal("process was called before configure"));
            };
            Ok(redactor.process(&batch))
        })
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

impl Redactor {
    fn process(&self, batch: &Batch) -> Edits {
        let mut edits = nothing();
        let (from, to) =
            accel::redact_dict(self.patterns, self.keys, ALL_WRITABLE, &self.replacement);
        edits.dict_slot.resize(from.len(), ALL_WRITABLE);
        edits.dict_from = from;
        edits.dict_to = to;
        // The later edit wins: a value hidden for its key is hidden as a whole.
        let mut last = None;
        for column in &batch.columns {
            if column.slot < self.key_slots && last != Some(column.slot) {
                last = Some(column.slot);
                edits.dict_slot.push(column.slot);
                edits.dict_from.push(ANY_VALUE);
                edits.dict_to.push(ADDED);
            }
        }
        if last.is_some() {
            edits.added = Blob {
                ends: vec![u32::try_from(self.replacement.len()).unwrap_or(u32::MAX)],
                bytes: self.replacement.clone().into_bytes(),
            };
        }
        edits
    }
}

fn nothing() -> Edits {
    Edits {
        verdicts: Vec::new(),
        added: Blob {
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

fn internal(message: &str) -> Error {
    Error {
        code: 4,
        message: message.into(),
        retryable: false,
    }
}

export!(Redact);
