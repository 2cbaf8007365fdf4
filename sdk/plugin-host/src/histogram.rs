//! A distribution over buckets whose bounds grow exponentially, as OpenTelemetry defines them.
//!
//! It begins as fine as it can be and becomes coarser when its buckets no longer suffice, so a few
//! hundred bytes hold any range of values with an error of a few per cent.

/// What OpenTelemetry's SDKs use; with it a range of three decimal orders is known to 2.2 %.
const MOST_BUCKETS: i64 = 160;
const FINEST: i32 = 20;
const COARSEST: i32 = -10;

/// Values from zero up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) zeros: u64,
    /// Bounds are powers of `2^(2^-scale)`.
    pub(crate) scale: i32,
    /// Of the first bucket; bucket `i` is `(base^i, base^(i+1)]`.
    pub(crate) offset: i32,
    pub(crate) counts: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zeros: 0,
            scale: FINEST,
            offset: 0,
            counts: Vec::new(),
        }
    }
}

impl Histogram {
    /// Counts a value, which is finite and not below zero.
    pub(crate) fn record(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value == 0.0 {
            self.zeros += 1;
            return;
        }
        let index = index(value, self.scale);
        let by = self.reach(index, index);
        self.add(index >> by, 1);
    }

    /// Counts what another one has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zeros += other.zeros;
        if other.counts.is_empty() {
            return;
        }
        if self.scale > other.scale {
            self.coarsen(self.scale.abs_diff(other.scale));
        }
        let by = other.scale.abs_diff(self.scale);
        let (first, last) = other.range();
        let more = self.reach(first >> by, last >> by);
        for (index, count) in (other.offset..).zip(&other.counts) {
            self.add(index >> (by + more), *count);
        }
    }

    fn range(&self) -> (i32, i32) {
        let length = i32::try_from(self.counts.len()).unwrap_or(i32::MAX);
        (self.offset, self.offset.saturating_add(length - 1))
    }

    /// Becomes so coarse that buckets `first` to `last` have room: how many times two became one.
    fn reach(&mut self, mut first: i32, mut last: i32) -> u32 {
        if !self.counts.is_empty() {
            let own = self.range();
            (first, last) = (first.min(own.0), last.max(own.1));
        }
        let mut by = 0_u32;
        while i64::from(last) - i64::from(first) >= MOST_BUCKETS
            && self.scale - by.cast_signed() > COARSEST
        {
            (first, last) = (first >> 1, last >> 1);
            by += 1;
        }
        self.coarsen(by);
        by
    }

    fn coarsen(&mut self, by: u32) {
        if by == 0 {
            return;
        }
        self.scale -= by.cast_signed();
        let (offset, counts) = (self.offset, std::mem::take(&mut self.counts));
        for (index, count) in (offset..).zip(counts) {
            self.add(index >> by, count);
        }
    }

    fn add(&mut self, index: i32, count: u64) {
        if self.counts.is_empty() {
            self.offset = index;
        }
        if index < self.offset {
            let missing = self.offset.abs_diff(index) as usize;
            drop(self.counts.splice(..0, std::iter::repeat_n(0, missing)));
            self.offset = index;
        }
        let at = index.abs_diff(self.offset) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += count;
    }
}

/// The bucket of a value above zero.
#[expect(clippy::cast_possible_truncation, reason = "at most 1,075 * 2^20")]
fn index(value: f64, scale: i32) -> i32 {
    // Those below have lost their precision anyway.
    let value = value.max(f64::MIN_POSITIVE);
    let bits = value.to_bits();
    let exponent = (bits >> 52) as i32 - 1_023;
    let is_power = bits << 12 == 0;
    // A bound belongs to the bucket below it.
    if scale <= 0 {
        return (exponent - i32::from(is_power)) >> -scale;
    }
    if is_power {
        return (exponent << scale) - 1;
    }
    (value.log2() * f64::from(scale).exp2()).ceil() as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    /// Every value lies in a bucket whose bounds enclose it.
    fn holds(histogram: &Histogram, values: &[f64]) {
        // In octaves, since the powers themselves are too large and too small.
        let width = f64::from(-histogram.scale).exp2();
        let mut counts = vec![0; histogram.counts.len()];
        for value in values.iter().filter(|value| **value > 0.0) {
            let at = (0..counts.len()).find(|at| {
                let low = f64::from(histogram.offset + i32::try_from(*at).unwrap()) * width;
                let octaves = value.log2();
                // Bounds are as exact as a double.
                low - 1e-9 <= octaves && octaves <= low + width + 1e-9
            });
            counts[at.unwrap_or_else(|| panic!("{value} in {histogram:?}"))] += 1;
        }
        assert_eq!(
            counts.iter().sum::<u64>(),
            histogram.counts.iter().sum::<u64>()
        );
        assert!(histogram.counts.len() <= 160);
    }

    #[test]
    fn bounds_are_powers_and_belong_to_the_bucket_below() {
        assert_eq!(index(1.0, 0), -1);
        assert_eq!(index(1.5, 0), 0);
        assert_eq!(index(2.0, 0), 0);
        assert_eq!(index(4.0, 1), 3);
        assert_eq!(index(4.1, 1), 4);
        assert_eq!(index(0.3, -1), -1);
        assert_eq!(index(8.0, -1), 1);
        assert_eq!(index(f64::from_bits(1), 0), -1_023);
    }

    #[test]
    fn any_range_of_values_fits_and_a_narrow_one_is_known_well() {
        let narrow: Vec<_> = (0..1_000).map(|n| 0.1 + f64::from(n) * 1e-5).collect();
        let histogram = of(narrow.iter().copied());
        holds(&histogram, &narrow);
        assert!(histogram.scale >= 9, "{}", histogram.scale);
        let wide = [0.0, f64::MIN_POSITIVE, 1e-9, 1.0, 3.5, 1e300, f64::MAX];
        let histogram = of(wide);
        holds(&histogram, &wide);
        assert_eq!((histogram.count, histogram.zeros), (7, 1));
        assert_eq!((histogram.min, histogram.max), (0.0, f64::MAX));
    }

    #[test]
    fn two_halves_make_the_whole_in_any_order() {
        let values: Vec<_> = (1..500).map(|n| f64::from(n * n) * 1e-4).collect();
        let whole = of(values.iter().copied());
        let (one, other) = values.split_at(20);
        let (one, other) = (of(one.iter().copied()), of(other.iter().copied()));
        for (first, second) in [(&one, &other), (&other, &one)] {
            let mut both = first.clone();
            both.merge(second);
            assert_eq!((both.scale, both.offset), (whole.scale, whole.offset));
            assert_eq!(both.counts, whole.counts);
            assert_eq!((both.count, both.max), (whole.count, whole.max));
        }
        let mut none = Histogram::default();
        none.merge(&whole);
        none.merge(&Histogram::default());
        assert_eq!(none, whole);
    }
}
