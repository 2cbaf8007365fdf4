//! The ticker: calls processors by the clock, and shows held spans to those that have forgotten them.

use std::sync::Arc;
use std::time::Duration;

use petrel_plugin_host::Chain;
use tokio_util::sync::CancellationToken;

use super::Window;

/// How often it looks whether there is something to do, when no processor has a timer.
const IDLE: Duration = Duration::from_secs(1);

/// A task beside the pipeline.
#[derive(Debug)]
pub(crate) struct Ticker {
    pub(crate) chain: Arc<Chain>,
    pub(crate) window: Window,
}

impl Ticker {
    /// Runs until the stop, and then asks processors for their last decisions.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            // First of all, so that after a start nobody waits for what was held before.
            self.offer().await;
            let every = self.chain.tick_every().unwrap_or(IDLE).min(IDLE);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(every) => {}
            }
            self.ask(Chain::tick).await;
        }
        self.ask(Chain::end).await;
    }

    async fn ask(&self, ask: fn(&Chain) -> Vec<petrel_plugin_host::Decision>) {
        let chain = Arc::clone(&self.chain);
        let asked = tokio::task::spawn_blocking(move || ask(&chain)).await;
        // A panic in the host decides nothing.
        self.window.decide(asked.unwrap_or_default());
    }

    /// What the instance at work does not know of, it is shown. What it cannot take waits for the
    /// operator's verdict.
    async fn offer(&self) {
        let Some(generation) = self.chain.generation() else {
            self.window.let_go();
            return;
        };
        while let Some((ids, batch)) = self.window.unknown_to(generation).await {
            let chain = Arc::clone(&self.chain);
            let offered = tokio::task::spawn_blocking(move || chain.offer(&batch)).await;
            if let Ok(Some(decisions)) = offered {
                self.window.decide(decisions);
            }
            self.window.known_to(generation, ids);
        }
    }
}
