//! Thresholds and randomness, 56 bits each: OpenTelemetry, "TraceState: Probability Sampling".

/// One more than the largest value.
const END: u64 = 1 << 56;
/// Hexadecimal digits of 56 bits.
const DIGITS: usize = 14;
/// Digits of a threshold that say something, after those `f` that only say "little": it is what the
/// Collector writes, and keeps a ratio exact to a hundred-thousandth of itself.
const PRECISION: u32 = 4;

/// Records whose randomness is at least this are kept. Zero keeps all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Threshold(u64);

impl Threshold {
    /// Nothing if nothing is to be kept.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^56"
    )]
    pub(crate) fn of_ratio(ratio: f64) -> Option<Self> {
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

    pub(crate) fn keeps_all(self) -> bool {
        self.0 == 0
    }

    /// 56 bits.
    pub(crate) fn value(self) -> u64 {
        self.0
    }

    pub(crate) fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }
}

/// Lower case only, as the specification has it.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The lower 56 bits of a trace id.
pub(crate) fn of_trace_id(id: [u8; 16]) -> u64 {
    id[9..]
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// What `tracestate` says under `ot`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracestate {
    /// `rv`: randomness in place of the trace id's.
    pub(crate) randomness: Option<u64>,
}

impl Tracestate {
    /// What is malformed is taken as not there.
    pub(crate) fn read(text: &str) -> Self {
        let mut members = text.split(',').map(str::trim);
        let ot = members.find_map(|member| member.strip_prefix("ot="));
        let mut state = Self::default();
        for part in ot.unwrap_or_default().split(';') {
            match part.split_once(':') {
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

    #[test]
    fn ratios_become_the_thresholds_that_the_specification_names() {
        let of = |ratio| Threshold::of_ratio(ratio).map(Threshold::value);
        assert_eq!(of(1.0), Some(0));
        assert_eq!(of(0.5), Some(8 << 52));
        assert_eq!(of(0.1), Some(0xe666 << 40));
        assert_eq!(of(0.0), None);
    }

    #[test]
    fn tracestate_gives_randomness_and_no_more() {
        let read = Tracestate::read("vendor=x, ot=th:c;rv:d29d6a7215ced0;xx:y,other=ot=rv:8");
        assert_eq!(read.randomness, Some(0xd2_9d6a_7215_ced0));
        for nothing in ["", "rv:d29d6a7215ced0", "ot=", "ot=th:;rv:12"] {
            assert_eq!(Tracestate::read(nothing).randomness, None, "{nothing}");
        }
    }

    #[test]
    fn randomness_is_the_lower_seven_bytes_of_the_trace_id() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(of_trace_id(id), 0x0a_0b0c_0d0e_0f10);
    }
}
