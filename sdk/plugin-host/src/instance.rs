//! One running copy of a plugin, and how it is called.
//!
//! After a trap an instance is never used again. A call has a deadline, an answer a size, memory a
//! cap; a panic in the host's own functions ends the call like a trap.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wasmtime::{Store, Trap};

use crate::bindings::exports::petrel::plugin::processor::Descriptor;
use crate::bindings::petrel::plugin::types::{Edits, Error, Limits, Plan as AskedPlan};
use crate::component::Exports;
use crate::config::PluginLimits;
use crate::engine::{Engine, ticks};
use crate::hold::new_generation;
use crate::host::{HostState, PastDeadline, Phase, Shared, Work, printable};

/// Bytes that a guest may hand over in one call.
const ANSWER_BYTES: usize = 8 << 20;
const DESCRIBE: Duration = Duration::from_secs(1);
const CONFIGURE: Duration = Duration::from_secs(5);
/// Recycling: what leaks slowly must not leak for ever.
const MOST_CALLS: u64 = 1_000_000;
const MOST_AGE: Duration = Duration::from_secs(3_600);
const MEMORY_HIGH_WATER_PERCENT: usize = 80;
/// A large batch may take as much, too; a new instance costs less than such a batch.
const MOST_GROWTH: usize = 8 << 20;
const SAVE: Duration = Duration::from_secs(1);
const STATE_BYTES: usize = 1 << 20;
/// Why `flush` is called.
pub(crate) const RELOAD: u8 = 2;
pub(crate) const SHUTDOWN: u8 = 3;
/// What a call may take that is about no batch.
const TICK: Duration = Duration::from_secs(1);

/// Why a call brought no answer, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The guest says so itself; it can be called again.
    Answered {
        /// Its words.
        words: String,
        /// It asks for the same batch again.
        retryable: bool,
    },
    /// It trapped; the instance is gone.
    Died(String),
    /// It was stopped at its deadline; the instance is gone, and so is the time for another try.
    Late(String),
}

impl Failure {
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Answered { words, .. } | Self::Died(words) | Self::Late(words) => words,
        }
    }

    /// Whether the instance cannot be called again.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self, Self::Answered { .. })
    }
}

pub(crate) struct Instance {
    store: Store<HostState>,
    exports: Exports,
    calls: u64,
    born: Duration,
    /// Memory in use once it was configured.
    settled: usize,
    /// Which of those that began with nothing it goes back to, through all that were saved and
    /// restored since.
    pub(crate) generation: u64,
}

impl Instance {
    pub(crate) fn new(
        engine: &Engine,
        plugin: &crate::component::Loaded,
        shared: &Arc<Shared>,
        limits: &PluginLimits,
    ) -> Result<Self, Failure> {
        let state = HostState::new(Arc::clone(shared), limits.memory_bytes);
        let mut store = Store::new(&engine.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(ANSWER_BYTES);
        store.set_epoch_deadline(ticks(DESCRIBE));
        engine.fill(&mut store);
        let _beating = engine.beat();
        let made = guarded(|| plugin.plugin.instantiate(&mut store))?;
        let exports = made.map_err(|error| failure(&error, DESCRIBE))?;
        let born = shared.clock.monotonic();
        Ok(Self {
            store,
            exports,
            calls: 0,
            born,
            settled: 0,
            generation: new_generation(),
        })
    }

    pub(crate) fn describe(&mut self, engine: &Engine) -> Result<Descriptor, Failure> {
        self.call(engine, DESCRIBE, |exports, store| {
            exports.petrel_plugin_processor().call_describe(store)
        })
    }

    pub(crate) fn configure(
        &mut self,
        engine: &Engine,
        config: &[u8],
        limits: &PluginLimits,
        state: Option<&[u8]>,
    ) -> Result<AskedPlan, Failure> {
        let limits = Limits {
            memory_bytes: limits.memory_bytes as u64,
            call_budget_us: u32::try_from(limits.call.as_micros()).unwrap_or(u32::MAX),
            max_added_bytes: u32::try_from(limits.added_bytes).unwrap_or(u32::MAX),
            max_cell_edits: u32::MAX,
            state_bytes: STATE_BYTES as u64,
            window_bytes: limits.window_bytes,
        };
        self.store.data_mut().begin_configure();
        let answer = self.call(engine, CONFIGURE, |exports, store| {
            exports
                .petrel_plugin_processor()
                .call_configure(store, config, limits, state)
        });
        self.store.data_mut().phase = Phase::Idle;
        self.settled = self.store.data().memory.used;
        answer?.map_err(|error| answered(&error))
    }

    /// Gives back the work, whose dictionary kernels may have added to; nothing only if the host
    /// itself lost it.
    pub(crate) fn process(
        &mut self,
        engine: &Engine,
        work: Work,
        budget: Duration,
    ) -> (Result<Edits, Failure>, Option<Work>) {
        let view = Arc::clone(&work.view);
        self.store.data_mut().phase = Phase::Process(work);
        let answer = self.call(engine, budget, |exports, store| {
            exports
                .petrel_plugin_processor()
                .call_process(store, &view.batch)
        });
        let phase = std::mem::take(&mut self.store.data_mut().phase);
        let Phase::Process(work) = phase else {
            return (Err(Failure::Died("the host lost the batch".into())), None);
        };
        let edits = answer.and_then(|answer| {
            answer.map_err(|error| match answered(&error) {
                Failure::Answered { words, retryable } => Failure::Answered {
                    words: work.scrubbed(&words).into_owned(),
                    retryable,
                },
                other => other,
            })
        });
        (edits, Some(work))
    }

    /// What it wants its successor to know; nothing is none.
    pub(crate) fn save(&mut self, engine: &Engine) -> Result<Vec<u8>, Failure> {
        let state = self.call(engine, SAVE, |exports, store| {
            exports.petrel_plugin_processor().call_save(store)
        })?;
        if state.len() > STATE_BYTES {
            let words = format!("it saves {} bytes, {STATE_BYTES} are allowed", state.len());
            return Err(Failure::Died(words));
        }
        Ok(state)
    }

    /// Time has passed, whether or not batches came.
    pub(crate) fn tick(&mut self, engine: &Engine, now_ns: u64) -> Result<Edits, Failure> {
        let answer = self.call(engine, TICK, |exports, store| {
            exports.petrel_plugin_processor().call_tick(store, now_ns)
        });
        answer?.map_err(|error| answered(&error))
    }

    /// Its last call, or the last before a newer version takes over.
    pub(crate) fn flush(&mut self, engine: &Engine, reason: u8) -> Result<Edits, Failure> {
        let answer = self.call(engine, SAVE, |exports, store| {
            exports.petrel_plugin_processor().call_flush(store, reason)
        });
        answer?.map_err(|error| answered(&error))
    }

    fn call<T>(
        &mut self,
        engine: &Engine,
        budget: Duration,
        run: impl FnOnce(&Exports, &mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        self.calls += 1;
        self.store.set_epoch_deadline(ticks(budget));
        let _beating = engine.beat();
        let (exports, store) = (&self.exports, &mut self.store);
        engine.fill(store);
        let answer = guarded(|| run(exports, store));
        let shared = &store.data().shared;
        let memory = store.data().memory.used as u64;
        shared.memory.fetch_max(memory, Ordering::Relaxed);
        shared
            .fuel
            .fetch_add(engine.burnt(store), Ordering::Relaxed);
        answer?.map_err(|error| failure(&error, budget))
    }

    /// Whether it has grown or aged so much that a new one is better.
    pub(crate) fn is_worn(&self) -> bool {
        let state = self.store.data();
        let memory = state.memory;
        let age = state.shared.clock.monotonic().saturating_sub(self.born);
        memory.used > memory.cap / 100 * MEMORY_HIGH_WATER_PERCENT
            || memory.used > self.settled + MOST_GROWTH
            || self.calls > MOST_CALLS
            || age > MOST_AGE
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Instance")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// wasmtime passes a panic of a host function on; here it ends the call, not the agent.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| Failure::Died("the host failed while serving it; please report this".into()))
}

fn answered(error: &Error) -> Failure {
    Failure::Answered {
        words: printable(&error.message),
        retryable: error.retryable,
    }
}

fn failure(error: &wasmtime::Error, budget: Duration) -> Failure {
    if error.downcast_ref::<PastDeadline>().is_some() {
        return Failure::Late("it ran past its deadline in a kernel".into());
    }
    Failure::Died(match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => {
            return Failure::Late(format!("it ran longer than {budget:?}"));
        }
        Some(Trap::StackOverflow) => "it recursed until its stack was full".into(),
        Some(trap) => format!("it trapped: {trap}"),
        None => printable(&error.root_cause().to_string()),
    })
}
