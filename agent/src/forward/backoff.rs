//! [`Backoff`]: how long to wait before trying again.

use std::time::Duration;

/// Exponential with full jitter, without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the second try.
    pub first: Duration,
    /// The longest wait ever.
    pub most: Duration,
    /// The longest wait while no connection comes about at all: nobody was asked for anything, so
    /// there is nobody to spare but the way there.
    pub unreached: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(60),
            unreached: Duration::from_secs(5),
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

    /// A wait for failure number `n`, not shorter than `floor`. The jitter comes on top of the floor:
    /// a fleet that was told to come again in a second must not come in the same second.
    pub fn draw(&self, n: u32, floor: Option<Duration>) -> Duration {
        let wait = self.ceiling(n).mul_f64(fraction());
        floor.unwrap_or(Duration::ZERO).saturating_add(wait)
    }

    /// A wait after try number `n` in a row that found nobody: at most `unreached`, so that an outage
    /// ends for everybody soon after it has ended, and at least a tenth of it, so that hundreds of
    /// hosts behind one link do not fill it with attempts to connect.
    pub fn draw_unreached(&self, n: u32) -> Duration {
        let most = self.unreached.min(self.most);
        let least = most / 10;
        let ceiling = self.ceiling(n).clamp(least, most);
        least + ceiling.saturating_sub(least).mul_f64(fraction())
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

    #[test]
    fn a_fleet_that_was_given_the_same_time_does_not_come_in_step() {
        let backoff = Backoff::default();
        let floor = Duration::from_secs(5);
        let waits: Vec<Duration> = (0..100).map(|_| backoff.draw(3, Some(floor))).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        let spread = most.saturating_sub(*least);
        assert!(spread > Duration::from_secs(2), "{spread:?}");
    }

    #[test]
    fn who_finds_nobody_looks_again_within_seconds_but_not_at_once() {
        let backoff = Backoff::default();
        for n in 1..1000 {
            let wait = backoff.draw_unreached(n).as_millis();
            assert!((500..=5000).contains(&wait), "{n}: {wait} ms");
        }
        let quick = Backoff {
            first: Duration::from_millis(10),
            most: Duration::from_millis(50),
            ..backoff
        };
        assert!(quick.draw_unreached(100) <= quick.most);
    }
}
