//! A plugin's instances: taken for a call, put back if they are well, replaced if they are not.
//!
//! A plugin that keeps state has one, which all threads wait for, and which hands its state on when
//! it is replaced. Any other has as many as there are threads in need of one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::component::Loaded;
use crate::config::PluginLimits;
use crate::engine::Engine;
use crate::hold::{Decision, decisions};
use crate::host::Shared;
use crate::instance::{Failure, Instance, RELOAD};

/// Idle instances that are kept.
const MOST_IDLE: usize = 4;

/// How to make an instance, and those that there are.
pub(crate) struct Pool {
    loaded: Loaded,
    /// JSON.
    config: Vec<u8>,
    limits: PluginLimits,
    shared: Arc<Shared>,
    /// One instance for all, because it keeps state from batch to batch.
    single: bool,
    /// Held while an instance is taken or put back; of a single one also while it works.
    idle: Mutex<Idle>,
    started: AtomicU64,
    /// Of the newest instance.
    generation: AtomicU64,
}

/// What an instance said that its successor should know, and its generation.
type Saved = (u64, Vec<u8>);

#[derive(Default)]
pub(crate) struct Idle {
    instances: Vec<Instance>,
    /// Of a single instance that is no more.
    saved: Option<Saved>,
}

impl Pool {
    /// Around a first instance, which is configured.
    pub(crate) fn new(
        loaded: Loaded,
        config: Vec<u8>,
        limits: PluginLimits,
        shared: Arc<Shared>,
        single: bool,
        first: Instance,
    ) -> Self {
        Self {
            generation: AtomicU64::new(first.generation),
            loaded,
            config,
            limits,
            shared,
            single,
            idle: Mutex::new(Idle {
                instances: vec![first],
                saved: None,
            }),
            started: AtomicU64::new(1),
        }
    }

    /// Instances made so far.
    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// From here on what it does counts: time and chance are real.
    pub(crate) fn begin(&self) {
        self.shared.senses.begin();
    }

    /// Whether the files of its lookups still hold what was read.
    pub(crate) fn has_current_tables(&self) -> bool {
        self.shared.tables.are_current()
    }

    /// What instances have taken: of memory at most, of fuel in all.
    pub(crate) fn taken(&self) -> (u64, u64) {
        let load = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        (load(&self.shared.memory), load(&self.shared.fuel))
    }

    /// Another number says that what a single instance knew is lost.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(crate) fn is_single(&self) -> bool {
        self.single
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something on an instance. One that died in it is gone; one that is worn hands on.
    pub(crate) fn with<T>(
        &self,
        engine: &Engine,
        run: impl FnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut idle = self.idle();
        let taken = idle.instances.pop();
        let saved = if taken.is_none() {
            idle.saved.take()
        } else {
            None
        };
        let held = self.single.then_some(idle);
        let mut instance = match taken {
            Some(instance) => instance,
            None => self.start(engine, saved)?,
        };
        let answer = run(&mut instance);
        if matches!(&answer, Err(failure) if failure.is_final()) {
            return answer;
        }
        let is_worn = instance.is_worn();
        let generation = instance.generation;
        let saved = (is_worn && self.single).then(|| instance.save(engine));
        let mut idle = held.unwrap_or_else(|| self.idle());
        if !is_worn && idle.instances.len() < MOST_IDLE {
            idle.instances.push(instance);
        }
        // What cannot be saved is lost, as it is in a trap.
        if let Some(Ok(state)) = saved
            && !state.is_empty()
        {
            idle.saved = Some((generation, state));
        }
        answer
    }

    /// Instances that keep state begin anew, and those that know another time and chance from their
    /// trial: a key drawn there would be everybody's.
    pub(crate) fn renew(&self, engine: &Engine) -> Result<(), Failure> {
        let has_sensed = ["clock", "random"]
            .iter()
            .any(|one| self.loaded.imports(one));
        if self.single || has_sensed {
            let instance = self.start(engine, None)?;
            *self.idle() = Idle {
                instances: vec![instance],
                saved: None,
            };
        }
        Ok(())
    }

    fn start(&self, engine: &Engine, saved: Option<Saved>) -> Result<Instance, Failure> {
        self.started.fetch_add(1, Ordering::Relaxed);
        let mut instance = Instance::new(engine, &self.loaded, &self.shared, &self.limits)?;
        let state = saved.as_ref().map(|(_, state)| state.as_slice());
        instance.configure(engine, &self.config, &self.limits, state)?;
        if let Some((generation, _)) = saved {
            instance.generation = generation;
        }
        self.generation
            .store(instance.generation, Ordering::Relaxed);
        Ok(instance)
    }

    /// Takes over from the pool of an older version, if both keep state: what the older one saves is
    /// given to an instance of this one.
    pub(crate) fn take_over<'a>(
        &'a self,
        older: &'a Self,
        engine: &Engine,
    ) -> Option<Handover<'a>> {
        if !self.single || !older.single {
            return None;
        }
        let mut before = older.idle();
        let mut after = self.idle();
        let mut decided = Vec::new();
        let state = match before.instances.pop() {
            Some(mut instance) => {
                let flushed = instance.flush(engine, RELOAD);
                let state = flushed.and_then(|edits| {
                    decided = decisions(&edits).unwrap_or_default();
                    instance.save(engine)
                });
                let generation = instance.generation;
                if !matches!(&state, Err(failure) if failure.is_final()) {
                    before.instances.push(instance);
                }
                state.ok().map(|state| (generation, state))
            }
            None => before.saved.take(),
        };
        if let Some(state) = state.filter(|(_, state)| !state.is_empty()) {
            match self.start(engine, Some(state)) {
                Ok(instance) => after.instances = vec![instance],
                Err(failure) => {
                    let (plugin, words) = (&self.shared.name, failure.words());
                    tracing::warn!(plugin, "{plugin} begins anew, without its state: {words}");
                }
            }
        }
        Some(Handover {
            decided,
            _before: before,
            _after: after,
        })
    }
}

/// Between two versions: while this lives, neither is called.
pub(crate) struct Handover<'a> {
    /// What the older one decided about traces in the end.
    pub(crate) decided: Vec<Decision>,
    _before: MutexGuard<'a, Idle>,
    _after: MutexGuard<'a, Idle>,
}
