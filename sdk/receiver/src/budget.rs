//! The byte budget: what all requests in memory may weigh together, taken before it is filled.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Refused;

/// The semaphore counts in KiB, because it takes at most 2^32 permits at once.
const UNIT: usize = 1024;

/// The pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    total_units: usize,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        let total_units = units.clamp(1, (u32::MAX as usize).min(Semaphore::MAX_PERMITS));
        Self {
            free: Arc::new(Semaphore::new(total_units)),
            total_units,
        }
    }

    /// A share of nothing, to be grown.
    pub(crate) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            held: None,
        }
    }
}

/// What one request holds; given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    held: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Makes sure that `bytes` more are held, or refuses at once: whoever waited here would hold
    /// a connection and what it has sent so far.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        let units = bytes.div_ceil(UNIT);
        let held = self
            .held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        if held + units > self.budget.total_units {
            return Err(Refused::TooLarge(format!(
                "the request needs more memory than the {} KiB that all requests share here; \
                 export smaller batches",
                self.budget.total_units
            )));
        }
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.budget.free)
            .try_acquire_many_owned(units)
            .map_err(|_| Refused::busy("too many requests are in memory; send this one again"))?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_given_back_when_the_request_ends() {
        let budget = Budget::new(10 * 1024);
        let mut first = budget.share();
        first.grow(8 * 1024).unwrap();
        assert!(matches!(
            budget.share().grow(4 * 1024),
            Err(Refused::Busy { .. })
        ));
        drop(first);
        budget.share().grow(10 * 1024).unwrap();
    }

    #[test]
    fn what_never_fits_is_too_large_and_not_busy() {
        let budget = Budget::new(10 * 1024);
        let mut share = budget.share();
        share.grow(6 * 1024).unwrap();
        assert!(matches!(share.grow(5 * 1024), Err(Refused::TooLarge(_))));
    }
}
