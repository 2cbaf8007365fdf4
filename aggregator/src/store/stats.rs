//! Numbers about the store, for `/metrics` and tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters since the start of this process.
#[derive(Debug, Default)]
pub struct StoreStats {
    up: AtomicBool,
    cuts: AtomicU64,
    inserts: AtomicU64,
    retries: AtomicU64,
    dead: AtomicU64,
    rows: Mutex<BTreeMap<&'static str, u64>>,
}

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
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(table).copied().unwrap_or(0)
    }

    /// Notes success; says whether that is news.
    pub(super) fn went_up(&self) -> bool {
        !self.up.swap(true, Ordering::Relaxed)
    }

    /// Notes a failure; says whether that is news.
    pub(super) fn went_down(&self) -> bool {
        self.retries.fetch_add(1, Ordering::Relaxed);
        self.up.swap(false, Ordering::Relaxed)
    }

    pub(super) fn stored(&self, table: &'static str, rows: u64) {
        self.inserts.fetch_add(1, Ordering::Relaxed);
        let mut counts = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(table).or_default() += rows;
    }

    pub(super) fn settled(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn buried(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
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
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for (table, count) in &*rows {
            text(format_args!(
                "aggregator_store_rows_total{{table=\"{table}\"}} {count}"
            ));
        }
    }
}
