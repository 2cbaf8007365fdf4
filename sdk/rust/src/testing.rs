//! Runs a processor natively over OTLP/JSON, in a unit test: no wasm, so debuggers and coverage work.
//!
//! A model of the host stands in for it: it projects what the plan asks for, answers kernels, and
//! checks and applies the edits by the same rules, on the JSON instead of on protobuf. What passes
//! here is then run in the real host by `petrel plugin test`.
//!
//! ```
//! # use petrel_plugin::prelude::*;
//! # struct Hide(Slot);
//! # #[derive(Deserialize)] struct Config { key: String }
//! # impl Processor for Hide {
//! #     type Config = Config;
//! #     fn about() -> About { about!() }
//! #     fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
//! #         Ok(Self(plan.select(Selector::attributes(Table::RESOURCE, &config.key).unseen().write())))
//! #     }
//! #     fn process(&mut self, _: &Batch<'_>, edits: &mut Edits) -> Result<()> {
//! #         edits.replace_all(self.0, "hidden");
//! #         Ok(())
//! #     }
//! # }
//! use petrel_plugin::testing::{attribute, json, resource_with, Tested};
//!
//! let mut plugin = Tested::<Hide>::new(json!({"key": "host.name"})).unwrap();
//! let request = resource_with(json!([attribute("host.name", "secret")]));
//! let after = plugin.run(&request).unwrap();
//! assert_eq!(after, resource_with(json!([attribute("host.name", "hidden")])));
//! ```
#![expect(
    clippy::panic,
    reason = "tests are told by a panic; the host's traps are panics here"
)]

mod apply;
mod columns;
mod golden;
pub(crate) mod instruments;
pub(crate) mod kept;
pub(crate) mod kernels;
mod keys;
pub(crate) mod lookups;
mod routes;
mod rows;
pub(crate) mod senses;
mod window;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

pub use golden::golden;
pub use instruments::{Recorded, recorded};
pub use serde_json::{Value, json};

use crate::Processor;
use crate::bindings::petrel::plugin::types;
use crate::error::{Error, Result};
use crate::guest::{Configured, configure};
use crate::log::Level;

/// A configured processor and the host's side of it.
pub struct Tested<P> {
    configured: Configured<P>,
    now_ns: u64,
    batches: u64,
    kept: kept::Kept,
    window: window::Window,
    ticked_ns: u64,
    routed: Vec<(String, Value)>,
}

/// What the model offers.
const LIMITS: types::Limits = types::Limits {
    memory_bytes: 32 << 20,
    call_budget_us: 100_000,
    max_added_bytes: 1 << 20,
    max_cell_edits: u32::MAX,
    state_bytes: 1 << 20,
    window_bytes: 64 << 20,
};

/// When a test's batches come, if nothing else is said: the evening of 21 November 2024, UTC.
const NOW_NS: u64 = 1_732_215_600_000_000_000;

impl<P: Processor> Tested<P> {
    /// Configures it, as the host does.
    pub fn new(config: Value) -> Result<Self> {
        Self::with_lookups(config, &BTreeMap::new())
    }

    /// As [`Tested::new`], with tables that the operator has mounted: names, and what stands in the
    /// files. Those of the newest one count for all that are tested on this thread.
    pub fn with_lookups(config: Value, lookups: &BTreeMap<String, String>) -> Result<Self> {
        lookups::mount(lookups);
        kernels::begin_configure();
        senses::begin();
        let configured = configure::<P>(config.to_string().as_bytes(), &LIMITS);
        kernels::end();
        Ok(Self {
            configured: configured?,
            now_ns: NOW_NS,
            batches: 0,
            kept: kept::Kept::new(),
            window: window::Window::default(),
            ticked_ns: NOW_NS,
            routed: Vec::new(),
        })
    }

    /// Moves the clock that batches are stamped with, nanoseconds since 1970.
    pub fn set_now_ns(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// Runs it over one OTLP/JSON request and gives back what the host would pass on. A request of a
    /// signal that it does not want passes untouched, one that loses everything comes back empty.
    ///
    /// What a processor holds, the model holds; what is decided comes out with the request at hand:
    /// first what its timer decides, if it is due, and last what it decides about the request itself.
    ///
    /// The error is the processor's own, or what the host would say of an answer that it refuses.
    pub fn run(&mut self, request: &Value) -> Result<Value> {
        let rows = rows::Rows::read(request).ok_or_else(|| {
            Error::bad_input(
                "this is no OTLP/JSON request: it has no resourceSpans, resourceLogs or resourceMetrics",
            )
        })?;
        let plan = self.configured.plan.asked.clone();
        if plan.signals & rows.signal.0 == 0 {
            return Ok(request.clone());
        }
        let mut out = self.tick()?;
        if rows.of(crate::Table::RECORD).is_empty() {
            return Ok(window::joined(request, out));
        }
        let (late, request) = self.window.late(request);
        out.extend(late);
        let Some(rows) =
            rows::Rows::read(&request).filter(|rows| !rows.of(crate::Table::RECORD).is_empty())
        else {
            return Ok(window::joined(&request, out));
        };
        self.batches += 1;
        senses::set_now(self.now_ns);
        let model = columns::Model::project(&request, rows, &plan);
        let batch = model.batch(self.batches, self.now_ns);
        kernels::begin_process(&model);
        kept::begin(self.kept.clone(), self.now_ns);
        let answer = self.configured.process(&batch);
        let strings = kernels::end();
        let state = kept::end();
        let applied = answer.and_then(|answer| self.apply(&request, &model, strings, answer));
        instruments::end(applied.is_ok());
        let (kept, released) = applied?;
        self.kept = state;
        if out.is_empty() && released.is_empty() {
            return Ok(kept);
        }
        out.push(kept);
        out.extend(released);
        Ok(window::joined(&request, out))
    }

    /// Holds what is to be held; what is kept, and what is let out of the window.
    fn apply(
        &mut self,
        request: &Value,
        model: &columns::Model,
        strings: columns::Strings,
        mut answer: types::Edits,
    ) -> Result<(Value, Vec<Value>)> {
        let decided = window::take_decisions(&mut answer).map_err(Error::bad_input)?;
        let records = model.rows.of(crate::Table::RECORD).len();
        let outputs = &model.plan.outputs;
        let routed = routes::take_routed(&mut answer, outputs, records);
        for (output, routed) in routed.map_err(Error::bad_input)? {
            let out = apply::apply(request, model, strings.clone(), &routed);
            let out = out.map_err(Error::bad_input)?;
            let has_records = rows::Rows::read(&out)
                .is_some_and(|rows| !rows.of(crate::Table::RECORD).is_empty());
            if has_records {
                self.routed.push((output, out));
            }
        }
        if let Some(holding) = window::take_holding(&mut answer) {
            let held = apply::apply(request, model, strings.clone(), &holding);
            self.window.hold(held.map_err(Error::bad_input)?);
        }
        let kept = apply::apply(request, model, strings, &answer).map_err(Error::bad_input)?;
        Ok((kept, self.window.decide(decided)))
    }

    /// Calls the timer if it is due by the clock of the test; what it lets out of the window.
    fn tick(&mut self) -> Result<Vec<Value>> {
        let every = u64::from(self.configured.plan.asked.tick_ms) * 1_000_000;
        if every == 0 || self.now_ns < self.ticked_ns + every {
            return Ok(Vec::new());
        }
        self.ticked_ns = self.now_ns;
        senses::set_now(self.now_ns);
        let mut answer = self.configured.tick(self.now_ns)?;
        let decided = window::take_decisions(&mut answer).map_err(Error::bad_input)?;
        Ok(self.window.decide(decided))
    }

    /// Lets another instance take over, with what this one saves, as a reload does.
    pub fn replace(&mut self, config: Value) -> Result<()> {
        let state = self.configured.processor.save();
        let mut next = Self::new(config)?;
        if !state.is_empty() {
            next.configured.processor.restore(&state);
        }
        self.configured = next.configured;
        Ok(())
    }

    /// What went to other outputs than the default one since the last call: an output's name, and a
    /// request for each of those that came.
    pub fn routed(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.routed)
    }

    /// The processor itself, to look at its state.
    pub fn processor(&self) -> &P {
        &self.configured.processor
    }
}

// Of no use in a failed test, and processors need not have it.
impl<P> fmt::Debug for Tested<P> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tested").finish_non_exhaustive()
    }
}

thread_local! {
    static SAID: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn said(level: Level, message: &str) {
    SAID.with_borrow_mut(|said| said.push((level, message.into())));
}

/// What was logged on this thread since the last call.
pub fn logged() -> Vec<(Level, String)> {
    SAID.take()
}

/// A string attribute of OTLP/JSON.
pub fn attribute(key: &str, text: &str) -> Value {
    json!({"key": key, "value": {"stringValue": text}})
}

/// A request with one resource, one scope and one span that has these attributes.
pub fn span_with(attributes: Value) -> Value {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": "0102030405060708090a0b0c0d0e0f10",
        "spanId": "0102030405060708",
        "name": "GET /",
        "attributes": attributes,
    }]}]}]})
}

/// A request with one log record.
pub fn log_with(body: Value, attributes: Value) -> Value {
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{
        "body": body,
        "attributes": attributes,
    }]}]}]})
}

/// A request with one resource that has these attributes, and an empty span.
pub fn resource_with(attributes: Value) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes},
        "scopeSpans": [{"spans": [{}]}],
    }]})
}
