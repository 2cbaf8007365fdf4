//! Spans and log records of a cut, in the order of their tables' keys.
//!
//! Items stay where they lie until their rows are written: what is sorted are numbers. Texts of the
//! key are numbered as they come and ranked once, so that rows are compared without looking at one.

use std::collections::HashMap;

use petrel_wire::otlp::view::Scope;

use super::columns::Seed;
use super::derived::Derived;
use super::groups::Whose;
use super::time::Moment;

/// What all items of one scope in one request share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group<'a> {
    pub(super) project: u32,
    pub(super) accepted: Moment,
    pub(super) service: &'a str,
    pub(super) resource_id: u64,
    pub(super) scope: Scope<'a>,
    pub(super) origin: &'a str,
}

/// An item and everything around it that its row needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'i, 'a> {
    pub(super) group: &'i Group<'a>,
    pub(super) at: Moment,
    /// Equal names are the same bytes.
    pub(super) name: &'a str,
    pub(super) message: &'a [u8],
}

impl<'a> Item<'_, 'a> {
    /// Whose it is, for what is counted.
    pub(super) fn whose(&self, derived: &mut Derived<'a>) -> Whose<'a> {
        Whose {
            project: self.group.project,
            service: self.group.service,
            environment: derived.environment(self.group.resource_id),
            at: self.at,
            accepted: self.group.accepted,
        }
    }

    /// What the sender said in `time`, if that was not believed.
    pub(super) fn claimed(&self, time: u64) -> Option<u64> {
        (time != 0 && time != self.at.as_u64()).then_some(time)
    }
}

/// All items of one signal.
#[derive(Debug, Default)]
pub(super) struct Items<'a> {
    groups: Vec<Group<'a>>,
    services: Texts<'a>,
    /// By group.
    service_of: Vec<u32>,
    names: Texts<'a>,
    items: Vec<Row<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Row<'a> {
    group: u32,
    name: u32,
    at: Moment,
    message: &'a [u8],
}

/// Where an item stands in the order of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    day: u16,
    item: u32,
}

impl Place {
    pub(super) fn day(self) -> u16 {
        self.day
    }
}

impl<'a> Items<'a> {
    /// Items that are pushed from now on belong to `group`.
    pub(super) fn begin(&mut self, group: Group<'a>) {
        self.service_of.push(self.services.number(group.service));
        self.groups.push(group);
    }

    pub(super) fn push(&mut self, at: Moment, name: &'a str, message: &'a [u8]) {
        self.items.push(Row {
            group: number(self.groups.len() - 1),
            name: self.names.number(name),
            at,
            message,
        });
    }

    /// The items of `places`, in their order.
    pub(super) fn each(&self, places: &[Place]) -> impl Iterator<Item = Item<'_, 'a>> {
        places.chunks(NEAR).flat_map(|places| {
            bring_near(places.iter().map(|place| self.row(*place).message));
            places.iter().map(|place| self.at(*place))
        })
    }

    /// The item of a place.
    pub(super) fn at(&self, place: Place) -> Item<'_, 'a> {
        let row = self.row(place);
        Item {
            group: &self.groups[row.group as usize],
            at: row.at,
            name: self.names.all[row.name as usize],
            message: row.message,
        }
    }

    fn row(&self, place: Place) -> &Row<'a> {
        &self.items[place.item as usize]
    }

    /// By day, then by the table's key; equals as they came.
    pub(super) fn sorted(&self) -> Vec<Place> {
        let keys = self.keys();
        self.packed(&keys).unwrap_or_else(|| self.compared(&keys))
    }

    fn keys(&self) -> Keys {
        let (services, names) = (self.services.ranks(), self.names.ranks());
        let mut projects: Vec<u32> = self.groups.iter().map(|group| group.project).collect();
        projects.sort_unstable();
        projects.dedup();
        let days = self.items.iter().map(|row| row.at.day());
        let (first, last) = (days.clone().min(), days.max());
        let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
        let rank = |group: &Group<'_>| projects.partition_point(|one| *one < group.project);
        let groups = self.groups.iter().zip(&self.service_of);
        Keys {
            first_day: first,
            days: usize::from(last - first) + 1,
            projects: projects.len(),
            services: services.len(),
            of_group: groups
                .map(|(group, service)| (number(rank(group)), services[*service as usize]))
                .collect(),
            names,
        }
    }

    /// Everything that decides in one number, which is sorted in half the time, if it fits. It does
    /// for as many items as an insert has.
    fn packed(&self, keys: &Keys) -> Option<Vec<Place>> {
        let items = width(self.items.len());
        let (projects, services) = (width(keys.projects), width(keys.services));
        let (days, names) = (width(keys.days), width(keys.names.len()));
        if days + projects + BUCKET_BITS + services + names + TIME_BITS + items > u128::BITS {
            return None;
        }
        let mut packed: Vec<u128> = (0..)
            .zip(&self.items)
            .map(|(item, row)| {
                let (project, service) = keys.of_group[row.group as usize];
                let mut key = u128::from(row.at.day() - keys.first_day);
                for (value, width) in [
                    (u64::from(project), projects),
                    (u64::from(row.at.bucket_of_day()), BUCKET_BITS),
                    (u64::from(service), services),
                    (u64::from(keys.names[row.name as usize]), names),
                    (row.at.in_bucket(), TIME_BITS),
                    (item, items),
                ] {
                    key = key << width | u128::from(value);
                }
                key
            })
            .collect();
        packed.sort_unstable();
        let above = u128::MAX.unbounded_shl(items);
        let places = packed.into_iter().map(|key| {
            let item = usize::try_from(key & !above).unwrap_or(0);
            Place {
                day: self.items[item].at.day(),
                item: number(item),
            }
        });
        Some(places.collect())
    }

    fn compared(&self, keys: &Keys) -> Vec<Place> {
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_unstable_by_key(|item| {
            let row = &self.items[*item];
            let (project, service) = keys.of_group[row.group as usize];
            let (at, name) = (row.at, keys.names[row.name as usize]);
            let of_day = (at.day(), project, at.bucket_of_day());
            (of_day, service, name, at, *item)
        });
        let place = |item: usize| Place {
            day: self.items[item].at.day(),
            item: number(item),
        };
        order.into_iter().map(place).collect()
    }
}

/// What items are sorted by, as small numbers in the order of what they stand for.
#[derive(Debug)]
struct Keys {
    first_day: u16,
    days: usize,
    projects: usize,
    services: usize,
    /// Project and service, by group.
    of_group: Vec<(u32, u32)>,
    names: Vec<u32>,
}

/// The five minutes of a day.
const BUCKET_BITS: u32 = 9;
/// Nanoseconds of five minutes.
const TIME_BITS: u32 = 39;

/// Bits that numbers below `count` have.
fn width(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// So many items are brought near together.
const NEAR: usize = 16;

/// In their order, items lie anywhere in many megabytes. To read one byte of each cache line of
/// several is to wait for all of them at once, and not for each when its turn has come: that was a
/// quarter of the time.
fn bring_near<'a>(messages: impl Iterator<Item = &'a [u8]>) {
    const LINE: usize = 64;
    let bytes = messages.flat_map(|message| message.iter().step_by(LINE));
    std::hint::black_box(bytes.fold(0, |all, byte| all ^ byte));
}

/// Different texts, numbered as they came.
#[derive(Debug, Default)]
struct Texts<'a> {
    numbers: HashMap<&'a str, u32, Seed>,
    all: Vec<&'a str>,
    last: u32,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u32 {
        // Log records have no name at all, and services come in runs.
        if self
            .all
            .get(self.last as usize)
            .is_some_and(|last| *last == text)
        {
            return self.last;
        }
        let all = &mut self.all;
        self.last = *self.numbers.entry(text).or_insert_with(|| {
            all.push(text);
            number(all.len() - 1)
        });
        self.last
    }

    /// By number, how many texts are smaller.
    fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_unstable_by_key(|&text| self.all[text]);
        let mut ranks = vec![0; order.len()];
        for (rank, text) in order.into_iter().enumerate() {
            ranks[text] = number(rank);
        }
        ranks
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a cut has fewer items")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::time::Calendar;

    #[test]
    fn items_are_sorted_by_the_key_and_equals_stay_as_they_came() {
        const NOW: u64 = 1_800_000_000 * 1_000_000_000;
        const DAY: u64 = 86_400 * 1_000_000_000;
        // Project, time, service, name; the message says where each belongs.
        let rows: [(u32, u64, &str, &str, &[u8]); 9] = [
            (1, NOW, "b", "x", b"5"),
            (2, NOW - DAY, "a", "x", b"1"),
            (1, NOW, "a", "y", b"4"),
            (1, NOW + 1, "a", "x", b"3"),
            (1, NOW, "a", "x", b"2"),
            (2, NOW, "a", "x", b"7"),
            (1, NOW - DAY, "z", "z", b"0"),
            (2, NOW, "a", "x", b"8"),
            (1, NOW + 300 * 1_000_000_000, "a", "a", b"6"),
        ];
        let mut items = Items::default();
        for (project, time, service, name, message) in rows {
            let at = Calendar::accepted(time);
            items.begin(Group {
                project,
                accepted: at,
                service,
                resource_id: 0,
                scope: Scope::default(),
                origin: "",
            });
            items.push(at, name, message);
        }
        let places = items.sorted();
        assert_eq!(places, items.compared(&items.keys()));
        let order: Vec<u8> = items.each(&places).map(|item| item.message[0]).collect();
        assert_eq!(order, b"012345678");
        let days: Vec<_> = places.chunk_by(|a, b| a.day() == b.day()).collect();
        assert_eq!(days.iter().map(|day| day.len()).collect::<Vec<_>>(), [2, 7]);
    }
}
