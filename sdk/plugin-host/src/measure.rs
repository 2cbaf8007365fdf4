//! What a plugin costs with data: time and fuel a record, by the size of the batch, and memory.
//!
//! Time is what a chain of this one plugin takes, projection and edits included; the host's kernels
//! are in it. Fuel counts the instructions of the guest alone, and is the same on every machine, so
//! that it can be compared with what was written down elsewhere.

use std::time::{Duration, Instant};

use petrel_wire::{Batch, Limits};

use crate::chain::{Chain, PluginError, Verdict};
use crate::config::ProcessorConfig;

/// Costs of one record in batches of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecordCosts {
    /// Records of the batch.
    pub records: u32,
    /// Time of a record, in nanoseconds: the best of several tries.
    pub ns: f64,
    /// Instructions of the guest for a record.
    pub fuel: f64,
    /// What the instance's memory has grown to.
    pub memory_bytes: u64,
}

/// How often a batch is tried at least, and for how long at most unless that takes longer.
const TRIES: u32 = 5;
const WHILE: Duration = Duration::from_millis(300);

/// Measures `config` over `batches`; its component is compiled here, without a cache.
pub fn record_costs(
    config: &ProcessorConfig,
    batches: &[Batch],
) -> Result<Vec<RecordCosts>, PluginError> {
    let mut costs = Vec::with_capacity(batches.len());
    for batch in batches {
        let records = batch.items();
        // An engine each, one after the other: fuel is counted by other code than runs without.
        let metered = Chain::metered(std::slice::from_ref(config), Limits::default())?;
        run(&metered, batch)?;
        let first = fuel(&metered);
        run(&metered, batch)?;
        let (fuel, memory_bytes) = (fuel(&metered) - first, memory(&metered));
        drop(metered);
        costs.push(RecordCosts {
            records,
            ns: 0.0,
            fuel: fuel as f64 / f64::from(records.max(1)),
            memory_bytes,
        });
    }
    let chain = Chain::load(std::slice::from_ref(config), None, Limits::default())?;
    for (cost, batch) in costs.iter_mut().zip(batches) {
        let least = least(&chain, batch)?;
        cost.ns = least.as_nanos() as f64 / f64::from(cost.records.max(1));
    }
    Ok(costs)
}

fn least(chain: &Chain, batch: &Batch) -> Result<Duration, PluginError> {
    let (began, mut least) = (Instant::now(), Duration::MAX);
    let mut tries = 0;
    while tries < TRIES || began.elapsed() < WHILE {
        let started = Instant::now();
        run(chain, batch)?;
        least = least.min(started.elapsed());
        tries += 1;
    }
    Ok(least)
}

fn run(chain: &Chain, batch: &Batch) -> Result<(), PluginError> {
    if let Verdict::Refused { .. } = chain.process(batch.clone()) {
        let stats = chain.stats().into_iter().next();
        let words = stats.and_then(|stats| stats.last_error).unwrap_or_default();
        let items = batch.items();
        return Err(PluginError(format!("fails on {items} items: {words}")));
    }
    Ok(())
}

fn fuel(chain: &Chain) -> u64 {
    chain.stats().iter().map(|stats| stats.fuel).sum()
}

fn memory(chain: &Chain) -> u64 {
    chain.stats().iter().map(|stats| stats.memory_bytes).sum()
}
