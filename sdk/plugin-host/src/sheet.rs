//! One batch while it goes through the chain: its messages, and the columns that plugins see.
//!
//! The bytes stay as they came until the end. What plugins change, they change here.

use bytes::Bytes;
use petrel_wire::Signal;

use crate::columns::{self, Column};
use crate::dictionary::Dictionary;
use crate::hold::Aside;
use crate::layout::Level;
use crate::registry::{TABLES, Table};

/// What a chain may write into a batch beyond twice what the batch has.
pub(crate) const MOST_GROWTH: usize = 8 << 20;

/// No frame.
pub(crate) const NO_FRAME: u32 = u32::MAX;

/// A batch as the chain sees it.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) signal: Signal,
    pub(crate) bytes: Bytes,
    pub(crate) dictionary: Dictionary,
    /// Every message whose length follows an edit; those around it stand before it.
    pub(crate) frames: Vec<Frame>,
    pub(crate) rows: [Rows; TABLES],
    pub(crate) columns: Vec<Column>,
    /// What plugins did not drop.
    pub(crate) kept: Selection,
    /// Dropped messages, with those inside them that were dropped, too.
    pub(crate) removed: Vec<u32>,
    /// Attributes of the row that has most, as it came.
    pub(crate) most_attributes: usize,
    /// Bytes that new values may still have, all cells together: one string may go into many.
    pub(crate) room: usize,
    /// Answers applied so far.
    pub(crate) answers: u8,
    /// Something is not as it came.
    pub(crate) is_changed: bool,
    /// What plugins said about traces.
    pub(crate) aside: Aside,
}

/// A message: where its key, its content and what follows it begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) start: u32,
    pub(crate) content: u32,
    pub(crate) end: u32,
    /// The message around it.
    pub(crate) parent: u32,
}

/// The rows of a table.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) parents: Vec<u32>,
    /// Of resources and scopes, the group.
    pub(crate) frames: Vec<u32>,
    /// The message with attributes and fields: the same, or one inside it, or none.
    pub(crate) inner: Vec<u32>,
    pub(crate) levels: Vec<&'static Level>,
}

impl Rows {
    pub(crate) fn reserve(&mut self, rows: usize) {
        self.parents.reserve(rows);
        self.frames.reserve(rows);
        self.inner.reserve(rows);
        self.levels.reserve(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }
}

/// Some of the rows: by table the ascending numbers of those that are in, or nothing for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) rows: [Option<Vec<u32>>; TABLES],
}

impl Selection {
    pub(crate) fn len(&self, sheet: &Sheet, table: Table) -> usize {
        let all = sheet.rows[table.index()].len();
        self.rows[table.index()].as_ref().map_or(all, Vec::len)
    }

    /// The row of the sheet that is row `index` of those selected.
    pub(crate) fn row(&self, table: Table, index: u32) -> u32 {
        match &self.rows[table.index()] {
            Some(rows) => rows.get(index as usize).copied().unwrap_or(u32::MAX),
            None => index,
        }
    }
}

impl Sheet {
    /// Columns in which plugins made cells: so many attributes may a row have more than it had.
    pub(crate) fn made_columns(&self) -> usize {
        let made = |column: &&Column| {
            !column.changed_by.is_empty() && column.places.contains(&columns::MADE)
        };
        self.columns.iter().filter(made).count()
    }

    /// Records that are left.
    pub(crate) fn records(&self) -> usize {
        self.kept.len(self, Table::Record)
    }

    /// Rows of records as positions among those that are left; what is not left has none.
    pub(crate) fn positions(&self, rows: &[u32]) -> Vec<usize> {
        match &self.kept.rows[Table::Record.index()] {
            Some(kept) => rows
                .iter()
                .filter_map(|row| kept.binary_search(row).ok())
                .collect(),
            None => rows.iter().map(|row| *row as usize).collect(),
        }
    }

    /// `kept` without these of its records, and without what holds nothing but for them: metrics,
    /// scopes and resources that lose something and have nothing left. What was empty before stays.
    /// `gone` is by position among the records kept.
    pub(crate) fn without(&self, gone: &[bool]) -> Selection {
        let mut next = self.kept.clone();
        let has_metrics = self.rows[Table::Metric.index()].len() > 0;
        let mut table = Table::Record;
        let mut out = vec![false; self.rows[table.index()].len()];
        for (index, gone) in (0..).zip(gone) {
            if *gone {
                out[self.kept.row(table, index) as usize] = true;
            }
        }
        for below in [Table::Event, Table::Link, Table::Exemplar] {
            let parents = &self.rows[below.index()].parents;
            next.keep(below, parents.len(), |row| {
                !out[parents[row as usize] as usize]
            });
        }
        loop {
            let rows = &self.rows[table.index()];
            let before = next.rows[table.index()].clone();
            next.keep(table, rows.len(), |row| !out[row as usize]);
            let above = match table {
                Table::Record if has_metrics => Table::Metric,
                Table::Record | Table::Metric => Table::Scope,
                Table::Scope => Table::Resource,
                _ => return next,
            };
            let count = self.rows[above.index()].len();
            let (mut lost, mut left) = (vec![false; count], vec![false; count]);
            each(before.as_deref(), rows.len(), |row| {
                let counted = if out[row as usize] {
                    &mut lost
                } else {
                    &mut left
                };
                counted[rows.parents[row as usize] as usize] = true;
            });
            out = lost
                .into_iter()
                .zip(left)
                .map(|(lost, left)| lost && !left)
                .collect();
            table = above;
        }
    }

    /// What would be kept and what removed without these of its records; see [`Sheet::without`].
    pub(crate) fn with_only(&self, gone: &[bool]) -> (Selection, Vec<u32>) {
        let next = self.without(gone);
        let mut removed = self.removed.clone();
        removed.extend(self.lost(&next));
        (next, removed)
    }

    /// Takes out what `next`, made by [`Sheet::without`], does not hold.
    pub(crate) fn keep(&mut self, next: Selection) {
        let lost = self.lost(&next);
        self.removed.extend(lost);
        self.kept = next;
        self.is_changed = true;
    }

    /// Messages that are kept now, and not in `next`.
    fn lost(&self, next: &Selection) -> Vec<u32> {
        let mut lost = Vec::new();
        for table in [Table::Resource, Table::Scope, Table::Metric, Table::Record] {
            let rows = &self.rows[table.index()];
            let mut stays = vec![false; rows.len()];
            each(next.rows[table.index()].as_deref(), rows.len(), |row| {
                stays[row as usize] = true;
            });
            each(
                self.kept.rows[table.index()].as_deref(),
                rows.len(),
                |row| {
                    if !stays[row as usize] {
                        lost.push(rows.frames[row as usize]);
                    }
                },
            );
        }
        lost
    }
}

impl Selection {
    fn keep(&mut self, table: Table, all: usize, stays: impl Fn(u32) -> bool) {
        let rows = &mut self.rows[table.index()];
        match rows {
            Some(rows) => rows.retain(|row| stays(*row)),
            None => {
                let end = u32::try_from(all).unwrap_or(u32::MAX);
                *rows = Some((0..end).filter(|row| stays(*row)).collect());
            }
        }
    }
}

fn each(rows: Option<&[u32]>, all: usize, mut visit: impl FnMut(u32)) {
    match rows {
        Some(rows) => rows.iter().copied().for_each(visit),
        None => (0..u32::try_from(all).unwrap_or(u32::MAX)).for_each(&mut visit),
    }
}
