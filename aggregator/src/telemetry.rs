//! What the aggregator says about itself: logs on standard error, numbers at `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::{
    Json, Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use petrel_spool::{SignalStats, Spool};
use petrel_wire::{Clock, Signal};

use crate::clickhouse::Trouble;
use crate::config;
use crate::ingest::{Ingest, header as metric, line};
use crate::metadata::Metadata;
use crate::store::Store;

/// Starts logging. `RUST_LOG` wins over `level`.
pub fn start(level: &str) {
    // What is chatty and not ours speaks from a warning on.
    let ours = format!(
        "warn,petrel_aggregator={level},petrel_plugin_host={level},petrel_receiver={level},petrel_spool={level}"
    );
    petrel_log::start(&config::environment("RUST_LOG").unwrap_or(ours));
}

/// Everything that has numbers or a state.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The door.
    pub ingest: Ingest<Metadata>,
    /// What waits for the store.
    pub journal: Spool,
    /// Projects, tokens and users.
    pub metadata: Metadata,
    /// The way into ClickHouse.
    pub store: Arc<Store>,
    /// For ages.
    pub clock: Arc<dyn Clock>,
}

/// `/metrics` in the text format of Prometheus; `/api/health`, which says that the process
/// answers; `/ready`, which says whether it takes requests; `/health`, which says whether it gets
/// on. A store that is away is no reason to send telemetry elsewhere, since the journal takes it,
/// but somebody should know.
pub fn routes(watched: Watched) -> Router {
    let (numbers, progress, state) = (watched.clone(), watched.clone(), watched);
    Router::new()
        .route("/metrics", get(async move || metrics(&numbers)))
        .route(
            "/api/health",
            get(|| async { Json(serde_json::json!({ "status": "ok" })) }),
        )
        .route("/health", get(move || health(progress)))
        .route("/ready", get(move || ready(state)))
}

/// Longer than any outage that passes by itself without anybody noticing.
const STUCK: Duration = Duration::from_secs(60);

/// 503 when it is alive and does not do its work, with the reasons in words.
async fn health(watched: Watched) -> impl IntoResponse {
    let mut reasons = Vec::new();
    let pulse = watched.store.pulse();
    let (idle, stats) = (pulse.idle_for(), watched.journal.stats());
    if idle > STUCK {
        let seconds = idle.as_secs();
        let mut reason = format!(
            "nothing was stored for {seconds} seconds while {} batches wait",
            stats.entries
        );
        if let Some(Trouble::Operator(remedy)) = watched.store.stats().trouble() {
            reason = format!("{reason}: {remedy}");
        }
        reasons.push(reason);
    }
    if !pulse.turns() {
        reasons.push("the store's loop does not turn".to_owned());
    }
    if watched.ingest.is_full() {
        reasons.push("the journal is full; senders are told to come again".to_owned());
    }
    reasons.extend(watched.ingest.processors().troubles());
    if watched.metadata.ping().await.is_err() {
        reasons.push("the metadata database is away".to_owned());
    }
    let (status, word) = if reasons.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let body = serde_json::json!({
        "status": word,
        "reasons": reasons,
        "waiting_batches": stats.entries,
    });
    (status, Json(body))
}

fn metrics(watched: &Watched) -> impl IntoResponse + use<> {
    let mut text = String::new();
    watched.ingest.counters().render(&mut text);
    watched.ingest.limits().render(&mut text);
    watched.ingest.processors().render(&mut text);
    journal_metrics(&watched.journal, watched.clock.as_ref(), &mut text);
    watched.store.metrics(&mut text);
    let name = "aggregator_log_lines_left_out_total";
    let help = "Lines of the log that were counted instead of written, since they were too many";
    metric(&mut text, name, help, "counter");
    line(&mut text, format_args!("{name} {}", petrel_log::left_out()));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

async fn ready(watched: Watched) -> impl IntoResponse {
    let metadata = watched.metadata.ping().await.is_ok();
    let stats = watched.journal.stats();
    let room = stats.used_bytes < stats.limit_bytes;
    let word = |good, otherwise: &'static str| if good { "ok" } else { otherwise };
    let body = serde_json::json!({
        "metadata": word(metadata, "away"),
        "journal": word(room, "full"),
        "store": word(watched.store.is_up(), "away"),
    });
    let status = if metadata && room {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body))
}

fn journal_metrics(journal: &Spool, clock: &dyn Clock, out: &mut String) {
    let stats = journal.stats();
    for (name, help, value) in [
        (
            "aggregator_journal_used_bytes",
            "Disk blocks in use",
            stats.used_bytes,
        ),
        (
            "aggregator_journal_limit_bytes",
            "Disk blocks allowed",
            stats.limit_bytes,
        ),
        (
            "aggregator_journal_entries",
            "Batches that wait for the store",
            stats.entries,
        ),
    ] {
        metric(out, name, help, "gauge");
        line(out, format_args!("{name} {value}"));
    }
    let name = "aggregator_journal_oldest_seconds";
    let age = stats.oldest.map_or(0, |oldest| {
        clock.wall().seconds().saturating_sub(oldest.seconds())
    });
    metric(out, name, "Age of the oldest batch that waits", "gauge");
    line(out, format_args!("{name} {age}"));
    for (name, help, of) in ITEMS {
        metric(out, name, help, "counter");
        for (signal, stats) in Signal::ALL
            .iter()
            .map(|s| (s, &stats.by_signal[usize::from(s.code()) - 1]))
        {
            line(
                out,
                format_args!("{name}{{signal=\"{signal}\"}} {}", of(stats)),
            );
        }
    }
    let name = "aggregator_journal_here_items";
    metric(out, name, "Items that wait for the store", "gauge");
    for (signal, stats) in Signal::ALL
        .iter()
        .map(|s| (s, &stats.by_signal[usize::from(s.code()) - 1]))
    {
        line(
            out,
            format_args!("{name}{{signal=\"{signal}\"}} {}", stats.here),
        );
    }
}

/// Name, help, and which account of the journal's books it is.
type Account = (&'static str, &'static str, fn(&SignalStats) -> u64);

const ITEMS: [Account; 5] = [
    (
        "aggregator_journal_spooled_items_total",
        "Items appended, ever",
        |s| s.spooled,
    ),
    (
        "aggregator_journal_stored_items_total",
        "Items that the store has acknowledged",
        |s| s.delivered,
    ),
    (
        "aggregator_journal_rejected_items_total",
        "Items that the store will never take",
        |s| s.rejected,
    ),
    (
        "aggregator_journal_evicted_items_total",
        "Items dropped at the bound",
        |s| s.evicted,
    ),
    (
        "aggregator_journal_corrupt_items_total",
        "Items that could not be read back",
        |s| s.corrupt,
    ),
];
