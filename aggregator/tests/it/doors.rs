//! Doors beside OTLP, over the real store: what another protocol brought can be read as if an SDK
//! had sent it.

use std::time::Duration;

use petrel_aggregator::clickhouse::access_file;
use petrel_aggregator::config::{Config, ListenAddr};
use petrel_aggregator::engine::Access;
use petrel_aggregator::pipeline::{self, Listening};
use petrel_aggregator::sql;
use petrel_wire::{Clock as _, SystemClock};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::sender::{get, post};

mod loki;
mod prometheus;
pub(crate) mod zipkin;

/// A whole aggregator with the embedded engine, and the projects 1 (`one`) and 2 (`two`).
struct Whole {
    at: Listening,
    config: Config,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    _dir: TempDir,
}

impl Whole {
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more lines of configuration.
    async fn start_with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("projects: [{{id: 1, token: one}}, {{id: 2, token: two}}]\n{more}");
        let loaded = Config::parse("petrel.yml", &text, &|_| None).unwrap();
        let mut config = loaded.config;
        config.data_dir = dir.path().to_owned();
        config.listen.grpc.addr = ListenAddr::loopback(0);
        config.listen.http.addr = ListenAddr::loopback(0);
        let (ready, listening) = oneshot::channel();
        let stop = CancellationToken::new();
        let clock = SystemClock::shared();
        let run = pipeline::run(config.clone(), clock, stop.clone(), |at| {
            ready.send(at).unwrap();
        });
        let task = tokio::spawn(run);
        let whole = Self {
            at: listening.await.expect("it starts"),
            config,
            stop,
            task,
            _dir: dir,
        };
        whole
            .until("the store is up", async || {
                get(whole.at.http, "/ready")
                    .await
                    .words()
                    .contains("\"store\":\"ok\"")
            })
            .await;
        whole
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(120), async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            while !holds().await {
                ticks.tick().await;
            }
        });
        assert!(waited.await.is_ok(), "{what}, but not in two minutes");
    }

    /// Cells of an answer, row by row.
    async fn sql(&self, query: &str) -> Vec<Vec<String>> {
        let mut answer = Vec::new();
        sql::ask(&self.config, query, "TabSeparatedRaw", &mut answer)
            .await
            .expect(query);
        let text = String::from_utf8(answer).unwrap();
        text.lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect()
    }

    /// The answer, once it has so many rows.
    async fn rows(&self, count: usize, query: &str) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        self.until(query, async || {
            rows = self.sql(query).await;
            rows.len() >= count
        })
        .await;
        assert_eq!(rows.len(), count, "{rows:?}");
        rows
    }

    /// A client that may change things.
    fn owner(&self) -> clickhouse::Client {
        let access = Access::read(&access_file(&self.config)).unwrap();
        clickhouse::Client::default()
            .with_url(access.url)
            .with_user(access.user)
            .with_password(access.password)
            .with_compression(clickhouse::Compression::None)
    }

    async fn stop(self) {
        self.stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(60), self.task).await;
        stopped.expect("it stops in time").unwrap().unwrap();
    }
}

fn now_seconds() -> u64 {
    SystemClock::new().wall().0 / 1_000_000_000
}
