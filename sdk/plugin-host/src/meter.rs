//! What one processor counts, by instrument and labels, until it is told.
//!
//! There are so many series and no more; whatever else is recorded is one series a metric with the
//! attribute `otel.metric.overflow`. A series that nothing was recorded in for an hour makes room.
//! A meter belongs to a processor's name and outlives reloads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use petrel_wire::{Clock, UnixNanos};

use crate::histogram::Histogram;
use crate::instruments::{Audience, Instrument, Kind, Labels, Recorded};

/// Of one processor, all its instruments together.
const MOST_SERIES: usize = 1_000;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// The series of one processor.
#[derive(Debug)]
pub(crate) struct Meter {
    clock: Arc<dyn Clock>,
    series: Mutex<HashMap<Key, Series>>,
}

/// Labels are nothing for what has no place of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) instrument: Arc<Instrument>,
    pub(crate) labels: Option<Labels>,
}

#[derive(Debug)]
struct Series {
    point: Point,
    /// Recorded in since it was told.
    is_news: bool,
    last: Duration,
}

/// What a series has come to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// When it began to count.
    pub(crate) since: UnixNanos,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of all that was recorded.
    Sum(f64),
    /// The newest.
    Last(f64),
    Histogram(Histogram),
}

impl Value {
    fn none(kind: Kind) -> Self {
        match kind {
            Kind::Counter | Kind::UpDownCounter => Self::Sum(0.0),
            Kind::Gauge => Self::Last(0.0),
            Kind::Histogram => Self::Histogram(Histogram::default()),
        }
    }

    fn record(&mut self, value: f64) {
        match self {
            Self::Sum(sum) => *sum += value,
            Self::Last(last) => *last = value,
            Self::Histogram(histogram) => histogram.record(value),
        }
    }

    /// Puts what was taken before in front of what has been counted since.
    fn precede(&mut self, taken: &Self) {
        match (self, taken) {
            (Self::Sum(sum), Self::Sum(before)) => *sum += before,
            (Self::Histogram(now), Self::Histogram(before)) => now.merge(before),
            _ => {}
        }
    }
}

impl Meter {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            series: Mutex::default(),
        }
    }

    fn series(&self) -> MutexGuard<'_, HashMap<Key, Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, recorded: Vec<Recorded>) {
        let (now, wall) = (self.clock.monotonic(), self.clock.wall());
        let mut all = self.series();
        let placed = |all: &HashMap<Key, Series>| {
            let keys = all.keys();
            keys.filter(|key| key.labels.is_some()).count()
        };
        let mut taken = placed(&all);
        if taken >= MOST_SERIES {
            all.retain(|_, series| {
                series.is_news || now.saturating_sub(series.last) < FORGOTTEN_AFTER
            });
            taken = placed(&all);
        }
        for group in recorded {
            let mut key = Key {
                instrument: group.instrument,
                labels: Some(group.labels),
            };
            if !all.contains_key(&key) {
                if taken >= MOST_SERIES {
                    key.labels = None;
                } else {
                    taken += 1;
                }
            }
            let kind = key.instrument.kind;
            let series = all.entry(key).or_insert_with(|| Series {
                point: Point {
                    since: wall,
                    value: Value::none(kind),
                },
                is_news: false,
                last: now,
            });
            series.is_news = true;
            series.last = now;
            for value in group.values {
                series.point.value.record(value);
            }
        }
    }

    /// What was recorded as telemetry since the last time, in the order of instruments and labels.
    /// Sums and distributions begin anew; what goes up and down stays.
    pub(crate) fn take(&self) -> Vec<(Key, Point)> {
        let wall = self.clock.wall();
        let mut taken = Vec::new();
        for (key, series) in self.series().iter_mut() {
            if !series.is_news || key.instrument.audience != Audience::Telemetry {
                continue;
            }
            series.is_news = false;
            let point = series.point.clone();
            if key.instrument.is_delta() {
                series.point = Point {
                    since: wall,
                    value: Value::none(key.instrument.kind),
                };
            }
            taken.push((key.clone(), point));
        }
        taken.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        taken
    }

    /// What was taken could not be told: it will be, with what has come since.
    pub(crate) fn put_back(&self, taken: Vec<(Key, Point)>) {
        let now = self.clock.monotonic();
        let mut all = self.series();
        for (key, point) in taken {
            let is_delta = key.instrument.is_delta();
            match all.get_mut(&key) {
                Some(series) => {
                    series.is_news = true;
                    if is_delta {
                        series.point.since = point.since;
                        series.point.value.precede(&point.value);
                    }
                }
                None => {
                    let series = Series {
                        point,
                        is_news: true,
                        last: now,
                    };
                    all.insert(key, series);
                }
            }
        }
    }

    /// What the processor says about itself, since the start.
    pub(crate) fn own(&self) -> Vec<(Key, Value)> {
        let all = self.series();
        let own = all
            .iter()
            .filter(|(key, _)| key.instrument.audience == Audience::Operator);
        let mut own: Vec<_> = own
            .map(|(key, series)| (key.clone(), series.point.value.clone()))
            .collect();
        own.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        own
    }
}

impl Instrument {
    /// Whether each telling holds what came since the one before. The level of what goes up and down
    /// means nothing in pieces.
    pub(crate) fn is_delta(&self) -> bool {
        matches!(self.kind, Kind::Counter | Kind::Histogram)
    }
}

#[cfg(test)]
mod tests {
    use petrel_wire::SystemClock;

    use super::*;

    fn instrument(kind: Kind) -> Arc<Instrument> {
        Arc::new(Instrument {
            name: "calls".into(),
            unit: String::new(),
            kind,
            audience: Audience::Telemetry,
            labels: vec!["who".into()],
        })
    }

    fn recorded(instrument: &Arc<Instrument>, who: &str, values: &[f64]) -> Recorded {
        Recorded {
            instrument: Arc::clone(instrument),
            labels: vec![Some(who.into())],
            values: values.to_vec(),
        }
    }

    fn values(taken: &[(Key, Point)]) -> Vec<Value> {
        taken.iter().map(|(_, point)| point.value.clone()).collect()
    }

    #[test]
    fn sums_begin_anew_when_they_are_taken_and_levels_stay() {
        let meter = Meter::new(SystemClock::shared());
        for kind in [Kind::Counter, Kind::UpDownCounter, Kind::Gauge] {
            meter.count(vec![recorded(&instrument(kind), "a", &[1.0, 2.0])]);
        }
        let first = meter.take();
        assert_eq!(
            values(&first),
            [Value::Sum(3.0), Value::Sum(3.0), Value::Last(2.0)]
        );
        assert!(meter.take().is_empty());
        for kind in [Kind::Counter, Kind::UpDownCounter, Kind::Gauge] {
            meter.count(vec![recorded(&instrument(kind), "a", &[1.0])]);
        }
        let second = meter.take();
        assert_eq!(
            values(&second),
            [Value::Sum(1.0), Value::Sum(4.0), Value::Last(1.0)]
        );
        assert!(second[0].1.since >= first[0].1.since);
        assert_eq!(second[1].1.since, first[1].1.since);
    }

    #[test]
    fn what_could_not_be_told_is_told_once_with_what_came_since() {
        let meter = Meter::new(SystemClock::shared());
        let (counter, gauge) = (instrument(Kind::Counter), instrument(Kind::Gauge));
        let histogram = instrument(Kind::Histogram);
        let all = |value: f64| {
            [&counter, &gauge, &histogram]
                .map(|one| recorded(one, "a", &[value]))
                .into()
        };
        meter.count(all(1.0));
        let taken = meter.take();
        let since = taken[0].1.since;
        meter.count(all(5.0));
        meter.put_back(taken);
        let again = meter.take();
        assert_eq!(values(&again)[..2], [Value::Sum(6.0), Value::Last(5.0)]);
        assert_eq!(again[0].1.since, since);
        let Value::Histogram(both) = &again[2].1.value else {
            panic!("{again:?}");
        };
        assert_eq!((both.count, both.sum), (2, 6.0));
        assert!(meter.take().is_empty());
    }

    #[test]
    fn beyond_a_thousand_series_there_is_one_more_for_all_others() {
        let meter = Meter::new(SystemClock::shared());
        let counter = instrument(Kind::Counter);
        for who in 0..1_500 {
            meter.count(vec![recorded(&counter, &who.to_string(), &[1.0])]);
        }
        let taken = meter.take();
        assert_eq!(taken.len(), 1_001);
        let others: Vec<_> = taken
            .iter()
            .filter(|(key, _)| key.labels.is_none())
            .collect();
        assert_eq!(others[0].1.value, Value::Sum(500.0));
        // A place that is taken stays taken, told or not.
        meter.count(vec![recorded(&counter, "new", &[1.0])]);
        meter.count(vec![recorded(&counter, "7", &[1.0])]);
        assert_eq!(meter.take().len(), 2);
    }
}
