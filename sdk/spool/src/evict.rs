//! Room: what goes first when the bound is reached, and the files that are not segments.
//!
//! Quarantined files and dead letters go before anything that may still be delivered; then whole
//! segments, those of bulk before those to keep, oldest first, counted by signal before they are unlinked. A segment with something in
//! flight is passed over: its entry would be both stored and reported as dropped.

use std::collections::BTreeMap;

use crate::class::BULK_PERCENT;
use crate::disk::Disk;
use crate::error::Fault;
use crate::layout::dead_name;
use crate::owner::Owner;
use crate::segment::Segment;
use crate::shelf::Shelf;
use crate::stream::Epoch;
use crate::{Class, SpoolError, WhenFull};

/// Files beside the segments, by what they occupy.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// Oldest first, since their names end in the time.
    pub(crate) set_aside: BTreeMap<String, u64>,
    pub(crate) dead: BTreeMap<u64, u64>,
    pub(crate) dead_writer: Option<Segment>,
    /// An fsync of the newest dead letters failed: that file is not written again.
    pub(crate) dead_spent: bool,
    /// Forgotten in the state file; unlinked as soon as the disk lets us.
    garbage: Vec<(String, u64)>,
}

impl Extras {
    pub(crate) fn allocated(&self) -> u64 {
        self.set_aside.values().sum::<u64>()
            + self.dead.values().sum::<u64>()
            + self.garbage.iter().map(|(_, bytes)| bytes).sum::<u64>()
    }

    pub(crate) fn quarantined(&self) -> u64 {
        self.set_aside.len() as u64
    }

    pub(crate) fn discard(&mut self, name: String, allocated: u64) {
        self.garbage.push((name, allocated));
    }

    /// Measures the files again; people may have removed some.
    pub(crate) fn recount(&mut self, disk: &dyn Disk) {
        let gone = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        let still_there = |name: &str, bytes: &mut u64| match disk.allocated(name) {
            Ok(now) => {
                *bytes = now;
                true
            }
            Err(error) => !gone(error),
        };
        self.set_aside
            .retain(|name, bytes| still_there(name, bytes));
        self.dead
            .retain(|number, bytes| still_there(&dead_name(*number), bytes));
        if self.dead.is_empty() {
            self.close();
        }
    }

    /// Unlinks what was forgotten and syncs the directory.
    pub(crate) fn sweep(&mut self, disk: &dyn Disk) {
        if self.garbage.is_empty() {
            return;
        }
        self.garbage.retain(|(name, _)| match disk.unlink(name) {
            Ok(()) => false,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => {
                tracing::warn!(name, %error, "cannot unlink a spool file yet");
                true
            }
        });
        // If it fails, the file may come back after a power cut; a restart then unlinks it again.
        if let Err(error) = disk.sync_dir() {
            tracing::warn!(%error, "cannot sync the spool's directory");
        }
    }

    /// Gives the handle of the newest dead letters up, and the file if an fsync of it failed.
    pub(crate) fn close(&mut self) {
        if let Some(writer) = self.dead_writer.take() {
            self.dead_spent |= writer.close();
        }
    }

    pub(crate) fn newest_dead(&self) -> u64 {
        self.dead.last_key_value().map_or(0, |(number, _)| *number)
    }
}

impl Owner {
    /// Makes sure that `bytes` more of a class fit, by the policy of the configuration.
    pub(crate) fn make_room(&mut self, class: Class, bytes: u64) -> Result<(), SpoolError> {
        // redb's pages around the pieces, and the commit's own.
        let need = bytes + bytes / 16 + (64 << 10);
        let limit = self.room.limit_bytes;
        if class == Class::Bulk {
            let share = limit / 100 * BULK_PERCENT;
            while self.bulk_bytes() + need > share {
                if !self.may_evict(Class::Bulk)? {
                    return Err(SpoolError::Full {
                        used_bytes: self.bulk_bytes(),
                        limit_bytes: share,
                    });
                }
            }
        }
        while self.used_bytes() + need > limit {
            let made = self.drop_extra()
                || self.may_evict(Class::Bulk)?
                || (class == Class::Keep && self.may_evict(Class::Keep)?);
            if !made {
                return Err(SpoolError::Full {
                    used_bytes: self.used_bytes(),
                    limit_bytes: limit,
                });
            }
        }
        Ok(())
    }

    fn bulk_bytes(&self) -> u64 {
        let bulk = |shelf: &&Shelf| shelf.manifest.meta.class == Class::Bulk;
        let shelves = self.shelves.values().filter(bulk);
        shelves.map(|shelf| shelf.allocated).sum()
    }

    fn may_evict(&mut self, class: Class) -> Result<bool, SpoolError> {
        if self.config.when_full == WhenFull::Refuse {
            return Ok(false);
        }
        self.evict_one(class).map_err(|fault| self.refuse(&fault))
    }

    /// Drops one file that will never be delivered.
    fn drop_extra(&mut self) -> bool {
        if let Some((name, bytes)) = self.extras.set_aside.pop_first() {
            tracing::warn!(name, "the spool is full; a quarantined file was dropped");
            self.extras.discard(name, bytes);
        } else if let Some((number, bytes)) = self.extras.dead.pop_first() {
            if self.extras.dead.is_empty() {
                self.extras.close();
            }
            tracing::warn!("the spool is full; the oldest dead letters were dropped");
            self.extras.discard(dead_name(number), bytes);
        } else {
            return false;
        }
        self.extras.sweep(&*self.disk);
        true
    }

    /// Drops the oldest segment of a class that has nothing in flight; false if there is none.
    fn evict_one(&mut self, class: Class) -> Result<bool, Fault> {
        let is_candidate = |owner: &Self, number: u64| {
            let shelf = &owner.shelves[&number];
            let in_cut = owner.cuts.values().any(|cut| cut.extent.segment == number);
            let of_class = shelf.manifest.meta.class == class;
            of_class && shelf.is_idle() && !in_cut && shelf.manifest.entries() > 0
        };
        let oldest = self
            .shelves
            .keys()
            .copied()
            .find(|number| is_candidate(self, *number));
        let Some(number) = oldest else {
            return Ok(false);
        };
        if self.is_active(number) {
            self.rotate(class, Epoch::Same)?;
        }
        let shelf = &self.shelves[&number];
        let here = shelf.items_here();
        tracing::warn!(
            entries = shelf.entries_here(),
            items = ?here,
            %class,
            limit_bytes = self.room.limit_bytes,
            "the spool is full; its oldest segment was dropped",
        );
        let mut site = self.site.clone();
        site.books.evicted += here;
        site.books.retired += shelf.manifest.totals;
        self.forget(site, &[number])?;
        Ok(true)
    }

    /// Takes a segment out that cannot be opened: renamed, never unlinked unless room is needed.
    pub(crate) fn set_aside(&mut self, number: u64, fault: &Fault) {
        let done = self.try_set_aside(number, fault);
        if let Err(fault) = done {
            // The caller learns of it by waiting; the log says why.
            let _logged = self.rest(&fault);
        }
    }

    fn try_set_aside(&mut self, number: u64, fault: &Fault) -> Result<(), Fault> {
        if let Some(class) = self.writes(number) {
            self.rotate(class, Epoch::Next)?;
        }
        let shelf = &self.shelves[&number];
        let here = shelf.items_here();
        let (name, allocated) = (shelf.name(), shelf.allocated);
        tracing::error!(
            segment = number,
            entries = shelf.entries_here(),
            items = ?here,
            error = %fault.source,
            "a segment cannot be read and was set aside",
        );
        let mut site = self.site.clone();
        site.books.corrupt += here;
        site.books.retired += shelf.manifest.totals;
        let aside = aside_name(&name, self.clock.wall().seconds());
        // Renamed first: what is forgotten is unlinked.
        let renamed = match self.disk.rename(&name, &aside) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Fault::io("setting a segment aside", error)),
        };
        if renamed {
            self.extras.set_aside.insert(aside, allocated);
        }
        self.forget(site, &[number])
    }
}

/// `segment-0000000007.redb.corrupt-1795237200`
pub(crate) fn aside_name(name: &str, seconds: u64) -> String {
    format!("{name}.corrupt-{seconds}")
}
