//! Decides about whole traces, once their spans have had time to arrive.
//!
//! Traces with an error, a slow span or something rare in them are kept as soon as that is seen. The
//! others wait, and of them a consistent part is kept, by the trace's own randomness (OpenTelemetry,
//! "TraceState: Probability Sampling"): every agent that sees spans of a trace decides alike, and the
//! spans say what they were kept with, so that counts can be corrected.
//!
//! The host holds the spans; what is remembered here of a trace that waits is 48 bytes.

mod rare;
mod waiting;

use std::collections::HashSet;
use std::time::Duration;

use petrel_plugin::prelude::*;
use petrel_plugin::sampling::{Threshold, Tracestate, randomness_of};
use rare::Rare;
use waiting::Waiting;

/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
const SECOND_NS: u64 = 1_000_000_000;
/// How often it is looked whether traces have waited long enough.
const TICK: Duration = Duration::from_millis(500);

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seconds from a trace's first span until it is decided.
    decision_wait_s: f64,
    /// Traces with a span whose status is an error are kept.
    errors: bool,
    /// Traces with a span that took at least so long are kept; 0 = whatever they took.
    slow_ms: u64,
    /// Traces with something rare in them are kept.
    rare: Vec<RareConfig>,
    /// The part of all other traces that is kept, from 0 to 1.
    ratio: f64,
    /// Traces that may wait; of more, the oldest are decided early.
    max_traces: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RareConfig {
    /// The attribute of spans that is looked at; without one, the name of the span.
    #[serde(default)]
    attribute: String,
    /// A value is rare when it is seen for so many spans, and no more...
    at_most: u32,
    /// ...in so many seconds.
    #[serde(default = "a_minute")]
    in_s: u64,
}

fn a_minute() -> u64 {
    60
}

impl Default for Config {
    fn default() -> Self {
        Self {
            decision_wait_s: 10.0,
            errors: true,
            slow_ms: 0,
            rare: Vec::new(),
            ratio: 0.1,
            max_traces: 100_000,
        }
    }
}

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "decision_wait_s": { "type": "number", "minimum": 0.1, "default": 10, "description": "Seconds from a trace's first span until it is decided." },
    "errors": { "type": "boolean", "default": true, "description": "Traces with an error are kept." },
    "slow_ms": { "type": "integer", "minimum": 0, "default": 0, "description": "Traces with a span that took at least so long are kept; 0 = off." },
    "rare": {
      "type": "array",
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["at_most"],
        "properties": {
          "attribute": { "type": "string", "description": "Attribute of spans; without one, their name." },
          "at_most": { "type": "integer", "minimum": 1, "description": "A value is rare while it was seen no more often..." },
          "in_s": { "type": "integer", "minimum": 1, "default": 60, "description": "...in so many seconds." }
        }
      },
      "description": "Traces with something rare are kept."
    },
    "ratio": { "type": "number", "minimum": 0, "maximum": 1, "default": 0.1, "description": "The part of all other traces that is kept." },
    "max_traces": { "type": "integer", "minimum": 1, "default": 100000, "description": "Traces that may wait; of more, the oldest are decided early." }
  }
}"#;

/// What `configure` prepared, and the traces that wait.
#[derive(Debug)]
pub struct TailSample {
    wait_ns: u64,
    errors: bool,
    slow_ns: Option<u64>,
    rare: Vec<(Slot, Rare)>,
    threshold: Option<Threshold>,
    max_traces: usize,
    state_bytes: u64,
    trace_id: Slot,
    tracestate: Slot,
    status: Slot,
    duration: Slot,
    waiting: Waiting,
}

impl Processor for TailSample {
    type Config = Config;

    fn about() -> About {
        about!()
            .schema(SCHEMA)
            .signals(Signals::TRACES)
            .holds_traces()
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        if !(0.1..=3_600.0).contains(&config.decision_wait_s) {
            return Err(Error::config(format!(
                "config: decision_wait_s {} is not between 0.1 and 3600",
                config.decision_wait_s
            )));
        }
        if !(0.0..=1.0).contains(&config.ratio) {
            return Err(Error::config(format!(
                "config: ratio {} is not between 0 and 1; 0.1 keeps a tenth",
                config.ratio
            )));
        }
        if config.max_traces == 0 || config.rare.iter().any(|rule| rule.in_s == 0) {
            return Err(Error::config(
                "config: max_traces and in_s must be at least 1",
            ));
        }
        let wait = Duration::from_secs_f64(config.decision_wait_s);
        plan.tick_every(TICK.min(wait));
        let record = |field| Selector::field(Table::RECORD, field);
        let rare = config.rare.into_iter().map(|rule| {
            let selector = match rule.attribute.as_str() {
                "" => record(Field::NAME),
                key => Selector::attributes(Table::RECORD, key),
            };
            (
                plan.select(selector),
                Rare::new(rule.at_most, rule.in_s * SECOND_NS),
            )
        });
        Ok(Self {
            wait_ns: u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX),
            errors: config.errors,
            slow_ns: (config.slow_ms > 0).then(|| config.slow_ms.saturating_mul(1_000_000)),
            rare: rare.collect(),
            threshold: Threshold::of_ratio(config.ratio),
            max_traces: config.max_traces,
            state_bytes: plan.state_bytes(),
            trace_id: plan.select(record(Field::TRACE_ID)),
            tracestate: plan.select(record(Field::TRACESTATE)),
            status: plan.select(record(Field::STATUS_CODE)),
            duration: plan.select(record(Field::DURATION)),
            waiting: Waiting::default(),
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        let now = batch.now_ns();
        let records = batch.rows(Table::RECORD);
        let mut traces = vec![None; records as usize];
        for cell in batch.cells(self.trace_id) {
            if let (Value::TraceId(id), Some(trace)) =
                (cell.value, traces.get_mut(cell.row as usize))
            {
                *trace = Some(id);
            }
        }
        let kept = self.wanted(batch, &traces);
        for trace in &kept {
            self.waiting.remove(trace);
            edits.decide(*trace, Fate::Keep);
        }
        for (trace, row) in traces.iter().zip(0..) {
            let Some(trace) = trace.filter(|trace| !kept.contains(trace)) else {
                continue;
            };
            if !self.waiting.contains(&trace) {
                let state = batch.get(self.tracestate, row);
                let state = state.and_then(|cell| cell.value.text());
                let state = state.map(|text| Tracestate::read(&text.to_str()));
                let randomness = state.unwrap_or_default().randomness;
                let randomness = randomness.unwrap_or_else(|| randomness_of(trace));
                self.waiting.add(trace, now, randomness);
            }
            edits.hold(batch, row);
        }
        while self.waiting.len() > self.max_traces {
            self.decide_first(edits);
        }
        Ok(())
    }

    fn tick(&mut self, now_ns: u64, edits: &mut Edits) -> Result<()> {
        while self
            .waiting
            .first_ns()
            .is_some_and(|first| first + self.wait_ns <= now_ns || first > now_ns + self.wait_ns)
        {
            self.decide_first(edits);
        }
        Ok(())
    }

    fn save(&mut self) -> Vec<u8> {
        self.waiting.save(self.state_bytes)
    }

    fn restore(&mut self, state: &[u8]) {
        self.waiting = Waiting::restore(state);
    }
}

impl TailSample {
    /// The traces of which one of these spans says that they are to be kept.
    fn wanted(&mut self, batch: &Batch<'_>, traces: &[Option<[u8; 16]>]) -> HashSet<[u8; 16]> {
        let mut wanted = HashSet::new();
        let mut want = |row: u32| wanted.extend(traces.get(row as usize).copied().flatten());
        if self.errors {
            let errors = batch
                .cells(self.status)
                .filter(|cell| cell.value == Value::Uint(ERROR));
            errors.for_each(|cell| want(cell.row));
        }
        if let Some(slow) = self.slow_ns {
            let is_slow = |cell: &Cell<'_>| matches!(cell.value, Value::Uint(took) if took >= slow);
            let slow = batch.cells(self.duration).filter(is_slow);
            slow.for_each(|cell| want(cell.row));
        }
        for (slot, rare) in &mut self.rare {
            for cell in batch.cells(*slot) {
                let text = cell.value.text();
                if text.is_some_and(|text| rare.is_rare(text.bytes, batch.now_ns())) {
                    want(cell.row);
                }
            }
        }
        wanted
    }

    /// Nothing more spoke for it: its randomness decides.
    fn decide_first(&mut self, edits: &mut Edits) {
        let Some((trace, randomness)) = self.waiting.take_first() else {
            return;
        };
        let fate = match self.threshold {
            Some(threshold) if threshold.keeps_all() => Fate::Keep,
            Some(threshold) if threshold.keeps(randomness) => Fate::Sampled(threshold.value()),
            _ => Fate::Drop,
        };
        edits.decide(trace, fate);
    }
}

petrel_plugin::export!(TailSample);
