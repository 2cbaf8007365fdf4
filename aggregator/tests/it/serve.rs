//! The whole aggregator in this process, with a store that is away.

use std::path::Path;
use std::time::Duration;

use petrel_aggregator::config::{Config, ListenAddr};
use petrel_aggregator::pipeline::{self, Listening};
use petrel_spool::{Spool, SpoolConfig};
use petrel_wire::SystemClock;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ingest::spans;
use crate::sender::{get, post};

struct Running {
    at: Listening,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(dir: &Path) -> Self {
        let text = "projects: [{id: 1, token: one}]\nch: {addr: '127.0.0.1:1'}\n";
        let mut config = Config::parse("petrel.yml", text, &|_| None).unwrap().config;
        config.data_dir = dir.to_owned();
        config.listen.grpc.addr = ListenAddr::loopback(0);
        config.listen.http.addr = ListenAddr::loopback(0);
        let (ready, listening) = oneshot::channel();
        let stop = CancellationToken::new();
        let run = pipeline::run(config, SystemClock::shared(), stop.clone(), |at| {
            ready.send(at).unwrap();
        });
        let task = tokio::spawn(run);
        Self {
            at: listening.await.unwrap(),
            stop,
            task,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(30), self.task).await;
        stopped.expect("it stops in time").unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_is_taken_on_both_ports_while_the_store_is_away_and_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("uptrace-dsn", "http://one@localhost:14318?grpc=14317"),
    ];
    for _ in 0..2 {
        let running = Running::start(dir.path()).await;
        for addr in [running.at.http, running.at.grpc] {
            let answer = post(addr, "/v1/traces", &headers, &spans(5)).await;
            assert_eq!(answer.status, 200, "{}", answer.words());
        }
        let ready = get(running.at.http, "/ready").await;
        assert_eq!(ready.status, 200, "{}", ready.words());
        assert!(
            ready.words().contains("\"store\":\"away\""),
            "{}",
            ready.words()
        );
        assert_eq!(get(running.at.http, "/api/health").await.status, 200);
        let metrics = get(running.at.http, "/metrics").await;
        assert!(
            metrics
                .words()
                .contains("aggregator_journal_here_items{signal=\"traces\"}")
        );
        running.stop().await;
    }
    let journal = Spool::open(
        SpoolConfig::at(dir.path().join("journal")),
        SystemClock::shared(),
    );
    assert_eq!(journal.unwrap().stats().by_signal[0].here, 20);
}
