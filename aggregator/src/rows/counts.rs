//! Columns that only what we count needs: `Map(Int16, UInt64)`, and words of our own making.

use std::collections::HashMap;

use super::block::Pieces;
use super::columns::{Column, Dictionary, Scalar as _};
use crate::meaning::exponent;

/// Values by exponential bucket. Few in one group and minute, so a sorted list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Buckets(Vec<(i16, u64)>);

impl Buckets {
    #[inline]
    pub(super) fn add(&mut self, value: u64) {
        let bucket = exponent::bucket(value);
        match self.0.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.0[at].1 += 1,
            Err(at) => self.0.insert(at, (bucket, 1)),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            match self.0.binary_search_by_key(bucket, |(bucket, _)| *bucket) {
                Ok(at) => self.0[at].1 += count,
                Err(at) => self.0.insert(at, (*bucket, *count)),
            }
        }
    }
}

/// `Map(Int16, UInt64)`
#[derive(Debug, Default)]
pub(super) struct Counts {
    ends: Vec<u8>,
    end: u64,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Counts {
    pub(super) fn push(&mut self, buckets: &Buckets) {
        for (bucket, count) in &buckets.0 {
            bucket.put(&mut self.keys);
            count.put(&mut self.values);
        }
        self.end += buckets.0.len() as u64;
        self.end.put(&mut self.ends);
    }
}

impl Column for Counts {
    fn kind(&self) -> String {
        "Map(Int16, UInt64)".to_owned()
    }

    fn data(self, out: &mut Pieces) {
        out.put(self.ends);
        out.put(self.keys);
        out.put(self.values);
    }
}

/// `LowCardinality(String)` of texts that no batch holds.
#[derive(Debug, Default)]
pub(super) struct Words {
    known: HashMap<String, usize>,
    words: Vec<String>,
    rows: Vec<usize>,
}

impl Words {
    #[inline]
    pub(super) fn push(&mut self, word: &str) {
        let last = self.rows.last().copied();
        if let Some(last) = last
            && self.words[last] == word
        {
            self.rows.push(last);
            return;
        }
        let index = match self.known.get(word) {
            Some(index) => *index,
            None => {
                let index = self.words.len();
                self.words.push(word.to_owned());
                self.known.insert(word.to_owned(), index);
                index
            }
        };
        self.rows.push(index);
    }
}

impl Column for Words {
    fn kind(&self) -> String {
        Dictionary::default().kind()
    }

    fn prefix(&self, out: &mut Vec<u8>) {
        Dictionary::default().prefix(out);
    }

    fn data(self, out: &mut Pieces) {
        let mut dictionary = Dictionary::default();
        for row in &self.rows {
            dictionary.push(&self.words[*row]);
        }
        dictionary.data(out);
    }
}
