//! [`Cut`]: a group of entries whose extent is durable before anybody sees it, so that what was
//! begun before a crash is repeated after it with the same id and the same bytes.

use std::sync::mpsc::Sender;
use std::time::Instant;

use petrel_wire::{BatchId, Signal};
use tokio::sync::oneshot;

use crate::books::Counts;
use crate::error::Fault;
use crate::owner::{Owner, Place, Reply, Request};
use crate::state::{Change, Extent};
use crate::{Entry, SpoolError};

/// A durable group of entries on its way into the store. Dropped unsettled, the same cut is handed
/// out again.
#[derive(Debug)]
pub struct Cut {
    id: u64,
    entries: Vec<(BatchId, Entry)>,
    /// Taken when the cut is settled.
    home: Option<Sender<Request>>,
}

impl Cut {
    /// The same after a restart; never reused.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// In sequence order, each with the identity of this spool.
    pub fn entries(&self) -> &[(BatchId, Entry)] {
        &self.entries
    }

    /// Everything in it is stored: durably forgotten before this returns. After an error it is
    /// forgotten in this process, and a restart may hand it out once more.
    pub async fn settle(mut self) -> Result<(), SpoolError> {
        let (reply, answer) = oneshot::channel();
        if let Some(home) = self.home.take() {
            home.send(Request::SettleCut { id: self.id, reply })
                .map_err(|_| SpoolError::Closed)?;
        }
        answer.await.map_err(|_| SpoolError::Closed)?
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let _owner_may_be_gone = home.send(Request::PutBackCut(self.id));
        }
    }
}

/// A cut that is listed in the state file.
#[derive(Debug)]
pub(crate) struct Outstanding {
    pub(crate) extent: Extent,
    pub(crate) out: bool,
    /// What each entry counts for; known since it was handed out.
    lines: Vec<(u64, Signal, u32)>,
}

impl Outstanding {
    pub(crate) fn found(extent: Extent) -> Self {
        Self {
            extent,
            out: false,
            lines: Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct CutWaiter {
    pub(crate) home: Sender<Request>,
    pub(crate) max_items: u64,
    pub(crate) max_bytes: u64,
    pub(crate) reply: Reply<Cut>,
}

type Entries = Vec<(u64, Entry)>;

impl Owner {
    /// Serves callers of `cut` as long as there is something that should not wait for more.
    pub(crate) fn hand_out_cuts(&mut self) {
        self.lingering = false;
        while let Some(waiter) = self.cut_waiters.pop_front() {
            if self.is_resting() {
                self.cut_waiters.push_front(waiter);
                return;
            }
            match self.next_cut(waiter.max_items, waiter.max_bytes) {
                Ok(Some((id, extent, entries))) => {
                    self.last_cut = Some(Instant::now());
                    let entries = entries
                        .into_iter()
                        .map(|(seq, entry)| {
                            let segment = extent.segment;
                            (self.id_of(Place { segment, seq }, &entry), entry)
                        })
                        .collect();
                    let cut = Cut {
                        id,
                        entries,
                        home: Some(waiter.home),
                    };
                    // Nobody there any more: dropping the cut sends it back to us.
                    let _caller_may_be_gone = waiter.reply.send(Ok(cut));
                }
                Ok(None) => {
                    self.cut_waiters.push_front(waiter);
                    return;
                }
                Err(fault) => {
                    // The caller learns of it by waiting; the log says why.
                    let _logged = self.rest(&fault);
                    self.cut_waiters.push_front(waiter);
                    return;
                }
            }
        }
    }

    /// When a cut that is not full may be handed out, if somebody waits for one.
    pub(crate) fn cut_due(&self) -> Option<Instant> {
        let last = self.last_cut.filter(|_| self.lingering)?;
        Some(last + self.tuning.cut_linger)
    }

    fn next_cut(
        &mut self,
        max_items: u64,
        max_bytes: u64,
    ) -> Result<Option<(u64, Extent, Entries)>, Fault> {
        while let Some((id, extent)) = self.cut_that_came_back() {
            let Some(entries) = self.read_extent(extent) else {
                if self.is_resting() {
                    return Ok(None);
                }
                continue; // its file was set aside
            };
            if entries.is_empty() {
                self.settle_cut(id); // all of it was damaged, and counted
                continue;
            }
            self.note_out(id, &entries);
            return Ok(Some((id, extent, entries)));
        }
        let Some(entries) = self.gather(max_items, max_bytes) else {
            return Ok(None);
        };
        let (segment, entries) = entries;
        let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else {
            return Ok(None);
        };
        let extent = Extent {
            segment,
            first: *first,
            last: *last,
        };
        let id = self.site.next_cut;
        // Spent even if the commit fails: its outcome is then unknown.
        self.site.next_cut += 1;
        let change = Change {
            put_cuts: vec![(id, extent)],
            ..Change::default()
        };
        self.commit_state(self.site.clone(), change)?;
        self.cuts.insert(id, Outstanding::found(extent));
        if let Some(shelf) = self.shelves.get_mut(&segment) {
            for (seq, _) in &entries {
                shelf.reserve(*seq);
            }
        }
        self.note_out(id, &entries);
        Ok(Some((id, extent, entries)))
    }

    fn cut_that_came_back(&self) -> Option<(u64, Extent)> {
        let (id, cut) = self.cuts.iter().find(|(_, cut)| !cut.out)?;
        Some((*id, cut.extent))
    }

    fn note_out(&mut self, id: u64, entries: &Entries) {
        if let Some(cut) = self.cuts.get_mut(&id) {
            cut.out = true;
            cut.lines = entries
                .iter()
                .map(|(seq, entry)| (*seq, entry.sealed.signal(), entry.sealed.items()))
                .collect();
        }
    }

    /// What is left of a cut; `None` if the disk or the file has trouble.
    fn read_extent(&mut self, extent: Extent) -> Option<Entries> {
        let mut entries = Vec::new();
        for seq in extent.first..=extent.last {
            let shelf = self.shelves.get(&extent.segment)?;
            if shelf.manifest.settled.contains(seq) {
                continue;
            }
            let place = Place {
                segment: extent.segment,
                seq,
            };
            match self.fetch(place) {
                Some(entry) => entries.push((seq, entry)),
                None if self.is_resting() || !self.shelves.contains_key(&extent.segment) => {
                    return None;
                }
                None => {} // damaged, and counted
            }
        }
        Some(entries)
    }

    /// The oldest entries of one segment, if they should not wait for more.
    fn gather(&mut self, max_items: u64, max_bytes: u64) -> Option<(u64, Entries)> {
        loop {
            let (segment, first) = self.shelves.iter_mut().find_map(|(segment, shelf)| {
                shelf.available([false; 3]).map(|(seq, _)| (*segment, seq))
            })?;
            let (items, bytes) = self.shelves.get_mut(&segment)?.waiting();
            let more_may_come = self.is_active(segment) && items < max_items && bytes < max_bytes;
            let lately = self
                .last_cut
                .is_some_and(|at| at.elapsed() < self.tuning.cut_linger);
            if more_may_come && lately {
                self.lingering = true;
                return None;
            }
            let mut entries: Entries = Vec::new();
            let (mut items, mut bytes) = (0, 0);
            let mut seq = first;
            while self.shelves.get(&segment).is_some_and(|s| s.is_free(seq)) {
                let Some(entry) = self.fetch(Place { segment, seq }) else {
                    if self.is_resting() {
                        return None;
                    }
                    seq += 1;
                    continue; // damaged, and counted
                };
                items += u64::from(entry.sealed.items());
                bytes += entry.sealed.body().len() as u64;
                if !entries.is_empty() && (items > max_items || bytes > max_bytes) {
                    break;
                }
                entries.push((seq, entry));
                seq += 1;
            }
            // Empty if everything was damaged: then look at what comes next.
            if !entries.is_empty() {
                return Some((segment, entries));
            }
        }
    }

    pub(crate) fn settle_cut(&mut self, id: u64) {
        let Some(cut) = self.cuts.remove(&id) else {
            return; // its file was set aside meanwhile, and counted
        };
        if let Some(shelf) = self.shelves.get_mut(&cut.extent.segment) {
            for (seq, signal, items) in cut.lines {
                let items = Counts::of(signal, u64::from(items));
                if shelf.settle(seq, items) {
                    self.site.books.delivered += items;
                }
            }
        }
        self.settled_cuts.push(id);
        self.note_pending();
    }

    pub(crate) fn put_back_cut(&mut self, id: u64) {
        if let Some(cut) = self.cuts.get_mut(&id) {
            cut.out = false;
        }
    }
}
