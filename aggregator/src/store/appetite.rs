//! [`Appetite`]: how much is taken from the journal for one insert.
//!
//! A server that is out of memory may take smaller inserts. A cut that was handed out is never made
//! smaller: its blocks have their tokens. The next ones are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::pieces::PIECE_ITEMS;

/// Below this, inserts cost more memory in parts and columns than in rows.
const LEAST_ITEMS: u64 = PIECE_ITEMS / 16;

/// Items of the next cut; shared by all carriers.
#[derive(Clone, Debug)]
pub(super) struct Appetite(Arc<AtomicU64>);

impl Default for Appetite {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(PIECE_ITEMS)))
    }
}

impl Appetite {
    pub(super) fn items(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// After an answer about memory: half of it.
    pub(super) fn less(&self) {
        self.set(|items| items / 2);
    }

    /// After an insert that was taken: a little more again.
    pub(super) fn more(&self) {
        self.set(|items| items + items / 8);
    }

    fn set(&self, change: impl Fn(u64) -> u64) {
        let bounded = |items| Some(change(items).clamp(LEAST_ITEMS, PIECE_ITEMS));
        // Never fails: the closure always has a value.
        let _before = self.0.fetch_update(Relaxed, Relaxed, bounded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_memory_makes_inserts_smaller_and_success_makes_them_whole_again() {
        let appetite = Appetite::default();
        appetite.less();
        assert_eq!(appetite.items(), PIECE_ITEMS / 2);
        for _ in 0..10 {
            appetite.less();
        }
        assert_eq!(appetite.items(), LEAST_ITEMS);
        for _ in 0..100 {
            appetite.more();
        }
        assert_eq!(appetite.items(), PIECE_ITEMS);
    }
}
