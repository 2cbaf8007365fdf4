//! Instruments: what a plugin counts, added up and exported by the host.
//!
//! They are declared in `configure` and recorded with in `process`. What is recorded counts when the
//! answer is accepted and the batch is on its way; an error, a trap or a retry counts nothing twice.
//! A plugin may have 32 instruments and 1,000 series; what goes beyond is one series a metric, with
//! the attribute `otel.metric.overflow`.
//!
//! ```no_run
//! # use petrel_plugin::prelude::*;
//! use petrel_plugin::metrics::{Instrument, Metric};
//!
//! struct Count {
//!     service: Slot,
//!     calls: Metric,
//! }
//! # #[derive(Deserialize)] struct Config {}
//! # impl Processor for Count {
//! #     type Config = Config;
//! #     fn about() -> About { about!() }
//! fn configure(_: Config, plan: &mut Plan) -> Result<Self> {
//!     let calls = Instrument::counter("calls").telemetry().labels(["resource.service.name"]);
//!     Ok(Self {
//!         service: plan.select(Selector::attributes(Table::RESOURCE, "service.name")),
//!         calls: calls.declare(),
//!     })
//! }
//!
//! fn process(&mut self, batch: &Batch<'_>, _: &mut Edits) -> Result<()> {
//!     let mut calls = self.calls.recorder();
//!     for row in 0..batch.rows(Table::RECORD) {
//!         let service = batch.resource_of(row).and_then(|row| batch.get(self.service, row));
//!         calls.record([1.0], [service.into()]);
//!     }
//!     calls.finish();
//!     Ok(())
//! }
//! # }
//! ```

use crate::bindings::petrel::plugin::metrics as contract;
use crate::bindings::petrel::plugin::types::Blob;
use crate::column::{Cell, Code, Text};

#[cfg(target_arch = "wasm32")]
use crate::bindings::petrel::plugin::metrics as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::instruments as host;

/// Something to count with, before it is declared. At first: about the plugin itself, without labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument {
    asked: contract::Instrument,
}

impl Instrument {
    /// A sum that only grows.
    pub fn counter(name: &str) -> Self {
        Self::new(name, 1)
    }

    /// A sum that goes up and down.
    pub fn up_down_counter(name: &str) -> Self {
        Self::new(name, 2)
    }

    /// The newest value.
    pub fn gauge(name: &str) -> Self {
        Self::new(name, 3)
    }

    /// A distribution of values that are not below zero.
    pub fn histogram(name: &str) -> Self {
        Self::new(name, 4)
    }

    fn new(name: &str, kind: u8) -> Self {
        Self {
            asked: contract::Instrument {
                name: name.into(),
                unit: String::new(),
                instrument_kind: kind,
                audience: 0,
                output: 0,
                label_keys: Vec::new(),
            },
        }
    }

    /// In UCUM's spelling: `ms`, `By`, `{call}`.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        self.asked.unit = unit.into();
        self
    }

    /// New telemetry, which the agent forwards, instead of something about the plugin, which it shows
    /// to whoever runs it.
    #[must_use]
    pub fn telemetry(mut self) -> Self {
        self.asked.audience = 1;
        self
    }

    /// Keys of the values' attributes. One that begins with `resource.` becomes an attribute of the
    /// resource, without the prefix: `resource.service.name` says whose metric it is.
    #[must_use]
    pub fn labels<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.asked.label_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Only in `configure`.
    pub fn declare(self) -> Metric {
        let labels = self.asked.label_keys.len();
        Metric {
            id: host::declare(&self.asked),
            labels,
        }
    }
}

/// A declared instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    id: u32,
    labels: usize,
}

impl Metric {
    /// Records one value without labels; only in `process`.
    pub fn add(self, value: f64) {
        host::add(self.id, value);
    }

    /// Collects values of one batch, which cross over to the host together.
    pub fn recorder(self) -> Recorder<1> {
        Recorder::of([self])
    }
}

/// A label's value: a string of the batch, one of the plugin's own ([`Recorder::text`]), or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(u32);

impl Label {
    /// The attribute is left out.
    pub const NONE: Self = Self(Code::NONE.0);
}

impl From<Code> for Label {
    fn from(code: Code) -> Self {
        Self(code.0)
    }
}

impl From<Text<'_>> for Label {
    fn from(text: Text<'_>) -> Self {
        text.code.into()
    }
}

/// The string that a cell holds; nothing for what is no string.
impl From<Cell<'_>> for Label {
    fn from(cell: Cell<'_>) -> Self {
        cell.value.text().map_or(Self::NONE, Self::from)
    }
}

impl<L: Into<Label>> From<Option<L>> for Label {
    fn from(label: Option<L>) -> Self {
        label.map_or(Self::NONE, L::into)
    }
}

/// Values of one instrument in one batch, or of several that have the same labels.
#[derive(Clone, Debug)]
#[must_use]
pub struct Recorder<const N: usize> {
    metrics: [Metric; N],
    values: [Vec<f64>; N],
    /// Of how many values there are labels.
    recorded: usize,
    codes: Vec<u32>,
    extra: Blob,
}

impl<const N: usize> Recorder<N> {
    /// For several instruments with the same labels at once.
    pub fn of(metrics: [Metric; N]) -> Self {
        Self {
            metrics,
            values: [const { Vec::new() }; N],
            recorded: 0,
            codes: Vec::new(),
            extra: Blob {
                ends: Vec::new(),
                bytes: Vec::new(),
            },
        }
    }

    /// A string that is none of the batch's, for labels of this recorder.
    pub fn text(&mut self, text: &str) -> Label {
        let index = u32::try_from(self.extra.ends.len()).unwrap_or(u32::MAX);
        self.extra.bytes.extend_from_slice(text.as_bytes());
        let end = u32::try_from(self.extra.bytes.len()).unwrap_or(u32::MAX);
        self.extra.ends.push(end);
        Label(Code::ADDED.0 | index)
    }

    /// Labels in the order in which their keys were declared; those that are missing are nothing.
    pub fn record(&mut self, values: [f64; N], labels: impl IntoIterator<Item = Label>) {
        for (all, value) in self.values.iter_mut().zip(values) {
            all.push(value);
        }
        self.recorded += 1;
        self.codes.extend(labels.into_iter().map(|label| label.0));
        let keys = self.metrics.first().map_or(0, |metric| metric.labels);
        self.codes.resize(self.recorded * keys, Label::NONE.0);
    }

    /// Hands them over; only in `process`.
    pub fn finish(self) {
        for (metric, values) in self.metrics.iter().zip(&self.values) {
            if !values.is_empty() {
                host::record_many(metric.id, values, &self.codes, &self.extra);
            }
        }
    }
}
