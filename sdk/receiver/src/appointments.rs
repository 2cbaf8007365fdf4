//! [`Appointments`]: when a refused sender should come again.
//!
//! Whoever is refused comes back, and each time costs both sides a request. Refused senders of a
//! tenant are therefore spread over the time in which its requests have lately been taken, with some
//! more invited than there is room for, so that nobody who stays away leaves a gap. A tenant of
//! which few are refused is back within a second, whatever its neighbours do.

use std::time::Duration;

use tokio::time::Instant;

/// How long requests are counted together.
const WINDOW: Duration = Duration::from_secs(1);
/// So many are invited for each place.
const INVITED: u32 = 2;
/// The nearest appointment: `Retry-After` knows whole seconds.
const LEAST: Duration = Duration::from_secs(1);
/// The farthest one. Whoever cannot be taken by then is asked to come back and be refused again.
const MOST: Duration = Duration::from_secs(30);

/// Those of one tenant.
#[derive(Debug)]
pub(crate) struct Appointments {
    /// When counting began.
    since: Instant,
    /// Taken since then.
    taken: u32,
    /// Taken in the window before.
    before: u32,
    /// The last one given.
    last: Instant,
}

impl Appointments {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            taken: 0,
            before: 0,
            last: now,
        }
    }

    /// A request was taken.
    pub(crate) fn take(&mut self, now: Instant) {
        self.turn_over(now);
        self.taken = self.taken.saturating_add(1);
    }

    /// A request was not: how long its sender should wait.
    pub(crate) fn refuse(&mut self, now: Instant) -> Duration {
        self.turn_over(now);
        let per_window = self.taken.max(self.before).max(1);
        let step = WINDOW / per_window.saturating_mul(INVITED);
        // Beyond the farthest the round begins again, in front of those who were told to wait.
        if self.last < now || self.last + step > now + MOST {
            self.last = now;
        }
        self.last += step;
        LEAST.max(self.last - now)
    }

    fn turn_over(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed >= WINDOW {
            self.before = if passed < 2 * WINDOW { self.taken } else { 0 };
            self.taken = 0;
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_seconds(waits: &[Duration]) -> Vec<u64> {
        waits
            .iter()
            .map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
            .collect()
    }

    /// Takes so many requests and refuses so many in one moment.
    fn crowd(taken: usize, refused: usize) -> Vec<Duration> {
        let now = Instant::now();
        let mut appointments = Appointments::new(now);
        for _ in 0..taken {
            appointments.take(now);
        }
        (0..refused).map(|_| appointments.refuse(now)).collect()
    }

    #[test]
    fn a_few_refused_among_many_are_back_in_a_second() {
        assert_eq!(whole_seconds(&crowd(100, 50)), vec![1; 50]);
    }

    #[test]
    fn a_crowd_is_spread_over_the_time_that_it_takes_to_serve_half_of_it() {
        let waits = crowd(100, 2000);
        let seconds = whole_seconds(&waits);
        assert!(waits.is_sorted());
        assert_eq!(seconds.last(), Some(&10));
        for second in 2..=10 {
            let invited = seconds.iter().filter(|s| **s == second).count();
            assert!(
                (190..=210).contains(&invited),
                "{invited} in second {second}"
            );
        }
    }

    #[test]
    fn nobody_waits_for_more_than_half_a_minute_and_the_rest_are_spread_as_well() {
        let waits = crowd(1, 200);
        assert!(waits.iter().all(|wait| *wait <= MOST));
        let latest = waits
            .iter()
            .filter(|wait| **wait > MOST.saturating_sub(WINDOW))
            .count();
        assert!((1..=10).contains(&latest), "{latest}");
    }

    #[test]
    fn what_was_taken_a_while_ago_says_nothing_any_more() {
        let now = Instant::now();
        let mut appointments = Appointments::new(now);
        for _ in 0..1000 {
            appointments.take(now);
        }
        let soon = now + WINDOW;
        assert_eq!(whole_seconds(&[appointments.refuse(soon)]), [1]);
        let later = soon + 2 * WINDOW;
        let waits: Vec<_> = (0..10).map(|_| appointments.refuse(later)).collect();
        assert_eq!(whole_seconds(&waits).last(), Some(&5));
    }
}
