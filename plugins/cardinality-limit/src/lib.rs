//! Bounds how many distinct values an attribute may have.
//!
//! One label with a user's id in it makes a million series out of one metric. Within a window the
//! first values of a key pass, up to its limit; what comes new after that becomes `other`, or takes
//! its record with it. Values stay with the host: this module sees hashes.

use std::collections::HashSet;

use petrel_plugin::accel;
use petrel_plugin::prelude::*;
use petrel_plugin::{Code, log};

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    limits: Vec<Limit>,
    /// Seconds after which values are counted anew.
    #[serde(default = "window_s")]
    window_s: u64,
    #[serde(default)]
    over: Over,
    /// What stands in place of a value over the limit.
    #[serde(default = "replacement")]
    replacement: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// One attribute's key, or with `*` at either end several that share a limit.
    key: String,
    values: usize,
}

/// What becomes of a value over the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Over {
    #[default]
    Replace,
    Drop,
}

fn window_s() -> u64 {
    3_600
}

fn replacement() -> String {
    "other".into()
}

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["limits"],
  "properties": {
    "limits": {
      "type": "array",
      "minItems": 1,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["key", "values"],
        "properties": {
          "key": { "type": "string", "description": "An attribute's key; with * at either end several share a limit." },
          "values": { "type": "integer", "minimum": 1, "maximum": 100000 }
        }
      }
    },
    "window_s": { "type": "integer", "minimum": 1, "default": 3600, "description": "Seconds after which values are counted anew." },
    "over": { "enum": ["replace", "drop"], "default": "replace", "description": "What becomes of values over the limit, or of their records." },
    "replacement": { "type": "string", "default": "other" }
  }
}"#;

/// What is remembered of all keys together: 100,000 hashes are about 2 MiB.
const MOST_VALUES: usize = 100_000;
/// The hashes need no secret: who makes two values equal gets both through as one.
const SEED: u64 = 0;

/// What `configure` prepared for `process`, and the values met so far.
#[derive(Debug)]
pub struct CardinalityLimit {
    keys: Vec<Key>,
    window_ns: u64,
    over: Over,
    replacement: String,
    /// When the window began.
    since_ns: u64,
}

#[derive(Debug)]
struct Key {
    name: String,
    slot: Slot,
    most: usize,
    met: HashSet<u64>,
    /// Whether the operator knows.
    told: bool,
}

impl Processor for CardinalityLimit {
    type Config = Config;

    fn about() -> About {
        about!().schema(SCHEMA).keeps_state()
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        if config.limits.is_empty() {
            return Err(Error::config(
                "config.limits is empty; name a key and how many values it may have",
            ));
        }
        let all: usize = config.limits.iter().map(|limit| limit.values).sum();
        if all > MOST_VALUES || config.limits.iter().any(|limit| limit.values == 0) {
            return Err(Error::config(format!(
                "config.limits: each key may have 1 value or more, all of them together {MOST_VALUES}"
            )));
        }
        plan.without_strings();
        let keys = config.limits.into_iter().map(|limit| Key {
            slot: plan.select(Selector::attributes(Table::RECORD, &limit.key).write()),
            name: limit.key,
            most: limit.values,
            met: HashSet::new(),
            told: false,
        });
        Ok(Self {
            keys: keys.collect(),
            window_ns: config.window_s.max(1).saturating_mul(1_000_000_000),
            over: config.over,
            replacement: config.replacement,
            since_ns: 0,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        if batch.now_ns().saturating_sub(self.since_ns) >= self.window_ns {
            self.since_ns = batch.now_ns();
            for key in &mut self.keys {
                key.met.clear();
                key.told = false;
            }
        }
        for key in &mut self.keys {
            let over = key.over_limit(batch);
            match self.over {
                _ if over.is_empty() => {}
                Over::Replace => {
                    let other = edits.text(&self.replacement);
                    for code in over {
                        edits.replace(key.slot, code, other);
                    }
                }
                Over::Drop => {
                    let is_over = |cell: &Cell<'_>| {
                        let text = cell.value.text();
                        text.is_some_and(|text| over.binary_search(&text.code).is_ok())
                    };
                    for cell in batch.cells(key.slot).filter(is_over) {
                        edits.drop_record(batch, cell.row);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Key {
    /// Counts the values of a batch: those that are too many, ascending.
    fn over_limit(&mut self, batch: &Batch<'_>) -> Vec<Code> {
        let columns = batch.columns(self.slot);
        let mut codes: Vec<Code> = columns.flat_map(|column| column.codes()).collect();
        codes.sort_unstable();
        codes.dedup();
        let hashes = accel::hash(&codes, SEED);
        let mut over = Vec::new();
        for (code, hash) in codes.into_iter().zip(hashes) {
            if self.met.contains(&hash) {
                continue;
            }
            if self.met.len() < self.most {
                self.met.insert(hash);
            } else {
                over.push(code);
            }
        }
        if !over.is_empty() && !self.told {
            self.told = true;
            let Self { name, most, .. } = self;
            log::warn(&format!("{name} has more than {most} values"));
        }
        over
    }
}

petrel_plugin::export!(CardinalityLimit);
