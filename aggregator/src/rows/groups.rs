//! `group_minutes`: rate, errors and durations of groups, by the minute; and by coarser steps.

use std::collections::HashMap;

use petrel_wire::otlp::view::{Event, Span};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::Block;
use super::attributes::{span_id, trace_id};
use super::columns::{Enum, Plain, Seconds, Seed, table};
use super::counts::{Buckets, Counts, Words};
use super::rollups;
use super::spans::Kind;
use super::time::Moment;
use crate::meaning::facts::{Essence, Fact, Facts};
use crate::meaning::group::{self, Group};
use crate::meaning::template;

table! {
    /// As in `migrations/clickhouse`.
    Columns<'a> for "group_minutes" {
        project_id: Plain<u32>,
        time: Plain<Seconds>,
        system: Words,
        group_id: Plain<u64>,
        service: Words,
        environment: Words,
        kind: Enum<Kind>,
        name: Words,
        items: Plain<u64>,
        errors: Plain<u64>,
        duration: Plain<u64>,
        longest: Plain<u64>,
        buckets: Counts,
        trace_id: Plain<[u8; 16]>,
        span_id: Plain<u64>,
        accepted: Plain<Seconds>,
    }
}

/// Groups of one project in one piece. What comes after them is counted together: a sender that
/// makes a group of every item costs a bounded number of rows.
const MOST_GROUPS: u32 = 4096;
/// Name and system of what is beyond.
const OVERFLOW: (&str, &str) = ("other", "more groups than are counted apart");

/// Whose item, where it ran and when it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    pub(super) project: u32,
    pub(super) service: &'a str,
    pub(super) environment: u32,
    pub(super) at: Moment,
    pub(super) accepted: Moment,
}

/// What one item adds.
#[derive(Clone, Copy, Debug)]
struct Item {
    failed: bool,
    duration: Option<u64>,
    trace_id: [u8; 16],
    span_id: u64,
}

/// A group of one service in one environment.
#[derive(Debug)]
struct Slot<'a> {
    project: u32,
    group: Group,
    service: &'a str,
    environment: u32,
    kind: u8,
    /// Where its items are counted: here, unless there were too many before it.
    counts_as: usize,
    /// The minute that was counted last, and where.
    last: Option<(u32, usize)>,
}

#[derive(Debug, Default)]
pub(super) struct Minute {
    pub(super) slot: usize,
    pub(super) seconds: u32,
    day: u16,
    items: u64,
    errors: u64,
    duration: u64,
    longest: u64,
    buckets: Buckets,
    trace_id: [u8; 16],
    span_id: u64,
    accepted: Option<Moment>,
}

impl Minute {
    /// Adds what another one of the same group has counted.
    pub(super) fn add(&mut self, other: &Self) {
        if other.longest > self.longest {
            self.trace_id = other.trace_id;
            self.span_id = other.span_id;
        }
        self.items += other.items;
        self.errors += other.errors;
        self.duration = self.duration.saturating_add(other.duration);
        self.longest = self.longest.max(other.longest);
        self.buckets.merge(&other.buckets);
        self.accepted = self.accepted.max(other.accepted);
    }
}

/// Everything counted by group in one piece.
#[derive(Debug, Default)]
pub(super) struct Groups<'a> {
    seed: Seed,
    /// By what decides about the group, so that most items cost a hash.
    known: HashMap<u128, usize, Seed>,
    /// By the group itself: statements that differ in values alone share it.
    same: HashMap<(u32, u64, &'a str, u32, u8), usize, Seed>,
    of_project: HashMap<u32, u32>,
    slots: Vec<Slot<'a>>,
    found: HashMap<(usize, u32), usize, Seed>,
    minutes: Vec<Minute>,
    identity: Vec<u8>,
    /// The item before, and its slot: neighbours are often alike.
    before: (Vec<u8>, usize),
    buffer: String,
}

impl<'a> Groups<'a> {
    /// Counts a span and says what group it is in.
    pub(super) fn span(
        &mut self,
        whose: &Whose<'a>,
        span: &Span<'a>,
        duration: u64,
        facts: &Facts<'a>,
    ) -> &Group {
        let kind = span.kind();
        let mut buffer = std::mem::take(&mut self.buffer);
        let essence = group::essence(span.name(), facts, &mut buffer);
        self.identify(whose, u8::try_from(kind).unwrap_or(0), span.name());
        facts.identify(&essence, &mut self.identity);
        let slot = self.slot(whose, u8::try_from(kind).unwrap_or(0), |_| {
            group::of_span(whose.service, kind, span.name(), &facts.reduced(&essence))
        });
        self.buffer = buffer;
        let item = Item {
            failed: span.status().code() == super::spans::ERROR,
            duration: Some(duration),
            trace_id: trace_id(span.trace_id()),
            span_id: span_id(span.span_id()),
        };
        self.count(slot, whose, &item);
        &self.slots[slot].group
    }

    /// Counts an exception that a span has recorded.
    pub(super) fn exception(&mut self, whose: &Whose<'a>, span: &Span<'a>, event: &Event<'a>) {
        let facts = Facts::of(event.attributes());
        let item = Item {
            failed: true,
            duration: None,
            trace_id: trace_id(span.trace_id()),
            span_id: span_id(span.span_id()),
        };
        let slot = self.exception_slot(whose, &facts);
        self.count(slot, whose, &item);
    }

    fn exception_slot(&mut self, whose: &Whose<'a>, facts: &Facts<'_>) -> usize {
        self.identify(whose, 0, "exception");
        facts.identify(&Essence::default(), &mut self.identity);
        self.slot(whose, 0, |buffer| {
            let of = |fact| facts.text(fact);
            group::of_exception(
                of(Fact::ExceptionType),
                of(Fact::ExceptionMessage),
                facts,
                buffer,
            )
        })
    }

    /// Counts a log record and says what group it is in.
    pub(super) fn log(
        &mut self,
        whose: &Whose<'a>,
        severity: u8,
        message: &str,
        (trace_id, span_id): ([u8; 16], u64),
        facts: &Facts<'_>,
    ) -> u64 {
        let slot = if facts.has(Fact::ExceptionType) || facts.has(Fact::ExceptionMessage) {
            self.exception_slot(whose, facts)
        } else {
            // Messages differ, templates repeat: only these are worth remembering.
            let mut template = std::mem::take(&mut self.buffer);
            match facts.text(Fact::LogTemplate) {
                "" => template::write(message, &mut template),
                given => {
                    template.clear();
                    template.push_str(given);
                }
            }
            self.identify(whose, severity, &template);
            facts.identify(&Essence::default(), &mut self.identity);
            let slot = self.slot(whose, 0, |_| group::of_log(severity, &template, facts));
            self.buffer = template;
            slot
        };
        let item = Item {
            failed: severity >= crate::meaning::severity::ERROR,
            duration: None,
            trace_id,
            span_id,
        };
        self.count(slot, whose, &item);
        self.slots[slot].group.id
    }

    fn identify(&mut self, whose: &Whose<'_>, kind: u8, name: &str) {
        let identity = &mut self.identity;
        identity.clear();
        identity.extend_from_slice(&whose.project.to_le_bytes());
        identity.extend_from_slice(&whose.environment.to_le_bytes());
        identity.push(kind);
        for text in [whose.service, name] {
            identity.extend_from_slice(&(text.len() as u64).to_le_bytes());
            identity.extend_from_slice(text.as_bytes());
        }
    }

    /// The slot of what was identified; `make` decides about the group where nobody has yet.
    fn slot(
        &mut self,
        whose: &Whose<'a>,
        kind: u8,
        make: impl FnOnce(&mut String) -> Group,
    ) -> usize {
        if self.identity == self.before.0 {
            return self.before.1;
        }
        let hash = xxh3_128_with_seed(&self.identity, self.seed.value());
        let slot = match self.known.get(&hash) {
            Some(slot) => *slot,
            None => {
                let group = make(&mut self.buffer);
                let slot = self.slot_of(whose, kind, group);
                self.known.insert(hash, slot);
                slot
            }
        };
        std::mem::swap(&mut self.identity, &mut self.before.0);
        self.before.1 = slot;
        slot
    }

    fn slot_of(&mut self, whose: &Whose<'a>, kind: u8, group: Group) -> usize {
        let key = (
            whose.project,
            group.id,
            whose.service,
            whose.environment,
            kind,
        );
        if let Some(slot) = self.same.get(&key) {
            return *slot;
        }
        let slot = self.slots.len();
        self.same.insert(key, slot);
        self.slots.push(Slot {
            project: whose.project,
            group,
            service: whose.service,
            environment: whose.environment,
            kind,
            counts_as: slot,
            last: None,
        });
        let of_project = self.of_project.entry(whose.project).or_default();
        *of_project += 1;
        if *of_project > MOST_GROUPS && self.slots[slot].group.id != 0 {
            let (system, name) = OVERFLOW;
            let overflow = Group {
                system: system.to_owned(),
                id: 0,
                name: name.to_owned(),
            };
            let nobody = Whose {
                service: "",
                environment: 0,
                ..*whose
            };
            let counts_as = self.slot_of(&nobody, 0, overflow);
            self.slots[slot].counts_as = counts_as;
        }
        slot
    }

    fn count(&mut self, slot: usize, whose: &Whose<'a>, item: &Item) {
        let slot = self.slots[slot].counts_as;
        let seconds = whose.at.minute();
        let at = match self.slots[slot].last {
            Some((last, at)) if last == seconds => at,
            _ => self.minute(slot, seconds, whose.at.day()),
        };
        let minute = &mut self.minutes[at];
        let duration = item.duration.unwrap_or(0);
        if minute.items == 0 || duration > minute.longest {
            minute.trace_id = item.trace_id;
            minute.span_id = item.span_id;
        }
        minute.items += 1;
        minute.errors += u64::from(item.failed);
        minute.duration = minute.duration.saturating_add(duration);
        minute.longest = minute.longest.max(duration);
        if let Some(duration) = item.duration {
            minute.buckets.add(duration);
        }
        minute.accepted = minute.accepted.max(Some(whose.accepted));
    }

    fn minute(&mut self, slot: usize, seconds: u32, day: u16) -> usize {
        let minutes = &mut self.minutes;
        let at = *self.found.entry((slot, seconds)).or_insert_with(|| {
            minutes.push(Minute {
                slot,
                seconds,
                day,
                ..Minute::default()
            });
            minutes.len() - 1
        });
        self.slots[slot].last = Some((seconds, at));
        at
    }

    pub(super) fn blocks(mut self, environments: &[String]) -> Vec<Block> {
        let mut steps = std::mem::take(&mut self.minutes);
        let mut blocks = self.by_day(Columns::TABLE, &mut steps, environments);
        for (table, seconds) in rollups::LEVELS {
            steps = rollups::coarser(steps, seconds);
            blocks.extend(self.by_day(table, &mut steps, environments));
        }
        blocks
    }

    /// One block for each day, sorted by the table's key.
    fn by_day(
        &self,
        table: &'static str,
        steps: &mut [Minute],
        environments: &[String],
    ) -> Vec<Block> {
        let slots = &self.slots;
        steps.sort_by_cached_key(|step| {
            let slot = &slots[step.slot];
            (
                step.day,
                slot.project,
                step.seconds,
                slot.group.system.clone(),
                slot.group.id,
                slot.service,
                environments[slot.environment as usize].as_str(),
                slot.kind,
            )
        });
        steps
            .chunk_by(|a, b| a.day == b.day)
            .map(|of_day| {
                columns(of_day, slots, environments)
                    .finish(of_day[0].day)
                    .for_table(table)
            })
            .collect()
    }
}

fn columns<'a>(minutes: &[Minute], slots: &[Slot<'_>], environments: &[String]) -> Columns<'a> {
    let mut columns = Columns::default();
    for minute in minutes {
        let slot = &slots[minute.slot];
        columns.rows += 1;
        columns.project_id.push(slot.project);
        columns.time.push(Seconds(minute.seconds));
        columns.system.push(&slot.group.system);
        columns.group_id.push(slot.group.id);
        columns.service.push(slot.service);
        columns
            .environment
            .push(&environments[slot.environment as usize]);
        columns.kind.push(slot.kind.min(5));
        columns.name.push(&slot.group.name);
        columns.items.push(minute.items);
        columns.errors.push(minute.errors);
        columns.duration.push(minute.duration);
        columns.longest.push(minute.longest);
        columns.buckets.push(&minute.buckets);
        columns.trace_id.push(minute.trace_id);
        columns.span_id.push(minute.span_id);
        let accepted = minute.accepted.map_or(Seconds(0), Moment::seconds);
        columns.accepted.push(accepted);
    }
    columns
}
