//! [`Counters`]: what came to the door and what was answered, for `/metrics`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use petrel_receiver::{Head, Refused, Transport};
use petrel_wire::Signal;

/// One number for each signal and transport.
type Table = [[AtomicU64; Transport::ALL.len()]; 3];

/// Since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    requests: Table,
    items: Table,
    bytes: Table,
    known: Table,
    refused: [Table; Refused::KINDS.len()],
}

impl Counters {
    pub(super) fn accepted(&self, head: &Head, items: u64, bytes: usize, known: bool) {
        let add = |table: &Table, n: u64| cell(table, head).fetch_add(n, Relaxed);
        add(&self.requests, 1);
        add(&self.bytes, bytes as u64);
        if known {
            add(&self.known, 1);
        } else {
            add(&self.items, items);
        }
    }

    pub(super) fn refused(&self, head: &Head, why: &Refused) {
        if let Some(kind) = Refused::KINDS.iter().position(|kind| *kind == why.kind()) {
            cell(&self.refused[kind], head).fetch_add(1, Relaxed);
        }
    }

    /// In the text format of Prometheus.
    pub fn render(&self, out: &mut String) {
        for (name, help, table) in [
            (
                "aggregator_ingest_accepted_requests_total",
                "Requests answered with success",
                &self.requests,
            ),
            (
                "aggregator_ingest_accepted_items_total",
                "Items appended to the journal",
                &self.items,
            ),
            (
                "aggregator_ingest_accepted_bytes_total",
                "Size of accepted requests, unpacked",
                &self.bytes,
            ),
            (
                "aggregator_ingest_known_requests_total",
                "Requests whose batch was there already",
                &self.known,
            ),
        ] {
            header(out, name, help, "counter");
            each(table, |signal, transport, value| {
                line(
                    out,
                    format_args!("{name}{{signal=\"{signal}\",transport=\"{transport}\"}} {value}"),
                );
            });
        }
        let name = "aggregator_ingest_refused_requests_total";
        header(
            out,
            name,
            "Requests answered with an error, by kind",
            "counter",
        );
        for (kind, table) in Refused::KINDS.iter().zip(&self.refused) {
            each(table, |signal, transport, value| {
                if value > 0 {
                    line(
                        out,
                        format_args!(
                            "{name}{{signal=\"{signal}\",transport=\"{transport}\",kind=\"{kind}\"}} {value}"
                        ),
                    );
                }
            });
        }
    }
}

fn cell<'t>(table: &'t Table, head: &Head) -> &'t AtomicU64 {
    &table[usize::from(head.signal.code()) - 1][head.transport as usize]
}

fn each(table: &Table, mut f: impl FnMut(Signal, &str, u64)) {
    for (signal, row) in Signal::ALL
        .into_iter()
        .map(|signal| (signal, &table[usize::from(signal.code()) - 1]))
    {
        for (transport, value) in Transport::ALL.iter().zip(row) {
            f(signal, transport.name(), value.load(Relaxed));
        }
    }
}

/// The two comment lines of a metric.
pub(crate) fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    line(
        out,
        format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"),
    );
}

/// One line.
pub(crate) fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a String takes everything");
}
