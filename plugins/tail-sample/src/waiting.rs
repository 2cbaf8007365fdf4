//! Traces that wait, in the order in which their first spans came.

use std::collections::{HashMap, VecDeque};

/// Trace id, time of the first span, randomness.
const ROW_BYTES: usize = 32;

/// What is known of them: when each came, and its randomness.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    traces: HashMap<[u8; 16], Trace>,
    /// Traces that do not wait any more are passed over.
    order: VecDeque<([u8; 16], u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Trace {
    first_ns: u64,
    randomness: u64,
}

impl Waiting {
    pub(crate) fn contains(&self, trace: &[u8; 16]) -> bool {
        self.traces.contains_key(trace)
    }

    pub(crate) fn add(&mut self, trace: [u8; 16], first_ns: u64, randomness: u64) {
        let added = Trace {
            first_ns,
            randomness,
        };
        if self.traces.insert(trace, added).is_none() {
            self.order.push_back((trace, first_ns));
        }
    }

    pub(crate) fn remove(&mut self, trace: &[u8; 16]) {
        self.traces.remove(trace);
        // What is passed over must not pile up.
        if self.order.len() > 2 * self.traces.len() + 64 {
            let traces = &self.traces;
            self.order
                .retain(|(trace, first)| is_it(traces, trace, *first));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.traces.len()
    }

    /// When the first one came.
    pub(crate) fn first_ns(&mut self) -> Option<u64> {
        while let Some((trace, first)) = self.order.front() {
            if is_it(&self.traces, trace, *first) {
                return Some(*first);
            }
            self.order.pop_front();
        }
        None
    }

    /// The first one and its randomness.
    pub(crate) fn take_first(&mut self) -> Option<([u8; 16], u64)> {
        self.first_ns()?;
        let (trace, _) = self.order.pop_front()?;
        let taken = self.traces.remove(&trace)?;
        Some((trace, taken.randomness))
    }

    /// Nothing if it does not fit: then the host shows what it holds again.
    pub(crate) fn save(&self, most_bytes: u64) -> Vec<u8> {
        if (self.traces.len() * ROW_BYTES) as u64 > most_bytes {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(self.traces.len() * ROW_BYTES);
        for (trace, first) in &self.order {
            if let Some(known) = self.traces.get(trace).filter(|one| one.first_ns == *first) {
                out.extend_from_slice(trace);
                out.extend_from_slice(&known.first_ns.to_le_bytes());
                out.extend_from_slice(&known.randomness.to_le_bytes());
            }
        }
        out
    }

    pub(crate) fn restore(state: &[u8]) -> Self {
        let mut waiting = Self::default();
        let (rows, _) = state.as_chunks::<ROW_BYTES>();
        for row in rows {
            let (trace, numbers) = row.split_at(16);
            let (first, randomness) = numbers.split_at(8);
            let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
            if let Ok(trace) = trace.try_into() {
                waiting.add(trace, number(first), number(randomness));
            }
        }
        waiting
    }
}

fn is_it(traces: &HashMap<[u8; 16], Trace>, trace: &[u8; 16], first_ns: u64) -> bool {
    traces
        .get(trace)
        .is_some_and(|one| one.first_ns == first_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_still_waits_comes_first_also_after_a_restore() {
        let mut waiting = Waiting::default();
        for number in 1..=4 {
            waiting.add([number; 16], u64::from(number), 100 + u64::from(number));
        }
        waiting.remove(&[1; 16]);
        waiting.remove(&[3; 16]);
        let mut waiting = Waiting::restore(&waiting.save(1_000));
        assert_eq!(waiting.first_ns(), Some(2));
        assert_eq!(waiting.take_first(), Some(([2; 16], 102)));
        assert_eq!(waiting.take_first(), Some(([4; 16], 104)));
        assert_eq!(waiting.take_first(), None);
    }

    #[test]
    fn what_does_not_fit_is_not_saved_in_part() {
        let mut waiting = Waiting::default();
        waiting.add([1; 16], 1, 1);
        waiting.add([2; 16], 2, 2);
        assert!(waiting.save(63).is_empty());
        assert_eq!(waiting.save(64).len(), 64);
    }

    #[test]
    fn many_that_were_decided_leave_nothing_behind() {
        let mut waiting = Waiting::default();
        for number in 0..10_000_u64 {
            let trace = u128::from(number).to_le_bytes();
            waiting.add(trace, number, 0);
            waiting.remove(&trace);
        }
        assert_eq!(waiting.len(), 0);
        assert!(waiting.order.len() <= 65);
    }
}
