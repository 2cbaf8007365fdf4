//! Trying a new processor on what came lately, before it counts.
//!
//! The chain remembers small parts of recent batches, in memory only and as they came: unprocessed
//! data goes nowhere. It remembers none that a processor had trouble with, so that a record which
//! nobody can take does not stand in the way of a version that can.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use petrel_wire::{Batch, Signal};

use crate::chain::Verdict;
use crate::engine::Engine;
use crate::processor::Processor;
use crate::steps::{Ground, Steps};

/// Of each signal, how many parts are remembered, how large, and how far apart: seconds of busy
/// senders, hours of quiet ones, in less than a megabyte.
const KEPT: usize = 4;
const PART_BYTES: usize = 64 << 10;
const EVERY: Duration = Duration::from_secs(1);

/// Parts of recent batches.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// By signal, nanoseconds of the monotonic clock.
    due: [AtomicU64; 3],
    /// Held to take copies and to put one in.
    parts: Mutex<[VecDeque<Batch>; 3]>,
}

impl Recent {
    /// Whether a batch should be remembered now; says so to one caller.
    pub(crate) fn is_due(&self, signal: Signal, now: Duration) -> bool {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let due = &self.due[index(signal)];
        let at = due.load(Ordering::Relaxed);
        let next = nanos(now + EVERY);
        at <= nanos(now)
            && due
                .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Remembers the beginning of a batch.
    pub(crate) fn keep(&self, batch: Batch) {
        let signal = batch.signal();
        let first = batch.split(PART_BYTES).into_iter().next();
        let Some(part) = first.filter(|part| part.bytes().len() <= PART_BYTES) else {
            return;
        };
        // A copy: what holds the request is not held any longer.
        let part = Batch::concat(signal, &[part]);
        let parts = &mut self.parts()[index(signal)];
        parts.truncate(KEPT - 1);
        parts.push_front(part);
    }

    fn all(&self) -> Vec<Batch> {
        self.parts().iter().flatten().cloned().collect()
    }

    fn parts(&self) -> MutexGuard<'_, [VecDeque<Batch>; 3]> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index(signal: Signal) -> usize {
    usize::from(signal.code()) - 1
}

/// Gives the processor back if it can take what came lately; of what it makes of it nothing stays
/// but its own state.
pub(crate) fn rehearse(
    processor: Processor,
    engine: &Arc<Engine>,
    ground: &Ground,
) -> Result<Processor, String> {
    let processor = Arc::new(processor);
    let name = processor.name().to_owned();
    let alone = Steps::of(vec![Arc::clone(&processor)], Arc::clone(engine));
    let (mut batches, mut items, mut dropped) = (0, 0, 0);
    for batch in ground.recent.all() {
        if !processor.takes(batch.signal()) {
            continue;
        }
        batches += 1;
        items += batch.items();
        let ran = alone.run(batch.clone(), ground, 0, &RefCell::default());
        dropped += match ran.verdict {
            Verdict::Kept { dropped, .. } => dropped,
            Verdict::Dropped { .. } => batch.items(),
            Verdict::Refused { .. } => 0,
        };
        if alone.troubles() > 0 {
            let words = processor.stats().last_error.unwrap_or_default();
            return Err(format!(
                "processor {name:?}: it fails on data that came lately and that the processors in \
                 use can take: {words}"
            ));
        }
    }
    if batches > 0 {
        let edits = processor.stats().edits;
        tracing::info!(
            processor = name,
            items,
            edits,
            dropped,
            "processor {name} was tried on {items} recent items: {edits} edits, {dropped} dropped"
        );
    }
    drop(alone);
    Arc::into_inner(processor).ok_or_else(|| format!("processor {name:?} is still in use"))
}

#[cfg(test)]
mod tests {
    use petrel_wire::Limits;
    use petrel_wire::otlp::fields::put_len;

    use super::*;

    /// A log record with a body of so many bytes.
    fn log(bytes: usize) -> Batch {
        let body = vec![b'x'; bytes];
        let wrapped = [1, 5, 2, 2, 1].iter().fold(body, |inside, number| {
            let mut out = Vec::new();
            put_len(&mut out, *number, &inside);
            out
        });
        Batch::from_protobuf(Signal::Logs, wrapped.into(), &Limits::default()).unwrap()
    }

    #[test]
    fn one_batch_a_second_of_each_signal_is_asked_for() {
        let recent = Recent::default();
        let at = Duration::from_millis;
        assert!(recent.is_due(Signal::Logs, at(0)));
        assert!(recent.is_due(Signal::Traces, at(10)));
        assert!(!recent.is_due(Signal::Logs, at(999)));
        assert!(recent.is_due(Signal::Logs, at(1_000)));
    }

    #[test]
    fn the_newest_few_are_remembered_and_none_that_is_large() {
        let recent = Recent::default();
        for size in 1..10 {
            recent.keep(log(size));
        }
        recent.keep(log(PART_BYTES));
        let sizes: Vec<_> = recent.all().iter().map(|part| part.bytes().len()).collect();
        let newest = log(9).bytes().len();
        assert_eq!(sizes, [newest, newest - 1, newest - 2, newest - 3]);
    }
}
