//! Settlements: in memory at once, on disk together, files unlinked only after that.

use petrel_wire::{BatchId, Delivery, Refusal};

use crate::books::Counts;
use crate::error::Fault;
use crate::layout::{Header, STATE};
use crate::owner::{Owner, Place};
use crate::state::{Change, Site, State, Trust};
use crate::stream::Epoch;
use crate::{Class, Entry, SpoolError};

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
            let own = BatchId {
                agent: meta.agent,
                epoch: meta.epoch,
                seq: place.seq,
                hash: entry.sealed.hash(),
            };
            self.dead.push(Dead {
                id: entry.origin.unwrap_or(own),
                entry,
                reason: reason.clone(),
            });
        }
        self.site.books.rejected += Counts::of(signal, rejected);
        self.site.books.delivered += Counts::of(signal, items - rejected);
        self.note_pending();
    }

    /// An entry is in an archive that would survive a power cut.
    pub(crate) fn exported(&mut self, place: Place, items: Counts) {
        if let Some(shelf) = self.shelves.get_mut(&place.segment)
            && shelf.settle(place.seq, items)
        {
            self.site.books.exported += items;
            self.note_pending();
        }
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
        if self.pending == 0 && self.dead.is_empty() && self.trust == Trust::Sure {
            self.extras.sweep(&*self.disk);
            return Ok(());
        }
        let mut done = self.try_flush();
        if let Err(fault) = &done
            && self.relieve(fault)
        {
            done = self.try_flush();
        }
        done.map_err(|fault| self.rest(&fault))
    }

    fn try_flush(&mut self) -> Result<(), Fault> {
        self.bury()?;
        // An idle spool gives its space back; a busy one keeps its newest file small.
        for class in Class::ALL {
            let active = self.stream(class).active;
            let drained = active
                .and_then(|number| self.shelves.get(&number))
                .is_some_and(|shelf| {
                    shelf.is_settled() && shelf.allocated > self.room.segment_bytes / 4
                });
            if drained {
                self.rotate(class, Epoch::Same)?;
            }
        }
        let gone: Vec<u64> = self
            .shelves
            .iter()
            .filter(|(number, shelf)| !self.is_active(**number) && shelf.is_settled())
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

    /// Commits `site`, everything that is dirty, and `change`; on a full disk with the blocks that
    /// were held back for it.
    pub(crate) fn commit_state(&mut self, site: Site, change: Change) -> Result<(), Fault> {
        let mut done = self.try_commit(&site, &change);
        if let Err(fault) = &done
            && self.relieve(fault)
        {
            done = self.try_commit(&site, &change);
        }
        done?;
        self.site = site;
        self.trust = Trust::Sure;
        self.settled_cuts.clear();
        self.pending = 0;
        self.pending_since = None;
        for shelf in self.shelves.values_mut() {
            shelf.dirty = false;
        }
        self.measure_state();
        self.rested();
        Ok(())
    }

    fn try_commit(&mut self, site: &Site, change: &Change) -> Result<(), Fault> {
        let mut change = self.with_all_that_is_dirty(change.clone());
        change.replace_all = self.trust != Trust::Sure;
        change.drop_cuts.extend(&self.settled_cuts);
        let done = self.state().and_then(|state| state.commit(site, &change));
        // What is in an unlinked file would not survive anything.
        let done = done.and_then(|()| match self.disk.allocated(STATE) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.trust = Trust::Spent;
                Err(Fault::io("looking for the state file just written", error))
            }
            _ => Ok(()),
        });
        if done.is_err() {
            let spent = self.state.take().is_some_and(State::close);
            let now = if spent { Trust::Spent } else { Trust::InDoubt };
            self.trust = self.trust.max(now);
        }
        done
    }

    fn with_all_that_is_dirty(&self, mut change: Change) -> Change {
        for (number, shelf) in &self.shelves {
            let wanted = shelf.dirty || self.trust != Trust::Sure || self.is_active(*number);
            let listed = change.drop_segments.contains(number)
                || change.put_segments.iter().any(|m| m.meta.number == *number);
            if wanted && !listed {
                change.put_segments.push(shelf.manifest.clone());
            }
        }
        if self.trust != Trust::Sure {
            for (id, cut) in &self.cuts {
                if !change.drop_cuts.contains(id) {
                    change.put_cuts.push((*id, cut.extent));
                }
            }
        }
        change
    }

    /// The state file, opened again if its handle was given up.
    pub(crate) fn state(&mut self) -> Result<&State, Fault> {
        if self.state.is_none() {
            let state = if self.trust == Trust::Spent {
                let state = self.replace_state()?;
                self.trust = Trust::InDoubt;
                state
            } else {
                State::open(&*self.disk)?
            };
            self.state = Some(state);
        }
        Ok(self.state.as_ref().expect("opened above"))
    }

    /// Another file in place of one that must not be written any more: all that is known here, and
    /// of the old one the ledger, which still reads well.
    fn replace_state(&self) -> Result<State, Fault> {
        let old = State::open_to_read(&*self.disk).and_then(|state| state.ledger_rows());
        let ledger_rows = match old {
            Ok(rows) => rows,
            Err(fault) if self.disk.allocated(STATE).is_ok() => return Err(fault),
            Err(fault) => {
                tracing::error!(error = %fault.source, "the spool's state file was removed");
                Vec::new()
            }
        };
        let change = Change {
            put_segments: self.shelves.values().map(|s| s.manifest.clone()).collect(),
            put_cuts: self
                .cuts
                .iter()
                .map(|(id, cut)| (*id, cut.extent))
                .collect(),
            ledger_rows,
            ..Change::default()
        };
        tracing::warn!("the spool's state file is written anew");
        State::create(&*self.disk, &self.site, &change)
    }
}
