//! Consistent sampling: thresholds and randomness, 56 bits each, as OpenTelemetry has them ("TraceState:
//! Probability Sampling").

use std::fmt;

/// One more than the largest value.
const END: u64 = 1 << 56;
/// Hexadecimal digits of 56 bits.
const DIGITS: usize = 14;
/// Digits of a threshold that say something, after those `f` that only say "little": it is what the
/// Collector writes, and keeps a ratio exact to a hundred-thousandth of itself.
const PRECISION: u32 = 4;

/// Records whose randomness is at least this are kept. Zero keeps all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// The threshold that keeps this part of all randomness; nothing if nothing is to be kept.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^56"
    )]
    pub fn of_ratio(ratio: f64) -> Option<Self> {
        // Of small ratios 1 - ratio would lose the digits that matter.
        let threshold = END - (ratio * END as f64).round() as u64;
        if threshold >= END {
            return None;
        }
        // 56 bits stand at the lower end of 64.
        let little = (!(threshold << 8)).leading_zeros() / 4;
        let kept = (little + PRECISION).min(14);
        let unit = 1_u64 << (56 - 4 * kept);
        let rounded = threshold.saturating_add(unit / 2) / unit * unit;
        Some(Self(if rounded < END { rounded } else { threshold }))
    }

    /// 1 to 14 hexadecimal digits; those left out at the end are zeros.
    pub fn parse(digits: &str) -> Option<Self> {
        let usable = (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(is_digit);
        let value = u64::from_str_radix(digits, 16).ok().filter(|_| usable)?;
        Some(Self(value << (4 * (DIGITS - digits.len()))))
    }

    /// 56 bits.
    pub fn value(self) -> u64 {
        self.0
    }

    /// Whether there is nothing that it does not keep.
    pub fn keeps_all(self) -> bool {
        self.0 == 0
    }

    /// Whether it keeps a record with this randomness.
    pub fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:014x}", self.0);
        match digits.trim_end_matches('0') {
            "" => out.write_str("0"),
            digits => out.write_str(digits),
        }
    }
}

/// Lower case only, as the specification has it.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// That of a trace id: its lower 56 bits.
pub fn randomness_of(id: [u8; 16]) -> u64 {
    id[9..]
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// What `tracestate` says under `ot`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracestate {
    /// `th`: what it was sampled with.
    pub threshold: Option<Threshold>,
    /// `rv`: randomness in place of the trace id's.
    pub randomness: Option<u64>,
}

impl Tracestate {
    /// What is malformed is taken as not there.
    pub fn read(text: &str) -> Self {
        let mut members = text.split(',').map(str::trim);
        let ot = members.find_map(|member| member.strip_prefix("ot="));
        let mut state = Self::default();
        for part in ot.unwrap_or_default().split(';') {
            match part.split_once(':') {
                Some(("th", digits)) => state.threshold = Threshold::parse(digits),
                Some(("rv", digits)) if digits.len() == DIGITS && digits.bytes().all(is_digit) => {
                    state.randomness = u64::from_str_radix(digits, 16).ok();
                }
                _ => {}
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ratio: f64) -> String {
        Threshold::of_ratio(ratio).unwrap().to_string()
    }

    #[test]
    fn ratios_become_the_thresholds_that_the_specification_names() {
        assert_eq!(text(1.0), "0");
        assert_eq!(text(0.5), "8");
        assert_eq!(text(0.25), "c");
        assert_eq!(text(0.1), "e666");
        assert_eq!(text(0.01), "fd70a");
        assert_eq!(text(0.001), "ffbe77");
        assert_eq!(Threshold::of_ratio(0.0), None);
        assert_eq!(text(1.0 / END as f64), "ffffffffffffff");
    }

    #[test]
    fn what_a_ratio_keeps_is_that_part_of_all_randomness() {
        for ratio in [0.9, 0.5, 0.1, 0.01, 0.000_1] {
            let threshold = Threshold::of_ratio(ratio).unwrap();
            let kept = (END - threshold.0) as f64 / END as f64;
            assert!((kept / ratio - 1.0).abs() < 1e-4, "{ratio}: {kept}");
        }
    }

    #[test]
    fn a_threshold_reads_back_and_nonsense_does_not() {
        for good in ["0", "8", "e6", "fd70a", "ffffffffffffff"] {
            assert_eq!(Threshold::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", "E6", "x", "fffffffffffffff", "+8", "0x8"] {
            assert_eq!(Threshold::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn tracestate_gives_threshold_and_randomness_and_no_more() {
        let read = Tracestate::read("vendor=x, ot=th:c;rv:d29d6a7215ced0;xx:y,other=ot=th:8");
        assert_eq!(read.threshold, Threshold::parse("c"));
        assert_eq!(read.randomness, Some(0xd2_9d6a_7215_ced0));
        for nothing in ["", "th:8", "ot=", "ot=th:;rv:12", "ot=th:Z"] {
            assert_eq!(
                Tracestate::read(nothing),
                Tracestate::default(),
                "{nothing}"
            );
        }
    }

    #[test]
    fn randomness_is_the_lower_seven_bytes_of_the_trace_id() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(randomness_of(id), 0x0a_0b0c_0d0e_0f10);
    }
}
