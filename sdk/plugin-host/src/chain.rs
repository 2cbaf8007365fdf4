//! The chain: processors in order, and what they make of a batch.
//!
//! A closed processor's failure refuses the batch to the sender: unprocessed data goes nowhere. The
//! processors can be replaced while batches go through; each batch meets those that were there when
//! it came.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use petrel_wire::{Batch, Clock, Limits, SystemClock};

use crate::account::PluginStats;
use crate::cache::Cache;
use crate::config::ProcessorConfig;
use crate::effects::Effects;
use crate::engine::{Engine, Kind};
use crate::hold::{Decided, Decision};
use crate::rehearsal::Recent;
use crate::route::{Routed, joined};
use crate::run::Outcome;
use crate::state::{States, Store};
use crate::steps::{Ground, Steps};
use crate::telling::{Retired, Teller, Telling};
use crate::view::Stamper;

/// Larger batches are cut and put together again: it bounds what a call takes and needs.
pub(crate) const PART_BYTES: usize = 4 << 20;

/// What the chain says about a batch.
#[derive(Debug)]
pub enum Verdict {
    /// Goes on, perhaps rewritten; `dropped` items were taken out by processors.
    Kept {
        /// The batch to seal; may be empty.
        batch: Batch,
        /// Items that processors dropped.
        dropped: u32,
    },
    /// Everything was dropped by a named processor (verdict or `on_error: drop`).
    Dropped {
        /// Which one.
        by: String,
    },
    /// A closed processor failed: the sender must be told to come again.
    Refused {
        /// Which one.
        by: String,
        /// For the sender, without data.
        reason: String,
    },
}

/// Why a chain could not be built, in words that name file and remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PluginError(pub String);

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Processors that go on as they are, instances and all.
    pub kept: usize,
    /// Processors that are new, have another component or another configuration.
    pub loaded: usize,
}

/// Compiled processors in order. Shared between threads; each call takes an instance from a pool.
#[derive(Debug)]
pub struct Chain {
    /// Held to take a copy, and to put another there.
    steps: RwLock<Arc<Steps>>,
    /// One reload at a time.
    reloading: Mutex<()>,
    cache_dir: Option<PathBuf>,
    ground: Ground,
    retired: Retired,
    decided: Decided,
    /// What processors decided when they were replaced, and nobody was told yet.
    told: Mutex<Vec<Decision>>,
}

impl Chain {
    /// Loads, checks imports, compiles (or loads from `cache_dir`) and configures every processor.
    pub fn load(
        configs: &[ProcessorConfig],
        cache_dir: Option<PathBuf>,
        limits: Limits,
    ) -> Result<Self, PluginError> {
        Self::load_with_clock(configs, cache_dir, limits, &SystemClock::shared())
    }

    /// As [`Chain::load`], with time from elsewhere.
    pub fn load_with_clock(
        configs: &[ProcessorConfig],
        cache_dir: Option<PathBuf>,
        limits: Limits,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, PluginError> {
        Self::load_with_store(configs, cache_dir, limits, clock, None)
    }

    /// As [`Chain::load_with_clock`], for processors that keep something across restarts; without a
    /// store they keep it until the chain is gone.
    pub fn load_with_store(
        configs: &[ProcessorConfig],
        cache_dir: Option<PathBuf>,
        limits: Limits,
        clock: &Arc<dyn Clock>,
        store: Option<Arc<dyn Store>>,
    ) -> Result<Self, PluginError> {
        let states = States::new(store, Arc::clone(clock));
        Self::load_after(configs, &Steps::default(), cache_dir, limits, states, clock)
    }

    /// As [`Chain::load`], compiled to count instructions, which costs time; for measurements.
    pub(crate) fn metered(
        configs: &[ProcessorConfig],
        limits: Limits,
    ) -> Result<Self, PluginError> {
        let memory = configs.iter().map(|config| config.limits.memory_bytes);
        let engine = Engine::of(memory.max().unwrap_or(0), Kind::Metered).map_err(PluginError)?;
        let none = Steps::of(Vec::new(), Arc::new(engine));
        let clock = SystemClock::shared();
        let states = States::new(None, Arc::clone(&clock));
        Self::load_after(configs, &none, None, limits, states, &clock)
    }

    fn load_after(
        configs: &[ProcessorConfig],
        before: &Steps,
        cache_dir: Option<PathBuf>,
        limits: Limits,
        states: States,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, PluginError> {
        let cache = open_cache(cache_dir.as_ref());
        let ground = Ground {
            limits,
            stamper: Stamper::new(Arc::clone(clock)),
            recent: Recent::default(),
            states,
        };
        let (steps, _) = Steps::load(configs, before, cache.as_ref(), &ground)?;
        Ok(Self {
            steps: RwLock::new(Arc::new(steps)),
            reloading: Mutex::new(()),
            cache_dir,
            ground,
            retired: Retired::default(),
            decided: Decided::default(),
            told: Mutex::default(),
        })
    }

    /// Replaces the processors by those of `configs`, between two batches: a batch that is on its way
    /// finishes with the old ones, the next one meets the new ones, none meets both. What has not
    /// changed goes on with its instances; counters go on under their names; a processor with state
    /// hands it to the one that has its name next.
    ///
    /// What is new is first tried on parts of recent batches, of which nothing goes anywhere. If it
    /// does not load or fails on one of them, the old ones stay, all of them; the error says why.
    /// Compiles on the calling thread.
    pub fn reload(&self, configs: &[ProcessorConfig]) -> Result<Reloaded, PluginError> {
        let _turn = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let old = self.steps();
        let cache = open_cache(self.cache_dir.as_ref());
        let (steps, reloaded) = Steps::load(configs, &old, cache.as_ref(), &self.ground)?;
        let new = Arc::new(steps);
        let handovers = new.take_over(&old);
        *self.steps.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        let told = handovers.iter().flat_map(|one| one.decided.iter().copied());
        self.told().extend(told);
        drop(handovers);
        self.retired.note(&old, &new);
        let Reloaded { kept, loaded } = reloaded;
        tracing::info!(
            kept,
            loaded,
            "{loaded} processors loaded anew, {kept} go on"
        );
        Ok(reloaded)
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Vec<Decision>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_told(&self) -> Vec<Decision> {
        std::mem::take(&mut *self.told())
    }

    pub(crate) fn decided_lately(&self) -> &Decided {
        &self.decided
    }

    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    pub(crate) fn steps(&self) -> Arc<Steps> {
        Arc::clone(&self.steps.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// No processors.
    pub fn is_empty(&self) -> bool {
        self.steps().processors.is_empty()
    }

    /// As [`Chain::run`], for whoever can neither hold nor route anything: what should be held or go
    /// elsewhere is kept. Whatever is not refused counts as accepted.
    pub fn process(&self, batch: Batch) -> Verdict {
        let (verdict, effects) = self.process_for(batch);
        if !matches!(verdict, Verdict::Refused { .. }) {
            effects.settle();
        }
        verdict
    }

    /// As [`Chain::process`], for a caller who may yet have to refuse the batch: what processors
    /// counted of it counts when the effects are settled.
    pub fn process_for(&self, batch: Batch) -> (Verdict, Effects) {
        self.run(batch).whole()
    }

    /// As [`Chain::process`], for whoever has a place for what goes elsewhere.
    pub fn process_routed(&self, batch: Batch) -> (Verdict, Vec<Routed>) {
        let Outcome {
            verdict,
            routed,
            effects,
            ..
        } = self.run(batch).unheld();
        if !matches!(verdict, Verdict::Refused { .. }) {
            effects.settle();
        }
        (verdict, routed)
    }

    /// All processors but one that holds.
    pub(crate) fn process_by(&self, steps: &Steps, batch: Batch) -> Outcome {
        if batch.is_empty() || steps.processors.is_empty() {
            return (Verdict::Kept { batch, dropped: 0 }, Effects::default()).into();
        }
        let recent = &self.ground.recent;
        let is_due = recent.is_due(batch.signal(), self.clock().monotonic());
        let sample = is_due.then(|| (batch.clone(), steps.troubles()));
        let processed = self.process_parts(steps, batch, 0);
        // What today's processors cannot take is no reason against tomorrow's.
        if let Some((batch, troubles)) = sample
            && troubles == steps.troubles()
        {
            recent.keep(batch);
        }
        processed
    }

    /// Cuts what is large.
    pub(crate) fn process_parts(&self, steps: &Steps, batch: Batch, from: usize) -> Outcome {
        let effects = RefCell::default();
        if batch.bytes().len() <= PART_BYTES {
            let ran = steps.run(batch, &self.ground, from, &effects);
            return Outcome {
                routed: ran.routed,
                ..(ran.verdict, effects.into_inner()).into()
            };
        }
        let signal = batch.signal();
        let (mut kept, mut routed) = (Vec::new(), Vec::new());
        let mut all_dropped = 0;
        let mut dropper = None;
        for part in batch.split(PART_BYTES) {
            let items = part.items();
            let ran = steps.run(part, &self.ground, from, &effects);
            routed.extend(ran.routed);
            match ran.verdict {
                Verdict::Kept { batch, dropped } => {
                    kept.push(batch);
                    all_dropped += dropped;
                }
                Verdict::Dropped { by } => {
                    all_dropped += items;
                    dropper = Some(by);
                }
                refused @ Verdict::Refused { .. } => return (refused, Effects::default()).into(),
            }
        }
        let verdict = match dropper {
            Some(by) if kept.is_empty() => Verdict::Dropped { by },
            _ => Verdict::Kept {
                batch: Batch::concat(signal, &kept),
                dropped: all_dropped,
            },
        };
        Outcome {
            routed: joined(routed),
            ..(verdict, effects.into_inner()).into()
        }
    }

    /// Writes down what processors keep and what has changed of it. Blocks on the disk.
    pub fn save_states(&self) {
        self.ground.states.save();
    }

    /// What processors have counted since the last time, each to be run through those that follow
    /// it ([`Chain::process_telling`]) and sent on.
    pub fn tellings(&self, teller: &Teller) -> Vec<Telling> {
        let steps = self.steps();
        let now = self.clock().wall();
        let retired = self.retired.tellings(now, teller);
        let current = steps
            .processors
            .iter()
            .filter_map(|one| Telling::take(one.meter(), one.name(), (one.plugin(), now), teller));
        retired.into_iter().chain(current).collect()
    }

    /// Runs what a processor counted through those that follow it, since it may hold what they take
    /// out; if the processor is gone, through all.
    pub fn process_telling(&self, telling: &Telling) -> (Verdict, Effects) {
        let steps = self.steps();
        let place = steps
            .processors
            .iter()
            .position(|one| one.name() == telling.processor());
        let from = place.map_or(0, |place| place + 1);
        self.run_telling(&steps, telling.batch().clone(), from)
    }

    /// Accounts in the order of the chain.
    pub fn stats(&self) -> Vec<PluginStats> {
        let steps = self.steps();
        steps.processors.iter().map(|one| one.stats()).collect()
    }

    /// Where time comes from.
    pub fn clock(&self) -> &dyn Clock {
        self.ground.stamper.clock().as_ref()
    }
}

/// Without a cache all works, but slower to start.
fn open_cache(dir: Option<&PathBuf>) -> Option<Cache> {
    let opened = Cache::open(dir?.clone()).inspect_err(|error| {
        tracing::warn!(error, "plugins are compiled at each start: {error}");
    });
    opened.ok()
}
