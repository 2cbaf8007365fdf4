//! Sealing: batches that wait together become one sealed batch and share one commit.
//!
//! Per signal and class (`class`), waiting requests are collected until they weigh enough or the oldest has lingered
//! long enough; then they are put behind each other (which merges OTLP messages without decoding),
//! packed once, appended to the spool, and everybody who waited gets the same [`Spooled`].
//!
//! The linger follows the disk: twice the moving average of a commit, between 5 and 200 ms. A fast
//! disk answers fast; a slow one gets fewer, larger commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolError, Spooled};
use petrel_wire::{Batch, Clock, Sealed, Signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::custody::{Admitted, Custody};

mod class;

pub(crate) use class::class_of;

/// Requests between the door and the sealer. What they weigh is bounded by the door's budget.
const WAITING: usize = 1024;
/// Commits under way; the spool joins those that wait together.
const COMMITS: usize = 8;
/// Packing more than this takes a thread of its own; less costs under two milliseconds.
const LARGE_BYTES: usize = 512 << 10;
const SHORTEST_LINGER: Duration = Duration::from_millis(5);
const LONGEST_LINGER: Duration = Duration::from_millis(200);

/// What a sealer needs.
#[derive(Clone, Debug)]
pub struct SealConfig {
    /// A group that weighs this much, uncompressed, waits no longer.
    pub batch_bytes: usize,
}

/// The handle: puts batches into the spool. Cheap to clone; when the last one is gone, the stage
/// finishes its groups and ends.
#[derive(Clone, Debug)]
pub struct Sealer {
    inbox: mpsc::Sender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    batch: Batch,
    class: Class,
    custody: Custody,
    answer: oneshot::Sender<Result<Spooled, SpoolError>>,
}

impl Sealer {
    /// Returns once the batch would survive a power cut. If the caller goes away meanwhile, the
    /// batch may be stored all the same, and is booked as what happened to it.
    pub async fn spool(&self, admitted: Admitted) -> Result<Spooled, SpoolError> {
        self.hand_over(admitted).await?.durable().await
    }

    /// Returns once the batch waits with others; see [`Sealer::spool`].
    pub(crate) async fn hand_over(&self, admitted: Admitted) -> Result<Sealing, SpoolError> {
        let Admitted { batch, custody } = admitted;
        let (answer, spooled) = oneshot::channel();
        let waiting = Waiting {
            class: class_of(&batch),
            batch,
            custody,
            answer,
        };
        self.inbox
            .send(waiting)
            .await
            .map_err(|_| SpoolError::Closed)?;
        Ok(Sealing(spooled))
    }
}

/// A batch on its way to the disk.
#[derive(Debug)]
pub(crate) struct Sealing(oneshot::Receiver<Result<Spooled, SpoolError>>);

impl Sealing {
    /// Returns once it would survive a power cut.
    pub(crate) async fn durable(self) -> Result<Spooled, SpoolError> {
        self.0.await.map_err(|_| SpoolError::Closed)?
    }
}

/// The stage itself: owns what is waiting.
#[derive(Debug)]
pub struct Seal {
    inbox: mpsc::Receiver<Waiting>,
    spool: Spool,
    clock: Arc<dyn Clock>,
    config: SealConfig,
    commit_time: Arc<CommitTime>,
}

impl Seal {
    /// The stage and its handle.
    pub fn new(spool: Spool, clock: Arc<dyn Clock>, config: SealConfig) -> (Self, Sealer) {
        let (sender, inbox) = mpsc::channel(WAITING);
        let seal = Self {
            inbox,
            spool,
            clock,
            config,
            commit_time: Arc::default(),
        };
        (seal, Sealer { inbox: sender })
    }

    /// Runs until every handle is gone and everybody who waited is answered.
    pub async fn run(mut self) {
        let mut groups = Vec::new();
        for class in Class::ALL {
            groups.extend(Signal::ALL.map(|signal| Group::new(class, signal)));
        }
        let mut commits = JoinSet::new();
        loop {
            let due = groups.iter().filter_map(|group| group.due).min();
            tokio::select! {
                Some(ended) = commits.join_next() => report(ended),
                waiting = self.inbox.recv(), if commits.len() < COMMITS => {
                    let Some(waiting) = waiting else { break };
                    let Some(group) = groups.iter_mut().find(|it| it.takes(&waiting)) else {
                        continue; // there is one for each
                    };
                    group.add(waiting, self.commit_time.linger());
                    if group.bytes >= self.config.batch_bytes {
                        self.commit(group, &mut commits);
                    }
                }
                () = until(due) => {
                    let now = Instant::now();
                    for group in &mut groups {
                        if group.due.is_some_and(|due| due <= now) {
                            self.commit(group, &mut commits);
                        }
                    }
                }
            }
        }
        for group in &mut groups {
            self.commit(group, &mut commits);
        }
        while let Some(ended) = commits.join_next().await {
            report(ended);
        }
    }

    fn commit(&self, group: &mut Group, commits: &mut JoinSet<()>) {
        let waiting = group.take();
        if waiting.is_empty() {
            return;
        }
        let commit = Commit {
            class: group.class,
            spool: self.spool.clone(),
            clock: Arc::clone(&self.clock),
            commit_time: Arc::clone(&self.commit_time),
        };
        commits.spawn(commit.run(waiting));
    }
}

/// Somebody's commit panicked; its waiters got no receipt and their items are booked as refused.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a commit failed");
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Requests of one class and signal that will be sealed together.
#[derive(Debug)]
struct Group {
    class: Class,
    signal: Signal,
    waiting: Vec<Waiting>,
    bytes: usize,
    due: Option<Instant>,
}

impl Group {
    fn new(class: Class, signal: Signal) -> Self {
        Self {
            class,
            signal,
            waiting: Vec::new(),
            bytes: 0,
            due: None,
        }
    }

    fn takes(&self, waiting: &Waiting) -> bool {
        self.signal == waiting.batch.signal() && self.class == waiting.class
    }

    fn take(&mut self) -> Vec<Waiting> {
        self.bytes = 0;
        self.due = None;
        std::mem::take(&mut self.waiting)
    }

    fn add(&mut self, waiting: Waiting, linger: Duration) {
        self.bytes += waiting.batch.bytes().len();
        self.due.get_or_insert_with(|| Instant::now() + linger);
        self.waiting.push(waiting);
    }
}

struct Commit {
    class: Class,
    spool: Spool,
    clock: Arc<dyn Clock>,
    commit_time: Arc<CommitTime>,
}

impl Commit {
    async fn run(self, waiting: Vec<Waiting>) {
        let mut custodies = Vec::with_capacity(waiting.len());
        let mut parts = Vec::with_capacity(waiting.len());
        for Waiting {
            batch,
            custody,
            answer,
            ..
        } in waiting
        {
            parts.push(batch);
            custodies.push((custody, answer));
        }
        let outcome = match seal(parts).await {
            Some(sealed) => self.append(sealed).await,
            None => Err(SpoolError::Closed),
        };
        for (custody, answer) in custodies {
            match &outcome {
                Ok(spooled) => custody.spooled(spooled),
                Err(_) => custody.refused(),
            }
            // Whoever has gone away will send again; nothing more can be done about that here.
            let _gone = answer.send(outcome.clone());
        }
    }

    async fn append(&self, sealed: Sealed) -> Result<Spooled, SpoolError> {
        let started = Instant::now();
        let entry = Entry {
            project: ProjectId::default(),
            origin: None,
            accepted: self.clock.wall(),
            sealed,
        };
        let outcome = self.spool.append(entry, self.class).await;
        self.commit_time.record(started.elapsed());
        outcome
    }
}

/// Joins and packs. `None` if the runtime is going down, or there is nothing.
async fn seal(parts: Vec<Batch>) -> Option<Sealed> {
    let bytes: usize = parts.iter().map(|part| part.bytes().len()).sum();
    let pack = move || Sealed::pack_joined(&parts);
    if bytes > LARGE_BYTES {
        tokio::task::spawn_blocking(pack).await.ok().flatten()
    } else {
        pack()
    }
}

/// An exponential moving average, in microseconds; one eighth of it is the newest commit.
#[derive(Debug, Default)]
struct CommitTime {
    average_us: AtomicU64,
}

impl CommitTime {
    fn record(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let average = self.average_us.load(Relaxed);
        // Two commits at once may overwrite each other's step, which an average forgives.
        self.average_us
            .store(average - average / 8 + took / 8, Relaxed);
    }

    fn linger(&self) -> Duration {
        let twice = Duration::from_micros(self.average_us.load(Relaxed).saturating_mul(2));
        twice.clamp(SHORTEST_LINGER, LONGEST_LINGER)
    }
}

#[cfg(test)]
mod tests;
