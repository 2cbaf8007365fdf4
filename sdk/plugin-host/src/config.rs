//! What an operator decides about a processor, already parsed: the agent reads it from its YAML.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::trust::Trust;

/// One step of the chain, as configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessorConfig {
    /// Name in config, status and metrics.
    pub name: String,
    /// The component file.
    pub plugin: PathBuf,
    /// The SHA-256 that the component must have, 64 hex digits; `None` = whatever it has.
    pub sha256: Option<String>,
    /// Whether plugins are interpreted, for hosts that forbid executable memory; one that asks for it
    /// decides for the whole chain.
    pub interpreted: bool,
    /// Who must vouch for it.
    pub trust: Arc<Trust>,
    /// What happens to data when the plugin fails; `None` = what the plugin asks for.
    pub on_error: Option<OnError>,
    /// The operator's signature under `on_error: open` for a plugin whose loss must stop the data.
    pub i_accept_unredacted: bool,
    /// Whether it may import `clock`.
    pub allow_clock: bool,
    /// For tests: `random` gives what follows from this, and the same each time. `None` = the
    /// operating system's.
    pub random_seed: Option<u64>,
    /// Files of tables (CSV), by the names under which the plugin opens them.
    pub lookups: BTreeMap<String, PathBuf>,
    /// Outputs that lead somewhere: a plugin that names another one is not loaded. Where to is the
    /// business of whoever runs the chain. `None` = whatever it names, for tools.
    pub outputs: Option<Vec<String>>,
    /// JSON handed to `configure`.
    pub config: serde_json::Value,
    /// Bounds of memory, time and answers.
    pub limits: PluginLimits,
}

impl ProcessorConfig {
    /// Compares the pin with what the component has. The error is for the operator.
    pub(crate) fn check_pin(&self, sha256: &str) -> Result<(), String> {
        let Some(pin) = &self.sha256 else {
            return Ok(());
        };
        let file = self.plugin.display();
        if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!(
                "`sha256: {pin}` is not 64 hex digits; {file} has {sha256}"
            ));
        }
        if pin.eq_ignore_ascii_case(sha256) {
            return Ok(());
        }
        Err(format!(
            "{file} is not what `sha256: {pin}` pins, but {sha256}; put the right file there, or \
             correct `sha256:` if you trust this one"
        ))
    }
}

/// What happens to a batch whose processor failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Refuse it to the sender with a retryable answer; never forward it unprocessed.
    #[default]
    Closed,
    /// Pass it on unchanged.
    Open,
    /// Count and drop it.
    Drop,
    /// Pass it on without the columns that the plugin may write.
    Strip,
}

impl OnError {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Drop => "drop",
            Self::Strip => "strip",
        }
    }
}

/// Bounds of one plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory.
    pub memory_bytes: usize,
    /// Call budget for an empty batch; `per_row` is added for each item. Wall time: it is there to
    /// end a loop, not to judge a plugin on a busy host, so it is generous.
    pub call: Duration,
    /// See `call`.
    pub per_row: Duration,
    /// Size of the component file.
    pub component_bytes: u64,
    /// New strings in one answer.
    pub added_bytes: usize,
    /// What whoever runs the chain can hold for it; the plugin is told, and may remember less.
    pub window_bytes: u64,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 32 << 20,
            call: Duration::from_millis(100),
            per_row: Duration::from_micros(20),
            component_bytes: 4 << 20,
            added_bytes: 1 << 20,
            window_bytes: 64 << 20,
        }
    }
}
