//! [`Room`]: what the directory may occupy, what must stay free beside it, and the ballast.
//!
//! Three things keep a full disk from being more than a pause. The bound counts the blocks of
//! everything in the directory, not only of what we remember to have written. Below
//! [`min_free_bytes`](crate::SpoolConfig::min_free_bytes) appends are refused while there is still
//! room for everything else; nothing is evicted then, because what others filled they would fill
//! again. And a file of blocks is held back: when a commit meets a full disk all the same, it is
//! released, so that settlements and evictions, which make room, have room to be written.

use std::time::Instant;

use crate::error::{Fault, FaultKind};
use crate::layout::BALLAST;
use crate::owner::Owner;
use crate::{SpoolConfig, SpoolError, Tuning, disk::Disk};

const MOST_MIN_FREE: u64 = 512 << 20;

#[derive(Debug)]
pub(crate) struct Room {
    /// The bound: that of the configuration, or what the file system had for us.
    pub(crate) limit_bytes: u64,
    /// A segment is closed when it occupies so much.
    pub(crate) segment_bytes: u64,
    min_free_bytes: u64,
    ballast_wanted: u64,
    ballast_bytes: u64,
    /// Whatever else lies in the directory.
    other_bytes: u64,
    pub(crate) free_bytes: u64,
    /// Why nothing is taken, while too little is free.
    pub(crate) short: Option<SpoolError>,
    pub(crate) recount_at: Instant,
}

impl Room {
    /// Looks at the file system before anything is opened.
    pub(crate) fn find(disk: &dyn Disk, config: &SpoolConfig, tuning: &Tuning) -> Self {
        let mut room = Self {
            limit_bytes: 0,
            segment_bytes: 0,
            min_free_bytes: 0,
            ballast_wanted: 0,
            ballast_bytes: 0,
            other_bytes: 0,
            free_bytes: u64::MAX,
            short: None,
            recount_at: Instant::now(),
        };
        room.bound(disk, config);
        room.segment_bytes = tuning.segment_bytes.unwrap_or_else(|| {
            let share = (room.limit_bytes / 16).clamp(8 << 20, 64 << 20);
            share.min(room.limit_bytes / 4)
        });
        room.ballast_wanted = tuning
            .ballast_bytes
            .unwrap_or_else(|| ballast_for(room.limit_bytes));
        room
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.ballast_bytes + self.other_bytes
    }

    /// The bound follows the file system upwards. Not downwards: others who fill the disk are met
    /// with refusals, and don't evict what is here.
    fn bound(&mut self, disk: &dyn Disk, config: &SpoolConfig) {
        let reach = match (disk.space(), disk.used()) {
            (Ok(space), Ok(used)) => {
                let share = (space.total_bytes / 20).min(MOST_MIN_FREE);
                self.min_free_bytes = config.min_free_bytes.unwrap_or(share);
                self.free_bytes = space.free_bytes;
                // A little above, so that our own growth ends in eviction and not at the guard.
                let guard = self.min_free_bytes + self.min_free_bytes / 4;
                used + space.free_bytes.saturating_sub(guard)
            }
            _ => u64::MAX, // Nobody can say: a full disk will.
        };
        self.limit_bytes = self.limit_bytes.max(reach.min(config.max_bytes));
    }
}

/// A commit of the state file writes tens of KiB, and leaves about as much free for the next one; a
/// file that a crash left is repaired in less than one MiB.
fn ballast_for(limit_bytes: u64) -> u64 {
    (limit_bytes / 64)
        .clamp(1 << 20, 16 << 20)
        .min(limit_bytes / 8)
}

impl Owner {
    /// Counts everything in the directory anew, and looks at the file system.
    pub(crate) fn recount(&mut self) {
        for shelf in self.shelves.values_mut() {
            if let Ok(bytes) = self.disk.allocated(&shelf.name()) {
                shelf.allocated = bytes;
            }
        }
        self.measure_state();
        self.extras.recount(&*self.disk);
        self.room.ballast_bytes = self.disk.allocated(BALLAST).unwrap_or(0);
        if let Ok(all) = self.disk.used() {
            self.room.other_bytes = 0;
            self.room.other_bytes = all.saturating_sub(self.used_bytes());
        }
        self.room.bound(&*self.disk, &self.config);
        // What is wrong is on the board, and in the answer to whoever appends.
        let well = self.look_at_the_disk().is_ok() && self.refusing.is_none();
        let pause = if well {
            self.tuning.recount_after
        } else {
            self.tuning.retry_most.min(self.tuning.recount_after)
        };
        self.room.recount_at = Instant::now() + pause;
    }

    /// Whether enough is free for another append, and the ballast is there to cover it.
    pub(crate) fn look_at_the_disk(&mut self) -> Result<(), SpoolError> {
        if let Ok(space) = self.disk.space() {
            self.room.free_bytes = space.free_bytes;
        }
        let mut least = self.room.min_free_bytes;
        let mut enough = self.room.free_bytes >= least;
        if enough && self.room.ballast_bytes < self.room.ballast_wanted {
            // Twice: it must not be the ballast that fills the disk again.
            least += 2 * self.room.ballast_wanted;
            enough = self.room.free_bytes >= least && self.load_ballast();
        }
        if enough {
            if self.room.short.take().is_some() {
                tracing::info!("the spool's disk has room again");
            }
            return Ok(());
        }
        let error = SpoolError::NoSpace {
            free_bytes: self.room.free_bytes,
            least_bytes: least,
        };
        if self.room.short.is_none() {
            tracing::error!(dir = %self.config.dir.display(), "{error}; appends are refused");
        }
        self.room.short = Some(error.clone());
        Err(error)
    }

    /// False only if the disk is full.
    fn load_ballast(&mut self) -> bool {
        match self.disk.occupy(BALLAST, self.room.ballast_wanted) {
            Ok(()) => {
                let wanted = self.room.ballast_wanted;
                self.room.ballast_bytes = self.disk.allocated(BALLAST).unwrap_or(wanted);
                true
            }
            Err(error) => {
                let fault = Fault::io("holding blocks back", error);
                if fault.kind == FaultKind::Full {
                    return false;
                }
                // Any other trouble will be met, and said, where it matters.
                tracing::debug!(error = %fault.source, "cannot make the spool's ballast");
                true
            }
        }
    }

    /// Gives the ballast up if that helps; true if it is worth trying again.
    pub(crate) fn relieve(&mut self, fault: &Fault) -> bool {
        let released = fault.kind == FaultKind::Full && release(&*self.disk);
        if released {
            self.room.ballast_bytes = 0;
            tracing::warn!("the spool's disk is full; the ballast was released");
        }
        released
    }
}

/// Unlinks the ballast; false if there is none.
pub(crate) fn release(disk: &dyn Disk) -> bool {
    let released = disk.unlink(BALLAST).is_ok();
    if released && let Err(error) = disk.sync_dir() {
        tracing::debug!(%error, "cannot sync the directory without its ballast");
    }
    released
}
