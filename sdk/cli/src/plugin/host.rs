//! Runs a component in the host that agent and aggregator have, over a few requests.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use petrel_plugin_host::{
    Chain, Decision, OnError, OwnMetric, PluginLimits, PluginStats, ProcessorConfig, Teller,
    TraceFate, Verdict,
};
use petrel_wire::otlp::by_trace::{Take, TraceId, select};
use petrel_wire::{Batch, Clock, Limits, Signal, SystemClock, UnixNanos};
use serde_json::Value;

use super::cases::Case;
use super::{compiled, otlp};

/// Larger than the agent's default: whether that is wise is the operator's decision, not the tool's.
const COMPONENT_BYTES: u64 = 64 << 20;
const MEMORY_BYTES: usize = 128 << 20;
/// Ends a loop, and nothing else: the machine may be busy building.
const CALL: Duration = Duration::from_secs(5);

/// What a component may need here.
pub(crate) fn limits() -> PluginLimits {
    PluginLimits {
        component_bytes: COMPONENT_BYTES,
        memory_bytes: MEMORY_BYTES,
        call: CALL,
        ..PluginLimits::default()
    }
}

/// A component, configured.
#[derive(Debug)]
pub(crate) struct Host {
    chain: Chain,
    clock: Option<Arc<Steps>>,
    /// Spans that wait for a decision about their traces.
    held: RefCell<Vec<Batch>>,
    /// By output, what went elsewhere.
    routed: RefCell<BTreeMap<String, Vec<Batch>>>,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Passed on; empty if everything was dropped.
    Passed(Batch),
    /// The plugin failed, in words.
    Failed(String),
}

impl Host {
    /// Loads `component` with the host's own clock.
    pub(crate) fn load(component: &Path, config: Value) -> anyhow::Result<Self> {
        Self::with(component, config, BTreeMap::new(), None)
    }

    /// Loads `component` with the clock of golden cases: it stands still during a request, and each
    /// is a second after the one before.
    pub(crate) fn load_for_cases(component: &Path, config: Value) -> anyhow::Result<Self> {
        let clock = Some(Arc::new(Steps::default()));
        Self::with(component, config, BTreeMap::new(), clock)
    }

    /// As [`Host::load_for_cases`], with what the case configures and mounts.
    pub(crate) fn load_for_case(component: &Path, case: &Case) -> anyhow::Result<Self> {
        let clock = Some(Arc::new(Steps::default()));
        Self::with(component, case.config.clone(), case.lookups.clone(), clock)
    }

    fn with(
        component: &Path,
        config: Value,
        lookups: BTreeMap<String, PathBuf>,
        clock: Option<Arc<Steps>>,
    ) -> anyhow::Result<Self> {
        let stem = component.file_stem().unwrap_or_default();
        let config = ProcessorConfig {
            name: stem.to_string_lossy().into_owned(),
            plugin: component.to_owned(),
            // A failure must show here, whatever it would do to data.
            on_error: Some(OnError::Closed),
            config: if config.is_null() {
                serde_json::json!({})
            } else {
                config
            },
            // It sees nothing but examples here; `random` gives what it gives in the SDK's tests.
            allow_clock: true,
            random_seed: clock.is_some().then_some(0),
            lookups,
            limits: limits(),
            ..ProcessorConfig::default()
        };
        let time = match &clock {
            Some(steps) => Arc::clone(steps) as Arc<dyn Clock>,
            None => SystemClock::shared(),
        };
        let chain = Chain::load_with_clock(&[config], compiled::dir(), Limits::default(), &time)?;
        Ok(Self {
            chain,
            clock,
            held: RefCell::default(),
            routed: RefCell::default(),
        })
    }

    /// Runs it over one request. In a golden case what is to be held waits here, and comes out with
    /// the request at which it is decided: first what the timer decides before it, last what the
    /// request decides. Elsewhere nobody holds anything, and it passes.
    pub(crate) fn process(&self, batch: Batch) -> anyhow::Result<Outcome> {
        let signal = batch.signal();
        let holds = self.chain.holds() && signal == Signal::Traces;
        if self.clock.is_none() {
            let verdict = self.chain.process(batch);
            return self.passed(signal, verdict);
        }
        if !holds {
            let (verdict, routed) = self.chain.process_routed(batch);
            let mut all = self.routed.borrow_mut();
            for one in routed {
                all.entry(one.output.to_string())
                    .or_default()
                    .push(one.batch);
            }
            self.a_second_passes();
            return self.passed(signal, verdict);
        }
        let mut out = self.release(&self.chain.tick());
        let outcome = self.chain.run(batch);
        if !matches!(outcome.verdict, Verdict::Refused { .. }) {
            outcome.effects.settle();
        }
        self.held
            .borrow_mut()
            .extend(outcome.held.map(|held| held.batch));
        self.a_second_passes();
        Ok(match self.passed(signal, outcome.verdict)? {
            Outcome::Passed(batch) => {
                out.push(batch);
                out.extend(self.release(&outcome.decided));
                Outcome::Passed(Batch::concat(signal, &out))
            }
            failed @ Outcome::Failed(_) => failed,
        })
    }

    fn a_second_passes(&self) {
        if let Some(steps) = &self.clock {
            steps.seconds.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn passed(&self, signal: Signal, verdict: Verdict) -> anyhow::Result<Outcome> {
        Ok(match verdict {
            Verdict::Kept { batch, .. } => Outcome::Passed(batch),
            Verdict::Dropped { .. } => Outcome::Passed(otlp::empty(signal)?),
            Verdict::Refused { reason, .. } => {
                Outcome::Failed(self.stats()?.last_error.unwrap_or(reason))
            }
        })
    }

    /// What decisions let out.
    fn release(&self, decided: &[Decision]) -> Vec<Batch> {
        let now = self.chain.clock().monotonic();
        self.chain.decided().note(decided, now);
        let fates: HashMap<TraceId, TraceFate> = decided
            .iter()
            .map(|decision| (decision.trace, decision.fate))
            .collect();
        let fate = |trace: Option<TraceId>| trace.and_then(|trace| fates.get(&trace).copied());
        let mut held = self.held.borrow_mut();
        let mut released = Vec::new();
        for batch in held.iter_mut() {
            released.push(select(batch, |_, trace| {
                fate(trace).map_or(Take::Leave, TraceFate::take)
            }));
            *batch = select(batch, |_, trace| match fate(trace) {
                Some(_) => Take::Leave,
                None => Take::Keep,
            });
        }
        held.retain(|batch| !batch.is_empty());
        released
    }

    /// What went to other outputs so far in a golden case; elsewhere all of it passes.
    pub(crate) fn routed(&self) -> BTreeMap<String, Vec<Batch>> {
        self.routed.borrow().clone()
    }

    /// What it has counted so far, about itself and of the data.
    pub(crate) fn counted(&self) -> anyhow::Result<Vec<OwnMetric>> {
        let mut series = self.stats()?.own;
        for telling in self.chain.tellings(&Teller::default()) {
            series.extend(telling.series());
        }
        Ok(series)
    }

    /// What went wrong so far, be it with a single record.
    pub(crate) fn trouble(&self) -> anyhow::Result<Option<String>> {
        Ok(self.stats()?.last_error)
    }

    pub(crate) fn stats(&self) -> anyhow::Result<PluginStats> {
        self.chain
            .stats()
            .into_iter()
            .next()
            .context("a chain of one has the figures of one")
    }
}

/// When the first request of a case comes: the evening of 21 November 2024, UTC, as in the SDK.
const START_NS: u64 = 1_732_215_600_000_000_000;

/// The clock of golden cases. Deadlines are not told by it, so it may stand still.
#[derive(Debug, Default)]
struct Steps {
    seconds: AtomicU64,
}

impl Clock for Steps {
    fn wall(&self) -> UnixNanos {
        UnixNanos(START_NS + self.seconds.load(Ordering::Relaxed) * 1_000_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}
