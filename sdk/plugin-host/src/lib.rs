//! Runs WASM processors over batches, under limits.
//!
//! A plugin declares what it reads; the host projects just that out of the OTLP bytes into packed
//! columns, calls once per batch, and applies sparse edits as splices. No WASI is linked: the
//! import list of a component is its list of capabilities.

use std::path::PathBuf;
use std::time::Duration;

use petrel_wire::{Batch, Limits};

/// One step of the chain, as configured.
#[derive(Clone, Debug)]
pub struct ProcessorConfig {
    /// Name in config, status and metrics.
    pub name: String,
    /// The component file.
    pub plugin: PathBuf,
    /// What happens to data when the plugin fails; `None` = what the plugin asks for.
    pub on_error: Option<OnError>,
    /// JSON handed to `configure`.
    pub config: serde_json::Value,
    /// Bounds of memory, time and answers.
    pub limits: PluginLimits,
}

/// What happens to a batch whose processor failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Refuse it to the sender with a retryable answer; never forward it unprocessed.
    Closed,
    /// Pass it on unchanged.
    Open,
    /// Count and drop it.
    Drop,
    /// Pass it on without the columns that the plugin may write.
    Strip,
}

/// Bounds of one plugin.
#[derive(Clone, Copy, Debug)]
pub struct PluginLimits {
    /// Linear memory.
    pub memory_bytes: usize,
    /// Call budget for an empty batch; `per_row` is added for each item.
    pub call: Duration,
    /// See `call`.
    pub per_row: Duration,
    /// Size of the component file.
    pub component_bytes: u64,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 32 << 20,
            call: Duration::from_millis(5),
            per_row: Duration::from_micros(20),
            component_bytes: 4 << 20,
        }
    }
}

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

/// Compiled processors in order. Shared between threads; each call takes an instance from a pool.
#[derive(Debug)]
pub struct Chain {}

impl Chain {
    /// Loads, checks imports, compiles (or loads from `cache_dir`) and configures every processor.
    pub fn load(
        _configs: &[ProcessorConfig],
        _cache_dir: Option<PathBuf>,
        _limits: Limits,
    ) -> Result<Self, PluginError> {
        todo!()
    }
    /// No processors.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// Runs the chain on the calling thread; bounded by the processors' budgets.
    pub fn process(&self, _batch: Batch) -> Verdict {
        todo!()
    }
    /// Counters by processor name.
    pub fn stats(&self) -> Vec<PluginStats> {
        todo!()
    }
}

/// One processor's account.
#[derive(Clone, Debug, Default)]
pub struct PluginStats {
    /// Name in config.
    pub name: String,
    /// Calls, failures, edited and dropped items.
    pub calls: u64,
    /// Traps, time-outs, refused answers.
    pub failures: u64,
    /// Items that processors dropped.
    pub dropped_items: u64,
    /// Total time in the guest.
    pub busy: Duration,
    /// The last failure's words.
    pub last_error: Option<String>,
}
