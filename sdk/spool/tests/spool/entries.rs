//! Batches whose bytes follow from one number, and spools with small segments.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use petrel_spool::{
    Directory, Disk, Entry, ProjectId, Spool, SpoolConfig, SpoolError, SpoolStats, Tuning, WhenFull,
};
use petrel_wire::{AgentId, BatchId, Sealed, Signal, SystemClock, UnixNanos};
use tempfile::TempDir;

/// A small generator of pseudo-random numbers (xorshift64*): the same seed, the same run.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From zero to `below`, exclusive.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.next() % below.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// True in so many of 256 cases.
    pub(crate) fn of_256(&mut self, yes: u64) -> bool {
        self.below(256) < yes
    }
}

/// Bytes that do not compress and follow from `fill`.
pub(crate) fn sealed(bytes: usize, fill: u64) -> Sealed {
    let mut random = Random::new(fill);
    let mut body = Vec::with_capacity(bytes + 8);
    while body.len() < bytes {
        body.extend_from_slice(&random.next().to_le_bytes());
    }
    body.truncate(bytes);
    let signal = Signal::ALL[usize::try_from(fill % 3).unwrap()];
    let items = u32::try_from(fill % 5 + 1).unwrap();
    Sealed::from_parts(signal, items, bytes * 4, Bytes::from(body))
}

pub(crate) fn entry(bytes: usize, fill: u64) -> Entry {
    Entry {
        project: ProjectId(0),
        origin: None,
        accepted: UnixNanos(fill),
        sealed: sealed(bytes, fill),
    }
}

pub(crate) fn from_agent(project: u32, seq: u64, bytes: usize, fill: u64) -> Entry {
    let mut entry = entry(bytes, fill);
    entry.project = ProjectId(project);
    entry.origin = Some(BatchId {
        agent: AgentId(9),
        epoch: 1,
        seq,
        hash: entry.sealed.hash(),
    });
    entry
}

pub(crate) fn open(dir: &TempDir) -> Spool {
    open_with(dir, 1 << 30, WhenFull::EvictOldest)
}

pub(crate) fn open_with(dir: &TempDir, max_bytes: u64, when_full: WhenFull) -> Spool {
    let disk = Arc::new(Directory::new(dir.path()).unwrap());
    let tuning = Tuning {
        segment_bytes: Some(256 << 10),
        settle_after: Duration::from_millis(20),
        cut_linger: Duration::from_millis(5),
        retry_after: Duration::from_millis(20),
        ballast_bytes: Some(64 << 10),
        ..Tuning::default()
    };
    open_on(disk, max_bytes, when_full, tuning).unwrap()
}

pub(crate) fn open_on(
    disk: Arc<dyn Disk>,
    max_bytes: u64,
    when_full: WhenFull,
    tuning: Tuning,
) -> Result<Spool, SpoolError> {
    let config = SpoolConfig {
        dir: "spool".into(),
        max_bytes,
        when_full,
        // Their entries are of 1970.
        live_percent: 0,
        ..SpoolConfig::default()
    };
    Spool::open_on(disk, config, tuning, SystemClock::shared())
}

pub(crate) fn assert_balanced(stats: &SpoolStats) {
    for signal in &stats.by_signal {
        assert!(signal.is_balanced(), "{stats:#?}");
    }
}

/// Items of all signals by one of the books' columns.
pub(crate) fn sum(stats: &SpoolStats, column: fn(&petrel_spool::SignalStats) -> u64) -> u64 {
    stats.by_signal.iter().map(column).sum()
}
