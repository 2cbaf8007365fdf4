//! What a processor costs: nanoseconds a span, projection, call and splices included.
//!
//! `cargo bench -p petrel-plugin-host`; needs `target/plugins/redact.wasm`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use petrel_plugin_host::{Chain, ProcessorConfig, Verdict};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;
use serde_json::json;

const SPANS: usize = 1_000;

fn pair(key: &str, value: String) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value)),
        }),
        ..KeyValue::default()
    }
}

/// Ten attributes a span, eight of them strings, as HTTP servers send them.
fn spans() -> Batch {
    let int = |key: &str, value| KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::IntValue(value)),
        }),
        ..KeyValue::default()
    };
    let span = |n: usize| Span {
        trace_id: vec![7; 16],
        span_id: n.to_be_bytes().to_vec(),
        name: format!("GET /api/items/{}", n % 20),
        start_time_unix_nano: 1_732_150_000_000_000_000,
        end_time_unix_nano: 1_732_150_000_000_900_000,
        attributes: vec![
            pair("http.request.method", "GET".into()),
            pair("url.path", format!("/api/items/{}", n % 200)),
            pair("user.email", format!("user{}@example.com", n % 300)),
            pair("server.address", "shop.example.internal".into()),
            pair("client.address", format!("10.0.{}.{}", n % 8, n % 250)),
            pair(
                "user_agent.original",
                "Mozilla/5.0 (X11; Linux x86_64)".into(),
            ),
            pair("session.token", format!("tok-{n:016x}")),
            pair("enduser.id", format!("u-{}", n % 300)),
            int("http.response.status_code", 200),
            int("server.port", 8080),
        ],
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![pair("service.name", "shop".into())],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: (0..SPANS).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    Batch::from_protobuf(Signal::Traces, bytes, &Limits::default()).expect("a valid request")
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    let plugin = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/plugins/redact.wasm"
    ));
    // `cargo test` runs it, too, once and quickly.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        400
    } else {
        1
    };
    let cases = [
        (
            "pass-through (no key present)",
            json!({"keys": ["none"], "patterns": []}),
        ),
        (
            "three keys",
            json!({"keys": ["user.email", "session.token", "enduser.id"], "patterns": []}),
        ),
        ("default keys and patterns", json!({})),
        (
            "every string",
            json!({"keys": [], "patterns": [{"regex": "(?s).+"}]}),
        ),
    ];
    let batch = spans();
    println!("{SPANS} spans of {} bytes", batch.bytes().len() / SPANS);
    let check = per_span(rounds, || {
        let bytes = batch.bytes().clone();
        drop(Batch::from_protobuf(
            Signal::Traces,
            bytes,
            &Limits::default(),
        ));
    });
    println!("{check:>8.1} ns/span  check alone, for comparison");
    for (name, config) in cases {
        let config = ProcessorConfig {
            name: "redact".into(),
            plugin: plugin.clone(),
            config,
            ..ProcessorConfig::default()
        };
        let chain = Chain::load(&[config], None, Limits::default())
            .expect("run: cargo run -p petrel-cli -- plugin build plugins/redact -o target/plugins/redact.wasm");
        let cost = per_span(rounds, || {
            assert!(matches!(chain.process(batch.clone()), Verdict::Kept { .. }));
        });
        println!("{cost:>8.1} ns/span  {name}");
    }
}

/// The best of several rounds: the machine has other things to do.
fn per_span(rounds: u32, mut run: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let started = Instant::now();
        run();
        best = best.min(started.elapsed());
    }
    best.as_secs_f64() * 1e9 / SPANS as f64
}
