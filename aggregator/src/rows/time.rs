//! Where in time a row belongs, whatever the sender's clock says.
//!
//! A partition is a day, and an insert goes to one partition. A host whose clock stands at 1970 or
//! runs years ahead would scatter rows over partitions that nobody looks into, and make as many
//! inserts of one batch. So a time that cannot be is replaced by the time of arrival; what the
//! sender said is kept beside it, and how often that happens is counted.

use std::collections::{BTreeMap, BTreeSet};

use petrel_wire::Signal;

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
/// An agent may have been offline for this long, or somebody fills in the year before. It bounds
/// the partitions that one sender can make.
const BEHIND: u64 = 400 * DAY * SECOND;
/// Times this close to the arrival are believed whatever else a project sends.
const CLOSE: u64 = 2 * DAY * SECOND;
/// Days of one project in one cut. One insert each: a project that spreads over more has a broken
/// clock, or wants to make us work.
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

    /// The start of its minute, in seconds.
    pub(super) fn minute(self) -> u32 {
        let seconds = self.seconds().0;
        seconds - seconds % 60
    }

    /// The start of its hour, in seconds.
    pub(super) fn hour(self) -> u32 {
        let seconds = self.seconds().0;
        seconds - seconds % 3600
    }

    /// How many of those there were since midnight.
    pub(super) fn bucket_of_day(self) -> u16 {
        u16::try_from(self.0 / SECOND % DAY / BUCKET).expect("a day has 288 of them")
    }

    /// Nanoseconds since the start of its five minutes.
    pub(super) fn in_bucket(self) -> u64 {
        self.0 % (BUCKET * SECOND)
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

/// Why a time was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Displaced {
    /// Longer ago than anything may be.
    Past,
    /// Ahead of us.
    Future,
    /// Possible in itself, one of too many days.
    Scattered,
}

impl Displaced {
    /// One word, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Future => "future",
            Self::Scattered => "scattered",
        }
    }
}

/// How many items were given the time of their arrival, by project, signal and reason.
pub type Displacements = BTreeMap<(u32, Signal, Displaced), u64>;

/// Decides for all rows of one cut.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// Days by project.
    days: BTreeMap<u32, BTreeSet<u64>>,
    /// The last that was looked up: rows come in runs.
    last: Option<(u32, u64)>,
    displaced: Displacements,
}

impl Calendar {
    /// When our journal took something.
    pub(super) fn accepted(time: u64) -> Moment {
        Moment(time.clamp(EARLIEST, LATEST))
    }

    /// The moment of a project's row that claims `time` (0 if it claims none), and the claim if it
    /// was not believed.
    pub(super) fn place(
        &mut self,
        (project, signal): (u32, Signal),
        time: u64,
        accepted: Moment,
    ) -> (Moment, Option<u64>) {
        if time == 0 {
            return (accepted, None);
        }
        match self.doubt(project, time, accepted) {
            None => (Moment(time), None),
            Some(why) => {
                *self.displaced.entry((project, signal, why)).or_default() += 1;
                (accepted, Some(time))
            }
        }
    }

    /// What was not believed.
    pub(super) fn displacements(self) -> Displacements {
        self.displaced
    }

    fn doubt(&mut self, project: u32, time: u64, accepted: Moment) -> Option<Displaced> {
        if time > (accepted.0 + AHEAD).min(LATEST) {
            return Some(Displaced::Future);
        }
        if time < accepted.0.saturating_sub(BEHIND).max(EARLIEST) {
            return Some(Displaced::Past);
        }
        let day = time / SECOND / DAY;
        if self.last == Some((project, day)) || time >= accepted.0.saturating_sub(CLOSE) {
            return None;
        }
        let days = self.days.entry(project).or_default();
        if days.len() >= MOST_DAYS && !days.contains(&day) {
            return Some(Displaced::Scattered);
        }
        days.insert(day);
        self.last = Some((project, day));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000 * SECOND;
    const WHOSE: (u32, Signal) = (7, Signal::Logs);

    fn place(time: u64) -> (Moment, Option<u64>) {
        Calendar::default().place(WHOSE, time, Calendar::accepted(NOW))
    }

    #[test]
    fn a_time_that_can_be_is_kept_to_the_nanosecond() {
        for time in [NOW, NOW - BEHIND, NOW + AHEAD] {
            assert_eq!(place(time), (Moment(time), None));
        }
    }

    #[test]
    fn a_time_that_cannot_be_gives_way_to_the_arrival_and_is_remembered() {
        for time in [1, SECOND, NOW - BEHIND - 1, NOW + AHEAD + 1, u64::MAX] {
            assert_eq!(place(time), (Moment(NOW), Some(time)));
        }
        assert_eq!(place(0), (Moment(NOW), None));
    }

    #[test]
    fn rows_of_one_project_cannot_be_scattered_over_endless_days() {
        let mut calendar = Calendar::default();
        let accepted = Calendar::accepted(NOW);
        let mut believed = 0;
        for day in 3..1000 {
            let time = NOW - day * DAY * SECOND;
            believed += u64::from(calendar.place(WHOSE, time, accepted).1.is_none());
        }
        assert_eq!(believed, MOST_DAYS as u64);
        assert_eq!(
            calendar.displacements(),
            Displacements::from([
                ((7, Signal::Logs, Displaced::Scattered), 398 - believed),
                ((7, Signal::Logs, Displaced::Past), 599),
            ])
        );
    }

    #[test]
    fn a_project_with_a_broken_clock_costs_no_other_project_its_times_nor_itself_those_of_today() {
        let mut calendar = Calendar::default();
        let accepted = Calendar::accepted(NOW);
        for day in 3..100 {
            calendar.place(WHOSE, NOW - day * DAY * SECOND, accepted);
        }
        let another = (8, Signal::Logs);
        let month = NOW - 30 * DAY * SECOND;
        assert_eq!(
            calendar.place(another, month, accepted),
            (Moment(month), None)
        );
        let yesterday = NOW - DAY * SECOND;
        assert_eq!(
            calendar.place(WHOSE, yesterday, accepted),
            (Moment(yesterday), None)
        );
    }

    #[test]
    fn a_broken_clock_of_our_own_still_makes_moments() {
        for ours in [0, u64::MAX] {
            let (moment, _) = Calendar::default().place(WHOSE, NOW, Calendar::accepted(ours));
            assert!(moment.day() > 0 && moment.bucket() <= moment.seconds());
        }
    }

    impl PartialOrd for Seconds {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.0.cmp(&other.0))
        }
    }
}
