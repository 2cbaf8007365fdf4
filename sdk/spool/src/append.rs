//! The group commit, and the change from one segment file to the next.

use std::collections::{HashMap, hash_map};

use petrel_wire::{AgentId, BatchId, Sealed};

use crate::books::Counts;
use crate::error::Fault;
use crate::layout::{Header, SegmentMeta, record_bytes, segment_name};
use crate::ledger::{Claim, Sender, Window};
use crate::owner::{Append, Owner, Place, Reply};
use crate::segment::{Record, Replaced, Segment};
use crate::shelf::Shelf;
use crate::state::{Change, Manifest};
use crate::{Entry, SpoolError, Spooled};

type Answer = (Reply<Spooled>, Result<Spooled, SpoolError>);

impl Owner {
    /// Makes everything durable that has room and is new, in one commit, and says what became of
    /// each. Nobody has been answered when this returns.
    pub(crate) fn append(&mut self, appends: Vec<Append>) -> Vec<Answer> {
        if appends.is_empty() {
            return Vec::new();
        }
        let refused = self.refusing().or_else(|| self.look_at_the_disk().err());
        if let Some(error) = refused {
            return appends
                .into_iter()
                .map(|append| (append.reply, Err(error.clone())))
                .collect();
        }
        let mut answers = Vec::with_capacity(appends.len());
        let mut storing = Vec::with_capacity(appends.len());
        let mut repeated = Vec::new();
        let mut claims = HashMap::new();
        let mut bytes = 0;
        for append in appends {
            match self.admit(&append.entry, &mut claims, bytes) {
                Ok(Claim::New) => {
                    bytes += record_bytes(&append.entry);
                    storing.push(append);
                }
                // Perhaps of this very group: answered only after its commit.
                Ok(_) => repeated.push(append),
                Err(error) => answers.push((append.reply, Err(error))),
            }
        }
        let entries: Vec<&Entry> = storing.iter().map(|append| &append.entry).collect();
        let stored = self.store(&entries, &[]);
        match stored {
            Ok(ids) => {
                self.ledger.extend(claims);
                for (append, id) in storing.into_iter().zip(ids) {
                    let spooled = Spooled {
                        id,
                        seen_before: false,
                    };
                    answers.push((append.reply, Ok(spooled)));
                }
                for append in repeated {
                    let answer = append
                        .entry
                        .origin
                        .ok_or(SpoolError::Closed)
                        .map(|id| Spooled {
                            id,
                            seen_before: true,
                        });
                    answers.push((append.reply, answer));
                }
            }
            Err(error) => {
                for append in storing.into_iter().chain(repeated) {
                    answers.push((append.reply, Err(error.clone())));
                }
            }
        }
        answers
    }

    /// Whether an entry may go into this group, after `before` bytes of it.
    fn admit(
        &mut self,
        entry: &Entry,
        claims: &mut HashMap<Sender, Window>,
        before: u64,
    ) -> Result<Claim, SpoolError> {
        let bytes = record_bytes(entry);
        if bytes > self.config.max_bytes / 2 {
            return Err(SpoolError::TooLarge {
                bytes,
                limit_bytes: self.config.max_bytes,
            });
        }
        let claim = match &entry.origin {
            None => Claim::New,
            Some(origin) => {
                let sender = Sender::of(entry.project, origin);
                let window = self
                    .window(sender, claims)
                    .map_err(|fault| self.refuse(&fault))?;
                match window.look_up(origin) {
                    Claim::Conflict => return Err(SpoolError::Conflict(*origin)),
                    claim => claim,
                }
            }
        };
        if claim == Claim::New {
            self.make_room(before + bytes)?;
            if let Some(origin) = &entry.origin {
                let sender = Sender::of(entry.project, origin);
                claims.entry(sender).or_default().mark(origin);
            }
        }
        Ok(claim)
    }

    /// The window of a sender, from this group, the active segment or the state file.
    fn window<'a>(
        &mut self,
        sender: Sender,
        claims: &'a mut HashMap<Sender, Window>,
    ) -> Result<&'a Window, Fault> {
        match claims.entry(sender) {
            hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            hash_map::Entry::Vacant(unknown) => {
                let window = match self.ledger.get(&sender) {
                    Some(window) => window.clone(),
                    None => self.state()?.window(&sender)?.unwrap_or_default(),
                };
                Ok(unknown.insert(window))
            }
        }
    }

    /// One commit. On failure nothing is stored as far as anybody will be told.
    fn store(
        &mut self,
        entries: &[&Entry],
        replaced: &[Replaced],
    ) -> Result<Vec<BatchId>, SpoolError> {
        if entries.is_empty() && replaced.is_empty() {
            return Ok(Vec::new());
        }
        self.ready().map_err(|fault| self.refuse(&fault))?;
        let shelf = &self.shelves[&self.active];
        let meta = shelf.manifest.meta;
        let first = shelf.manifest.last + 1;
        let name = shelf.name();
        let records: Vec<Record<'_>> = (first..)
            .zip(entries)
            .map(|(seq, entry)| Record {
                seq,
                entry,
                note: "",
            })
            .collect();
        let writer = self.writer.as_ref().expect("ready() opened it");
        // Measured by name, which also notices a file or directory that was removed under us:
        // what is in an unlinked file would not survive anything.
        let done = writer.append(&records, replaced).and_then(|()| {
            self.disk
                .allocated(&name)
                .map_err(|error| Fault::io("looking for the segment just written", error))
        });
        match done {
            Ok(allocated) => {
                let shelf = self.shelves.get_mut(&self.active).expect("always listed");
                shelf.allocated = allocated;
                for record in &records {
                    shelf.add(&Header::of(record.seq, record.entry, ""));
                }
                self.commits += 1;
                self.recovered();
                Ok(records
                    .iter()
                    .map(|record| BatchId {
                        agent: meta.agent,
                        epoch: meta.epoch,
                        seq: record.seq,
                        hash: record.entry.sealed.hash(),
                    })
                    .collect())
            }
            Err(fault) => {
                self.close_writer();
                Err(self.refuse(&fault))
            }
        }
    }

    /// Gives the handle up, and the file if an fsync of it failed.
    pub(crate) fn close_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.abandon |= writer.close();
        }
    }

    /// A writer on a segment with room.
    pub(crate) fn ready(&mut self) -> Result<(), Fault> {
        if self.abandon {
            self.rotate(None)?;
        } else if self.writer.is_none() {
            self.reopen()?;
        }
        if self.shelves[&self.active].allocated >= self.room.segment_bytes {
            self.rotate(None)?;
        }
        Ok(())
    }

    /// Opens the active segment after a failure that was not one of fsync. What the failed commit
    /// may have left is adopted: a restart would find it too.
    fn reopen(&mut self) -> Result<(), Fault> {
        let shelf = &self.shelves[&self.active];
        let opened = Segment::open(&*self.disk, &shelf.name());
        let (segment, meta) = match opened {
            Ok(opened) => opened,
            Err(fault) if fault.kind == crate::error::FaultKind::Damaged => {
                tracing::error!(
                    segment = self.active,
                    error = %fault.source,
                    "the newest segment cannot be opened again; going on in a new one",
                );
                return self.rotate(Some((self.site.agent, self.site.epoch + 1)));
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
            let shelf = self.shelves.get_mut(&self.active).expect("always listed");
            shelf.add(&header);
            seq += 1;
        }
        self.writer = Some(segment);
        // It has seen less.
        self.reader = None;
        Ok(())
    }

    /// Closes the active segment and starts the next, under another identity if one is given.
    pub(crate) fn rotate(&mut self, identity: Option<(AgentId, u32)>) -> Result<(), Fault> {
        // Which also trims the file.
        self.close_writer();
        let number = self.site.next_segment;
        let mut site = self.site.clone();
        site.next_segment += 1;
        let first = match (identity, self.shelves.get(&self.active)) {
            (None, Some(shelf)) => shelf.manifest.last + 1,
            _ => 1,
        };
        if let Some((agent, epoch)) = identity {
            site.agent = agent;
            site.epoch = epoch;
        }
        let meta = SegmentMeta {
            number,
            agent: site.agent,
            epoch: site.epoch,
            first,
        };
        let name = segment_name(number);
        let segment = Segment::create(&*self.disk, &name, &meta)?;
        let fresh = Shelf::new(Manifest::new(meta), self.disk.allocated(&name).unwrap_or(0));
        let mut change = Change {
            put_segments: vec![fresh.manifest.clone()],
            ledger: self.ledger.iter().map(|(s, w)| (*s, w.clone())).collect(),
            ..Change::default()
        };
        if let Some(old) = self.shelves.get(&self.active) {
            let mut closed = old.manifest.clone();
            closed.closed = true;
            change.put_segments.push(closed);
        }
        self.commit_state(site, change)?;
        if let Some(old) = self.shelves.get_mut(&self.active) {
            old.close();
            old.dirty = false;
            if let Ok(allocated) = self.disk.allocated(&old.name()) {
                old.allocated = allocated;
            }
        }
        self.ledger.clear();
        self.shelves.insert(number, fresh);
        self.active = number;
        self.abandon = false;
        self.writer = Some(segment);
        Ok(())
    }

    pub(crate) fn renew(&mut self) -> Result<(AgentId, u32), SpoolError> {
        let identity = (AgentId::random(), 1);
        self.rotate(Some(identity))
            .map_err(|fault| self.refuse(&fault))?;
        tracing::warn!(agent = %identity.0, "the spool has taken a new identity");
        Ok(identity)
    }

    /// Puts the parts of an entry in its place, in one transaction.
    pub(crate) fn split(
        &mut self,
        place: Place,
        entry: &Entry,
        parts: Vec<Sealed>,
    ) -> Result<(), SpoolError> {
        let signal = entry.sealed.signal();
        let items = u64::from(entry.sealed.items());
        let kept: u64 = parts.iter().map(|part| u64::from(part.items())).sum();
        let replaced = Replaced {
            segment: place.segment,
            seq: place.seq,
            signal,
            moved: kept.min(items),
            rejected: items.saturating_sub(kept),
        };
        let parts: Vec<Entry> = parts
            .into_iter()
            .map(|sealed| Entry {
                project: entry.project,
                origin: None,
                accepted: entry.accepted,
                sealed,
            })
            .collect();
        let stored = self.store(&parts.iter().collect::<Vec<_>>(), &[replaced]);
        if stored.is_ok() {
            self.book_replaced(&replaced);
        } else {
            self.put_back(place);
        }
        self.publish();
        stored.map(|_| ())
    }

    pub(crate) fn book_replaced(&mut self, replaced: &Replaced) {
        let items = Counts::of(replaced.signal, replaced.moved + replaced.rejected);
        let settled = self
            .shelves
            .get_mut(&replaced.segment)
            .is_some_and(|shelf| shelf.settle(replaced.seq, items));
        if settled {
            self.site.books.moved += Counts::of(replaced.signal, replaced.moved);
            self.site.books.rejected += Counts::of(replaced.signal, replaced.rejected);
            self.note_pending();
        }
    }
}
