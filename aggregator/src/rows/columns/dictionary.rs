//! Text from few values: `LowCardinality(String)`, and attributes with such keys.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Column, Pieces, Scalar as _, Text, put_text};

/// Hashes dictionary keys. Seeded by the process: keys are chosen by strangers.
#[derive(Clone, Debug)]
pub(in crate::rows) struct Seed(u64);

impl Seed {
    /// For hashes that are no map's.
    pub(in crate::rows) fn value(&self) -> u64 {
        self.0
    }
}

impl Default for Seed {
    fn default() -> Self {
        Self(std::hash::RandomState::new().hash_one(0_u8))
    }
}

/// One-shot xxh3 of what is written to it.
#[derive(Debug)]
pub(in crate::rows) struct OneShot(u64);

impl Hasher for OneShot {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The end mark of a `str`; whole keys are hashed here, never pieces behind each other.
    #[inline]
    fn write_u8(&mut self, _: u8) {}

    /// The length of a slice, for the same reason.
    #[inline]
    fn write_usize(&mut self, _: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

impl BuildHasher for Seed {
    type Hasher = OneShot;

    #[inline]
    fn build_hasher(&self) -> OneShot {
        OneShot(self.0)
    }
}

/// A dictionary and indexes into it.
#[derive(Debug, Default)]
pub(in crate::rows) struct Dictionary<'a> {
    indexes: HashMap<&'a [u8], u32, Seed>,
    keys: Vec<Key<'a>>,
    last: usize,
    rows: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Key<'a> {
    text: &'a [u8],
    /// What came after it the last time: senders write the same keys in the same order again and
    /// again, and to compare is cheaper than to look up.
    next: u32,
}

impl<'a> Dictionary<'a> {
    /// `SharedDictionariesWithAdditionalKeys`
    const VERSION: u64 = 1;
    /// The keys come with the data, and are all that there is.
    const FLAGS: u64 = (1 << 9) | (1 << 10);

    /// Appends a value; the same number for the same one.
    #[inline]
    pub(in crate::rows) fn push(&mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> u32 {
        let value = value.as_ref();
        let next = self.keys.get(self.last).map(|key| key.next);
        let index = match next {
            Some(next) if self.is(next, value) => next,
            _ => self.look_up(value),
        };
        self.last = index as usize;
        self.rows.push(index);
        index
    }

    #[inline]
    fn is(&self, index: u32, value: &[u8]) -> bool {
        let known = self.keys.get(index as usize);
        known.is_some_and(|key| std::ptr::eq(key.text, value) || key.text == value)
    }

    fn look_up(&mut self, value: &'a [u8]) -> u32 {
        let new = u32::try_from(self.keys.len()).expect("fewer keys than rows in a block");
        let index = *self.indexes.entry(value).or_insert(new);
        if index == new {
            self.keys.push(Key {
                text: value,
                next: index,
            });
        }
        self.keys[self.last].next = index;
        index
    }
}

impl Column for Dictionary<'_> {
    fn kind(&self) -> String {
        "LowCardinality(String)".to_owned()
    }

    fn prefix(&self, out: &mut Vec<u8>) {
        Self::VERSION.put(out);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the width is chosen by the largest index"
    )]
    fn data(self, out: &mut Pieces) {
        // Readers expect nothing at all for a column without rows, as within empty arrays.
        if self.rows.is_empty() {
            return;
        }
        let width = match self.keys.len() {
            0..=0x100 => 0,
            0x101..=0x1_0000 => 1,
            _ => 2_u64,
        };
        let head = out.tail();
        (width | Self::FLAGS).put(head);
        (self.keys.len() as u64).put(head);
        for key in &self.keys {
            put_text(head, key.text);
        }
        (self.rows.len() as u64).put(head);
        let rows = self.rows.iter();
        out.put(match width {
            0 => rows.map(|&index| index as u8).collect(),
            1 => rows
                .flat_map(|&index| (index as u16).to_le_bytes())
                .collect(),
            _ => rows.flat_map(|index| index.to_le_bytes()).collect(),
        });
    }
}

/// `Map(LowCardinality(String), String)`: attributes.
#[derive(Debug, Default)]
pub(in crate::rows) struct Map<'a> {
    ends: Vec<u8>,
    end: u64,
    keys: Dictionary<'a>,
    values: Text,
}

impl<'a> Map<'a> {
    /// Adds a pair to the row and gives the number of the key in this column.
    #[inline]
    pub(in crate::rows) fn put(
        &mut self,
        key: &'a (impl AsRef<[u8]> + ?Sized),
        value: impl AsRef<[u8]>,
    ) -> u32 {
        self.values.push(value);
        self.end += 1;
        self.keys.push(key)
    }

    /// Adds a pair whose value is written piece by piece; `value` appends to the text it is given.
    #[inline]
    pub(in crate::rows) fn put_with(
        &mut self,
        key: &'a (impl AsRef<[u8]> + ?Sized),
        buffer: &mut String,
        value: impl FnOnce(&mut String),
    ) -> u32 {
        buffer.clear();
        value(buffer);
        self.put(key, &*buffer)
    }

    /// Ends the row.
    #[inline]
    pub(in crate::rows) fn end_row(&mut self) {
        self.end.put(&mut self.ends);
    }
}

impl Column for Map<'_> {
    fn kind(&self) -> String {
        "Map(LowCardinality(String), String)".to_owned()
    }

    fn prefix(&self, out: &mut Vec<u8>) {
        self.keys.prefix(out);
    }

    fn data(self, out: &mut Pieces) {
        out.put(self.ends);
        self.keys.data(out);
        self.values.data(out);
    }
}
