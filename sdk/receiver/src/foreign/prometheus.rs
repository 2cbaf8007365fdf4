//! Prometheus remote write (1.0 and 2.0) as OTLP metrics, by OpenTelemetry's specification of their
//! compatibility.
//!
//! Every series becomes a metric of its name, labels its attributes; `job` and `instance` say who
//! it is about and become the resource. What counts and what does not is told by metadata, which
//! comes with 2.0 but hardly ever with 1.0; without it, by the suffix of the name. Classic
//! histograms stay the series that they are; native ones become exponential histograms, or
//! histograms with bounds if theirs are custom. Stale markers say that a series has ended: they
//! are no values, and dropped.

mod histogram;
mod message;

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue};
use petrel_wire::Limits;
use petrel_wire::otlp::fields::{put_fixed64, put_varint_field};

use self::message::{Kind, Metadata, Series};
use super::otlp::{Groups, Scalar, attribute, message, text};
use crate::Refused;

/// Which of the two messages a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `prometheus.WriteRequest`
    One,
    /// `io.prometheus.write.v2.Request`
    Two,
}

/// What was in a request, for the headers of an answer to 2.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(super) samples: u64,
    pub(super) histograms: u64,
}

impl Written {
    /// Without these, a sender of 2.0 takes the answer for that of a receiver which only knows 1.0
    /// and has dropped everything.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        for (name, count) in [
            ("x-prometheus-remote-write-samples-written", self.samples),
            (
                "x-prometheus-remote-write-histograms-written",
                self.histograms,
            ),
            ("x-prometheus-remote-write-exemplars-written", 0),
        ] {
            headers.insert(name, HeaderValue::from(count));
        }
    }
}

/// The value that ends a series (`value.StaleNaN` of Prometheus); any other NaN is a value.
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// `AGGREGATION_TEMPORALITY_DELTA`
const DELTA: u64 = 1;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u64 = 2;

/// Whose series these are: job, instance, scope name, scope version.
type Origin<'a> = [&'a str; 4];

/// An export request with the series of `body`.
pub(super) fn translate(
    version: Version,
    body: &[u8],
    limits: &Limits,
) -> Result<(Vec<u8>, Written), Refused> {
    let request = message::Request::read(version, body)?;
    let mut groups = Groups::<Origin<'_>>::new();
    let mut written = Written::default();
    let mut index = 0_usize;
    request.each(limits, |series, metadata| {
        let name = series.label("__name__");
        if name.is_empty() {
            return Err(Refused::Malformed(format!(
                "series {index} has no label __name__"
            )));
        }
        index += 1;
        written.samples += series.samples.len() as u64;
        written.histograms += series.histograms.len() as u64;
        let labels = Labels(series);
        let about = About::new(name, metadata);
        let mut add = |points: usize, write: &dyn Fn(&mut Vec<u8>)| {
            if points == 0 {
                return Ok(());
            }
            let points = u32::try_from(points).unwrap_or(u32::MAX);
            groups.add(
                labels.origin(),
                points,
                limits,
                |resource, scope| labels.write_origin(resource, scope),
                |out| {
                    text(out, 1, name);
                    text(out, 2, about.help);
                    text(out, 3, about.unit);
                    write(out);
                },
            )
        };
        let live = || {
            series
                .samples
                .iter()
                .filter(|sample| sample.value.to_bits() != STALE)
        };
        add(live().count(), &|out| {
            let number = if about.counts { 7 } else { 5 };
            message(out, number, |out| {
                for sample in live() {
                    message(out, 1, |out| {
                        put_time(out, 2, if about.counts { sample.start_ms } else { 0 });
                        put_time(out, 3, sample.time_ms);
                        put_fixed64(out, 4, sample.value.to_bits());
                        labels.write_attributes(out, 7);
                    });
                }
                if about.counts {
                    put_varint_field(out, 2, CUMULATIVE);
                    put_varint_field(out, 3, 1);
                }
            });
        })?;
        for encoded in &series.histograms {
            let histogram = histogram::read(encoded)
                .map_err(|why| Refused::Malformed(format!("{name}: {why}")))?;
            let live = usize::from(histogram.sum.to_bits() != STALE);
            add(live, &|out| histogram.write(out, &labels))?;
        }
        Ok(())
    })?;
    Ok((groups.finish(), written))
}

/// Milliseconds since the epoch, as nanoseconds; before it there is no time.
fn put_time(out: &mut Vec<u8>, number: u32, millis: i64) {
    if let Ok(millis @ 1..) = u64::try_from(millis) {
        put_fixed64(out, number, millis.saturating_mul(1_000_000));
    }
}

/// The labels of a series by what they mean.
#[derive(Debug)]
struct Labels<'s, 'a>(&'s Series<'a>);

impl<'a> Labels<'_, 'a> {
    fn origin(&self) -> Origin<'a> {
        ["job", "instance", "otel_scope_name", "otel_scope_version"].map(|name| self.0.label(name))
    }

    fn write_origin(&self, resource: &mut Vec<u8>, scope: &mut Vec<u8>) {
        let [job, instance, name, version] = self.origin();
        // As exporters of OpenTelemetry write the job: namespace/name.
        let (namespace, service) = job.split_once('/').unwrap_or(("", job));
        for (key, value) in [
            ("service.namespace", namespace),
            ("service.name", service),
            ("service.instance.id", instance),
        ] {
            if !value.is_empty() {
                attribute(resource, 1, key, Scalar::Text(value));
            }
        }
        text(scope, 1, name);
        text(scope, 2, version);
    }

    fn write_attributes(&self, out: &mut Vec<u8>, number: u32) {
        for (name, value) in &self.0.labels {
            let told = matches!(
                *name,
                "__name__" | "job" | "instance" | "otel_scope_name" | "otel_scope_version"
            );
            if !told {
                attribute(out, number, name, Scalar::Text(value));
            }
        }
    }
}

/// What a metric is.
#[derive(Debug, PartialEq)]
struct About<'a> {
    /// Grows until it starts again.
    counts: bool,
    unit: &'a str,
    help: &'a str,
}

/// What classic histograms and summaries add to the name of their family.
const PARTS: [&str; 3] = ["_bucket", "_count", "_sum"];

impl<'a> About<'a> {
    fn new(name: &str, metadata: Metadata<'a>) -> Self {
        let part = PARTS.iter().find(|part| name.ends_with(**part));
        let counts = match metadata.kind {
            Kind::Counter => true,
            // The quantiles of a summary stand under its own name, and go up and down.
            Kind::Histogram | Kind::Summary => part.is_some(),
            Kind::Other => false,
            Kind::Unknown => part.is_some() || name.ends_with("_total"),
        };
        let unit = match part {
            // How many observations there were has no unit, whatever was observed.
            Some(&("_bucket" | "_count")) => "",
            _ => unit(metadata.unit)
                .or_else(|| unit(last_word(name)))
                .unwrap_or(metadata.unit),
        };
        Self {
            counts,
            unit,
            help: metadata.help,
        }
    }
}

fn last_word(name: &str) -> &str {
    let suffixes = ["_total", "_sum"];
    let name = suffixes
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    name.rsplit_once('_').map_or("", |(_, word)| word)
}

/// UCUM for the words that Prometheus asks for in names (OpenTelemetry, "Prometheus and
/// OpenMetrics Compatibility", "Unit").
fn unit(word: &str) -> Option<&'static str> {
    Some(match word {
        "seconds" => "s",
        "milliseconds" => "ms",
        "microseconds" => "us",
        "nanoseconds" => "ns",
        "minutes" => "min",
        "hours" => "h",
        "days" => "d",
        "bytes" => "By",
        "kibibytes" => "KiBy",
        "mebibytes" => "MiBy",
        "gibibytes" => "GiBy",
        "meters" => "m",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "watts" => "W",
        "grams" => "g",
        "celsius" => "Cel",
        "hertz" => "Hz",
        "ratio" => "1",
        "percent" => "%",
        _ => return None,
    })
}

/// Metadata by family, for 1.0, where it stands beside the series.
type Families<'a> = HashMap<&'a str, Metadata<'a>>;

#[cfg(test)]
mod tests;
