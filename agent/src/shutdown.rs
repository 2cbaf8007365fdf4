//! Shutdown: when to stop, and for how long that may take.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// Everything together must be over by then; the service's `TimeoutStopSec` is a little more.
pub const DEADLINE: Duration = Duration::from_secs(25);

/// Waits for SIGTERM or SIGINT.
pub async fn asked() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let which = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(signal = which, "stopping");
    Ok(())
}

/// Runs what stopping takes, up to the deadline. Nothing acknowledged depends on it.
pub async fn within_deadline(stopping: impl Future<Output = ()>) {
    if tokio::time::timeout(DEADLINE, stopping).await.is_ok() {
        info!("stopped");
    } else {
        error!("stopping took longer than {DEADLINE:?}; leaving now");
    }
}
