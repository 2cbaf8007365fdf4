//! The spool: sealed batches that are safe on this disk and not yet safe further on.
//!
//! In the agent it stands between processors and network, in the aggregator (where prose calls it
//! the journal) between network and ClickHouse. `append` returns once the batch would survive a
//! power cut; only then may anyone be answered. Order is oldest first. It never looks inside a
//! batch and never opens a socket.

use std::path::PathBuf;
use std::sync::Arc;

use petrel_wire::{AgentId, BatchId, Clock, Delivery, Sealed, UnixNanos};

/// Which tenant an entry belongs to; always zero in an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub u32);

/// Bounds and policy. `Default`: 2 GiB, evict oldest.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// Directory of the spool; created if absent.
    pub dir: PathBuf,
    /// Allocated disk blocks that the directory may use.
    pub max_bytes: u64,
    /// What happens at the bound.
    pub when_full: WhenFull,
}

/// What `append` does when the spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Drop the oldest entries, counted by signal.
    EvictOldest,
    /// Refuse the new one with [`SpoolError::Full`].
    Refuse,
}

/// What is appended.
#[derive(Clone, Debug)]
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
    /// The identity under which this spool keeps it (or kept it).
    pub fn id(&self) -> BatchId {
        self.id
    }
    /// The ledger had this origin already; nothing was stored again.
    pub fn seen_before(&self) -> bool {
        self.seen_before
    }
}

/// Why an append was not done. Nothing was stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// At the bound, with [`WhenFull::Refuse`] or nothing left to evict.
    #[error("spool is full: {used_bytes} of {limit_bytes} bytes")]
    Full {
        /// In use.
        used_bytes: u64,
        /// Allowed.
        limit_bytes: u64,
    },
    /// The same origin came with other bytes: a cloned spool.
    #[error("batch {0} is known with other content; its sender is a copy of another")]
    Conflict(BatchId),
    /// The owner has stopped.
    #[error("spool is closed")]
    Closed,
}

/// The open spool: cheap to clone; one owner thread does all disk work.
#[derive(Clone, Debug)]
pub struct Spool {}

impl Spool {
    /// Opens or creates; quarantines what cannot be read; constant time in the backlog.
    pub fn open(_config: SpoolConfig, _clock: Arc<dyn Clock>) -> Result<Self, SpoolError> {
        todo!()
    }
    /// This spool's identity and epoch.
    pub fn identity(&self) -> (AgentId, u32) {
        todo!()
    }
    /// Returns once the entry would survive a power cut. Callers that wait together share one
    /// commit. Not cancel-safe in one sense: a dropped future may still have been stored.
    pub async fn append(&self, _entry: Entry) -> Result<Spooled, SpoolError> {
        todo!()
    }
    /// The oldest entry that is not in flight; waits until there is one.
    pub async fn lease(&self) -> Result<Lease, SpoolError> {
        todo!()
    }
    /// Contiguous oldest entries, up to about `max_items` items or `max_bytes` packed bytes, whose
    /// extent is durable before it is handed out, so that a restart hands out the same cut with
    /// the same id. Several cuts may be out. Waits until there is at least one entry.
    pub async fn cut(&self, _max_items: u64, _max_bytes: u64) -> Result<Cut, SpoolError> {
        todo!()
    }
    /// Books and sizes, for `/metrics` and `status`.
    pub fn stats(&self) -> SpoolStats {
        todo!()
    }
    /// Settles pending settlements durably and stops the owner.
    pub async fn close(self) {
        todo!()
    }
}

/// One entry in flight once. Dropped unsettled, it goes back to the front.
#[derive(Debug)]
pub struct Lease {}
impl Lease {
    /// The identity to send with it.
    pub fn id(&self) -> BatchId {
        todo!()
    }
    /// What to send.
    pub fn entry(&self) -> &Entry {
        todo!()
    }
    /// How often it was leased before.
    pub fn attempts(&self) -> u32 {
        todo!()
    }
    /// Ends the lease: committed and partial remove the entry, refused data moves it to the dead
    /// letters, everything else puts it back.
    pub fn settle(self, _delivery: &Delivery) {
        todo!()
    }
    /// Replaces the entry by `parts` (split after a 413), durably, then ends the lease.
    pub async fn split(self, _parts: Vec<Sealed>) -> Result<(), SpoolError> {
        todo!()
    }
}

/// A durable group of entries on its way into the store.
#[derive(Debug)]
pub struct Cut {}
impl Cut {
    /// The same after a restart; never reused.
    pub fn id(&self) -> u64 {
        todo!()
    }
    /// In sequence order, each with the identity of this spool.
    pub fn entries(&self) -> &[(BatchId, Entry)] {
        todo!()
    }
    /// Everything in it is stored: durably forgotten before this returns.
    pub async fn settle(self) -> Result<(), SpoolError> {
        todo!()
    }
}

/// Conservation, per signal: `spooled = delivered + rejected + evicted + corrupt + here`.
#[derive(Clone, Debug, Default)]
pub struct SpoolStats {
    /// Indexed by `Signal::code() - 1`.
    pub by_signal: [SignalStats; 3],
    /// Allocated blocks.
    pub used_bytes: u64,
    /// The bound.
    pub limit_bytes: u64,
    /// Entries waiting or in flight.
    pub entries: u64,
    /// When the oldest waiting entry was accepted.
    pub oldest: Option<UnixNanos>,
}

/// Items of one signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignalStats {
    /// Durably appended, ever (survives restarts).
    pub spooled: u64,
    /// Acknowledged by the next hop.
    pub delivered: u64,
    /// Refused for good by the next hop (dead letters and partial success).
    pub rejected: u64,
    /// Dropped at the disk bound.
    pub evicted: u64,
    /// Unreadable on disk.
    pub corrupt: u64,
    /// Waiting or in flight.
    pub here: u64,
}
