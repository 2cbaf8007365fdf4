//! The spool: sealed batches that are safe on this disk and not yet safe further on.
//!
//! In the agent it stands between processors and network, in the aggregator (where prose calls it
//! the journal) between network and ClickHouse. [`Spool::append`] returns once the batch would
//! survive a power cut; only then may anyone be answered. Order is oldest first within a [`Class`]. It never looks
//! inside a batch and never opens a socket.
//!
//! # Layout
//! A directory of small redb files: segments, of which only the newest of each [`Class`] is written,
//! and a state file that says which segments there are and what in them is settled. A segment is never
//! changed after it was closed; it is unlinked whole, once everything in it is settled or the
//! bound asks for it. So space returns at once, damage costs one file, and a restart reads one
//! segment's headers, whatever the backlog.
//!
//! # Promises
//! - Group commit: callers that wait together share one fsync; no caller blocks its runtime.
//! - A record is checked (length, xxh3-128) before it is handed out; what is damaged is counted.
//! - A sequence number once used is never used again; where continuity is in doubt the epoch grows.
//! - [`SignalStats::is_balanced`], at any time and across any restart.
//! - A disk that fails costs refusals, never an acknowledged entry and never the process.
//!
//! What it cannot promise: a device that lies about its flush, or loses what was written long ago.

mod append;
mod archive;
mod books;
mod class;
mod cut;
mod dead;
mod disk;
mod error;
mod evict;
mod glance;
mod handle;
mod layout;
mod lease;
mod ledger;
mod notebook;
mod order;
mod owner;
mod ranges;
mod recover;
mod room;
mod salvage;
mod segment;
mod settle;
mod shelf;
mod state;
mod stream;
mod trouble;
mod unwritten;
mod window;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_wire::{AgentId, BatchId, Clock, Sealed, Signal, UnixNanos};
use tokio::sync::{Semaphore, oneshot};

pub use archive::{ArchiveError, ArchiveReader, ArchiveWriter, Archived};
pub use books::{SignalStats, SpoolStats};
pub use class::Class;
pub use cut::Cut;
pub use disk::{Directory, Disk, Space};
pub use error::SpoolError;
pub use glance::{Glance, Inspection, SegmentReport, Waiting};
pub use lease::Lease;
pub use notebook::{Notebook, Noted};
pub use window::{
    Committed, HeldEntry, HeldWindow, Part, Release, Reopened, WindowChange, WindowStats,
};

use owner::{Append, Owner, Request};

/// Which tenant an entry belongs to; always zero in an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub u32);

/// Bounds and policy.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// Directory of the spool; created if absent.
    pub dir: PathBuf,
    /// Allocated disk blocks of the whole directory: segments, state, dead letters, what was set
    /// aside, the ballast, and whatever else lies in it. Less where the file system has not so
    /// much.
    pub max_bytes: u64,
    /// What stays free on the file system, whoever fills it: below it appends are refused, and
    /// nothing is evicted for others. `None` for 512 MiB or a twentieth of the file system, the
    /// smaller.
    pub min_free_bytes: Option<u64>,
    /// What happens at the bound.
    pub when_full: WhenFull,
    /// While entries older than a minute wait, so many of a hundred leases are for the newest ones:
    /// after an outage an onlooker sees the present at once and the past being filled in. Zero for
    /// strictly oldest first. Cuts are always oldest first.
    pub live_percent: u8,
    /// Whether the directory may lie on a network file system, where a promise is worth what its
    /// server's locks and fsyncs are.
    pub allow_network_file_system: bool,
}

impl SpoolConfig {
    /// 2 GiB at `dir`, evicting the oldest.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            ..Self::default()
        }
    }
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("./data/spool"),
            max_bytes: 2 << 30,
            min_free_bytes: None,
            when_full: WhenFull::EvictOldest,
            live_percent: 70,
            allow_network_file_system: false,
        }
    }
}

/// What `append` does when the spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Drop the oldest entries, counted by signal.
    EvictOldest,
    /// Refuse the new one with [`SpoolError::Full`].
    Refuse,
}

/// Numbers that a user has no reason to touch; tests make them small.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// A segment is closed when its file occupies this much; `None` for a sixteenth of the bound,
    /// between 8 and 64 MiB.
    pub segment_bytes: Option<u64>,
    /// Most payload in one commit.
    pub group_bytes: u64,
    /// Payload of callers that wait for a commit; others wait for them.
    pub waiting_bytes: u32,
    /// Settlements become durable after this long...
    pub settle_after: Duration,
    /// ...or when this many have come together.
    pub settle_most: usize,
    /// Cuts that are not full are handed out at most this often.
    pub cut_linger: Duration,
    /// Dead letters may occupy this part of the bound, one in so many.
    pub dead_share: u64,
    /// The pause after a failure of the disk; doubled from failure to failure...
    pub retry_after: Duration,
    /// ...up to this.
    pub retry_most: Duration,
    /// How often the directory is counted and the file system looked at.
    pub recount_after: Duration,
    /// Blocks held back for settlements on a full disk; `None` for a 64th of the bound, between 1
    /// and 16 MiB.
    pub ballast_bytes: Option<u64>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            segment_bytes: None,
            group_bytes: 4 << 20,
            waiting_bytes: 32 << 20,
            settle_after: Duration::from_millis(500),
            settle_most: 64,
            cut_linger: Duration::from_millis(300),
            dead_share: 20,
            retry_after: Duration::from_millis(500),
            retry_most: Duration::from_secs(10),
            recount_after: Duration::from_secs(60),
            ballast_bytes: None,
        }
    }
}

/// What is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Tenant.
    pub project: ProjectId,
    /// Who sealed it, when it came with an identity (aggregator). Its sequence number is then
    /// claimed in the ledger in the same transaction.
    pub origin: Option<BatchId>,
    /// When it was accepted.
    pub accepted: UnixNanos,
    /// The bytes.
    pub sealed: Sealed,
}

/// Proof that a batch would survive a power cut: the only ticket to a 200.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Spooled {
    id: BatchId,
    seen_before: bool,
}

impl Spooled {
    /// The identity under which this spool keeps it; its origin if that was seen before.
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// The ledger had this origin already; nothing was stored again.
    pub fn seen_before(&self) -> bool {
        self.seen_before
    }
}

/// Where the owner and the handles meet without a message.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) stats: SpoolStats,
    pub(crate) identity: (AgentId, u32),
}

#[derive(Debug)]
struct Shared {
    requests: Sender<Request>,
    room: Arc<Semaphore>,
    waiting_bytes: u32,
    board: Arc<Mutex<Board>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _owner_may_be_gone = self.requests.send(Request::Close(oneshot::channel().0));
    }
}

/// The open spool: cheap to clone; one owner thread does all disk work.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

impl Spool {
    /// Opens or creates; quarantines what cannot be read; constant time in the backlog. Blocks.
    pub fn open(config: SpoolConfig, clock: Arc<dyn Clock>) -> Result<Self, SpoolError> {
        let disk = Directory::new(&config.dir).map_err(|error| SpoolError::Disk {
            doing: "creating the directory",
            source: Arc::new(error),
        })?;
        Self::open_on(Arc::new(disk), config, Tuning::default(), clock)
    }

    /// Opens on a disk of the caller's choice; `config.dir` is then only a name for messages.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        config: SpoolConfig,
        tuning: Tuning,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SpoolError> {
        let (requests, inbox) = channel();
        let owner = Owner::open(disk, config, tuning, clock, inbox)?;
        let board = owner.board();
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || owner.run())
            .map_err(|error| SpoolError::Disk {
                doing: "starting the owner thread",
                source: Arc::new(error),
            })?;
        Ok(Self {
            shared: Arc::new(Shared {
                requests,
                room: Arc::new(Semaphore::new(tuning.waiting_bytes as usize)),
                waiting_bytes: tuning.waiting_bytes,
                board,
            }),
        })
    }

    /// This spool's identity, and the newest epoch of it. Each class writes under an epoch of its
    /// own, see [`Class`].
    pub fn identity(&self) -> (AgentId, u32) {
        self.look(|board| board.identity)
    }

    /// Returns once the entry would survive a power cut. Callers that wait together share one
    /// commit. Not cancel-safe in one sense: a dropped future may still have been stored.
    pub async fn append(&self, entry: Entry, class: Class) -> Result<Spooled, SpoolError> {
        self.append_with(entry, class, true).await
    }

    async fn append_with(
        &self,
        entry: Entry,
        class: Class,
        claims: bool,
    ) -> Result<Spooled, SpoolError> {
        // Taken before the entry is queued, so that a burst waits here and not in memory twice.
        let bytes = u32::try_from(entry.sealed.body().len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.shared.room)
            .acquire_many_owned(bytes.clamp(1, self.shared.waiting_bytes))
            .await
            .map_err(|_| SpoolError::Closed)?;
        self.ask(|reply| {
            Request::Append(Append {
                claims,
                class,
                entry,
                reply,
                _room: room,
            })
        })
        .await
    }

    /// An entry that is not in flight, [`Class::Keep`] first, in the order that
    /// [`SpoolConfig::live_percent`] describes; waits until there is one.
    pub async fn lease(&self) -> Result<Lease, SpoolError> {
        let home = self.shared.requests.clone();
        self.ask(|reply| Request::Lease { home, reply }).await
    }

    /// Contiguous oldest entries, up to about `max_items` items or `max_bytes` packed bytes, whose
    /// extent is durable before it is handed out, so that a restart hands out the same cut with
    /// the same id. Several cuts may be out. Waits until there is at least one entry, and a
    /// little longer ([`Tuning::cut_linger`]) for a cut that is not full.
    pub async fn cut(&self, max_items: u64, max_bytes: u64) -> Result<Cut, SpoolError> {
        let home = self.shared.requests.clone();
        self.ask(|reply| Request::Cut {
            home,
            max_items,
            max_bytes,
            reply,
        })
        .await
    }

    /// Returns once every settlement so far is durable.
    pub async fn flush(&self) -> Result<(), SpoolError> {
        self.ask(Request::Flush).await
    }

    /// Whether the entry that `origin` names was ever appended for `project`, whatever became of it.
    /// "No" is for ever, unless it is appended again; after a failure that the disk has not recovered
    /// from nobody knows, which is an error.
    pub async fn knows(&self, project: ProjectId, origin: BatchId) -> Result<bool, SpoolError> {
        self.ask(|reply| Request::Knows {
            project,
            origin,
            reply,
        })
        .await
    }

    /// Takes a new identity for everything appended from now on: a peer has told us that another
    /// spool uses this one's. Entries on disk keep theirs.
    pub async fn renew_identity(&self) -> Result<(AgentId, u32), SpoolError> {
        self.ask(Request::Renew).await
    }

    /// The newest dead letters, with the reasons why nobody will ever take them.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, SpoolError> {
        self.ask(|reply| Request::DeadLetters { limit, reply })
            .await
    }

    /// Forgets these dead letters for good; how many there were.
    pub async fn drop_dead_letters(&self, ids: Vec<BatchId>) -> Result<u64, SpoolError> {
        self.ask(|reply| Request::DropDeadLetters { ids, reply })
            .await
    }

    /// Spools a dead letter again, as [`Class::Keep`] and under its own name: should it have been
    /// taken after all, the next hop recognises it. `None` if there is no such letter.
    pub async fn retry_dead_letter(&self, id: BatchId) -> Result<Option<Spooled>, SpoolError> {
        let letters = self.dead_letters(usize::MAX).await?;
        let Some(letter) = letters.into_iter().find(|letter| letter.id == id) else {
            return Ok(None);
        };
        let mut entry = letter.entry;
        entry.origin = Some(id);
        let spooled = self.append_with(entry, Class::Keep, false).await?;
        // If the power goes in between, it is here twice under one name.
        self.drop_dead_letters(vec![id]).await?;
        Ok(Some(spooled))
    }

    /// Moves everything that waits into an archive; how many batches. Each is settled once
    /// `sync` has made what was written durable, so that a crash leaves it here, there or in both.
    /// Nobody else may lease meanwhile.
    pub async fn export<W: Write>(
        &self,
        archive: &mut ArchiveWriter<W>,
        sync: impl Fn(&mut W) -> io::Result<()>,
    ) -> Result<u64, ExportError> {
        let mut exported = 0;
        while self.stats().entries > 0 {
            let mut leases = Vec::new();
            let mut bytes = 0;
            while bytes < EXPORT_BYTES {
                let lease = tokio::select! {
                    biased;
                    lease = self.lease() => lease?,
                    // Its first answer may come before a lease of the same turn, its second not.
                    flushed = async { self.flush().await?; self.flush().await } => {
                        flushed?;
                        break;
                    }
                };
                archive.append(&lease.name(), lease.class(), lease.entry())?;
                bytes += lease.entry().sealed.body().len();
                leases.push(lease);
            }
            if leases.is_empty() {
                break; // in flight elsewhere, or in cuts
            }
            sync(archive.get_mut())?;
            exported += leases.len() as u64;
            for lease in leases {
                lease.settle_as_exported();
            }
            self.flush().await?;
        }
        Ok(exported)
    }

    /// Holds back the entries of a signal, which stay here while others are leased, or lets them go
    /// again. Nothing on the disk knows of it.
    pub fn hold(&self, signal: Signal, held: bool) {
        let request = Request::Hold(signal, held);
        // An owner that has stopped leases nothing anyway.
        let _owner_may_be_gone = self.shared.requests.send(request);
    }

    /// Books and sizes, for `/metrics` and `status`.
    pub fn stats(&self) -> SpoolStats {
        self.look(|board| board.stats.clone())
    }

    /// Settles pending settlements durably, stops the owner and gives up the directory. Other
    /// handles get [`SpoolError::Closed`] from then on.
    pub async fn close(self) {
        let (reply, done) = oneshot::channel();
        if self.shared.requests.send(Request::Close(reply)).is_ok() {
            // An error means that the owner had stopped before, which is what we wanted.
            let _stopped = done.await;
        }
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, SpoolError>>) -> Request,
    ) -> Result<T, SpoolError> {
        let (reply, answer) = oneshot::channel();
        self.shared
            .requests
            .send(request(reply))
            .map_err(|_| SpoolError::Closed)?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    fn look<T>(&self, at: impl FnOnce(&Board) -> T) -> T {
        at(&self
            .shared
            .board
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

/// Leases that an export holds at once.
const EXPORT_BYTES: usize = 16 << 20;

/// Why an export stopped. What it has settled is in the archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The archive.
    #[error("cannot write the archive")]
    Archive(#[from] io::Error),
}

/// An entry that the next hop refused for good.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Under which it was refused.
    pub id: BatchId,
    /// What was refused.
    pub entry: Entry,
    /// The peer's words.
    pub reason: String,
}
