//! An agent in this process, a fake peer, and an application.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum_server::tls_rustls::RustlsConfig;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use petrel_agent::forward::{Backoff, ForwardTiming};
use petrel_agent::telemetry::Report;
use petrel_agent::{Agent, Config, Environment, Surroundings};
use petrel_wire::{BatchId, SystemClock, otlp::response, unpack_zstd};
use prost::Message as _;
use rustls::ServerConfig;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::guest::Guest;

/// The longest that anything here may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition, never for time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// A directory and a peer; agents come and go in it.
pub(crate) struct Site {
    dir: TempDir,
    pub(crate) peer: Peer,
    /// In the DSN.
    pub(crate) token: String,
    /// Appended to the configuration.
    pub(crate) extra: String,
    pub(crate) timing: ForwardTiming,
    /// How often agents tell what they have lost.
    pub(crate) tell_gaps: Duration,
    /// How often they tell what processors have counted.
    pub(crate) tell_counted: Duration,
}

impl Site {
    pub(crate) async fn with(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::beside(Peer::start(script).await)
    }

    /// With a peer that speaks TLS.
    pub(crate) fn with_tls(
        tls: ServerConfig,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        Self::beside(Peer::start_tls(tls, script))
    }

    fn beside(peer: Peer) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            peer,
            token: "secret_token".to_owned(),
            extra: String::new(),
            timing: ForwardTiming {
                backoff: Backoff {
                    first: Duration::from_millis(10),
                    most: Duration::from_millis(50),
                    unreached: Duration::from_millis(50),
                },
                parked_for: Duration::from_millis(50),
                look_at_files: Duration::from_millis(50),
            },
            tell_gaps: Duration::from_secs(3600),
            tell_counted: Duration::from_secs(3600),
        }
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        let path = self.dir.path().join("agent.yaml");
        let text = format!(
            "dsn: {}://{}@{}\n\
             receivers: {{ otlp: {{ grpc: {{ endpoint: 127.0.0.1:0 }}, http: {{ endpoint: 127.0.0.1:0 }} }} }}\n\
             admin: {{ endpoint: 127.0.0.1:0 }}\n\
             spool: {{ dir: ./spool }}\n{}",
            self.peer.scheme, self.token, self.peer.address, self.extra
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) async fn agent(&self) -> Running {
        let environment = Environment::default();
        let config = Config::load(&self.config_file(), &environment).unwrap();
        let surroundings = Surroundings {
            clock: SystemClock::shared(),
            timing: self.timing,
            tell_gaps: self.tell_gaps,
            tell_counted: self.tell_counted,
            beat: || {},
        };
        let agent = Agent::start(config, surroundings).await.unwrap();
        Running { agent }
    }

    /// Writes a file beside the configuration.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Writes a guest beside the configuration.
    pub(crate) fn guest(&self, name: &str, guest: &Guest) {
        let path = self.dir.path().join(format!("{name}.wasm"));
        std::fs::write(path, guest.component()).unwrap();
    }

    pub(crate) fn spool_dir(&self) -> PathBuf {
        self.dir.path().join("spool")
    }
}

/// Whether any file below `dir` holds these bytes as they are.
pub(crate) fn holds(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

pub(crate) struct Running {
    pub(crate) agent: Agent,
}

impl Running {
    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.agent.addresses().http)
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.agent.addresses().admin)
    }

    pub(crate) fn report(&self) -> Report {
        self.agent.report()
    }

    /// Sends log records with these bodies, as an application does; returns the status.
    pub(crate) async fn send(&self, bodies: &[&str]) -> u16 {
        let response = client()
            .post(self.http("/v1/logs"))
            .header("content-type", "application/x-protobuf")
            .body(logs(bodies).encode_to_vec())
            .send()
            .await
            .unwrap();
        response.status().as_u16()
    }

    /// Sends one span; returns the status.
    pub(crate) async fn send_span(&self) -> u16 {
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: "work".to_owned(),
            ..Span::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![span],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let response = client()
            .post(self.http("/v1/traces"))
            .header("content-type", "application/x-protobuf")
            .body(request.encode_to_vec())
            .send()
            .await
            .unwrap();
        response.status().as_u16()
    }

    pub(crate) async fn delivered(&self, items: u64) {
        until("everything is delivered", || {
            self.balance();
            let report = self.report();
            report.spool.entries == 0 && report.signals[1].delivered >= items
        })
        .await;
    }

    /// Why each dead letter is one.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        let letters = self.agent.dead_letters(100).await.unwrap();
        letters.into_iter().map(|letter| letter.reason).collect()
    }

    /// Both equations hold, at any time.
    pub(crate) fn balance(&self) {
        for s in self.report().signals {
            let door = s.spooled_now + s.dropped + s.refused + s.held + s.unreadable + s.in_hand;
            assert_eq!(s.admitted + s.resumed, door, "{s:?}");
            let disk = s.delivered + s.rejected + s.evicted + s.corrupt + s.exported + s.here;
            assert_eq!(s.spooled, disk, "{s:?}");
        }
    }

    pub(crate) async fn stop(self) {
        self.balance();
        self.agent.stop().await;
    }
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .tls_backend_preconfigured(petrel_agent::forward::no_tls())
        .build()
        .unwrap()
}

pub(crate) fn logs(bodies: &[&str]) -> ExportLogsServiceRequest {
    let record = |body: &&str| LogRecord {
        time_unix_nano: 1,
        body: Some(AnyValue {
            value: Some(Value::StringValue((*body).to_owned())),
        }),
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: bodies.iter().map(record).collect(),
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

/// A request as the peer got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Counting from 0.
    pub(crate) number: usize,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> Option<BatchId> {
        self.header(BatchId::HEADER).parse().ok()
    }

    /// Its content.
    pub(crate) fn unpacked(&self) -> Vec<u8> {
        match self.header("content-encoding") {
            "zstd" => unpack_zstd(&self.body, 64 << 20).unwrap(),
            "gzip" => {
                use std::io::Read as _;
                let mut bytes = Vec::new();
                let mut decoder = flate2::read::GzDecoder::new(self.body.as_ref());
                decoder.read_to_end(&mut bytes).unwrap();
                bytes
            }
            _ => self.body.to_vec(),
        }
    }

    /// Its log records.
    pub(crate) fn logs(&self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest::decode(self.unpacked().as_slice()).unwrap()
    }

    /// The bodies of its log records.
    pub(crate) fn records(&self) -> Vec<String> {
        if !self.path.ends_with("/v1/logs") {
            return Vec::new();
        }
        let request = self.logs();
        let records = request.resource_logs.into_iter();
        let records = records.flat_map(|resource| resource.scope_logs);
        let records = records.flat_map(|scope| scope.log_records);
        records
            .map(|record| match record.body.and_then(|body| body.value) {
                Some(Value::StringValue(text)) => text,
                other => panic!("unexpected body {other:?}"),
            })
            .collect()
    }
}

/// What the peer answers.
pub(crate) enum Reply {
    /// 200 with an export response; echoes the identity.
    Echo,
    /// 200 with an export response, as any OTLP endpoint.
    Plain,
    /// Any status, content type and body.
    Other(u16, &'static str, Vec<u8>),
    /// The same with one more header.
    With(u16, &'static str, String),
}

impl Reply {
    /// A status with a `google.rpc.Status` in it.
    pub(crate) fn status(status: u16) -> Self {
        let body = response::write_status(3, "said the peer");
        Self::Other(status, "application/x-protobuf", body)
    }
}

type Script = Box<dyn FnMut(&Seen) -> Reply + Send>;

#[derive(Clone)]
struct Stage {
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stored: Arc<Mutex<Vec<String>>>,
}

/// An OTLP/HTTP endpoint that answers by a script and stores what it acknowledged.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) scheme: &'static str,
    stage: Stage,
    server: JoinHandle<()>,
}

impl Stage {
    fn new(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self {
            script: Arc::new(Mutex::new(Box::new(script))),
            seen: Arc::default(),
            stored: Arc::default(),
        }
    }
}

impl Peer {
    async fn start(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let stage = Stage::new(script);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(listener, stage.clone());
        Self {
            address,
            scheme: "http",
            stage,
            server,
        }
    }

    fn start_tls(tls: ServerConfig, script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let stage = Stage::new(script);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let tls = RustlsConfig::from_config(Arc::new(tls));
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
        let serve = server.serve(router(stage.clone()).into_make_service());
        Self {
            address,
            scheme: "https",
            stage,
            server: tokio::spawn(async move { serve.await.unwrap() }),
        }
    }

    /// Nobody listens there any more, and open connections are gone.
    pub(crate) async fn kill(&mut self) {
        self.server.abort();
        drop((&mut self.server).await);
    }

    /// The same peer at the same address again.
    pub(crate) async fn revive(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.server = serve(listener, self.stage.clone());
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.stage.seen.lock().unwrap().clone()
    }

    /// Log bodies that were acknowledged, in the order of their arrival.
    pub(crate) fn stored(&self) -> Vec<String> {
        self.stage.stored.lock().unwrap().clone()
    }

    /// The same, each once.
    pub(crate) fn stored_once(&self) -> BTreeSet<String> {
        self.stored().into_iter().collect()
    }
}

fn serve(listener: TcpListener, stage: Stage) -> JoinHandle<()> {
    let router = router(stage);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

fn router(stage: Stage) -> Router {
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .with_state(stage)
}

async fn answer(State(stage): State<Stage>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut seen = stage.seen.lock().unwrap();
    let request = Seen {
        number: seen.len(),
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
    };
    seen.push(request.clone());
    drop(seen);
    let reply = (stage.script.lock().unwrap())(&request);
    let otlp = [("content-type", "application/x-protobuf")];
    match reply {
        Reply::Echo => {
            stage.stored.lock().unwrap().extend(request.records());
            let echo = [(BatchId::HEADER, request.header(BatchId::HEADER).to_owned())];
            (otlp, echo, Vec::new()).into_response()
        }
        Reply::Plain => {
            stage.stored.lock().unwrap().extend(request.records());
            (otlp, Vec::new()).into_response()
        }
        Reply::Other(status, content_type, body) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("content-type", content_type)], body).into_response()
        }
        Reply::With(status, name, value) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, otlp, [(name, value)], Vec::new()).into_response()
        }
    }
}
