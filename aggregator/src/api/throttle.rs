//! The throttle: how often somebody may try to sign in.
//!
//! Token buckets: one for each pair of account and address, one for everybody together. Nobody is
//! locked out for good, and nobody else can lock an account out from elsewhere.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Tries at once, and how long each takes to come back.
const OWN: Limit = Limit {
    burst: 10.0,
    refill_s: 15.0,
};
const ALL: Limit = Limit {
    burst: 100.0,
    refill_s: 0.5,
};
/// Pairs that are remembered. Beyond it the fullest buckets are forgotten: they say the least.
const REMEMBERED: usize = 10_000;

#[derive(Clone, Copy)]
struct Limit {
    burst: f64,
    refill_s: f64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Bucket {
    fn full(limit: Limit, at: Duration) -> Self {
        Self {
            tokens: limit.burst,
            at,
        }
    }

    fn refill(&mut self, limit: Limit, now: Duration) {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + since / limit.refill_s).min(limit.burst);
        self.at = now;
    }
}

/// Remembers tries.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: Option<Bucket>,
    own: HashMap<(String, Option<IpAddr>), Bucket>,
}

impl Throttle {
    /// Takes one try, or says how many seconds to wait.
    pub(super) fn take(
        &self,
        account: &str,
        from: Option<IpAddr>,
        now: Duration,
    ) -> Result<(), u64> {
        // Held for a map lookup and never across an await.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { all, own } = &mut *state;
        let all = all.get_or_insert_with(|| Bucket::full(ALL, now));
        all.refill(ALL, now);
        if own.len() >= REMEMBERED {
            own.retain(|_, bucket| {
                bucket.refill(OWN, now);
                bucket.tokens < OWN.burst
            });
            if own.len() >= REMEMBERED {
                own.clear();
            }
        }
        let key = (
            account.chars().take(256).collect::<String>().to_lowercase(),
            from,
        );
        let mine = own.entry(key).or_insert_with(|| Bucket::full(OWN, now));
        mine.refill(OWN, now);
        for (bucket, limit) in [(&*mine, OWN), (&*all, ALL)] {
            if bucket.tokens < 1.0 {
                let wait = (1.0 - bucket.tokens) * limit.refill_s;
                return Err(Duration::from_secs_f64(wait).as_secs() + 1);
            }
        }
        mine.tokens -= 1.0;
        all.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const AT: Duration = Duration::from_secs(100);

    #[test]
    fn the_eleventh_try_waits_and_others_do_not() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            assert_eq!(throttle.take("ada@example.com", HERE, AT), Ok(()));
        }
        let wait = throttle.take("Ada@example.com", HERE, AT).unwrap_err();
        assert!((1..=16).contains(&wait), "{wait}");
        assert_eq!(throttle.take("eve@example.com", HERE, AT), Ok(()));
        assert_eq!(
            throttle.take("ada@example.com", None, AT),
            Ok(()),
            "elsewhere"
        );
        let later = AT + Duration::from_secs(wait);
        assert_eq!(throttle.take("ada@example.com", HERE, later), Ok(()));
    }

    #[test]
    fn guessing_over_many_accounts_waits_too() {
        let throttle = Throttle::default();
        let taken = (0..500)
            .filter(|n| {
                throttle
                    .take(&format!("user{n}@example.com"), HERE, AT)
                    .is_ok()
            })
            .count();
        assert_eq!(taken, 100);
    }
}
