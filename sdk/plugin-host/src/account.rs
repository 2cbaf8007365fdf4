//! What a processor did, counted, and how it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::OnError;
use crate::meter::{Key, Meter, Value};

/// Lines about one processor's failures: one in so long, with how many there were.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// One processor's account. Counters outlive a reload.
#[derive(Clone, Debug, Default)]
pub struct PluginStats {
    /// Name in config.
    pub name: String,
    /// Name and version that the plugin gives itself.
    pub plugin: String,
    /// The SHA-256 of its component, in hex.
    pub sha256: String,
    /// Calls into the guest.
    pub calls: u64,
    /// Batches that it failed on: traps, time-outs, refused answers.
    pub failures: u64,
    /// Values changed, made or deleted.
    pub edits: u64,
    /// Items that the processor dropped.
    pub dropped_items: u64,
    /// Items that it sent to each of its outputs but the default one.
    pub routed_items: BTreeMap<String, u64>,
    /// Items that it failed on, one by one, and that were taken out so that none passes unprocessed.
    pub quarantined_items: u64,
    /// Instances started; more than a few mean that it traps or leaks.
    pub instances: u64,
    /// How often it failed so often that it was turned off for a while.
    pub trips: u64,
    /// What the memory of an instance has grown to.
    pub memory_bytes: u64,
    /// Instructions run, where they are counted.
    pub fuel: u64,
    /// Total time: projection, guest, edits.
    pub busy: Duration,
    /// The last failure's words.
    pub last_error: Option<String>,
    /// What happens to data that it fails on.
    pub on_error: OnError,
    /// Whether it is called.
    pub state: PluginState,
    /// What it counts itself, for the operator.
    pub own: Vec<OwnMetric>,
}

/// One series of a metric that a plugin keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnMetric {
    /// As the plugin declared it.
    pub name: String,
    /// As the plugin declared it; may be empty.
    pub unit: String,
    /// Keys and values; `otel.metric.overflow` where a series had no place of its own.
    pub labels: Vec<(String, String)>,
    /// Since the start.
    pub value: OwnValue,
}

/// What a series has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OwnValue {
    /// Only grows.
    Counter(f64),
    /// Goes up and down.
    Gauge(f64),
    /// How many values there were, and what they add up to.
    Distribution {
        /// How many.
        count: u64,
        /// All together.
        sum: f64,
    },
}

impl OwnMetric {
    pub(crate) fn all(meter: &Meter) -> Vec<Self> {
        let own = meter.own().into_iter();
        own.map(|(key, value)| Self::new(&key, &value)).collect()
    }

    pub(crate) fn new(key: &Key, value: &Value) -> Self {
        let instrument = &key.instrument;
        let labels = match &key.labels {
            None => vec![("otel.metric.overflow".to_owned(), "true".to_owned())],
            Some(labels) => {
                let given = instrument.labels.iter().zip(labels);
                given
                    .filter_map(|(key, text)| Some((key.clone(), text.as_deref()?.to_owned())))
                    .collect()
            }
        };
        Self {
            name: instrument.name.clone(),
            unit: instrument.unit.clone(),
            labels,
            value: match value {
                Value::Sum(sum) if instrument.is_delta() => OwnValue::Counter(*sum),
                Value::Sum(value) | Value::Last(value) => OwnValue::Gauge(*value),
                Value::Histogram(histogram) => OwnValue::Distribution {
                    count: histogram.count,
                    sum: histogram.sum,
                },
            },
        }
    }
}

/// Whether a processor is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PluginState {
    /// It is.
    #[default]
    Running,
    /// It failed too often; its policy decides about the data until it is tried again.
    Off {
        /// Until then.
        retry_in: Duration,
        /// The words of the failure that was one too many.
        because: String,
    },
}

/// Counters while they grow.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) calls: AtomicU64,
    failures: AtomicU64,
    pub(crate) edits: AtomicU64,
    dropped_items: AtomicU64,
    routed_items: Mutex<BTreeMap<Arc<str>, u64>>,
    quarantined_items: AtomicU64,
    busy_ns: AtomicU64,
    /// Failures, batches of which it could not take all, and those that it did not see while off.
    troubles: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    error: Option<String>,
    line: Option<Duration>,
    unsaid: u64,
}

impl Account {
    pub(crate) fn busy(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.fetch_add(took, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, items: usize) {
        self.dropped_items
            .fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(crate) fn routed(&self, routed: BTreeMap<Arc<str>, u64>) {
        if routed.is_empty() {
            return;
        }
        let mut counts = self.routed_items();
        for (output, items) in routed {
            *counts.entry(output).or_default() += items;
        }
    }

    fn routed_items(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, u64>> {
        self.routed_items
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn quarantined(&self, items: usize) {
        self.quarantined_items
            .fetch_add(items as u64, Ordering::Relaxed);
    }

    /// Notes a failure. If somebody should be told now: how many went unsaid since the last time.
    pub(crate) fn failed(&self, words: &str, now: Duration) -> Option<u64> {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.noted(words, now)
    }

    /// As [`Account::failed`], for what is no failure of a batch.
    pub(crate) fn noted(&self, words: &str, now: Duration) -> Option<u64> {
        self.troubles.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.error = Some(words.to_owned());
        if last.line.is_some_and(|line| now < line + LINE_EVERY) {
            last.unsaid += 1;
            return None;
        }
        last.line = Some(now);
        Some(std::mem::take(&mut last.unsaid))
    }

    /// A batch met it while it was off.
    pub(crate) fn passed_by(&self) {
        self.troubles.fetch_add(1, Ordering::Relaxed);
    }

    /// How often anything went wrong, be it with a single record.
    pub(crate) fn troubles(&self) -> u64 {
        self.troubles.load(Ordering::Relaxed)
    }

    /// The counters; what else there is to say is the caller's.
    pub(crate) fn stats(&self) -> PluginStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        PluginStats {
            calls: load(&self.calls),
            failures: load(&self.failures),
            edits: load(&self.edits),
            dropped_items: load(&self.dropped_items),
            routed_items: {
                let counts = self.routed_items();
                let named = counts
                    .iter()
                    .map(|(name, items)| (name.to_string(), *items));
                named.collect()
            },
            quarantined_items: load(&self.quarantined_items),
            busy: Duration::from_nanos(load(&self.busy_ns)),
            last_error: last.error.clone(),
            ..PluginStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_failures_one_in_ten_seconds_is_told_with_the_number_of_the_others() {
        let account = Account::default();
        let told: Vec<_> = (0..25)
            .filter_map(|second| account.failed("it trapped", Duration::from_secs(second)))
            .collect();
        assert_eq!(told, [0, 9, 9]);
        assert_eq!(account.stats().failures, 25);
    }
}
