//! The chain: every batch goes through the processors before anything of it touches the disk.
//!
//! Guests run on threads of the blocking pool, never on those that serve sockets, and only as many
//! at once as there are processors (CPUs) to run them. Without processors nothing is handed over.

use std::sync::Arc;

use petrel_plugin_host::{
    Chain, Effects, Held, Outcome, PluginError, PluginStats, ProcessorConfig, Reloaded, Routed,
    Teller, Telling, Verdict,
};
use petrel_receiver::Refused;
use petrel_wire::Batch;
use tokio::sync::Semaphore;

use crate::custody::{Admitted, Custody};
use crate::window::Window;

/// The loaded chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plugins {
    chain: Arc<Chain>,
    window: Window,
    turns: Arc<Semaphore>,
}

/// What the chain made of a batch.
#[derive(Debug)]
pub enum Processed {
    /// On to the disk; what processors dropped of it is booked.
    Kept {
        /// What is left.
        admitted: Admitted,
        /// To be settled once that is durable.
        effects: Effects,
    },
    /// Not all of it goes one way.
    Parted {
        /// What goes on now, to where everything goes.
        kept: Option<Admitted>,
        /// What waits until its traces are decided, and who owes for it.
        held: Option<(Held, Custody)>,
        /// What goes on now to an output.
        routed: Vec<(Arc<str>, Admitted)>,
        /// To be settled once all of it is durable.
        effects: Effects,
    },
    /// Nothing is left; all of it is booked.
    Dropped {
        /// How many items that were.
        items: u64,
    },
}

impl Plugins {
    /// Wraps a loaded chain, and the window that keeps what it holds.
    pub fn new(chain: Arc<Chain>, window: Window) -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            chain,
            window,
            turns: Arc::new(Semaphore::new(threads)),
        }
    }

    /// Runs the chain. A closed processor that failed refuses with "come again": the data is
    /// neither lost nor forwarded unprocessed.
    pub async fn process(&self, admitted: Admitted) -> Result<Processed, Refused> {
        if self.chain.is_empty() {
            let effects = Effects::default();
            return Ok(Processed::Kept { admitted, effects });
        }
        self.run(admitted, Chain::run).await
    }

    async fn run(
        &self,
        admitted: Admitted,
        work: impl FnOnce(&Chain, Batch) -> Outcome + Send + 'static,
    ) -> Result<Processed, Refused> {
        let chain = Arc::clone(&self.chain);
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let Admitted { batch, mut custody } = admitted;
        let outcome = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&chain, batch)
        });
        // A panic in the host is a failure like a guest's: nothing passes unprocessed.
        let Outcome {
            verdict,
            routed,
            held,
            decided,
            effects,
        } = outcome
            .await
            .map_err(|_| Refused::busy("a processor failed; send the batch again"))?;
        self.window.decide(decided);
        match verdict {
            Verdict::Kept { batch, dropped } => {
                custody.dropped(u64::from(dropped));
                if held.is_some() || !routed.is_empty() {
                    let mut owed = |batch: &Batch| custody.split(u64::from(batch.items()));
                    let held = held.map(|held| {
                        let custody = owed(&held.batch);
                        (held, custody)
                    });
                    let routed = routed
                        .into_iter()
                        .map(|Routed { output, batch }| {
                            let custody = owed(&batch);
                            (output, Admitted { batch, custody })
                        })
                        .collect();
                    return Ok(Processed::Parted {
                        kept: (!batch.is_empty()).then_some(Admitted { batch, custody }),
                        held,
                        routed,
                        effects,
                    });
                }
                if batch.is_empty() {
                    let items = u64::from(dropped) + custody.items();
                    custody.dropped(custody.items());
                    effects.settle();
                    return Ok(Processed::Dropped { items });
                }
                let admitted = Admitted { batch, custody };
                Ok(Processed::Kept { admitted, effects })
            }
            Verdict::Dropped { .. } => {
                let items = custody.items();
                custody.dropped(items);
                effects.settle();
                Ok(Processed::Dropped { items })
            }
            Verdict::Refused { by, reason } => {
                custody.refused();
                Err(Refused::busy(format!("processor {by}: {reason}")))
            }
        }
    }

    /// What processors have counted since the last time.
    pub fn tellings(&self, teller: &Teller) -> Vec<Telling> {
        self.chain.tellings(teller)
    }

    /// Runs what a processor counted through those that follow it. The telling comes back, unless
    /// the host failed over it; then its values wait for the next one.
    pub async fn process_telling(
        &self,
        telling: Telling,
        admitted: Admitted,
    ) -> (Option<Telling>, Result<Processed, Refused>) {
        let (give_back, back) = tokio::sync::oneshot::channel();
        let processed = self.run(admitted, move |chain, _| {
            let processed = chain.process_telling(&telling);
            // Whoever asked may have gone; then it is put back here.
            drop(give_back.send(telling));
            processed.into()
        });
        let processed = processed.await;
        (back.await.ok(), processed)
    }

    /// Writes down what processors keep, on a thread that may wait for the disk.
    pub async fn save_states(&self) {
        let chain = Arc::clone(&self.chain);
        // What a panic leaves unwritten is written the next time.
        let _panicked = tokio::task::spawn_blocking(move || chain.save_states()).await;
    }

    /// Replaces the processors between two batches; on an error the old ones stay. Compiles, so it
    /// takes its time, on a thread of the blocking pool.
    pub async fn reload(&self, configs: Vec<ProcessorConfig>) -> Result<Reloaded, PluginError> {
        let chain = Arc::clone(&self.chain);
        let reload = move || chain.reload(&configs);
        match tokio::task::spawn_blocking(reload).await {
            Ok(reloaded) => reloaded,
            Err(_) => Err(PluginError("the host failed while it reloaded".into())),
        }
    }

    /// Each processor's account.
    pub fn stats(&self) -> Vec<PluginStats> {
        self.chain.stats()
    }
}
