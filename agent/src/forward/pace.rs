//! [`Pace`]: whether now is the time to send, for all batches at once.
//!
//! While the peer answers, everybody may pass. Once it doesn't, the gate closes for a back-off;
//! then one batch goes as a probe, and only its success opens the gate again. So an outage costs
//! one request at a time, not one for each slot, and a fleet comes back spread out: after the probe
//! two go at once, and one more for each success, until all slots are in use again.
//!
//! A peer that says it has no time is left alone for longer and longer, up to a minute. Where no
//! connection comes about nobody is troubled by the next try, so that comes within seconds however
//! long the outage: otherwise the first half minute of every link's life would pass in waiting.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{Backoff, backoff::fraction};

/// Requests at once after the gate was closed; each success adds one.
const FIRST_WINDOW: usize = 2;
/// No configuration has more slots: from here on the window is no bound.
const WIDE: usize = 64;

/// What keeps the gate closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The peer cannot be reached, or says that it has no time.
    Waiting {
        /// The peer's words, or the network's.
        reason: String,
    },
    /// The peer wants somebody else, or us elsewhere: an operator must act. Data is kept.
    Parked {
        /// The peer's words.
        reason: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { reason } => write!(f, "waiting: {reason}"),
            Self::Parked { reason } => write!(f, "parked: {reason}"),
        }
    }
}

/// The gate.
#[derive(Debug)]
pub struct Pace {
    state: Mutex<State>,
    changed: Notify,
    backoff: Backoff,
    parked_for: Duration,
}

#[derive(Debug)]
struct State {
    gate: Gate,
    /// Answers, or broken exchanges, without one success between.
    failures: u32,
    /// The same for tries that reached nobody. A peer that is restarted and has no time yet is not
    /// left alone for the sake of an outage before.
    unreached: u32,
    /// Requests that may be under way at once; no bound from [`WIDE`] on.
    window: usize,
    under_way: usize,
    trouble: Option<Trouble>,
    /// Grows whenever the gate closes: requests that were under way then don't close it again.
    generation: u64,
}

#[derive(Clone, Copy, Debug)]
enum Gate {
    Open,
    Closed { until: Instant },
    Probing,
}

impl Pace {
    /// An open gate. After a parking answer it asks again after about `parked_for`.
    pub fn new(backoff: Backoff, parked_for: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                gate: Gate::Open,
                failures: 0,
                unreached: 0,
                window: WIDE,
                under_way: 0,
                trouble: None,
                generation: 0,
            }),
            changed: Notify::new(),
            backoff,
            parked_for,
        }
    }

    /// Waits until a batch may go. Cancel-safe.
    pub async fn enter(&self) -> Pass<'_> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look at the state, so that no change is missed.
            changed.as_mut().enable();
            let wait = {
                let mut state = self.lock();
                match state.gate {
                    Gate::Open if state.has_room() => return self.pass(&mut state, false),
                    Gate::Closed { until } if until <= Instant::now() => {
                        state.gate = Gate::Probing;
                        return self.pass(&mut state, true);
                    }
                    Gate::Closed { until } => Some(until),
                    Gate::Open | Gate::Probing => None,
                }
            };
            match wait {
                None => changed.await,
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(until) => {}
                },
            }
        }
    }

    /// Waits until [`Pace::enter`] would not wait long, without entering: nothing needs to be
    /// taken off the disk before that.
    pub async fn ready(&self) {
        drop(self.enter().await);
    }

    /// Opens the gate: everything is different now (another DSN, new certificates), and what was
    /// sent before says nothing any more.
    pub fn reset(&self) {
        let mut state = self.lock();
        state.open();
        state.window = WIDE;
        state.generation += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Why the gate is closed, and for how long still.
    pub fn trouble(&self) -> Option<(Trouble, Duration)> {
        let state = self.lock();
        let left = match state.gate {
            Gate::Closed { until } => until.saturating_duration_since(Instant::now()),
            Gate::Open | Gate::Probing => Duration::ZERO,
        };
        state.trouble.clone().map(|trouble| (trouble, left))
    }

    fn pass(&self, state: &mut State, probe: bool) -> Pass<'_> {
        state.under_way += 1;
        Pass {
            pace: self,
            generation: state.generation,
            probe,
        }
    }

    /// Held for nanoseconds and never across an await, so the std mutex is cheaper than tokio's.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, pass: &Pass<'_>, why: &Why, trouble: Trouble) {
        let mut state = self.lock();
        if pass.generation == state.generation {
            let wait = match why {
                Why::Unreached => {
                    state.unreached = state.unreached.saturating_add(1);
                    self.backoff.draw_unreached(state.unreached)
                }
                Why::Failed(after) => {
                    state.failures = state.failures.saturating_add(1);
                    self.backoff.draw(state.failures, *after)
                }
                // Nobody asks for parked data: a fleet with one wrong token need not knock in step.
                Why::Parked => self.parked_for.mul_f64(0.75 + 0.5 * fraction()),
            };
            state.generation += 1;
            state.window = FIRST_WINDOW;
            state.gate = Gate::Closed {
                until: Instant::now() + wait,
            };
            state.trouble = Some(trouble);
        } else if let Gate::Closed { until } = state.gate {
            // Sent before the gate closed: the same trouble, but perhaps a later time to come.
            let after = match why {
                Why::Failed(Some(after)) => *after,
                Why::Failed(None) | Why::Unreached | Why::Parked => Duration::ZERO,
            };
            let later = Instant::now() + after;
            state.gate = Gate::Closed {
                until: until.max(later),
            };
            state.trouble = Some(trouble);
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// Why the gate closes.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// No connection came about.
    Unreached,
    /// The peer has no time, and may have said until when; or the exchange broke.
    Failed(Option<Duration>),
    /// Somebody must act.
    Parked,
}

impl State {
    fn open(&mut self) {
        self.gate = Gate::Open;
        self.failures = 0;
        self.unreached = 0;
        self.trouble = None;
    }

    fn has_room(&self) -> bool {
        self.window >= WIDE || self.under_way < self.window
    }
}

/// The right to send one request, and the duty to say how it went. Dropped without a word (the
/// request was given up), it lets the next one probe.
#[derive(Debug)]
#[must_use]
pub struct Pass<'p> {
    pace: &'p Pace,
    generation: u64,
    probe: bool,
}

impl Pass<'_> {
    /// Whether the gate is closed but for this request.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The peer does its work: others may pass, more of them with each success.
    pub fn succeeded(mut self) {
        self.probe = false;
        let mut state = self.pace.lock();
        if matches!(state.gate, Gate::Open) {
            state.window = (state.window + 1).min(WIDE);
        }
        state.open();
        drop(state);
        self.pace.changed.notify_waiters();
    }

    /// No connection came about.
    pub fn unreached(mut self, reason: String) {
        self.probe = false;
        let trouble = Trouble::Waiting { reason };
        self.pace.close(&self, &Why::Unreached, trouble);
    }

    /// The peer doesn't answer or has no time; `after` is what it asked for.
    pub fn failed(mut self, after: Option<Duration>, reason: String) {
        self.probe = false;
        let trouble = Trouble::Waiting { reason };
        self.pace.close(&self, &Why::Failed(after), trouble);
    }

    /// The peer will not take anything before somebody has acted.
    pub fn parked(mut self, reason: String) {
        self.probe = false;
        let trouble = Trouble::Parked { reason };
        self.pace.close(&self, &Why::Parked, trouble);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.lock();
        state.under_way -= 1;
        if self.probe && matches!(state.gate, Gate::Probing) {
            state.gate = Gate::Closed {
                until: Instant::now(),
            };
        }
        let somebody_may_wait = self.probe || state.window < WIDE;
        drop(state);
        if somebody_may_wait {
            self.pace.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(Backoff::default(), Duration::from_secs(60))
    }

    async fn passes(pace: &Pace) -> bool {
        tokio::time::timeout(Duration::from_millis(1), pace.enter())
            .await
            .is_ok_and(|pass| {
                // Let go of without a word: the gate is as it was.
                drop(pass);
                true
            })
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_probe_goes_and_its_success_lets_everybody_in() {
        let pace = pace();
        pace.enter()
            .await
            .failed(None, "connection refused".to_owned());
        tokio::time::advance(Duration::from_secs(2)).await;
        let probe = pace.enter().await;
        assert!(probe.is_probe());
        assert!(!passes(&pace).await, "one probe at a time");
        probe.succeeded();
        assert!(passes(&pace).await);
        assert_eq!(pace.trouble(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_long_outage_the_peer_is_found_within_seconds() {
        let pace = pace();
        for _ in 0..200 {
            let before = Instant::now();
            let pass = pace.enter().await;
            assert!(before.elapsed() <= Duration::from_secs(5));
            pass.unreached("connection refused".to_owned());
            assert!(!passes(&pace).await, "nobody hammers");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_without_time_is_spared_for_longer_and_an_outage_before_does_not_count() {
        let pace = pace();
        for _ in 0..50 {
            pace.enter().await.unreached("no route".to_owned());
        }
        pace.enter().await.failed(None, "HTTP 503".to_owned());
        let before = Instant::now();
        let mut pass = pace.enter().await;
        assert!(before.elapsed() <= Duration::from_secs(1), "first failure");
        let mut waits = Vec::new();
        for _ in 0..50 {
            pass.failed(None, "HTTP 503".to_owned());
            let before = Instant::now();
            pass = pace.enter().await;
            waits.push(before.elapsed());
        }
        assert!(waits.iter().any(|wait| *wait > Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_the_peer_gets_few_requests_at_first_and_then_more() {
        let pace = pace();
        pace.enter().await.unreached("no route".to_owned());
        pace.enter().await.succeeded();
        let mut at_once = Vec::new();
        for _ in 0..5 {
            let mut round = Vec::new();
            while let Ok(pass) = tokio::time::timeout(Duration::from_millis(1), pace.enter()).await
            {
                round.push(pass);
                if round.len() > 2 * WIDE {
                    break;
                }
            }
            at_once.push(round.len());
            for pass in round {
                pass.succeeded();
            }
        }
        assert_eq!(at_once, [2, 4, 8, 16, 32]);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_one_outage_count_as_one_failure() {
        let pace = pace();
        let passes = [pace.enter().await, pace.enter().await, pace.enter().await];
        for pass in passes {
            pass.failed(None, "reset".to_owned());
        }
        assert_eq!(pace.lock().failures, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_of_any_of_them_is_a_floor() {
        let pace = pace();
        let (first, second) = (pace.enter().await, pace.enter().await);
        first.failed(None, "reset".to_owned());
        second.failed(Some(Duration::from_secs(30)), "busy".to_owned());
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(!passes(&pace).await);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(passes(&pace).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_lets_the_next_one_probe() {
        let pace = pace();
        pace.enter().await.failed(None, "reset".to_owned());
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(pace.enter().await);
        assert!(pace.enter().await.is_probe());
    }

    #[tokio::test(start_paused = true)]
    async fn parked_asks_again_after_about_a_minute_and_says_why() {
        let pace = pace();
        pace.enter()
            .await
            .parked("HTTP 401: unknown token".to_owned());
        tokio::time::advance(Duration::from_secs(44)).await;
        assert!(!passes(&pace).await);
        let (trouble, _) = pace.trouble().unwrap();
        assert!(matches!(trouble, Trouble::Parked { reason } if reason.contains("401")));
        tokio::time::advance(Duration::from_secs(32)).await;
        assert!(passes(&pace).await);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_reset_everybody_passes_and_late_answers_close_nothing() {
        let pace = pace();
        let (parks, late) = (pace.enter().await, pace.enter().await);
        parks.parked("HTTP 401: unknown token".to_owned());
        pace.reset();
        assert!(passes(&pace).await);
        late.parked("HTTP 401: unknown token".to_owned());
        assert!(passes(&pace).await);
        assert_eq!(pace.trouble(), None);
    }
}
