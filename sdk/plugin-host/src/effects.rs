//! What a batch does besides going on: values that plugins recorded on the way, and what they keep.
//!
//! They count once, when whoever owes for the batch says that it was accepted. A batch that is
//! refused, at whatever stage, comes again, and would count twice.

use std::sync::Arc;

use crate::instruments::Recorded;
use crate::meter::Meter;
use crate::state::{Pending, State};

/// What a batch did on its way through the chain. Let go of, it did nothing.
#[derive(Debug, Default)]
#[must_use]
pub struct Effects {
    recorded: Vec<(Arc<Meter>, Vec<Recorded>)>,
    kept: Vec<(Arc<State>, Pending)>,
}

impl Effects {
    pub(crate) fn record(&mut self, meter: &Arc<Meter>, recorded: Vec<Recorded>) {
        if !recorded.is_empty() {
            self.recorded.push((Arc::clone(meter), recorded));
        }
    }

    /// What the batch has written into `state` so far; to be given back.
    pub(crate) fn take(&mut self, state: &Arc<State>) -> Pending {
        let of = self.kept.iter_mut().find(|(of, _)| Arc::ptr_eq(of, state));
        of.map(|(_, pending)| std::mem::take(pending))
            .unwrap_or_default()
    }

    pub(crate) fn keep(&mut self, state: Arc<State>, pending: Pending) {
        match self.kept.iter_mut().find(|(of, _)| Arc::ptr_eq(of, &state)) {
            Some((_, kept)) => *kept = pending,
            None if pending.is_empty() => {}
            None => self.kept.push((state, pending)),
        }
    }

    /// The batch was accepted: its sender will not send it again.
    pub fn settle(self) {
        for (meter, recorded) in self.recorded {
            meter.count(recorded);
        }
        for (state, pending) in self.kept {
            state.settle(pending);
        }
    }
}
