//! The store: cuts out of the journal, blocks into ClickHouse, cuts settled.
//!
//! A cut is a durable group of journal entries that comes back with the same id until it is
//! settled. Carriers take one each, build its [`Block`]s aside, insert them, several
//! at a time, and settle the cut when the last one is acknowledged. Whatever fails is repeated for
//! ever with the same bytes under the same token, across restarts, so that each block is stored
//! once. An entry that the store will never take, after several answers that say so, is set aside
//! with the reason ([`dead`]); nothing is dropped.
//!
//! A store that is away costs nothing but the journal's room: carriers wait, holding what they
//! have built.

mod appetite;
mod aside;
mod carrier;
mod dead;
mod deaths;
mod pieces;
mod pulse;
mod stats;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_spool::Spool;
use petrel_wire::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clickhouse::{ClickHouse, Reader, Schema, StartError, Trouble, Writer, migrate};
use crate::config::Config;

pub(crate) use aside::LESS;
pub use pulse::Pulse;
pub use stats::StoreStats;

use aside::Aside;
use carrier::{Backoff, Carrier};
use dead::DeadLetters;
use deaths::Deaths;
use pulse::Owed;

/// Cuts in flight. Each holds the blocks of one piece in memory.
const CARRIERS: usize = 2;
/// How long inserts in flight may take at the end. Broken off, they are repeated after a restart.
const DRAIN: Duration = Duration::from_secs(5);

/// The running store.
#[derive(Debug)]
pub struct Store {
    reader: Reader,
    writer: Writer,
    stats: Arc<StoreStats>,
    pulse: Pulse,
    stop: CancellationToken,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    clickhouse: ClickHouse,
    task: tokio::task::JoinHandle<()>,
}

impl Store {
    /// Starts the engine if it is embedded, brings the schema up to date as soon as somebody
    /// answers, and stores what is in `journal` from then on.
    pub fn start(
        config: &Config,
        journal: Spool,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let clickhouse = ClickHouse::start(config, Arc::clone(&clock))?;
        let stats = Arc::new(StoreStats::default());
        let pulse = Pulse::new(Arc::clone(&clock));
        let stop = CancellationToken::new();
        let carrier = Carrier::new(
            journal,
            clickhouse.writer(),
            DeadLetters::new(config.data_dir.join("dead"), clock),
            Arc::clone(&stats),
            pulse.clone(),
            Aside::new(CARRIERS),
            Deaths::noted_in(config.data_dir.join("building")),
        );
        let (owner, schema) = (clickhouse.owner(), Schema::of(config));
        let waits_for_schema = pulse.owe();
        let task = tokio::spawn(run(owner, schema, waits_for_schema, carrier, stop.clone()));
        Ok(Self {
            reader: clickhouse.reader(),
            writer: clickhouse.writer(),
            stats,
            pulse,
            stop,
            running: Mutex::new(Some(Running { clickhouse, task })),
        })
    }

    /// For queries.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// For blocks that do not come from the journal.
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// Whether the last insert was taken.
    pub fn is_up(&self) -> bool {
        self.stats.is_up()
    }

    /// What was stored, repeated and set aside.
    pub fn stats(&self) -> &StoreStats {
        &self.stats
    }

    /// Whether it gets on.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Appends the numbers in Prometheus' text format.
    pub fn metrics(&self, out: &mut String) {
        self.stats.render(out);
    }

    /// Kills the embedded engine as a fault would; for tests of faults.
    pub fn kill_engine(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = running
            .as_ref()
            .and_then(|running| running.clickhouse.engine())
        {
            engine.kill();
        }
    }

    /// Ends inserts and the embedded engine.
    pub async fn stop(&self) {
        self.stop.cancel();
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Running { clickhouse, task }) = running else {
            return;
        };
        if let Err(error) = task.await {
            error!(%error, "the store's task has failed");
        }
        if let Err(error) = tokio::task::spawn_blocking(move || clickhouse.stop()).await {
            error!(%error, "the engine could not be stopped");
        }
    }
}

async fn run(
    owner: ::clickhouse::Client,
    schema: Schema,
    waits_for_schema: Owed,
    carrier: Carrier,
    stop: CancellationToken,
) {
    let migrated = stop
        .run_until_cancelled(migrate_for_ever(&owner, &schema, carrier.stats()))
        .await;
    drop(waits_for_schema);
    if migrated.is_none() {
        return;
    }
    carrier.stats().went_up();
    let mut carriers = JoinSet::new();
    let start = |carriers: &mut JoinSet<()>| {
        let (carrier, stop) = (carrier.clone(), stop.clone());
        carriers.spawn(async move { carrier.run(stop).await });
    };
    for _ in 0..CARRIERS {
        start(&mut carriers);
    }
    let mut backoff = Backoff::default();
    while let Some(Some(ended)) = stop.run_until_cancelled(carriers.join_next()).await {
        // One that returned has found the journal closed: we are about to stop. One that panicked
        // has given its cut back, and must not be missed for good.
        if let Err(error) = ended {
            error!(%error, "a carrier has failed; starting another one");
            backoff.pause().await;
            start(&mut carriers);
        }
    }
    stop.cancelled().await;
    // With nobody to take them, there is nothing to wait for.
    let patience = if carrier.stats().is_up() {
        DRAIN
    } else {
        Duration::ZERO
    };
    let finished = tokio::time::timeout(patience, async {
        while let Some(ended) = carriers.join_next().await {
            if let Err(error) = ended {
                error!(%error, "a carrier has failed");
            }
        }
    });
    if finished.await.is_err() {
        info!("inserts in flight are broken off; they are repeated at the next start");
        carriers.shutdown().await;
    }
}

async fn migrate_for_ever(owner: &::clickhouse::Client, schema: &Schema, stats: &StoreStats) {
    let mut backoff = Backoff::default();
    loop {
        let Err(error) = migrate(owner, schema).await else {
            return;
        };
        let trouble = error.trouble();
        if stats.went_down(trouble) {
            let error = describe(&error);
            match trouble {
                Trouble::Operator(remedy) => error!(error, "the schema is not ready; {remedy}"),
                _ => warn!(error, "the schema is not ready; trying again"),
            }
        }
        backoff.pause_for(trouble).await;
    }
}

/// An error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.chars().take(500).collect()
}
