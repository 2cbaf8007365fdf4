//! Forwarding: leases out of the spool, deliveries back.
//!
//! Several sealed batches are in flight at once, oldest first. What the peer answers settles the
//! lease (`carry`); what it doesn't answer puts the batch back. Nothing is ever given up because
//! time has passed. When the peer is away, [`Pace`] lets one batch at a time knock; when it minds
//! one batch only, that batch waits by itself and the others pass.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_spool::{Lease, Spool, SpoolError};
use petrel_wire::Peer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use blame::Tally;

mod backoff;
mod blame;
mod carry;
mod client;
mod cut;
mod pace;
mod recode;
mod retry_after;
mod tls;

pub use backoff::Backoff;
pub use client::{About, Answer, Client, ClientError};
pub use pace::{Pace, Pass, Trouble};
pub use recode::Coding;
pub use tls::{TlsError, no_tls};

/// Batches that wait for a better answer while others pass.
const DEFERRED: usize = 16;
/// Without a delivery for this long, a backlog is a fault.
const STALLED: Duration = Duration::from_secs(60);
/// The loop's heartbeat: progress is looked at, and the watchdog fed.
const BEAT: Duration = Duration::from_secs(1);
/// Requests in flight may take so long after the stop.
const GRACE: Duration = Duration::from_secs(5);
/// After a failed lease: the disk reopens its files by itself.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// How hard to try. `Default` is for the real world; tests make it quick.
#[derive(Clone, Copy, Debug)]
pub struct ForwardTiming {
    /// Between tries.
    pub backoff: Backoff,
    /// Between tries while parked.
    pub parked_for: Duration,
}

impl Default for ForwardTiming {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            parked_for: Duration::from_secs(300),
        }
    }
}

/// The stage, shared by its tasks and whoever looks on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Forwarder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spool: Spool,
    client: Client,
    pace: Pace,
    backoff: Backoff,
    slots: Arc<Semaphore>,
    in_flight: usize,
    deferred: Arc<Semaphore>,
    progress: Mutex<Progress>,
    counters: Counters,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Progress {
    /// The newest delivery, or the last moment without a backlog.
    at: Instant,
    delivery: Option<Instant>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Counters {
    sent_bytes: AtomicU64,
    failures: AtomicU64,
    dead: AtomicU64,
    splits: AtomicU64,
}

/// What forwarding looks like from outside.
#[derive(Clone, Debug)]
pub struct ForwardStatus {
    /// Where batches go.
    pub endpoint: String,
    /// Whether the peer echoes identities.
    pub peer: Peer,
    /// How bodies are sent.
    pub coding: Coding,
    /// What keeps batches here, and for how long at least.
    pub trouble: Option<(Trouble, Duration)>,
    /// A backlog, and nothing was delivered for too long.
    pub stalled: bool,
    /// Since the newest delivery.
    pub since_delivery: Option<Duration>,
    /// Requests in flight now.
    pub in_flight: usize,
    /// Batches that wait by themselves for a better answer.
    pub deferred: usize,
    /// Batches acknowledged since the start.
    pub delivered_batches: u64,
    /// Body bytes of all tries since the start.
    pub sent_bytes: u64,
    /// Requests since the start.
    pub tries: u64,
    /// Of these without acknowledgement.
    pub failures: u64,
    /// Batches set aside as dead letters since the start.
    pub dead_batches: u64,
    /// Batches cut in two: too large for the peer, or with something in them that it refuses.
    pub split_batches: u64,
}

impl Forwarder {
    /// Puts the stage together; nothing is sent before [`Forwarder::run`].
    pub fn new(
        spool: Spool,
        client: Client,
        in_flight: usize,
        timing: ForwardTiming,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared {
            spool,
            client,
            pace: Pace::new(timing.backoff, timing.parked_for),
            backoff: timing.backoff,
            slots: Arc::new(Semaphore::new(in_flight)),
            in_flight,
            deferred: Arc::new(Semaphore::new(DEFERRED)),
            progress: Mutex::new(Progress {
                at: Instant::now(),
                delivery: None,
                tally: Tally::default(),
            }),
            counters: Counters::default(),
            stop,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Forwards until the stop, then lets requests in flight finish for a moment. `beat` is called
    /// every second by the loop itself, so it stops when the loop is stuck.
    pub async fn run(self, beat: impl Fn()) {
        let stop = self.shared.stop.clone();
        let mut carriers = JoinSet::new();
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Box::pin(Arc::clone(&self.shared).next());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    self.shared.look_for_backlog();
                    beat();
                }
                Some(ended) = carriers.join_next() => report(ended),
                leased = &mut next => {
                    match leased {
                        Ok((slot, lease)) => {
                            carriers.spawn(Arc::clone(&self.shared).carry(slot, lease));
                        }
                        Err(SpoolError::Closed) => break,
                        Err(why) => {
                            warn!(error = %why, "cannot read the spool, trying on");
                            sleep(DISK_PAUSE).await;
                        }
                    }
                    next = Box::pin(Arc::clone(&self.shared).next());
                }
            }
        }
        // A lease that was on its way goes back.
        drop(next);
        let rest = async {
            while let Some(ended) = carriers.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            info!("requests in flight did not finish in time; their batches stay in the spool");
            carriers.shutdown().await;
        }
    }

    /// For status, health and metrics.
    pub fn status(&self) -> ForwardStatus {
        let shared = &self.shared;
        let now = Instant::now();
        let (at, delivery, tally) = {
            let progress = shared.progress();
            (progress.at, progress.delivery, progress.tally)
        };
        let counters = &shared.counters;
        ForwardStatus {
            endpoint: shared.client.base_url().to_owned(),
            peer: shared.client.peer(),
            coding: shared.client.coding(),
            trouble: shared.pace.trouble(),
            stalled: now.duration_since(at) > STALLED,
            since_delivery: delivery.map(|at| now.duration_since(at)),
            in_flight: shared.in_flight - shared.slots.available_permits(),
            deferred: DEFERRED - shared.deferred.available_permits(),
            delivered_batches: tally.delivered,
            sent_bytes: counters.sent_bytes.load(Relaxed),
            tries: tally.tries,
            failures: counters.failures.load(Relaxed),
            dead_batches: counters.dead.load(Relaxed),
            split_batches: counters.splits.load(Relaxed),
        }
    }
}

impl Shared {
    /// An open gate, then a batch, then a slot: while the peer is away, data stays on the disk, and
    /// a wait for data keeps no slot from a batch that tries again.
    async fn next(self: Arc<Self>) -> Result<(OwnedSemaphorePermit, Lease), SpoolError> {
        self.pace.ready().await;
        let lease = self.spool.lease().await?;
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        Ok((slot.map_err(|_| SpoolError::Closed)?, lease))
    }

    fn look_for_backlog(&self) {
        if self.spool.stats().entries == 0 {
            self.progress().at = Instant::now();
        }
    }

    /// Held for nanoseconds and never across an await.
    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && !error.is_cancelled()
    {
        error!(%error, "forwarding a batch failed; it goes back into the spool");
    }
}
