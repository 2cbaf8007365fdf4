//! What the host does with instruments, so far as a test can see it: it notes what was recorded.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::kernels;
use crate::bindings::petrel::plugin::metrics::Instrument;
use crate::bindings::petrel::plugin::types::Blob;

/// Values of one instrument with the same labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// As it was declared.
    pub name: String,
    /// As it was declared.
    pub unit: String,
    /// Keys and values; what has no value is left out.
    pub labels: Vec<(String, String)>,
    /// In the order in which they came.
    pub values: Vec<f64>,
    kind: u8,
}

/// An instrument, and labels.
type Series = (u32, Vec<(String, String)>);

/// Declared instruments live as long as the thread, so that several processors can be tested on it.
#[derive(Default)]
struct Host {
    declared: Vec<Instrument>,
    /// Of the call that runs.
    call: Vec<(Series, f64)>,
    /// Of calls that brought an answer.
    counted: BTreeMap<Series, Vec<f64>>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

pub(crate) fn declare(asked: &Instrument) -> u32 {
    kernels::check_configure("Instrument::declare");
    HOST.with_borrow_mut(|host| {
        host.declared.push(asked.clone());
        super::columns::number(host.declared.len() - 1)
    })
}

pub(crate) fn add(id: u32, value: f64) {
    let nothing = Blob {
        ends: Vec::new(),
        bytes: Vec::new(),
    };
    record_many(id, &[value], &[], &nothing);
}

pub(crate) fn record_many(id: u32, values: &[f64], codes: &[u32], extra: &Blob) {
    HOST.with_borrow_mut(|host| {
        let Some(instrument) = host.declared.get(id as usize) else {
            panic!("instrument {id} was never declared");
        };
        let (name, keys) = (&instrument.name, &instrument.label_keys);
        assert_eq!(
            codes.len(),
            values.len() * keys.len(),
            "{name} has {} labels",
            keys.len()
        );
        for (index, value) in values.iter().enumerate() {
            let may_be_negative = matches!(instrument.instrument_kind, 2 | 3);
            assert!(
                value.is_finite() && (*value >= 0.0 || may_be_negative),
                "{value} is recorded with {name}"
            );
            let labels = keys.iter().zip(&codes[index * keys.len()..]);
            let labels = labels
                .filter(|(_, code)| **code != u32::MAX)
                .map(|(key, code)| (key.clone(), text(*code, extra)))
                .collect();
            host.call.push(((id, labels), *value));
        }
    });
}

fn text(code: u32, extra: &Blob) -> String {
    let bytes = match code.checked_sub(1 << 31) {
        None => kernels::string(code),
        Some(index) => {
            let index = index as usize;
            let end = extra.ends.get(index).map(|end| *end as usize);
            let start = index
                .checked_sub(1)
                .map_or(0, |before| extra.ends[before] as usize);
            end.and_then(|end| extra.bytes.get(start..end))
                .map(<[u8]>::to_vec)
        }
    };
    match bytes {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => panic!("code {code} is no string's"),
    }
}

/// A call is over; what it recorded counts if it brought an answer.
pub(super) fn end(is_accepted: bool) {
    HOST.with_borrow_mut(|host| {
        for (series, value) in std::mem::take(&mut host.call) {
            if is_accepted {
                host.counted.entry(series).or_default().push(value);
            }
        }
    });
}

/// What was recorded on this thread since the last call of this function, by the order in which
/// instruments were declared and then by labels.
pub fn recorded() -> Vec<Recorded> {
    HOST.with_borrow_mut(|host| {
        let counted = std::mem::take(&mut host.counted).into_iter();
        counted
            .map(|((id, labels), values)| {
                let instrument = &host.declared[id as usize];
                Recorded {
                    name: instrument.name.clone(),
                    unit: instrument.unit.clone(),
                    kind: instrument.instrument_kind,
                    labels,
                    values,
                }
            })
            .collect()
    })
}

/// As golden cases have it: one object a series, sums for counters, the newest value of a gauge, how
/// many and how much for distributions.
pub(super) fn summary(recorded: Vec<Recorded>) -> Value {
    let mut series: Vec<_> = recorded
        .into_iter()
        .map(|one| {
            let mut labels = one.labels;
            labels.sort();
            let sum: f64 = one.values.iter().sum();
            let labels: Map<_, _> = labels
                .into_iter()
                .map(|(key, text)| (key, text.into()))
                .collect();
            let mut said = json!({"name": one.name, "unit": one.unit, "labels": labels});
            match one.kind {
                4 => {
                    said["count"] = one.values.len().into();
                    said["sum"] = sum.into();
                }
                3 => said["value"] = one.values.last().copied().into(),
                _ => said["value"] = sum.into(),
            }
            said
        })
        .collect();
    series.sort_by_key(|one| (one["name"].to_string(), one["labels"].to_string()));
    series.into()
}
