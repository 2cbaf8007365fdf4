//! [`Full`]: that the journal has just refused, so that others need not send their bodies to hear it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// After this long somebody may try, whatever the numbers say: only the journal knows what fits.
const BELIEVED: Duration = Duration::from_secs(1);

/// The last refusal for want of room.
#[derive(Debug, Default)]
pub(super) struct Full(Mutex<Option<Refusal>>);

#[derive(Clone, Copy, Debug)]
struct Refusal {
    at: Duration,
    used_bytes: u64,
}

impl Full {
    /// Notes a refusal at a monotonic time, when the journal used so much.
    pub(super) fn note(&self, at: Duration, used_bytes: u64) {
        *self.lock() = Some(Refusal { at, used_bytes });
    }

    /// Whether a refusal is recent and nothing was freed since.
    pub(super) fn still(&self, now: Duration, used_bytes: impl FnOnce() -> u64) -> bool {
        let Some(last) = *self.lock() else {
            return false;
        };
        now.saturating_sub(last.at) < BELIEVED && used_bytes() >= last.used_bytes
    }

    // Held for a copy and never across an await.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_believed_for_a_moment_or_until_something_is_freed() {
        let full = Full::default();
        let at = Duration::from_secs(10);
        assert!(!full.still(at, || 100));
        full.note(at, 100);
        let soon = at + Duration::from_millis(900);
        assert!(full.still(soon, || 100));
        assert!(!full.still(soon, || 99));
        assert!(!full.still(at + BELIEVED, || 100));
    }
}
