//! In which order entries leave: `keep` before `bulk`, and within a class the present beside the
//! past.
//!
//! After an outage the newest data is worth most and the oldest is nearest to eviction, so while a
//! backlog waits the leases take turns between the newest segment and the oldest. Within a segment
//! it is always in order: what has arrived at the next hop is then one range of numbers for each
//! segment, and the ledger there, which bounds the ranges it keeps, is not asked for more than a
//! spool has files.

use std::time::Duration;

use crate::Class;
use crate::owner::{Owner, Place};
use crate::shelf::Shelf;
use crate::stream::Epoch;

/// Older entries are a backlog.
const BACKLOG: Duration = Duration::from_secs(60);
/// A segment with less than this part of its size is not closed to let the present pass: it is
/// soon through, and each segment is a file here and a range of numbers there.
const LEAST_CLOSED: u64 = 16;

/// Deals turns to the newest and the oldest, evenly mixed.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    percent_so_far: [u32; 2],
}

impl Turns {
    /// Whether this turn is the newest one's.
    fn is_live(&mut self, class: Class, live_percent: u8) -> bool {
        let so_far = &mut self.percent_so_far[class.index()];
        *so_far += u32::from(live_percent.min(100));
        let live = *so_far >= 100;
        if live {
            *so_far -= 100;
        }
        live
    }
}

impl Owner {
    /// What is leased next, and how often it was leased before.
    pub(crate) fn next_to_lease(&mut self) -> Option<(Place, u32)> {
        Class::ALL.into_iter().find_map(|class| self.next_of(class))
    }

    fn next_of(&mut self, class: Class) -> Option<(Place, u32)> {
        let oldest = self
            .shelves
            .iter_mut()
            .find_map(|it| available(class, self.held, it))?;
        let live_percent = self.config.live_percent;
        let behind = live_percent > 0 && self.is_backlog(oldest.0.segment);
        if !behind || !self.turns.is_live(class, live_percent) {
            return Some(oldest);
        }
        self.let_the_present_pass(class);
        let mut newest_first = self.shelves.iter_mut().rev();
        newest_first.find_map(|it| available(class, self.held, it))
    }

    fn is_backlog(&self, segment: u64) -> bool {
        let oldest = self.shelves.get(&segment).and_then(Shelf::oldest);
        oldest.is_some_and(|at| {
            let age = self.clock.wall().0.saturating_sub(at.0);
            Duration::from_nanos(age) > BACKLOG
        })
    }

    /// Closes the segment that is written if it begins with a backlog itself, so that what comes
    /// from now on does not queue behind it.
    fn let_the_present_pass(&mut self, class: Class) {
        let Some(active) = self.stream(class).active else {
            return;
        };
        let large = self.shelves.get(&active).is_some_and(|shelf| {
            shelf.allocated >= self.room.segment_bytes / LEAST_CLOSED && shelf.has_waiting()
        });
        if large
            && self.is_backlog(active)
            && self.refusing.is_none()
            && let Err(fault) = self.rotate(class, Epoch::Same)
        {
            // It goes on as it was; the log says why.
            let _logged = self.rest(&fault);
        }
    }
}

fn available(
    class: Class,
    held: [bool; 3],
    (segment, shelf): (&u64, &mut Shelf),
) -> Option<(Place, u32)> {
    if shelf.manifest.meta.class != class {
        return None;
    }
    let (seq, attempts) = shelf.available(held)?;
    let segment = *segment;
    Some((Place { segment, seq }, attempts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_dealt_as_told_and_evenly() {
        for percent in [0_u8, 30, 70, 100] {
            let mut turns = Turns::default();
            for tens in 1..=10 {
                let live = (0..10).filter(|_| turns.is_live(Class::Bulk, percent));
                assert_eq!(live.count(), usize::from(percent) / 10, "{percent} {tens}");
            }
        }
    }
}
