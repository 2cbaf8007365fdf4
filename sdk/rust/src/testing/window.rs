//! The window of the model: what a processor holds, on OTLP/JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bindings::petrel::plugin::types::Edits;
use crate::edits::Fate;
use crate::registry::verdict;

/// Requests with spans that wait, and the fate of traces that were decided.
#[derive(Debug, Default)]
pub(super) struct Window {
    held: Vec<Value>,
    decided: BTreeMap<String, Fate>,
}

/// Takes the decisions out of an answer: hexadecimal trace ids and fates.
pub(super) fn take_decisions(answer: &mut Edits) -> Result<Vec<(String, Fate)>, String> {
    let mut words = std::mem::take(&mut answer.decided).into_iter();
    let verdicts = std::mem::take(&mut answer.decided_verdict);
    let mut decided = Vec::new();
    for given in verdicts {
        let mut next = || words.next().ok_or("decides with too few words");
        let trace = format!("{:016x}{:016x}", next()?, next()?);
        let fate = match given {
            verdict::KEEP => Fate::Keep,
            verdict::DROP => Fate::Drop,
            verdict::SAMPLED => Fate::Sampled(next()?),
            other => return Err(format!("decides {other} about a trace")),
        };
        decided.push((trace, fate));
    }
    match words.next() {
        None => Ok(decided),
        Some(_) => Err("decides with too many words".into()),
    }
}

/// If anything is to be held: the answer that leaves just that, and out of the answer it goes.
pub(super) fn take_holding(answer: &mut Edits) -> Option<Edits> {
    if !answer.verdicts.contains(&verdict::HOLD) {
        return None;
    }
    let mut holding = answer.clone();
    for (kept, held) in answer.verdicts.iter_mut().zip(&mut holding.verdicts) {
        let is_held = *held == verdict::HOLD;
        *held = if is_held {
            verdict::KEEP
        } else {
            verdict::DROP
        };
        if is_held {
            *kept = verdict::DROP;
        }
    }
    Some(holding)
}

/// Requests behind each other, with what else `request` says.
pub(super) fn joined(request: &Value, parts: Vec<Value>) -> Value {
    let groups = parts
        .into_iter()
        .filter_map(|mut part| match part["resourceSpans"].take() {
            Value::Array(groups) => Some(groups),
            _ => None,
        });
    let groups: Vec<Value> = groups.flatten().collect();
    let mut out = request.clone();
    if !groups.is_empty() {
        out["resourceSpans"] = groups.into();
    }
    out
}

impl Window {
    /// Spans of decided traces, as they go on, and the request without them.
    pub(super) fn late(&self, request: &Value) -> (Option<Value>, Value) {
        if self.decided.is_empty() {
            return (None, request.clone());
        }
        let fate = |trace: &str| self.decided.get(trace).copied();
        let passing = select(request, |trace| fate(trace).unwrap_or(Fate::Drop));
        let asked = select(request, |trace| match fate(trace) {
            Some(_) => Fate::Drop,
            None => Fate::Keep,
        });
        let passes = passing["resourceSpans"]
            .as_array()
            .is_some_and(|groups| !groups.is_empty());
        (passes.then_some(passing), asked)
    }

    pub(super) fn hold(&mut self, request: Value) {
        self.held.push(request);
    }

    /// What is let out.
    pub(super) fn decide(&mut self, decided: Vec<(String, Fate)>) -> Vec<Value> {
        let mut now = BTreeMap::new();
        for (trace, fate) in decided {
            if !self.decided.contains_key(&trace) {
                self.decided.insert(trace.clone(), fate);
                now.insert(trace, fate);
            }
        }
        let mut released = Vec::new();
        if now.is_empty() {
            return released;
        }
        for held in &mut self.held {
            let out = select(held, |trace| now.get(trace).copied().unwrap_or(Fate::Drop));
            if out["resourceSpans"]
                .as_array()
                .is_some_and(|groups| !groups.is_empty())
            {
                released.push(out);
            }
            *held = select(held, |trace| match now.get(trace) {
                Some(_) => Fate::Drop,
                None => Fate::Keep,
            });
        }
        released
    }
}

/// The spans of a request that are not dropped, without what is empty then.
fn select(request: &Value, fate: impl Fn(&str) -> Fate) -> Value {
    let mut out = request.clone();
    let Some(groups) = out["resourceSpans"].as_array_mut() else {
        return out;
    };
    for group in groups.iter_mut() {
        let Some(scopes) = group["scopeSpans"].as_array_mut() else {
            continue;
        };
        for scope in scopes.iter_mut() {
            let Some(spans) = scope["spans"].as_array_mut() else {
                continue;
            };
            spans.retain_mut(
                |span| match fate(span["traceId"].as_str().unwrap_or_default()) {
                    Fate::Keep => true,
                    Fate::Drop => false,
                    Fate::Sampled(threshold) => {
                        record(span, threshold);
                        true
                    }
                },
            );
        }
        scopes.retain(|scope| {
            scope["spans"]
                .as_array()
                .is_some_and(|list| !list.is_empty())
        });
    }
    groups.retain(|group| {
        group["scopeSpans"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
    });
    out
}

/// As the host writes it, where nothing larger stands.
fn record(span: &mut Value, threshold: u64) {
    let digits = format!("{threshold:014x}");
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let pair = json!({"key": "sampling.threshold", "value": {"stringValue": digits}});
    match span["attributes"].as_array_mut() {
        Some(attributes) => {
            let before = attributes.iter().position(|one| one["key"] == pair["key"]);
            let Some(before) = before else {
                attributes.push(pair);
                return;
            };
            // Without zeros at the end, digits compare like the numbers that they begin.
            let text = attributes[before]["value"]["stringValue"].as_str();
            if text.unwrap_or_default() < digits {
                attributes[before] = pair;
            }
        }
        None => span["attributes"] = json!([pair]),
    }
}
