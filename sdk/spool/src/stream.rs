//! [`Stream`]: where a class of entries is written, and the change from one segment to the next.

use std::collections::HashMap;

use petrel_wire::AgentId;

use crate::error::{Fault, FaultKind};
use crate::layout::{SegmentMeta, segment_name};
use crate::ledger::Sender;
use crate::owner::Owner;
use crate::segment::Segment;
use crate::shelf::Shelf;
use crate::state::{Change, Manifest, Site};
use crate::{Class, SpoolError};

#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Number of the segment that is written; none before there was something to write.
    pub(crate) active: Option<u64>,
    pub(crate) writer: Option<Segment>,
    /// An fsync of the active segment failed: it must not be written again.
    abandon: bool,
    /// Another process wrote it, and this one is perhaps not the only one to go on from there: the
    /// directory may be a copy, or one that was brought back from a backup. Then the next numbers
    /// are drawn from so wide a range that no other copy draws them too.
    pub(crate) leaps: bool,
}

impl Stream {
    /// A commit has failed, and the file may hold it all the same.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.active.is_some() && self.writer.is_none()
    }
}

/// With more files than this waiting, an agent that is started again and again makes no new ones.
const MOST_FILES_TO_LEAP: usize = 256;

/// How far numbers leap: forty bits, so that a million starts fit into sixty-four.
fn leap() -> u64 {
    let drawn = (AgentId::random().0 >> 88) as u64;
    drawn + 1
}

/// Which numbers the entries of a new segment get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epoch {
    /// The next ones of the segment before.
    Same,
    /// From one on, in an epoch that nothing was written under yet.
    Next,
}

impl Owner {
    pub(crate) fn stream(&self, class: Class) -> &Stream {
        &self.streams[class.index()]
    }

    fn stream_mut(&mut self, class: Class) -> &mut Stream {
        &mut self.streams[class.index()]
    }

    /// The class whose entries go into this segment now.
    pub(crate) fn writes(&self, number: u64) -> Option<Class> {
        Class::ALL
            .into_iter()
            .find(|class| self.stream(*class).active == Some(number))
    }

    pub(crate) fn is_active(&self, number: u64) -> bool {
        self.writes(number).is_some()
    }

    /// Gives the handle up, and the file if an fsync of it failed.
    pub(crate) fn close_writer(&mut self, class: Class) {
        let stream = self.stream_mut(class);
        if let Some(writer) = stream.writer.take() {
            stream.abandon |= writer.close();
        }
    }

    /// A writer on a segment with room; its number.
    pub(crate) fn ready(&mut self, class: Class) -> Result<u64, Fault> {
        let stream = self.stream(class);
        let active = match stream.active {
            None => return self.rotate(class, Epoch::Next),
            Some(_) if stream.abandon => return self.rotate(class, Epoch::Same),
            Some(_) if stream.leaps && self.shelves.len() < MOST_FILES_TO_LEAP => {
                return self.rotate(class, Epoch::Same);
            }
            Some(active) => active,
        };
        let active = if stream.writer.is_none() {
            self.reopen(class, active)?
        } else {
            active
        };
        if self.shelves[&active].allocated >= self.room.segment_bytes {
            return self.rotate(class, Epoch::Same);
        }
        Ok(active)
    }

    /// Opens the active segment after a failure that was not one of fsync. What the failed commit
    /// may have left is adopted: a restart would find it too.
    fn reopen(&mut self, class: Class, active: u64) -> Result<u64, Fault> {
        let shelf = &self.shelves[&active];
        let (segment, meta) = match Segment::open(&*self.disk, &shelf.name()) {
            Ok(opened) => opened,
            Err(fault) if fault.kind == FaultKind::Damaged => {
                tracing::error!(
                    segment = active,
                    error = %fault.source,
                    "the newest segment cannot be opened again; going on in a new one",
                );
                return self.rotate(class, Epoch::Next);
            }
            Err(fault) => return Err(fault),
        };
        if meta != shelf.manifest.meta {
            return Err(Fault::damaged(
                "opening a segment",
                "another segment's file",
            ));
        }
        let mut seq = shelf.manifest.last + 1;
        while let Some(header) = segment.header(seq)? {
            if let Some(origin) = &header.origin {
                let sender = Sender::of(header.project, origin);
                let mut claims = HashMap::new();
                self.window(sender, &mut claims)?;
                let mut window = claims.remove(&sender).unwrap_or_default();
                window.mark(origin);
                self.ledger.insert(sender, window);
            }
            let shelf = self.shelves.get_mut(&active).expect("looked up above");
            shelf.add(&header);
            seq += 1;
        }
        // It has seen less.
        self.reader = None;
        self.stream_mut(class).writer = Some(segment);
        Ok(active)
    }

    /// Closes the active segment, if there is one, and starts the next; its number.
    pub(crate) fn rotate(&mut self, class: Class, epoch: Epoch) -> Result<u64, Fault> {
        // Which also trims the file.
        self.close_writer(class);
        let before = self.stream(class).active;
        let mut site = self.site.clone();
        let number = site.next_segment;
        site.next_segment += 1;
        let continued = before
            .filter(|_| epoch == Epoch::Same)
            .and_then(|number| self.shelves.get(&number));
        let leap = if self.stream(class).leaps { leap() } else { 0 };
        let (epoch, first) = match continued {
            Some(shelf) => (shelf.manifest.meta.epoch, shelf.manifest.last + 1),
            None => {
                site.epoch += 1;
                (site.epoch, 1)
            }
        };
        let meta = SegmentMeta {
            number,
            class,
            agent: site.agent,
            epoch,
            first: first + leap,
        };
        let name = segment_name(number);
        let segment = Segment::create(&*self.disk, &name, &meta)?;
        let fresh = Shelf::new(Manifest::new(meta), self.disk.allocated(&name).unwrap_or(0));
        self.close_in_state(site, before.as_slice(), vec![fresh.manifest.clone()])?;
        self.shelves.insert(number, fresh);
        *self.stream_mut(class) = Stream {
            active: Some(number),
            writer: Some(segment),
            abandon: false,
            leaps: false,
        };
        Ok(number)
    }

    /// Ends every stream: what comes from now on gets numbers of an epoch of its own.
    pub(crate) fn end_streams(&mut self, site: Site) -> Result<(), Fault> {
        for class in Class::ALL {
            self.close_writer(class);
        }
        let active: Vec<u64> = self.streams.iter().filter_map(|it| it.active).collect();
        self.close_in_state(site, &active, Vec::new())?;
        for stream in &mut self.streams {
            *stream = Stream {
                leaps: stream.leaps,
                ..Stream::default()
            };
        }
        Ok(())
    }

    /// Commits that these segments are closed, and what was claimed in them, together with `put`.
    fn close_in_state(
        &mut self,
        site: Site,
        numbers: &[u64],
        mut put: Vec<Manifest>,
    ) -> Result<(), Fault> {
        for shelf in numbers.iter().filter_map(|number| self.shelves.get(number)) {
            let mut closed = shelf.manifest.clone();
            closed.closed = true;
            put.push(closed);
        }
        let change = Change {
            put_segments: put,
            ledger: self.ledger.iter().map(|(s, w)| (*s, w.clone())).collect(),
            ..Change::default()
        };
        self.commit_state(site, change)?;
        self.ledger.clear();
        for number in numbers {
            if let Some(shelf) = self.shelves.get_mut(number) {
                shelf.close();
                shelf.dirty = false;
                if let Ok(allocated) = self.disk.allocated(&shelf.name()) {
                    shelf.allocated = allocated;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn renew(&mut self) -> Result<(AgentId, u32), SpoolError> {
        let mut site = self.site.clone();
        site.agent = AgentId::random();
        site.epoch = 0;
        self.end_streams(site)
            .map_err(|fault| self.refuse(&fault))?;
        let identity = self.site.identity();
        tracing::warn!(agent = %identity.0, "the spool has taken a new identity");
        Ok(identity)
    }
}
