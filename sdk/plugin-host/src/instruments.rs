//! Instruments that a plugin declares, and what it records with them during one call.
//!
//! A call's recordings stay with the call: they count when its answer has been accepted and its batch
//! has gone where it should (`effects`), so that a trap, a retry or a halved batch counts nothing
//! twice. Strings are looked up at once, each set of labels once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bindings::petrel::plugin::metrics;
use crate::bindings::petrel::plugin::types::Blob;
use crate::host::{HostState, Phase, Work};
use crate::registry::{ALL_SLOTS, access, code};

/// Of one plugin.
const MOST_INSTRUMENTS: usize = 32;
const MOST_LABELS: usize = 32;
/// Names and units as OpenTelemetry allows them; label keys as long.
const NAME_BYTES: usize = 255;
const UNIT_BYTES: usize = 63;
/// What is kept of a label's value.
const VALUE_BYTES: usize = 256;
/// Values and labels of one call together.
const CALL_BYTES: usize = 8 << 20;

/// What something is counted with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Instrument {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) kind: Kind,
    pub(crate) audience: Audience,
    pub(crate) labels: Vec<String>,
}

/// How values of an instrument become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Counter,
    UpDownCounter,
    Gauge,
    Histogram,
}

/// Whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Audience {
    /// About the plugin itself, for whoever runs the agent.
    Operator,
    /// New telemetry, which goes the way of all data.
    Telemetry,
}

/// Values by label; one without a value is nothing.
pub(crate) type Labels = Vec<Option<Box<str>>>;

/// Values with the same labels, recorded in one call.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) instrument: Arc<Instrument>,
    pub(crate) labels: Labels,
    pub(crate) values: Vec<f64>,
}

/// Of one call.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    pub(crate) groups: Vec<Recorded>,
    bytes: usize,
    /// By the sheet's code, whether the plugin was shown that string; for plugins that number
    /// strings as the sheet does.
    shown: Option<Vec<bool>>,
}

impl Instrument {
    /// Checks a declaration; the error is for the operator.
    fn check(asked: metrics::Instrument) -> Result<Self, String> {
        let metrics::Instrument { name, unit, .. } = &asked;
        let is_name = name.len() <= NAME_BYTES
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte));
        if !is_name {
            return Err(format!("declares an instrument called {name:?}"));
        }
        if unit.len() > UNIT_BYTES || !unit.is_ascii() {
            return Err(format!("gives instrument {name} the unit {unit:?}"));
        }
        let labels = &asked.label_keys;
        let is_key = |key: &String| !key.is_empty() && key.len() <= NAME_BYTES;
        let distinct = |(at, key): (usize, &String)| !labels[..at].contains(key);
        if labels.len() > MOST_LABELS
            || !labels.iter().all(is_key)
            || !labels.iter().enumerate().all(distinct)
        {
            return Err(format!(
                "gives instrument {name} labels that are empty, given twice, or more than {MOST_LABELS}"
            ));
        }
        if asked.output != 0 {
            return Err(format!(
                "wants what instrument {name} counts on output {}, which is not there",
                asked.output
            ));
        }
        let kind = match asked.instrument_kind {
            1 => Kind::Counter,
            2 => Kind::UpDownCounter,
            3 => Kind::Gauge,
            4 => Kind::Histogram,
            other => return Err(format!("gives instrument {name} the kind {other}")),
        };
        let audience = match asked.audience {
            0 => Audience::Operator,
            1 => Audience::Telemetry,
            other => return Err(format!("gives instrument {name} the audience {other}")),
        };
        Ok(Self {
            name: asked.name,
            unit: asked.unit,
            kind,
            audience,
            labels: asked.label_keys,
        })
    }

    fn check_value(&self, value: f64) -> Result<(), String> {
        let may_be_negative = matches!(self.kind, Kind::UpDownCounter | Kind::Gauge);
        if value.is_finite() && (value >= 0.0 || may_be_negative) {
            return Ok(());
        }
        let name = &self.name;
        Err(format!("records {value} with instrument {name}"))
    }
}

impl metrics::Host for HostState {
    fn declare(&mut self, asked: metrics::Instrument) -> wasmtime::Result<u32> {
        self.in_configure("metrics.declare")?;
        if self.instruments.len() >= MOST_INSTRUMENTS {
            return Err(fault(format!(
                "it declares more than {MOST_INSTRUMENTS} instruments"
            )));
        }
        let instrument = Instrument::check(asked).map_err(|words| fault(format!("it {words}")))?;
        self.instruments.push(Arc::new(instrument));
        Ok(u32::try_from(self.instruments.len() - 1).unwrap_or(u32::MAX))
    }

    fn add(&mut self, id: u32, value: f64) -> wasmtime::Result<()> {
        let nothing = Blob {
            ends: Vec::new(),
            bytes: Vec::new(),
        };
        self.record_many(id, vec![value], Vec::new(), nothing)
    }

    fn record_many(
        &mut self,
        id: u32,
        values: Vec<f64>,
        codes: Vec<u32>,
        extra: Blob,
    ) -> wasmtime::Result<()> {
        let instrument = self.instruments.get(id as usize).map(Arc::clone);
        let instrument =
            instrument.ok_or_else(|| fault(format!("it never declared instrument {id}")))?;
        let Phase::Process(work) = &mut self.phase else {
            return Err(fault("metrics.record-many outside process".into()));
        };
        let mut watch = work.watch(&self.shared);
        if work.recordings.shown.is_none() && !work.codes.are_own() && !work.plan.want_dict {
            work.recordings.shown = Some(work.shown()?);
        }
        let labels = instrument.labels.len();
        if codes.len() != values.len().saturating_mul(labels) {
            let (codes, values) = (codes.len(), values.len());
            return Err(fault(format!(
                "it gives {codes} codes for {values} values with {labels} labels each"
            )));
        }
        let mut groups: HashMap<&[u32], Recorded> = HashMap::new();
        for (index, value) in values.iter().enumerate() {
            watch.look()?;
            instrument
                .check_value(*value)
                .map_err(|words| fault(format!("it {words}")))?;
            let set = &codes[index * labels..(index + 1) * labels];
            work.recordings.bytes += size_of::<f64>();
            if let Some(group) = groups.get_mut(set) {
                group.values.push(*value);
            } else {
                let texts: Result<Labels, String> =
                    set.iter().map(|code| work.label(*code, &extra)).collect();
                let texts = texts.map_err(|words| fault(format!("it {words}")))?;
                let length: usize = texts.iter().flatten().map(|text| text.len()).sum();
                work.recordings.bytes += size_of::<Recorded>() + length;
                groups.insert(
                    set,
                    Recorded {
                        instrument: Arc::clone(&instrument),
                        labels: texts,
                        values: vec![*value],
                    },
                );
            }
            if work.recordings.bytes > CALL_BYTES {
                return Err(fault(format!(
                    "it records more than {CALL_BYTES} bytes in one call"
                )));
            }
        }
        work.recordings.groups.extend(groups.into_values());
        Ok(())
    }
}

fn fault(words: String) -> wasmtime::Error {
    wasmtime::Error::msg(words)
}

impl Work {
    /// Which strings the plugin was shown, by the sheet's codes.
    fn shown(&self) -> wasmtime::Result<Vec<bool>> {
        let mut shown = vec![false; self.codes.len(&self.dictionary)];
        let keys = self.view.batch.columns.iter().map(|column| column.key);
        for code in self
            .values(ALL_SLOTS, access::READ)?
            .into_iter()
            .chain(keys)
        {
            if let Some(shown) = shown.get_mut(code as usize) {
                *shown = true;
            }
        }
        Ok(shown)
    }

    /// The text of a label: a string of the batch that the plugin was shown, or one of its own.
    fn label(&self, guest: u32, extra: &Blob) -> Result<Option<Box<str>>, String> {
        let text = match guest {
            code::NULL => return Ok(None),
            code::ADDED.. => extra_text(extra, guest - code::ADDED),
            _ => {
                // What came later kernels made for it.
                let shown = self.recordings.shown.as_ref();
                let is_shown = shown.is_none_or(|shown| shown.get(guest as usize) != Some(&false));
                let text = self.dictionary.get(self.codes.to_sheet(guest));
                text.filter(|_| is_shown)
            }
        };
        let text = text.ok_or_else(|| format!("uses code {guest}, which is no string's"))?;
        let text = String::from_utf8_lossy(text);
        let mut end = text.len().min(VALUE_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Ok(Some(Box::from(&text[..end])))
    }
}

fn extra_text(extra: &Blob, index: u32) -> Option<&[u8]> {
    let index = index as usize;
    let end = *extra.ends.get(index)? as usize;
    let start = match index.checked_sub(1) {
        Some(before) => extra.ends[before] as usize,
        None => 0,
    };
    extra.bytes.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> metrics::Instrument {
        metrics::Instrument {
            name: "calls".into(),
            unit: "{call}".into(),
            instrument_kind: 1,
            audience: 1,
            output: 0,
            label_keys: vec!["span.name".into()],
        }
    }

    #[test]
    fn a_declaration_that_cannot_be_kept_is_refused_in_words() {
        type Change = fn(&mut metrics::Instrument);
        let cases: [(Change, &str); 7] = [
            (|i| i.name = "9lives".into(), "called \"9lives\""),
            (|i| i.unit = "\u{b5}s".into(), "the unit"),
            (|i| i.instrument_kind = 5, "the kind 5"),
            (|i| i.audience = 2, "the audience 2"),
            (|i| i.output = 1, "on output 1"),
            (|i| i.label_keys.push("span.name".into()), "given twice"),
            (|i| i.label_keys.push(String::new()), "empty"),
        ];
        for (change, words) in cases {
            let mut wrong = asked();
            change(&mut wrong);
            let error = Instrument::check(wrong).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(Instrument::check(asked()).unwrap().kind, Kind::Counter);
    }

    #[test]
    fn what_is_no_number_or_goes_backwards_is_not_counted() {
        let counter = Instrument::check(asked()).unwrap();
        assert!(counter.check_value(0.0).is_ok());
        for value in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(counter.check_value(value).is_err(), "{value}");
        }
        let gauge = Instrument {
            kind: Kind::Gauge,
            ..counter
        };
        assert!(gauge.check_value(-1.0).is_ok());
    }
}
