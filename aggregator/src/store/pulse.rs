//! [`Pulse`]: whether the store gets on, for the service manager and for `/health`.
//!
//! Two questions that have different answers. *Does the loop turn?* Every step has a bound; one
//! that is over it will not end by itself, and a restart is the cure. *Is anything stored?* A
//! ClickHouse that is away stops everything while the loop turns as it should; a restart would
//! cure nothing, somebody has to know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use petrel_wire::Clock;

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Pulse {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// When each running step must be over.
    steps: BTreeMap<u64, Duration>,
    /// Pieces of work that something waits for.
    owed: usize,
    /// When something was last stored, or there was last nothing to store.
    progress: Duration,
}

/// A step that is being made; over when it is dropped.
#[derive(Debug)]
pub(super) struct Step {
    pulse: Pulse,
    number: u64,
}

/// Something that has to be stored; done, or given up, when it is dropped.
#[derive(Debug)]
pub(super) struct Owed(Pulse);

impl Pulse {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Arc::default(),
        }
    }

    /// Begins a step that ends within `most`, however it ends.
    pub(super) fn step(&self, most: Duration) -> Step {
        let end = self.clock.monotonic() + most;
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        state.steps.insert(number, end);
        Step {
            pulse: self.clone(),
            number,
        }
    }

    /// From now on something waits for us.
    pub(super) fn owe(&self) -> Owed {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        if state.owed == 0 {
            state.progress = now;
        }
        state.owed += 1;
        Owed(self.clone())
    }

    /// Something was stored.
    pub(super) fn beat(&self) {
        let now = self.clock.monotonic();
        self.lock().progress = now;
    }

    /// Whether no step is over its bound.
    pub fn turns(&self) -> bool {
        let now = self.clock.monotonic();
        self.lock().steps.values().all(|end| now <= *end)
    }

    /// How long something has waited while nothing was stored.
    pub fn idle_for(&self) -> Duration {
        let now = self.clock.monotonic();
        let state = self.lock();
        if state.owed == 0 {
            return Duration::ZERO;
        }
        now.saturating_sub(state.progress)
    }

    // Held for moments and never across an await.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.pulse.lock().steps.remove(&self.number);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.lock().owed -= 1;
    }
}

#[cfg(test)]
mod tests {
    use petrel_wire::UnixNanos;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Hand(Arc<Mutex<Duration>>);

    impl Hand {
        fn turn(&self, by: Duration) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for Hand {
        fn wall(&self) -> UnixNanos {
            UnixNanos(0)
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_step_over_its_bound_stops_the_pulse_until_it_ends() {
        let hand = Hand::default();
        let pulse = Pulse::new(Arc::new(hand.clone()));
        let slow = pulse.step(MINUTE);
        let quick = pulse.step(MINUTE);
        drop(quick);
        hand.turn(MINUTE);
        assert!(pulse.turns());
        hand.turn(Duration::from_secs(1));
        assert!(!pulse.turns());
        drop(slow);
        assert!(pulse.turns());
    }

    #[test]
    fn time_counts_only_while_something_waits_and_nothing_is_stored() {
        let hand = Hand::default();
        let pulse = Pulse::new(Arc::new(hand.clone()));
        hand.turn(MINUTE);
        assert_eq!(pulse.idle_for(), Duration::ZERO, "there was nothing to do");
        let first = pulse.owe();
        hand.turn(MINUTE);
        assert_eq!(pulse.idle_for(), MINUTE);
        let second = pulse.owe();
        assert_eq!(pulse.idle_for(), MINUTE, "more work is no progress");
        pulse.beat();
        hand.turn(MINUTE / 2);
        assert_eq!(pulse.idle_for(), MINUTE / 2);
        drop((first, second));
        assert_eq!(pulse.idle_for(), Duration::ZERO);
    }
}
