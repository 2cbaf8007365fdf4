//! The group commit.

use std::collections::{HashMap, hash_map};

use petrel_wire::{BatchId, Sealed};

use crate::books::Counts;
use crate::error::Fault;
use crate::layout::{Header, record_bytes};
use crate::ledger::{Claim, Sender, Window};
use crate::owner::{Append, Owner, Place, Reply};
use crate::segment::{Record, Replaced};
use crate::{Class, Entry, ProjectId, SpoolError, Spooled};

type Answer = (Reply<Spooled>, Result<Spooled, SpoolError>);

impl Owner {
    /// Makes everything durable that has room and is new, in one commit, and says what became of
    /// each. Nobody has been answered when this returns.
    pub(crate) fn append(&mut self, appends: Vec<Append>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(appends.len());
        let (keep, bulk) = appends
            .into_iter()
            .partition(|append| append.class == Class::Keep);
        for (class, appends) in [(Class::Keep, keep), (Class::Bulk, bulk)] {
            answers.extend(self.append_as(class, appends));
        }
        answers
    }

    fn append_as(&mut self, class: Class, appends: Vec<Append>) -> Vec<Answer> {
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
            match self.admit(&append, &mut claims, bytes) {
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
        let stored = self.store(class, &entries, &[]);
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
        append: &Append,
        claims: &mut HashMap<Sender, Window>,
        before: u64,
    ) -> Result<Claim, SpoolError> {
        let (class, entry) = (append.class, &append.entry);
        let bytes = record_bytes(entry);
        if bytes > self.config.max_bytes / 2 {
            return Err(SpoolError::TooLarge {
                bytes,
                limit_bytes: self.config.max_bytes,
            });
        }
        let claim = match entry.origin.as_ref().filter(|_| append.claims) {
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
            self.make_room(class, before + bytes)?;
            if let Some(origin) = &entry.origin {
                let sender = Sender::of(entry.project, origin);
                claims.entry(sender).or_default().mark(origin);
            }
        }
        Ok(claim)
    }

    /// Whether a batch of this origin was ever appended. Certain: what a failed commit has left in a
    /// file is adopted or given up for ever before the answer, or there is none.
    pub(crate) fn knows(
        &mut self,
        project: ProjectId,
        origin: &BatchId,
    ) -> Result<bool, SpoolError> {
        for class in Class::ALL {
            if self.stream(class).is_in_doubt() {
                self.ready(class).map_err(|fault| self.refuse(&fault))?;
            }
        }
        let mut looked_up = HashMap::new();
        let window = self
            .window(Sender::of(project, origin), &mut looked_up)
            .map_err(|fault| self.refuse(&fault));
        Ok(window?.look_up(origin) == Claim::Seen)
    }

    /// The window of a sender, from this group, the active segment or the state file.
    pub(crate) fn window<'a>(
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
        class: Class,
        entries: &[&Entry],
        replaced: &[Replaced],
    ) -> Result<Vec<BatchId>, SpoolError> {
        if entries.is_empty() && replaced.is_empty() {
            return Ok(Vec::new());
        }
        let active = self.ready(class).map_err(|fault| self.refuse(&fault))?;
        let shelf = &self.shelves[&active];
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
        let writer = self.stream(class).writer.as_ref();
        let writer = writer.expect("ready() opened it");
        // Measured by name, which also notices a file or directory that was removed under us:
        // what is in an unlinked file would not survive anything.
        let done = writer.append(&records, replaced).and_then(|()| {
            self.disk
                .allocated(&name)
                .map_err(|error| Fault::io("looking for the segment just written", error))
        });
        match done {
            Ok(allocated) => {
                let shelf = self.shelves.get_mut(&active).expect("ready() listed it");
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
                self.close_writer(class);
                Err(self.refuse(&fault))
            }
        }
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
        let class = self
            .shelves
            .get(&place.segment)
            .map_or(Class::Bulk, |shelf| shelf.manifest.meta.class);
        let parts: Vec<&Entry> = parts.iter().collect();
        let stored = self.store(class, &parts, &[replaced]);
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
