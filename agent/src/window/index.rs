//! What is in the window, in memory: entries, their parts, and where each trace is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use petrel_plugin_host::TraceFate;
use petrel_spool::{Part, WindowChange};
use petrel_wire::otlp::by_trace::{TraceId, TracePart};

/// Everything that waits. What is being released does not wait any more.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<u64, Entry>,
    traces: HashMap<TraceId, Vec<(u64, u32)>>,
    /// Encoded size of the spans that wait.
    pub(super) bytes: u64,
}

#[derive(Debug)]
struct Entry {
    /// On the clock's monotonic time.
    due: Duration,
    /// Of the instance that knows its spans; zero for none.
    generation: u64,
    parts: Vec<TracePart>,
    /// Beside `parts`.
    state: Vec<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    /// Decided, and its place in the file is not free yet.
    Decided,
    Gone,
}

impl Index {
    /// `gone` are the places of parts that have left before.
    pub(super) fn add(
        &mut self,
        id: u64,
        parts: Vec<TracePart>,
        gone: &[u32],
        generation: u64,
        due: Duration,
    ) {
        let mut state = vec![State::Waits; parts.len()];
        for part in gone {
            if let Some(state) = state.get_mut(*part as usize) {
                *state = State::Gone;
            }
        }
        for ((part, place), state) in parts.iter().zip(0..).zip(&state) {
            if *state == State::Waits {
                self.traces.entry(part.trace).or_default().push((id, place));
                self.bytes += part.bytes;
            }
        }
        let entry = Entry {
            due,
            generation,
            parts,
            state,
        };
        self.entries.insert(id, entry);
    }

    /// Items that are in the file, be they decided or not.
    pub(super) fn items(&self) -> u64 {
        let entries = self.entries.values();
        let left = entries.flat_map(|entry| entry.parts.iter().zip(&entry.state));
        left.filter(|(_, state)| **state != State::Gone)
            .map(|(part, _)| u64::from(part.items))
            .sum()
    }

    pub(super) fn traces(&self) -> usize {
        self.traces.len()
    }

    pub(super) fn waiting_traces(&self) -> Vec<TraceId> {
        self.traces.keys().copied().collect()
    }

    /// Takes a trace out of those that wait; its parts, in their order.
    pub(super) fn decide(&mut self, trace: &TraceId, fate: TraceFate) -> Vec<Part> {
        let threshold = match fate {
            TraceFate::Sampled(threshold) => Some(threshold),
            TraceFate::Kept | TraceFate::Dropped => None,
        };
        let places = self.traces.remove(trace).unwrap_or_default();
        let parts = places.into_iter().filter_map(|(id, place)| {
            let entry = self.entries.get_mut(&id)?;
            *entry.state.get_mut(place as usize)? = State::Decided;
            let part = entry.parts[place as usize];
            self.bytes -= part.bytes;
            Some(Part {
                entry: id,
                part: place,
                items: part.items,
                threshold,
            })
        });
        parts.collect()
    }

    /// As [`Index::decide`], for parts that a release on the disk names.
    pub(super) fn take(&mut self, parts: &[Part]) {
        for part in parts {
            let Some(entry) = self.entries.get_mut(&part.entry) else {
                continue;
            };
            let Some(state) = entry.state.get_mut(part.part as usize) else {
                continue;
            };
            if *state == State::Waits {
                let TracePart { trace, bytes, .. } = entry.parts[part.part as usize];
                self.bytes -= bytes;
                if let Some(places) = self.traces.get_mut(&trace) {
                    places.retain(|place| *place != (part.entry, part.part));
                    if places.is_empty() {
                        self.traces.remove(&trace);
                    }
                }
            }
            *state = State::Decided;
        }
    }

    /// The traces of the oldest entry, if there is a reason to decide about them now: it is due, or
    /// more waits than `most_bytes`.
    pub(super) fn overdue(&self, now: Duration, most_bytes: u64) -> Option<Vec<TraceId>> {
        let waits = |entry: &&Entry| entry.state.contains(&State::Waits);
        let oldest = self.entries.values().find(waits)?;
        (oldest.due <= now || self.bytes > most_bytes).then(|| oldest.waiting().collect())
    }

    /// When the oldest entry is due.
    pub(super) fn due(&self) -> Option<Duration> {
        let waits = |entry: &&Entry| entry.state.contains(&State::Waits);
        self.entries.values().find(waits).map(|entry| entry.due)
    }

    /// The bytes of the spans in a part.
    pub(super) fn bytes_of(&self, part: &Part) -> u64 {
        let entry = self.entries.get(&part.entry);
        let found = entry.and_then(|entry| entry.parts.get(part.part as usize));
        found.map_or(0, |part| part.bytes)
    }

    /// The trace that a part is of.
    pub(super) fn trace_of(&self, part: &Part) -> Option<TraceId> {
        let entry = self.entries.get(&part.entry)?;
        Some(entry.parts.get(part.part as usize)?.trace)
    }

    /// Parts leave for good: so the file has to be told.
    pub(super) fn leave(&mut self, parts: &[Part], left: &mut WindowChange) {
        for part in parts {
            let Some(entry) = self.entries.get_mut(&part.entry) else {
                continue;
            };
            if let Some(state) = entry.state.get_mut(part.part as usize) {
                *state = State::Gone;
            }
            if entry.state.iter().all(|state| *state == State::Gone) {
                self.entries.remove(&part.entry);
                left.gone.remove(&part.entry);
                left.remove.push(part.entry);
            } else {
                let gone = (0..).zip(&entry.state);
                let gone = gone.filter(|(_, state)| **state == State::Gone);
                let gone = gone.map(|(place, _)| place).collect();
                left.gone.insert(part.entry, gone);
            }
        }
    }

    /// Entries that wait and that an instance of this generation does not know, oldest first, as many
    /// as weigh about `bytes`; with the traces that wait in each.
    pub(super) fn unknown_to(&self, generation: u64, bytes: u64) -> Vec<(u64, Vec<TraceId>)> {
        let mut found = Vec::new();
        let mut weight = 0;
        for (id, entry) in &self.entries {
            if entry.generation >= generation || !entry.state.contains(&State::Waits) {
                continue;
            }
            found.push((*id, entry.waiting().collect()));
            weight += entry.parts.iter().map(|part| part.bytes).sum::<u64>();
            if weight >= bytes {
                break;
            }
        }
        found
    }

    /// An instance of this generation has seen these entries.
    pub(super) fn known_to(&mut self, generation: u64, ids: &[u64]) {
        for id in ids {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.generation = entry.generation.max(generation);
            }
        }
    }
}

impl Entry {
    fn waiting(&self) -> impl Iterator<Item = TraceId> {
        let parts = self.parts.iter().zip(&self.state);
        parts
            .filter(|(_, state)| **state == State::Waits)
            .map(|(part, _)| part.trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(trace: u8, items: u32) -> TracePart {
        TracePart {
            trace: [trace; 16],
            items,
            bytes: u64::from(items) * 10,
        }
    }

    fn index() -> Index {
        let mut index = Index::default();
        let at = Duration::from_secs;
        index.add(1, vec![part(1, 2), part(2, 1)], &[], 5, at(10));
        index.add(2, vec![part(2, 3)], &[], 6, at(20));
        index
    }

    #[test]
    fn a_trace_leaves_all_its_entries_and_an_entry_goes_with_its_last_part() {
        let mut index = index();
        let mut left = WindowChange::default();
        let two = index.decide(&[2; 16], TraceFate::Sampled(8));
        let places: Vec<_> = two.iter().map(|part| (part.entry, part.part)).collect();
        assert_eq!(places, [(1, 1), (2, 0)]);
        assert_eq!(two[0].threshold, Some(8));
        assert_eq!((index.bytes, index.items()), (20, 6));
        index.leave(&two, &mut left);
        assert_eq!(
            (&left.remove, left.gone.get(&1)),
            (&vec![2], Some(&vec![1]))
        );
        let one = index.decide(&[1; 16], TraceFate::Dropped);
        index.leave(&one, &mut left);
        assert_eq!((left.remove, left.gone.len()), (vec![2, 1], 0));
        assert_eq!((index.bytes, index.items(), index.traces()), (0, 0, 0));
    }

    #[test]
    fn the_oldest_goes_when_it_is_due_or_when_there_is_too_much() {
        let index = index();
        let at = Duration::from_secs;
        assert_eq!(index.overdue(at(9), 60), None);
        assert_eq!(index.overdue(at(10), 60), Some(vec![[1; 16], [2; 16]]));
        assert!(index.overdue(at(0), 59).is_some());
        assert_eq!(index.due(), Some(at(10)));
    }

    #[test]
    fn what_an_instance_has_not_seen_is_found_once() {
        let mut index = index();
        let ids = |found: Vec<(u64, Vec<TraceId>)>| -> Vec<u64> {
            found.into_iter().map(|(id, _)| id).collect()
        };
        assert_eq!(ids(index.unknown_to(6, 1_000)), [1]);
        assert_eq!(ids(index.unknown_to(7, 1_000)), [1, 2]);
        assert_eq!(ids(index.unknown_to(7, 1)), [1]);
        index.known_to(7, &[1, 2]);
        assert!(index.unknown_to(7, 1_000).is_empty());
    }

    #[test]
    fn parts_that_are_gone_or_in_a_release_do_not_wait() {
        let mut index = Index::default();
        let parts = vec![part(1, 1), part(2, 1), part(3, 1)];
        index.add(1, parts, &[0], 0, Duration::ZERO);
        let release = Part {
            entry: 1,
            part: 1,
            items: 1,
            threshold: None,
        };
        index.take(&[release]);
        assert_eq!(index.waiting_traces(), [[3; 16]]);
        assert_eq!((index.items(), index.bytes), (2, 10));
        assert_eq!(index.trace_of(&release), Some([2; 16]));
        assert_eq!(index.bytes_of(&release), 10);
    }
}
