//! Custody: somebody owes for every item that came in, and the books say who.
//!
//! A batch in memory carries a [`Custody`]. It ends in exactly one of three ways: a processor
//! dropped the items, they are on the disk, or they were refused. Whoever merely lets go of it (a
//! bug, a panic, a stopped stage) has refused, so that the books balance all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use petrel_spool::{Committed, Spooled};
use petrel_wire::{Batch, Signal};

/// Items by signal: `admitted + resumed = spooled + dropped + refused + held + corrupt`, plus what is
/// in hand.
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
    resumed: AtomicU64,
    held: AtomicU64,
    corrupt: AtomicU64,
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
    /// Held by the process before this one, and taken over at the start.
    pub resumed: u64,
    /// Durable, and waiting for a decision about their traces.
    pub held: u64,
    /// Were held and cannot be read any more.
    pub corrupt: u64,
}

impl Account {
    /// In processors or waiting for the disk.
    pub fn in_hand(&self) -> u64 {
        let settled = self.spooled + self.dropped + self.refused + self.held + self.corrupt;
        (self.admitted + self.resumed).saturating_sub(settled)
    }
}

impl Books {
    /// The numbers of one signal. Whatever is counted as settled was counted as admitted before.
    pub fn account(&self, signal: Signal) -> Account {
        let columns = self.columns(signal);
        // First what grows when what is held gets less: a look in between sees too little in hand,
        // never more settled than there was.
        let held = columns.held.load(Relaxed);
        let (spooled, dropped, refused, corrupt) = (
            columns.spooled.load(Relaxed),
            columns.dropped.load(Relaxed),
            columns.refused.load(Relaxed),
            columns.corrupt.load(Relaxed),
        );
        Account {
            admitted: columns.admitted.load(Relaxed),
            spooled,
            dropped,
            refused,
            resumed: columns.resumed.load(Relaxed),
            held,
            corrupt,
        }
    }

    /// The process before this one held so many.
    pub fn resumed(&self, signal: Signal, items: u64) {
        let columns = self.columns(signal);
        columns.resumed.fetch_add(items, Relaxed);
        columns.held.fetch_add(items, Relaxed);
    }

    /// Items are not held any more.
    pub fn left_the_window(&self, signal: Signal, spooled: u64, dropped: u64, corrupt: u64) {
        let columns = self.columns(signal);
        columns.held.fetch_sub(spooled + dropped + corrupt, Relaxed);
        columns.spooled.fetch_add(spooled, Relaxed);
        columns.dropped.fetch_add(dropped, Relaxed);
        columns.corrupt.fetch_add(corrupt, Relaxed);
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

    /// Divides the debt: so many of the items are somebody else's business from here on.
    pub fn split(&mut self, items: u64) -> Self {
        let items = items.min(self.items);
        self.items -= items;
        Self {
            books: Arc::clone(&self.books),
            signal: self.signal,
            items,
        }
    }

    /// The rest would survive a power cut, and waits for a decision.
    pub fn held(mut self, _proof: &Committed) {
        let items = std::mem::take(&mut self.items);
        let columns = self.books.columns(self.signal);
        columns.held.fetch_add(items, Relaxed);
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
