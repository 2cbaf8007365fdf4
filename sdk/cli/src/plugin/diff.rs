//! The difference between two requests, attribute by attribute: for people, not for patches.
//!
//! The order of attributes is of no meaning in OTLP and makes no difference here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use petrel_wire::Batch;
use petrel_wire::otlp::json::{Layout, from_batch};
use serde_json::Value;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    On,
    Off,
}

impl Paint {
    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}

/// Lines that say how `new` differs from `old`; empty if it does not.
pub(crate) fn diff(old: &Batch, new: &Batch, paint: Paint) -> anyhow::Result<String> {
    let (old, new) = (Facts::of(old)?, Facts::of(new)?);
    let mut out = String::new();
    let places = old.order.iter().chain(&new.order);
    let mut said = Vec::new();
    for place in places {
        if said.contains(&place) {
            continue;
        }
        said.push(place);
        let nothing = BTreeMap::new();
        let had = old.facts.get(place).unwrap_or(&nothing);
        let has = new.facts.get(place).unwrap_or(&nothing);
        if had == has {
            continue;
        }
        let gone = |mark: &str| format!("  {mark} {place}");
        if !new.facts.contains_key(place) {
            writeln!(out, "{}", paint.red(&gone("-")))?;
            continue;
        }
        if old.facts.contains_key(place) {
            writeln!(out, "  {}", paint.bold(place))?;
        } else {
            writeln!(out, "{}", paint.green(&gone("+")))?;
        }
        let mut names: Vec<_> = had.keys().chain(has.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (had, has) = (had.get(name), has.get(name));
            if had == has {
                continue;
            }
            for value in had.into_iter().flatten() {
                writeln!(out, "{}", paint.red(&format!("    - {name}: {value}")))?;
            }
            for value in has.into_iter().flatten() {
                writeln!(out, "{}", paint.green(&format!("    + {name}: {value}")))?;
            }
        }
    }
    Ok(out)
}

/// What a request says: by place (a span, a resource) and name, the values in words.
#[derive(Debug, Default)]
struct Facts {
    /// Places as they come.
    order: Vec<String>,
    facts: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Facts {
    fn of(batch: &Batch) -> anyhow::Result<Self> {
        let json = serde_json::from_str(&from_batch(batch, Layout::Line))?;
        let mut facts = Self::default();
        facts.object("", "", &json);
        Ok(facts)
    }

    fn place(&mut self, place: &str) -> &mut BTreeMap<String, Vec<String>> {
        if !self.facts.contains_key(place) {
            self.order.push(place.to_owned());
        }
        self.facts.entry(place.to_owned()).or_default()
    }

    fn say(&mut self, place: &str, name: &str, value: String) {
        let values = self.place(place).entry(name.to_owned()).or_default();
        values.push(value);
    }

    fn object(&mut self, place: &str, prefix: &str, object: &Value) {
        for (name, value) in object.as_object().into_iter().flatten() {
            let full = format!("{prefix}{name}");
            match value {
                Value::Array(list) if is_attributes(name) => {
                    for pair in list {
                        let key = pair["key"].as_str().unwrap_or_default();
                        let key = match prefix {
                            "" => key.to_owned(),
                            prefix => format!("{prefix}attributes {key}"),
                        };
                        self.say(place, &key, words(&pair["value"]));
                    }
                }
                Value::Array(list) if list.iter().all(Value::is_object) => {
                    for (index, element) in list.iter().enumerate() {
                        let dot = if place.is_empty() { "" } else { "." };
                        let place = format!("{place}{dot}{full}[{}]", label(index, element));
                        self.place(&place);
                        self.object(&place, "", element);
                    }
                }
                Value::Object(_) if name == "body" => self.say(place, &full, words(value)),
                Value::Object(_) => self.object(place, &format!("{full}."), value),
                scalar => self.say(place, &full, scalar.to_string()),
            }
        }
    }
}

fn is_attributes(name: &str) -> bool {
    matches!(name, "attributes" | "filteredAttributes" | "metadata")
}

/// What an element is known by when others before it go.
fn label(index: usize, element: &Value) -> String {
    match element.get("spanId").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => index.to_string(),
    }
}

/// An `AnyValue` as JSON would have it.
fn words(any: &Value) -> String {
    let member = any.as_object().and_then(|any| any.iter().next());
    let Some((name, value)) = member else {
        return "null".into();
    };
    let list = || value["values"].as_array().into_iter().flatten();
    match name.as_str() {
        "intValue" => value.as_str().unwrap_or_default().to_owned(),
        "bytesValue" => format!("bytes {value}"),
        "arrayValue" => {
            let values: Vec<_> = list().map(words).collect();
            format!("[{}]", values.join(", "))
        }
        "kvlistValue" => {
            let pairs = list().map(|pair| format!("{}: {}", pair["key"], words(&pair["value"])));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use petrel_wire::{Limits, Signal};

    use super::*;

    fn batch(spans: &str) -> Batch {
        let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
        Batch::from_json(Signal::Traces, json.as_bytes(), &Limits::default()).unwrap()
    }

    fn span(id: u8, attributes: &str) -> String {
        format!(r#"{{"spanId":"00000000000000{id:02x}","name":"n","attributes":[{attributes}]}}"#)
    }

    const A: &str = r#"{"key":"a","value":{"stringValue":"x"}}"#;
    const A2: &str = r#"{"key":"a","value":{"intValue":5}}"#;
    const B: &str = r#"{"key":"b","value":{"kvlistValue":{"values":[{"key":"c","value":{"boolValue":true}}]}}}"#;

    #[test]
    fn a_difference_is_told_by_span_and_attribute_and_order_is_none() {
        let two = |one: String, other: String| batch(&format!("{one},{other}"));
        let old = two(span(1, &format!("{A},{B}")), span(2, A));
        assert_eq!(
            diff(
                &old,
                &two(span(1, &format!("{B},{A}")), span(2, A)),
                Paint::Off
            )
            .unwrap(),
            ""
        );
        let new = batch(&span(2, &format!("{A2},{B}")));
        let at = "resourceSpans[0].scopeSpans[0].spans";
        let want = format!(
            "  - {at}[0000000000000001]\n  {at}[0000000000000002]\n    - a: \"x\"\n    + a: 5\n    + b: {{\"c\": true}}\n"
        );
        assert_eq!(diff(&old, &new, Paint::Off).unwrap(), want);
        let painted = diff(&old, &new, Paint::On).unwrap();
        assert!(painted.contains("\x1b[31m    - a: \"x\"\x1b[0m\n"));
    }
}
