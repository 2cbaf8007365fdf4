//! The sheet as one plugin sees it: its columns, its rows, and the strings of those.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use petrel_wire::{Clock, UnixNanos};

use crate::bindings::petrel::plugin::types;
use crate::columns::{Cell, Column, hidden};
use crate::dictionary::Dictionary;
use crate::layout;
use crate::plan::{Plan, Selector};
use crate::registry::{Table, code, kind};
use crate::sheet::{Selection, Sheet};

/// What a guest is handed, and the way back.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) batch: types::Batch,
    /// Beside `batch.columns`.
    pub(crate) origins: Vec<Origin>,
    pub(crate) selection: Selection,
}

/// The column of the sheet that a column of a view shows.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) column: usize,
    /// Which of its cells; nothing for all.
    pub(crate) cells: Option<Vec<u32>>,
}

impl Origin {
    pub(crate) fn cell(&self, index: usize) -> usize {
        match &self.cells {
            Some(cells) => cells[index] as usize,
            None => index,
        }
    }

    /// Where a cell of the sheet's column is shown, if it is.
    pub(crate) fn shows(&self, cell: usize) -> bool {
        match &self.cells {
            Some(cells) => u32::try_from(cell).is_ok_and(|cell| cells.binary_search(&cell).is_ok()),
            None => true,
        }
    }
}

/// What the host adds to each batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: u64,
    pub(crate) now: UnixNanos,
    /// Nobody outside can know it.
    pub(crate) seed: u64,
}

/// Where stamps come from.
#[derive(Debug)]
pub(crate) struct Stamper {
    next: AtomicU64,
    random: RandomState,
    clock: Arc<dyn Clock>,
}

impl Stamper {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            next: AtomicU64::new(0),
            random: RandomState::new(),
            clock,
        }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// One that was not there before.
    pub(crate) fn stamp(&self) -> Stamp {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Stamp {
            id,
            now: self.clock.wall(),
            seed: self.random.hash_one(id),
        }
    }
}

/// A guest's numbers for strings, where they are not the sheet's.
///
/// A guest that is handed strings gets those of its own columns and no others, so it has a
/// dictionary of its own. One that is not may number them as the sheet does.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    /// By the guest's code, the sheet's; nothing if they are the same.
    own: Option<Vec<u32>>,
}

impl Codes {
    /// How many the guest has.
    pub(crate) fn len(&self, dictionary: &Dictionary) -> usize {
        self.own.as_ref().map_or(dictionary.len(), Vec::len)
    }

    /// Whether the guest can name only strings that it was handed.
    pub(crate) fn are_own(&self) -> bool {
        self.own.is_some()
    }

    /// The sheet's code for one of the guest's.
    pub(crate) fn to_sheet(&self, code: u32) -> u32 {
        match &self.own {
            Some(own) => own.get(code as usize).copied().unwrap_or(code::NULL),
            None => code,
        }
    }

    /// Tells the guest about a string that the sheet has now.
    pub(crate) fn publish(&mut self, code: u32) -> u32 {
        let Some(own) = &mut self.own else {
            return code;
        };
        own.push(code);
        u32::try_from(own.len() - 1).unwrap_or(code::NULL)
    }
}

impl View {
    /// The part of `sheet` that is selected, for the plugin at `place` in the chain.
    pub(crate) fn new(
        sheet: &Sheet,
        place: u16,
        plan: &Plan,
        selection: Selection,
        alone: bool,
        stamp: Stamp,
    ) -> (Self, Codes) {
        let mut builder = Builder {
            sheet,
            selection: &selection,
            numbers: Numbers::default(),
            columns: Vec::new(),
            origins: Vec::new(),
        };
        // What one plugin alone reads is all in the dictionary, and nothing else is.
        let whole = alone && !sheet.is_changed && selection.rows.iter().all(Option::is_none);
        if plan.want_dict && !whole {
            builder.numbers.own = Some(vec![code::NULL; sheet.dictionary.len()]);
        }
        for (index, column) in sheet.columns.iter().enumerate() {
            for (_, slot) in column.seen.iter().filter(|(by, _)| *by == place) {
                builder.column(index, column, *slot, &plan.selectors[usize::from(*slot)]);
            }
        }
        let Builder {
            numbers,
            columns,
            origins,
            ..
        } = builder;
        let dict = match (plan.want_dict, &numbers.own) {
            (false, _) => types::Blob {
                ends: Vec::new(),
                bytes: Vec::new(),
            },
            (true, None) => sheet.dictionary.to_blob(),
            (true, Some(_)) => numbers.blob(&sheet.dictionary),
        };
        let batch = types::Batch {
            signal: layout::signal_bit(sheet.signal),
            id: stamp.id,
            now_ns: stamp.now.0,
            seed: stamp.seed,
            tables: tables(sheet, plan, &selection),
            dict,
            columns,
        };
        let codes = Codes {
            own: numbers.own.map(|_| numbers.to_sheet),
        };
        let view = Self {
            batch,
            origins,
            selection,
        };
        (view, codes)
    }
}

fn tables(sheet: &Sheet, plan: &Plan, selection: &Selection) -> Vec<types::TableRows> {
    let heard = Table::ALL
        .into_iter()
        .filter(|table| plan.hears_of(*table) && sheet.rows[table.index()].len() > 0);
    heard
        .map(|table| types::TableRows {
            table: table as u8,
            rows: u32::try_from(selection.len(sheet, table)).unwrap_or(u32::MAX),
            parent: parents(sheet, selection, table),
        })
        .collect()
}

fn parents(sheet: &Sheet, selection: &Selection, table: Table) -> Vec<u32> {
    let above = match table {
        Table::Resource => return Vec::new(),
        Table::Scope => Table::Resource,
        Table::Record if sheet.rows[Table::Metric.index()].len() > 0 => Table::Metric,
        Table::Record | Table::Metric => Table::Scope,
        Table::Event | Table::Link | Table::Exemplar => Table::Record,
    };
    let parents = &sheet.rows[table.index()].parents;
    let parents: Vec<u32> = match &selection.rows[table.index()] {
        Some(rows) => rows.iter().map(|row| parents[*row as usize]).collect(),
        None => parents.clone(),
    };
    match &selection.rows[above.index()] {
        Some(rows) => {
            let position = |parent| rows.binary_search(parent).unwrap_or(usize::MAX);
            let number = |parent| u32::try_from(position(parent)).unwrap_or(u32::MAX);
            parents.iter().map(number).collect()
        }
        None => parents,
    }
}

/// Numbers strings in the order in which they are met.
#[derive(Default)]
struct Numbers {
    /// By the sheet's code; nothing if the sheet's are used.
    own: Option<Vec<u32>>,
    to_sheet: Vec<u32>,
}

impl Numbers {
    fn of(&mut self, code: u32) -> u32 {
        let Some(own) = &mut self.own else {
            return code;
        };
        let Some(number) = own.get_mut(code as usize) else {
            return code::NULL;
        };
        if *number == code::NULL {
            *number = u32::try_from(self.to_sheet.len()).unwrap_or(code::NULL);
            self.to_sheet.push(code);
        }
        *number
    }

    fn blob(&self, dictionary: &Dictionary) -> types::Blob {
        let mut blob = types::Blob {
            ends: Vec::with_capacity(self.to_sheet.len()),
            bytes: Vec::new(),
        };
        for code in &self.to_sheet {
            blob.bytes
                .extend_from_slice(dictionary.get(*code).unwrap_or_default());
            blob.ends
                .push(u32::try_from(blob.bytes.len()).unwrap_or(u32::MAX));
        }
        blob
    }
}

struct Builder<'a> {
    sheet: &'a Sheet,
    selection: &'a Selection,
    numbers: Numbers,
    columns: Vec<types::Column>,
    origins: Vec<Origin>,
}

impl Builder<'_> {
    fn column(&mut self, index: usize, column: &Column, slot: u16, selector: &Selector) {
        let selected = self.selection.rows[column.table.index()].as_deref();
        let is_bare = selector.kinds == 0;
        let shown = |of: u8| of != hidden::DELETED && (is_bare || selector.wants(of));
        let uniform = column.kind != kind::MIXED;
        let mut out = types::Column {
            slot,
            key: code::NULL,
            kind: column.kind,
            rows: Vec::new(),
            codes: Vec::new(),
            words: Vec::new(),
            kinds: Vec::new(),
            present: Vec::new(),
        };
        let mut cells = None;
        if selected.is_none() && uniform {
            if !shown(column.kind) || column.len() == 0 {
                return;
            }
            out.rows.clone_from(&column.rows);
            if !is_bare {
                out.codes = column
                    .codes
                    .iter()
                    .map(|code| self.numbers.of(*code))
                    .collect();
                out.words.clone_from(&column.words);
            }
        } else {
            let some = self.some(column, selected, shown, is_bare, &mut out);
            if some.is_empty() {
                return;
            }
            cells = (some.len() < column.len()).then_some(some);
        }
        if is_bare {
            out.kind = kind::NULL;
        }
        if column.key != code::NULL {
            out.key = self.numbers.of(column.key);
        }
        // One value in each row needs no row numbers.
        let rows = self.selection.len(self.sheet, column.table);
        if out.rows.len() == rows && out.rows.iter().zip(0..).all(|(row, index)| *row == index) {
            out.rows.clear();
        }
        self.columns.push(out);
        self.origins.push(Origin {
            column: index,
            cells,
        });
    }

    /// Cell by cell, where some may be left out.
    fn some(
        &mut self,
        column: &Column,
        selected: Option<&[u32]>,
        shown: impl Fn(u8) -> bool,
        is_bare: bool,
        out: &mut types::Column,
    ) -> Vec<u32> {
        let mut cells = Vec::new();
        let mut built = Column::new(column.table, code::NULL, 0, Vec::new());
        let mut position = 0;
        for (index, row) in column.rows.iter().enumerate() {
            let row = match selected {
                None => *row,
                Some(selected) => {
                    while selected.get(position).is_some_and(|next| next < row) {
                        position += 1;
                    }
                    if selected.get(position) != Some(row) {
                        continue;
                    }
                    u32::try_from(position).unwrap_or(u32::MAX)
                }
            };
            if !shown(column.kind_at(index)) {
                continue;
            }
            cells.push(u32::try_from(index).unwrap_or(u32::MAX));
            let cell = match column.cell(index) {
                _ if is_bare => Cell::Bare(kind::NULL),
                Cell::Coded(of, code) => Cell::Coded(of, self.numbers.of(code)),
                cell => cell,
            };
            built.push_at(row, cell, (0, 0));
        }
        out.kind = built.kind;
        out.rows = built.rows;
        out.codes = built.codes;
        out.words = built.words;
        out.kinds = built.kinds;
        cells
    }
}

/// Reading a column as a guest has it.
pub(crate) trait ColumnView {
    /// The code of value `index`, if it is one.
    fn code_at(&self, index: usize) -> Option<(u8, u32)>;
    /// How many values could have codes.
    fn coded_len(&self) -> usize;
    /// How many values there are, in a table of so many rows.
    fn cells(&self, table_rows: usize) -> usize;
}

impl ColumnView for types::Column {
    fn code_at(&self, index: usize) -> Option<(u8, u32)> {
        if self.kind == kind::MIXED {
            let of = *self.kinds.get(index)?;
            let word = *self.words.get(index)?;
            kind::is_coded(of).then(|| (of, u32::try_from(word).unwrap_or(code::NULL)))
        } else {
            self.codes.get(index).map(|code| (self.kind, *code))
        }
    }

    fn coded_len(&self) -> usize {
        if self.kind == kind::MIXED {
            self.kinds.len()
        } else {
            self.codes.len()
        }
    }

    fn cells(&self, table_rows: usize) -> usize {
        if self.rows.is_empty() {
            table_rows
        } else {
            self.rows.len()
        }
    }
}
