//! Stops calling a plugin that keeps failing, and tries it again after a while.
//!
//! A plugin that fails costs its time and a new instance for each batch, and a closed one makes
//! senders send it all again. After some failures in a row of seconds nobody calls it, its policy
//! decides about the data, and one batch now and then finds out whether it is well again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many failures within so long open it.
const FAILURES: usize = 5;
const WINDOW: Duration = Duration::from_secs(30);
/// How long it stays open: at first, and at most, doubling from trip to trip.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A trip after so long without one is the first again.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// Counts a plugin's failures. Times are those of a monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Held for moments.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: VecDeque<Duration>,
    open: Option<Open>,
    last_trip: Option<Duration>,
    wait: Duration,
    trips: u64,
}

#[derive(Clone, Debug)]
struct Open {
    next_try: Duration,
    because: String,
}

/// Why a plugin is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Off {
    /// Until somebody tries again.
    pub(crate) retry_in: Duration,
    pub(crate) because: String,
}

impl Breaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the plugin may be called now. Of those who ask while it is open, one is let through
    /// each time that the wait is over: should it never report back, the next one comes a wait later.
    pub(crate) fn admit(&self, now: Duration) -> Result<(), Off> {
        let mut state = self.state();
        let wait = state.wait;
        match &mut state.open {
            None => Ok(()),
            Some(open) if open.next_try <= now => {
                open.next_try = now + wait;
                Ok(())
            }
            Some(open) => Err(open.off(now)),
        }
    }

    /// The plugin answered. True if it had been off.
    pub(crate) fn succeeded(&self) -> bool {
        let mut state = self.state();
        let was_open = state.open.take().is_some();
        if was_open {
            state.failures.clear();
        }
        was_open
    }

    /// The plugin failed. How long it is off, if this was the failure that opened it.
    pub(crate) fn failed(&self, now: Duration, because: &str) -> Option<Duration> {
        let mut state = self.state();
        let is_probe = state.open.is_some();
        state.failures.push_back(now);
        while state
            .failures
            .front()
            .is_some_and(|first| *first + WINDOW < now)
        {
            state.failures.pop_front();
        }
        if !is_probe && state.failures.len() < FAILURES {
            return None;
        }
        let is_recent = state.last_trip.is_some_and(|last| now < last + FORGOTTEN);
        state.wait = if is_recent {
            (state.wait * 2).min(LONGEST_WAIT)
        } else {
            FIRST_WAIT
        };
        state.trips += 1;
        state.last_trip = Some(now);
        state.failures.clear();
        state.open = Some(Open {
            next_try: now + state.wait,
            because: because.to_owned(),
        });
        Some(state.wait)
    }

    /// Why it is off, if it is.
    pub(crate) fn off(&self, now: Duration) -> Option<Off> {
        self.state().open.as_ref().map(|open| open.off(now))
    }

    /// How often it opened.
    pub(crate) fn trips(&self) -> u64 {
        self.state().trips
    }
}

impl Open {
    fn off(&self, now: Duration) -> Off {
        Off {
            retry_in: self.next_try.saturating_sub(now),
            because: self.because.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn tripped(now: u64) -> Breaker {
        let breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert_eq!(breaker.failed(at(now), "it trapped"), None);
        }
        assert_eq!(breaker.failed(at(now), "it trapped"), Some(at(10)));
        breaker
    }

    #[test]
    fn failures_now_and_then_are_borne() {
        let breaker = Breaker::default();
        for second in (0..1_000).step_by(8) {
            assert_eq!(breaker.failed(at(second), "it trapped"), None);
            assert!(breaker.admit(at(second)).is_ok());
        }
    }

    #[test]
    fn failures_in_a_row_turn_it_off_and_one_good_call_turns_it_on() {
        let breaker = tripped(100);
        let off = breaker.admit(at(104)).unwrap_err();
        assert_eq!((off.retry_in, off.because.as_str()), (at(6), "it trapped"));
        assert_eq!(breaker.off(at(104)), Some(off));
        assert!(breaker.admit(at(110)).is_ok(), "one tries again");
        assert!(breaker.admit(at(110)).is_err(), "the others wait for it");
        assert!(breaker.succeeded());
        assert!(breaker.admit(at(110)).is_ok());
        assert_eq!((breaker.off(at(110)), breaker.trips()), (None, 1));
    }

    #[test]
    fn each_failed_try_doubles_the_wait_up_to_five_minutes() {
        let breaker = tripped(0);
        let mut now = 10;
        for wait in [20, 40, 80, 160, 300, 300] {
            assert!(breaker.admit(at(now)).is_ok());
            assert_eq!(breaker.failed(at(now), "again"), Some(at(wait)));
            now += wait;
        }
    }

    #[test]
    fn a_try_that_never_ends_does_not_keep_it_off_for_ever() {
        let breaker = tripped(0);
        assert!(breaker.admit(at(10)).is_ok());
        assert!(breaker.admit(at(19)).is_err());
        assert!(breaker.admit(at(20)).is_ok());
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let breaker = tripped(0);
        assert!(breaker.succeeded());
        for _ in 1..FAILURES {
            breaker.failed(at(2_000), "it trapped");
        }
        assert_eq!(breaker.failed(at(2_000), "it trapped"), Some(at(10)));
    }
}
