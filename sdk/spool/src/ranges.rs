//! [`Ranges`]: a set of sequence numbers that arrive nearly in order.
//!
//! Settled entries of a segment and numbers seen from a sender are both almost contiguous: one
//! range and a few holes, whatever their count. A bitmap would need a window, and a window must
//! forget what lies before it; a sender with a backlog of weeks that sends fresh data first would
//! then be told that its backlog has arrived.

/// Disjoint, ascending, not touching; ends are inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(crate) fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && self.0[after - 1].1 >= number
    }

    /// Adds one number; false if it was there.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        if after > 0 && self.0[after - 1].1 >= number {
            return false;
        }
        let joins_left = after > 0 && self.0[after - 1].1 + 1 == number;
        let joins_right = after < self.0.len() && number + 1 == self.0[after].0;
        match (joins_left, joins_right) {
            (true, true) => {
                self.0[after - 1].1 = self.0[after].1;
                self.0.remove(after);
            }
            (true, false) => self.0[after - 1].1 = number,
            (false, true) => self.0[after].0 = number,
            (false, false) => self.0.insert(after, (number, number)),
        }
        true
    }

    /// The smallest number.
    pub(crate) fn first(&self) -> Option<u64> {
        self.0.first().map(|(first, _)| *first)
    }

    /// Takes one number out.
    pub(crate) fn remove(&mut self, number: u64) {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        let Some(at) = after.checked_sub(1).filter(|at| self.0[*at].1 >= number) else {
            return;
        };
        let (first, last) = self.0.remove(at);
        if number < last {
            self.0.insert(at, (number + 1, last));
        }
        if first < number {
            self.0.insert(at, (first, number - 1));
        }
    }

    /// The smallest number from `from` on that is not in the set.
    pub(crate) fn first_gap(&self, from: u64) -> u64 {
        let after = self.0.partition_point(|(first, _)| *first <= from);
        if after > 0 && self.0[after - 1].1 >= from {
            self.0[after - 1].1 + 1
        } else {
            from
        }
    }

    /// How many numbers are in it.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// How many ranges hold them.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&(self.0.len() as u64).to_le_bytes());
        for (first, last) in &self.0 {
            to.extend_from_slice(&first.to_le_bytes());
            to.extend_from_slice(&last.to_le_bytes());
        }
    }

    pub(crate) fn read(from: &mut crate::layout::Reader<'_>) -> Option<Self> {
        let len = usize::try_from(from.u64()?).ok()?;
        if len > from.left() / 16 {
            return None;
        }
        let mut ranges = Vec::with_capacity(len);
        let mut floor = None;
        for _ in 0..len {
            let (first, last) = (from.u64()?, from.u64()?);
            if last < first || floor.is_some_and(|floor| first <= floor) {
                return None;
            }
            floor = Some(last);
            ranges.push((first, last));
        }
        Some(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_a_set(numbers in proptest::collection::vec(1u64..200, 0..300)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(ranges.insert(number), set.insert(number));
            }
            for number in (0..210).step_by(3) {
                ranges.remove(number);
                set.remove(&number);
            }
            prop_assert_eq!(ranges.count(), set.len() as u64);
            prop_assert_eq!(ranges.first(), set.first().copied());
            for number in 0..210 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
                let gap = (number..500).find(|n| !set.contains(n)).unwrap_or(0);
                prop_assert_eq!(ranges.first_gap(number), gap);
            }
            let mut bytes = Vec::new();
            ranges.write(&mut bytes);
            let read = Ranges::read(&mut crate::layout::Reader::new(&bytes));
            prop_assert_eq!(read, Some(ranges));
        }
    }

    #[test]
    fn numbers_in_order_take_one_range() {
        let mut ranges = Ranges::default();
        for number in (1..1000).step_by(2).chain((2..1000).step_by(2)) {
            ranges.insert(number);
        }
        assert_eq!((ranges.len(), ranges.count()), (1, 999));
    }
}
