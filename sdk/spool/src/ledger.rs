//! The sequence ledger: which batches of which senders were accepted, for ever.
//!
//! A claim needs no row of its own: the record carries its origin, so the claim is in the same
//! transaction as the entry. Before a segment may be forgotten its claims are summed up in state.
//! Numbers are namespaced by project: one project cannot burn another's.

use petrel_wire::BatchId;

use crate::ProjectId;
use crate::layout::{Reader, open_row, seal_row};
use crate::ranges::Ranges;

/// How far back another hash under a known number is recognised. A sender has at most this many
/// batches in flight; what is older than that is answered "seen" by its number alone.
const RING: usize = 64;

/// Holes remembered for one sender and epoch. An honest sender has a handful (evicted segments,
/// a backlog behind fresh data); one that makes thousands is told to take a new identity.
const MOST_RANGES: usize = 4096;

/// Project, agent, epoch: the key of a [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sender {
    project: ProjectId,
    agent: u128,
    epoch: u32,
}

impl Sender {
    pub(crate) fn of(project: ProjectId, origin: &BatchId) -> Self {
        Self {
            project,
            agent: origin.agent.0,
            epoch: origin.epoch,
        }
    }

    pub(crate) fn key(&self) -> [u8; 24] {
        let mut key = [0; 24];
        key[..4].copy_from_slice(&self.project.0.to_be_bytes());
        key[4..20].copy_from_slice(&self.agent.to_be_bytes());
        key[20..].copy_from_slice(&self.epoch.to_be_bytes());
        key
    }
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    New,
    Seen,
    Conflict,
}

/// Everything known about one sender in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    seen: Ranges,
    highest: u64,
    ring: [u64; RING],
}

impl Default for Window {
    fn default() -> Self {
        Self {
            seen: Ranges::default(),
            highest: 0,
            ring: [0; RING],
        }
    }
}

impl Window {
    pub(crate) fn look_up(&self, origin: &BatchId) -> Claim {
        if !self.seen.contains(origin.seq) {
            let crowded = self.seen.len() >= MOST_RANGES;
            let extends = origin.seq > 0 && self.seen.contains(origin.seq - 1);
            return if crowded && !extends {
                Claim::Conflict
            } else {
                Claim::New
            };
        }
        let remembered = self.highest - origin.seq < RING as u64;
        if remembered && self.ring[slot(origin.seq)] != short(origin.hash) {
            Claim::Conflict
        } else {
            Claim::Seen
        }
    }

    pub(crate) fn mark(&mut self, origin: &BatchId) {
        self.seen.insert(origin.seq);
        if origin.seq > self.highest {
            self.highest = origin.seq;
        }
        if self.highest - origin.seq < RING as u64 {
            self.ring[slot(origin.seq)] = short(origin.hash);
        }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(RING * 8 + 40);
        row.extend_from_slice(&self.highest.to_le_bytes());
        for hash in self.ring {
            row.extend_from_slice(&hash.to_le_bytes());
        }
        self.seen.write(&mut row);
        seal_row(&row)
    }

    pub(crate) fn read(sealed: &[u8]) -> Option<Self> {
        let mut row = Reader::new(open_row(sealed)?);
        let highest = row.u64()?;
        let mut ring = [0; RING];
        for hash in &mut ring {
            *hash = row.u64()?;
        }
        Some(Self {
            seen: Ranges::read(&mut row)?,
            highest,
            ring,
        })
    }
}

fn slot(seq: u64) -> usize {
    usize::try_from(seq % RING as u64).expect("less than RING")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "half of a good hash is a good hash"
)]
fn short(hash: u128) -> u64 {
    hash as u64
}

#[cfg(test)]
mod tests {
    use petrel_wire::AgentId;

    use super::*;

    fn id(seq: u64, hash: u128) -> BatchId {
        BatchId {
            agent: AgentId(1),
            epoch: 1,
            seq,
            hash,
        }
    }

    #[test]
    fn a_number_is_new_once_and_another_hash_is_a_conflict() {
        let mut window = Window::default();
        assert_eq!(window.look_up(&id(1, 10)), Claim::New);
        window.mark(&id(1, 10));
        assert_eq!(window.look_up(&id(1, 10)), Claim::Seen);
        assert_eq!(window.look_up(&id(1, 11)), Claim::Conflict);
    }

    #[test]
    fn a_backlog_behind_fresh_data_is_still_new() {
        let mut window = Window::default();
        window.mark(&id(1_000_000, 1));
        assert_eq!(window.look_up(&id(5, 1)), Claim::New);
        window.mark(&id(5, 1));
        assert_eq!(window.look_up(&id(5, 1)), Claim::Seen);
        assert_eq!(window.look_up(&id(6, 1)), Claim::New);
    }

    #[test]
    fn a_window_reads_back_what_it_writes() {
        let mut window = Window::default();
        for seq in [1, 2, 3, 9, 200] {
            window.mark(&id(seq, u128::from(seq)));
        }
        assert_eq!(Window::read(&window.write()), Some(window));
    }

    #[test]
    fn a_sender_cannot_grow_its_window_without_bound() {
        let mut window = Window::default();
        for seq in 0..MOST_RANGES as u64 {
            window.mark(&id(seq * 2 + 1, 1));
        }
        assert_eq!(window.look_up(&id(1_000_001, 1)), Claim::Conflict);
    }
}
