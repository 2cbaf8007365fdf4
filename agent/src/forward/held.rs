//! [`Held`]: signals that the peer does not take, while it takes others.
//!
//! "Not here" about one path (404, 405, 415, 501) is no reason to keep what goes to other paths: many
//! OTLP endpoints take traces and no metrics. The signal is held back in the spool, and every minute
//! or so the peer is asked again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use petrel_wire::Signal;
use tokio::time::Instant;

use super::backoff::fraction;

/// Signals with the peer's words.
#[derive(Debug)]
pub(super) struct Held {
    signals: Mutex<Vec<Refused>>,
    held_for: Duration,
}

#[derive(Clone, Debug)]
struct Refused {
    signal: Signal,
    words: String,
    /// `None` while the peer is asked again.
    until: Option<Instant>,
}

impl Held {
    /// Nothing is held back; what will be is tried again after about `held_for`.
    pub(super) fn new(held_for: Duration) -> Self {
        Self {
            signals: Mutex::default(),
            held_for,
        }
    }

    /// Until when not to ask again, and whether this is news.
    pub(super) fn hold(&self, signal: Signal, words: &str) -> (Duration, bool) {
        let wait = self.held_for.mul_f64(0.75 + 0.5 * fraction());
        let until = Some(Instant::now() + wait);
        let mut signals = self.lock();
        if let Some(known) = signals.iter_mut().find(|known| known.signal == signal) {
            let is_news = known.words != words;
            words.clone_into(&mut known.words);
            known.until = until;
            return (wait, is_news);
        }
        signals.push(Refused {
            signal,
            words: words.to_owned(),
            until,
        });
        (wait, true)
    }

    /// The peer takes the signal; whether that is news.
    pub(super) fn taken(&self, signal: Signal) -> bool {
        let mut signals = self.lock();
        let before = signals.len();
        signals.retain(|known| known.signal != signal);
        signals.len() < before
    }

    /// Signals to ask the peer for again.
    pub(super) fn due(&self) -> Vec<Signal> {
        let now = Instant::now();
        let mut signals = self.lock();
        let due = signals
            .iter_mut()
            .filter(|known| known.until.is_some_and(|until| until <= now));
        due.map(|known| {
            known.until = None;
            known.signal
        })
        .collect()
    }

    /// Another peer: what the old one said is forgotten.
    pub(super) fn reset(&self) -> Vec<Signal> {
        let forgotten = std::mem::take(&mut *self.lock());
        forgotten.into_iter().map(|known| known.signal).collect()
    }

    /// For status.
    pub(super) fn list(&self) -> Vec<(Signal, String)> {
        let signals = self.lock();
        signals
            .iter()
            .map(|known| (known.signal, known.words.clone()))
            .collect()
    }

    /// Held for nanoseconds and never across an await.
    fn lock(&self) -> MutexGuard<'_, Vec<Refused>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refused_signal_is_asked_for_again_after_about_a_minute_and_known_until_it_is_taken()
    {
        let held = Held::new(Duration::from_secs(60));
        assert!(held.hold(Signal::Metrics, "HTTP 404").1);
        assert!(!held.hold(Signal::Metrics, "HTTP 404").1);
        tokio::time::advance(Duration::from_secs(44)).await;
        assert_eq!(held.due(), []);
        tokio::time::advance(Duration::from_secs(32)).await;
        assert_eq!(held.due(), [Signal::Metrics]);
        assert_eq!(held.due(), [], "once");
        assert_eq!(held.list(), [(Signal::Metrics, "HTTP 404".to_owned())]);
        assert!(held.taken(Signal::Metrics));
        assert!(!held.taken(Signal::Metrics));
        assert_eq!(held.list(), []);
    }
}
