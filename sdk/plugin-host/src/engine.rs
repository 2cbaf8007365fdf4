//! The engine: Cranelift, epochs, nothing else. Where executable memory is forbidden, Cranelift compiles
//! for Pulley, wasmtime's interpreter.
//!
//! No WASI, no async, no threads: what is not there needs no patch. Time is counted by epochs, and
//! the thread that counts them sleeps while no guest runs, so an idle agent stays idle.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, EngineWeak, OptLevel, Store};

/// How fine deadlines are.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// After so many ticks without a call nothing is counted. Calls that follow each other closely need
/// not wake anybody.
const QUIET_TICKS: u32 = 5;

const STACK_BYTES: usize = 256 << 10;
const GUARD_BYTES: u64 = 64 << 10;

/// A wasmtime engine with a pulse.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pulse: Arc<Pulse>,
    kind: Kind,
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
    /// The thread sleeps until somebody calls.
    is_idle: bool,
    stopped: bool,
}

/// While this lives, epochs advance.
#[derive(Debug)]
pub(crate) struct Beating<'a>(&'a Pulse);

/// What becomes of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Native code.
    Compiled,
    /// Native code that counts its instructions.
    Metered,
    /// Pulley's byte code.
    Interpreted,
}

impl Engine {
    /// `memory_bytes`: the largest memory that any plugin may have.
    pub(crate) fn new(memory_bytes: usize) -> Result<Self, String> {
        Self::of(memory_bytes, Kind::Compiled)
    }

    pub(crate) fn of(memory_bytes: usize, kind: Kind) -> Result<Self, String> {
        let mut config = Config::new();
        config.consume_fuel(kind == Kind::Metered);
        if kind == Kind::Interpreted {
            config
                .target("pulley64")
                .map_err(|error| format!("this build has no interpreter: {error:#}"))?;
        }
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
            kind,
            ticker: Some(ticker),
        })
    }

    /// Whether it does what is asked of one of this kind.
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.kind == kind || (self.kind == Kind::Metered && kind == Kind::Compiled)
    }

    /// As much fuel as there can be, where it is counted.
    pub(crate) fn fill<T>(&self, store: &mut Store<T>) {
        if self.kind == Kind::Metered {
            // Fails only where it is not counted.
            store.set_fuel(u64::MAX).ok();
        }
    }

    /// What was used of it.
    pub(crate) fn burnt<T>(&self, store: &Store<T>) -> u64 {
        match self.kind {
            Kind::Metered => u64::MAX - store.get_fuel().unwrap_or(u64::MAX),
            Kind::Compiled | Kind::Interpreted => 0,
        }
    }

    /// To be held during a call into a guest.
    pub(crate) fn beat(&self) -> Beating<'_> {
        let mut state = self.pulse.lock();
        state.calls += 1;
        let was_idle = std::mem::take(&mut state.is_idle);
        drop(state);
        if was_idle {
            self.pulse.wake.notify_one();
        }
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
    let mut quiet = 0;
    while !state.stopped {
        if quiet >= QUIET_TICKS {
            quiet = 0;
            state.is_idle = true;
            state = pulse
                .wake
                .wait_while(state, |state| state.is_idle && !state.stopped)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // The whole tick, whoever wakes it: a deadline counts time.
        let (woken, _) = pulse
            .wake
            .wait_timeout_while(state, TICK, |state| !state.stopped)
            .unwrap_or_else(PoisonError::into_inner);
        state = woken;
        quiet = if state.calls == 0 { quiet + 1 } else { 0 };
        if let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
        }
    }
}

/// A budget in ticks: one more, because the first may be about to end.
pub(crate) fn ticks(budget: Duration) -> u64 {
    u64::try_from(budget.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX / 2) + 1
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_deadline_counts_time_and_not_the_calls_of_others() {
        let engine = Engine::new(1 << 20).unwrap();
        let text = r#"(module (func (export "f") (loop)))"#;
        let module = wasmtime::Module::new(&engine.engine, wat::parse_str(text).unwrap()).unwrap();
        let mut store = Store::new(&engine.engine, ());
        let budget = Duration::from_secs(2);
        store.set_epoch_deadline(ticks(budget));
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let function = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let started = Instant::now();
        for _ in 0..50_000 {
            drop(engine.beat());
        }
        let answer = function.call(&mut store, ());
        assert!(answer.is_ok() || started.elapsed() >= budget, "{answer:?}");
    }

    #[test]
    fn a_deadline_comes_even_if_nobody_else_calls() {
        let engine = Engine::new(1 << 20).unwrap();
        let text = r#"(module (func (export "f") (loop $l (br $l))))"#;
        let module = wasmtime::Module::new(&engine.engine, wat::parse_str(text).unwrap()).unwrap();
        let mut store = Store::new(&engine.engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let function = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        for _ in 0..3 {
            // Between calls the thread that counts goes to sleep.
            while !engine.pulse.lock().is_idle {
                std::thread::yield_now();
            }
            store.set_epoch_deadline(ticks(Duration::from_millis(5)));
            let _beating = engine.beat();
            assert!(function.call(&mut store, ()).is_err());
        }
    }
}
