//! Native histograms: exponential buckets, or custom bounds, written as spans and deltas.

use petrel_wire::otlp::fields::{Wire, put_fixed64, put_len, put_varint, put_varint_field};

use super::{CUMULATIVE, DELTA, Labels, put_time};
use crate::Refused;
use crate::foreign::otlp::message;
use crate::foreign::protobuf::{doubles, each, varints};

/// Buckets of one side. Scrapers ask for some hundreds; gaps between spans are filled with zeros,
/// so this bounds what a few bytes can ask for.
const MOST_BUCKETS: usize = 16_384;

/// The schema of a histogram with bounds of its own.
const CUSTOM: i64 = -53;

/// Neither a sum that grows nor one number: a picture of the moment.
const GAUGE: u64 = 3;

#[derive(Debug, Default)]
pub(super) struct Histogram {
    pub(super) sum: f64,
    count: u64,
    schema: i64,
    zero_threshold: f64,
    zero_count: u64,
    negative: Side,
    positive: Side,
    bounds: Vec<f64>,
    reset_hint: u64,
    time_ms: i64,
    start_ms: i64,
}

/// The buckets of one side, as they travel.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<(i64, usize)>,
    counts: Vec<u64>,
    /// The last count: whole numbers travel as differences.
    last: i64,
}

/// Reads a message `Histogram`, which both versions share.
pub(super) fn read(encoded: &[u8]) -> Result<Histogram, Refused> {
    let mut histogram = Histogram::default();
    each(encoded, |number, value| {
        let h = &mut histogram;
        match (number, value) {
            (1, Wire::Varint(count)) => h.count = count,
            (2, Wire::Fixed64(bits)) => h.count = whole(f64::from_bits(bits))?,
            (3, Wire::Fixed64(bits)) => h.sum = f64::from_bits(bits),
            (4, Wire::Varint(schema)) => h.schema = unzigzag(schema),
            (5, Wire::Fixed64(bits)) => h.zero_threshold = f64::from_bits(bits),
            (6, Wire::Varint(count)) => h.zero_count = count,
            (7, Wire::Fixed64(bits)) => h.zero_count = whole(f64::from_bits(bits))?,
            (8, Wire::Len(span)) => h.negative.span(span)?,
            (9, deltas) => h.negative.deltas(deltas)?,
            (10, counts) => h.negative.floats(counts)?,
            (11, Wire::Len(span)) => h.positive.span(span)?,
            (12, deltas) => h.positive.deltas(deltas)?,
            (13, counts) => h.positive.floats(counts)?,
            (14, Wire::Varint(hint)) => h.reset_hint = hint,
            (15, Wire::Varint(millis)) => h.time_ms = millis.cast_signed(),
            (16, bounds) => doubles(bounds, |bound| h.bounds.push(bound))?,
            (17, Wire::Varint(millis)) => h.start_ms = millis.cast_signed(),
            _ => {}
        }
        few(h.bounds.len())
    })?;
    // Checked here, so that writing cannot fail.
    histogram.positive.dense()?;
    histogram.negative.dense()?;
    if histogram.schema == CUSTOM {
        let (first, counts) = histogram.positive.dense()?;
        let end = usize::try_from(first).map(|first| first.saturating_add(counts.len()));
        if end.is_err() || end.is_ok_and(|end| end > histogram.bounds.len() + 1) {
            return Err(malformed("a bucket beyond the custom bounds"));
        }
    } else if !(-10..=20).contains(&histogram.schema) {
        return Err(malformed(&format!(
            "schema {} of a native histogram is not known here",
            histogram.schema
        )));
    }
    Ok(histogram)
}

impl Histogram {
    /// Writes the `data` of a `Metric` with one point.
    pub(super) fn write(&self, out: &mut Vec<u8>, labels: &Labels<'_, '_>) {
        let temporality = if self.reset_hint == GAUGE {
            DELTA
        } else {
            CUMULATIVE
        };
        let number = if self.schema == CUSTOM { 9 } else { 10 };
        message(out, number, |out| {
            message(out, 1, |out| {
                if self.schema == CUSTOM {
                    self.write_bounds(out, labels);
                } else {
                    self.write_exponential(out, labels);
                }
            });
            put_varint_field(out, 2, temporality);
        });
    }

    fn write_bounds(&self, out: &mut Vec<u8>, labels: &Labels<'_, '_>) {
        put_time(out, 2, self.start_ms);
        put_time(out, 3, self.time_ms);
        put_fixed64(out, 4, self.count);
        put_fixed64(out, 5, self.sum.to_bits());
        let (first, counts) = self.positive.dense().unwrap_or_default();
        let first = usize::try_from(first).unwrap_or(0);
        message(out, 6, |out| {
            for bucket in 0..=self.bounds.len() {
                let count = bucket
                    .checked_sub(first)
                    .and_then(|index| counts.get(index));
                out.extend_from_slice(&count.copied().unwrap_or(0).to_le_bytes());
            }
        });
        message(out, 7, |out| {
            for bound in &self.bounds {
                out.extend_from_slice(&bound.to_le_bytes());
            }
        });
        labels.write_attributes(out, 9);
    }

    fn write_exponential(&self, out: &mut Vec<u8>, labels: &Labels<'_, '_>) {
        labels.write_attributes(out, 1);
        put_time(out, 2, self.start_ms);
        put_time(out, 3, self.time_ms);
        put_fixed64(out, 4, self.count);
        put_fixed64(out, 5, self.sum.to_bits());
        put_varint_field(out, 6, zigzag(self.schema));
        put_fixed64(out, 7, self.zero_count);
        for (number, side) in [(8, &self.positive), (9, &self.negative)] {
            let (first, counts) = side.dense().unwrap_or_default();
            if counts.is_empty() {
                continue;
            }
            let mut packed = Vec::with_capacity(counts.len());
            for count in &counts {
                put_varint(&mut packed, *count);
            }
            message(out, number, |out| {
                // Bucket i ends at base^i there and begins at base^i here.
                put_varint_field(out, 1, zigzag(first - 1));
                put_len(out, 2, &packed);
            });
        }
        put_fixed64(out, 14, self.zero_threshold.to_bits());
    }
}

impl Side {
    fn span(&mut self, encoded: &[u8]) -> Result<(), Refused> {
        let (mut offset, mut length) = (0, 0);
        each(encoded, |number, value| {
            match (number, value) {
                (1, Wire::Varint(value)) => {
                    offset = unzigzag(value);
                    // A sint32; further away there is no bucket.
                    i32::try_from(offset).map_err(|_| malformed("an offset beyond 32 bits"))?;
                }
                (2, Wire::Varint(value)) => length = usize::try_from(value).unwrap_or(usize::MAX),
                _ => {}
            }
            Ok(())
        })?;
        self.spans.push((offset, length));
        few(self.spans.len())
    }

    fn deltas(&mut self, deltas: Wire<'_>) -> Result<(), Refused> {
        let mut odd = false;
        varints(deltas, |delta| {
            self.last = self.last.saturating_add(unzigzag(delta));
            odd |= self.last < 0;
            self.counts.push(u64::try_from(self.last).unwrap_or(0));
        })?;
        if odd {
            return Err(malformed("a bucket with fewer than no observations"));
        }
        few(self.counts.len())
    }

    fn floats(&mut self, counts: Wire<'_>) -> Result<(), Refused> {
        let mut odd = Ok(());
        doubles(counts, |count| match whole(count) {
            Ok(count) => self.counts.push(count),
            Err(why) => odd = Err(why),
        })?;
        odd?;
        few(self.counts.len())
    }

    /// Index of the first bucket, and the counts from there on without gaps.
    fn dense(&self) -> Result<(i64, Vec<u64>), Refused> {
        let mut counts = self.counts.iter();
        let mut dense = Vec::new();
        let first = self.spans.first().map_or(0, |(offset, _)| *offset);
        for (index, (offset, length)) in self.spans.iter().enumerate() {
            let gap = if index == 0 {
                0
            } else {
                usize::try_from(*offset).unwrap_or(usize::MAX)
            };
            few(dense.len().saturating_add(gap).saturating_add(*length))?;
            dense.resize(dense.len() + gap, 0);
            for _ in 0..*length {
                let count = counts.next();
                dense.push(*count.ok_or_else(|| malformed("fewer buckets than its spans say"))?);
            }
        }
        if counts.next().is_some() {
            return Err(malformed("more buckets than its spans say"));
        }
        Ok((first, dense))
    }
}

fn few(buckets: usize) -> Result<(), Refused> {
    if buckets > MOST_BUCKETS {
        return Err(malformed(&format!("more than {MOST_BUCKETS} buckets")));
    }
    Ok(())
}

/// Counts of recording rules may be fractions; what OTLP counts are whole observations.
fn whole(count: f64) -> Result<u64, Refused> {
    // A stale histogram has this for its count as well.
    if count.is_nan() {
        return Ok(0);
    }
    if !(0.0..1.8e19).contains(&count) {
        return Err(malformed("a count that is not one"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range"
    )]
    Ok(count.round() as u64)
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn malformed(words: &str) -> Refused {
    Refused::Malformed(format!("a native histogram: {words}"))
}
