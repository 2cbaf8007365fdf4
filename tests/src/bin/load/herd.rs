//! What the aggregator bears: `load herd`.
//!
//! That many agents come back to one aggregator, each with a connection and a backlog of its own
//! ([`petrel_tests::herd`]): as agents do that look for it every few seconds, or all in one instant. Every batch must be acknowledged and stored once, and the backlog
//! must shrink in every five seconds, or the run fails.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use petrel_tests::central::{Central, Project};
use petrel_tests::herd::{Herd, HerdOptions, PARTS};
use petrel_tests::process::wait_until;

use crate::say;

/// Runs the herd and says what it saw.
pub(crate) fn run(options: HerdOptions) -> anyhow::Result<()> {
    // One thread: the machine is the aggregator's.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(stampede(options))
}

/// Connections of our own and the aggregator's each take a descriptor.
fn allow_descriptors(wanted: usize) -> anyhow::Result<()> {
    let limit = format!("--nofile={wanted}:{wanted}");
    let pid = std::process::id().to_string();
    let done = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .output()?;
    anyhow::ensure!(
        done.status.success(),
        "cannot open {wanted} descriptors ({}); lower --agents",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(())
}

async fn stampede(options: HerdOptions) -> anyhow::Result<()> {
    allow_descriptors(options.agents + 1000)?;
    let dir = tempfile::Builder::new().prefix("petrel-herd-").tempdir()?;
    let projects = [1, 2, 3].map(|id| Project {
        id,
        token: format!("herd_project_{id}"),
    });
    let mut central = Central::configure(dir.path(), "aggregator", &projects)?;
    central.start()?;
    let idle = central.running().resident_bytes()?;
    let herd = Herd::gather(options, central.http_port, &projects)?;
    say(&format!(
        "{} agents{}, {} batches of {} spans each ({} bytes packed); projects have {:?} % of the agents",
        options.agents,
        if options.same_instant {
            " in the same instant"
        } else {
            ""
        },
        options.batches,
        options.spans,
        herd.packed_bytes(),
        PARTS
    ));
    say("  after | backlog | acknowledged | 429 | 503 | broken | journal | RSS");
    let started = Instant::now();
    let mut agents = herd.stampede();
    let tally = Arc::clone(&herd.tally);
    let (mut backlog, mut monotone) = (options.backlog(), true);
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    tick.tick().await;
    loop {
        tokio::select! {
            ended = agents.join_next() => if let Some(ended) = ended {
                ended?;
                continue;
            },
            _ = tick.tick() => {}
        }
        let left = options.backlog() - tally.done();
        monotone &= left < backlog;
        backlog = left;
        say(&format!(
            "{:6.1} s | {left:7} | {:12} | {:5} | {:5} | {:4} | {:7} | {} MiB",
            started.elapsed().as_secs_f64(),
            tally.done(),
            tally.throttled.load(Relaxed),
            tally.busy.load(Relaxed),
            tally.broken.load(Relaxed),
            central.metric("aggregator_journal_entries")?,
            central.running().resident_bytes()? >> 20,
        ));
        if left == 0 {
            break;
        }
    }
    let took = started.elapsed();
    let peak = central.running().peak_resident_bytes()?;
    let (refused, stored) = (tally.latencies(0.5), tally.latencies(0.99));
    say(&format!(
        "drained in {:.1} s, {:.0} batches/s; {} connections",
        took.as_secs_f64(),
        options.backlog() as f64 / took.as_secs_f64(),
        tally.connected.load(Relaxed)
    ));
    say(&format!(
        "refusals: p50 {:.1?}, p99 {:.1?} (target 100 ms); acknowledgements: p50 {:.1?}, p99 {:.1?}",
        refused.0, stored.0, refused.1, stored.1
    ));
    say(&format!(
        "projects were done after {:.1?}; refused {:?} times",
        tally.finished(started),
        tally
            .refused
            .each_ref()
            .map(|refused| refused.load(Relaxed))
    ));
    say(&format!(
        "in the seconds in which something of a project was refused, it got {} of what was acknowledged (target: 16 % or more each)",
        tally
            .shares_when_refused()
            .map(
                |share| share.map_or("(never refused)".to_owned(), |percent| format!(
                    "{percent} %"
                ))
            )
            .join(", ")
    ));
    say(&format!(
        "RSS: {} MiB idle, {} MiB peak",
        idle >> 20,
        peak >> 20
    ));
    let spans = options.backlog() * options.spans as u64;
    let drained = tokio::task::spawn_blocking(move || {
        let empty = wait_until(Duration::from_secs(600), "the journal is empty", || {
            Ok(central.metric("aggregator_journal_entries")? == 0.0)
        });
        empty?;
        central.count("SELECT count() FROM spans")
    });
    let rows = drained.await??;
    say(&format!(
        "stored {rows} of {spans} spans after {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    anyhow::ensure!(rows == spans, "spans were lost or stored twice");
    anyhow::ensure!(
        monotone,
        "there were five seconds in which the backlog did not shrink"
    );
    Ok(())
}
