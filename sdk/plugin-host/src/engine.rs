//! The engine: Cranelift, epochs, nothing else.
//!
//! No WASI, no async, no threads: what is not there needs no patch. Time is counted by epochs, and
//! the thread that counts them sleeps while no guest runs, so an idle agent stays idle.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, EngineWeak, OptLevel};

/// How fine deadlines are.
pub(crate) const TICK: Duration = Duration::from_millis(1);

const STACK_BYTES: usize = 256 << 10;
const GUARD_BYTES: u64 = 64 << 10;

/// A wasmtime engine with a pulse.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pulse: Arc<Pulse>,
    ticker: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Pulse {
    state: Mutex<PulseState>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct PulseState {
    calls: usize,
    stopped: bool,
}

/// While this lives, epochs advance.
#[derive(Debug)]
pub(crate) struct Beating<'a>(&'a Pulse);

impl Engine {
    /// `memory_bytes`: the largest memory that any plugin may have.
    pub(crate) fn new(memory_bytes: usize) -> Result<Self, String> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .epoch_interruption(true)
            .max_wasm_stack(STACK_BYTES)
            // Address space is a resource, too, in containers that limit it.
            .memory_reservation(memory_bytes as u64)
            .memory_reservation_for_growth(0)
            .memory_guard_size(GUARD_BYTES)
            .memory_may_move(true)
            .concurrency_support(false)
            .wasm_component_model(true)
            .wasm_relaxed_simd(false)
            .wasm_multi_memory(false)
            .wasm_memory64(false)
            .wasm_tail_call(false);
        let engine = wasmtime::Engine::new(&config)
            .map_err(|error| format!("cannot start the WebAssembly engine: {error:#}"))?;
        let pulse = Arc::new(Pulse::default());
        let ticker = std::thread::Builder::new()
            .name("plugin-ticker".into())
            .spawn({
                let (weak, pulse) = (engine.weak(), Arc::clone(&pulse));
                move || tick(&weak, &pulse)
            })
            .map_err(|error| format!("cannot start the thread that ends endless loops: {error}"))?;
        Ok(Self {
            engine,
            pulse,
            ticker: Some(ticker),
        })
    }

    /// To be held during a call into a guest.
    pub(crate) fn beat(&self) -> Beating<'_> {
        let mut state = self.pulse.lock();
        state.calls += 1;
        if state.calls == 1 {
            self.pulse.wake.notify_one();
        }
        drop(state);
        Beating(&self.pulse)
    }
}

impl Drop for Beating<'_> {
    fn drop(&mut self) {
        self.0.lock().calls -= 1;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.pulse.lock().stopped = true;
        self.pulse.wake.notify_one();
        if let Some(ticker) = self.ticker.take() {
            // It never panics, and there would be nothing to do about it.
            ticker.join().ok();
        }
    }
}

impl Pulse {
    fn lock(&self) -> std::sync::MutexGuard<'_, PulseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tick(engine: &EngineWeak, pulse: &Pulse) {
    let mut state = pulse.lock();
    while !state.stopped {
        if state.calls == 0 {
            state = pulse
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let (woken, _) = pulse
            .wake
            .wait_timeout(state, TICK)
            .unwrap_or_else(PoisonError::into_inner);
        state = woken;
        if let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
        }
    }
}

/// A budget in ticks: one more, because the first may be about to end.
pub(crate) fn ticks(budget: Duration) -> u64 {
    u64::try_from(budget.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX / 2) + 1
}
