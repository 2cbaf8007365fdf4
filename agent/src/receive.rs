//! Receiving: what the agent puts behind the OTLP door.
//!
//! [`petrel_receiver`] speaks the protocols; here a checked batch gets a custodian, goes through
//! the processors, and waits for the disk. The answer is made out of what the disk gave back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_receiver::{Arrival, Door, Head, Receipt, Refused};
use petrel_spool::{SpoolError, Spooled};
use tokio::time::Instant;

use crate::capture::Capture;
use crate::custody::{Admitted, Books};
use crate::outputs::Outlets;
use crate::plugins::{Plugins, Processed};
use crate::seal::Sealer;
use crate::window::Window;

/// The agent's side of the door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AgentDoor {
    books: Arc<Books>,
    plugins: Plugins,
    sealer: Sealer,
    outlets: Outlets,
    window: Window,
    refusals: Arc<Refusals>,
    capture: Option<Capture>,
}

/// Requests that got no receipt, by what was wrong.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: [AtomicU64; KINDS.len()],
    /// The newest that was no fault of the sender's.
    newest: Mutex<Option<Instant>>,
}

/// A refusal is told in health for so long.
const RECENT: Duration = Duration::from_secs(60);
/// What a sender has not caused and cannot mend.
const OURS: [&str; 2] = ["throttled", "busy"];

/// Every word that [`Refused::kind`] knows; the last one stands for words it may learn.
const KINDS: [&str; 11] = [
    "malformed",
    "too_large",
    "unauthenticated",
    "forbidden",
    "conflict",
    "unsupported",
    "method",
    "too_slow",
    "throttled",
    "busy",
    "other",
];

impl Refusals {
    fn count(&self, why: &Refused) {
        let kind = KINDS.iter().position(|kind| *kind == why.kind());
        self.counts[kind.unwrap_or(KINDS.len() - 1)].fetch_add(1, Relaxed);
        if OURS.contains(&why.kind()) {
            *self.newest() = Some(Instant::now());
        }
    }

    /// Whether senders were told to come again a moment ago.
    pub fn is_refusing(&self) -> bool {
        self.newest().is_some_and(|at| at.elapsed() < RECENT)
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kinds and how many requests were refused for each.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS
            .into_iter()
            .zip(self.counts.iter().map(|count| count.load(Relaxed)))
    }
}

impl AgentDoor {
    /// Puts the stages behind the door.
    pub fn new(
        books: Arc<Books>,
        plugins: Plugins,
        sealer: Sealer,
        outlets: Outlets,
        window: Window,
        capture: Option<Capture>,
    ) -> Self {
        Self {
            books,
            plugins,
            sealer,
            outlets,
            window,
            refusals: Arc::default(),
            capture,
        }
    }

    /// All parts of a request, at the same time; returns once each would survive a power cut, and one
    /// of the receipts, if there was anything. Each output has a disk buffer of its own, so each is a
    /// commit of its own: if one fails, the sender repeats all of them.
    async fn spool_all(
        &self,
        kept: Option<Admitted>,
        routed: Vec<(Arc<str>, Admitted)>,
    ) -> Result<Option<Spooled>, SpoolError> {
        let mut sealing = Vec::new();
        if let Some(kept) = kept {
            sealing.push(self.sealer.hand_over(kept).await?);
        }
        for (output, routed) in routed {
            // Processors were loaded for these outputs and no others.
            let sealer = self.outlets.get(&output).ok_or(SpoolError::Closed)?;
            sealing.push(sealer.hand_over(routed).await?);
        }
        let mut receipt = None;
        for one in sealing {
            receipt = Some(one.durable().await?);
        }
        Ok(receipt)
    }

    /// The counters of refused requests.
    pub fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.refusals)
    }
}

impl Door for AgentDoor {
    type Permit = ();

    /// Whoever reaches a loopback port may send; bytes are reserved by the receiver.
    async fn admit(&self, _head: &Head) -> Result<(), Refused> {
        Ok(())
    }

    async fn accept(&self, (): (), head: &Head, arrival: Arrival) -> Result<Receipt, Refused> {
        let (Arrival::Bare(batch) | Arrival::Sealed { batch, .. }) = arrival;
        let (signal, items) = (head.signal, batch.items());
        if let Some(capture) = &self.capture {
            capture.show(&batch);
        }
        let admitted = Admitted::new(&self.books, batch);
        match self.plugins.process(admitted).await? {
            Processed::Dropped { items } => Ok(Receipt::dropped(items)),
            Processed::Kept { admitted, effects } => {
                let spooled = self.sealer.spool(admitted).await?;
                effects.settle();
                tracing::debug!(batch.id = %spooled.id(), %signal, items, "received {items} {signal}");
                Ok(Receipt::spooled(&spooled))
            }
            Processed::Parted {
                kept,
                held,
                routed,
                effects,
            } => {
                let waiting = held.as_ref().map_or(0, |(_, custody)| custody.items());
                let hold = async {
                    match held {
                        Some((held, custody)) => self.window.hold(held, custody).await.map(Some),
                        None => Ok(None),
                    }
                };
                let (committed, spooled) = tokio::join!(hold, self.spool_all(kept, routed));
                let (committed, spooled) = (committed?, spooled?);
                effects.settle();
                tracing::debug!(%signal, items, waiting, "received {items} {signal}, {waiting} wait");
                match (committed, spooled) {
                    (Some(committed), _) => Ok(Receipt::held(&committed)),
                    (None, Some(spooled)) => Ok(Receipt::spooled(&spooled)),
                    (None, None) => Err(Refused::busy("a processor failed; send the batch again")),
                }
            }
        }
    }

    fn refused(&self, head: &Head, _permit: Option<&()>, why: &Refused) {
        self.refusals.count(why);
        let transport = head.transport.name();
        tracing::debug!(signal = %head.signal, transport, kind = why.kind(), "refused a request");
    }
}
