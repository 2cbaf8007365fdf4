//! Where in time a row belongs, whatever the sender's clock says.
//!
//! A partition is a day. A host whose clock stands at 1970 or runs years ahead would scatter rows
//! over partitions that nobody looks into and that no retention meets, so a time that cannot be
//! is replaced by the time of arrival; what the sender said is kept beside it.

use std::collections::BTreeSet;

use super::columns::{Nanos, Seconds};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400;
const BUCKET: u64 = 300;
/// 1980-01-01: what a clock without a battery shows is before it.
const EARLIEST: u64 = 315_532_800 * SECOND;
/// 2100-01-01: beyond it our own clock is no measure either.
const LATEST: u64 = 4_102_444_800 * SECOND;
/// Hosts may be ahead of us by this much.
const AHEAD: u64 = DAY * SECOND;
/// Days of one cut. One insert each: a batch that spreads over more is a broken clock, or wants
/// to make us work.
const MOST_DAYS: usize = 64;

/// A moment that a row can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn nanos(self) -> Nanos {
        nanos(self.0)
    }

    pub(super) fn seconds(self) -> Seconds {
        Seconds(u32::try_from(self.0 / SECOND).expect("moments end with the year 2100"))
    }

    /// The start of its five minutes.
    pub(super) fn bucket(self) -> Seconds {
        let seconds = self.0 / SECOND;
        Seconds(u32::try_from(seconds - seconds % BUCKET).expect("moments end with the year 2100"))
    }

    /// Days since the epoch.
    pub(super) fn day(self) -> u16 {
        u16::try_from(self.0 / SECOND / DAY).expect("moments end with the year 2100")
    }

    pub(super) fn as_u64(self) -> u64 {
        self.0
    }
}

/// Any time of a sender, as far as the column reaches (the year 2262).
pub(super) fn nanos(time: u64) -> Nanos {
    Nanos(i64::try_from(time).unwrap_or(i64::MAX))
}

/// Decides for all rows of one cut.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    days: BTreeSet<u64>,
}

impl Calendar {
    /// When our journal took something.
    pub(super) fn accepted(time: u64) -> Moment {
        Moment(time.clamp(EARLIEST, LATEST))
    }

    /// The moment of a row that claims `time` (0 if it claims none), and the claim if it was not
    /// believed.
    pub(super) fn place(&mut self, time: u64, accepted: Moment) -> (Moment, Option<u64>) {
        if time == 0 {
            return (self.at(accepted), None);
        }
        if !(EARLIEST..=(accepted.0 + AHEAD).min(LATEST)).contains(&time) {
            return (self.at(accepted), Some(time));
        }
        let day = time / SECOND / DAY;
        if self.days.len() >= MOST_DAYS && !self.days.contains(&day) {
            return (self.at(accepted), Some(time));
        }
        self.days.insert(day);
        (Moment(time), None)
    }

    fn at(&mut self, accepted: Moment) -> Moment {
        self.days.insert(accepted.0 / SECOND / DAY);
        accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000 * SECOND;

    fn place(time: u64) -> (Moment, Option<u64>) {
        Calendar::default().place(time, Calendar::accepted(NOW))
    }

    #[test]
    fn a_time_that_can_be_is_kept_to_the_nanosecond() {
        for time in [NOW, NOW - 400 * AHEAD + 1, NOW + AHEAD] {
            assert_eq!(place(time), (Moment(time), None));
        }
    }

    #[test]
    fn a_time_that_cannot_be_gives_way_to_the_arrival_and_is_remembered() {
        for time in [1, SECOND, EARLIEST - 1, NOW + AHEAD + 1, u64::MAX] {
            assert_eq!(place(time), (Moment(NOW), Some(time)));
        }
        assert_eq!(place(0), (Moment(NOW), None));
    }

    #[test]
    fn rows_of_one_cut_cannot_be_scattered_over_endless_days() {
        let mut calendar = Calendar::default();
        let accepted = Calendar::accepted(NOW);
        let mut believed = 0;
        for day in 0..1000 {
            believed += u64::from(calendar.place(NOW - day * AHEAD, accepted).1.is_none());
        }
        assert_eq!(believed, MOST_DAYS as u64);
    }

    #[test]
    fn a_broken_clock_of_our_own_still_makes_moments() {
        for ours in [0, u64::MAX] {
            let (moment, _) = Calendar::default().place(NOW, Calendar::accepted(ours));
            assert!(moment.day() > 0 && moment.bucket() <= moment.seconds());
        }
    }

    impl PartialOrd for Seconds {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.0.cmp(&other.0))
        }
    }
}
