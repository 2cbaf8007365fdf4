//! Shutdown: when to stop, and for how long that may take.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// Everything together must be over by then; the service's `TimeoutStopSec` is a little more.
pub const DEADLINE: Duration = Duration::from_secs(25);

/// From now on SIGTERM and SIGINT are heard; the future waits for one of them.
pub fn asked() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let which = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = which, "stopping");
    })
}

/// Runs what stopping takes, up to the deadline. Nothing acknowledged depends on it.
pub async fn within_deadline(stopping: impl Future<Output = ()>) {
    if tokio::time::timeout(DEADLINE, stopping).await.is_ok() {
        info!("stopped");
    } else {
        error!("stopping took longer than {DEADLINE:?}; leaving now");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_before_anybody_waits_for_it_is_heard() {
        let asked = asked().unwrap();
        // Not heard, it would end this test.
        let us = std::process::id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-s", "TERM", &us]).status().unwrap().success());
        asked.await;
    }
}
