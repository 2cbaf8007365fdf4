//! [`Blame`]: whether it is the batch that fails, or the peer.
//!
//! Only a batch that keeps failing while others pass is poison. A failure between two outages of
//! the peer says nothing about the batch, however often that happens.

use super::About;

/// Deliveries and requests of the whole stage, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Batches acknowledged.
    pub(super) delivered: u64,
    /// Requests sent.
    pub(super) tries: u64,
}

/// What speaks against one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blame {
    /// At the last failure, or when the batch was taken up.
    seen: Tally,
    /// Something was delivered since the batch failed for the first time.
    others_passed: bool,
    failures: u32,
    alone: u32,
}

impl Blame {
    /// A batch that is taken up; `before` is how often it failed until then.
    pub(super) fn new(now: Tally, before: u32) -> Self {
        Self {
            seen: now,
            others_passed: false,
            failures: before,
            alone: 0,
        }
    }

    /// Books a failure. It counts against the batch if another passed since the last one; also if
    /// nobody else tried meanwhile and the answer was about this batch. It doesn't if others tried
    /// and failed as well, nor while the batch is in other hands, nor if nobody was reached, or none of
    /// its signal is taken.
    pub(super) fn failed(&mut self, now: Tally, about: About) {
        if matches!(about, About::Way | About::Signal) {
            return;
        }
        let passed = now.delivered > self.seen.delivered;
        let nobody_else = now.tries <= self.seen.tries + 1 && about == About::Batch;
        self.others_passed |= passed;
        if (passed || nobody_else) && about != About::Hands {
            self.alone += 1;
        }
        self.failures = self.failures.saturating_add(1);
        self.seen = now;
    }

    /// Failures in all.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// It failed `most` times that count, and others passed meanwhile.
    pub(super) fn is_poison(&self, most: u32) -> bool {
        self.others_passed && self.alone >= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(delivered: u64, tries: u64) -> Tally {
        Tally { delivered, tries }
    }

    #[test]
    fn a_batch_that_fails_between_the_successes_of_others_is_poison() {
        let mut blame = Blame::new(tally(0, 0), 0);
        for n in 1..=20 {
            assert!(!blame.is_poison(20));
            blame.failed(tally(n, 2 * n), About::Peer);
        }
        assert!(blame.is_poison(20));
    }

    #[test]
    fn a_batch_in_other_hands_is_not_poison_however_long_they_hold_it() {
        let mut blame = Blame::new(tally(0, 0), 0);
        for n in 1..=1000 {
            blame.failed(tally(n, 2 * n), About::Hands);
        }
        assert!(!blame.is_poison(20));
    }

    #[test]
    fn an_outage_is_nobodys_fault_however_long() {
        let mut blame = Blame::new(tally(0, 0), 0);
        for n in 1..=1000 {
            blame.failed(tally(0, 2 * n), About::Batch);
        }
        blame.failed(tally(1, 2002), About::Batch);
        assert!(!blame.is_poison(20));
        assert_eq!(blame.failures(), 1001);
    }

    #[test]
    fn a_link_that_comes_and_goes_is_not_the_fault_of_a_batch() {
        let mut blame = Blame::new(tally(0, 0), 0);
        for n in 1..=1000 {
            blame.failed(tally(n, 2 * n), About::Way);
        }
        assert!(!blame.is_poison(20));
    }

    #[test]
    fn without_anybody_else_to_compare_the_last_success_of_another_counts() {
        let mut blame = Blame::new(tally(5, 5), 0);
        blame.failed(tally(5, 6), About::Batch);
        blame.failed(tally(6, 8), About::Batch);
        for n in 1..=17 {
            blame.failed(tally(6, 8 + n), About::Batch);
        }
        assert!(!blame.is_poison(20));
        blame.failed(tally(6, 26), About::Batch);
        assert!(blame.is_poison(20));
    }

    #[test]
    fn a_silent_peer_is_not_the_fault_of_the_only_batch_there_is() {
        let mut blame = Blame::new(tally(0, 0), 0);
        blame.failed(tally(0, 1), About::Peer);
        blame.failed(tally(1, 3), About::Peer);
        for n in 1..=1000 {
            blame.failed(tally(1, 3 + n), About::Peer);
        }
        assert!(!blame.is_poison(20));
    }
}
