//! [`Backoff`]: how long to wait before trying again.

use std::time::Duration;

/// Exponential with full jitter, without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the second try.
    pub first: Duration,
    /// The longest wait ever.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The longest wait after failure number `n`, counting from 1.
    ///
    /// `first * 2^(n-1)`, at most `most`; the caller draws uniformly from zero to this ("full
    /// jitter"), so that a fleet which lost its aggregator doesn't come back in step. A
    /// `Retry-After` from the peer is a floor under it (OTLP specification, "OTLP/HTTP
    /// Throttling").
    pub fn ceiling(&self, n: u32) -> Duration {
        let doublings = n.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }

    /// A wait for failure number `n`, not shorter than `floor`.
    pub fn draw(&self, n: u32, floor: Option<Duration>) -> Duration {
        let wait = self.ceiling(n).mul_f64(fraction());
        wait.max(floor.unwrap_or(Duration::ZERO))
    }
}

/// Uniform between 0 and 1.
pub(super) fn fraction() -> f64 {
    // A system without a random source would have failed when the spool drew its identity.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_never_end() {
        let backoff = Backoff::default();
        let ceilings = [1, 2, 3, 6, 7, 8, 1000, u32::MAX].map(|n| backoff.ceiling(n).as_secs());
        assert_eq!(ceilings, [1, 2, 4, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn what_the_peer_asks_for_is_a_floor_and_the_ceiling_holds_without_it() {
        let backoff = Backoff::default();
        for n in 1..50 {
            assert!(backoff.draw(n, None) <= backoff.ceiling(n));
            assert!(backoff.draw(n, Some(Duration::from_secs(90))) >= Duration::from_secs(90));
        }
    }
}
