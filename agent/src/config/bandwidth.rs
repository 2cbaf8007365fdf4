//! `forward.bandwidth`: how fast, and when.

use std::fmt;
use std::num::NonZeroU64;

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use petrel_wire::UnixNanos;

use super::section::Section;
use petrel_plugin_host::written::size;

/// Slower than this, peers take a body for stuck.
const SLOWEST: u64 = 4 << 10;
const MINUTES_A_DAY: u16 = 24 * 60;
const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Body bytes in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As fast as the link is.
    Unlimited,
    /// Not faster than this.
    BytesPerSecond(NonZeroU64),
    /// Not at all.
    Nothing,
}

/// A rate, and others at certain times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// When no window is open.
    pub limit: Rate,
    /// The first that is open counts.
    pub windows: Vec<Window>,
}

/// Certain hours of certain days, by the local time of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    days: Vec<Weekday>,
    /// Minute of the day.
    from: u16,
    /// Minute of the day, excluded. Not after `from`: on the next day.
    to: u16,
    limit: Rate,
}

impl Default for Bandwidth {
    fn default() -> Self {
        Self {
            limit: Rate::Unlimited,
            windows: Vec::new(),
        }
    }
}

impl Bandwidth {
    /// Whether nothing is ever limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// The rate at a moment, by the local time of this machine.
    pub fn at(&self, now: UnixNanos) -> Rate {
        if self.windows.is_empty() {
            return self.limit;
        }
        let Ok(now) = Timestamp::from_nanosecond(i128::from(now.0)) else {
            return self.limit;
        };
        let local = now.to_zoned(TimeZone::system());
        let [hour, minute] = [local.hour(), local.minute()].map(|n| u16::from(n.unsigned_abs()));
        self.on(local.weekday(), hour * 60 + minute)
    }

    fn on(&self, day: Weekday, minute: u16) -> Rate {
        let open = self
            .windows
            .iter()
            .find(|window| window.is_open(day, minute));
        open.map_or(self.limit, |window| window.limit)
    }
}

impl Window {
    /// A window over midnight belongs to the day on which it begins.
    fn is_open(&self, day: Weekday, minute: u16) -> bool {
        let on = |day| self.days.contains(&day);
        if self.from < self.to {
            return on(day) && (self.from..self.to).contains(&minute);
        }
        on(day) && minute >= self.from || on(day.previous()) && minute < self.to
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::BytesPerSecond(rate) = self else {
            return f.write_str(match self {
                Self::Nothing => "0",
                _ => "unlimited",
            });
        };
        let rate = rate.get();
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if rate.trailing_zeros() >= shift {
                return write!(f, "{}{unit}/s", rate >> shift);
            }
        }
        write!(f, "{rate}B/s")
    }
}

/// Reads the section; what is wrong goes on its list.
pub(super) fn read(section: &Section<'_>) -> Bandwidth {
    let mut bandwidth = Bandwidth::default();
    if let Some(limit) = section.parsed("limit", rate) {
        bandwidth.limit = limit;
    }
    for section in section.sections("windows") {
        let days = section.parsed("days", days);
        let from = section.parsed("from", time_of_day);
        let to = section.parsed("to", time_of_day);
        let limit = section.parsed("limit", rate);
        if section.node("limit").is_none() {
            section.problem(
                "limit",
                "missing; write a rate like \"64KiB/s\", unlimited or 0",
            );
        }
        section.finish();
        bandwidth.windows.push(Window {
            days: days.unwrap_or_else(|| WEEK.map(|(_, day)| day).into()),
            from: from.unwrap_or(0),
            to: to.unwrap_or(MINUTES_A_DAY),
            limit: limit.unwrap_or(Rate::Unlimited),
        });
    }
    bandwidth
}

/// Reads `256KiB/s`, `unlimited` or `0`.
fn rate(text: &str) -> Result<Rate, String> {
    let expected = || format!("{text:?} is not a rate; write it like \"256KiB/s\", unlimited or 0");
    match text.trim() {
        "unlimited" => return Ok(Rate::Unlimited),
        "0" => return Ok(Rate::Nothing),
        _ => {}
    }
    let bytes = text.trim().strip_suffix("/s").ok_or_else(expected)?;
    let bytes = size(bytes).map_err(|_| expected())?;
    match NonZeroU64::new(bytes) {
        None => Ok(Rate::Nothing),
        Some(bytes) if bytes.get() >= SLOWEST => Ok(Rate::BytesPerSecond(bytes)),
        Some(_) => Err("must be at least 4KiB/s, or 0 for nothing".to_owned()),
    }
}

/// Reads `mon-fri` or `sat, sun`.
fn days(text: &str) -> Result<Vec<Weekday>, String> {
    let expected = || format!("{text:?} are no days; write \"mon-fri\" or \"sat, sun\"");
    let index = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        WEEK.iter()
            .position(|(day, _)| *day == name)
            .ok_or_else(expected)
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first)?, index(last)?);
        let count = (last + WEEK.len() - first) % WEEK.len() + 1;
        let named = WEEK.iter().cycle().skip(first).take(count);
        days.extend(named.map(|(_, day)| *day));
    }
    Ok(days)
}

/// Reads `08:30`; `24:00` ends a day.
fn time_of_day(text: &str) -> Result<u16, String> {
    let expected = || format!("{text:?} is not a time of day; write it like \"08:30\"");
    let (hours, minutes) = text.trim().split_once(':').ok_or_else(expected)?;
    let number = |text: &str| text.parse::<u16>().map_err(|_| expected());
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours.saturating_mul(60).saturating_add(minutes);
    if minutes >= 60 || minute > MINUTES_A_DAY {
        return Err(expected());
    }
    Ok(minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days_text: &str, from: &str, to: &str) -> Window {
        Window {
            days: days(days_text).unwrap(),
            from: time_of_day(from).unwrap(),
            to: time_of_day(to).unwrap(),
            limit: Rate::Nothing,
        }
    }

    #[test]
    fn a_window_is_open_on_its_days_from_its_first_minute_to_before_its_last() {
        let office = window("mon-fri", "08:00", "18:00");
        let at = |day, time: &str| office.is_open(day, time_of_day(time).unwrap());
        assert!(at(Weekday::Monday, "08:00") && at(Weekday::Friday, "17:59"));
        assert!(!at(Weekday::Monday, "07:59") && !at(Weekday::Monday, "18:00"));
        assert!(!at(Weekday::Saturday, "12:00"));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = window("fri", "22:00", "06:00");
        let at = |day, time: &str| night.is_open(day, time_of_day(time).unwrap());
        assert!(at(Weekday::Friday, "23:00") && at(Weekday::Saturday, "05:59"));
        assert!(!at(Weekday::Friday, "05:00") && !at(Weekday::Saturday, "23:00"));
    }

    #[test]
    fn days_may_go_over_the_end_of_the_week() {
        let names = |text| days(text).unwrap().len();
        assert_eq!(
            [names("sat-mon"), names("mon-sun"), names("sat, sun")],
            [3, 7, 2]
        );
        assert!(days("monday").is_err());
    }

    #[test]
    fn rates_are_read_and_shown_as_written() {
        for text in ["256KiB/s", "3MiB/s", "5000B/s", "unlimited", "0"] {
            assert_eq!(rate(text).unwrap().to_string(), text);
        }
        assert!(rate("256KiB").is_err());
        assert!(rate("1KiB/s").unwrap_err().contains("at least"));
    }
}
