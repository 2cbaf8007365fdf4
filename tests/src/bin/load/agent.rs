//! What an agent costs, measured side by side.
//!
//! The agent under test is pinned to core 0; the generator and the sink, an OTLP/HTTP endpoint
//! that acknowledges and remembers, share core 1. Every span that was acknowledged must arrive at
//! the sink, counted after the run, or the run fails. Two phases: a closed loop of four senders
//! (throughput, CPU, memory, bytes), then single spans at an easy rate (latency). A request has as
//! many spans as an SDK's batch processor puts into one by default, unless told otherwise.
//!
//! Spans are about 420 bytes encoded, with fresh ids, times and parameters: repeated payloads
//! would flatter the compression.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::routing::post;
use petrel_tests::http;
use petrel_tests::process::{Process, artefact, binary, free_port, get, wait_until};
use petrel_tests::telemetry::{Ids, Resource, SpanDraft, traces_request};
use petrel_wire::{Batch, Limits, Signal};

use crate::say;

/// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` (OpenTelemetry specification, "Batch Span Processor").
pub(crate) const PER_REQUEST: usize = 512;
const SENDERS: usize = 4;

/// Measures ours without and with a processor, then the peer.
pub(crate) fn run(spans: usize, per_request: usize, peer: Option<PathBuf>) -> anyhow::Result<()> {
    // The generator and the sink live on core 1, in this process.
    pin(std::process::id(), 1)?;
    let mut subjects = vec![
        Subject::Petrel { redact: false },
        Subject::Petrel { redact: true },
    ];
    subjects.extend(peer.map(Subject::Collector));
    say(&format!(
        "{spans} spans, {per_request} a request, {SENDERS} senders; {} bytes a span",
        span_bytes()
    ));
    say(
        "agent                    | CPU s/M spans | spans/s | RSS idle | RSS peak | wire B/span | disk B/wire B | ack p50 | ack p99 | forwarded p50 | forwarded p99",
    );
    for subject in subjects {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        say(&runtime.block_on(measure(&subject, spans, per_request))?);
    }
    Ok(())
}

/// What is measured.
enum Subject {
    /// Ours: fsynced spool, zstd on the wire.
    Petrel { redact: bool },
    /// The OpenTelemetry Collector with its persistent queue, fsynced, and zstd on the wire.
    Collector(PathBuf),
}

impl Subject {
    fn name(&self) -> &'static str {
        match self {
            Subject::Petrel { redact: false } => "petrel, no processor",
            Subject::Petrel { redact: true } => "petrel, redact",
            Subject::Collector(_) => "otelcol, fsynced queue",
        }
    }

    fn start(&self, dir: &Path, port: u16, sink: u16) -> anyhow::Result<Process> {
        let log = dir.join("agent.log");
        let mut process = match self {
            Subject::Petrel { redact } => {
                let admin = free_port();
                let mut config = format!(
                    "dsn: http://token@127.0.0.1:{sink}\nreceivers:\n  otlp:\n    grpc: {{ endpoint: 127.0.0.1:{} }}\n    http: {{ endpoint: 127.0.0.1:{port} }}\nadmin: {{ endpoint: 127.0.0.1:{admin} }}\nspool: {{ dir: {}/spool, max_bytes: 2GiB, when_full: refuse }}\n",
                    free_port(),
                    dir.display()
                );
                if *redact {
                    let plugin = artefact("target/plugins/redact.wasm");
                    config = format!(
                        "{config}processors:\n  - {{ name: redact, plugin: {}, on_error: closed, config: {{}} }}\n",
                        plugin.display()
                    );
                }
                let file = dir.join("agent.yaml");
                std::fs::write(&file, config)?;
                Process::start(
                    "petrel-agent",
                    Command::new(binary("petrel-agent"))
                        .args(["run", "--config"])
                        .arg(file),
                    &log,
                )?
            }
            Subject::Collector(path) => {
                let queue = dir.join("queue");
                std::fs::create_dir(&queue)?;
                let config = format!(
                    r#"receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: "127.0.0.1:{port}" }} }} }}
exporters:
  otlphttp:
    endpoint: "http://127.0.0.1:{sink}"
    compression: zstd
    sending_queue: {{ storage: file_storage, queue_size: 100000 }}
extensions:
  file_storage: {{ directory: "{queue}", fsync: true }}
service:
  extensions: [file_storage]
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlphttp] }} }}
  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: warn }} }}
"#,
                    queue = queue.display()
                );
                let file = dir.join("otelcol.yaml");
                std::fs::write(&file, config)?;
                let mut command = Command::new(path);
                command.arg("--config").arg(file);
                Process::start("otelcol", &mut command, &log)?
            }
        };
        pin(process.pid(), 0)?;
        let up = wait_until(Duration::from_secs(30), "the agent answers", || {
            anyhow::ensure!(process.is_running(), "it has ended");
            // Any HTTP answer will do: a GET is not what the path is for.
            Ok(get(&format!("http://127.0.0.1:{port}/v1/traces"))?.0 > 0)
        });
        up.with_context(|| process.tail())?;
        Ok(process)
    }
}

/// All threads of a process, those it has and those it will have.
fn pin(pid: u32, core: u32) -> anyhow::Result<()> {
    let done = Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &pid.to_string()])
        .output()?;
    anyhow::ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// What the sink has seen: when, and what.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<Seen>>>);

/// When a body came, its content encoding, and the body.
type Seen = (Instant, Option<String>, Bytes);

async fn take(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .and_then(|v| v.to_str().ok());
    let now = Instant::now();
    sink.0
        .lock()
        .expect("no panics")
        .push((now, encoding.map(str::to_owned), body));
    [(header::CONTENT_TYPE, "application/x-protobuf")]
}

impl Sink {
    fn bytes(&self) -> usize {
        self.0
            .lock()
            .expect("no panics")
            .iter()
            .map(|(_, _, body)| body.len())
            .sum()
    }

    fn spans(&self) -> anyhow::Result<u64> {
        let seen = self.0.lock().expect("no panics").clone();
        seen.iter()
            .map(|(_, encoding, body)| Ok(u64::from(unpack(encoding.as_deref(), body)?.items())))
            .sum()
    }
}

fn unpack(encoding: Option<&str>, body: &Bytes) -> anyhow::Result<Batch> {
    use std::io::Read as _;
    let limits = Limits {
        request_bytes: 1 << 30,
        ..Limits::default()
    };
    let mut plain = Vec::new();
    match encoding {
        Some("zstd") => zstd::stream::read::Decoder::new(&body[..])?.read_to_end(&mut plain)?,
        Some("gzip") => flate2::read::MultiGzDecoder::new(&body[..]).read_to_end(&mut plain)?,
        _ => (&body[..]).read_to_end(&mut plain)?,
    };
    Ok(Batch::from_protobuf(Signal::Traces, plain.into(), &limits)?)
}

fn span(ids: &mut Ids, now: u64) -> SpanDraft {
    let trace = ids.trace();
    let order = ids.below(1_000_000);
    SpanDraft::server(ids, trace, "GET /orders/{id}")
        .lasting(now, 1_000_000 + ids.below(50_000_000))
        .with("http.request.method", "GET")
        .with("http.route", "/orders/{id}")
        .with("url.path", format!("/orders/{order}"))
        .with("http.response.status_code", 200)
        .with("server.address", "orders.shop.internal")
        .with(
            "client.address",
            format!("10.{}.{}.{}", order % 200, order % 251, order % 253),
        )
        .with(
            "user_agent.original",
            "Mozilla/5.0 (X11; Linux x86_64) Till/4.1",
        )
        .with("order.total", i64::try_from(order % 10_000).unwrap_or(0))
}

fn request(ids: &mut Ids, spans: usize) -> Vec<u8> {
    let now = 1_790_000_000_000_000_000 + ids.below(1_000_000_000_000);
    let spans = (0..spans).map(|_| span(ids, now)).collect();
    let resource = Resource::new("orders")
        .with("service.version", "2.4.1")
        .with("host.name", "till-17");
    traces_request(&[(resource, spans)])
}

fn span_bytes() -> usize {
    request(&mut Ids::seeded(1), 1000).len() / 1000
}
async fn measure(subject: &Subject, spans: usize, per_request: usize) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let sink = Sink::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let sink_port = listener.local_addr()?.port();
    let app = Router::new()
        .route("/v1/traces", post(take))
        .with_state(sink.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let port = free_port();
    let agent = subject.start(dir.path(), port, sink_port)?;
    tokio::time::sleep(Duration::from_secs(2)).await; // idle is a state that takes time to reach
    let idle = agent.resident_bytes()?;

    // Bodies first: building them must not be on the clock of core 1 while it drives the load.
    let url = format!("http://127.0.0.1:{port}/v1/traces");
    let requests = spans / per_request / SENDERS;
    let bodies: Vec<Vec<Bytes>> = (0..SENDERS)
        .map(|sender| {
            let mut ids = Ids::seeded(sender as u64 * 7919 + 1);
            (0..requests)
                .map(|_| Bytes::from(request(&mut ids, per_request)))
                .collect()
        })
        .collect();
    let cpu = agent.cpu_time()?;
    let written = disk_bytes(&agent)?;
    let started = Instant::now();
    let senders = bodies.into_iter().map(|bodies| {
        let (client, url) = (http::client(), url.clone());
        tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(bodies.len());
            for body in bodies {
                let sent = Instant::now();
                let response = client
                    .post(&url)
                    .header("content-type", "application/x-protobuf")
                    .body(body)
                    .send()
                    .await?;
                anyhow::ensure!(
                    response.status() == 200,
                    "the agent said {}",
                    response.status()
                );
                response.bytes().await?;
                latencies.push(sent.elapsed());
            }
            Ok(latencies)
        })
    });
    let mut latencies = Vec::new();
    for sender in senders.collect::<Vec<_>>() {
        latencies.extend(sender.await??);
    }
    let took = started.elapsed();
    let acknowledged = (requests * per_request * SENDERS) as u64;
    let deadline = Instant::now() + Duration::from_secs(60);
    let arrived = loop {
        let arrived = sink.spans()?;
        if arrived >= acknowledged || Instant::now() > deadline {
            break arrived;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    anyhow::ensure!(
        arrived == acknowledged,
        "{arrived} of {acknowledged} acknowledged spans arrived"
    );
    let cpu = agent.cpu_time()?.saturating_sub(cpu).as_secs_f64() * 1e6 / acknowledged as f64;
    let wire = sink.bytes();
    let written = disk_bytes(&agent)? - written;
    let forwarded = forward_latencies(&url, &sink).await?;
    Ok(format!(
        "{:<24} | {cpu:13.2} | {:7.0} | {:5} MiB | {:5} MiB | {:11.1} | {:13.2} | {} | {} | {:>13} | {:>13}",
        subject.name(),
        acknowledged as f64 / took.as_secs_f64(),
        idle >> 20,
        agent.peak_resident_bytes()? >> 20,
        wire as f64 / acknowledged as f64,
        written as f64 / wire as f64,
        quantile(&mut latencies, 0.5),
        quantile(&mut latencies, 0.99),
        quantile(&mut forwarded.clone(), 0.5),
        quantile(&mut forwarded.clone(), 0.99),
    ))
}

/// From the start of a request with one span to its arrival at the sink.
async fn forward_latencies(url: &str, sink: &Sink) -> anyhow::Result<Vec<Duration>> {
    let client = http::client();
    let mut ids = Ids::seeded(99);
    let mut latencies = Vec::new();
    for _ in 0..100 {
        let before = sink.0.lock().expect("no panics").len();
        let sent = Instant::now();
        let body = request(&mut ids, 1);
        let response = client
            .post(url)
            .header("content-type", "application/x-protobuf")
            .body(body)
            .send()
            .await?;
        anyhow::ensure!(
            response.status() == 200,
            "the agent said {}",
            response.status()
        );
        let arrived = loop {
            if let Some((at, _, _)) = sink.0.lock().expect("no panics").get(before) {
                break *at;
            }
            anyhow::ensure!(
                sent.elapsed() < Duration::from_secs(20),
                "a span did not arrive"
            );
            tokio::time::sleep(Duration::from_micros(500)).await;
        };
        latencies.push(arrived.saturating_duration_since(sent));
    }
    Ok(latencies)
}

/// Bytes that the process caused to be written to a disk.
fn disk_bytes(process: &Process) -> anyhow::Result<u64> {
    let io = std::fs::read_to_string(format!("/proc/{}/io", process.pid()))?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))
        .context("no write_bytes")?;
    Ok(line.trim().parse()?)
}

fn quantile(durations: &mut [Duration], q: f64) -> String {
    durations.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let index = ((durations.len() - 1) as f64 * q).round() as usize;
    format!("{:5.1}ms", durations[index].as_secs_f64() * 1e3)
}
