//! Settlements: in memory at once, on disk together, files unlinked only after that.

use petrel_wire::{BatchId, Delivery, Refusal};

use crate::books::Counts;
use crate::error::Fault;
use crate::layout::Header;
use crate::owner::{Owner, Place};
use crate::state::{Change, Site};
use crate::{Entry, SpoolError};

/// A refused entry on its way to the dead letters.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) id: BatchId,
    pub(crate) entry: Entry,
    pub(crate) reason: String,
}

impl Owner {
    /// What a peer's answer means for an entry.
    pub(crate) fn settle(&mut self, place: Place, entry: Entry, delivery: &Delivery) {
        let Some(shelf) = self.shelves.get_mut(&place.segment) else {
            return; // its file was set aside meanwhile, and counted
        };
        let signal = entry.sealed.signal();
        let items = u64::from(entry.sealed.items());
        let rejected = match delivery {
            Delivery::Committed => 0,
            Delivery::Partial { rejected, .. } => (*rejected).min(items),
            Delivery::Refused(Refusal::Data, _) => items,
            Delivery::Refused(..) | Delivery::Busy { .. } => {
                shelf.put_back(place.seq);
                return;
            }
        };
        if !shelf.settle(place.seq, Counts::of(signal, items)) {
            return;
        }
        if let Delivery::Refused(_, reason) = delivery {
            let meta = shelf.manifest.meta;
            self.dead.push(Dead {
                id: BatchId {
                    agent: meta.agent,
                    epoch: meta.epoch,
                    seq: place.seq,
                    hash: entry.sealed.hash(),
                },
                entry,
                reason: reason.clone(),
            });
        }
        self.site.books.rejected += Counts::of(signal, rejected);
        self.site.books.delivered += Counts::of(signal, items - rejected);
        self.note_pending();
    }

    pub(crate) fn put_back(&mut self, place: Place) {
        if let Some(shelf) = self.shelves.get_mut(&place.segment) {
            shelf.put_back(place.seq);
        }
    }

    /// Counts an entry that cannot be read. Without a header its items are not known; they are
    /// what is missing in the segment's totals when it is retired, and counted then.
    pub(crate) fn book_damaged(&mut self, place: Place, header: Option<&Header>) {
        let items = header.map_or_else(Counts::default, |header| {
            Counts::of(header.signal, u64::from(header.items))
        });
        tracing::error!(
            segment = place.segment,
            seq = place.seq,
            items = header.map(|header| header.items),
            "an entry is damaged on disk and was taken out",
        );
        if let Some(shelf) = self.shelves.get_mut(&place.segment)
            && shelf.settle(place.seq, items)
        {
            self.site.books.corrupt += items;
            self.note_pending();
        }
    }

    /// Makes settlements durable, then removes the files that nobody needs any more.
    pub(crate) fn flush(&mut self) -> Result<(), SpoolError> {
        if self.pending == 0 && self.dead.is_empty() && !self.state_in_doubt {
            self.extras.sweep(&*self.disk);
            return Ok(());
        }
        self.try_flush().map_err(|fault| self.rest(&fault))
    }

    fn try_flush(&mut self) -> Result<(), Fault> {
        self.bury()?;
        // An idle spool gives its space back; a busy one keeps its newest file small.
        let active = &self.shelves[&self.active];
        if active.is_settled() && active.allocated > self.segment_bytes / 4 {
            self.rotate(None)?;
        }
        let gone: Vec<u64> = self
            .shelves
            .iter()
            .filter(|(number, shelf)| **number != self.active && shelf.is_settled())
            .map(|(number, _)| *number)
            .collect();
        let mut site = self.site.clone();
        for number in &gone {
            let shelf = &self.shelves[number];
            site.books.corrupt += shelf.items_here();
            site.books.retired += shelf.manifest.totals;
        }
        self.forget(site, &gone)
    }

    /// Commits `site` without the segments `gone`, then unlinks them.
    pub(crate) fn forget(&mut self, site: Site, gone: &[u64]) -> Result<(), Fault> {
        let lost_cuts: Vec<u64> = self
            .cuts
            .iter()
            .filter(|(_, cut)| gone.contains(&cut.extent.segment))
            .map(|(id, _)| *id)
            .collect();
        let change = Change {
            drop_segments: gone.to_vec(),
            drop_cuts: lost_cuts.clone(),
            ..Change::default()
        };
        self.commit_state(site, change)?;
        for id in lost_cuts {
            self.cuts.remove(&id);
        }
        for number in gone {
            if self.reader.as_ref().is_some_and(|(open, _)| open == number) {
                self.reader = None;
            }
            if let Some(shelf) = self.shelves.remove(number) {
                self.extras.discard(shelf.name(), shelf.allocated);
            }
        }
        self.extras.sweep(&*self.disk);
        Ok(())
    }

    /// Commits `site`, everything that is dirty, and `change`.
    pub(crate) fn commit_state(&mut self, site: Site, mut change: Change) -> Result<(), Fault> {
        change.replace_all = self.state_in_doubt;
        for (number, shelf) in &self.shelves {
            let wanted = shelf.dirty || self.state_in_doubt || *number == self.active;
            let listed = change.drop_segments.contains(number)
                || change.put_segments.iter().any(|m| m.meta.number == *number);
            if wanted && !listed {
                change.put_segments.push(shelf.manifest.clone());
            }
        }
        if self.state_in_doubt {
            for (id, cut) in &self.cuts {
                if !change.drop_cuts.contains(id) {
                    change.put_cuts.push((*id, cut.extent));
                }
            }
        }
        change.drop_cuts.append(&mut self.settled_cuts.clone());
        let done = self.state().and_then(|state| state.commit(&site, &change));
        if let Err(fault) = done {
            self.state = None;
            self.state_in_doubt = true;
            return Err(fault);
        }
        self.site = site;
        self.state_in_doubt = false;
        self.settled_cuts.clear();
        self.pending = 0;
        self.pending_since = None;
        for shelf in self.shelves.values_mut() {
            shelf.dirty = false;
        }
        self.measure_state();
        Ok(())
    }
}
