//! [`Block`]: rows of one table and one day in ClickHouse's Native format, never changed again.

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

/// One INSERT: one table, one partition, one block, known by its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    table: &'static str,
    columns: &'static [&'static str],
    day: u16,
    rows: u64,
    pieces: Vec<Bytes>,
    hash: u128,
}

impl Block {
    pub(super) fn new(
        table: &'static str,
        columns: &'static [&'static str],
        day: u16,
        rows: usize,
        pieces: Pieces,
    ) -> Self {
        let pieces = pieces.finish();
        let mut hash = Xxh3::new();
        for piece in &pieces {
            hash.update(piece);
        }
        Self {
            table,
            columns,
            day,
            rows: rows as u64,
            hash: hash.digest128(),
            pieces,
        }
    }

    /// The same rows for another table of the same columns.
    pub(super) fn for_table(self, table: &'static str) -> Self {
        Self { table, ..self }
    }

    /// The table that it belongs to.
    pub fn table(&self) -> &'static str {
        self.table
    }

    /// The columns that it carries; others take their defaults.
    pub fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    /// The partition, in days since the epoch.
    pub fn day(&self) -> u16 {
        self.day
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The block in `FORMAT Native`: what all pieces are, behind each other.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// xxh3-128 of the bytes.
    pub fn hash(&self) -> u128 {
        self.hash
    }
}

/// The bytes of a block while it is put together. Long columns stay where they were written: a
/// copy of a whole block is as many bytes as it has, in memory that the kernel has to clear first.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    whole: Vec<Bytes>,
    tail: Vec<u8>,
}

impl Pieces {
    /// What is shorter is copied: each piece costs the sender a few system calls.
    const LEAST_BYTES: usize = 16 << 10;

    /// Where short things are appended.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends the data of a column.
    pub(super) fn put(&mut self, data: Vec<u8>) {
        if data.len() < Self::LEAST_BYTES {
            self.tail.extend_from_slice(&data);
        } else {
            self.end_tail();
            self.whole.push(data.into());
        }
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.whole.push(std::mem::take(&mut self.tail).into());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.end_tail();
        self.whole
    }
}
