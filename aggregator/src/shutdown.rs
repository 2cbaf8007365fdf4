//! Stopping: on SIGTERM or Ctrl-C what is in flight finishes, for at most [`DRAIN`].

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long requests in flight may take. The service manager gives thirty seconds in all.
pub const DRAIN: Duration = Duration::from_secs(20);

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process at
/// once: whatever was answered is on the disk.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping; requests in flight may finish");
        tell("STOPPING=1");
        cancel.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        warn!("stopping at once");
        #[expect(
            clippy::exit,
            reason = "the operator asked twice; nothing volatile is owed for"
        )]
        std::process::exit(130);
    });
    Ok(stop)
}

/// Tells the service manager that requests are taken.
pub fn ready() {
    tell("READY=1");
}

fn tell(what: &str) {
    let state = match what {
        "READY=1" => sd_notify::NotifyState::Ready,
        _ => sd_notify::NotifyState::Stopping,
    };
    if let Err(why) = sd_notify::notify(&[state]) {
        warn!(error = %why, "cannot notify the service manager");
    }
}
