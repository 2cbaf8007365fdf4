//! [`Block`]: rows of one table and one day in ClickHouse's Native format, never changed again.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

/// One INSERT: one table, one partition, one block, known by its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    table: &'static str,
    columns: &'static [&'static str],
    day: u16,
    rows: u64,
    bytes: Bytes,
    hash: u128,
}

impl Block {
    pub(super) fn new(
        table: &'static str,
        columns: &'static [&'static str],
        day: u16,
        rows: usize,
        bytes: Vec<u8>,
    ) -> Self {
        let hash = xxh3_128(&bytes);
        Self {
            table,
            columns,
            day,
            rows: rows as u64,
            bytes: bytes.into(),
            hash,
        }
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

    /// The block in `FORMAT Native`.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// xxh3-128 of the bytes.
    pub fn hash(&self) -> u128 {
        self.hash
    }
}
