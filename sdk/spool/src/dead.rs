//! Dead letters: what the next hop refused for good, with its words, until a person decides.

use petrel_wire::BatchId;

use crate::disk::Disk;
use crate::error::{Fault, FaultKind};
use crate::layout::{SegmentMeta, dead_name};
use crate::owner::Owner;
use crate::segment::{Found, Record, Segment};
use crate::{Class, DeadLetter, SpoolError};

impl Owner {
    /// Writes refused entries to the dead letters, before their settlement is durable: a crash in
    /// between brings them back to be refused once more, and the copy is recognised by its id.
    pub(crate) fn bury(&mut self) -> Result<(), Fault> {
        if self.dead.is_empty() {
            return Ok(());
        }
        let bound = self.room.limit_bytes / self.tuning.dead_share.max(1);
        let newest = self.extras.newest_dead();
        let has_room = !self.extras.dead_spent
            && self
                .extras
                .dead
                .get(&newest)
                .is_some_and(|bytes| *bytes < bound / 4);
        if self.extras.dead_writer.is_none() && has_room {
            match Segment::open(&*self.disk, &dead_name(newest)) {
                Ok((segment, _)) => self.extras.dead_writer = Some(segment),
                Err(fault) if fault.kind == FaultKind::Damaged => {
                    tracing::warn!(error = %fault.source, "dead letters cannot be read");
                }
                Err(fault) => return Err(fault),
            }
        }
        if !has_room || self.extras.dead_writer.is_none() {
            self.extras.close();
            let meta = SegmentMeta {
                number: newest + 1,
                class: Class::Bulk,
                agent: self.site.agent,
                epoch: self.site.epoch,
                first: 1,
            };
            let name = dead_name(meta.number);
            self.extras.dead_writer = Some(Segment::create(&*self.disk, &name, &meta)?);
            self.extras.dead.insert(meta.number, 0);
            self.extras.dead_spent = false;
        }
        let done = self.write_dead();
        if done.is_err() {
            self.extras.close();
        }
        done?;
        self.dead.clear();
        while self.extras.dead.values().sum::<u64>() > bound && self.extras.dead.len() > 1 {
            if let Some((number, bytes)) = self.extras.dead.pop_first() {
                self.extras.discard(dead_name(number), bytes);
            }
        }
        Ok(())
    }

    fn write_dead(&mut self) -> Result<(), Fault> {
        let Some(writer) = &self.extras.dead_writer else {
            return Ok(());
        };
        let first = writer.last()?.unwrap_or(0) + 1;
        let notes: Vec<String> = self
            .dead
            .iter()
            .map(|dead| format!("{}\n{}", dead.id, dead.reason))
            .collect();
        let records: Vec<Record<'_>> = (first..)
            .zip(self.dead.iter().zip(&notes))
            .map(|(seq, (dead, note))| Record {
                seq,
                entry: &dead.entry,
                note,
            })
            .collect();
        writer.append(&records, &[])?;
        let newest = self.extras.newest_dead();
        if let Ok(bytes) = self.disk.allocated(&dead_name(newest)) {
            self.extras.dead.insert(newest, bytes);
        }
        Ok(())
    }

    /// The newest dead letters, newest first.
    pub(crate) fn dead_letters(&mut self, limit: usize) -> Result<Vec<DeadLetter>, SpoolError> {
        self.bury().map_err(|fault| self.rest(&fault))?;
        self.extras.close();
        let newest_first = self.extras.dead.keys().copied().rev();
        Ok(read_dead_letters(&*self.disk, newest_first, limit))
    }

    /// Forgets dead letters; how many there were.
    pub(crate) fn drop_dead_letters(&mut self, ids: &[BatchId]) -> Result<u64, SpoolError> {
        self.bury().map_err(|fault| self.rest(&fault))?;
        self.extras.close();
        let mut dropped = std::collections::BTreeSet::new();
        for number in self.extras.dead.keys().copied().collect::<Vec<_>>() {
            let gone = self.drop_from(number, ids);
            dropped.extend(gone.map_err(|fault| self.rest(&fault))?);
        }
        Ok(dropped.len() as u64)
    }

    fn drop_from(&mut self, number: u64, ids: &[BatchId]) -> Result<Vec<BatchId>, Fault> {
        let name = dead_name(number);
        let (segment, _) = match Segment::open(&*self.disk, &name) {
            Ok(opened) => opened,
            Err(fault) if fault.kind == FaultKind::Damaged => {
                tracing::warn!(name, error = %fault.source, "dead letters cannot be read");
                return Ok(Vec::new());
            }
            Err(fault) => return Err(fault),
        };
        let mut rows = Vec::new();
        let mut dropped = Vec::new();
        let mut left = 0;
        for seq in 1..=segment.last()?.unwrap_or(0) {
            match segment.read(seq) {
                Ok(Found::Record(header, _)) => match id_in(&header.note) {
                    Some((id, _)) if ids.contains(&id) => {
                        rows.push(seq);
                        dropped.push(id);
                    }
                    _ => left += 1,
                },
                Ok(Found::Missing) => {}
                _ => left += 1,
            }
        }
        if rows.is_empty() {
            return Ok(dropped);
        }
        if left == 0 {
            drop(segment);
            let allocated = self.extras.dead.remove(&number).unwrap_or(0);
            self.extras.discard(name, allocated);
            self.extras.sweep(&*self.disk);
        } else {
            segment.remove(&rows)?;
            if segment.close() && number == self.extras.newest_dead() {
                self.extras.dead_spent = true;
            }
        }
        Ok(dropped)
    }
}

/// The id and the reason, as they were written.
fn id_in(note: &str) -> Option<(BatchId, &str)> {
    let (id, reason) = note.split_once('\n')?;
    Some((id.parse().ok()?, reason))
}

/// The newest letters of these files, given newest first.
pub(crate) fn read_dead_letters(
    disk: &dyn Disk,
    numbers: impl Iterator<Item = u64>,
    limit: usize,
) -> Vec<DeadLetter> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    for number in numbers {
        let name = dead_name(number);
        let Ok((segment, _)) = Segment::open_to_read(disk, &name) else {
            tracing::warn!(name, "dead letters cannot be read");
            continue;
        };
        let mut seq = segment.last().ok().flatten().unwrap_or(0);
        while seq > 0 && letters.len() < limit {
            if let Ok(Found::Record(header, entry)) = segment.read(seq)
                && let Some((id, reason)) = id_in(&header.note)
                && letters.iter().all(|known| known.id != id)
            {
                letters.push(DeadLetter {
                    id,
                    entry,
                    reason: reason.to_owned(),
                });
            }
            seq -= 1;
        }
    }
    letters
}
