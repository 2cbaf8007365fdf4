//! What the agent says about itself: one [`Report`] that `/health`, `/metrics`, `/spool` and
//! `status` are views of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use petrel_plugin_host::{OwnMetric, OwnValue, PluginState};
use petrel_spool::{SignalStats, Spool, SpoolStats};
use petrel_wire::{Clock, Peer, Signal, UnixNanos};
use serde::{Deserialize, Serialize};

use crate::config::Rate;
use crate::custody::Books;
use crate::forward::{ForwardStatus, Forwarder, Trouble};
use crate::outputs::Output;
use crate::plugins::Plugins;
use crate::receive::Refusals;
use crate::reload::{Reloaded, Reloads};
use crate::window::{Window, WindowState};

mod prometheus;

pub use prometheus::metrics;

/// Where the report comes from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watch {
    pub(crate) books: Arc<Books>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) plugins: Plugins,
    pub(crate) window: Window,
    pub(crate) spool: Spool,
    pub(crate) forwarder: Forwarder,
    pub(crate) outputs: Arc<[Output]>,
    pub(crate) reloads: Arc<Reloads>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The agent at one moment. Also the body of `/spool`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether it does its work.
    pub health: Health,
    /// Version of the agent.
    pub version: String,
    /// Who it is to its peer.
    pub identity: Identity,
    /// The books of the door and of the disk.
    pub signals: Vec<SignalReport>,
    /// Requests that got no receipt, by kind; kinds that never happened are left out.
    pub refused_requests: Vec<(String, u64)>,
    /// What processors hold.
    pub window: WindowReport,
    /// The disk buffer.
    pub spool: SpoolReport,
    /// The way out.
    pub forward: ForwardReport,
    /// Where processors send records besides. What stands in `signals` and `spool.entries` is of all
    /// spools together.
    #[serde(default)]
    pub outputs: Vec<OutputReport>,
    /// The chain, in order.
    pub processors: Vec<ProcessorReport>,
    /// The newest reload of the configuration, if there was one.
    pub reload: Option<ReloadReport>,
}

/// Spans that wait for a decision about their traces.
/// `taken = released + dropped + corrupt + refused + here` since the window was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the equation names every field")]
pub struct WindowReport {
    pub taken: u64,
    pub released: u64,
    pub dropped: u64,
    pub corrupt: u64,
    pub refused: u64,
    pub here: u64,
    /// Encoded size of what waits.
    pub used_bytes: u64,
    /// Traces that wait.
    pub traces: u64,
    /// Traces about which nobody had decided in time, since the start.
    pub undecided_traces: u64,
    /// Spans that were shown to an instance again, since the start.
    pub offered_items: u64,
}

impl From<WindowState> for WindowReport {
    fn from(state: WindowState) -> Self {
        let stats = state.stats;
        Self {
            taken: stats.taken,
            released: stats.released,
            dropped: stats.dropped,
            corrupt: stats.corrupt,
            refused: stats.refused,
            here: stats.here,
            used_bytes: state.used_bytes,
            traces: state.traces as u64,
            undecided_traces: state.undecided_traces,
            offered_items: state.offered_items,
        }
    }
}

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Since then, by the wall clock.
    pub since_seconds: f64,
    /// Why the configuration from before is still in use.
    pub error: Option<String>,
    /// Sections whose changes wait for a restart.
    pub needs_restart: Vec<String>,
}

/// Progress, in one word and the reasons for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The word.
    pub status: Level,
    /// Why it isn't `ok`.
    pub reasons: Vec<String>,
}

/// How well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Data goes through.
    Ok,
    /// Data is taken and kept, and doesn't go on.
    Degraded,
    /// Data is refused.
    Failed,
}

impl Level {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// The spool's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// 32 hex digits.
    pub agent: String,
    /// Grows when continuity is in doubt.
    pub epoch: u32,
}

/// Items of one signal. `admitted + resumed = spooled_now + dropped + refused + held + unreadable +
/// in_hand` since the start;
/// `spooled = delivered + rejected + evicted + corrupt + exported + here` since the spool was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the equations name every field")]
pub struct SignalReport {
    pub signal: String,
    pub admitted: u64,
    pub spooled_now: u64,
    pub dropped: u64,
    pub refused: u64,
    pub resumed: u64,
    pub held: u64,
    pub unreadable: u64,
    pub in_hand: u64,
    pub spooled: u64,
    pub delivered: u64,
    pub rejected: u64,
    pub evicted: u64,
    pub corrupt: u64,
    pub exported: u64,
    pub here: u64,
}

/// The disk buffer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpoolReport {
    /// Allocated blocks.
    pub used_bytes: u64,
    /// The bound.
    pub limit_bytes: u64,
    /// Batches waiting or in flight.
    pub entries: u64,
    /// Age of the oldest by the wall clock.
    pub oldest_seconds: Option<f64>,
    /// Files that could not be read and were set aside since the start.
    pub quarantined_files: u64,
    /// Group commits since the start.
    pub commits: u64,
    /// The last work on the disk failed; senders are told to come again while it stays so.
    pub disk_failing: bool,
}

/// The way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForwardReport {
    /// Where batches go.
    pub endpoint: String,
    /// `petrel` if the peer echoes identities, else `otlp`.
    pub peer: String,
    /// How bodies are sent: `zstd`, `gzip` or `none`.
    pub compression: String,
    /// `forwarding`, `waiting` or `parked`.
    pub state: String,
    /// Why not forwarding.
    pub reason: Option<String>,
    /// Until the next try.
    pub retry_seconds: Option<f64>,
    /// Signals that the peer does not take, with its words; others pass.
    pub parked_signals: Vec<(String, String)>,
    /// The HTTP proxy in between.
    pub proxy: Option<String>,
    /// How fast bodies may be written now: `256KiB/s`, `unlimited` or `0`.
    pub limit: String,
    /// Time that bodies waited for the limit since the start.
    pub limited_seconds: f64,
    /// Since the newest delivery.
    pub since_delivery_seconds: Option<f64>,
    /// Requests in flight.
    pub in_flight: usize,
    /// Batches that wait by themselves.
    pub deferred: usize,
    /// Acknowledged since the start.
    pub delivered_batches: u64,
    /// Bytes of all bodies since the start.
    pub sent_bytes: u64,
    /// Requests since the start.
    pub tries: u64,
    /// Of these without acknowledgement.
    pub failures: u64,
    /// Set aside since the start.
    pub dead_batches: u64,
    /// Why the newest of these.
    pub dead_reason: Option<String>,
    /// Cut in two since the start.
    pub split_batches: u64,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Who it is to its peer.
    pub identity: Identity,
    /// Its disk buffer.
    pub spool: SpoolReport,
    /// Its way out.
    pub forward: ForwardReport,
}

/// One processor's account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessorReport {
    /// Its name.
    pub name: String,
    /// Name and version that the plugin gives itself.
    pub plugin: String,
    /// The SHA-256 of the component that runs, in hex.
    pub sha256: String,
    /// What happens to data that it fails on: `closed`, `open`, `drop` or `strip`.
    pub on_error: String,
    /// Batches.
    pub calls: u64,
    /// Traps, time-outs, refused answers.
    pub failures: u64,
    /// Values changed, made or deleted.
    pub edits: u64,
    /// Items it took out.
    pub dropped_items: u64,
    /// Items that it sent to outputs, by output.
    #[serde(default)]
    pub routed_items: BTreeMap<String, u64>,
    /// Items that it failed on and that were kept back.
    pub quarantined_items: u64,
    /// Instances started; more than a few mean that it traps or leaks.
    pub instances: u64,
    /// How often it failed so often that it was turned off for a while.
    pub trips: u64,
    /// Time in the processor.
    pub busy_seconds: f64,
    /// Words of the last failure.
    pub last_error: Option<String>,
    /// Why it is not called for a while, if it is not.
    pub off: Option<OffReport>,
    /// What it counts about itself.
    #[serde(default)]
    pub own: Vec<OwnReport>,
}

/// One series of what a processor counts about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnReport {
    /// As the plugin calls it.
    pub name: String,
    /// As the plugin gives it; may be empty.
    pub unit: String,
    /// `counter`, `gauge` or `distribution`.
    pub kind: String,
    /// Keys and values.
    pub labels: Vec<(String, String)>,
    /// The value; of a distribution the sum of all values.
    pub value: f64,
    /// Of a distribution, how many values there were.
    pub count: Option<u64>,
}

impl From<OwnMetric> for OwnReport {
    fn from(metric: OwnMetric) -> Self {
        let (kind, value, count) = match metric.value {
            OwnValue::Counter(value) => ("counter", value, None),
            OwnValue::Gauge(value) => ("gauge", value, None),
            OwnValue::Distribution { count, sum } => ("distribution", sum, Some(count)),
        };
        Self {
            name: metric.name,
            unit: metric.unit,
            kind: kind.to_owned(),
            labels: metric.labels,
            value,
            count,
        }
    }
}

/// A processor that kept failing and is left alone for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OffReport {
    /// The words of the failure that was one too many.
    pub because: String,
    /// Until it is tried again.
    pub retry_seconds: f64,
}

impl Watch {
    /// The agent now.
    pub fn look(&self) -> Report {
        // Before the books, which grow first.
        let window = self.window.state();
        let stats = self.spool.stats();
        let status = self.forwarder.status();
        let now = self.clock.wall();
        let outputs: Vec<_> = self
            .outputs
            .iter()
            .map(|output| (output, output.spool.stats(), output.forwarder.status()))
            .collect();
        let signals = Signal::ALL
            .map(|signal| {
                let door = self.books.account(signal);
                let of = |stats: &SpoolStats| stats.by_signal[usize::from(signal.code()) - 1];
                let all = std::iter::once(&stats).chain(outputs.iter().map(|(_, stats, _)| stats));
                let disk = sum(all.map(of));
                SignalReport {
                    signal: signal.name().to_owned(),
                    admitted: door.admitted,
                    spooled_now: door.spooled,
                    dropped: door.dropped,
                    refused: door.refused,
                    resumed: door.resumed,
                    held: door.held,
                    unreadable: door.corrupt,
                    in_hand: door.in_hand(),
                    spooled: disk.spooled,
                    delivered: disk.delivered,
                    rejected: disk.rejected,
                    evicted: disk.evicted,
                    corrupt: disk.corrupt,
                    exported: disk.exported,
                    here: disk.here,
                }
            })
            .to_vec();
        let age =
            |then: UnixNanos| Duration::from_nanos(now.0.saturating_sub(then.0)).as_secs_f64();
        let refused = self.refusals.counts().filter(|(_, count)| *count > 0);
        let processors = self.processors();
        let reload = self.reloads.newest().map(|newest| reload(newest, age));
        let mut found = way(&stats, &status);
        for (output, stats, status) in &outputs {
            let of =
                |(level, what): (Level, String)| (level, format!("output {}: {what}", output.name));
            found.extend(way(stats, status).into_iter().map(of));
        }
        let mut spool = spool_report(&stats, age);
        let outputs: Vec<OutputReport> = outputs
            .into_iter()
            .map(|(output, stats, status)| OutputReport {
                name: output.name.clone(),
                identity: identity(&output.spool),
                spool: spool_report(&stats, age),
                forward: forward(status),
            })
            .collect();
        spool.entries += outputs.iter().map(|one| one.spool.entries).sum::<u64>();
        found.extend(inside(
            self.refusals.is_refusing(),
            &processors,
            reload.as_ref(),
        ));
        Report {
            health: health(found),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: identity(&self.spool),
            signals,
            refused_requests: refused
                .map(|(kind, count)| (kind.to_owned(), count))
                .collect(),
            window: window.into(),
            spool,
            forward: forward(status),
            outputs,
            processors,
            reload,
        }
    }

    fn processors(&self) -> Vec<ProcessorReport> {
        let stats = self.plugins.stats().into_iter();
        stats
            .map(|stats| ProcessorReport {
                name: stats.name,
                plugin: stats.plugin,
                sha256: stats.sha256,
                on_error: stats.on_error.name().to_owned(),
                calls: stats.calls,
                failures: stats.failures,
                edits: stats.edits,
                dropped_items: stats.dropped_items,
                routed_items: stats.routed_items,
                quarantined_items: stats.quarantined_items,
                instances: stats.instances,
                trips: stats.trips,
                busy_seconds: stats.busy.as_secs_f64(),
                last_error: stats.last_error,
                own: stats.own.into_iter().map(OwnReport::from).collect(),
                off: match stats.state {
                    PluginState::Running => None,
                    PluginState::Off { retry_in, because } => Some(OffReport {
                        because,
                        retry_seconds: retry_in.as_secs_f64(),
                    }),
                },
            })
            .collect()
    }
}

fn identity(spool: &Spool) -> Identity {
    let (agent, epoch) = spool.identity();
    Identity {
        agent: agent.to_string(),
        epoch,
    }
}

fn spool_report(stats: &SpoolStats, age: impl Fn(UnixNanos) -> f64) -> SpoolReport {
    SpoolReport {
        used_bytes: stats.used_bytes,
        limit_bytes: stats.limit_bytes,
        entries: stats.entries,
        oldest_seconds: stats.oldest.map(age),
        quarantined_files: stats.quarantined_files,
        commits: stats.commits,
        disk_failing: stats.disk_failing,
    }
}

/// The books of several spools as one.
fn sum(all: impl Iterator<Item = SignalStats>) -> SignalStats {
    all.fold(SignalStats::default(), |sum, one| SignalStats {
        spooled: sum.spooled + one.spooled,
        delivered: sum.delivered + one.delivered,
        rejected: sum.rejected + one.rejected,
        evicted: sum.evicted + one.evicted,
        corrupt: sum.corrupt + one.corrupt,
        exported: sum.exported + one.exported,
        here: sum.here + one.here,
    })
}

fn reload(newest: Reloaded, age: impl Fn(UnixNanos) -> f64) -> ReloadReport {
    let (error, left) = match newest.outcome {
        Ok(left) => (None, left),
        Err(words) => (Some(words), Vec::new()),
    };
    ReloadReport {
        since_seconds: age(newest.at),
        error,
        needs_restart: left.into_iter().map(str::to_owned).collect(),
    }
}

/// What is wrong between the door and the disk.
fn inside(
    refusing: bool,
    processors: &[ProcessorReport],
    reload: Option<&ReloadReport>,
) -> Vec<(Level, String)> {
    let mut found = Vec::new();
    if refusing {
        let what = "senders were told to come again within the last minute, see refused_requests";
        found.push((Level::Degraded, what.to_owned()));
    }
    for processor in processors {
        if let Some(off) = &processor.off {
            let fate = match processor.on_error.as_str() {
                "open" => "data passes unprocessed",
                "drop" => "data is dropped",
                "strip" => "data passes without what it may write",
                _ => "data is refused",
            };
            let (name, plugin) = (&processor.name, &processor.plugin);
            let (seconds, because) = (off.retry_seconds.ceil(), &off.because);
            let what = format!(
                "processor {name} ({plugin}) kept failing and is off for {seconds} s, {fate}: {because}"
            );
            found.push((Level::Degraded, what));
        }
    }
    if let Some(words) = reload.and_then(|reload| reload.error.as_ref()) {
        let what = format!("the newest configuration is not in use: {words}");
        found.push((Level::Degraded, what));
    }
    found
}

fn health(found: Vec<(Level, String)>) -> Health {
    Health {
        status: found
            .iter()
            .map(|(level, _)| *level)
            .max()
            .unwrap_or(Level::Ok),
        reasons: found.into_iter().map(|(_, reason)| reason).collect(),
    }
}

/// What is wrong with the disk and the way out.
fn way(stats: &SpoolStats, forward: &ForwardStatus) -> Vec<(Level, String)> {
    let mut found = Vec::new();
    if stats.disk_failing {
        let words = stats.trouble.as_deref().unwrap_or("see the log");
        let what = format!("the spool's disk fails: {words}; senders are told to come again");
        found.push((Level::Failed, what));
    }
    if forward.stuck {
        let what = "forwarding is stuck: not even tries have ended for a while";
        found.push((Level::Failed, what.to_owned()));
    }
    for (signal, words) in &forward.held {
        found.push((Level::Degraded, format!("parked: {signal}: {words}")));
    }
    let batches = stats.entries;
    match &forward.trouble {
        Some((Trouble::Parked { reason }, _)) => {
            found.push((Level::Degraded, format!("parked: {reason}")));
        }
        _ if batches == 0 || !forward.stalled => {}
        Some((Trouble::Waiting { reason }, _)) => {
            let what =
                format!("{batches} batches wait, nothing was delivered for a minute: {reason}");
            found.push((Level::Degraded, what));
        }
        None if forward.limit == Rate::Nothing => {
            let what = format!("{batches} batches wait: forward.bandwidth allows nothing now");
            found.push((Level::Degraded, what));
        }
        None => {
            let what = format!("{batches} batches wait and nothing was delivered for a minute");
            found.push((Level::Degraded, what));
        }
    }
    if let Some(words) = &forward.certificates {
        let what = format!("renewed certificates cannot be used: {words}");
        found.push((Level::Degraded, what));
    }
    if stats.quarantined_files > 0 {
        let what = format!(
            "{} damaged spool files were set aside",
            stats.quarantined_files
        );
        found.push((Level::Degraded, what));
    }
    found
}

fn forward(status: ForwardStatus) -> ForwardReport {
    let (state, reason, retry) = match status.trouble {
        None => ("forwarding", None, None),
        Some((Trouble::Waiting { reason }, left)) => ("waiting", Some(reason), Some(left)),
        Some((Trouble::Parked { reason }, left)) => ("parked", Some(reason), Some(left)),
    };
    let peer = match status.peer {
        Peer::Echoing => "petrel",
        Peer::Plain => "otlp",
    };
    ForwardReport {
        endpoint: status.endpoint,
        peer: peer.to_owned(),
        compression: status.coding.name().to_owned(),
        state: state.to_owned(),
        reason,
        retry_seconds: retry.map(|left| left.as_secs_f64()),
        parked_signals: status
            .held
            .into_iter()
            .map(|(signal, words)| (signal.name().to_owned(), words))
            .collect(),
        proxy: status.proxy,
        limit: status.limit.to_string(),
        limited_seconds: status.limited.as_secs_f64(),
        since_delivery_seconds: status.since_delivery.map(|since| since.as_secs_f64()),
        in_flight: status.in_flight,
        deferred: status.deferred,
        delivered_batches: status.delivered_batches,
        sent_bytes: status.sent_bytes,
        tries: status.tries,
        failures: status.failures,
        dead_batches: status.dead_batches,
        dead_reason: status.dead_reason,
        split_batches: status.split_batches,
    }
}
