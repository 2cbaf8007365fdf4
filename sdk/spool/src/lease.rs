//! [`Lease`]: one entry in flight, once. Only memory knows that it is out, so a crash brings it
//! back, under the same id and with the same bytes.

use std::sync::mpsc::Sender;

use petrel_wire::{BatchId, Delivery, Sealed};
use tokio::sync::oneshot;

use crate::error::{Fault, FaultKind};
use crate::layout::{Header, segment_name};
use crate::owner::{Owner, Place, Request};
use crate::segment::{Found, Segment};
use crate::{Class, Entry, SpoolError};

/// Entries of signals that are held back, read in one turn.
const MOST_PASSED_OVER: u32 = 32;

/// One entry in flight once. Dropped unsettled, it goes back to the front.
#[derive(Debug)]
pub struct Lease {
    id: BatchId,
    class: Class,
    attempts: u32,
    place: Place,
    /// Taken when the lease ends.
    held: Option<Entry>,
    home: Sender<Request>,
}

impl Lease {
    /// Under which this spool keeps it.
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// The identity to send with it: what was imported, or was a dead letter, keeps its name.
    pub fn name(&self) -> BatchId {
        self.entry().origin.unwrap_or(self.id)
    }

    /// What to send.
    pub fn entry(&self) -> &Entry {
        self.held.as_ref().expect("taken only when the lease ends")
    }

    /// As which it was appended.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How often it was leased before.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Ends the lease: committed and partial remove the entry, refused data moves it to the dead
    /// letters, everything else puts it back.
    pub fn settle(mut self, delivery: &Delivery) {
        if let Some(entry) = self.held.take() {
            // If the owner has stopped, the entry is still on disk and is sent again.
            let _owner_may_be_gone = self.home.send(Request::Settle {
                place: self.place,
                entry,
                delivery: delivery.clone(),
            });
        }
    }

    /// Ends the lease: the entry is in an archive now, and would survive a power cut there.
    pub fn settle_as_exported(mut self) {
        if let Some(entry) = self.held.take() {
            let _owner_may_be_gone = self.home.send(Request::Exported {
                place: self.place,
                signal: entry.sealed.signal(),
                items: entry.sealed.items(),
            });
        }
    }

    /// Replaces the entry by `parts` (split after a 413), durably, then ends the lease. Items that
    /// are in no part count as rejected. On an error the entry is back, whole.
    pub async fn split(mut self, parts: Vec<Sealed>) -> Result<(), SpoolError> {
        let (reply, answer) = oneshot::channel();
        if let Some(entry) = self.held.take() {
            self.home
                .send(Request::Split {
                    place: self.place,
                    entry,
                    parts,
                    reply,
                })
                .map_err(|_| SpoolError::Closed)?;
        }
        answer.await.map_err(|_| SpoolError::Closed)?
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.held.is_some() {
            let _owner_may_be_gone = self.home.send(Request::PutBack(self.place));
        }
    }
}

impl Owner {
    /// Serves callers of `lease` as long as there are entries.
    pub(crate) fn hand_out_leases(&mut self) {
        let mut passed_over = 0;
        while !self.lease_waiters.is_empty() && !self.is_resting() {
            let Some((place, attempts)) = self.next_to_lease() else {
                return;
            };
            let Some(entry) = self.fetch(place) else {
                continue;
            };
            let signal = entry.sealed.signal();
            if self.held[usize::from(signal.code()) - 1] {
                // Only the record says of which signal it is. Each is read once, and not all of a
                // backlog in one turn: others wait for this disk too.
                if let Some(shelf) = self.shelves.get_mut(&place.segment) {
                    shelf.hold(place.seq, signal);
                }
                passed_over += 1;
                if passed_over == MOST_PASSED_OVER {
                    if let Some(waiter) = self.lease_waiters.front() {
                        let _it_is_our_own_inbox = waiter.home.send(Request::LookOn);
                    }
                    return;
                }
                continue;
            }
            let Some(waiter) = self.lease_waiters.pop_front() else {
                return;
            };
            let Some(shelf) = self.shelves.get_mut(&place.segment) else {
                return;
            };
            shelf.lease(place.seq);
            let class = shelf.manifest.meta.class;
            let lease = Lease {
                id: self.id_of(place, &entry),
                class,
                attempts,
                place,
                held: Some(entry),
                home: waiter.home,
            };
            // Nobody there any more: dropping the lease sends it back to us.
            let _caller_may_be_gone = waiter.reply.send(Ok(lease));
        }
    }

    pub(crate) fn id_of(&self, place: Place, entry: &Entry) -> BatchId {
        let (agent, epoch) = self
            .shelves
            .get(&place.segment)
            .map_or((self.site.agent, self.site.epoch), |shelf| {
                (shelf.manifest.meta.agent, shelf.manifest.meta.epoch)
            });
        BatchId {
            agent,
            epoch,
            seq: place.seq,
            hash: entry.sealed.hash(),
        }
    }

    /// Reads an entry; `None` if it had to be taken out, its file had to be set aside, or the disk
    /// needs a rest. In each case the caller looks again.
    pub(crate) fn fetch(&mut self, place: Place) -> Option<Entry> {
        match self.read(place) {
            Ok(Found::Record(_, entry)) => {
                if self.unreadable.take().is_some() {
                    self.rested();
                }
                Some(entry)
            }
            Ok(Found::Damaged(header)) => {
                self.book_damaged(place, header.as_ref());
                None
            }
            Ok(Found::Missing) => {
                self.book_damaged(place, None);
                None
            }
            Err(fault) => {
                self.trouble(place, &fault);
                None
            }
        }
    }

    /// A failed read. The device gets three chances for one entry before it is given up, because
    /// no lane may wait for one entry for ever.
    fn trouble(&mut self, place: Place, fault: &Fault) {
        let tries = match self.unreadable {
            Some((at, tries)) if at == place => tries + 1,
            _ => 1,
        };
        self.unreadable = Some((place, tries));
        if fault.kind == FaultKind::Device && tries <= 3 {
            // The caller learns of it by waiting; the log says why.
            let _logged = self.rest(fault);
        } else if self.reader_opens(place.segment) {
            // The file is fine but for the pages under this entry.
            let header = self.header(place);
            self.book_damaged(place, header.as_ref());
        } else {
            self.set_aside(place.segment, fault);
        }
    }

    fn header(&mut self, place: Place) -> Option<Header> {
        let header = self.segment(place.segment).ok()?.header(place.seq);
        if header.is_err() {
            self.give_up_handle(place.segment);
        }
        header.ok().flatten()
    }

    fn reader_opens(&mut self, number: u64) -> bool {
        self.give_up_handle(number);
        self.segment(number).is_ok()
    }

    fn give_up_handle(&mut self, number: u64) {
        if let Some(class) = self.writes(number) {
            self.close_writer(class);
        }
        if self
            .reader
            .as_ref()
            .is_some_and(|(open, _)| *open == number)
        {
            self.reader = None;
        }
    }

    fn read(&mut self, place: Place) -> Result<Found, Fault> {
        let found = self.segment(place.segment)?.read(place.seq);
        if found.is_err() {
            self.give_up_handle(place.segment);
        }
        found
    }

    fn segment(&mut self, number: u64) -> Result<&Segment, Fault> {
        // A segment that is written is read through the same handle.
        if let Some(class) = self.writes(number)
            && self.stream(class).writer.is_some()
        {
            let writer = self.stream(class).writer.as_ref();
            return Ok(writer.expect("looked at above"));
        }
        if self.reader.as_ref().is_none_or(|(open, _)| *open != number) {
            self.reader = None;
            let (segment, meta) = Segment::open_to_read(&*self.disk, &segment_name(number))?;
            let expected = self.shelves.get(&number).map(|it| it.manifest.meta);
            if expected.is_some_and(|expected| expected != meta) {
                return Err(Fault::damaged(
                    "opening a segment",
                    "another segment's file",
                ));
            }
            self.reader = Some((number, segment));
        }
        Ok(&self.reader.as_ref().expect("just opened").1)
    }
}
