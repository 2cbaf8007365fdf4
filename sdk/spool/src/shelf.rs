//! [`Shelf`]: a segment as the owner sees it: what is on it, what is out, what comes next.

use std::collections::BTreeMap;

use petrel_wire::{Signal, UnixNanos};

use crate::books::Counts;
use crate::layout::{Header, segment_name};
use crate::ranges::Ranges;
use crate::state::Manifest;

/// Sizes up to and including one entry of the newest segment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    items_so_far: u64,
    bytes_so_far: u64,
    accepted: UnixNanos,
}

#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) manifest: Manifest,
    /// Differs from its row in the state file.
    pub(crate) dirty: bool,
    /// Blocks on disk.
    pub(crate) allocated: u64,
    /// One line an entry; only of the newest segment, the older ones are read in order anyway.
    lines: Vec<Line>,
    /// Everything before it was handed out or is settled.
    next: u64,
    /// Leased entries and how often they were leased before.
    out: BTreeMap<u64, u32>,
    /// Entries that came back, with the number of tries so far.
    returned: BTreeMap<u64, u32>,
    /// Entries that belong to a cut.
    in_cuts: Ranges,
    /// Entries that were passed over because their signal was held back, by signal.
    held: [Ranges; 3],
}

impl Shelf {
    pub(crate) fn new(manifest: Manifest, allocated: u64) -> Self {
        Self {
            next: manifest.meta.first,
            manifest,
            dirty: false,
            allocated,
            lines: Vec::new(),
            out: BTreeMap::new(),
            returned: BTreeMap::new(),
            in_cuts: Ranges::default(),
            held: Default::default(),
        }
    }

    pub(crate) fn name(&self) -> String {
        segment_name(self.manifest.meta.number)
    }

    /// Books an entry that is durable now.
    pub(crate) fn add(&mut self, header: &Header) {
        let manifest = &mut self.manifest;
        if manifest.entries() == 0 {
            manifest.oldest = header.accepted;
        }
        manifest.last = header.seq;
        manifest.totals += Counts::of(header.signal, u64::from(header.items));
        let before = self.lines.last().copied().unwrap_or_default();
        self.lines.push(Line {
            items_so_far: before.items_so_far + u64::from(header.items),
            bytes_so_far: before.bytes_so_far + header.body_bytes,
            accepted: header.accepted,
        });
    }

    /// An unreadable record between readable ones: it has a number and nothing else.
    pub(crate) fn add_unreadable(&mut self, seq: u64) {
        self.manifest.last = seq;
        self.lines
            .push(self.lines.last().copied().unwrap_or_default());
        self.settle(seq, Counts::default());
    }

    pub(crate) fn close(&mut self) {
        self.manifest.closed = true;
        self.lines = Vec::new();
        self.dirty = true;
    }

    /// The oldest entry that nobody has, and how often it was leased before; without those that are
    /// known to be of a signal that is `held` back.
    pub(crate) fn available(&mut self, held: [bool; 3]) -> Option<(u64, u32)> {
        if let Some((seq, attempts)) = self.returned.first_key_value() {
            return Some((*seq, *attempts));
        }
        let let_go = self.held.iter().zip(held).filter(|(_, held)| !held);
        if let Some(seq) = let_go
            .filter_map(|(passed_over, _)| passed_over.first())
            .min()
        {
            return Some((seq, 0));
        }
        loop {
            let seq = self.manifest.settled.first_gap(self.next);
            let seq = self.in_cuts.first_gap(seq);
            if seq == self.next {
                break;
            }
            self.next = seq;
        }
        (self.next <= self.manifest.last).then_some((self.next, 0))
    }

    /// Whether somebody who asks for an entry of it may get one.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.returned.is_empty() || self.next <= self.manifest.last
    }

    /// Whether nobody has this entry.
    pub(crate) fn is_free(&self, seq: u64) -> bool {
        let in_cut = self.in_cuts.contains(seq) && !self.returned.contains_key(&seq);
        seq <= self.manifest.last
            && !in_cut
            && !self.out.contains_key(&seq)
            && !self.manifest.settled.contains(seq)
    }

    /// Items and bytes that wait behind the first available entry, where that is known.
    pub(crate) fn waiting(&mut self) -> (u64, u64) {
        let Some((first, _)) = self.available([false; 3]) else {
            return (0, 0);
        };
        let at = |seq: u64| {
            let index = usize::try_from(seq - self.manifest.meta.first).unwrap_or(usize::MAX);
            self.lines.get(index).copied().unwrap_or_default()
        };
        let last = at(self.manifest.last);
        let before = if first > self.manifest.meta.first {
            at(first - 1)
        } else {
            Line::default()
        };
        (
            last.items_so_far.saturating_sub(before.items_so_far),
            last.bytes_so_far.saturating_sub(before.bytes_so_far),
        )
    }

    fn take(&mut self, seq: u64) -> u32 {
        let attempts = self.returned.remove(&seq).unwrap_or(0);
        for held in &mut self.held {
            held.remove(seq);
        }
        if seq == self.next {
            self.next += 1;
        }
        attempts
    }

    pub(crate) fn lease(&mut self, seq: u64) {
        let attempts = self.take(seq);
        self.out.insert(seq, attempts);
    }

    /// Puts a leased entry back to the front; false if it is not out.
    pub(crate) fn put_back(&mut self, seq: u64) -> bool {
        match self.out.remove(&seq) {
            Some(attempts) => {
                self.returned.insert(seq, attempts.saturating_add(1));
                true
            }
            None => false,
        }
    }

    /// Passes an entry over, until its signal is held back no longer.
    pub(crate) fn hold(&mut self, seq: u64, signal: Signal) {
        self.take(seq);
        self.held[usize::from(signal.code()) - 1].insert(seq);
    }

    /// Takes an entry for a cut.
    pub(crate) fn reserve(&mut self, seq: u64) {
        self.take(seq);
        self.in_cuts.insert(seq);
    }

    /// Books an entry as done for; false if it was already.
    pub(crate) fn settle(&mut self, seq: u64, items: Counts) -> bool {
        self.out.remove(&seq);
        self.returned.remove(&seq);
        for held in &mut self.held {
            held.remove(seq);
        }
        let new = self.manifest.settled.insert(seq);
        if new {
            self.manifest.settled_items += items;
            self.dirty = true;
        }
        new
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.manifest.settled.count() == self.manifest.entries()
    }

    /// Nothing of it is with anybody who may still answer for it.
    pub(crate) fn is_idle(&self) -> bool {
        self.out.is_empty()
    }

    pub(crate) fn entries_here(&self) -> u64 {
        self.manifest.entries() - self.manifest.settled.count()
    }

    /// What is neither settled nor gone.
    pub(crate) fn items_here(&self) -> Counts {
        self.manifest.totals.beyond(&self.manifest.settled_items)
    }

    /// When its oldest unsettled entry was accepted: exact for the newest segment, for older ones
    /// the time of their first entry.
    pub(crate) fn oldest(&self) -> Option<UnixNanos> {
        let first = self.manifest.meta.first;
        let seq = self.manifest.settled.first_gap(first);
        if seq > self.manifest.last {
            return None;
        }
        let index = usize::try_from(seq - first).unwrap_or(usize::MAX);
        Some(
            self.lines
                .get(index)
                .map_or(self.manifest.oldest, |line| line.accepted),
        )
    }
}
