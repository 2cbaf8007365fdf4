//! What processors counted, as an OTLP metrics request of its own.
//!
//! A label whose key begins with `resource.` is an attribute of the resource, without the prefix: what
//! is counted of a service's spans belongs to that service. What has no such label belongs to the
//! agent. Each resource says which agent counted, since every stream has one writer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_wire::otlp::fields::{put_fixed64, put_len, put_message, put_varint, put_varint_field};
use petrel_wire::{Batch, Limits, Malformed, Signal, UnixNanos};

use crate::account::OwnMetric;
use crate::histogram::Histogram;
use crate::instruments::{Instrument, Kind};
use crate::meter::{Key, Meter, Point, Value};
use crate::processor::Processor;
use crate::steps::Steps;

const RESOURCE: &str = "resource.";
const OVERFLOW: &str = "otel.metric.overflow";
const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

/// Who counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teller {
    /// `service.name` of what is nobody else's.
    pub service: String,
    /// The agent's name for life, as the resource attribute `petrel.agent.id`.
    pub agent: String,
}

/// What one processor counted and nobody has been told yet. It is told ([`Telling::told`]) or put
/// back; let go of, it is put back.
#[derive(Debug)]
pub struct Telling {
    processor: String,
    batch: Batch,
    taken: Vec<(Key, Point)>,
    meter: Arc<Meter>,
}

impl Telling {
    /// Nothing, if nothing was recorded since the last telling.
    pub(crate) fn take(
        meter: &Arc<Meter>,
        processor: &str,
        (plugin, now): (&str, UnixNanos),
        teller: &Teller,
    ) -> Option<Self> {
        let taken = meter.take();
        if taken.is_empty() {
            return None;
        }
        match request(&taken, processor, plugin, now, teller) {
            Ok(batch) => Some(Self {
                processor: processor.to_owned(),
                batch,
                taken,
                meter: Arc::clone(meter),
            }),
            Err(error) => {
                tracing::error!(processor, %error, "what {processor} counted cannot be written");
                None
            }
        }
    }

    /// Who counted.
    pub fn processor(&self) -> &str {
        &self.processor
    }

    /// Its series, for tools that show them.
    pub fn series(&self) -> Vec<OwnMetric> {
        let series = self.taken.iter();
        series
            .map(|(key, point)| OwnMetric::new(key, &point.value))
            .collect()
    }

    /// The request, as the processor made it: those that follow it in the chain have not seen it.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// It is on its way, and durable.
    pub fn told(mut self) {
        self.taken.clear();
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.meter.put_back(std::mem::take(&mut self.taken));
    }
}

/// Meters of processors that are not in the chain any more. Batches that were on their way when they
/// went may still be counted.
#[derive(Debug, Default)]
pub(crate) struct Retired(Mutex<Vec<(String, String, Arc<Meter>)>>);

impl Retired {
    /// Those of `old` whose names are not in `new`.
    pub(crate) fn note(&self, old: &Steps, new: &Steps) {
        let is_gone = |one: &&Arc<Processor>| {
            let mut heirs = new.processors.iter();
            heirs.all(|heir| !Arc::ptr_eq(heir.meter(), one.meter()))
        };
        let gone = old.processors.iter().filter(is_gone);
        let meters = gone.map(|one| {
            let (name, plugin) = (one.name().to_owned(), one.plugin().to_owned());
            (name, plugin, Arc::clone(one.meter()))
        });
        self.meters().extend(meters);
    }

    pub(crate) fn tellings(&self, now: UnixNanos, teller: &Teller) -> Vec<Telling> {
        let mut meters = self.meters();
        let tellings = meters
            .iter()
            .filter_map(|(name, plugin, meter)| Telling::take(meter, name, (plugin, now), teller))
            .collect();
        // Whoever could still count holds it, and so does a telling that may yet be put back.
        meters.retain(|(_, _, meter)| Arc::strong_count(meter) > 1);
        tellings
    }

    fn meters(&self) -> MutexGuard<'_, Vec<(String, String, Arc<Meter>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Points of one resource, by instrument.
type Group<'a> = BTreeMap<&'a Instrument, Vec<(&'a Key, &'a Point)>>;

fn request(
    taken: &[(Key, Point)],
    processor: &str,
    plugin: &str,
    now: UnixNanos,
    teller: &Teller,
) -> Result<Batch, Malformed> {
    let mut resources: BTreeMap<Vec<(&str, &str)>, Group<'_>> = BTreeMap::new();
    for (key, point) in taken {
        let group = resources.entry(resource(key, teller)).or_default();
        let points = group.entry(key.instrument.as_ref()).or_default();
        points.push((key, point));
    }
    let mut out = Vec::new();
    for (attributes, group) in &resources {
        put_message(&mut out, 1, |out| {
            put_message(out, 1, |out| {
                for (key, text) in attributes {
                    put_attribute(out, 1, key, text);
                }
            });
            put_message(out, 2, |out| {
                put_message(out, 1, |out| {
                    let (name, version) = plugin.split_once(' ').unwrap_or((plugin, ""));
                    put_len(out, 1, name.as_bytes());
                    put_len(out, 2, version.as_bytes());
                    put_attribute(out, 3, "petrel.processor", processor);
                });
                for (instrument, points) in group {
                    put_message(out, 2, |out| put_metric(out, instrument, points, now));
                }
            });
        });
    }
    Batch::from_protobuf(Signal::Metrics, out.into(), &Limits::default())
}

/// The attributes of the resource that a series belongs to.
fn resource<'a>(key: &'a Key, teller: &'a Teller) -> Vec<(&'a str, &'a str)> {
    let given = key.instrument.labels.iter();
    let mut is_own = true;
    let mut attributes = Vec::new();
    for (at, label) in given.enumerate() {
        let Some(name) = label.strip_prefix(RESOURCE) else {
            continue;
        };
        // What is over the limit is of all services.
        let Some(labels) = &key.labels else {
            continue;
        };
        is_own = false;
        if let Some(Some(text)) = labels.get(at) {
            attributes.push((name, text.as_ref()));
        }
    }
    if is_own {
        attributes.push(("service.name", teller.service.as_str()));
    }
    attributes.push(("petrel.agent.id", teller.agent.as_str()));
    attributes
}

fn put_metric(
    out: &mut Vec<u8>,
    instrument: &Instrument,
    points: &[(&Key, &Point)],
    now: UnixNanos,
) {
    put_len(out, 1, instrument.name.as_bytes());
    put_len(out, 3, instrument.unit.as_bytes());
    let temporality = if instrument.is_delta() {
        DELTA
    } else {
        CUMULATIVE
    };
    let field = match instrument.kind {
        Kind::Gauge => 5,
        Kind::Counter | Kind::UpDownCounter => 7,
        Kind::Histogram => 10,
    };
    put_message(out, field, |out| {
        for (key, point) in points {
            put_message(out, 1, |out| put_point(out, key, point, now));
        }
        if instrument.kind != Kind::Gauge {
            put_varint_field(out, 2, temporality);
        }
        if instrument.kind == Kind::Counter {
            put_varint_field(out, 3, 1);
        }
    });
}

fn put_point(out: &mut Vec<u8>, key: &Key, point: &Point, now: UnixNanos) {
    let attributes = if matches!(point.value, Value::Histogram(_)) {
        1
    } else {
        7
    };
    match &key.labels {
        Some(labels) => {
            for (name, text) in key.instrument.labels.iter().zip(labels) {
                if let Some(text) = text.as_ref().filter(|_| !name.starts_with(RESOURCE)) {
                    put_attribute(out, attributes, name, text);
                }
            }
        }
        None => put_message(out, attributes, |out| {
            put_len(out, 1, OVERFLOW.as_bytes());
            put_message(out, 2, |out| put_varint_field(out, 2, 1));
        }),
    }
    // A clock that was set back makes an empty interval, not a negative one.
    put_fixed64(out, 2, point.since.0.min(now.0));
    put_fixed64(out, 3, now.0);
    match &point.value {
        Value::Sum(value) | Value::Last(value) => put_fixed64(out, 4, value.to_bits()),
        Value::Histogram(histogram) => put_distribution(out, histogram),
    }
}

fn put_distribution(out: &mut Vec<u8>, histogram: &Histogram) {
    put_fixed64(out, 4, histogram.count);
    put_fixed64(out, 5, histogram.sum.to_bits());
    put_varint_field(out, 6, zigzag(histogram.scale));
    put_fixed64(out, 7, histogram.zeros);
    put_message(out, 8, |out| {
        put_varint_field(out, 1, zigzag(histogram.offset));
        put_message(out, 2, |out| {
            for count in &histogram.counts {
                put_varint(out, *count);
            }
        });
    });
    put_fixed64(out, 12, histogram.min.to_bits());
    put_fixed64(out, 13, histogram.max.to_bits());
}

/// `sint32`.
fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)).cast_unsigned())
}

fn put_attribute(out: &mut Vec<u8>, field: u32, key: &str, text: &str) {
    put_message(out, field, |out| {
        put_len(out, 1, key.as_bytes());
        put_message(out, 2, |out| put_len(out, 1, text.as_bytes()));
    });
}
