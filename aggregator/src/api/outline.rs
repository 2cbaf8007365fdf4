//! The outline of a trace: its tree in columns, laid out here so that a browser only draws.
//!
//! Rows are in depth-first order, siblings by start. Whatever senders do, every span is in it
//! exactly once: a span whose parent is not here becomes a root and is flagged, spans whose
//! parents form a circle are cut open at the earliest.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use utoipa::ToSchema;

use crate::query::span_hex;
use crate::query::traces::OutlineSpan;

/// Its status is `error`.
const ERROR: u8 = 1;
/// Its parent is not here.
const ORPHAN: u8 = 2;
/// It has log records.
const HAS_LOGS: u8 = 4;
/// It has span links.
const HAS_LINKS: u8 = 8;
/// It is on the critical path.
const CRITICAL: u8 = 16;
/// It has span events.
const HAS_EVENTS: u8 = 32;

/// A trace in columns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Outline {
    trace_id: String,
    /// Start of the earliest span, Unix nanoseconds.
    t0: String,
    /// From there to the last end, nanoseconds.
    duration: i64,
    /// Spans shown.
    count: usize,
    /// There are more spans than are shown.
    truncated: bool,
    /// What `service` points into.
    services: Vec<String>,
    /// What `name` points into.
    names: Vec<String>,
    columns: Columns,
}

/// One entry per span, depth-first, siblings by start.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Columns {
    span_id: Vec<String>,
    /// Row of the parent, -1 for a root.
    parent: Vec<i64>,
    depth: Vec<u32>,
    /// Rows of the subtree, the span included.
    subtree: Vec<u32>,
    service: Vec<usize>,
    name: Vec<usize>,
    kind: Vec<String>,
    /// Nanoseconds after `t0`.
    start: Vec<i64>,
    /// Nanoseconds.
    dur: Vec<i64>,
    /// Nanoseconds during which no child ran.
    #[serde(rename = "self")]
    own: Vec<i64>,
    /// 1 error, 2 orphan, 4 has logs, 8 has links, 16 critical, 32 has events.
    flags: Vec<u8>,
}

/// Rows of the tree while it is built. Indexes are into the spans as given.
struct Tree {
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
    orphan: Vec<bool>,
}

impl Tree {
    fn grow(spans: &[OutlineSpan]) -> Self {
        let mut by_id = HashMap::with_capacity(spans.len());
        for (index, span) in spans.iter().enumerate() {
            by_id.entry(span.id).or_insert(index);
        }
        let mut tree = Self {
            parents: vec![None; spans.len()],
            children: vec![Vec::new(); spans.len()],
            roots: Vec::new(),
            orphan: vec![false; spans.len()],
        };
        for (index, span) in spans.iter().enumerate() {
            match by_id.get(&span.parent) {
                Some(parent) if *parent != index && span.parent != 0 => {
                    tree.parents[index] = Some(*parent);
                    tree.children[*parent].push(index);
                }
                _ => {
                    tree.orphan[index] = span.parent != 0;
                    tree.roots.push(index);
                }
            }
        }
        tree.cut_circles(spans);
        tree
    }

    /// What no root reaches hangs in a circle: its earliest span becomes a root.
    fn cut_circles(&mut self, spans: &[OutlineSpan]) {
        let mut reached = vec![false; spans.len()];
        let mut stack = self.roots.clone();
        let mut next = 0;
        loop {
            while let Some(index) = stack.pop() {
                if !std::mem::replace(&mut reached[index], true) {
                    stack.extend(&self.children[index]);
                }
            }
            // Spans are in order of time.
            let Some(index) = (next..spans.len()).find(|index| !reached[*index]) else {
                break;
            };
            next = index + 1;
            if let Some(parent) = self.parents[index].take() {
                self.children[parent].retain(|child| *child != index);
            }
            self.orphan[index] = true;
            self.roots.push(index);
            stack.push(index);
        }
        self.roots
            .sort_unstable_by_key(|root| (spans[*root].start, *root));
    }
}

fn end(span: &OutlineSpan) -> i64 {
    span.start
        .saturating_add(i64::try_from(span.nanos).unwrap_or(i64::MAX))
}

/// The part of a span during which none of its children ran. Children come in order of start.
fn own_time(span: &OutlineSpan, children: &[usize], spans: &[OutlineSpan]) -> i64 {
    let (from, to) = (span.start, end(span));
    let mut covered = 0;
    let mut reached = from;
    for child in children {
        let child = &spans[*child];
        let (start, stop) = (child.start.max(reached), end(child).min(to));
        if stop > start {
            covered += stop - start;
            reached = stop;
        }
    }
    to - from - covered
}

/// Walks back from the end of a root: what it waited for last, what that waited for, and so on.
fn critical_path(root: usize, tree: &Tree, spans: &[OutlineSpan], critical: &mut [bool]) {
    let mut stack = vec![(root, end(&spans[root]))];
    while let Some((index, until)) = stack.pop() {
        critical[index] = true;
        let mut now = until.min(end(&spans[index]));
        let mut waiting: Vec<usize> = tree.children[index].clone();
        waiting.sort_unstable_by_key(|child| std::cmp::Reverse(end(&spans[*child]).min(now)));
        for child in waiting {
            // One that outlives its parent is waited for until the parent ends.
            let stop = end(&spans[child]).min(end(&spans[index]));
            if stop <= now && stop > spans[index].start && spans[child].start < now {
                stack.push((child, stop));
                now = spans[child].start;
            }
        }
    }
}

fn word(text: &str, words: &mut Vec<String>, known: &mut HashMap<String, usize>) -> usize {
    if let Some(index) = known.get(text) {
        return *index;
    }
    words.push(text.to_owned());
    known.insert(text.to_owned(), words.len() - 1);
    words.len() - 1
}

/// Lays out a trace. `spans` are in order of start; `logged` have log records.
pub(super) fn lay_out(
    trace_id: String,
    spans: &[OutlineSpan],
    logged: &HashSet<u64>,
    truncated: bool,
) -> Outline {
    let tree = Tree::grow(spans);
    let mut critical = vec![false; spans.len()];
    // The request itself: a real root if there is one, else the longest of what there is.
    let main = tree.roots.iter().copied().max_by_key(|root| {
        (
            !tree.orphan[*root],
            spans[*root].nanos,
            std::cmp::Reverse(*root),
        )
    });
    if let Some(main) = main {
        critical_path(main, &tree, spans, &mut critical);
    }
    let t0 = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let last = spans.iter().map(end).max().unwrap_or(0);

    let mut outline = Outline {
        trace_id,
        t0: t0.to_string(),
        duration: last.saturating_sub(t0),
        count: spans.len(),
        truncated,
        services: Vec::new(),
        names: Vec::new(),
        columns: Columns::default(),
    };
    let (mut services, mut names) = (HashMap::new(), HashMap::new());
    let columns = &mut outline.columns;
    let mut stack: Vec<(usize, i64, u32)> =
        tree.roots.iter().rev().map(|root| (*root, -1, 0)).collect();
    while let Some((index, parent, depth)) = stack.pop() {
        let span = &spans[index];
        let row = i64::try_from(columns.depth.len()).unwrap_or(i64::MAX);
        let flags = [
            (span.failed, ERROR),
            (tree.orphan[index], ORPHAN),
            (logged.contains(&span.id), HAS_LOGS),
            (span.has_links, HAS_LINKS),
            (critical[index], CRITICAL),
            (span.has_events, HAS_EVENTS),
        ];
        columns.span_id.push(span_hex(span.id));
        columns.parent.push(parent);
        columns.depth.push(depth);
        columns.subtree.push(1);
        columns.service.push(word(
            &span.service_name,
            &mut outline.services,
            &mut services,
        ));
        columns
            .name
            .push(word(&span.span_name, &mut outline.names, &mut names));
        columns.kind.push(span.kind_word.clone());
        columns.start.push(span.start - t0);
        columns.dur.push(end(span) - span.start);
        columns
            .own
            .push(own_time(span, &tree.children[index], spans));
        columns.flags.push(
            flags
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, flag)| flag)
                .sum(),
        );
        stack.extend(
            tree.children[index]
                .iter()
                .rev()
                .map(|child| (*child, row, depth + 1)),
        );
    }
    // Children come after their parents: added up from the last row, each is whole when it counts.
    for row in (0..columns.parent.len()).rev() {
        if let Ok(parent) = usize::try_from(columns.parent[row]) {
            columns.subtree[parent] += columns.subtree[row];
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u64, parent: u64, start: i64, nanos: u64) -> OutlineSpan {
        OutlineSpan {
            id,
            parent,
            start,
            nanos,
            service_name: "shop".to_owned(),
            span_name: format!("span {id}"),
            ..OutlineSpan::default()
        }
    }

    fn outline(mut spans: Vec<OutlineSpan>) -> Outline {
        spans.sort_by_key(|span| (span.start, span.id));
        let outline = lay_out("t".to_owned(), &spans, &HashSet::new(), false);
        let mut ids = outline.columns.span_id.clone();
        ids.sort();
        ids.dedup();
        assert_eq!(
            outline.columns.span_id.len(),
            spans.len(),
            "every span exactly once"
        );
        outline
    }

    fn ids(outline: &Outline) -> Vec<u64> {
        let parse = |id: &String| u64::from_str_radix(id, 16).unwrap();
        outline.columns.span_id.iter().map(parse).collect()
    }

    fn flagged(outline: &Outline, flag: u8) -> Vec<u64> {
        let ids = ids(outline);
        (0..ids.len())
            .filter(|row| outline.columns.flags[*row] & flag != 0)
            .map(|row| ids[row])
            .collect()
    }

    #[test]
    fn rows_are_depth_first_with_siblings_by_start() {
        let outline = outline(vec![
            span(1, 0, 0, 100),
            span(2, 1, 50, 10),
            span(3, 1, 10, 10),
            span(4, 3, 12, 2),
        ]);
        assert_eq!(ids(&outline), [1, 3, 4, 2]);
        assert_eq!(outline.columns.parent, [-1, 0, 1, 0]);
        assert_eq!(outline.columns.depth, [0, 1, 2, 1]);
        assert_eq!(outline.columns.subtree, [4, 2, 1, 1]);
        assert_eq!(outline.columns.start, [0, 10, 12, 50]);
        assert_eq!(outline.columns.own, [80, 8, 2, 10]);
        assert_eq!(outline.services, ["shop"]);
        assert_eq!(outline.columns.name, [0, 1, 2, 3]);
    }

    #[test]
    fn own_time_counts_overlapping_children_once_and_late_ones_not_at_all() {
        let outline = outline(vec![
            span(1, 0, 0, 100),
            span(2, 1, 10, 40),
            span(3, 1, 20, 40),
            span(4, 1, 90, 500),
            span(5, 1, 300, 5),
        ]);
        assert_eq!(outline.columns.own[0], 100 - 50 - 10);
        assert_eq!(outline.duration, 590);
    }

    #[test]
    fn a_span_without_its_parent_is_a_flagged_root() {
        let outline = outline(vec![
            span(1, 0, 5, 10),
            span(2, 99, 0, 10),
            span(3, 2, 1, 1),
        ]);
        assert_eq!(ids(&outline), [2, 3, 1]);
        assert_eq!(flagged(&outline, ORPHAN), [2]);
        assert_eq!(outline.columns.parent, [-1, 0, -1]);
    }

    #[test]
    fn circles_and_spans_that_are_their_own_parents_survive() {
        let outline = outline(vec![
            span(1, 3, 0, 10),
            span(2, 1, 1, 10),
            span(3, 2, 2, 10),
            span(4, 4, 5, 1),
            span(5, 3, 6, 1),
        ]);
        assert_eq!(ids(&outline), [1, 2, 3, 5, 4]);
        assert_eq!(flagged(&outline, ORPHAN), [1, 4]);
        assert_eq!(outline.columns.subtree, [4, 3, 2, 1, 1]);
    }

    #[test]
    fn spans_with_one_id_are_all_shown() {
        let spans = vec![
            span(1, 0, 0, 10),
            span(2, 1, 1, 1),
            span(2, 1, 3, 1),
            span(3, 2, 4, 1),
        ];
        let outline = outline(spans);
        assert_eq!(ids(&outline), [1, 2, 3, 2]);
    }

    #[test]
    fn the_critical_path_is_what_the_root_waited_for() {
        let outline = outline(vec![
            span(1, 0, 0, 100),
            span(2, 1, 0, 40),  // waited for until the next one starts
            span(3, 1, 40, 50), // waited for until 90
            span(4, 1, 10, 60), // ran beside 3
            span(5, 3, 45, 10),
            span(6, 1, 95, 900), // outlives the root
        ]);
        assert_eq!(flagged(&outline, CRITICAL), [1, 2, 3, 5, 6]);
    }

    #[test]
    fn a_deep_trace_does_not_exhaust_the_stack() {
        let spans: Vec<_> = (1..=50_000).map(|id| span(id, id - 1, 0, 10)).collect();
        let outline = lay_out("t".to_owned(), &spans, &HashSet::new(), false);
        assert_eq!(outline.columns.depth.last(), Some(&49_999));
        assert_eq!(outline.columns.subtree[0], 50_000);
    }
}
