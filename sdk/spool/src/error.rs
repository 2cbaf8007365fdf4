//! What can go wrong, by what the caller can do about it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use petrel_wire::BatchId;

/// Why an append was not done, or a spool not opened. Nothing was stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// At the bound, with [`WhenFull::Refuse`](crate::WhenFull::Refuse) or nothing left to evict.
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
    /// Another process owns the directory.
    #[error("spool {dir} is in use by pid {pid}")]
    InUse {
        /// The spool's directory.
        dir: PathBuf,
        /// Who holds it, as written in the lock file.
        pid: String,
    },
    /// The directory lies on a network file system, whose locks and fsyncs promise too little, and
    /// nobody has allowed that.
    #[error(
        "spool {dir} lies on a network file system ({network}), where neither locks nor fsync keep \
         what they promise: choose a directory on a disk of this machine, or set \
         allow_network_file_system beside it and accept losses"
    )]
    Network {
        /// The spool's directory.
        dir: PathBuf,
        /// Which kind.
        network: &'static str,
    },
    /// There is nothing to look at.
    #[error("no spool in {dir}: it has no state.redb")]
    None {
        /// Where.
        dir: PathBuf,
    },
    /// The disk failed. The entry is not stored as far as anybody can know; trying again is right,
    /// the spool reopens its files by itself.
    #[error("the spool's disk failed while {doing}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// What came back.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The file system has too little room left for anybody, whoever took it. Trying again is right:
    /// what is in the spool goes on leaving it.
    #[error("the spool's disk has {free_bytes} bytes free; {least_bytes} must stay free")]
    NoSpace {
        /// Left on the file system.
        free_bytes: u64,
        /// From here on entries are taken again.
        least_bytes: u64,
    },
    /// A newer version wrote here. Nothing was touched.
    #[error(
        "{file} is of format {format}, and this version reads up to {known}: start the version that \
         wrote it, or move the spool's directory away to begin an empty one"
    )]
    Newer {
        /// Which file.
        file: String,
        /// What it is of.
        format: u32,
        /// The newest that is read here.
        known: u32,
    },
    /// Larger than a spool of this size can ever hold.
    #[error("a batch of {bytes} bytes is too large for a spool of {limit_bytes} bytes")]
    TooLarge {
        /// Size of the batch.
        bytes: u64,
        /// Size of the spool.
        limit_bytes: u64,
    },
}

impl SpoolError {
    /// Whether the same append may succeed later without anybody changing the batch.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Full { .. } | Self::NoSpace { .. } | Self::Disk { .. } | Self::Closed
        )
    }

    pub(crate) fn disk(fault: &Fault) -> Self {
        if let Some(newer) = fault.source.downcast_ref::<Self>() {
            return newer.clone();
        }
        Self::Disk {
            doing: fault.doing,
            source: Arc::clone(&fault.source),
        }
    }
}

/// One failed piece of disk work. The handle it happened on is not used again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed while {doing}")]
pub(crate) struct Fault {
    pub(crate) doing: &'static str,
    pub(crate) kind: FaultKind,
    pub(crate) source: Arc<dyn Error + Send + Sync>,
}

/// What a fault says about the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The device said no; the bytes on it may be fine.
    Device,
    /// The device, a quota or the inodes are used up.
    Full,
    /// The bytes are not what we wrote, or not ours.
    Damaged,
    /// The bytes are of a format that came later.
    Newer,
}

impl Fault {
    pub(crate) fn io(doing: &'static str, source: std::io::Error) -> Self {
        Self {
            doing,
            kind: kind_of(&source),
            source: Arc::new(source),
        }
    }

    /// What it says, with what was tried.
    pub(crate) fn words(&self) -> String {
        format!("{} while {}", self.source, self.doing)
    }

    pub(crate) fn damaged(doing: &'static str, what: impl Into<String>) -> Self {
        let what: Box<dyn Error + Send + Sync> = what.into().into();
        Self {
            doing,
            kind: FaultKind::Damaged,
            source: what.into(),
        }
    }

    pub(crate) fn newer(file: &str, format: u32) -> Self {
        Self {
            doing: "opening a file",
            kind: FaultKind::Newer,
            source: Arc::new(SpoolError::Newer {
                file: file.to_owned(),
                format,
                known: crate::layout::FORMAT,
            }),
        }
    }

    pub(crate) fn redb(doing: &'static str, source: redb::Error) -> Self {
        let kind = match &source {
            redb::Error::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
                kind_of(error)
            }
            redb::Error::PreviousIo
            | redb::Error::DatabaseAlreadyOpen
            | redb::Error::DatabaseClosed => FaultKind::Device,
            _ => FaultKind::Damaged,
        };
        Self {
            doing,
            kind,
            source: Arc::new(source),
        }
    }
}

fn kind_of(error: &std::io::Error) -> FaultKind {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => FaultKind::Full,
        _ => FaultKind::Device,
    }
}

/// Runs work on a redb handle. A garbage page makes redb panic in places (a damaged file read by
/// 500 seeds: 413 panics), and a panic here must cost a file, not the process.
pub(crate) fn guard<T>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, Fault> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Fault::redb(doing, error)),
        Err(panic) => {
            let words = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("panicked without words");
            Err(Fault::damaged(doing, words))
        }
    }
}
