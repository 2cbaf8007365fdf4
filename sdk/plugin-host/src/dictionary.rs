//! The distinct strings of one batch, each with a small number.
//!
//! A plugin and the kernels work on these instead of on cells: a batch of a thousand spans has
//! thousands of values and a few hundred distinct ones. Hashing is keyed with a number that a
//! sender cannot know, so that nobody can make the table slow on purpose.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::bindings::petrel::plugin::types::Blob;
use crate::registry::code;
use crate::scan::same;

/// Slots that a table begins with at most.
const MOST_EXPECTED: usize = 1 << 16;

/// Strings back to back, found by content.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// Where each begins; one more than there are strings.
    starts: Vec<u32>,
    bytes: Vec<u8>,
    /// Open addressing: code + 1 and the upper half of the hash, 0 = free.
    slots: Vec<(u32, u32)>,
    /// How many strings the table knows; others were appended.
    interned: usize,
    seed: u64,
}

impl Dictionary {
    /// `seed` must not be known to senders. `bytes`: how large the batch is; `strings`: how many are
    /// expected, which costs time if it is too low and cache if it is too high.
    pub(crate) fn new(seed: u64, bytes: usize, strings: usize) -> Self {
        let slots = (strings * 3 / 2 + 1).next_power_of_two();
        let slots = slots.clamp(64, MOST_EXPECTED);
        Self {
            starts: vec![0],
            bytes: Vec::with_capacity(bytes / 4),
            slots: vec![(0, 0); slots],
            interned: 0,
            seed,
        }
    }

    /// How many strings there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// How many of them the table knows.
    pub(crate) fn interned(&self) -> usize {
        self.interned
    }

    /// All strings, back to back.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of all strings together.
    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The string with this code.
    #[inline]
    pub(crate) fn get(&self, code: u32) -> Option<&[u8]> {
        let index = code as usize;
        let start = *self.starts.get(index)? as usize;
        let end = *self.starts.get(index.checked_add(1)?)? as usize;
        self.bytes.get(start..end)
    }

    /// Whether the string with this code is `value`.
    #[inline]
    pub(crate) fn is(&self, code: u32, value: &[u8]) -> bool {
        self.get(code).is_some_and(|held| same(held, value))
    }

    /// The code of `value`, new if need be. The caller keeps the total below 4 GiB (a batch is).
    #[inline]
    pub(crate) fn intern(&mut self, value: &[u8]) -> u32 {
        let hash = xxh3_64_with_seed(value, self.seed);
        let (tag, mut at) = halves(hash);
        let mask = self.slots.len() - 1;
        loop {
            at &= mask;
            match self.slots[at] {
                (0, _) => break,
                (next, held) if held == tag && self.is(next - 1, value) => {
                    return next - 1;
                }
                _ => at += 1,
            }
        }
        let code = self.append(value);
        self.slots[at] = (code + 1, tag);
        self.interned += 1;
        if self.interned * 3 > self.slots.len() * 2 {
            self.grow();
        }
        code
    }

    /// Adds a string without looking whether it is there; `intern` will not find it.
    pub(crate) fn append(&mut self, value: &[u8]) -> u32 {
        let code = u32::try_from(self.len()).unwrap_or(code::NULL);
        self.bytes.extend_from_slice(value);
        self.starts
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        code
    }

    /// Forgets what was appended since there were `len` strings.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.starts.truncate(len + 1);
        let end = self.starts.last().map_or(0, |end| *end as usize);
        self.bytes.truncate(end);
    }

    /// The strings as the contract has them.
    pub(crate) fn to_blob(&self) -> Blob {
        Blob {
            ends: self.starts.get(1..).unwrap_or_default().to_vec(),
            bytes: self.bytes.clone(),
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mask = self.slots.len() * 4 - 1;
        let mut slots = vec![(0, 0); mask + 1];
        for (next, _) in self.slots.iter().filter(|(next, _)| *next != 0) {
            let value = self.get(next - 1).unwrap_or_default();
            let (tag, mut at) = halves(xxh3_64_with_seed(value, self.seed));
            at &= mask;
            while slots[at].0 != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = (*next, tag);
        }
        self.slots = slots;
    }
}

/// A tag, and where the search begins.
fn halves(hash: u64) -> (u32, usize) {
    #[expect(clippy::cast_possible_truncation, reason = "two halves of a hash")]
    ((hash >> 32) as u32, hash as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_a_code_and_others_do_not() {
        let mut dictionary = Dictionary::new(7, 0, 0);
        let codes: Vec<_> = (0..10_000)
            .map(|n| dictionary.intern(format!("value {}", n % 1_000).as_bytes()))
            .collect();
        assert_eq!(dictionary.len(), 1_000);
        for (n, code) in codes.into_iter().enumerate() {
            let want = format!("value {}", n % 1_000);
            assert_eq!(dictionary.get(code), Some(want.as_bytes()));
        }
        assert_eq!(dictionary.get(1_000), None);
        assert_eq!(dictionary.get(code::NULL), None);
    }

    #[test]
    fn what_was_appended_can_be_forgotten() {
        let mut dictionary = Dictionary::new(7, 0, 0);
        let first = dictionary.intern(b"first");
        dictionary.append(b"second");
        dictionary.truncate(1);
        assert_eq!((dictionary.len(), dictionary.bytes_len()), (1, 5));
        assert_eq!(dictionary.intern(b"first"), first);
        assert_eq!(dictionary.intern(b"third"), 1);
    }
}
