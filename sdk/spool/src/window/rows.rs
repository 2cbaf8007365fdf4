//! The rows of the window's file beside its entries.

use petrel_wire::{AgentId, BatchId};

use super::WindowChange;
use crate::layout::{FORMAT, Reader, open_row, seal_row};

/// Items since the window was made; `taken = released + dropped + corrupt + refused + here`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowStats {
    /// Came in.
    pub taken: u64,
    /// Went on into the spool.
    pub released: u64,
    /// Were decided against.
    pub dropped: u64,
    /// Could not be read.
    pub corrupt: u64,
    /// Came in though their senders were told that they did not: the disk failed in between.
    pub refused: u64,
    /// Wait.
    pub here: u64,
}

/// Identity, numbers, books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) agent: AgentId,
    pub(super) starts: u32,
    pub(super) next_release: u64,
    pub(super) next_entry: u64,
    pub(super) stats: WindowStats,
}

impl Site {
    pub(super) fn new() -> Self {
        Self {
            agent: AgentId::random(),
            starts: 0,
            next_release: 1,
            next_entry: 1,
            stats: WindowStats::default(),
        }
    }

    /// A copy of this disk leaps elsewhere: forty bits, so that a thousand starts fit easily.
    pub(super) fn leap(&mut self) {
        self.starts += 1;
        self.next_release += (AgentId::random().0 >> 88) as u64;
    }

    pub(super) fn renew(&mut self) {
        self.agent = AgentId::random();
        self.starts = 1;
        self.next_release = 1;
    }

    /// What it is once `change` is durable.
    pub(super) fn after(&self, change: &WindowChange) -> Self {
        let mut next = self.clone();
        if let Some((id, _)) = change.put.last() {
            next.next_entry = next.next_entry.max(id + 1);
        }
        if let Some(release) = &change.begin {
            next.next_release = next.next_release.max(release.name.seq + 1);
        }
        let stats = &mut next.stats;
        stats.taken += change.taken_items;
        stats.released += change.released_items;
        stats.dropped += change.dropped_items;
        stats.corrupt += change.corrupt_items;
        stats.refused += change.refused_items;
        let gone = stats.released + stats.dropped + stats.corrupt + stats.refused;
        stats.here = stats.taken.saturating_sub(gone);
        next
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(96);
        row.extend_from_slice(&FORMAT.to_le_bytes());
        row.extend_from_slice(&self.agent.0.to_le_bytes());
        row.extend_from_slice(&self.starts.to_le_bytes());
        let stats = &self.stats;
        for number in [
            self.next_release,
            self.next_entry,
            stats.taken,
            stats.released,
            stats.dropped,
            stats.corrupt,
            stats.refused,
            stats.here,
        ] {
            row.extend_from_slice(&number.to_le_bytes());
        }
        seal_row(&row)
    }

    pub(super) fn read(sealed: &[u8]) -> Option<Self> {
        let mut row = Reader::new(open_row(sealed)?);
        if row.u32()? > FORMAT {
            return None;
        }
        Some(Self {
            agent: AgentId(row.u128()?),
            starts: row.u32()?,
            next_release: row.u64()?,
            next_entry: row.u64()?,
            stats: WindowStats {
                taken: row.u64()?,
                released: row.u64()?,
                dropped: row.u64()?,
                corrupt: row.u64()?,
                refused: row.u64()?,
                here: row.u64()?,
            },
        })
    }
}

/// A trace's share of an entry, and what it is released with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The entry.
    pub entry: u64,
    /// Its place among the entry's traces.
    pub part: u32,
    /// Its items.
    pub items: u32,
    /// The sampling threshold that its spans have to tell.
    pub threshold: Option<u64>,
}

/// Parts on their way into the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Agent, epoch and number; the hash is that of what is packed, which is known later.
    pub name: BatchId,
    /// By entry and part, ascending.
    pub parts: Vec<Part>,
}

impl Release {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(28 + self.parts.len() * 25);
        row.extend_from_slice(&self.name.agent.0.to_le_bytes());
        row.extend_from_slice(&self.name.epoch.to_le_bytes());
        row.extend_from_slice(&self.name.seq.to_le_bytes());
        for part in &self.parts {
            row.extend_from_slice(&part.entry.to_le_bytes());
            row.extend_from_slice(&part.part.to_le_bytes());
            row.extend_from_slice(&part.items.to_le_bytes());
            // No threshold has so many bits.
            row.extend_from_slice(&part.threshold.unwrap_or(u64::MAX).to_le_bytes());
        }
        seal_row(&row)
    }

    pub(super) fn read(sealed: &[u8]) -> Option<Self> {
        let mut row = Reader::new(open_row(sealed)?);
        let name = BatchId {
            agent: AgentId(row.u128()?),
            epoch: row.u32()?,
            seq: row.u64()?,
            hash: 0,
        };
        let mut parts = Vec::new();
        while row.left() > 0 {
            parts.push(Part {
                entry: row.u64()?,
                part: row.u32()?,
                items: row.u32()?,
                threshold: Some(row.u64()?).filter(|threshold| *threshold != u64::MAX),
            });
        }
        Some(Self { name, parts })
    }
}

/// A row of parts that have left an entry.
pub(super) struct Gone;

impl Gone {
    pub(super) fn write(parts: &[u32]) -> Vec<u8> {
        let row: Vec<u8> = parts.iter().flat_map(|part| part.to_le_bytes()).collect();
        seal_row(&row)
    }

    pub(super) fn read(sealed: &[u8]) -> Option<Vec<u32>> {
        let mut row = Reader::new(open_row(sealed)?);
        let mut parts = Vec::new();
        while row.left() > 0 {
            parts.push(row.u32()?);
        }
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_what_they_write() {
        let mut site = Site::new();
        site.leap();
        assert_eq!(Site::read(&site.write()), Some(site.clone()));
        let release = Release {
            name: BatchId {
                agent: site.agent,
                epoch: 1,
                seq: 7,
                hash: 0,
            },
            parts: vec![
                Part {
                    entry: 3,
                    part: 0,
                    items: 2,
                    threshold: None,
                },
                Part {
                    entry: 3,
                    part: 9,
                    items: 1,
                    threshold: Some(1 << 55),
                },
            ],
        };
        assert_eq!(Release::read(&release.write()), Some(release));
        assert_eq!(Gone::read(&Gone::write(&[1, 5])), Some(vec![1, 5]));
    }
}
