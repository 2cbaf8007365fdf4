//! What is on the disk: file names, tables, the record header, the format version.
//!
//! ```text
//! lock                     flock'ed while open; holds the owner's pid
//! state.redb               who we are, which segments there are, what is settled, the ledger
//! segment-0000000017.redb  records of one class; of each class only the highest is written
//! dead-0000000002.redb     records that the next hop will never take, each with its reason
//! window.redb              spans that wait for a decision about their traces, see `window`
//! ballast                  holds blocks that are released when the disk is full
//! *.new                    being made; without meaning until renamed
//! *.corrupt-<unix time>    set aside: unreadable, or not ours
//! ```
//! A record is a header and a body in pieces of [`PIECE`] bytes under `(seq, piece)`.

use bytes::Bytes;
use petrel_wire::{AgentId, BatchId, Sealed, Signal, UnixNanos};
use redb::TableDefinition;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Class, Entry, ProjectId};

/// Of `state.redb` and of segments; in every file's `meta` row. Readers refuse what is newer.
///
/// 1: one class of entries. 2: segments say of which class they are, and several are written.
pub(crate) const FORMAT: u32 = 2;

/// redb puts a value into a power of two of pages: 1 MiB costs 2 MiB, mixed sizes 1.33 of
/// themselves, pieces of this size 1.03.
pub(crate) const PIECE: usize = 16_320;

pub(crate) const RECORDS: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("records");
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Entries of any segment that the records of this one replaced, under `(segment, seq)`.
pub(crate) const REPLACED: TableDefinition<'_, (u64, u64), &[u8]> =
    TableDefinition::new("replaced");

pub(crate) const STATE: &str = "state.redb";
pub(crate) const BALLAST: &str = "ballast";

pub(crate) fn segment_name(number: u64) -> String {
    format!("segment-{number:010}.redb")
}

pub(crate) fn dead_name(number: u64) -> String {
    format!("dead-{number:010}.redb")
}

/// What a name in the directory means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    State,
    Segment(u64),
    Dead(u64),
    Unfinished,
    Quarantined,
    Ballast,
    Other,
}

impl Name {
    pub(crate) fn of(name: &str) -> Self {
        let number = |prefix: &str| {
            let digits = name.strip_prefix(prefix)?.strip_suffix(".redb")?;
            digits.parse().ok()
        };
        if name == STATE {
            Self::State
        } else if name == BALLAST {
            Self::Ballast
        } else if name.contains(".corrupt-") {
            Self::Quarantined
        } else if name.strip_suffix(".new").is_some() {
            Self::Unfinished
        } else if let Some(number) = number("segment-") {
            Self::Segment(number)
        } else if let Some(number) = number("dead-") {
            Self::Dead(number)
        } else {
            Self::Other
        }
    }
}

/// Takes little-endian numbers off the front of a slice.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }
}

/// A row with its own checksum in front: redb hands out flipped bits without a word.
pub(crate) fn seal_row(row: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(row.len() + 8);
    sealed.extend_from_slice(&xxh3_64(row).to_le_bytes());
    sealed.extend_from_slice(row);
    sealed
}

/// The row, if its checksum is right.
pub(crate) fn open_row(sealed: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(sealed);
    let sum = reader.u64()?;
    let row = reader.bytes(reader.left())?;
    (xxh3_64(row) == sum).then_some(row)
}

/// The format of a row that begins with one, if it is newer than what is read here.
pub(crate) fn newer_format(sealed: &[u8]) -> Option<u32> {
    let format = Reader::new(open_row(sealed)?).u32()?;
    (format > FORMAT).then_some(format)
}

/// Whose sequence numbers a segment holds, of which class, and from which on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentMeta {
    pub(crate) number: u64,
    pub(crate) class: Class,
    pub(crate) agent: AgentId,
    pub(crate) epoch: u32,
    pub(crate) first: u64,
}

impl SegmentMeta {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(40);
        row.extend_from_slice(&FORMAT.to_le_bytes());
        row.extend_from_slice(&self.number.to_le_bytes());
        row.extend_from_slice(&self.agent.0.to_le_bytes());
        row.extend_from_slice(&self.epoch.to_le_bytes());
        row.extend_from_slice(&self.first.to_le_bytes());
        row.push(self.class.code());
        seal_row(&row)
    }

    pub(crate) fn read(sealed: &[u8]) -> Option<Self> {
        let mut row = Reader::new(open_row(sealed)?);
        let format = row.u32()?;
        if format > FORMAT {
            return None;
        }
        let mut meta = Self {
            number: row.u64()?,
            class: Class::Bulk,
            agent: AgentId(row.u128()?),
            epoch: row.u32()?,
            first: row.u64()?,
        };
        if format > 1 {
            meta.class = Class::from_code(row.u8()?)?;
        }
        Some(meta)
    }
}

/// In front of every body; its own checksum keeps the counts right when the body is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) seq: u64,
    pub(crate) signal: Signal,
    pub(crate) project: ProjectId,
    pub(crate) items: u32,
    pub(crate) unpacked_bytes: u32,
    pub(crate) body_bytes: u64,
    pub(crate) accepted: UnixNanos,
    pub(crate) hash: u128,
    pub(crate) origin: Option<BatchId>,
    /// Why it is dead, in a dead letter; else empty.
    pub(crate) note: String,
}

const MAGIC: [u8; 2] = *b"PR";
const VERSION: u8 = 1;
const FIXED: usize = 120;
/// Of a note, so that header and note always fit the first piece.
pub(crate) const NOTE: usize = 1024;

impl Header {
    pub(crate) fn of(seq: u64, entry: &Entry, note: &str) -> Self {
        let mut end = note.len().min(NOTE);
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            seq,
            signal: entry.sealed.signal(),
            project: entry.project,
            items: entry.sealed.items(),
            unpacked_bytes: entry.sealed.unpacked_bytes(),
            body_bytes: entry.sealed.body().len() as u64,
            accepted: entry.accepted,
            hash: entry.sealed.hash(),
            origin: entry.origin,
            note: note[..end].to_owned(),
        }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let origin = self.origin.unwrap_or(BatchId {
            agent: AgentId(0),
            epoch: 0,
            seq: 0,
            hash: 0,
        });
        let mut head = Vec::with_capacity(FIXED + self.note.len());
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&[VERSION, u8::from(self.origin.is_some())]);
        head.extend_from_slice(&[self.signal.code(), 0, 0, 0]);
        head.extend_from_slice(&self.project.0.to_le_bytes());
        head.extend_from_slice(&self.items.to_le_bytes());
        head.extend_from_slice(&self.unpacked_bytes.to_le_bytes());
        let note_bytes = u32::try_from(self.note.len()).expect("notes are at most NOTE bytes");
        head.extend_from_slice(&note_bytes.to_le_bytes());
        head.extend_from_slice(&self.body_bytes.to_le_bytes());
        head.extend_from_slice(&self.seq.to_le_bytes());
        head.extend_from_slice(&self.accepted.0.to_le_bytes());
        head.extend_from_slice(&self.hash.to_le_bytes());
        head.extend_from_slice(&origin.agent.0.to_le_bytes());
        head.extend_from_slice(&origin.epoch.to_le_bytes());
        head.extend_from_slice(&origin.seq.to_le_bytes());
        head.extend_from_slice(&origin.hash.to_le_bytes());
        head.extend_from_slice(&[0; 4]);
        head.extend_from_slice(self.note.as_bytes());
        let sum = xxh3_64(&head);
        head.extend_from_slice(&sum.to_le_bytes());
        head
    }

    /// The header at the front of a record's first piece, and where the body starts in it.
    pub(crate) fn read(piece: &[u8]) -> Option<(Self, usize)> {
        let mut reader = Reader::new(piece);
        if reader.bytes(2)? != MAGIC || reader.u8()? != VERSION {
            return None;
        }
        let has_origin = reader.u8()? == 1;
        let signal = Signal::from_code(reader.u8()?)?;
        reader.bytes(3)?;
        let project = ProjectId(reader.u32()?);
        let items = reader.u32()?;
        let unpacked_bytes = reader.u32()?;
        let note_bytes = usize::try_from(reader.u32()?).ok()?;
        let body_bytes = reader.u64()?;
        let seq = reader.u64()?;
        let accepted = UnixNanos(reader.u64()?);
        let hash = reader.u128()?;
        let origin = BatchId {
            agent: AgentId(reader.u128()?),
            epoch: reader.u32()?,
            seq: reader.u64()?,
            hash: reader.u128()?,
        };
        reader.bytes(4)?;
        let note = reader.bytes(note_bytes)?;
        let covered = piece.len() - reader.left();
        if reader.u64()? != xxh3_64(&piece[..covered]) {
            return None;
        }
        let header = Self {
            seq,
            signal,
            project,
            items,
            unpacked_bytes,
            body_bytes,
            accepted,
            hash,
            origin: has_origin.then_some(origin),
            note: String::from_utf8(note.to_vec()).ok()?,
        };
        Some((header, covered + 8))
    }

    /// The entry, if `body` hashes to what was promised when it was written.
    pub(crate) fn entry(&self, body: Bytes) -> Option<Entry> {
        let sealed =
            Sealed::from_parts(self.signal, self.items, self.unpacked_bytes as usize, body);
        (sealed.hash() == self.hash).then_some(Entry {
            project: self.project,
            origin: self.origin,
            accepted: self.accepted,
            sealed,
        })
    }
}

/// Bytes that a record of this entry takes, before redb's own.
pub(crate) fn record_bytes(entry: &Entry) -> u64 {
    (entry.sealed.body().len() + FIXED) as u64
}
