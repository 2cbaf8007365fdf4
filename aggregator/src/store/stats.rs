//! Numbers about the store, for `/metrics` and tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clickhouse::Trouble;
use crate::rows::Displacements;

/// Counters since the start of this process.
#[derive(Debug, Default)]
pub struct StoreStats {
    up: AtomicBool,
    cuts: AtomicU64,
    inserts: AtomicU64,
    retries: AtomicU64,
    dead: AtomicU64,
    tables: Mutex<BTreeMap<&'static str, Table>>,
    trouble: Mutex<Option<Trouble>>,
    failures: [AtomicU64; TROUBLES.len()],
    displaced: Mutex<Displacements>,
}

/// What became of a table's blocks.
#[derive(Clone, Copy, Debug, Default)]
struct Table {
    rows: u64,
    /// Entries set aside since it took the last block.
    refused_in_a_row: u32,
}

const TROUBLES: [&str; 5] = ["passing", "pressure", "memory", "poison", "operator"];

impl StoreStats {
    /// Whether the last insert was taken.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Cuts that were settled.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Inserts that had to be repeated.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Journal entries that the store will never take.
    pub fn dead_letters(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    /// Rows acknowledged for a table.
    pub fn rows(&self, table: &str) -> u64 {
        self.tables().get(table).map_or(0, |table| table.rows)
    }

    /// What the last insert failed with; nothing if it was taken.
    pub fn trouble(&self) -> Option<Trouble> {
        *lock(&self.trouble)
    }

    /// Notes success; says whether that is news.
    pub(super) fn went_up(&self) -> bool {
        *lock(&self.trouble) = None;
        !self.up.swap(true, Ordering::Relaxed)
    }

    /// Notes a failure; says whether that, or its kind, is news.
    pub(super) fn went_down(&self, trouble: Trouble) -> bool {
        self.retries.fetch_add(1, Ordering::Relaxed);
        if let Some(kind) = TROUBLES.iter().position(|name| *name == trouble.name()) {
            self.failures[kind].fetch_add(1, Ordering::Relaxed);
        }
        self.up.store(false, Ordering::Relaxed);
        lock(&self.trouble).replace(trouble) != Some(trouble)
    }

    pub(super) fn stored(&self, table: &'static str, rows: u64) {
        self.inserts.fetch_add(1, Ordering::Relaxed);
        let mut tables = self.tables();
        let table = tables.entry(table).or_default();
        table.rows += rows;
        table.refused_in_a_row = 0;
    }

    /// Entries that were set aside for this table since it last took a block.
    pub(super) fn refused_in_a_row(&self, table: &str) -> u32 {
        self.tables()
            .get(table)
            .map_or(0, |table| table.refused_in_a_row)
    }

    // Held for moments and never across an await.
    fn tables(&self) -> MutexGuard<'_, BTreeMap<&'static str, Table>> {
        lock(&self.tables)
    }

    pub(super) fn settled(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }

    /// Items whose own times were not believed.
    pub(super) fn displaced(&self, more: &Displacements) {
        let mut displaced = lock(&self.displaced);
        for (whose, items) in more {
            *displaced.entry(*whose).or_default() += items;
        }
    }

    /// An entry was set aside, for a table or because it cannot even be read.
    pub(super) fn buried(&self, table: Option<&'static str>) {
        self.dead.fetch_add(1, Ordering::Relaxed);
        if let Some(table) = table {
            self.tables().entry(table).or_default().refused_in_a_row += 1;
        }
    }

    /// Appends them in Prometheus' text format.
    pub(super) fn render(&self, out: &mut String) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let numbers = [
            (
                "up",
                "Whether the last insert was taken",
                "gauge",
                u64::from(self.is_up()),
            ),
            (
                "cuts_total",
                "Cuts of the journal that are stored",
                "counter",
                read(&self.cuts),
            ),
            (
                "inserts_total",
                "Inserts acknowledged",
                "counter",
                read(&self.inserts),
            ),
            (
                "retries_total",
                "Inserts repeated",
                "counter",
                read(&self.retries),
            ),
            (
                "dead_letters_total",
                "Batches set aside for good",
                "counter",
                read(&self.dead),
            ),
        ];
        let mut text = |line: std::fmt::Arguments<'_>| {
            writeln!(out, "{line}").expect("writing to a string cannot fail");
        };
        for (name, help, kind, value) in numbers {
            text(format_args!("# HELP aggregator_store_{name} {help}"));
            text(format_args!("# TYPE aggregator_store_{name} {kind}"));
            text(format_args!("aggregator_store_{name} {value}"));
        }
        text(format_args!(
            "# HELP aggregator_store_rows_total Rows acknowledged"
        ));
        text(format_args!("# TYPE aggregator_store_rows_total counter"));
        for (table, counts) in &*self.tables() {
            text(format_args!(
                "aggregator_store_rows_total{{table=\"{table}\"}} {}",
                counts.rows
            ));
        }
        let name = "aggregator_store_displaced_items_total";
        text(format_args!(
            "# HELP {name} Items stored at their arrival, since their own time cannot be"
        ));
        text(format_args!("# TYPE {name} counter"));
        for ((project, signal, why), items) in &*lock(&self.displaced) {
            text(format_args!(
                "{name}{{project=\"{project}\",signal=\"{signal}\",reason=\"{}\"}} {items}",
                why.name()
            ));
        }
        text(format_args!(
            "# HELP aggregator_store_failures_total Failed inserts, by what they ask for"
        ));
        text(format_args!(
            "# TYPE aggregator_store_failures_total counter"
        ));
        for (trouble, count) in TROUBLES.iter().zip(&self.failures) {
            text(format_args!(
                "aggregator_store_failures_total{{trouble=\"{trouble}\"}} {}",
                read(count)
            ));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
