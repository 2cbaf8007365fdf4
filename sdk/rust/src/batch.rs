//! A batch as a plugin sees it. Everything here borrows what the host handed over; nothing is copied.

use crate::bindings::petrel::plugin::types;
use crate::column::{Cell, Code, Column, Text};
use crate::plan::{Plan, Slot};
use crate::registry::{Signals, Table};

/// The selected parts of one OTLP request, of one signal and one sender.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    batch: &'a types::Batch,
    plan: &'a Plan,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(batch: &'a types::Batch, plan: &'a Plan) -> Self {
        Self { batch, plan }
    }

    /// Traces, logs or metrics.
    pub fn signal(&self) -> Signals {
        Signals(self.batch.signal)
    }

    /// Wall clock, nanoseconds since 1970.
    pub fn now_ns(&self) -> u64 {
        self.batch.now_ns
    }

    /// A fresh random number that senders cannot know.
    pub fn seed(&self) -> u64 {
        self.batch.seed
    }

    /// Rows of a table.
    pub fn rows(&self, table: Table) -> u32 {
        self.table(table).map_or(0, |table| table.rows)
    }

    /// The row above: of a record its scope (of a data point its metric), of a scope its resource, of
    /// an event its span. Resources have none.
    pub fn parent(&self, table: Table, row: u32) -> Option<u32> {
        self.table(table)?.parent.get(row as usize).copied()
    }

    /// The resource that a record belongs to.
    pub fn resource_of(&self, record: u32) -> Option<u32> {
        let above = self.parent(Table::RECORD, record)?;
        let scope = if self.signal() == Signals::METRICS {
            self.parent(Table::METRIC, above)?
        } else {
            above
        };
        self.parent(Table::SCOPE, scope)
    }

    fn table(&self, table: Table) -> Option<&'a types::TableRows> {
        self.batch.tables.iter().find(|rows| rows.table == table.0)
    }

    /// Every column, selector by selector or not. None is empty.
    pub fn all_columns(&self) -> impl Iterator<Item = Column<'a>> + use<'a> {
        let batch = *self;
        let columns = self.batch.columns.iter();
        columns.map(move |column| batch.column(column))
    }

    /// The columns of one selector: one for each key that it covers, or the one of its field.
    pub fn columns(&self, slot: Slot) -> impl Iterator<Item = Column<'a>> + use<'a> {
        let batch = *self;
        let columns = self.batch.columns.iter();
        columns
            .filter(move |column| column.slot == slot.0)
            .map(move |column| batch.column(column))
    }

    fn column(&self, column: &'a types::Column) -> Column<'a> {
        let table = self.plan.table(Slot(column.slot));
        Column::new(column, self.dictionary(), self.rows(table))
    }

    /// Every value of one selector.
    pub fn cells(&self, slot: Slot) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        self.columns(slot).flat_map(|column| column.cells())
    }

    /// The first value that a row has for a selector.
    pub fn get(&self, slot: Slot, row: u32) -> Option<Cell<'a>> {
        self.columns(slot).find_map(|column| column.get(row))
    }

    /// The strings of this batch.
    pub fn dictionary(&self) -> Dictionary<'a> {
        Dictionary {
            blob: &self.batch.dict,
        }
    }
}

/// Distinct strings, each with a number.
#[derive(Clone, Copy, Debug)]
pub struct Dictionary<'a> {
    blob: &'a types::Blob,
}

impl<'a> Dictionary<'a> {
    /// How many strings there are; none if the plan is
    /// [`without_strings`](crate::Plan::without_strings).
    pub fn len(&self) -> usize {
        self.blob.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blob.ends.is_empty()
    }

    /// The string with this code. Not to be trusted to be UTF-8.
    pub fn get(&self, code: Code) -> Option<&'a [u8]> {
        let index = code.0 as usize;
        let end = *self.blob.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.blob.ends.get(before)? as usize,
            None => 0,
        };
        self.blob.bytes.get(start..end)
    }

    pub(crate) fn text(self, code: Code) -> Text<'a> {
        Text {
            code,
            bytes: self.get(code).unwrap_or_default(),
        }
    }
}
