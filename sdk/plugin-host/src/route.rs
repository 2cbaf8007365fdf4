//! Outputs: which records leave the chain for somewhere else than the rest, and the batches of each.
//!
//! A record keeps its output on its way through the processors that follow; a later one that routes may
//! send it elsewhere, and its output 0 leaves it where it is. In the end there is a batch for each output,
//! spliced out of the same bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_wire::Batch;

use crate::registry::Table;
use crate::sheet::{Selection, Sheet};

/// Outputs of one plugin, the default one among them.
pub(crate) const MOST_OUTPUTS: usize = 32;

/// Records that a processor has sent somewhere else.
#[derive(Debug)]
pub struct Routed {
    /// The name of the output.
    pub output: Arc<str>,
    /// Processed.
    pub batch: Batch,
}

/// Which records of a sheet go where.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// By row of the sheet; those that go where all go are not in it.
    by_row: BTreeMap<u32, Arc<str>>,
}

/// A batch in the making: what of the sheet is in it.
pub(crate) struct Part {
    /// `None` for the default output.
    pub(crate) output: Option<Arc<str>>,
    pub(crate) kept: Selection,
    pub(crate) removed: Vec<u32>,
}

impl Routes {
    /// Sends rows of the sheet to outputs.
    pub(crate) fn send(&mut self, routes: Vec<(u32, Arc<str>)>) {
        self.by_row.extend(routes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_row.is_empty()
    }
}

/// The name of an output, if it can be one: a directory and a label have it as well.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// The sheet by outputs, the default one first, though nothing may be left for it.
pub(crate) fn parts(sheet: &Sheet) -> Vec<Part> {
    let routes = &sheet.aside.routes.by_row;
    let records = sheet.records();
    let row = |index: usize| {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        sheet.kept.row(Table::Record, index)
    };
    let outputs: Vec<Option<&Arc<str>>> = (0..records).map(|at| routes.get(&row(at))).collect();
    let mut names: Vec<&Arc<str>> = outputs.iter().copied().flatten().collect();
    names.sort_unstable();
    names.dedup();
    let named = names.into_iter().map(Some);
    std::iter::once(None)
        .chain(named)
        .map(|output| {
            let gone: Vec<bool> = outputs.iter().map(|of| *of != output).collect();
            let (kept, removed) = sheet.with_only(&gone);
            Part {
                output: output.cloned(),
                kept,
                removed,
            }
        })
        .collect()
}

/// What came of several parts of one batch, by output.
pub(crate) fn joined(parts: Vec<Routed>) -> Vec<Routed> {
    let mut by_output = BTreeMap::<Arc<str>, Vec<Batch>>::new();
    for Routed { output, batch } in parts {
        by_output.entry(output).or_default().push(batch);
    }
    by_output
        .into_iter()
        .filter_map(|(output, batches)| {
            let signal = batches.first()?.signal();
            let batch = Batch::concat(signal, &batches);
            Some(Routed { output, batch })
        })
        .collect()
}
