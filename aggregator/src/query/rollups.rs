//! Which rollup answers a question, and percentiles from what it counts.

use super::{NANOS_PER_S, Table, Window};

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 3600;

/// How coarsely groups are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `group_minutes`
    Minutes,
    /// `group_five_minutes`
    FiveMinutes,
    /// `group_hours`
    Hours,
}

impl Level {
    /// The coarsest one that fits: a window may be that of whole steps, and what this adds at its
    /// begin is at most one part in seventy.
    pub fn of(window: Window) -> Self {
        let seconds = (window.to - window.from) / NANOS_PER_S;
        if seconds >= 72 * HOUR_S {
            Self::Hours
        } else if seconds >= 6 * HOUR_S {
            Self::FiveMinutes
        } else {
            Self::Minutes
        }
    }

    /// The same, and nothing for a window so short that whole minutes would not do.
    pub fn if_long(window: Window) -> Option<Self> {
        let seconds = (window.to - window.from) / NANOS_PER_S;
        (seconds >= 30 * MINUTE_S).then(|| Self::of(window))
    }

    /// For whoever wants to know where an answer comes from.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minutes => "minutes",
            Self::FiveMinutes => "five_minutes",
            Self::Hours => "hours",
        }
    }

    pub(super) fn table(self) -> Table {
        Table::Groups(self)
    }

    /// Seconds of a step.
    pub(super) fn step_s(self) -> i64 {
        match self {
            Self::Minutes => MINUTE_S,
            Self::FiveMinutes => 300,
            Self::Hours => HOUR_S,
        }
    }
}

/// A percentile in nanoseconds, from counts by exponential bucket at scale 3: bucket `i` holds what
/// is above `2^(i/8)` and up to `2^((i+1)/8)`. Within its bucket it is interpolated, so that it is
/// at most 9 % off. `None` where nothing was counted.
#[expect(clippy::cast_precision_loss, reason = "a percentile is an estimate")]
pub fn quantile(buckets: &[(i16, u64)], q: f64, longest: u64) -> Option<f64> {
    let mut buckets = buckets.to_vec();
    buckets.sort_unstable();
    let total: u64 = buckets.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return None;
    }
    let rank = q.clamp(0.0, 1.0) * total as f64;
    let mut below = 0.0;
    for (bucket, count) in buckets {
        let count = count as f64;
        if count > 0.0 && below + count >= rank {
            let part = ((rank - below) / count).clamp(0.0, 1.0);
            let value = ((f64::from(bucket) + part) / 8.0).exp2();
            return Some(if longest > 0 {
                value.min(longest as f64)
            } else {
                value
            });
        }
        below += count;
    }
    None
}

/// Keys and values of a map, as the store gives them.
pub fn pairs(marks: &[i16], counts: &[u64]) -> Vec<(i16, u64)> {
    marks.iter().copied().zip(counts.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::exponent;

    #[test]
    fn the_coarsest_level_that_fits_is_chosen() {
        let level = |minutes: i64| {
            let window = Window::new(7, 7 + minutes * MINUTE_S * NANOS_PER_S).unwrap();
            (Level::if_long(window), Level::of(window))
        };
        assert_eq!(level(15), (None, Level::Minutes));
        assert_eq!(level(30), (Some(Level::Minutes), Level::Minutes));
        assert_eq!(level(360), (Some(Level::FiveMinutes), Level::FiveMinutes));
        assert_eq!(level(71 * 60).1, Level::FiveMinutes);
        assert_eq!(level(72 * 60).1, Level::Hours);
    }

    #[test]
    fn a_percentile_is_as_near_as_its_bucket_is_wide() {
        let values: Vec<u64> = (1..=1000).map(|n| n * 1_000_000).collect();
        let mut counts = std::collections::BTreeMap::<i16, u64>::new();
        for value in &values {
            *counts.entry(exponent::bucket(*value)).or_default() += 1;
        }
        let counts: Vec<_> = counts.into_iter().collect();
        for (q, truth) in [(0.5, 500e6), (0.95, 950e6), (0.99, 990e6), (1.0, 1000e6)] {
            let told = quantile(&counts, q, 1_000_000_000).unwrap();
            assert!((told / truth - 1.0).abs() < 0.09, "{q}: {told}");
        }
        assert_eq!(quantile(&[], 0.5, 7), None);
        assert_eq!(quantile(&[(3, 0)], 0.5, 7), None);
        assert_eq!(quantile(&[(80, 1)], 1.0, 1000), Some(1000.0));
    }
}
