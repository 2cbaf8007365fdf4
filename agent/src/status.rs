//! `petrel-agent status`: the report of a running agent, for a person.

use std::fmt::Write as _;
use std::time::Duration;

use crate::telemetry::{ProcessorReport, Report, SignalReport};

/// A running agent answers at once; one that doesn't is not well.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a processor counts about itself, as far as it fits.
const OWN_LINES: usize = 10;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// Nobody answers there.
    #[error("no agent answers at {url}; is it running?")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// Somebody else answers there.
    #[error("what answers at {url} is no agent of this version")]
    Foreign {
        /// What was asked.
        url: String,
        /// What was wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Asks the admin port of a running agent.
pub async fn ask(admin: &str) -> Result<Report, StatusError> {
    let url = format!("{}/spool", admin.trim_end_matches('/'));
    let unreachable = |source: reqwest::Error| StatusError::Unreachable {
        url: url.clone(),
        source: source.without_url(),
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .tls_backend_preconfigured(crate::forward::no_tls())
        .build()
        .map_err(unreachable)?;
    let response = client.get(&url).send().await.map_err(unreachable)?;
    let foreign = |source: Box<dyn std::error::Error + Send + Sync>| StatusError::Foreign {
        url: url.clone(),
        source,
    };
    let response = response
        .error_for_status()
        .map_err(|error| foreign(error.without_url().into()))?;
    let body = response.bytes().await.map_err(unreachable)?;
    serde_json::from_slice(&body).map_err(|error| foreign(error.into()))
}

/// The report in a screenful.
pub fn page(report: &Report) -> String {
    let mut page = Page::default();
    page.line(format_args!(
        "petrel-agent {}: {}",
        report.version,
        report.health.status.name()
    ));
    for reason in &report.health.reasons {
        page.line(format_args!("  {reason}"));
    }
    page.line(format_args!(""));
    let forward = &report.forward;
    page.line(format_args!(
        "forward    {} ({}, {}): {}",
        forward.endpoint, forward.peer, forward.compression, forward.state
    ));
    if let Some(reason) = &forward.reason {
        let again = seconds(forward.retry_seconds.unwrap_or(0.0));
        page.line(format_args!("           {reason}; again in {again}"));
    }
    for (signal, words) in &forward.parked_signals {
        page.line(format_args!("           {signal} are parked: {words}"));
    }
    if let Some(proxy) = &forward.proxy {
        page.line(format_args!("           through the proxy {proxy}"));
    }
    if forward.limit != "unlimited" || forward.limited_seconds > 0.0 {
        page.line(format_args!(
            "           limited to {} now; waited {} for it so far",
            forward.limit,
            seconds(forward.limited_seconds)
        ));
    }
    let last = forward
        .since_delivery_seconds
        .map_or("never".to_owned(), |since| {
            format!("{} ago", seconds(since))
        });
    page.line(format_args!(
        "           last delivery {last}; {} batches and {} sent, {} of {} tries failed",
        forward.delivered_batches,
        bytes(forward.sent_bytes),
        forward.failures,
        forward.tries
    ));
    if let Some(reason) = &forward.dead_reason {
        page.line(format_args!(
            "           {} batches set aside as dead letters; last: {reason}",
            forward.dead_batches
        ));
    }
    let spool = &report.spool;
    let oldest = spool
        .oldest_seconds
        .map_or(String::new(), |age| format!(", oldest {}", seconds(age)));
    page.line(format_args!(
        "spool      {} of {}, {} batches{oldest}",
        bytes(spool.used_bytes),
        bytes(spool.limit_bytes),
        spool.entries
    ));
    let window = &report.window;
    if window.taken > 0 {
        page.line(format_args!(
            "window     {} in {} traces wait; {} traces undecided in time, {} spans offered again",
            bytes(window.used_bytes),
            window.traces,
            window.undecided_traces,
            window.offered_items
        ));
    }
    page.line(format_args!(
        "identity   {} epoch {}",
        report.identity.agent, report.identity.epoch
    ));
    for output in &report.outputs {
        let (forward, spool) = (&output.forward, &output.spool);
        page.line(format_args!(
            "output     {}: {}: {}; {}, {} batches",
            output.name,
            forward.endpoint,
            forward.state,
            bytes(spool.used_bytes),
            spool.entries
        ));
        if let Some(reason) = &forward.reason {
            page.line(format_args!("           {reason}"));
        }
    }
    for one in &report.processors {
        processor(&mut page, one);
    }
    if let Some(reload) = &report.reload {
        let since = seconds(reload.since_seconds);
        match &reload.error {
            Some(error) => page.line(format_args!(
                "reload     failed {since} ago, the configuration from before is in use: {error}"
            )),
            None if reload.needs_restart.is_empty() => {
                page.line(format_args!("reload     done {since} ago"));
            }
            None => page.line(format_args!(
                "reload     done {since} ago; changes to {} need a restart",
                reload.needs_restart.join(", ")
            )),
        }
    }
    items(&mut page, &report.signals);
    page.0
}

fn processor(page: &mut Page, processor: &ProcessorReport) {
    page.line(format_args!(
        "processor  {} ({}, {:.12}, on_error: {}): {} batches, {} edits, {} items dropped",
        processor.name,
        processor.plugin,
        processor.sha256,
        processor.on_error,
        processor.calls,
        processor.edits,
        processor.dropped_items
    ));
    for (output, items) in &processor.routed_items {
        page.line(format_args!("           {items} items routed to {output}"));
    }
    if let Some(error) = &processor.last_error {
        page.line(format_args!(
            "           {} failures, {} items quarantined; last: {error}",
            processor.failures, processor.quarantined_items
        ));
    }
    for metric in processor.own.iter().take(OWN_LINES) {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|(key, text)| format!(" {key}={text}"))
            .collect();
        let (name, unit, labels) = (&metric.name, &metric.unit, labels.concat());
        let value = match metric.count {
            Some(count) => format!("{count} values, {} in all", metric.value),
            None => metric.value.to_string(),
        };
        page.line(format_args!("           {name}{labels}: {value} {unit}"));
    }
    if let Some(more @ 1..) = processor.own.len().checked_sub(OWN_LINES) {
        page.line(format_args!("           and {more} more on /metrics"));
    }
    if let Some(off) = &processor.off {
        let again = seconds(off.retry_seconds);
        page.line(format_args!(
            "           off after failures, {} times so far; tried again in {again}",
            processor.trips
        ));
    }
}

fn items(page: &mut Page, signals: &[SignalReport]) {
    page.line(format_args!(""));
    page.line(format_args!(
        "items      {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "admitted", "resumed", "spooled", "dropped", "refused", "held"
    ));
    for s in signals {
        page.line(format_args!(
            "{:<10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
            s.signal, s.admitted, s.resumed, s.spooled_now, s.dropped, s.refused, s.held
        ));
    }
    page.line(format_args!(
        "on disk    {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "spooled", "delivered", "rejected", "evicted", "corrupt", "exported", "here"
    ));
    for s in signals {
        page.line(format_args!(
            "{:<10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
            s.signal, s.spooled, s.delivered, s.rejected, s.evicted, s.corrupt, s.exported, s.here
        ));
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _infallible = writeln!(self.0, "{line}");
    }
}

/// `1.2 MiB`.
pub fn bytes(count: u64) -> String {
    let units = ["TiB", "GiB", "MiB", "KiB"];
    for (index, unit) in units.into_iter().enumerate() {
        let size = 1_u64 << (10 * (4 - index));
        if count >= size {
            return format!("{:.1} {unit}", count as f64 / size as f64);
        }
    }
    format!("{count} B")
}

/// `0.4 s`, `12 s`, `5 min`, `3.2 h`.
pub fn seconds(count: f64) -> String {
    match count {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
