//! Tellings: what processors count of the data that they see, sent the way of all data.
//!
//! The host adds up what they record; every few seconds, and once more at the stop, it becomes a
//! metrics batch of the agent's own: through the processors that follow the one that counted, sealed,
//! spooled, delivered. A batch that finds no room is not lost: its values are told with the next
//! ones. Values that nobody was told die with the process; a `kill -9` costs what was recorded since
//! the last telling.

use std::sync::Arc;
use std::time::Duration;

use petrel_plugin_host::{Teller, Telling};
use petrel_spool::Spool;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::custody::{Admitted, Books};
use crate::plugins::{Plugins, Processed};
use crate::seal::Sealer;

/// Between tellings.
pub const EVERY: Duration = Duration::from_secs(10);

/// Tells what processors have counted.
#[derive(Debug)]
pub struct Tellings {
    plugins: Plugins,
    sealer: Sealer,
    books: Arc<Books>,
    teller: Teller,
}

impl Tellings {
    /// `spool` says who this agent is.
    pub fn new(plugins: Plugins, sealer: Sealer, books: Arc<Books>, spool: &Spool) -> Self {
        let (agent, _) = spool.identity();
        let teller = Teller {
            service: "petrel-agent".to_owned(),
            agent: agent.to_string(),
        };
        Self {
            plugins,
            sealer,
            books,
            teller,
        }
    }

    /// Tells until the stop, and then once more.
    pub async fn run(self, every: Duration, stop: CancellationToken) {
        let mut turns = interval(every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = turns.tick() => self.tell_all().await,
            }
        }
        self.tell_all().await;
    }

    async fn tell_all(&self) {
        for telling in self.plugins.tellings(&self.teller) {
            self.tell(telling).await;
        }
        // The same care at the same times: what processors keep.
        self.plugins.save_states().await;
    }

    async fn tell(&self, telling: Telling) {
        let admitted = Admitted::new(&self.books, telling.batch().clone());
        let (telling, processed) = self.plugins.process_telling(telling, admitted).await;
        let Some(telling) = telling else {
            return;
        };
        let processor = telling.processor().to_owned();
        match processed {
            Ok(Processed::Dropped { .. }) => telling.told(),
            // Only spans are held, and what is counted stays in one place.
            Ok(Processed::Parted { .. }) => {}
            Ok(Processed::Kept { admitted, effects }) => match self.sealer.spool(admitted).await {
                Ok(_durable) => {
                    effects.settle();
                    telling.told();
                }
                Err(error) => {
                    warn!(processor, %error, "what {processor} counted waits for the disk");
                }
            },
            Err(refused) => {
                let reason = refused.to_string();
                warn!(
                    processor,
                    reason, "what {processor} counted waits for the processors"
                );
            }
        }
    }
}
