//! How many different series and attribute keys a batch has: hashes of them, for sets.

use std::collections::HashSet;

use petrel_wire::otlp::view::{self, Attributes, MetricData};
use petrel_wire::{Batch, Signal};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What makes a series or a key another one, hashed.
pub(super) type Identity = u64;

/// What was found in a batch.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) series: HashSet<Identity>,
    pub(super) keys: HashSet<Identity>,
}

/// Looks through a batch; for series only if asked to.
pub(super) fn of(batch: &Batch, series: bool) -> Found {
    let mut found = Found::default();
    match batch.signal() {
        Signal::Traces => {
            for resource in view::traces(batch) {
                found.keys(resource.resource().attributes());
                let spans = resource.scopes().flat_map(|scope| scope.spans());
                spans.for_each(|span| found.keys(span.attributes()));
            }
        }
        Signal::Logs => {
            for resource in view::logs(batch) {
                found.keys(resource.resource().attributes());
                let records = resource.scopes().flat_map(|scope| scope.records());
                records.for_each(|record| found.keys(record.attributes()));
            }
        }
        Signal::Metrics => found.metrics(batch, series),
    }
    found
}

impl Found {
    fn keys(&mut self, attributes: Attributes<'_>) {
        for (key, _) in attributes {
            self.keys.insert(xxh3_64(key.as_bytes()));
        }
    }

    fn metrics(&mut self, batch: &Batch, series: bool) {
        for resource in view::metrics(batch) {
            self.keys(resource.resource().attributes());
            let whose = xxh3_64(resource.resource().bytes());
            for metric in resource.scopes().flat_map(|scope| scope.metrics()) {
                let of = xxh3_64_with_seed(metric.name().as_bytes(), whose);
                let mut point = |attributes: Attributes<'_>| {
                    self.keys(attributes);
                    if series {
                        self.series.insert(labels(of, attributes));
                    }
                };
                match metric.data() {
                    Some(MetricData::Gauge(data)) => {
                        data.points().for_each(|p| point(p.attributes()));
                    }
                    Some(MetricData::Sum(data)) => {
                        data.points().for_each(|p| point(p.attributes()));
                    }
                    Some(MetricData::Histogram(data)) => {
                        data.points().for_each(|p| point(p.attributes()));
                    }
                    Some(MetricData::Exponential(data)) => {
                        data.points().for_each(|p| point(p.attributes()));
                    }
                    Some(MetricData::Summary(data)) => {
                        data.points().for_each(|p| point(p.attributes()));
                    }
                    None => {}
                }
            }
        }
    }
}

/// The same whatever the order of labels.
fn labels(of: Identity, attributes: Attributes<'_>) -> Identity {
    let mut value_text = String::new();
    attributes.fold(of, |sum, (key, value)| {
        value_text.clear();
        value.write_json(&mut value_text);
        let key = xxh3_64_with_seed(key.as_bytes(), of);
        sum.wrapping_add(xxh3_64_with_seed(value_text.as_bytes(), key))
    })
}
