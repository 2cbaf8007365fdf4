//! What a plugin costs before it sees data: compiling, loading, starting.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_wire::SystemClock;
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::chain::PluginError;
use crate::component;
use crate::config::PluginLimits;
use crate::engine::Engine;
use crate::host::Shared;
use crate::instance::{Failure, Instance};

/// Times of one component on this machine, each the best of several tries.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartCosts {
    /// Size of the component file.
    pub size_bytes: usize,
    /// From bytes to native code, on one core.
    pub compile: Duration,
    /// From the cache on disk, checksum included.
    pub cache_load: Duration,
    /// A new instance, not yet configured.
    pub instantiate: Duration,
    /// Its first two calls, `describe` and `configure`.
    pub configure: Duration,
}

const COMPILES: u32 = 3;
const STARTS: u32 = 100;

/// Measures `file` with `config` under `limits`, keeping compiled code in `cache_dir`; it sees no data.
pub fn start_costs(
    file: &Path,
    config: &serde_json::Value,
    limits: &PluginLimits,
    cache_dir: &Path,
) -> Result<StartCosts, PluginError> {
    let engine = Engine::new(limits.memory_bytes).map_err(PluginError)?;
    let bytes = component::read(file, limits.component_bytes).map_err(PluginError)?;
    let loaded = component::load(&engine.engine, file, &bytes, None).map_err(PluginError)?;
    let cache = Cache::open(cache_dir.into()).map_err(PluginError)?;
    let failed = |words: &str| PluginError(format!("{}: {words}", file.display()));
    let json = serde_json::to_vec(config).map_err(|error| failed(&error.to_string()))?;
    let shared = Arc::new(Shared::new("costs".into(), SystemClock::shared()));

    let compiled = best(COMPILES, || Component::new(&engine.engine, &bytes));
    let (compile, component) = compiled.map_err(|error| failed(&error.to_string()))?;
    drop(cache.store(&engine.engine, &bytes, &component));
    let loads = || cache.load(&engine.engine, &bytes).ok_or(());
    let (cache_load, _) = best(STARTS, loads).map_err(|()| failed("is not kept in the cache"))?;
    let start = || Instance::new(&engine, &loaded, &shared, limits);
    let (instantiate, _) = best(STARTS, start).map_err(|failure| failed(failure.words()))?;
    let mut fresh = Vec::new();
    for _ in 0..STARTS {
        fresh.push(start().map_err(|failure| failed(failure.words()))?);
    }
    let configure = || -> Result<(), Failure> {
        let mut instance = fresh.pop().ok_or_else(|| Failure::Died(String::new()))?;
        instance.describe(&engine)?;
        instance.configure(&engine, &json, limits, None).map(drop)
    };
    let (configure, ()) = best(STARTS, configure).map_err(|failure| failed(failure.words()))?;
    Ok(StartCosts {
        size_bytes: bytes.len(),
        compile,
        cache_load,
        instantiate,
        configure,
    })
}

/// The least time: the machine has other things to do.
fn best<T, E>(tries: u32, mut run: impl FnMut() -> Result<T, E>) -> Result<(Duration, T), E> {
    let mut timed = || {
        let started = Instant::now();
        run().map(|made| (started.elapsed(), made))
    };
    let mut least = timed()?;
    for _ in 1..tries {
        let next = timed()?;
        if next.0 < least.0 {
            least = next;
        }
    }
    Ok(least)
}
