//! What a batch does besides going on: values that plugins recorded on the way.
//!
//! They count once, when whoever owes for the batch says that it was accepted. A batch that is
//! refused, at whatever stage, comes again, and would count twice.

use std::sync::Arc;

use crate::instruments::Recorded;
use crate::meter::Meter;

/// What a batch did on its way through the chain. Let go of, it did nothing.
#[derive(Debug, Default)]
#[must_use]
pub struct Effects {
    recorded: Vec<(Arc<Meter>, Vec<Recorded>)>,
}

impl Effects {
    pub(crate) fn record(&mut self, meter: &Arc<Meter>, recorded: Vec<Recorded>) {
        if !recorded.is_empty() {
            self.recorded.push((Arc::clone(meter), recorded));
        }
    }

    /// Of another part of the same batch.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.recorded.append(&mut other.recorded);
    }

    /// The batch was accepted: its sender will not send it again.
    pub fn settle(self) {
        for (meter, recorded) in self.recorded {
            meter.count(recorded);
        }
    }
}
