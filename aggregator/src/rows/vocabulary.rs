//! `attribute_values`: which keys there are, and their most frequent values, for who types a filter.
//!
//! From a sample, always the same of the same piece: every value of every item would cost more than
//! all else that is counted, and suggestions need no more. Counts are scaled up to the whole.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use petrel_wire::Signal;
use petrel_wire::otlp::view::{Attributes, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::Block;
use super::attributes::Pairs;
use super::columns::{Dictionary, Enum, Names, Plain, Seconds, Seed, Text, table};
use super::groups::Whose;
use super::resources::Resources;
use super::time::Moment;

#[derive(Debug)]
struct Signals;

impl Names for Signals {
    const KIND: &'static str = "Enum8('traces' = 1, 'logs' = 2, 'metrics' = 3)";
}

table! {
    /// As in `migrations/clickhouse`.
    Columns<'a> for "attribute_values" {
        project_id: Plain<u32>,
        signal: Enum<Signals>,
        key: Dictionary<'a>,
        time: Plain<Seconds>,
        value: Text,
        items: Plain<u64>,
        accepted: Plain<Seconds>,
    }
}

/// Items of one signal and piece that are looked at.
const SAMPLE: usize = 1024;
/// Values of one key that are named.
const MOST_VALUES: usize = 16;
/// Longer values are nobody's suggestion.
const LONGEST_VALUE: usize = 128;
/// Keys of one project, signal and hour; the first in the alphabet, for want of better.
const MOST_KEYS: usize = 512;

/// Whose keys: project, signal, hour.
type Place = (u32, u8, u32);

#[derive(Debug, Default)]
struct Key<'a> {
    items: u64,
    values: HashMap<Cow<'a, str>, u64, Seed>,
}

impl<'a> Key<'a> {
    fn add(&mut self, value: Option<Cow<'a, str>>, items: u64) {
        self.items += items;
        if let Some(value) = value.filter(|value| value.len() <= LONGEST_VALUE) {
            *self.values.entry(value).or_default() += items;
        }
    }

    /// What is worth naming, the most frequent first. Of a key whose every value is another one, an
    /// id, a few are examples enough.
    fn named(&self, least: u64) -> Vec<(&str, u64)> {
        let mut values: Vec<_> = self.values.iter().map(|(v, n)| (&**v, *n)).collect();
        values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let ids = values.len() > MOST_VALUES && values[0].1 <= 2 * least;
        values.truncate(if ids { 3 } else { MOST_VALUES });
        values
    }
}

#[derive(Debug, Default)]
struct Hour<'a> {
    keys: BTreeMap<&'a str, Key<'a>>,
    /// Items by resource.
    resources: BTreeMap<u64, u64>,
    accepted: Option<Moment>,
}

/// Everything noted of one piece.
#[derive(Debug, Default)]
pub(super) struct Vocabulary<'a> {
    hours: BTreeMap<Place, Hour<'a>>,
    /// What one item that was looked at stands for, at most.
    stride: u64,
}

/// Which of so many items are looked at, and how many each stands for. One of every stretch, not
/// always the same of it: what a sender repeats in a rhythm must not fall through.
pub(super) fn sample(items: usize) -> (usize, impl Iterator<Item = usize>) {
    let stride = items.div_ceil(SAMPLE).max(1);
    let chosen = (0..items).step_by(stride).map(move |start| {
        let drawn = xxh3_64(&start.to_le_bytes()) % stride as u64;
        (start + usize::try_from(drawn).unwrap_or(0)).min(items - 1)
    });
    (stride, chosen)
}

impl<'a> Vocabulary<'a> {
    /// Notes an item that stands for `stride` of its neighbours.
    pub(super) fn item(
        &mut self,
        signal: Signal,
        whose: &Whose<'a>,
        resource_id: u64,
        attributes: Attributes<'a>,
        stride: usize,
    ) {
        let items = stride as u64;
        let hour = self.hour(signal, whose, resource_id, items);
        for (key, value) in attributes {
            hour.keys.entry(key).or_default().add(text(value), items);
        }
    }

    /// The same for a series, whose labels are text already.
    pub(super) fn series(
        &mut self,
        whose: &Whose<'a>,
        resource_id: u64,
        pairs: &Pairs<'a>,
        stride: usize,
    ) {
        let items = stride as u64;
        let hour = self.hour(Signal::Metrics, whose, resource_id, items);
        for (key, value) in pairs {
            let value = Cow::Owned(value.clone());
            hour.keys.entry(key).or_default().add(Some(value), items);
        }
    }

    fn hour(
        &mut self,
        signal: Signal,
        whose: &Whose<'_>,
        resource_id: u64,
        items: u64,
    ) -> &mut Hour<'a> {
        self.stride = self.stride.max(items);
        let signal = match signal {
            Signal::Traces => 1,
            Signal::Logs => 2,
            Signal::Metrics => 3,
        };
        let place = (whose.project, signal, whose.at.hour());
        let hour = self.hours.entry(place).or_default();
        *hour.resources.entry(resource_id).or_default() += items;
        hour.accepted = hour.accepted.max(Some(whose.accepted));
        hour
    }

    pub(super) fn blocks(mut self, resources: &Resources<'a>) -> Vec<Block> {
        let mut by_day: BTreeMap<u32, Columns<'_>> = BTreeMap::new();
        for hour in self.hours.values_mut() {
            for (resource, items) in std::mem::take(&mut hour.resources) {
                for (key, value) in resources.pairs(resource) {
                    let value = Cow::Owned(value.to_owned());
                    hour.keys.entry(key).or_default().add(Some(value), items);
                }
            }
        }
        // A block without rows is one that ClickHouse cannot read.
        let found = self.hours.iter().filter(|(_, hour)| !hour.keys.is_empty());
        for ((project, signal, hour), found) in found {
            let columns = by_day.entry(hour / 86_400).or_default();
            let accepted = found.accepted.map_or(Seconds(0), Moment::seconds);
            for (key, of_key) in found.keys.iter().take(MOST_KEYS) {
                let mut named = of_key.named(self.stride);
                named.sort_unstable();
                let rest = of_key.items - named.iter().map(|(_, items)| items).sum::<u64>();
                let rest = (rest > 0).then_some(("", rest));
                for (value, items) in rest.into_iter().chain(named) {
                    columns.rows += 1;
                    columns.project_id.push(*project);
                    columns.signal.push(*signal);
                    columns.key.push(key);
                    columns.time.push(Seconds(*hour));
                    columns.value.push(value);
                    columns.items.push(items);
                    columns.accepted.push(accepted);
                }
            }
        }
        by_day
            .into_iter()
            .map(|(day, columns)| columns.finish(u16::try_from(day).unwrap_or(u16::MAX)))
            .collect()
    }
}

/// Values that a person might type.
fn text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Str(text) => Some(Cow::Borrowed(text)),
        Value::Bool(truth) => Some(Cow::Borrowed(if truth { "true" } else { "false" })),
        Value::Int(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}
