//! The report in Prometheus's text format. Counters end in `_total`, as its conventions have it.
//!
//! The equations hold for the numbers of one page: `admitted_items_total + resumed_items_total =
//! spooled_items_total + dropped_items_total + refused_items_total + unreadable_items_total +
//! held_items + in_hand_items`, and of the spool
//! `spool_spooled_items_total = delivered + rejected + evicted + corrupt + spool_here_items`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Level, OwnReport, Report, SignalReport};

/// Every metric: name, help, and how it is read off one signal.
type PerSignal = (&'static str, &'static str, fn(&SignalReport) -> u64);

const DOOR: [PerSignal; 8] = [
    (
        "admitted_items_total",
        "Items let in: well-formed and within limits.",
        |s| s.admitted,
    ),
    (
        "spooled_items_total",
        "Items made durable since the start.",
        |s| s.spooled_now,
    ),
    (
        "dropped_items_total",
        "Items that processors took out.",
        |s| s.dropped,
    ),
    (
        "refused_items_total",
        "Items given back to their senders.",
        |s| s.refused,
    ),
    (
        "resumed_items_total",
        "Items that were held before the start.",
        |s| s.resumed,
    ),
    (
        "unreadable_items_total",
        "Items that were held and cannot be read any more.",
        |s| s.unreadable,
    ),
    (
        "held_items",
        "Durable items that wait for a decision about their traces.",
        |s| s.held,
    ),
    (
        "in_hand_items",
        "Items in processors or waiting for the disk.",
        |s| s.in_hand,
    ),
];

const DISK: [PerSignal; 7] = [
    (
        "spool_spooled_items_total",
        "Items ever made durable; survives restarts.",
        |s| s.spooled,
    ),
    (
        "spool_delivered_items_total",
        "Items acknowledged by the next hop.",
        |s| s.delivered,
    ),
    (
        "spool_rejected_items_total",
        "Items refused for good by the next hop.",
        |s| s.rejected,
    ),
    (
        "spool_evicted_items_total",
        "Items dropped at the disk bound.",
        |s| s.evicted,
    ),
    (
        "spool_corrupt_items_total",
        "Items unreadable on disk.",
        |s| s.corrupt,
    ),
    (
        "spool_exported_items_total",
        "Items taken out into an archive.",
        |s| s.exported,
    ),
    ("spool_here_items", "Items waiting or in flight.", |s| {
        s.here
    }),
];

/// Which of the above go up and down.
const GAUGES: [&str; 4] = [
    "in_hand_items",
    "held_items",
    "spool_here_items",
    "processor_off",
];

/// Renders the report.
pub fn metrics(report: &Report) -> String {
    let mut page = Page::default();
    for (name, help, read) in DOOR.into_iter().chain(DISK) {
        page.head(name, kind(name), help);
        for signal in &report.signals {
            page.sample(name, &[("signal", &signal.signal)], read(signal));
        }
    }
    let name = "refused_requests_total";
    page.head(name, "counter", "Requests that got no receipt, by reason.");
    for (reason, count) in &report.refused_requests {
        page.sample(name, &[("reason", reason)], count);
    }
    window(&mut page, report);
    spool(&mut page, report);
    forward(&mut page, report);
    outputs(&mut page, report);
    processors(&mut page, report);
    own(&mut page, report);
    let health = match report.health.status {
        Level::Ok => 0,
        Level::Degraded => 1,
        Level::Failed => 2,
    };
    page.one("health", "gauge", "0 ok, 1 degraded, 2 failed.", health);
    page.one(
        "log_lines_left_out_total",
        "counter",
        "Lines of the log that were counted instead of written, since they were too many.",
        petrel_log::left_out(),
    );
    page.text
}

fn window(page: &mut Page, report: &Report) {
    let window = &report.window;
    for (name, help, value) in [
        (
            "window_used_bytes",
            "Encoded size of the spans that wait for a decision.",
            window.used_bytes,
        ),
        ("window_traces", "Traces that wait.", window.traces),
    ] {
        page.one(name, "gauge", help, value);
    }
    for (name, help, value) in [
        (
            "window_undecided_traces_total",
            "Traces about which nobody had decided in time.",
            window.undecided_traces,
        ),
        (
            "window_offered_items_total",
            "Spans shown to a processor again, because it had forgotten them.",
            window.offered_items,
        ),
    ] {
        page.one(name, "counter", help, value);
    }
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
        "spool_commits_total",
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
        "spool_quarantined_files_total",
        "counter",
        "Damaged files that were set aside.",
        spool.quarantined_files,
    );
}

fn forward(page: &mut Page, report: &Report) {
    let forward = &report.forward;
    let counters = [
        (
            "forward_delivered_batches_total",
            "Batches acknowledged.",
            forward.delivered_batches,
        ),
        (
            "forward_sent_bytes_total",
            "Bytes of all request bodies.",
            forward.sent_bytes,
        ),
        ("forward_tries_total", "Requests sent.", forward.tries),
        (
            "forward_failures_total",
            "Requests without acknowledgement.",
            forward.failures,
        ),
        (
            "forward_dead_batches_total",
            "Batches set aside as dead letters.",
            forward.dead_batches,
        ),
        (
            "forward_split_batches_total",
            "Batches cut in two for the peer.",
            forward.split_batches,
        ),
    ];
    for (name, help, value) in counters {
        page.one(name, "counter", help, value);
    }
    page.one(
        "forward_limited_seconds_total",
        "counter",
        "Time that request bodies waited for forward.bandwidth.",
        forward.limited_seconds,
    );
    page.one(
        "forward_in_flight",
        "gauge",
        "Requests in flight.",
        forward.in_flight,
    );
    let parked = forward.state == "parked" || !forward.parked_signals.is_empty();
    let parked = u8::from(parked);
    page.one(
        "forward_parked",
        "gauge",
        "1 while the peer wants an operator to act.",
        parked,
    );
}

fn outputs(page: &mut Page, report: &Report) {
    type Read = fn(&super::OutputReport) -> u64;
    let columns: [(&str, &str, &str, Read); 5] = [
        (
            "output_entries",
            "gauge",
            "Batches waiting for an output or in flight to it.",
            |output| output.spool.entries,
        ),
        (
            "output_used_bytes",
            "gauge",
            "Disk blocks in use for an output.",
            |output| output.spool.used_bytes,
        ),
        (
            "output_delivered_batches_total",
            "counter",
            "Batches that an output's peer acknowledged.",
            |output| output.forward.delivered_batches,
        ),
        (
            "output_dead_batches_total",
            "counter",
            "Batches of an output set aside as dead letters.",
            |output| output.forward.dead_batches,
        ),
        (
            "output_parked",
            "gauge",
            "1 while an output's peer wants an operator to act.",
            |output| u64::from(output.forward.state == "parked"),
        ),
    ];
    for (name, kind, help, read) in columns {
        if !report.outputs.is_empty() {
            page.head(name, kind, help);
        }
        for output in &report.outputs {
            page.sample(name, &[("output", &output.name)], read(output));
        }
    }
}

fn processors(page: &mut Page, report: &Report) {
    type Read = fn(&super::ProcessorReport) -> f64;
    let columns: [(&str, &str, Read); 9] = [
        ("processor_calls_total", "Batches processed.", |p| {
            p.calls as f64
        }),
        (
            "processor_failures_total",
            "Traps, time-outs and refused answers.",
            |p| p.failures as f64,
        ),
        (
            "processor_edits_total",
            "Values changed, made or deleted.",
            |p| p.edits as f64,
        ),
        (
            "processor_dropped_items_total",
            "Items that a processor took out.",
            |p| p.dropped_items as f64,
        ),
        (
            "processor_quarantined_items_total",
            "Items that a processor failed on and that were kept back.",
            |p| p.quarantined_items as f64,
        ),
        (
            "processor_off",
            "1 while a processor that kept failing is not called.",
            |p| f64::from(u8::from(p.off.is_some())),
        ),
        (
            "processor_trips_total",
            "How often a processor kept failing and was turned off.",
            |p| p.trips as f64,
        ),
        (
            "processor_instances_total",
            "Instances started; many mean traps or leaks.",
            |p| p.instances as f64,
        ),
        ("processor_busy_seconds_total", "Time in the guest.", |p| {
            p.busy_seconds
        }),
    ];
    for (name, help, read) in columns {
        page.head(name, kind(name), help);
        for processor in &report.processors {
            page.sample(name, &[("processor", &processor.name)], read(processor));
        }
    }
    let name = "processor_routed_items_total";
    let routed = report.processors.iter().flat_map(|processor| {
        let outputs = processor.routed_items.iter();
        outputs.map(|(output, items)| (processor.name.as_str(), output.as_str(), items))
    });
    let mut routed = routed.peekable();
    if routed.peek().is_some() {
        page.head(name, "counter", "Items that a processor sent to an output.");
    }
    for (processor, output, items) in routed {
        let labels = [("processor", processor), ("output", output)];
        page.sample(name, &labels, items);
    }
}

/// What processors count about themselves: `petrel_plugin_` and the plugin's own name for it.
fn own(page: &mut Page, report: &Report) {
    let mut by_name: BTreeMap<(String, &'static str), Vec<(&str, &OwnReport)>> = BTreeMap::new();
    for processor in &report.processors {
        for metric in &processor.own {
            let (ending, kind) = match metric.kind.as_str() {
                "counter" => ("_total", "counter"),
                "distribution" => ("", "summary"),
                _ => ("", "gauge"),
            };
            let name = format!("petrel_plugin_{}{ending}", plain(&metric.name));
            let series = by_name.entry((name, kind)).or_default();
            series.push((processor.name.as_str(), metric));
        }
    }
    let mut last = String::new();
    for ((name, kind), series) in by_name {
        // A name has one kind on a page, whatever two plugins make of it.
        if name != last {
            page.typed(&name, kind);
        }
        for (processor, metric) in series {
            let own = metric.labels.iter().map(|(key, text)| {
                let key = match plain(key) {
                    key if key == "processor" => "exported_processor".to_owned(),
                    key => key,
                };
                (key, text.as_str())
            });
            let labels: Vec<_> = own.collect();
            let mut all = vec![("processor", processor)];
            all.extend(labels.iter().map(|(key, text)| (key.as_str(), *text)));
            match metric.count {
                None => page.line(&name, &all, metric.value),
                Some(count) => {
                    page.line(&format!("{name}_sum"), &all, metric.value);
                    page.line(&format!("{name}_count"), &all, count);
                }
            }
        }
        last = name;
    }
}

/// With the letters that Prometheus takes.
fn plain(name: &str) -> String {
    let letters = name.chars();
    letters
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect()
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

    fn typed(&mut self, name: &str, kind: &str) {
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.line(&format!("petrel_agent_{name}"), labels, value);
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(name);
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
