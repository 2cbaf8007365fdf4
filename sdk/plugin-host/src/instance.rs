//! One running copy of a plugin, and how it is called.
//!
//! After a trap an instance is never used again. A call has a deadline, an answer a size, memory a
//! cap; a panic in the host's own functions ends the call like a trap.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Store, Trap};

use crate::bindings::exports::petrel::plugin::processor::Descriptor;
use crate::bindings::petrel::plugin::types::{Edits, Error, Limits, Plan as AskedPlan};
use crate::component::Exports;
use crate::config::PluginLimits;
use crate::engine::{Engine, ticks};
use crate::host::{HostState, Phase, Shared, Work, printable};

/// Bytes that a guest may hand over in one call.
const ANSWER_BYTES: usize = 8 << 20;
const DESCRIBE: Duration = Duration::from_secs(1);
const CONFIGURE: Duration = Duration::from_secs(5);
/// Recycling: what leaks slowly must not leak for ever.
const MOST_CALLS: u64 = 1_000_000;
const MOST_AGE: Duration = Duration::from_secs(3_600);
const MEMORY_HIGH_WATER_PERCENT: usize = 80;

/// Why a call brought no answer, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The guest says so itself; it can be called again.
    Answered(String),
    /// It trapped or was stopped; the instance is gone.
    Died(String),
}

impl Failure {
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Answered(words) | Self::Died(words) => words,
        }
    }
}

pub(crate) struct Instance {
    store: Store<HostState>,
    exports: Exports,
    calls: u64,
    born: Duration,
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
        let _beating = engine.beat();
        let made = guarded(|| plugin.plugin.instantiate(&mut store))?;
        let exports = made.map_err(|error| Failure::Died(words(&error, DESCRIBE)))?;
        let born = shared.clock.monotonic();
        Ok(Self {
            store,
            exports,
            calls: 0,
            born,
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
    ) -> Result<AskedPlan, Failure> {
        let limits = Limits {
            memory_bytes: limits.memory_bytes as u64,
            call_budget_us: u32::try_from(limits.call.as_micros()).unwrap_or(u32::MAX),
            max_added_bytes: u32::try_from(limits.added_bytes).unwrap_or(u32::MAX),
            max_cell_edits: u32::MAX,
            state_bytes: 0,
            window_bytes: 0,
        };
        self.store.data_mut().begin_configure();
        let config = config.to_vec();
        let answer = self.call(engine, CONFIGURE, |exports, store| {
            exports
                .petrel_plugin_processor()
                .call_configure(store, &config, limits, None)
        });
        self.store.data_mut().phase = Phase::Idle;
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
        let edits = answer.and_then(|answer| answer.map_err(|error| answered(&error)));
        match phase {
            Phase::Process(work) => (edits, Some(work)),
            _ => (edits, None),
        }
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
        guarded(|| run(exports, store))?.map_err(|error| Failure::Died(words(&error, budget)))
    }

    /// Whether it has grown or aged so much that a new one is better.
    pub(crate) fn is_worn(&self) -> bool {
        let state = self.store.data();
        let memory = state.memory;
        let age = state.shared.clock.monotonic().saturating_sub(self.born);
        memory.used > memory.cap / 100 * MEMORY_HIGH_WATER_PERCENT
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
    Failure::Answered(printable(&error.message))
}

fn words(error: &wasmtime::Error, budget: Duration) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => format!("it ran longer than {budget:?}"),
        Some(Trap::StackOverflow) => "it recursed until its stack was full".into(),
        Some(trap) => format!("it trapped: {trap}"),
        None => printable(&error.root_cause().to_string()),
    }
}
