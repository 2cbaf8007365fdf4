//! The byte budget: what all requests in memory may weigh together, taken before it is filled, and
//! shared fairly between the tenants of a door.
//!
//! Nobody is limited while there is room. When room is short, half of the budget is divided evenly
//! between the tenants that have asked lately, and what of its part a tenant does not use is kept
//! free for it: whoever sends too much is refused before whoever sends little. A refusal costs
//! neither side anything but the request's head, and says when to come again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::{Refused, appointments::Appointments};

/// A tenant that has asked for nothing this long has nothing kept free for it.
const LATELY: Duration = Duration::from_secs(10);

/// The pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    books: Arc<Mutex<Books>>,
    total: usize,
}

#[derive(Debug, Default)]
struct Books {
    used: usize,
    tenants: HashMap<u32, Tenant>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Tenant {
    used: usize,
    asked: Instant,
    appointments: Appointments,
}

/// Why there is nothing for a tenant now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Short {
    /// What is free is kept for others.
    OwnPart,
    /// Nothing is free.
    Everything,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            books: Arc::default(),
            total: usize::try_from(bytes).unwrap_or(usize::MAX).max(1),
        }
    }

    /// A share of nothing, to be grown, for a tenant of the door.
    pub(crate) fn share(&self, tenant: u32) -> Share {
        Share {
            budget: self.clone(),
            tenant,
            held: 0,
            spent: 0,
        }
    }

    /// Takes `bytes`, which are the `first` of a request or some more; or says when to come again.
    fn take(&self, tenant: u32, bytes: usize, first: bool) -> Result<(), (Short, Duration)> {
        let now = Instant::now();
        let mut books = self.lock();
        let taken = books.take(tenant, bytes, self.total, now);
        let Some(tenant) = books.tenants.get_mut(&tenant) else {
            return Ok(()); // whoever has asked is known
        };
        match taken {
            Ok(()) if first => tenant.appointments.take(now),
            Ok(()) => {}
            Err(short) => return Err((short, tenant.appointments.refuse(now))),
        }
        Ok(())
    }

    fn give_back(&self, tenant: u32, bytes: usize) {
        self.lock().give_back(tenant, bytes);
    }

    // Held for moments and never across an await; every step leaves the books balanced.
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn take(&mut self, tenant: u32, bytes: usize, total: usize, now: Instant) -> Result<(), Short> {
        self.sweep(now);
        let mine = self.tenants.entry(tenant).or_insert(Tenant {
            used: 0,
            asked: now,
            appointments: Appointments::new(now),
        });
        mine.asked = now;
        let mine = mine.used + bytes;
        let used = self.used + bytes;
        if used > total {
            return Err(Short::Everything);
        }
        // What is kept for all together is never more than half.
        let part = total / 2 / self.tenants.len();
        if used > total / 2 && mine > part {
            let others = self.tenants.iter().filter(|(id, _)| **id != tenant);
            let kept: usize = others
                .map(|(_, other)| part.saturating_sub(other.used))
                .sum();
            if used + kept > total {
                return Err(Short::OwnPart);
            }
        }
        self.used = used;
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.used = mine;
        }
        Ok(())
    }

    fn give_back(&mut self, tenant: u32, bytes: usize) {
        self.used -= bytes;
        if let Some(tenant) = self.tenants.get_mut(&tenant) {
            tenant.used -= bytes;
        }
    }

    /// Forgets who has not asked lately, once a second: there may be thousands.
    fn sweep(&mut self, now: Instant) {
        let due = |swept| now.saturating_duration_since(swept) > Duration::from_secs(1);
        if self.swept.is_none_or(due) {
            self.swept = Some(now);
            self.tenants.retain(|_, tenant| {
                tenant.used > 0 || now.saturating_duration_since(tenant.asked) < LATELY
            });
        }
    }
}

/// What one request holds; given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    tenant: u32,
    held: usize,
    spent: usize,
}

impl Share {
    /// Whose it is.
    pub(crate) fn tenant(&self) -> u32 {
        self.tenant
    }

    /// Makes sure that `bytes` more may be spent and takes `hoped` on top, or refuses at once:
    /// whoever waited here would hold a connection and what it has sent so far.
    pub(crate) fn reserve(&mut self, bytes: usize, hoped: usize) -> Result<(), Refused> {
        let total = self.budget.total;
        let need = self.spent.saturating_add(bytes);
        if need > total {
            return Err(Refused::TooLarge(format!(
                "the request needs more memory than the {} KiB that all requests share here; \
                 export smaller batches",
                total >> 10
            )));
        }
        // A guess does not decide about large requests.
        let need = (need + hoped.min(total / 8)).min(total);
        let more = need.saturating_sub(self.held);
        if more > 0 {
            self.budget
                .take(self.tenant, more, self.held == 0)
                .map_err(|(short, after)| match short {
                    Short::Everything => Refused::Busy {
                        after,
                        reason: "too many requests are in memory; send this one again".into(),
                    },
                    Short::OwnPart => Refused::Throttled {
                        after,
                        reason: "this project has more requests in memory than its part, and \
                                 others wait; send this one again"
                            .into(),
                    },
                })?;
            self.held = need;
        }
        Ok(())
    }

    /// Spends `bytes` of what is reserved, and reserves what is missing.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        self.reserve(bytes, 0)?;
        self.spent += bytes;
        Ok(())
    }

    /// Gives back what was reserved and is not needed.
    pub(crate) fn trim(&mut self) {
        self.budget.give_back(self.tenant, self.held - self.spent);
        self.held = self.spent;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.tenant, self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    /// As many requests of 1 KiB as a tenant gets.
    fn flood(budget: &Budget, tenant: u32) -> Vec<Share> {
        let mut shares = Vec::new();
        loop {
            let mut share = budget.share(tenant);
            if share.grow(KIB).is_err() {
                return shares;
            }
            shares.push(share);
        }
    }

    #[test]
    fn a_share_is_given_back_when_the_request_ends() {
        let budget = Budget::new(10 * 1024);
        let mut first = budget.share(1);
        first.grow(8 * KIB).unwrap();
        assert!(matches!(
            budget.share(1).grow(4 * KIB),
            Err(Refused::Busy { .. })
        ));
        drop(first);
        budget.share(1).grow(10 * KIB).unwrap();
    }

    #[test]
    fn what_never_fits_is_too_large_and_not_busy() {
        let budget = Budget::new(10 * 1024);
        let mut share = budget.share(1);
        share.grow(6 * KIB).unwrap();
        assert!(matches!(share.grow(5 * KIB), Err(Refused::TooLarge(_))));
    }

    #[test]
    fn what_was_reserved_is_spent_first_and_the_rest_given_back() {
        let budget = Budget::new(100 * 1024);
        let mut share = budget.share(1);
        share.reserve(KIB, 7 * KIB).unwrap();
        share.grow(3 * KIB).unwrap();
        assert!(budget.share(1).grow(93 * KIB).is_err());
        share.trim();
        budget.share(1).grow(97 * KIB).unwrap();
        let mut hopeful = budget.share(1);
        hopeful.reserve(40 * KIB, usize::MAX).unwrap();
        assert_eq!(hopeful.held, 52 * KIB + KIB / 2);
    }

    #[test]
    fn who_is_alone_may_have_everything() {
        let budget = Budget::new(100 * 1024);
        assert_eq!(flood(&budget, 1).len(), 100);
    }

    #[test]
    fn whoever_comes_late_finds_half_of_a_fair_share_as_soon_as_others_end_a_request() {
        let budget = Budget::new(100 * 1024);
        let mut greedy = flood(&budget, 1);
        assert!(
            matches!(budget.share(2).grow(KIB), Err(Refused::Busy { .. })),
            "nothing is free"
        );
        // Requests end; the greedy asks for each place at once, the other now and then.
        let mut modest = Vec::new();
        while modest.len() < 25 {
            greedy
                .pop()
                .expect("the modest gets its part before all of the greedy's is gone");
            let again = flood(&budget, 1).len();
            assert_eq!(again, 0, "what is missing of the other's part is kept free");
            let mut share = budget.share(2);
            share.grow(KIB).unwrap();
            modest.push(share);
        }
        // Beyond its part it competes like everybody.
        greedy.pop();
        assert_eq!(flood(&budget, 1).len(), 1);
    }

    #[test]
    fn the_greedy_is_told_that_it_is_about_its_own_part() {
        let budget = Budget::new(100 * 1024);
        let _one = budget.share(2).grow(KIB);
        let greedy = flood(&budget, 1);
        assert_eq!(greedy.len(), 75, "25 are kept for the other");
        assert!(matches!(
            budget.share(1).grow(KIB),
            Err(Refused::Throttled { .. })
        ));
    }

    #[test]
    fn every_one_of_many_gets_at_least_half_of_its_fair_share() {
        let budget = Budget::new(1000 * 1024);
        for tenant in 2..=10 {
            // Known, but silent so far.
            budget.share(tenant).grow(KIB).unwrap();
        }
        let greedy = flood(&budget, 1);
        let others: Vec<_> = (2..=10).map(|tenant| flood(&budget, tenant)).collect();
        assert!(greedy.len() >= 500, "{}", greedy.len());
        for shares in &others {
            assert!(shares.len() >= 50, "{}", shares.len());
        }
    }

    #[test]
    fn nothing_is_kept_for_who_has_not_asked_lately() {
        let mut books = Books::default();
        let (total, now) = (100 * KIB, Instant::now());
        books.take(2, KIB, total, now).unwrap();
        books.give_back(2, KIB);
        assert_eq!(books.take(1, 80 * KIB, total, now), Err(Short::OwnPart));
        let later = now + LATELY + Duration::from_secs(2);
        assert_eq!(books.take(1, 80 * KIB, total, later), Ok(()));
    }
}
