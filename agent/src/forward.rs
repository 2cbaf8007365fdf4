//! Forwarding: leases out of the spool, deliveries back.
//!
//! Several sealed batches are in flight at once, oldest first. What the peer answers settles the
//! lease (`carry`); what it doesn't answer puts the batch back. Nothing is ever given up because
//! time has passed. When the peer is away, [`Pace`] lets one batch at a time knock; when it minds
//! one batch only, that batch waits by itself and the others pass.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use petrel_spool::{Lease, Spool, SpoolError};
use petrel_wire::{Peer, Signal};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use blame::Tally;
use held::Held;

use crate::config::Rate;

mod backoff;
mod blame;
mod carry;
mod cause;
mod certificates;
mod client;
mod connections;
mod cut;
mod held;
mod meter;
mod pace;
mod recode;
mod retry_after;
mod tls;

pub use backoff::Backoff;
pub use client::{About, Answer, Client};
pub use connections::ClientError;
pub use meter::Meter;
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
/// Without a step for this long, beyond what requests may take, the loop is stuck.
const STUCK: Duration = Duration::from_secs(60);
/// After a failed lease: the disk reopens its files by itself.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// How hard to try. `Default` is for the real world; tests make it quick.
#[derive(Clone, Copy, Debug)]
pub struct ForwardTiming {
    /// Between tries.
    pub backoff: Backoff,
    /// Between tries while parked, about.
    pub parked_for: Duration,
    /// Between looks at the files of certificates.
    pub look_at_files: Duration,
}

impl Default for ForwardTiming {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            parked_for: Duration::from_secs(60),
            look_at_files: Duration::from_secs(10),
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
    way: RwLock<Arc<Way>>,
    /// Told when there is another way: who waits for the old one need not.
    turned: Notify,
    meter: Arc<Meter>,
    pace: Pace,
    held: Held,
    backoff: Backoff,
    look_at_files: Duration,
    deferred: Arc<Semaphore>,
    progress: Mutex<Progress>,
    counters: Counters,
    stop: CancellationToken,
}

/// Where batches go, and how many at once. A reload replaces it as a whole; what is under way on
/// the old one ends there.
#[derive(Debug)]
struct Way {
    client: Client,
    slots: Arc<Semaphore>,
}

impl Way {
    fn new(client: Client) -> Self {
        let slots = Arc::new(Semaphore::new(client.config().in_flight));
        Self { client, slots }
    }

    fn in_flight(&self) -> usize {
        self.client.config().in_flight - self.slots.available_permits()
    }
}

#[derive(Debug)]
struct Progress {
    /// The newest delivery, or the last moment without a backlog.
    at: Instant,
    delivery: Option<Instant>,
    tally: Tally,
    /// The newest step of any batch, whatever its outcome.
    step: Instant,
    /// Until then no step is due: requests have their time, and deferred batches wait.
    allowed: Instant,
    /// The newest dead letter's reason.
    dead_reason: Option<String>,
    /// Why renewed certificates cannot be used.
    certificates: Option<String>,
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
    /// The proxy in between, without its credentials.
    pub proxy: Option<String>,
    /// Whether the peer echoes identities.
    pub peer: Peer,
    /// How bodies are sent.
    pub coding: Coding,
    /// What keeps batches here, and for how long at least.
    pub trouble: Option<(Trouble, Duration)>,
    /// Signals that the peer does not take, with its words; others pass.
    pub held: Vec<(Signal, String)>,
    /// A backlog, and nothing was delivered for too long.
    pub stalled: bool,
    /// Nothing moves at all, not even tries.
    pub stuck: bool,
    /// Why renewed certificates cannot be used; those from before still are.
    pub certificates: Option<String>,
    /// How fast bodies may be written now.
    pub limit: Rate,
    /// Time that bodies waited for the limit since the start.
    pub limited: Duration,
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
    /// Why the newest of them.
    pub dead_reason: Option<String>,
    /// Batches cut in two: too large for the peer, or with something in them that it refuses.
    pub split_batches: u64,
}

impl Forwarder {
    /// Puts the stage together; nothing is sent before [`Forwarder::run`].
    pub fn new(
        spool: Spool,
        client: Client,
        meter: Arc<Meter>,
        timing: ForwardTiming,
        stop: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        let shared = Shared {
            spool,
            way: RwLock::new(Arc::new(Way::new(client))),
            turned: Notify::new(),
            meter,
            pace: Pace::new(timing.backoff, timing.parked_for),
            held: Held::new(timing.parked_for),
            backoff: timing.backoff,
            look_at_files: timing.look_at_files,
            deferred: Arc::new(Semaphore::new(DEFERRED)),
            progress: Mutex::new(Progress {
                at: now,
                delivery: None,
                tally: Tally::default(),
                step: now,
                allowed: now,
                dead_reason: None,
                certificates: None,
            }),
            counters: Counters::default(),
            stop,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Forwards to another peer, or as somebody else, from now on. What waits for the old one tries
    /// at once.
    pub fn redirect(&self, client: Client) {
        self.shared.turn(client);
    }

    /// Forwards until the stop, then lets requests in flight finish for a moment. `beat` is called
    /// every second while batches move, or have a reason not to: a stuck loop falls silent.
    pub async fn run(self, beat: impl Fn()) {
        let stop = self.shared.stop.clone();
        let mut watching = JoinSet::new();
        watching.spawn(Arc::clone(&self.shared).watch_certificates());
        let mut carriers = JoinSet::new();
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Box::pin(Arc::clone(&self.shared).next());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    self.shared.look_for_backlog();
                    self.shared.let_go(self.shared.held.due());
                    if !self.shared.is_stuck() {
                        beat();
                    }
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
        drop(watching);
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
        let stuck = shared.is_stuck();
        let way = shared.way();
        let progress = shared.progress();
        let (at, delivery, tally) = (progress.at, progress.delivery, progress.tally);
        let counters = &shared.counters;
        ForwardStatus {
            endpoint: way.client.base_url().to_owned(),
            proxy: way.client.config().proxy.as_ref().map(ToString::to_string),
            peer: way.client.peer(),
            coding: way.client.coding(),
            trouble: shared.pace.trouble(),
            held: shared.held.list(),
            stalled: now.duration_since(at) > STALLED,
            stuck,
            certificates: progress.certificates.clone(),
            limit: shared.meter.rate(),
            limited: shared.meter.waited(),
            since_delivery: delivery.map(|at| now.duration_since(at)),
            in_flight: way.in_flight(),
            deferred: DEFERRED - shared.deferred.available_permits(),
            delivered_batches: tally.delivered,
            sent_bytes: counters.sent_bytes.load(Relaxed),
            tries: tally.tries,
            failures: counters.failures.load(Relaxed),
            dead_batches: counters.dead.load(Relaxed),
            dead_reason: progress.dead_reason.clone(),
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
        self.step();
        Ok((self.slot().await?, lease))
    }

    /// One of the requests that may be in flight at once.
    async fn slot(&self) -> Result<OwnedSemaphorePermit, SpoolError> {
        let slots = Arc::clone(&self.way().slots);
        slots.acquire_owned().await.map_err(|_| SpoolError::Closed)
    }

    fn way(&self) -> Arc<Way> {
        Arc::clone(&self.way.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn turn(&self, client: Client) {
        let way = Arc::new(Way::new(client));
        *self.way.write().unwrap_or_else(PoisonError::into_inner) = way;
        self.pace.reset();
        self.let_go(self.held.reset());
        self.turned.notify_waiters();
    }

    /// Signals that were held back may be leased again.
    fn let_go(&self, signals: Vec<Signal>) {
        for signal in signals {
            self.spool.hold(signal, false);
        }
    }

    fn step(&self) {
        self.progress().step = Instant::now();
    }

    /// No step is due for so long.
    fn allow(&self, time: Duration) {
        let mut progress = self.progress();
        progress.step = Instant::now();
        progress.allowed = progress.allowed.max(progress.step + time);
    }

    /// There is work, and a long time ago somebody should have done a step of it.
    fn is_stuck(&self) -> bool {
        let closed = |(_, left): (_, Duration)| !left.is_zero();
        let stats = self.spool.stats();
        if stats.entries == 0
            // Another start would find the same disk.
            || stats.disk_failing
            || self.pace.trouble().is_some_and(closed)
            || self.meter.rate() == Rate::Nothing
        {
            self.step();
            return false;
        }
        let asked = self.meter.asked();
        let progress = self.progress();
        let due = progress.step.max(progress.allowed).max(asked) + STUCK;
        Instant::now() > due
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

#[cfg(test)]
mod tests {
    use petrel_spool::{Class, Entry, ProjectId, SpoolConfig};
    use petrel_wire::{Sealed, SystemClock};

    use super::*;
    use crate::config::{BaseUrl, Compression, Config};
    use crate::testing;

    /// A stage with one batch to forward, to nobody.
    async fn stage(dir: &std::path::Path) -> Forwarder {
        let clock = SystemClock::shared();
        let spool = Spool::open(SpoolConfig::at(dir), Arc::clone(&clock)).unwrap();
        let entry = Entry {
            project: ProjectId(0),
            origin: None,
            accepted: clock.wall(),
            sealed: Sealed::pack(&testing::logs(3)),
        };
        drop(spool.append(entry, Class::Bulk).await.unwrap());
        let mut forward = Config::default().forward;
        forward.endpoint = Some(BaseUrl::parse("http://127.0.0.1:1").unwrap());
        forward.compression = Compression::Gzip;
        let meter = Arc::new(Meter::new(clock, forward.bandwidth.clone()));
        let client = Client::new(&forward, Arc::clone(&meter)).unwrap();
        let timing = ForwardTiming::default();
        Forwarder::new(spool, client, meter, timing, CancellationToken::new())
    }

    /// A second of the paused clock, in which everybody who can does a step.
    async fn second() {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_stuck_loop_falls_silent_and_speaks_again_when_it_moves() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let forwarder = stage(dir.path()).await;
            // The only thread for blocking work is taken; packing with gzip waits for it.
            let (release, released) = std::sync::mpsc::channel::<()>();
            let taken = tokio::task::spawn_blocking(move || released.recv());
            let beats = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&beats);
            let running = tokio::spawn(forwarder.clone().run(move || {
                counted.fetch_add(1, Relaxed);
            }));
            while forwarder.status().in_flight == 0 {
                tokio::task::yield_now().await;
            }
            for _ in 0..300 {
                second().await;
            }
            let heard = beats.load(Relaxed);
            assert!((60..150).contains(&heard), "{heard} beats in 300 s");
            assert!(forwarder.status().stuck);
            drop(release);
            assert!(taken.await.unwrap().is_err());
            while beats.load(Relaxed) == heard {
                second().await;
            }
            running.abort();
        });
    }
}
