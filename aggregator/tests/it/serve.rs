//! The whole aggregator in this process, with a store that is away.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use petrel_aggregator::config::{Config, ListenAddr};
use petrel_aggregator::pipeline::{self, Listening};
use petrel_spool::{Spool, SpoolConfig};
use petrel_wire::{Clock, SystemClock, UnixNanos};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ingest::spans;
use crate::sender::{get, post};

/// A clock whose monotonic time a test moves.
#[derive(Clone, Debug)]
struct Hand {
    real: SystemClock,
    ahead: Arc<Mutex<Duration>>,
}

impl Hand {
    fn turn(&self, by: Duration) {
        *self.ahead.lock().unwrap() += by;
    }
}

impl Clock for Hand {
    fn wall(&self) -> UnixNanos {
        self.real.wall()
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic() + *self.ahead.lock().unwrap()
    }
}

pub(crate) struct Running {
    hand: Hand,
    pub(crate) at: Listening,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(dir: &Path) -> Self {
        Self::start_with(dir, "").await
    }

    /// With more lines of configuration, whose paths are relative to `dir`.
    pub(crate) async fn start_with(dir: &Path, more: &str) -> Self {
        let text = format!(
            "projects: [{{id: 1, token: one}}, {{id: 2, token: two}}]\nch: {{addr: '127.0.0.1:1'}}\n{more}"
        );
        let file = dir.join("petrel.yml").display().to_string();
        let mut config = Config::parse(&file, &text, &|_| None).unwrap().config;
        config.data_dir = dir.to_owned();
        config.listen.grpc.addr = ListenAddr::loopback(0);
        config.listen.http.addr = ListenAddr::loopback(0);
        let (ready, listening) = oneshot::channel();
        let stop = CancellationToken::new();
        let hand = Hand {
            real: SystemClock::new(),
            ahead: Arc::default(),
        };
        let run = pipeline::run(config, Arc::new(hand.clone()), stop.clone(), |at| {
            ready.send(at).unwrap();
        });
        let task = tokio::spawn(run);
        Self {
            hand,
            at: listening.await.unwrap(),
            stop,
            task,
        }
    }

    pub(crate) async fn stop(self) {
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

#[tokio::test(flavor = "multi_thread")]
async fn alive_but_storing_nothing_is_unhealthy_and_ready_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let healthy = get(running.at.http, "/health").await;
    assert_eq!(healthy.status, 200, "{}", healthy.words());
    running.hand.turn(Duration::from_secs(61));
    let stuck = get(running.at.http, "/health").await;
    assert_eq!(stuck.status, 503);
    assert!(
        stuck.words().contains("nothing was stored for 6"),
        "{}",
        stuck.words()
    );
    assert_eq!(get(running.at.http, "/ready").await.status, 200);
    assert_eq!(get(running.at.http, "/api/health").await.status, 200);
    running.stop().await;
}

/// The binary under a service manager that is this test.
struct Managed {
    child: Child,
    heard: UnixDatagram,
    http: std::net::SocketAddr,
}

impl Managed {
    fn start(dir: &Path) -> Self {
        let [grpc, http] = [(), ()].map(|()| {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap()
        });
        let config = dir.join("petrel.yml");
        let data = dir.join("data");
        let text = format!(
            "data_dir: {}\nlisten: {{grpc: {{addr: '{grpc}'}}, http: {{addr: '{http}'}}}}\n\
             projects: [{{id: 1, token: one}}]\nch: {{addr: '127.0.0.1:1'}}\n",
            data.display()
        );
        std::fs::write(&config, text).unwrap();
        let socket = dir.join("notify");
        let heard = UnixDatagram::bind(&socket).unwrap();
        heard
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_petrel-aggregator"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "400000")
            .spawn()
            .unwrap();
        Self { child, heard, http }
    }

    fn hears(&self, what: &str) {
        let mut message = [0; 256];
        loop {
            let length = self.heard.recv(&mut message).expect(what);
            if String::from_utf8_lossy(&message[..length]).trim() == what {
                return;
            }
        }
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_ready_then_progress_then_stopping_and_the_last_request_is_answered()
 {
    let dir = tempfile::tempdir().unwrap();
    let mut managed = Managed::start(dir.path());
    managed.hears("READY=1");
    managed.hears("WATCHDOG=1");
    managed.hears("WATCHDOG=1");

    let body = spans(7);
    let mut stream = TcpStream::connect(managed.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         uptrace-dsn: http://one@h\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 100"));
    managed.terminate();
    managed.hears("STOPPING=1");
    stream.write_all(&body).await.unwrap();
    let length = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let ended = tokio::task::spawn_blocking(move || managed.child.wait().unwrap()).await;
    assert_eq!(ended.unwrap().code(), Some(0));
    let journal = Spool::open(
        SpoolConfig::at(dir.path().join("data/journal")),
        SystemClock::shared(),
    );
    assert_eq!(journal.unwrap().stats().by_signal[0].here, 7);
}
