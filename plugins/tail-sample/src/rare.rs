//! What is seen no more than a few times in a while.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

/// Distinct values that are counted in one while; of more, none is rare.
const MOST_VALUES: usize = 20_000;

/// Counts values, and forgets them all after a while.
#[derive(Debug)]
pub(crate) struct Rare {
    at_most: u32,
    while_ns: u64,
    since_ns: u64,
    /// By hash of the value.
    counts: HashMap<u64, u32>,
}

impl Rare {
    pub(crate) fn new(at_most: u32, while_ns: u64) -> Self {
        Self {
            at_most,
            while_ns,
            since_ns: 0,
            counts: HashMap::new(),
        }
    }

    /// Counts the value, and says whether it has not been seen too often yet.
    pub(crate) fn is_rare(&mut self, value: &[u8], now_ns: u64) -> bool {
        if now_ns.abs_diff(self.since_ns) >= self.while_ns {
            self.since_ns = now_ns;
            self.counts.clear();
        }
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(value);
        let is_full = self.counts.len() >= MOST_VALUES;
        match self.counts.get_mut(&hash) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count <= self.at_most
            }
            None if is_full => false,
            None => {
                self.counts.insert(hash, 1);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_rare_a_few_times_in_each_while() {
        let mut rare = Rare::new(2, 60);
        let seen: Vec<_> = [100, 101, 102, 159, 160, 161, 162]
            .into_iter()
            .map(|now| rare.is_rare(b"GET /rare", now))
            .collect();
        assert_eq!(seen, [true, true, false, false, true, true, false]);
        assert!(rare.is_rare(b"GET /other", 163));
    }

    #[test]
    fn of_too_many_values_none_is_rare() {
        let mut rare = Rare::new(1, 60);
        for number in 0..MOST_VALUES {
            assert!(rare.is_rare(&number.to_le_bytes(), 100));
        }
        assert!(!rare.is_rare(b"one more", 100));
    }
}
