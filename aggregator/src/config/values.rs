//! Values as users write them: `30 DAY`, `2GiB`, `30s`.

use std::fmt;
use std::time::Duration;

/// How long rows are kept, as ClickHouse writes intervals: `30 DAY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    count: u32,
    unit: TtlUnit,
}

/// The units of ClickHouse's `INTERVAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlUnit {
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks.
    Week,
    /// Calendar months.
    Month,
    /// Three calendar months.
    Quarter,
    /// Calendar years.
    Year,
}

const UNITS: [(&str, TtlUnit); 8] = [
    ("SECOND", TtlUnit::Second),
    ("MINUTE", TtlUnit::Minute),
    ("HOUR", TtlUnit::Hour),
    ("DAY", TtlUnit::Day),
    ("WEEK", TtlUnit::Week),
    ("MONTH", TtlUnit::Month),
    ("QUARTER", TtlUnit::Quarter),
    ("YEAR", TtlUnit::Year),
];

impl Ttl {
    /// So many days.
    pub const fn days(count: u32) -> Self {
        Self {
            count,
            unit: TtlUnit::Day,
        }
    }

    /// Reads `30 DAY`, `12 hours` or `INTERVAL 1 MONTH`. What it prints is safe in SQL.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not a time to live; write it like \"30 DAY\"");
        let upper = text.trim().to_ascii_uppercase();
        let words = upper.strip_prefix("INTERVAL ").unwrap_or(&upper);
        let (count, unit) = words.split_once(char::is_whitespace).ok_or_else(expected)?;
        let count = count.parse().map_err(|_| expected())?;
        let unit = unit.trim();
        let unit = UNITS
            .into_iter()
            .find(|(name, _)| unit == *name || unit.strip_suffix('S') == Some(name))
            .map(|(_, unit)| unit)
            .ok_or_else(expected)?;
        if count == 0 {
            return Err(format!(
                "{text:?} would delete everything at once; the shortest is 1"
            ));
        }
        Ok(Self { count, unit })
    }

    /// The number.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Of what.
    pub fn unit(self) -> TtlUnit {
        self.unit
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = UNITS[self.unit as usize];
        write!(f, "{} {name}", self.count)
    }
}

/// Reads `30s`, `5m`, `250ms`, `1h30m` (Go's spelling).
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is not a duration; write it like \"30s\" or \"5m\"");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(expected());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(expected)?;
        let (number, tail) = rest.split_at(digits);
        let number: u32 = number.parse().map_err(|_| expected())?;
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            _ => return Err(expected()),
        };
        total += unit * number;
        rest = tail;
    }
    Ok(total)
}

/// Reads `2GiB`, `512MiB`, `64KiB` or a number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let expected = || {
        let hint = text
            .trim()
            .strip_suffix('B')
            .map_or(String::new(), |number| {
                match number.trim_end_matches(char::is_whitespace) {
                    n if n.ends_with(['K', 'M', 'G', 'T']) => {
                        format!(" (units are powers of two here: {}iB)", n.replace(' ', ""))
                    }
                    _ => String::new(),
                }
            });
        format!("{text:?} is not a size; write it like \"2GiB\" or 2147483648{hint}")
    };
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(expected()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("{text:?} is larger than any disk"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live_print_what_clickhouse_reads() {
        for (text, printed) in [
            ("30 DAY", "30 DAY"),
            ("7 days", "7 DAY"),
            ("INTERVAL 1 month", "1 MONTH"),
        ] {
            assert_eq!(Ttl::parse(text).unwrap().to_string(), printed);
        }
        for bad in ["30", "DAY", "0 DAY", "30 DAY; DROP TABLE x", "-1 DAY"] {
            assert!(Ttl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_and_durations_are_read_as_people_write_them() {
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("64 KiB"), Ok(64 << 10));
        assert_eq!(size("5"), Ok(5));
        assert!(size("2 GB").unwrap_err().contains("2GiB"));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("30").is_err());
    }
}
