//! What the host's kernels do, on the model's strings.

use std::cell::RefCell;

use regex::bytes::{Captures, Regex};
use serde_json::Value;

use super::columns::{Model, Raw, Strings};
use super::keys;
use crate::bindings::petrel::plugin::types;
use crate::registry::{access, kind};

/// Sets live as long as the thread, so that several processors can be tested on it.
#[derive(Default)]
struct Host {
    phase: Phase,
    patterns: Vec<Vec<Regex>>,
    keys: Vec<String>,
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    Configure,
    Process(Work),
}

struct Work {
    strings: Strings,
    /// The strings of each slot, and the slot's rights.
    slots: Vec<(Vec<u32>, u8)>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

pub(super) fn begin_configure() {
    HOST.with_borrow_mut(|host| host.phase = Phase::Configure);
}

pub(super) fn begin_process(model: &Model) {
    let mut slots: Vec<_> = model
        .plan
        .selectors
        .iter()
        .map(|selector| (Vec::new(), selector.access))
        .collect();
    for column in &model.columns {
        for cell in &column.cells {
            if let Raw::Coded(_, code) = cell.value {
                slots[usize::from(column.slot)].0.push(code);
            }
        }
    }
    let strings = model.strings.clone();
    HOST.with_borrow_mut(|host| host.phase = Phase::Process(Work { strings, slots }));
}

/// The strings of the batch, with those that kernels added.
pub(super) fn end() -> Strings {
    match HOST.with_borrow_mut(|host| std::mem::take(&mut host.phase)) {
        Phase::Process(work) => work.strings,
        _ => Strings::default(),
    }
}

/// Panics outside `configure`.
pub(super) fn check_configure(function: &str) {
    HOST.with_borrow(|host| host.in_configure(function));
}

/// A string of the batch in hand.
pub(super) fn string(code: u32) -> Option<Vec<u8>> {
    HOST.with_borrow_mut(|host| host.work("Recorder").strings.get(code).map(<[u8]>::to_vec))
}

/// Adds a string to the batch in hand.
pub(super) fn append(text: &[u8]) -> u32 {
    HOST.with_borrow_mut(|host| host.work("Column::join").strings.append(text))
}

impl Host {
    fn in_configure(&self, function: &str) {
        assert!(
            matches!(self.phase, Phase::Configure),
            "{function} belongs into configure"
        );
    }

    fn work(&mut self, function: &str) -> &mut Work {
        match &mut self.phase {
            Phase::Process(work) => work,
            _ => panic!("{function} belongs into process"),
        }
    }
}

impl Work {
    fn codes(&self, slot: u16, needed: u8) -> Vec<u32> {
        let meant = self.slots.iter().zip(0_u16..).filter(|((_, may), index)| {
            (slot == u16::MAX || slot == *index) && may & needed == needed
        });
        let mut codes: Vec<u32> = meant.flat_map(|((codes, _), _)| codes).copied().collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

fn config_error(message: String) -> types::Error {
    types::Error {
        code: 1,
        message,
        retryable: false,
    }
}

pub(crate) fn regex_set(patterns: &[String]) -> Result<u32, types::Error> {
    let compiled = patterns.iter().map(|pattern| Regex::new(pattern));
    let set = compiled
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| config_error(error.to_string()))?;
    HOST.with_borrow_mut(|host| {
        host.in_configure("Patterns::compile");
        host.patterns.push(set);
        Ok(super::columns::number(host.patterns.len() - 1))
    })
}

pub(crate) fn key_set(rule: &str) -> Result<u32, types::Error> {
    if !keys::is_rule(rule) {
        return Err(config_error(format!("{rule:?} is not a rule for keys")));
    }
    HOST.with_borrow_mut(|host| {
        host.in_configure("Keys::compile");
        host.keys.push(rule.into());
        Ok(super::columns::number(host.keys.len() - 1))
    })
}

pub(crate) fn match_dict(set: u32, slot: u16) -> Vec<u64> {
    HOST.with_borrow_mut(|host| {
        let patterns = host.patterns.get(set as usize).cloned().unwrap_or_default();
        let work = host.work("Patterns::matches");
        let mut bits = vec![0_u64; work.strings.list.len().div_ceil(64)];
        for code in work.codes(slot, access::READ) {
            let text = work.strings.get(code).unwrap_or_default();
            if patterns.iter().any(|pattern| pattern.is_match(text)) {
                bits[code as usize / 64] |= 1 << (code % 64);
            }
        }
        bits
    })
}

pub(crate) fn redact_dict(
    set: u32,
    keys: u32,
    slot: u16,
    replacement: &str,
) -> (Vec<u32>, Vec<u32>) {
    HOST.with_borrow_mut(|host| {
        let redaction = Redaction {
            patterns: host.patterns.get(set as usize).cloned().unwrap_or_default(),
            keys: host.keys.get(keys as usize).cloned(),
            replacement,
        };
        let work = host.work("accel::redact");
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for code in work.codes(slot, access::READ | access::WRITE) {
            let text = work.strings.get(code).unwrap_or_default();
            if let Some(new) = redaction.text(text) {
                from.push(code);
                to.push(work.strings.append(&new));
            }
        }
        (from, to)
    })
}

/// Not the host's function, but as good: nobody may rely on the numbers.
pub(crate) fn hash_dict(codes: &[u32], seed: u64) -> Vec<u64> {
    HOST.with_borrow_mut(|host| {
        let work = host.work("accel::hash");
        let hash = |code: &u32| {
            let text = work.strings.get(*code).unwrap_or_default();
            let mixed = |hash: u64, byte: &u8| {
                (hash ^ u64::from(*byte))
                    .wrapping_mul(0x0100_0000_01b3)
                    .rotate_left(5)
            };
            text.iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, mixed)
        };
        codes.iter().map(hash).collect()
    })
}

struct Redaction<'a> {
    patterns: Vec<Regex>,
    keys: Option<String>,
    replacement: &'a str,
}

impl Redaction<'_> {
    fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        let opens = text.trim_ascii_start().first();
        if matches!(opens, Some(b'{' | b'['))
            && let Ok(json) = serde_json::from_slice::<Value>(text)
        {
            let walked = self.json(&json);
            return (walked != json).then(|| walked.to_string().into_bytes());
        }
        let mut now = text.to_vec();
        for pattern in &self.patterns {
            now = pattern
                .replace_all(&now, |found: &Captures<'_>| self.found(found))
                .into_owned();
        }
        (now != text).then_some(now)
    }

    fn found(&self, found: &Captures<'_>) -> Vec<u8> {
        let whole = found.get(0).map_or(0..0, |whole| whole.range());
        let text = &found[0];
        if found
            .name("luhn")
            .is_some_and(|digits| !luhn(digits.as_bytes()))
        {
            return text.to_vec();
        }
        let part = found
            .name("value")
            .map_or(whole.clone(), |part| part.range());
        let (start, end) = (part.start - whole.start, part.end - whole.start);
        [&text[..start], self.replacement.as_bytes(), &text[end..]].concat()
    }

    fn json(&self, json: &Value) -> Value {
        match json {
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, value)| {
                        let covered = self
                            .keys
                            .as_ref()
                            .is_some_and(|rule| keys::covers(rule, key));
                        let value = if covered {
                            self.replacement.into()
                        } else {
                            self.json(value)
                        };
                        (key.clone(), value)
                    })
                    .collect(),
            ),
            Value::Array(values) => values.iter().map(|value| self.json(value)).collect(),
            Value::String(text) => match self.text(text.as_bytes()) {
                Some(new) => String::from_utf8_lossy(&new).into(),
                None => json.clone(),
            },
            other => other.clone(),
        }
    }
}

fn luhn(digits: &[u8]) -> bool {
    let digits = digits.iter().rev().filter(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') * if place % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The member of an AnyValue and its value.
pub(super) fn any_value(of: u8, text: &[u8]) -> Value {
    use base64::Engine as _;
    match of {
        kind::BYTES => {
            let text = base64::engine::general_purpose::STANDARD.encode(text);
            serde_json::json!({"bytesValue": text})
        }
        kind::JSON => match serde_json::from_slice(text) {
            Ok(json) => any_of(&json),
            Err(_) => any_value(kind::STRING, text),
        },
        _ => serde_json::json!({"stringValue": String::from_utf8_lossy(text)}),
    }
}

fn any_of(json: &Value) -> Value {
    use serde_json::json;
    match json {
        Value::Null => json!({}),
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => json!({"intValue": whole.to_string()}),
            None => json!({"doubleValue": number}),
        },
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(any_of).collect();
            json!({"arrayValue": {"values": values}})
        }
        Value::Object(members) => {
            let pairs = members
                .iter()
                .map(|(key, value)| json!({"key": key, "value": any_of(value)}));
            json!({"kvlistValue": {"values": pairs.collect::<Vec<_>>()}})
        }
    }
}
