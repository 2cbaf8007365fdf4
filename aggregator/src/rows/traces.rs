//! `trace_index`: when a trace happened, to find its spans by.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use petrel_wire::otlp::view::SpanHead;

use super::Block;
use super::attributes::trace_id;
use super::columns::{Nanos, Plain, Seconds, Seed, table};
use super::spans::ERROR;
use super::time::{Moment, nanos};

table! {
    /// As in `migrations/clickhouse`.
    Columns<'a> for "trace_index" {
        trace_id: Plain<[u8; 16]>,
        project_id: Plain<u32>,
        start: Plain<Nanos>,
        end: Plain<Nanos>,
        spans: Plain<u32>,
        errors: Plain<u32>,
        accepted: Plain<Seconds>,
    }
}

/// How long a span took; one that does not say when it began took no time.
pub(super) fn duration(start: u64, end: u64) -> u64 {
    end.saturating_sub(if start == 0 { end } else { start })
}

/// What one cut knows about one trace on one day.
#[derive(Clone, Copy, Debug, Default)]
struct Trace {
    start: u64,
    end: u64,
    spans: u32,
    errors: u32,
    accepted: Option<Moment>,
}

/// A trace on one day: its id in the order of its bytes, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: u16,
    id: u128,
    project: u32,
}

impl Hash for Key {
    /// At once: the pieces one by one are three hashes.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = [0; 22];
        bytes[..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.project.to_le_bytes());
        bytes[20..].copy_from_slice(&self.day.to_le_bytes());
        state.write(&bytes);
    }
}

/// Traces, as their spans come: neighbours in a request often belong to one.
#[derive(Debug, Default)]
pub(super) struct Traces {
    numbers: HashMap<Key, usize, Seed>,
    all: Vec<(Key, Trace)>,
    last: usize,
}

impl Traces {
    /// Takes note of a span.
    pub(super) fn note(&mut self, project: u32, span: &SpanHead<'_>, at: Moment, accepted: Moment) {
        let id = u128::from_be_bytes(trace_id(span.trace_id()));
        if id == 0 {
            return;
        }
        let key = Key {
            day: at.day(),
            id,
            project,
        };
        let (start, duration) = (
            at.as_u64(),
            duration(span.start_time_unix_nano(), span.end_time_unix_nano()),
        );
        let trace = self.trace(key);
        trace.start = trace.start.min(start);
        trace.end = trace.end.max(start.saturating_add(duration));
        trace.spans += 1;
        trace.errors += u32::from(span.status().code() == ERROR);
        trace.accepted = trace.accepted.max(Some(accepted));
    }

    fn trace(&mut self, key: Key) -> &mut Trace {
        if self.all.get(self.last).is_none_or(|(last, _)| *last != key) {
            let all = &mut self.all;
            self.last = *self.numbers.entry(key).or_insert_with(|| {
                let nothing = Trace {
                    start: u64::MAX,
                    ..Trace::default()
                };
                all.push((key, nothing));
                all.len() - 1
            });
        }
        &mut self.all[self.last].1
    }

    /// By day.
    pub(super) fn blocks(mut self) -> BTreeMap<u16, Block> {
        self.all.sort_unstable_by_key(|(key, _)| *key);
        let days = self.all.chunk_by(|(a, _), (b, _)| a.day == b.day);
        days.map(|traces| (traces[0].0.day, block(traces)))
            .collect()
    }
}

/// The traces of one day.
fn block(traces: &[(Key, Trace)]) -> Block {
    let mut columns = Columns::default();
    for (key, trace) in traces {
        columns.rows += 1;
        columns.trace_id.push(key.id.to_be_bytes());
        columns.project_id.push(key.project);
        columns.start.push(nanos(trace.start));
        columns.end.push(nanos(trace.end));
        columns.spans.push(trace.spans);
        columns.errors.push(trace.errors);
        let accepted = trace.accepted.map_or(Seconds(0), Moment::seconds);
        columns.accepted.push(accepted);
    }
    columns.finish(traces[0].0.day)
}
