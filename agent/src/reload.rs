//! Reloading: a new configuration for a running agent.
//!
//! All of it is read, checked and loaded before anything of it counts. Then the peer, the DSN, the
//! certificates, the bandwidth and the processors change at once; listeners, spool and batches in
//! flight stay. A configuration that cannot be used changes nothing, and says so.

use std::sync::{Mutex, PoisonError};

use petrel_plugin_host::PluginError;
use petrel_wire::UnixNanos;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::config::{Config, ConfigError};
use crate::forward::ClientError;

/// SIGHUP, from now on: before this, it would end the process.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Why a configuration was not taken up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A processor.
    #[error("cannot load the processors")]
    Plugins(#[from] PluginError),
    /// The way out.
    #[error("cannot forward")]
    Client(#[from] ClientError),
    /// A spool is not opened while the agent runs.
    #[error("output {0} is new: restart the agent to open its spool")]
    Output(String),
}

/// What became of the newest reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// When.
    pub at: UnixNanos,
    /// What a restart is needed for; or why nothing has changed.
    pub outcome: Result<Vec<&'static str>, String>,
}

/// The newest reload, shown in status.
#[derive(Debug, Default)]
pub struct Reloads(Mutex<Option<Reloaded>>);

impl Reloads {
    /// The newest one, if there was any.
    pub fn newest(&self) -> Option<Reloaded> {
        self.lock().clone()
    }

    /// Keeps and logs what became of one.
    pub(crate) fn note(&self, at: UnixNanos, outcome: Result<Vec<&'static str>, ReloadError>) {
        let outcome = outcome.map_err(|error| format!("{:#}", anyhow::Error::new(error)));
        match &outcome {
            Ok(left) if left.is_empty() => info!("the configuration was reloaded"),
            Ok(left) => {
                let left = left.join(", ");
                warn!("the configuration was reloaded; changes to {left} need a restart");
            }
            Err(words) => error!(
                error = words,
                "the new configuration cannot be used; going on with the one from before"
            ),
        }
        *self.lock() = Some(Reloaded { at, outcome });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Reloaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sections whose changes wait for the next start.
pub(crate) fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let spool = |config: &Config| {
        let spool = &config.spool;
        (spool.dir.clone(), spool.max_bytes, spool.when_full)
    };
    let changed = [
        ("receivers", old.receivers != new.receivers),
        ("spool", spool(old) != spool(new)),
        (
            "admin",
            (&old.admin, old.capture) != (&new.admin, new.capture),
        ),
        ("logging", old.log_level != new.log_level),
        (
            "forward.batch_bytes",
            old.forward.batch_bytes != new.forward.batch_bytes,
        ),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_swapped_is_named() {
        let old = Config::default();
        let mut new = Config::default();
        assert!(needs_restart(&old, &new).is_empty());
        new.spool.max_bytes += 1;
        new.log_level = "debug".to_owned();
        new.forward.in_flight = 1;
        assert_eq!(needs_restart(&old, &new), ["spool", "logging"]);
    }
}
