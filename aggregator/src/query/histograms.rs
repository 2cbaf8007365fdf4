//! Distributions: differences of cumulative histograms, sums of many, and percentiles of those.
//!
//! Explicit and exponential buckets become the same thing: counts between bounds. Merging keeps
//! every bound that any part had, so that series with different bounds can be drawn together; a
//! percentile is interpolated inside its bucket and never leaves what minimum and maximum allow.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Deserialize;

use crate::meaning::exponent::downscale;

/// A point of a histogram as stored.
#[derive(Clone, Debug, Default, PartialEq, Row, Deserialize)]
pub struct Distribution {
    /// Whose.
    pub id: u64,
    /// When, Unix nanoseconds.
    pub nanos: i64,
    /// Since when it counts, Unix nanoseconds.
    pub since: i64,
    /// Values.
    pub count: u64,
    /// Their sum.
    pub sum: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// Upper bounds of explicit buckets but the last.
    pub bounds: Vec<f64>,
    /// Counts of explicit buckets.
    pub bucket_counts: Vec<u64>,
    /// Of an exponential histogram.
    pub scale: i32,
    /// Values at zero.
    pub zero_count: u64,
    /// Index of the first positive bucket.
    pub positive_offset: i32,
    /// Counts of positive buckets.
    pub positive_counts: Vec<u64>,
    /// Index of the first negative bucket.
    pub negative_offset: i32,
    /// Counts of negative buckets.
    pub negative_counts: Vec<u64>,
}

impl Distribution {
    /// What was added between an earlier point of the same series and this one. Counts that went
    /// down mean a restart: then this point is all there is. Minimum and maximum are since the
    /// start and say nothing about the difference.
    #[must_use]
    pub fn since_then(&self, before: &Self) -> Self {
        // A recorder whose values spread goes to a coarser scale and counts on.
        if self.scale < before.scale {
            return self.since_then(&before.coarser(self.scale));
        }
        // It never goes back to a finer one without starting again.
        let other_shape = self.bounds != before.bounds
            || self.scale != before.scale
            || self.bucket_counts.len() != before.bucket_counts.len();
        if other_shape || self.count < before.count {
            return self.clone();
        }
        Self {
            count: self.count - before.count,
            sum: self.sum.zip(before.sum).map(|(now, then)| now - then),
            min: None,
            max: None,
            bucket_counts: minus(&self.bucket_counts, &before.bucket_counts),
            zero_count: self.zero_count.saturating_sub(before.zero_count),
            positive_counts: minus_from(
                (self.positive_offset, &self.positive_counts),
                (before.positive_offset, &before.positive_counts),
            ),
            negative_counts: minus_from(
                (self.negative_offset, &self.negative_counts),
                (before.negative_offset, &before.negative_counts),
            ),
            ..self.clone()
        }
    }
}

impl Distribution {
    /// The same counts in wider exponential buckets.
    #[must_use]
    fn coarser(&self, scale: i32) -> Self {
        let by = u32::try_from(self.scale.saturating_sub(scale)).unwrap_or(0);
        let positive = downscale(self.positive_offset, &self.positive_counts, by);
        let negative = downscale(self.negative_offset, &self.negative_counts, by);
        Self {
            scale,
            positive_offset: positive.0,
            positive_counts: positive.1,
            negative_offset: negative.0,
            negative_counts: negative.1,
            ..self.clone()
        }
    }

    fn is_exponential(&self) -> bool {
        !self.positive_counts.is_empty() || !self.negative_counts.is_empty()
    }
}

fn minus(now: &[u64], then: &[u64]) -> Vec<u64> {
    now.iter()
        .zip(then)
        .map(|(now, then)| now.saturating_sub(*then))
        .collect()
}

/// The sum of two exponential histograms, at the coarser of their scales.
fn together(one: &Distribution, other: &Distribution) -> Distribution {
    let scale = one.scale.min(other.scale);
    let (one, other) = (one.coarser(scale), other.coarser(scale));
    let positive = plus(
        (one.positive_offset, &one.positive_counts),
        (other.positive_offset, &other.positive_counts),
    );
    let negative = plus(
        (one.negative_offset, &one.negative_counts),
        (other.negative_offset, &other.negative_counts),
    );
    Distribution {
        scale,
        positive_offset: positive.0,
        positive_counts: positive.1,
        negative_offset: negative.0,
        negative_counts: negative.1,
        ..Distribution::default()
    }
}

/// Buckets further apart than this are somebody's mistake, and would only fill memory.
const MOST_BUCKETS: i64 = 1 << 16;

fn plus((offset, one): (i32, &[u64]), (other_offset, other): (i32, &[u64])) -> (i32, Vec<u64>) {
    if one.is_empty() {
        return (other_offset, other.to_vec());
    }
    let first = if other.is_empty() {
        offset
    } else {
        offset.min(other_offset)
    };
    let mut sum = Vec::new();
    for (offset, counts) in [(offset, one), (other_offset, other)] {
        for (index, count) in (i64::from(offset) - i64::from(first)..MOST_BUCKETS).zip(counts) {
            let at = usize::try_from(index).unwrap_or(0);
            if sum.len() <= at {
                sum.resize(at + 1, 0);
            }
            sum[at] += count;
        }
    }
    (first, sum)
}

fn minus_from((offset, now): (i32, &[u64]), (before, then): (i32, &[u64])) -> Vec<u64> {
    let shift = i64::from(offset) - i64::from(before);
    (0..)
        .zip(now)
        .map(|(index, count)| {
            let earlier = usize::try_from(index + shift)
                .ok()
                .and_then(|index| then.get(index));
            count.saturating_sub(earlier.copied().unwrap_or(0))
        })
        .collect()
}

/// Orders doubles by value, as a key of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Many points in one.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// Counts by (lower, upper) bound.
    buckets: BTreeMap<(Bound, Bound), u64>,
    /// Exponential buckets at the coarsest scale of any part: what is added there stays exact,
    /// and no two buckets overlap.
    exponential: Option<Distribution>,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

impl Merged {
    /// Adds a point.
    pub fn add(&mut self, point: &Distribution) {
        let first = self.count == 0 && self.buckets.is_empty() && self.exponential.is_none();
        self.count += point.count;
        self.sum = if first {
            point.sum
        } else {
            self.sum.zip(point.sum).map(|(a, b)| a + b)
        };
        self.min = best(first, self.min, point.min, f64::min);
        self.max = best(first, self.max, point.max, f64::max);
        let mut put = |lower: f64, upper: f64, count: u64| {
            if count > 0 && !lower.is_nan() && !upper.is_nan() {
                *self
                    .buckets
                    .entry((Bound(lower), Bound(upper)))
                    .or_default() += count;
            }
        };
        for (index, count) in point.bucket_counts.iter().enumerate() {
            let lower = match index.checked_sub(1) {
                Some(before) => point.bounds.get(before).copied().unwrap_or(f64::INFINITY),
                None => f64::NEG_INFINITY,
            };
            let upper = point.bounds.get(index).copied().unwrap_or(f64::INFINITY);
            put(lower, upper, *count);
        }
        put(0.0, 0.0, point.zero_count);
        if point.is_exponential() {
            self.exponential = Some(match self.exponential.take() {
                None => point.clone(),
                Some(so_far) => together(&so_far, point),
            });
        }
    }

    /// Every bucket that has counts, by its bounds.
    fn all(&self) -> BTreeMap<(Bound, Bound), u64> {
        let mut all = self.buckets.clone();
        let Some(point) = &self.exponential else {
            return all;
        };
        // Bucket i holds values above base^i up to base^(i+1), base = 2^(2^-scale).
        let bound = |index: i64| (index as f64 * (-f64::from(point.scale)).exp2()).exp2();
        let mut put = |lower: f64, upper: f64, count: u64| {
            if count > 0 && !lower.is_nan() && !upper.is_nan() {
                *all.entry((Bound(lower), Bound(upper))).or_default() += count;
            }
        };
        for (index, count) in (i64::from(point.positive_offset)..).zip(&point.positive_counts) {
            put(bound(index), bound(index + 1), *count);
        }
        for (index, count) in (i64::from(point.negative_offset)..).zip(&point.negative_counts) {
            put(-bound(index + 1), -bound(index), *count);
        }
        all
    }

    /// Values.
    pub fn count(&self) -> f64 {
        self.count as f64
    }

    /// Their sum, if every part knew its own.
    pub fn sum(&self) -> Option<f64> {
        self.sum
    }

    /// Their mean.
    pub fn mean(&self) -> Option<f64> {
        self.sum
            .filter(|_| self.count > 0)
            .map(|sum| sum / self.count())
    }

    /// The smallest; the lower edge of the lowest bucket where nobody noted it.
    pub fn min(&self) -> Option<f64> {
        self.min.or_else(|| {
            self.all()
                .keys()
                .next()
                .map(|(lower, upper)| finite(*lower, *upper))
        })
    }

    /// The largest; the upper edge of the highest bucket where nobody noted it.
    pub fn max(&self) -> Option<f64> {
        self.max.or_else(|| {
            self.all()
                .keys()
                .next_back()
                .map(|(lower, upper)| finite(*upper, *lower))
        })
    }

    /// The value below which the share `q` lies.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let buckets = self.all();
        let total: u64 = buckets.values().sum();
        if total == 0 {
            return None;
        }
        let wanted = q * total as f64;
        let mut below = 0.0;
        for ((lower, upper), count) in &buckets {
            let count = *count as f64;
            if below + count >= wanted {
                let lower_edge = self
                    .min
                    .filter(|_| lower.0.is_infinite())
                    .unwrap_or(lower.0);
                let upper_edge = self
                    .max
                    .filter(|_| upper.0.is_infinite())
                    .unwrap_or(upper.0);
                let value = match (lower_edge.is_finite(), upper_edge.is_finite()) {
                    (true, true) => {
                        lower_edge + (upper_edge - lower_edge) * ((wanted - below) / count)
                    }
                    // Open-ended, and nobody noted how far it reaches: its known edge.
                    (true, false) => lower_edge,
                    (false, true) => upper_edge,
                    (false, false) => self.mean()?,
                };
                let value = self.min.map_or(value, |min| value.max(min));
                return Some(self.max.map_or(value, |max| value.min(max)));
            }
            below += count;
        }
        self.max()
    }
}

fn best(first: bool, a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64) -> Option<f64> {
    if first {
        b
    } else {
        a.zip(b).map(|(a, b)| pick(a, b))
    }
}

fn finite(edge: Bound, other: Bound) -> f64 {
    if edge.0.is_finite() { edge.0 } else { other.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(bounds: &[f64], counts: &[u64]) -> Distribution {
        Distribution {
            count: counts.iter().sum(),
            bounds: bounds.to_vec(),
            bucket_counts: counts.to_vec(),
            ..Distribution::default()
        }
    }

    fn merged(points: &[Distribution]) -> Merged {
        let mut merged = Merged::default();
        for point in points {
            merged.add(point);
        }
        merged
    }

    #[test]
    fn a_percentile_lies_inside_its_bucket() {
        let one = merged(&[explicit(&[10.0, 20.0, 30.0], &[0, 100, 100, 0])]);
        assert_eq!(one.quantile(0.5), Some(20.0));
        assert_eq!(one.quantile(0.25), Some(15.0));
        assert_eq!(one.quantile(1.0), Some(30.0));
    }

    #[test]
    fn the_open_ended_bucket_ends_where_the_maximum_says() {
        let mut point = explicit(&[10.0], &[0, 100]);
        assert_eq!(merged(&[point.clone()]).quantile(0.99), Some(10.0));
        point.max = Some(1000.0);
        let value = merged(&[point]).quantile(0.99).unwrap();
        assert!((value - 990.1).abs() < 1e-9, "{value}");
    }

    #[test]
    fn exponential_buckets_are_within_their_error() {
        // A thousand values of 100 at scale 3: base 2^(1/8), index floor(log2(100) * 8) = 53.
        let point = Distribution {
            count: 1000,
            scale: 3,
            positive_offset: 53,
            positive_counts: vec![1000],
            ..Distribution::default()
        };
        let value = merged(&[point]).quantile(0.5).unwrap();
        assert!((value / 100.0 - 1.0).abs() < 0.09, "{value}");
    }

    #[test]
    fn negative_and_zero_values_come_first() {
        let point = Distribution {
            count: 4,
            scale: 0,
            zero_count: 1,
            positive_offset: 0,
            positive_counts: vec![1],
            negative_offset: 0,
            negative_counts: vec![1, 1],
            ..Distribution::default()
        };
        let one = merged(&[point]);
        assert_eq!(one.min(), Some(-4.0));
        assert_eq!(one.quantile(0.75), Some(0.0));
        assert_eq!(one.max(), Some(2.0));
    }

    #[test]
    fn the_difference_of_two_cumulative_points_is_what_came_between() {
        let then = Distribution {
            sum: Some(10.0),
            max: Some(9.0),
            ..explicit(&[10.0], &[1, 2])
        };
        let now = Distribution {
            sum: Some(25.0),
            max: Some(9.0),
            ..explicit(&[10.0], &[4, 2])
        };
        let between = now.since_then(&then);
        assert_eq!(
            (between.count, between.sum, between.max),
            (3, Some(15.0), None)
        );
        assert_eq!(between.bucket_counts, [3, 0]);
        assert_eq!(then.since_then(&now), then, "a restart counts from zero");
    }

    #[test]
    fn exponential_points_whose_window_moved_are_aligned() {
        let point = |offset, counts: &[u64]| Distribution {
            count: counts.iter().sum(),
            positive_offset: offset,
            positive_counts: counts.to_vec(),
            ..Distribution::default()
        };
        let between = point(-1, &[1, 2, 5]).since_then(&point(0, &[2, 3]));
        assert_eq!(between.positive_counts, [1, 0, 2]);
    }

    #[test]
    fn series_with_other_bounds_are_added_up_without_loss() {
        let both = merged(&[explicit(&[10.0], &[5, 0]), explicit(&[20.0], &[0, 5])]);
        assert!((both.count() - 10.0).abs() < f64::EPSILON);
        assert_eq!(both.quantile(0.5), Some(10.0));
    }

    #[test]
    fn a_recorder_that_goes_to_a_coarser_scale_has_not_started_again() {
        let point = |scale, offset, counts: &[u64]| Distribution {
            count: counts.iter().sum(),
            scale,
            positive_offset: offset,
            positive_counts: counts.to_vec(),
            ..Distribution::default()
        };
        let then = point(1, 2, &[1, 2, 3, 4]);
        let now = point(0, 1, &[3, 7, 5]);
        let between = now.since_then(&then);
        assert_eq!((between.count, between.positive_counts), (5, vec![0, 0, 5]));
    }

    #[test]
    fn exponential_histograms_of_two_scales_add_up_without_overlapping_buckets() {
        let point = |scale, offset, counts: &[u64]| Distribution {
            count: counts.iter().sum(),
            scale,
            positive_offset: offset,
            positive_counts: counts.to_vec(),
            ..Distribution::default()
        };
        // (4, 16] four times in buckets of half an octave, (2, 8] twice in octaves.
        let both = merged(&[point(1, 4, &[1, 1, 1, 1]), point(0, 1, &[1, 1])]);
        assert_eq!(both.quantile(1.0), Some(16.0));
        // Octaves hold 1, 3 and 2: half of all lies two thirds into the second.
        let median = both.quantile(0.5).unwrap();
        assert!((median - (4.0 + 4.0 * 2.0 / 3.0)).abs() < 1e-9, "{median}");
    }
}
