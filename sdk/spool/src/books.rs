//! The books: `spooled = delivered + rejected + evicted + corrupt + exported + here`, per signal,
//! always.
//!
//! Totals of segments that still exist are in their manifests; everything older is summed up
//! here and committed together with the settlements it speaks of, so the equation survives any
//! crash by construction.

use std::ops::{AddAssign, Index, IndexMut};

use petrel_wire::{Signal, UnixNanos};

use crate::layout::Reader;
use crate::shelf::Shelf;

/// Items per signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([u64; 3]);

impl Counts {
    pub(crate) fn of(signal: Signal, items: u64) -> Self {
        let mut counts = Self::default();
        counts[signal] = items;
        counts
    }

    /// Per signal, what `self` has beyond `other`.
    pub(crate) fn beyond(&self, other: &Counts) -> Counts {
        let mut counts = *self;
        for signal in Signal::ALL {
            counts[signal] = self[signal].saturating_sub(other[signal]);
        }
        counts
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        for count in self.0 {
            to.extend_from_slice(&count.to_le_bytes());
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self([from.u64()?, from.u64()?, from.u64()?]))
    }
}

impl Index<Signal> for Counts {
    type Output = u64;
    fn index(&self, signal: Signal) -> &u64 {
        &self.0[usize::from(signal.code()) - 1]
    }
}

impl IndexMut<Signal> for Counts {
    fn index_mut(&mut self, signal: Signal) -> &mut u64 {
        &mut self.0[usize::from(signal.code()) - 1]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

/// What became of items, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    /// Totals of segments that no longer exist.
    pub(crate) retired: Counts,
    /// Counted a second time as the parts of a split; not spooled twice.
    pub(crate) moved: Counts,
    pub(crate) delivered: Counts,
    pub(crate) rejected: Counts,
    pub(crate) evicted: Counts,
    pub(crate) corrupt: Counts,
    pub(crate) exported: Counts,
}

impl Books {
    fn all(&self) -> [Counts; 7] {
        [
            self.retired,
            self.moved,
            self.delivered,
            self.rejected,
            self.evicted,
            self.corrupt,
            self.exported,
        ]
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        for counts in self.all() {
            counts.write(to);
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            retired: Counts::read(from)?,
            moved: Counts::read(from)?,
            delivered: Counts::read(from)?,
            rejected: Counts::read(from)?,
            evicted: Counts::read(from)?,
            corrupt: Counts::read(from)?,
            // Older spools exported nothing.
            exported: Counts::read(from).unwrap_or_default(),
        })
    }

    /// Of one signal, with what is in the segments that exist.
    pub(crate) fn stats<'a>(
        &self,
        signal: Signal,
        shelves: impl Iterator<Item = &'a Shelf>,
    ) -> SignalStats {
        let (mut totals, mut here) = (0, 0);
        for shelf in shelves {
            totals += shelf.manifest.totals[signal];
            here += shelf.items_here()[signal];
        }
        SignalStats {
            spooled: self.retired[signal] + totals - self.moved[signal],
            delivered: self.delivered[signal],
            rejected: self.rejected[signal],
            evicted: self.evicted[signal],
            corrupt: self.corrupt[signal],
            exported: self.exported[signal],
            here,
        }
    }
}

/// Conservation, per signal: `spooled = delivered + rejected + evicted + corrupt + exported + here`.
#[derive(Clone, Debug, Default)]
pub struct SpoolStats {
    /// Indexed by `Signal::code() - 1`.
    pub by_signal: [SignalStats; 3],
    /// Allocated blocks of the whole directory.
    pub used_bytes: u64,
    /// The bound: the configured one, or what the file system has for it.
    pub limit_bytes: u64,
    /// Free on the file system, when it was last looked at.
    pub free_bytes: u64,
    /// Entries waiting or in flight.
    pub entries: u64,
    /// Cuts that are handed out, or were before the last restart and wait to be handed out again.
    pub cuts: u64,
    /// When the oldest waiting entry was accepted.
    pub oldest: Option<UnixNanos>,
    /// Files set aside because they could not be read, or were not ours; a person should look.
    pub quarantined_files: u64,
    /// Group commits since the start.
    pub commits: u64,
    /// Whether the last disk work failed or too little is free; appends are refused while it stays
    /// so.
    pub disk_failing: bool,
    /// The disk's words while it fails, for people.
    pub trouble: Option<String>,
}

/// Items of one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Taken out into an archive.
    pub exported: u64,
    /// Waiting or in flight.
    pub here: u64,
}

impl SignalStats {
    /// Whether nothing has appeared or vanished unaccounted.
    pub fn is_balanced(&self) -> bool {
        let gone = self.delivered + self.rejected + self.evicted + self.corrupt + self.exported;
        self.spooled == gone + self.here
    }
}
