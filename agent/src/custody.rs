//! Custody: somebody owes for every item that came in, and the books say who.
//!
//! A batch in memory carries a [`Custody`]. It ends in exactly one of three ways: a processor
//! dropped the items, they are on the disk, or they were refused. Whoever merely lets go of it (a
//! bug, a panic, a stopped stage) has refused, so that the books balance all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use petrel_spool::Spooled;
use petrel_wire::{Batch, Signal};

/// Items by signal: `admitted = spooled + dropped + refused`, plus what is in hand.
#[derive(Debug, Default)]
pub struct Books {
    by_signal: [Columns; 3],
}

#[derive(Debug, Default)]
struct Columns {
    admitted: AtomicU64,
    spooled: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
}

/// One signal's numbers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Well-formed and within limits.
    pub admitted: u64,
    /// Durable on this disk.
    pub spooled: u64,
    /// Taken out by processors.
    pub dropped: u64,
    /// Given back to the sender, who was told to keep them.
    pub refused: u64,
}

impl Account {
    /// In processors or waiting for the disk.
    pub fn in_hand(&self) -> u64 {
        self.admitted
            .saturating_sub(self.spooled + self.dropped + self.refused)
    }
}

impl Books {
    /// The numbers of one signal. Whatever is counted as settled was counted as admitted before.
    pub fn account(&self, signal: Signal) -> Account {
        let columns = self.columns(signal);
        let (spooled, dropped, refused) = (
            columns.spooled.load(Relaxed),
            columns.dropped.load(Relaxed),
            columns.refused.load(Relaxed),
        );
        Account {
            admitted: columns.admitted.load(Relaxed),
            spooled,
            dropped,
            refused,
        }
    }

    fn columns(&self, signal: Signal) -> &Columns {
        &self.by_signal[usize::from(signal.code()) - 1]
    }
}

/// A batch that was let in, with the debt for its items.
#[derive(Debug)]
pub struct Admitted {
    /// What came, or what processors made of it.
    pub batch: Batch,
    /// Who owes.
    pub custody: Custody,
}

impl Admitted {
    /// Takes the debt over.
    pub fn new(books: &Arc<Books>, batch: Batch) -> Self {
        let items = u64::from(batch.items());
        let signal = batch.signal();
        books.columns(signal).admitted.fetch_add(items, Relaxed);
        let custody = Custody {
            books: Arc::clone(books),
            signal,
            items,
        };
        Self { batch, custody }
    }
}

/// The debt for items that came in together.
#[derive(Debug)]
#[must_use]
pub struct Custody {
    books: Arc<Books>,
    signal: Signal,
    items: u64,
}

impl Custody {
    /// Items that nobody has settled yet.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Processors took out `items`, at most all of them.
    pub fn dropped(&mut self, items: u64) {
        let items = items.min(self.items);
        self.items -= items;
        let columns = self.books.columns(self.signal);
        columns.dropped.fetch_add(items, Relaxed);
    }

    /// The rest would survive a power cut.
    pub fn spooled(mut self, _proof: &Spooled) {
        let items = std::mem::take(&mut self.items);
        let columns = self.books.columns(self.signal);
        columns.spooled.fetch_add(items, Relaxed);
    }

    /// The rest stays with the sender.
    pub fn refused(self) {
        drop(self);
    }
}

impl Drop for Custody {
    fn drop(&mut self) {
        let columns = self.books.columns(self.signal);
        columns.refused.fetch_add(self.items, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use petrel_wire::Limits;

    use super::*;
    use crate::testing;

    #[test]
    fn what_is_let_go_of_was_refused() {
        let books = Arc::new(Books::default());
        let admitted = Admitted::new(&books, testing::logs(5));
        assert_eq!(books.account(Signal::Logs).in_hand(), 5);
        drop(admitted);
        let account = books.account(Signal::Logs);
        assert_eq!((account.admitted, account.refused), (5, 5));
        assert_eq!(account.in_hand(), 0);
    }

    #[test]
    fn what_processors_take_out_is_not_refused_as_well() {
        let books = Arc::new(Books::default());
        let mut admitted = Admitted::new(&books, testing::logs(5));
        admitted.custody.dropped(2);
        admitted.custody.refused();
        let account = books.account(Signal::Logs);
        assert_eq!((account.dropped, account.refused), (2, 3));
    }

    #[test]
    fn an_empty_batch_owes_nothing() {
        let books = Arc::new(Books::default());
        let empty = Batch::from_protobuf(Signal::Traces, bytes::Bytes::new(), &Limits::default());
        drop(Admitted::new(&books, empty.unwrap()));
        assert_eq!(books.account(Signal::Traces), Account::default());
    }
}
