//! What most exporters do: protobuf to objects, objects to `RowBinary`, attributes as maps with
//! bloom filters (the tables of the Collector's ClickHouse exporter), here with large inserts.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use petrel_tests::draft::{Load, Pairs, text};
use petrel_tests::process::cpu_time_of;
use prost::Message as _;

use crate::engine::Owner;
use crate::ingest::{Requests, Used};
use crate::storage::{disk, merge, parts};

/// Rows of an insert: as many as ours.
pub(crate) const INSERT_ROWS: u64 = 65_536;

const TABLE: &str = "
CREATE TABLE otel_traces
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
    EventTimes Array(DateTime64(9)) CODEC(ZSTD(1)),
    EventNames Array(LowCardinality(String)) CODEC(ZSTD(1)),
    EventAttributes Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS ttl_only_drop_parts = 1";

const INSERT: &str = "INSERT INTO otel_traces FORMAT RowBinary";

/// The same requests, zstd as agents send them, into the same engine.
pub(crate) async fn measure(
    owner: &Owner,
    load: Load,
    requests: &Requests,
) -> anyhow::Result<Used> {
    owner.run(TABLE, Vec::new()).await?;
    owner.run("SYSTEM STOP MERGES", Vec::new()).await?;
    let engine = owner.cpu_time()?;
    let started = Instant::now();
    let mut pipeline = Duration::ZERO;
    let (mut rows, mut bytes) = (0, Vec::new());
    for number in 0..requests.count {
        let sealed = requests.sealed(number)?;
        let before = cpu_time_of("/proc/thread-self")?;
        let body = petrel_wire::unpack_zstd(sealed.body(), 64 << 20)?;
        encode(&ExportTraceServiceRequest::decode(&body[..])?, &mut bytes);
        pipeline += cpu_time_of("/proc/thread-self")?.saturating_sub(before);
        rows += load.per_request();
        if rows >= INSERT_ROWS || number + 1 == requests.count {
            owner.run(INSERT, std::mem::take(&mut bytes)).await?;
            rows = 0;
        }
    }
    let took = started.elapsed();
    let stored = owner.number("SELECT count() FROM otel_traces").await?;
    anyhow::ensure!(stored == requests.items(), "{stored} rows");
    let insert = owner.cpu_time()?.saturating_sub(engine);
    Ok(Used {
        name: format!("RowBinary {}", load.name()),
        items: requests.items(),
        item_bytes: requests.body(0).len() as u64 / load.per_request(),
        took,
        pipeline,
        insert,
        parts: parts(owner, "otel_traces").await?,
        merge: merge(owner, &["otel_traces"]).await?,
        disk: disk(owner, &["otel_traces"]).await?,
        tables: Vec::new(),
        columns: Vec::new(),
        peak: None,
    })
}

fn encode(request: &ExportTraceServiceRequest, out: &mut Vec<u8>) {
    for of_resource in &request.resource_spans {
        let resource = of_resource.resource.as_ref();
        let resource = resource.map_or(&[][..], |resource| &resource.attributes);
        let service = resource.iter().find(|pair| pair.key == "service.name");
        let service = service.map(|pair| text(pair.value.as_ref()));
        for of_scope in &of_resource.scope_spans {
            let scope = of_scope.scope.as_ref();
            let scope = scope.map_or(("", ""), |scope| (&*scope.name, &*scope.version));
            for span in &of_scope.spans {
                row(span, resource, service.as_deref().unwrap_or(""), scope, out);
            }
        }
    }
}

fn row(
    span: &Span,
    resource: &Pairs,
    service: &str,
    (scope, version): (&str, &str),
    out: &mut Vec<u8>,
) {
    out.extend(span.start_time_unix_nano.to_le_bytes());
    for id in [&span.trace_id, &span.span_id, &span.parent_span_id] {
        put(&hex(id), out);
    }
    put(&span.trace_state, out);
    put(&span.name, out);
    put(&format!("{:?}", span.kind()), out);
    put(service, out);
    put_map(resource, out);
    put(scope, out);
    put(version, out);
    put_map(&span.attributes, out);
    let duration = span
        .end_time_unix_nano
        .saturating_sub(span.start_time_unix_nano);
    out.extend(duration.to_le_bytes());
    let status = span.status.clone().unwrap_or_default();
    put(&format!("{:?}", status.code()), out);
    put(&status.message, out);
    put_length(span.events.len(), out);
    for event in &span.events {
        out.extend(event.time_unix_nano.to_le_bytes());
    }
    put_length(span.events.len(), out);
    for event in &span.events {
        put(&event.name, out);
    }
    put_length(span.events.len(), out);
    for event in &span.events {
        put_map(&event.attributes, out);
    }
}

fn hex(id: &[u8]) -> String {
    use std::fmt::Write as _;
    id.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn put_map(pairs: &Pairs, out: &mut Vec<u8>) {
    put_length(pairs.len(), out);
    for pair in pairs {
        put(&pair.key, out);
        put(&text(pair.value.as_ref()), out);
    }
}

fn put(text: &str, out: &mut Vec<u8>) {
    put_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn put_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}
