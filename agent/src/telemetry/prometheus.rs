//! The report in Prometheus's text format.

use std::fmt::Write as _;

use super::{Level, Report, SignalReport};

/// Every metric: name, help, and how it is read off one signal.
type PerSignal = (&'static str, &'static str, fn(&SignalReport) -> u64);

const DOOR: [PerSignal; 5] = [
    (
        "admitted_items",
        "Items let in: well-formed and within limits.",
        |s| s.admitted,
    ),
    (
        "spooled_items",
        "Items made durable since the start.",
        |s| s.spooled_now,
    ),
    ("dropped_items", "Items that processors took out.", |s| {
        s.dropped
    }),
    ("refused_items", "Items given back to their senders.", |s| {
        s.refused
    }),
    (
        "in_hand_items",
        "Items in processors or waiting for the disk.",
        |s| s.in_hand,
    ),
];

const DISK: [PerSignal; 6] = [
    (
        "spool_spooled_items",
        "Items ever made durable; survives restarts.",
        |s| s.spooled,
    ),
    (
        "spool_delivered_items",
        "Items acknowledged by the next hop.",
        |s| s.delivered,
    ),
    (
        "spool_rejected_items",
        "Items refused for good by the next hop.",
        |s| s.rejected,
    ),
    (
        "spool_evicted_items",
        "Items dropped at the disk bound.",
        |s| s.evicted,
    ),
    ("spool_corrupt_items", "Items unreadable on disk.", |s| {
        s.corrupt
    }),
    ("spool_here_items", "Items waiting or in flight.", |s| {
        s.here
    }),
];

/// Which of the above go up and down.
const GAUGES: [&str; 2] = ["in_hand_items", "spool_here_items"];

/// Renders the report.
pub fn metrics(report: &Report) -> String {
    let mut page = Page::default();
    for (name, help, read) in DOOR.into_iter().chain(DISK) {
        page.head(name, kind(name), help);
        for signal in &report.signals {
            page.sample(name, &[("signal", &signal.signal)], read(signal));
        }
    }
    let name = "refused_requests";
    page.head(name, "counter", "Requests that got no receipt, by reason.");
    for (reason, count) in &report.refused_requests {
        page.sample(name, &[("reason", reason)], count);
    }
    spool(&mut page, report);
    forward(&mut page, report);
    processors(&mut page, report);
    let health = match report.health.status {
        Level::Ok => 0,
        Level::Degraded => 1,
        Level::Failed => 2,
    };
    page.one("health", "gauge", "0 ok, 1 degraded, 2 failed.", health);
    page.text
}

fn spool(page: &mut Page, report: &Report) {
    let spool = &report.spool;
    page.one(
        "spool_used_bytes",
        "gauge",
        "Disk blocks in use.",
        spool.used_bytes,
    );
    page.one(
        "spool_limit_bytes",
        "gauge",
        "Disk blocks allowed.",
        spool.limit_bytes,
    );
    page.one(
        "spool_entries",
        "gauge",
        "Batches waiting or in flight.",
        spool.entries,
    );
    page.one(
        "spool_oldest_seconds",
        "gauge",
        "Age of the oldest batch.",
        spool.oldest_seconds.unwrap_or(0.0),
    );
    page.one(
        "spool_commits",
        "counter",
        "Group commits since the start.",
        spool.commits,
    );
    page.one(
        "spool_disk_failing",
        "gauge",
        "1 while the disk refuses.",
        u8::from(spool.disk_failing),
    );
    page.one(
        "spool_quarantined_files",
        "counter",
        "Damaged files that were set aside.",
        spool.quarantined_files,
    );
}

fn forward(page: &mut Page, report: &Report) {
    let forward = &report.forward;
    let counters = [
        (
            "forward_delivered_batches",
            "Batches acknowledged.",
            forward.delivered_batches,
        ),
        (
            "forward_sent_bytes",
            "Bytes of all request bodies.",
            forward.sent_bytes,
        ),
        ("forward_tries", "Requests sent.", forward.tries),
        (
            "forward_failures",
            "Requests without acknowledgement.",
            forward.failures,
        ),
        (
            "forward_dead_batches",
            "Batches set aside as dead letters.",
            forward.dead_batches,
        ),
        (
            "forward_split_batches",
            "Batches cut in two for the peer.",
            forward.split_batches,
        ),
    ];
    for (name, help, value) in counters {
        page.one(name, "counter", help, value);
    }
    page.one(
        "forward_in_flight",
        "gauge",
        "Requests in flight.",
        forward.in_flight,
    );
    let parked = u8::from(forward.state == "parked");
    page.one(
        "forward_parked",
        "gauge",
        "1 while the peer wants an operator to act.",
        parked,
    );
}

fn processors(page: &mut Page, report: &Report) {
    type Read = fn(&super::ProcessorReport) -> f64;
    let columns: [(&str, &str, Read); 5] = [
        ("processor_calls", "Batches processed.", |p| p.calls as f64),
        (
            "processor_failures",
            "Traps, time-outs and refused answers.",
            |p| p.failures as f64,
        ),
        ("processor_edits", "Values changed, made or deleted.", |p| {
            p.edits as f64
        }),
        (
            "processor_dropped_items",
            "Items that a processor took out.",
            |p| p.dropped_items as f64,
        ),
        ("processor_busy_seconds", "Time in the guest.", |p| {
            p.busy_seconds
        }),
    ];
    for (name, help, read) in columns {
        page.head(name, "counter", help);
        for processor in &report.processors {
            page.sample(name, &[("processor", &processor.name)], read(processor));
        }
    }
}

fn kind(name: &str) -> &'static str {
    if GAUGES.contains(&name) {
        "gauge"
    } else {
        "counter"
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

/// Writing into a `String` cannot fail.
#[expect(clippy::let_underscore_must_use, reason = "writes into memory")]
impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.text,
            "# HELP petrel_agent_{name} {help}\n# TYPE petrel_agent_{name} {kind}"
        );
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.text, "petrel_agent_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.text, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }
}
