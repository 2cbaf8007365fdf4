//! How a row of a table is found: by its text, or by the range that an address is in.

use std::cmp::Reverse;
use std::net::IpAddr;

/// Rows by key.
#[derive(Debug)]
pub(super) enum Keys {
    /// In the order of the texts.
    Texts(Vec<(Box<str>, u32)>),
    /// The most specific first.
    Ranges(Vec<Ranges>),
}

/// Ranges of one family and length.
#[derive(Debug)]
pub(super) struct Ranges {
    is_v6: bool,
    bits: u32,
    /// In the order of their first addresses.
    rows: Vec<(u128, u32)>,
}

/// A key and its line in the file.
type Key = (String, u64);

impl Keys {
    /// Of rows in their order. The error is about a line.
    pub(super) fn of(keys: Vec<Key>) -> Result<Self, (u64, String)> {
        let ranges: Option<Vec<Range>> = keys.iter().map(|(key, _)| Range::parse(key)).collect();
        match ranges {
            Some(ranges) if !ranges.is_empty() => Self::of_ranges(&ranges, &keys),
            _ => Self::of_texts(keys),
        }
    }

    fn of_texts(keys: Vec<Key>) -> Result<Self, (u64, String)> {
        let lines: Vec<u64> = keys.iter().map(|(_, line)| *line).collect();
        let mut rows: Vec<(Box<str>, u32)> = keys
            .into_iter()
            .zip(0..)
            .map(|((key, _), row)| (key.into(), row))
            .collect();
        rows.sort_unstable();
        match rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(twice(&pair[0].0, &lines, pair[0].1, pair[1].1)),
            None => Ok(Self::Texts(rows)),
        }
    }

    fn of_ranges(ranges: &[Range], keys: &[Key]) -> Result<Self, (u64, String)> {
        let lines: Vec<u64> = keys.iter().map(|(_, line)| *line).collect();
        let mut all = Vec::<Ranges>::new();
        for ((range, (key, line)), row) in ranges.iter().zip(keys).zip(0_u32..) {
            let first = range.first();
            if first != range.address {
                let told = range.told(first);
                let what = format!("{key} is no range, its first address is another; write {told}");
                return Err((*line, what));
            }
            let is_it = |one: &&mut Ranges| one.is_v6 == range.is_v6 && one.bits == range.bits;
            match all.iter_mut().find(is_it) {
                Some(alike) => alike.rows.push((first, row)),
                None => all.push(Ranges {
                    is_v6: range.is_v6,
                    bits: range.bits,
                    rows: vec![(first, row)],
                }),
            }
        }
        for alike in &mut all {
            alike.rows.sort_unstable();
            let mut pairs = alike.rows.windows(2);
            if let Some(pair) = pairs.find(|pair| pair[0].0 == pair[1].0) {
                let key = &keys[pair[1].1 as usize].0;
                return Err(twice(key, &lines, pair[0].1, pair[1].1));
            }
        }
        all.sort_by_key(|alike| Reverse(alike.bits));
        Ok(Self::Ranges(all))
    }

    /// The row that a value of the batch belongs to.
    pub(super) fn row(&self, value: &[u8]) -> Option<u32> {
        match self {
            Self::Texts(rows) => {
                let place = rows.binary_search_by(|(key, _)| key.as_bytes().cmp(value));
                Some(rows[place.ok()?].1)
            }
            Self::Ranges(all) => {
                let asked = Range::parse(std::str::from_utf8(value).ok()?)?;
                let whole = if asked.is_v6 { 128 } else { 32 };
                if asked.bits != whole {
                    return None;
                }
                let alike = all.iter().filter(|alike| alike.is_v6 == asked.is_v6);
                alike.into_iter().find_map(|alike| {
                    let first = Range {
                        bits: alike.bits,
                        ..asked
                    }
                    .first();
                    let place = alike.rows.binary_search_by_key(&first, |(first, _)| *first);
                    Some(alike.rows[place.ok()?].1)
                })
            }
        }
    }
}

fn twice(key: &str, lines: &[u64], one: u32, other: u32) -> (u64, String) {
    let (first, second) = (
        lines[one.min(other) as usize],
        lines[one.max(other) as usize],
    );
    (
        second,
        format!("the key {key:?} stands in line {first} already"),
    )
}

/// An address and how many of its bits count.
#[derive(Clone, Copy, Debug)]
struct Range {
    is_v6: bool,
    address: u128,
    bits: u32,
}

impl Range {
    /// `10.1.2.3`, `10.0.0.0/8`, `2001:db8::/32`. An IPv4 address that is written as one of IPv6 is the
    /// same address.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let address = match bits {
            None => address.to_canonical(),
            Some(_) => address,
        };
        let (is_v6, address, whole) = match address {
            IpAddr::V4(address) => (false, address.to_bits().into(), 32),
            IpAddr::V6(address) => (true, address.to_bits(), 128),
        };
        let bits = bits.unwrap_or(whole);
        (bits <= whole).then_some(Self {
            is_v6,
            address,
            bits,
        })
    }

    fn first(self) -> u128 {
        let whole = if self.is_v6 { 128 } else { 32 };
        let free = whole - self.bits;
        self.address
            .checked_shr(free)
            .map_or(0, |kept| kept << free)
    }

    fn told(self, first: u128) -> String {
        let address = if self.is_v6 {
            IpAddr::from(first.to_be_bytes())
        } else {
            IpAddr::from(u32::try_from(first).unwrap_or_default().to_be_bytes())
        };
        format!("{address}/{}", self.bits)
    }
}
