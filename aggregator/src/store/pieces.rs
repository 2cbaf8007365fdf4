//! A cut in pieces that fit the memory, each piece in blocks with their tokens. Pure.

use std::ops::Range;
use std::sync::Arc;

use petrel_spool::Entry;
use petrel_wire::{Batch, BatchId, UnpackError};
use xxhash_rust::xxh3::Xxh3;

use crate::rows::{self, Block, Displacements, ENCODER_VERSION, Source};

/// Most uncompressed bytes of a piece, unless one entry alone has more.
const PIECE_BYTES: u64 = 32 << 20;
/// Most items of a piece: an insert of this size is one or two levels of merges cheaper than one
/// of a tenth.
pub(super) const PIECE_ITEMS: u64 = 65_536;

/// The entries of a cut.
pub(super) type Entries = Arc<[(BatchId, Entry)]>;

/// Some neighbouring entries of a cut.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) cut: u64,
    pub(super) entries: Entries,
    pub(super) range: Range<usize>,
}

/// A block and the name under which it is inserted.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) block: Block,
    pub(super) token: String,
}

/// An entry that cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) index: usize,
    pub(super) reason: UnpackError,
}

/// What a piece becomes.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) loads: Vec<Load>,
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) displaced: Displacements,
}

/// Pieces of a cut, decided by what the journal knows of its entries.
pub(super) fn pieces(cut: u64, entries: &Entries) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let (mut bytes, mut items) = (0, 0);
    for (index, (_, entry)) in entries.iter().enumerate() {
        let (more_bytes, more_items) = (
            u64::from(entry.sealed.unpacked_bytes()),
            u64::from(entry.sealed.items()),
        );
        if index > start && (bytes + more_bytes > PIECE_BYTES || items + more_items > PIECE_ITEMS) {
            pieces.push(start..index);
            start = index;
            (bytes, items) = (0, 0);
        }
        bytes += more_bytes;
        items += more_items;
    }
    if start < entries.len() {
        pieces.push(start..entries.len());
    }
    let piece = |range| Piece {
        cut,
        entries: Arc::clone(entries),
        range,
    };
    pieces.into_iter().map(piece).collect()
}

impl Piece {
    pub(super) fn entries(&self) -> &[(BatchId, Entry)] {
        &self.entries[self.range.clone()]
    }

    /// Both halves; nothing if it is one entry.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        if self.range.len() < 2 {
            return None;
        }
        let middle = self.range.start + self.range.len() / 2;
        let part = |range| Self {
            range,
            ..self.clone()
        };
        Some([part(self.range.start..middle), part(middle..self.range.end)])
    }

    /// Its entries, one by one.
    pub(super) fn singles(&self) -> Vec<Self> {
        let single = |index| Self {
            range: index..index + 1,
            ..self.clone()
        };
        self.range.clone().map(single).collect()
    }

    /// Unpacks and encodes. Entries that cannot be read are told apart and left out.
    pub(super) fn build(&self) -> Built {
        let mut unreadable = Vec::new();
        let mut readable: Vec<(usize, Batch, String)> = Vec::with_capacity(self.range.len());
        for index in self.range.clone() {
            let entry = &self.entries[index].1;
            // Checked when it was accepted; the journal has compared its hash.
            match entry.sealed.unpack_checked() {
                Ok(batch) => readable.push((index, batch, origin(entry))),
                Err(reason) => unreadable.push(Unreadable { index, reason }),
            }
        }
        let sources: Vec<Source<'_>> = readable
            .iter()
            .map(|(index, batch, origin)| Source {
                project: self.entries[*index].1.project,
                accepted: self.entries[*index].1.accepted,
                origin,
                batch,
            })
            .collect();
        let (blocks, displaced) = rows::build_noting(&sources);
        let loads = blocks.into_iter().map(|block| Load {
            token: self.token(&block),
            block,
        });
        Built {
            loads: loads.collect(),
            unreadable,
            displaced,
        }
    }

    /// The same for the same block of the same entries, and for nothing else: equal rows that came
    /// twice from a sender without identity are both kept.
    fn token(&self, block: &Block) -> String {
        let mut hash = Xxh3::new();
        if let (Some((first, _)), Some((last, _))) = (self.entries().first(), self.entries().last())
        {
            for id in [first, last] {
                hash.update(&id.agent.0.to_le_bytes());
                hash.update(&id.epoch.to_le_bytes());
                hash.update(&id.seq.to_le_bytes());
            }
        }
        hash.update(&self.cut.to_le_bytes());
        hash.update(&ENCODER_VERSION.to_le_bytes());
        hash.update(&block.day().to_le_bytes());
        hash.update(block.table().as_bytes());
        hash.update(&block.hash().to_le_bytes());
        format!("{:032x}", hash.digest128())
    }
}

/// What rows say about where they came from.
fn origin(entry: &Entry) -> String {
    entry
        .origin
        .map(|id| format!("{}:{}:{}", id.agent, id.epoch, id.seq))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use petrel_spool::ProjectId;
    use petrel_wire::{AgentId, Sealed, Signal, UnixNanos};

    fn entries(items: &[u32]) -> Entries {
        let entry = |(seq, items): (u64, &u32)| {
            let sealed = Sealed::from_parts(Signal::Logs, *items, 0, vec![1, 2, 3].into());
            let id = BatchId {
                agent: AgentId(7),
                epoch: 1,
                seq,
                hash: sealed.hash(),
            };
            let entry = Entry {
                project: ProjectId(1),
                origin: None,
                accepted: UnixNanos(0),
                sealed,
            };
            (id, entry)
        };
        (1..).zip(items).map(entry).collect()
    }

    fn ranges(items: &[u32]) -> Vec<Range<usize>> {
        pieces(1, &entries(items))
            .into_iter()
            .map(|piece| piece.range)
            .collect()
    }

    #[test]
    fn pieces_cover_a_cut_without_gap_or_overlap_and_fit() {
        assert_eq!(ranges(&[]), Vec::<Range<usize>>::new());
        assert_eq!(ranges(&[1, 2, 3]), vec![Range { start: 0, end: 3 }]);
        assert_eq!(
            ranges(&[65_536, 1, 65_535, 1, 200_000, 1]),
            [0..1, 1..3, 3..4, 4..5, 5..6]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_costs_nobody_else() {
        let piece = pieces(1, &entries(&[1, 1])).remove(0);
        let built = piece.build();
        assert!(built.loads.is_empty());
        assert_eq!(
            built.unreadable.iter().map(|u| u.index).collect::<Vec<_>>(),
            [0, 1]
        );
    }

    #[test]
    fn halving_ends_at_single_entries() {
        let piece = pieces(1, &entries(&[1, 1, 1])).remove(0);
        let [left, right] = piece.halves().unwrap();
        assert_eq!((left.range.clone(), right.range.clone()), (0..1, 1..3));
        assert!(left.halves().is_none());
    }
}
