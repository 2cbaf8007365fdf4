//! Rotel, a peer in Rust: OTLP in, `RowBinary` into the same engine by its exporter for ClickHouse.
//!
//! The tables are the Collector's with a view for trace ids, which is what its documentation has one
//! make beforehand. It gets what favours it: bodies that need no unpacking, batches as large as our
//! inserts, no compression on loopback. It keeps nothing on a disk: what it has taken and not yet
//! exported is lost with the process.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use petrel_tests::http;
use petrel_tests::process::{Process, free_port, get, wait_until};

use crate::baseline::INSERT_ROWS;
use crate::engine::Owner;
use crate::ingest::{Requests, SENDERS, Used};
use crate::storage::{disk, merge, parts};

const TABLES: [&str; 3] = [
    "CREATE TABLE otel_traces
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested
    (
        Timestamp DateTime64(9),
        Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested
    (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, Timestamp)
SETTINGS ttl_only_drop_parts = 1",
    "CREATE TABLE otel_traces_trace_id_ts
(
    TraceId String CODEC(ZSTD(1)),
    Start DateTime64(9) CODEC(Delta, ZSTD(1)),
    End DateTime64(9) CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS ttl_only_drop_parts = 1",
    "CREATE MATERIALIZED VIEW otel_traces_trace_id_ts_mv TO otel_traces_trace_id_ts
(TraceId String, Start DateTime64(9), End DateTime64(9))
AS SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End
FROM otel_traces WHERE TraceId != '' GROUP BY TraceId",
];

const NAMES: [&str; 2] = ["otel_traces", "otel_traces_trace_id_ts"];

/// The same requests through Rotel's agent at `path`.
pub(crate) async fn measure(
    path: &Path,
    owner: &Owner,
    requests: Requests,
) -> anyhow::Result<Used> {
    for table in TABLES {
        owner.run(table, Vec::new()).await?;
    }
    owner.run("SYSTEM STOP MERGES", Vec::new()).await?;
    let dir = tempfile::tempdir()?;
    let port = free_port();
    let rotel = start(path, owner, dir.path(), port)?;
    let requests = Arc::new(requests);
    let (cpu, engine) = (rotel.cpu_time()?, owner.cpu_time()?);
    let started = Instant::now();
    send(&requests, port).await.with_context(|| rotel.tail())?;
    arrived(owner, requests.items())
        .await
        .with_context(|| rotel.tail())?;
    let took = started.elapsed();
    let (pipeline, insert) = (
        rotel.cpu_time()?.saturating_sub(cpu),
        owner.cpu_time()?.saturating_sub(engine),
    );
    let different = owner
        .number("SELECT uniqExact(SpanId) FROM otel_traces")
        .await?;
    anyhow::ensure!(different == requests.items(), "{different} different spans");
    Ok(Used {
        name: format!("Rotel {}", requests.load.name()),
        items: requests.items(),
        item_bytes: requests.item_bytes(),
        took,
        pipeline,
        insert,
        parts: parts(owner, NAMES[0]).await?,
        merge: merge(owner, &NAMES).await?,
        disk: disk(owner, &NAMES).await?,
        tables: Vec::new(),
        columns: Vec::new(),
        peak: Some(rotel.peak_resident_bytes()?),
    })
}

fn start(path: &Path, owner: &Owner, dir: &Path, port: u16) -> anyhow::Result<Process> {
    let access = owner.access();
    let mut command = Command::new(path);
    command
        .args(["start", "--exporter", "clickhouse"])
        .arg(format!("--otlp-http-endpoint=127.0.0.1:{port}"))
        .arg(format!("--otlp-grpc-endpoint=127.0.0.1:{}", free_port()))
        .arg(format!("--clickhouse-exporter-endpoint={}", access.url))
        .arg(format!(
            "--clickhouse-exporter-database={}",
            access.database
        ))
        .args(["--clickhouse-exporter-compression", "none"])
        .args(["--clickhouse-exporter-async-insert", "false"])
        .arg(format!("--traces-batch-max-size={INSERT_ROWS}"))
        .args(["--traces-batch-timeout", "1s"])
        .env("ROTEL_CLICKHOUSE_EXPORTER_USER", access.user)
        .env("ROTEL_CLICKHOUSE_EXPORTER_PASSWORD", access.password);
    let mut rotel = Process::start("rotel", &mut command, &dir.join("rotel.log"))?;
    let up = wait_until(Duration::from_secs(30), "Rotel answers", || {
        anyhow::ensure!(rotel.is_running(), "it has ended");
        // Any HTTP answer will do: a GET is not what the path is for.
        Ok(get(&format!("http://127.0.0.1:{port}/v1/traces"))?.0 > 0)
    });
    up.with_context(|| rotel.tail())?;
    Ok(rotel)
}

/// Everything, through as many closed loops as ours.
async fn send(requests: &Arc<Requests>, port: u16) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let senders = (0..SENDERS).map(|_| {
        let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
        tokio::spawn(async move {
            let client = http::client();
            let url = format!("http://127.0.0.1:{port}/v1/traces");
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= requests.count {
                    return anyhow::Ok(());
                }
                let request = client
                    .post(&url)
                    .header("content-type", "application/x-protobuf")
                    .body(requests.body(number));
                let response = request.send().await?;
                let status = response.status();
                let words = response.bytes().await?;
                anyhow::ensure!(
                    status == 200,
                    "Rotel said {status}: {}",
                    String::from_utf8_lossy(&words)
                );
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await??;
    }
    Ok(())
}

/// Waits until as many spans as were sent are there, or no more come.
async fn arrived(owner: &Owner, expected: u64) -> anyhow::Result<()> {
    let mut last = (0, Instant::now());
    loop {
        let rows = owner.number("SELECT count() FROM otel_traces").await?;
        if rows >= expected {
            return Ok(());
        }
        if rows > last.0 {
            last = (rows, Instant::now());
        }
        anyhow::ensure!(
            last.1.elapsed() < Duration::from_secs(60),
            "{rows} of {expected} rows, and no more come"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
