//! The distinct strings of one batch, each with a small number.
//!
//! A plugin and the kernels work on these instead of on cells: a batch of a thousand spans has
//! thousands of values and a few hundred distinct ones. Hashing is keyed with a number that a
//! sender cannot know, so that nobody can make the table slow on purpose.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::bindings::petrel::plugin::types::Blob;
use crate::registry::{code, kind};

/// Strings back to back, found by content.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    ends: Vec<u32>,
    bytes: Vec<u8>,
    /// Which kinds of values each string is of (bit n = kind n).
    kinds: Vec<u32>,
    /// Open addressing: code + 1 and the upper half of the hash, 0 = free.
    slots: Vec<(u32, u32)>,
    seed: u64,
}

impl Dictionary {
    /// `seed` must not be known to senders.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            slots: vec![(0, 0); 64],
            seed,
            ..Self::default()
        }
    }

    /// How many strings there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all strings together.
    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The string with this code.
    pub(crate) fn get(&self, code: u32) -> Option<&[u8]> {
        let index = code as usize;
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]) as usize;
        self.bytes.get(start..end)
    }

    /// Whether the string is a value of one of these kinds (bit n = kind n) in this batch.
    pub(crate) fn is_of(&self, code: u32, kinds: u32) -> bool {
        self.kinds
            .get(code as usize)
            .is_some_and(|mine| mine & kinds != 0)
    }

    /// The code of `value`, new if need be. The caller keeps the total below 4 GiB (a batch is).
    pub(crate) fn intern(&mut self, value: &[u8], of: u8) -> u32 {
        let hash = xxh3_64_with_seed(value, self.seed);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a tag and a start of the search"
        )]
        let (tag, mut at) = ((hash >> 32) as u32, hash as usize);
        let mask = self.slots.len() - 1;
        loop {
            at &= mask;
            match self.slots[at] {
                (0, _) => break,
                (next, held) if held == tag && self.get(next - 1) == Some(value) => {
                    self.kinds[next as usize - 1] |= 1 << of;
                    return next - 1;
                }
                _ => at += 1,
            }
        }
        let code = self.append(value, of);
        self.slots[at] = (code + 1, tag);
        if self.ends.len() * 2 > self.slots.len() {
            self.grow();
        }
        code
    }

    /// Adds a string without looking whether it is there.
    pub(crate) fn append(&mut self, value: &[u8], of: u8) -> u32 {
        let code = u32::try_from(self.ends.len()).unwrap_or(code::NULL);
        self.bytes.extend_from_slice(value);
        self.ends
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.kinds.push(if of == kind::NULL { 0 } else { 1 << of });
        code
    }

    /// The strings as the contract has them.
    pub(crate) fn to_blob(&self) -> Blob {
        Blob {
            ends: self.ends.clone(),
            bytes: self.bytes.clone(),
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mask = self.slots.len() * 4 - 1;
        let mut slots = vec![(0, 0); mask + 1];
        for code in 0..self.ends.len() {
            let code = u32::try_from(code).unwrap_or(code::NULL);
            let value = self.get(code).unwrap_or_default();
            let hash = xxh3_64_with_seed(value, self.seed);
            #[expect(clippy::cast_possible_truncation, reason = "as in `intern`")]
            let (tag, mut at) = ((hash >> 32) as u32, hash as usize);
            at &= mask;
            while slots[at].0 != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = (code + 1, tag);
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_a_code_and_others_do_not() {
        let mut dictionary = Dictionary::new(7);
        let codes: Vec<_> = (0..10_000)
            .map(|n| dictionary.intern(format!("value {}", n % 1_000).as_bytes(), kind::STRING))
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
    fn a_string_remembers_what_it_is_a_value_of() {
        let mut dictionary = Dictionary::new(7);
        let code = dictionary.intern(b"[1]", kind::STRING);
        assert!(!dictionary.is_of(code, 1 << kind::JSON));
        assert_eq!(dictionary.intern(b"[1]", kind::JSON), code);
        assert!(dictionary.is_of(code, 1 << kind::JSON));
        assert!(!dictionary.is_of(99, u32::MAX));
    }
}
