//! Forwarding: leases out of the spool, deliveries back.
//!
//! Several sealed batches are in flight at once, oldest first. What the peer answers settles the
//! lease; what it doesn't answer puts the batch back. Nothing is ever given up because time has
//! passed. When the peer is away, [`Pace`] lets one batch at a time knock; when it minds one batch
//! only, that batch waits by itself and the others pass.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_spool::{Lease, Spool, SpoolError};
use petrel_wire::{Batch, Delivery, Limits, Peer, Refusal, Sealed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

mod backoff;
mod client;
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
/// A batch that failed so often while others passed is poison.
const MOST_TRIES: u32 = 20;
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
}

#[derive(Debug, Default)]
struct Counters {
    batches: AtomicU64,
    sent_bytes: AtomicU64,
    tries: AtomicU64,
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
    /// Batches cut in two because the peer found them too large.
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
        let (at, delivery) = {
            let progress = shared.progress();
            (progress.at, progress.delivery)
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
            delivered_batches: counters.batches.load(Relaxed),
            sent_bytes: counters.sent_bytes.load(Relaxed),
            tries: counters.tries.load(Relaxed),
            failures: counters.failures.load(Relaxed),
            dead_batches: counters.dead.load(Relaxed),
            split_batches: counters.splits.load(Relaxed),
        }
    }
}

/// What became of one try.
enum Next {
    /// The lease is settled.
    Done,
    /// This batch alone waits and tries again, for the n-th time.
    Defer(Box<Lease>, u32, Option<Duration>),
}

impl Shared {
    /// A slot, an open gate, and only then a batch: while the peer is away, data stays on the disk.
    async fn next(self: Arc<Self>) -> Result<(OwnedSemaphorePermit, Lease), SpoolError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_| SpoolError::Closed)?;
        self.pace.ready().await;
        Ok((slot, self.spool.lease().await?))
    }

    /// Carries one batch until its lease is settled. The first slot is given back while it waits.
    async fn carry(self: Arc<Self>, slot: OwnedSemaphorePermit, lease: Lease) {
        let stop = self.stop.clone();
        let mut lease = lease;
        let mut slot = Some(slot);
        let mut tries = 0;
        let mut others = self.counters.batches.load(Relaxed);
        let mut waiting = None;
        loop {
            let pass = tokio::select! {
                // Dropped unsettled, the lease goes back.
                () = stop.cancelled() => return,
                pass = self.pace.enter() => pass,
            };
            drop(waiting.take());
            let next = self.try_once(pass, lease, tries, others).await;
            let (kept, failed, after) = match next {
                Next::Done => return,
                Next::Defer(lease, failed, after) => (lease, failed, after),
            };
            lease = *kept;
            if tries == 0 {
                others = self.counters.batches.load(Relaxed);
            }
            tries = failed;
            drop(slot.take());
            // There was room when the batch was deferred; a race merely defers one more.
            waiting = Arc::clone(&self.deferred).try_acquire_owned().ok();
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(self.backoff.draw(tries, after)) => {}
            }
            slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        }
    }

    async fn try_once(&self, pass: Pass<'_>, lease: Lease, tries: u32, others: u64) -> Next {
        let id = lease.id();
        let (signal, items) = {
            let sealed = &lease.entry().sealed;
            (sealed.signal(), sealed.items())
        };
        let answer = self.client.deliver(&id, &lease.entry().sealed).await;
        let Answer {
            delivery,
            about,
            sent_bytes,
        } = answer;
        self.counters.tries.fetch_add(1, Relaxed);
        self.counters
            .sent_bytes
            .fetch_add(sent_bytes as u64, Relaxed);
        match &delivery {
            Delivery::Committed => {
                debug!(batch.id = %id, %signal, items, "delivered {items} {signal}");
                self.delivered();
                pass.succeeded();
                lease.settle(&delivery);
                return Next::Done;
            }
            Delivery::Partial { rejected, message } => {
                warn!(batch.id = %id, %signal, rejected, message, "the peer took a part only");
                self.delivered();
                pass.succeeded();
                lease.settle(&delivery);
                return Next::Done;
            }
            _ => {}
        }
        self.counters.failures.fetch_add(1, Relaxed);
        match delivery {
            Delivery::Refused(Refusal::Data, ref words) => {
                warn!(batch.id = %id, %signal, items, reason = %words, "the peer refused a batch for good");
                self.counters.dead.fetch_add(1, Relaxed);
                pass.succeeded();
                lease.settle(&delivery);
            }
            Delivery::Refused(Refusal::Size, words) => {
                pass.succeeded();
                self.split(lease, words).await;
            }
            Delivery::Refused(Refusal::Conflict, words) => {
                pass.succeeded();
                self.rename(lease, &words).await;
            }
            Delivery::Refused(Refusal::Parked, ref words) => {
                let reason = words.clone();
                self.say_once(&Trouble::Parked { reason });
                pass.parked(words.clone());
                lease.settle(&delivery);
            }
            Delivery::Busy { after, reason } => {
                return self.busy(pass, lease, about, after, reason, (tries, others));
            }
            // Settled above.
            Delivery::Committed | Delivery::Partial { .. } => {}
        }
        Next::Done
    }

    fn busy(
        &self,
        pass: Pass<'_>,
        lease: Lease,
        about: About,
        after: Option<Duration>,
        reason: String,
        (tries, others): (u32, u64),
    ) -> Next {
        debug!(batch.id = %lease.id(), reason, "not delivered");
        let tries = tries + 1;
        let alone = about == About::Batch && !pass.is_probe();
        if alone && tries >= MOST_TRIES && self.counters.batches.load(Relaxed) > others {
            warn!(batch.id = %lease.id(), tries, reason, "only this batch fails: set aside");
            self.counters.dead.fetch_add(1, Relaxed);
            let words = format!("failed {tries} times while others passed; last: {reason}");
            lease.settle(&Delivery::Refused(Refusal::Data, words));
            return Next::Done;
        }
        let room = tries > 1 || self.deferred.available_permits() > 0;
        if about == About::Batch && room {
            if pass.is_probe() {
                pass.failed(after, reason);
            }
            return Next::Defer(Box::new(lease), tries, after);
        }
        self.say_once(&Trouble::Waiting {
            reason: reason.clone(),
        });
        pass.failed(after, reason.clone());
        lease.settle(&Delivery::Busy { after, reason });
        Next::Done
    }

    /// Replaces a batch by its halves. A single item that is too large is nobody's.
    async fn split(&self, lease: Lease, words: String) {
        let id = lease.id();
        let sealed = lease.entry().sealed.clone();
        match tokio::task::spawn_blocking(move || halves(&sealed)).await {
            Ok(parts) if parts.len() > 1 => {
                info!(batch.id = %id, parts = parts.len(), "too large for the peer: split");
                self.counters.splits.fetch_add(1, Relaxed);
                if let Err(why) = lease.split(parts).await {
                    warn!(batch.id = %id, error = %why, "cannot split a batch, trying on");
                    sleep(DISK_PAUSE).await;
                }
            }
            _ => {
                warn!(batch.id = %id, reason = words, "one item is too large for the peer");
                self.counters.dead.fetch_add(1, Relaxed);
                lease.settle(&Delivery::Refused(Refusal::Data, words));
            }
        }
    }

    /// The peer knows this identity with other content: this spool is a copy of another (a cloned
    /// disk). What comes from now on gets a new identity, and so does this batch.
    async fn rename(&self, lease: Lease, words: &str) {
        let id = lease.id();
        error!(batch.id = %id, reason = words, "another agent uses this spool's identity; taking a new one");
        // Others of the old identity may have renewed it meanwhile; its epochs are those of classes.
        if self.spool.identity().0 == id.agent
            && let Err(why) = self.spool.renew_identity().await
        {
            warn!(error = %why, "cannot take a new identity, trying on");
            sleep(DISK_PAUSE).await;
            return;
        }
        let same = lease.entry().sealed.clone();
        if let Err(why) = lease.split(vec![same]).await {
            warn!(batch.id = %id, error = %why, "cannot rename a batch, trying on");
            sleep(DISK_PAUSE).await;
        }
    }

    fn delivered(&self) {
        self.counters.batches.fetch_add(1, Relaxed);
        let now = Instant::now();
        if let Some((_, _)) = self.pace.trouble() {
            info!(endpoint = self.client.base_url(), "forwarding again");
        }
        let mut progress = self.progress();
        progress.at = now;
        progress.delivery = Some(now);
    }

    fn look_for_backlog(&self) {
        if self.spool.stats().entries == 0 {
            self.progress().at = Instant::now();
        }
    }

    /// One line when trouble begins or changes its face, and none for each try.
    fn say_once(&self, trouble: &Trouble) {
        let known = self.pace.trouble();
        if known.is_none_or(|(known, _)| known != *trouble) {
            let endpoint = self.client.base_url();
            warn!(
                endpoint,
                "nothing is forwarded now, data stays in the spool; {trouble}"
            );
        }
    }

    /// Held for nanoseconds and never across an await.
    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two parts or more, if items allow it; none if the batch cannot be opened.
fn halves(sealed: &Sealed) -> Vec<Sealed> {
    let limits = Limits {
        request_bytes: sealed.unpacked_bytes() as usize,
        ..Limits::default()
    };
    let Ok(batch) = sealed.unpack(&limits) else {
        return Vec::new();
    };
    let half = batch.bytes().len() / 2;
    let parts: Vec<Batch> = batch.split(half);
    parts.iter().map(Sealed::pack).collect()
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && !error.is_cancelled()
    {
        error!(%error, "forwarding a batch failed; it goes back into the spool");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_batch_is_cut_into_parts_with_the_same_items() {
        let sealed = Sealed::pack(&testing::logs(9));
        let parts = halves(&sealed);
        assert!(parts.len() > 1);
        let items: u32 = parts.iter().map(Sealed::items).sum();
        assert_eq!(items, 9);
        let single = Sealed::pack(&testing::logs(1));
        assert_eq!(halves(&single).len(), 1);
    }
}
