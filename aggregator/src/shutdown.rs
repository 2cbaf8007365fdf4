//! The service manager: told when we are ready, when we stop, and that we get on. Stopping: on
//! SIGTERM or Ctrl-C what is in flight finishes, for at most [`DRAIN`].

use std::time::Duration;

use sd_notify::NotifyState;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

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
        tell(NotifyState::Stopping);
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
    tell(NotifyState::Ready);
}

/// Tells the service manager, as often as it wants to hear it (`WatchdogSec=`), that we get on, as
/// long as `gets_on` says so. Without it we are killed and started again. Never returns.
pub async fn feed_watchdog<F: Future<Output = bool>>(gets_on: impl Fn() -> F) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    // Half of it, as systemd's manual advises; the question takes some of the other half.
    let mut tick = tokio::time::interval(limit / 2);
    let mut stuck = false;
    loop {
        tick.tick().await;
        let asked = tokio::time::timeout(limit / 4, gets_on()).await;
        if asked == Ok(true) {
            stuck = false;
            tell(NotifyState::Watchdog);
        } else if !std::mem::replace(&mut stuck, true) {
            error!("the store's loop does not turn; unless it goes on, we are started again");
        }
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(why) = sd_notify::notify(&[state]) {
        warn!(error = %why, "cannot notify the service manager");
    }
}
