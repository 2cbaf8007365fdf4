//! Lets the first of equal log records through and counts the rest.
//!
//! Equal means: the same body, severity, event name and sender. Within a window after one passed, its
//! like are dropped; the next one that passes after the window says how many those were. Bodies stay
//! with the host: this module sees hashes.

use std::collections::HashMap;

use petrel_plugin::accel;
use petrel_plugin::prelude::*;
use petrel_plugin::{Code, Column};

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seconds for which the like of a record are dropped.
    window_s: u64,
    /// Further attributes that must be the same.
    keys: Vec<String>,
    /// Records of at least this severity always pass.
    keep_severity: u64,
    /// The attribute that says how many were dropped.
    count_key: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window_s: 10,
            keys: Vec::new(),
            keep_severity: 17,
            count_key: "log.dedup.dropped".into(),
        }
    }
}

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "window_s": { "type": "integer", "minimum": 1, "default": 10, "description": "Seconds for which the like of a record are dropped." },
    "keys": { "type": "array", "items": { "type": "string" }, "description": "Further attributes that must be the same." },
    "keep_severity": { "type": "integer", "minimum": 1, "default": 17, "description": "Records of at least this severity number always pass." },
    "count_key": { "type": "string", "default": "log.dedup.dropped", "description": "The attribute that says how many were dropped." }
  }
}"#;

/// Distinct records that are remembered: about 8 MiB. Beyond that new ones pass.
const MOST_RECORDS: usize = 100_000;
/// Which service, which instance of it.
const SENDER: &str = "service.name|service.instance.id|service.namespace|host.name";

/// What `configure` prepared for `process`, and what passed lately.
#[derive(Debug)]
pub struct LogDedup {
    window_ns: u64,
    keep_severity: u64,
    body: Slot,
    severity: Slot,
    sender: Slot,
    /// What else must be the same: the event's name, and attributes.
    same: Vec<Slot>,
    count: Slot,
    passed: HashMap<u64, Passed>,
}

#[derive(Clone, Copy, Debug)]
struct Passed {
    at_ns: u64,
    dropped: i64,
}

impl Processor for LogDedup {
    type Config = Config;

    fn about() -> About {
        about!().schema(SCHEMA).signals(Signals::LOGS).keeps_state()
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        if config.window_s == 0 {
            return Err(Error::config("config.window_s must be 1 or more"));
        }
        if config.count_key.is_empty() || config.count_key.contains(['*', '|']) {
            return Err(Error::config(
                "config.count_key must be one attribute's key",
            ));
        }
        plan.without_strings();
        let mut same = vec![plan.select(Selector::field(Table::RECORD, Field::NAME))];
        if !config.keys.is_empty() {
            let keys = config.keys.join("|");
            same.push(plan.select(Selector::attributes(Table::RECORD, &keys).kinds(Kinds::ANY)));
        }
        let count = Selector::attributes(Table::RECORD, &config.count_key);
        Ok(Self {
            window_ns: config.window_s.saturating_mul(1_000_000_000),
            keep_severity: config.keep_severity,
            body: plan.select(Selector::field(Table::RECORD, Field::BODY)),
            severity: plan.select(Selector::field(Table::RECORD, Field::SEVERITY_NUMBER)),
            sender: plan.select(Selector::attributes(Table::RESOURCE, SENDER)),
            same,
            count: plan.select(count.unseen().create().write()),
            passed: HashMap::new(),
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        let now_ns = batch.now_ns();
        self.forget(now_ns);
        let hashes = Hashes::of(batch);
        let mut senders = vec![0; batch.rows(Table::RESOURCE) as usize];
        hashes.add(batch.columns(self.sender), &mut senders);
        let mut records = vec![0; batch.rows(Table::RECORD) as usize];
        for slot in [self.body, self.severity].iter().chain(&self.same) {
            hashes.add(batch.columns(*slot), &mut records);
        }
        for (row, record) in (0_u32..).zip(records) {
            // Without a body there is nothing to be equal by.
            let severity = match batch.get(self.severity, row).map(|cell| cell.value) {
                Some(Value::Uint(severity)) => severity,
                _ => 0,
            };
            if severity >= self.keep_severity || batch.get(self.body, row).is_none() {
                continue;
            }
            let sender = batch
                .resource_of(row)
                .and_then(|row| senders.get(row as usize));
            let like = mix(record, *sender.unwrap_or(&0));
            match self.passed.get_mut(&like) {
                Some(passed) if now_ns.saturating_sub(passed.at_ns) < self.window_ns => {
                    passed.dropped += 1;
                    edits.drop_record(batch, row);
                }
                found => {
                    let dropped = found.map_or(0, |passed| passed.dropped);
                    if dropped > 0 {
                        edits.put(batch, self.count, row, dropped);
                    }
                    if self.passed.len() < MOST_RECORDS || dropped > 0 {
                        let passed = Passed {
                            at_ns: now_ns,
                            dropped: 0,
                        };
                        self.passed.insert(like, passed);
                    }
                }
            }
        }
        Ok(())
    }
}

impl LogDedup {
    /// What is over and has nothing to tell. What has is kept for ten windows, for its like to tell.
    fn forget(&mut self, now_ns: u64) {
        let window_ns = self.window_ns;
        self.passed.retain(|_, passed| {
            let windows = if passed.dropped > 0 { 10 } else { 1 };
            now_ns.saturating_sub(passed.at_ns) < window_ns.saturating_mul(windows)
        });
    }
}

/// A hash for each string of a batch.
struct Hashes(HashMap<Code, u64>);

impl Hashes {
    fn of(batch: &Batch<'_>) -> Self {
        let mut codes: Vec<Code> = batch
            .all_columns()
            .flat_map(|column| column.codes())
            .collect();
        // Keys are strings of the batch as well.
        codes.extend(
            batch
                .all_columns()
                .filter_map(|column| Some(column.key()?.code)),
        );
        codes.sort_unstable();
        codes.dedup();
        let hashes = accel::hash(&codes, 0);
        Self(codes.into_iter().zip(hashes).collect())
    }

    /// Adds each value to the hash of its row. The order in which attributes came is of no meaning.
    fn add<'a>(&self, columns: impl Iterator<Item = Column<'a>>, rows: &mut [u64]) {
        let of = |code: Code| self.0.get(&code).copied().unwrap_or_default();
        for column in columns {
            let key = mix(
                column.slot().number().into(),
                column.key().map_or(1, |key| of(key.code)),
            );
            for cell in column.cells() {
                let value = match cell.value {
                    Value::Text(text) | Value::Bytes(text) | Value::Json(text) => of(text.code),
                    Value::Bool(truth) => truth.into(),
                    Value::Int(number) => number.cast_unsigned(),
                    Value::Double(number) => number.to_bits(),
                    Value::Uint(word) | Value::Time(word) => word,
                    _ => 0,
                };
                if let Some(row) = rows.get_mut(cell.row as usize) {
                    *row = row.wrapping_add(mix(key, value));
                }
            }
        }
    }
}

/// Two numbers into one that says little about either (the finaliser of SplitMix64).
fn mix(one: u64, other: u64) -> u64 {
    let mut word = one.rotate_left(32) ^ other.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

petrel_plugin::export!(LogDedup);
