//! Holding: spans that a plugin wants kept back until it has seen enough of their traces.
//!
//! The plugin answers with verdict `hold` and remembers what it needs of the trace; later, in any
//! answer, it decides about the trace as a whole. The spans themselves are the business of whoever
//! runs the chain (`Chain::run`): this crate keeps nothing on a disk. What was decided lately is
//! remembered here, so that spans that come late share the fate of their trace without a call.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use petrel_wire::otlp::by_trace::{Take, TraceId};

use crate::bindings::petrel::plugin::types::{Descriptor, Edits};
use crate::plan::Plan;
use crate::registry::verdict;
use crate::route::Routes;

/// What a descriptor's `extra` says of a plugin that may hold: `("holds", "traces")`.
const HOLDS: (&str, &str) = ("holds", "traces");
/// One more than the largest sampling threshold.
const THRESHOLD_END: u64 = 1 << 56;
/// Traces whose fate is remembered, at most and for how long.
const MOST_REMEMBERED: usize = 65_536;
const REMEMBERED_FOR: Duration = Duration::from_secs(300);

/// What becomes of the held spans of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFate {
    /// They go on.
    Kept,
    /// They go on, and say with which threshold (56 bits) they were sampled.
    Sampled(u64),
    /// They are dropped.
    Dropped,
}

impl TraceFate {
    /// What it means for a span.
    pub fn take(self) -> Take {
        match self {
            Self::Kept => Take::Keep,
            Self::Sampled(threshold) => Take::Sampled(threshold),
            Self::Dropped => Take::Leave,
        }
    }
}

/// A plugin's decision about a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which one.
    pub trace: TraceId,
    /// What becomes of it.
    pub fate: TraceFate,
}

/// What the answers about one batch said beyond edits and drops.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// Rows of the sheet that are to be held.
    pub(crate) rows: Vec<u32>,
    pub(crate) decided: Vec<Decision>,
    /// Of the instance that answered; of several the oldest, zero for none.
    pub(crate) generation: u64,
    pub(crate) routes: Routes,
}

impl Aside {
    pub(crate) fn answered_by(&mut self, generation: u64) {
        self.generation = match self.generation {
            0 => generation,
            before => before.min(generation),
        };
    }
}

/// A number for an instance that begins without what others knew; never given twice.
pub(crate) fn new_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Whether a plugin says that it holds; the error says why it cannot.
pub(crate) fn holds(descriptor: &Descriptor, plan: &Plan) -> Result<bool, String> {
    let extra = descriptor.extra.iter();
    let holds = extra
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .any(|pair| pair == HOLDS);
    if descriptor.stateless && (holds || plan.tick.is_some()) {
        let wants = if holds {
            "hold traces"
        } else {
            "be called by a timer"
        };
        return Err(format!(
            "wants to {wants}, and says that it keeps no state; its descriptor is wrong"
        ));
    }
    Ok(holds)
}

/// The decisions in an answer.
pub(crate) fn decisions(edits: &Edits) -> Result<Vec<Decision>, String> {
    let mut words = edits.decided.iter().copied();
    let short = || "decides about traces with lists that do not fit each other".to_owned();
    let mut decisions = Vec::with_capacity(edits.decided_verdict.len());
    for given in &edits.decided_verdict {
        let mut next = || words.next().ok_or_else(short);
        let (high, low) = (next()?, next()?);
        let fate = match *given {
            verdict::KEEP => TraceFate::Kept,
            verdict::DROP => TraceFate::Dropped,
            verdict::SAMPLED => TraceFate::Sampled(next()?),
            other => {
                return Err(format!(
                    "decides {other} about a trace, which this version does not offer"
                ));
            }
        };
        if matches!(fate, TraceFate::Sampled(threshold) if threshold >= THRESHOLD_END) {
            return Err("gives a sampling threshold of more than 56 bits".into());
        }
        let trace = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        decisions.push(Decision { trace, fate });
    }
    match words.next() {
        None => Ok(decisions),
        Some(_) => Err(short()),
    }
}

/// Fates of traces that were decided lately; of old ones and of too many nothing is known.
#[derive(Debug, Default)]
pub struct Decided {
    /// Held for a few lookups.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    fates: HashMap<TraceId, TraceFate>,
    /// In the order in which they were decided, on the clock's monotonic time.
    order: VecDeque<(Duration, TraceId)>,
}

impl Decided {
    /// Remembers decisions; of several about one trace the first counts.
    pub fn note(&self, decisions: &[Decision], now: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.forget(now);
        for decision in decisions {
            if known.fates.contains_key(&decision.trace) {
                continue;
            }
            known.fates.insert(decision.trace, decision.fate);
            known.order.push_back((now, decision.trace));
            if known.order.len() > MOST_REMEMBERED {
                known.forget_first();
            }
        }
    }

    /// What was decided about a trace.
    pub fn fate(&self, trace: &TraceId, now: Duration) -> Option<TraceFate> {
        self.fates(std::slice::from_ref(trace), now)[0]
    }

    /// What was decided about traces, beside each.
    pub fn fates(&self, traces: &[TraceId], now: Duration) -> Vec<Option<TraceFate>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.forget(now);
        traces
            .iter()
            .map(|trace| known.fates.get(trace).copied())
            .collect()
    }
}

impl Known {
    fn forget(&mut self, now: Duration) {
        while let Some((at, _)) = self.order.front()
            && now.saturating_sub(*at) > REMEMBERED_FOR
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, trace)) = self.order.pop_front() {
            self.fates.remove(&trace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(decided: &[u64], verdicts: &[u8]) -> Edits {
        Edits {
            verdicts: Vec::new(),
            added: crate::bindings::petrel::plugin::types::Blob {
                ends: Vec::new(),
                bytes: Vec::new(),
            },
            dict_slot: Vec::new(),
            dict_from: Vec::new(),
            dict_to: Vec::new(),
            cell_slot: Vec::new(),
            cell_key: Vec::new(),
            cell_row: Vec::new(),
            cell_kind: Vec::new(),
            cell_word: Vec::new(),
            drop_table: Vec::new(),
            drop_key: Vec::new(),
            route: Vec::new(),
            decided: decided.to_vec(),
            decided_verdict: verdicts.to_vec(),
        }
    }

    fn trace(number: u64) -> TraceId {
        u128::from(number).to_be_bytes()
    }

    #[test]
    fn a_decision_is_two_words_and_with_a_threshold_three() {
        let made = decisions(&answer(&[0, 1, 0, 2, 1 << 55, 0, 3], &[0, 4, 1])).unwrap();
        let fates = [
            (1, TraceFate::Kept),
            (2, TraceFate::Sampled(1 << 55)),
            (3, TraceFate::Dropped),
        ];
        for (made, (number, fate)) in made.iter().zip(fates) {
            assert_eq!((made.trace, made.fate), (trace(number), fate));
        }
        assert_eq!(made.len(), 3);
    }

    #[test]
    fn decisions_that_do_not_fit_are_refused() {
        for (decided, verdicts) in [
            (vec![0], vec![0]),
            (vec![0, 1], vec![4]),
            (vec![0, 1, 2], vec![0]),
            (vec![0, 1], vec![2]),
            (vec![0, 1, 1 << 56], vec![4]),
        ] {
            assert!(decisions(&answer(&decided, &verdicts)).is_err());
        }
    }

    #[test]
    fn the_first_decision_counts_until_it_is_old_or_one_too_many() {
        let decided = Decided::default();
        let at = Duration::from_secs;
        let say = |number, fate, second| {
            let trace = trace(number);
            decided.note(&[Decision { trace, fate }], at(second));
        };
        say(1, TraceFate::Kept, 0);
        say(1, TraceFate::Dropped, 1);
        assert_eq!(decided.fate(&trace(1), at(300)), Some(TraceFate::Kept));
        assert_eq!(decided.fate(&trace(1), at(301)), None);
        for number in 0..=MOST_REMEMBERED as u64 {
            say(number, TraceFate::Dropped, 400);
        }
        assert_eq!(decided.fate(&trace(0), at(400)), None);
        assert_eq!(decided.fate(&trace(1), at(400)), Some(TraceFate::Dropped));
    }
}
