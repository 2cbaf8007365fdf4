//! Coarser than a minute: what minutes add up to, in tables of their own.
//!
//! Made of the same piece of the journal as the minutes, here and not by views of the store: so a
//! rollup leaves as a block under a token of its own like everything else, and an insert that is
//! repeated, or was cut off between two tables, counts nothing twice and nothing never.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::columns::Seed;
use super::groups::Minute;

/// Tables and the seconds of their steps, each a multiple of the one before and a part of a day.
pub(super) const LEVELS: [(&str, u32); 2] = [("group_five_minutes", 300), ("group_hours", 3600)];

/// Adds up what lies in one step of one group. The order of the result, and the example of what
/// lasted longest, depend on the order of `minutes` alone.
pub(super) fn coarser(minutes: Vec<Minute>, step: u32) -> Vec<Minute> {
    let mut found = HashMap::<(usize, u32), usize, Seed>::default();
    let mut steps = Vec::<Minute>::new();
    for mut minute in minutes {
        minute.seconds -= minute.seconds % step;
        match found.entry((minute.slot, minute.seconds)) {
            Entry::Occupied(at) => steps[*at.get()].add(&minute),
            Entry::Vacant(at) => {
                at.insert(steps.len());
                steps.push(minute);
            }
        }
    }
    steps
}
