//! The measured batch: ten attributes a span, eight of them strings, as HTTP servers send them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: String) -> KeyValue {
    pair(key, Value::StringValue(value))
}

/// A number without pattern from one with: ids that samplers can tell apart.
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 31))
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn span(n: usize) -> Span {
    let id = mixed(n as u64);
    Span {
        trace_id: [mixed(id).to_be_bytes(), id.to_be_bytes()].concat(),
        span_id: id.to_be_bytes().to_vec(),
        name: format!("GET /api/items/{}", n % 20),
        kind: 2,
        start_time_unix_nano: 1_732_150_000_000_000_000,
        end_time_unix_nano: 1_732_150_000_000_900_000,
        attributes: vec![
            text("http.request.method", "GET".into()),
            text("url.path", format!("/api/items/{}", n % 200)),
            text("user.email", format!("user{}@example.com", n % 300)),
            text("server.address", "shop.example.internal".into()),
            text("client.address", format!("10.0.{}.{}", n % 8, n % 250)),
            text(
                "user_agent.original",
                "Mozilla/5.0 (X11; Linux x86_64)".into(),
            ),
            text("session.token", format!("tok-{n:016x}")),
            text("enduser.id", format!("u-{}", n % 300)),
            pair("http.response.status_code", Value::IntValue(200)),
            pair("server.port", Value::IntValue(8080)),
        ],
        ..Span::default()
    }
}

pub(crate) fn batch(spans: usize) -> Batch {
    request((0..spans).map(span).collect())
}

/// What a shop's entry sends, with nothing in it that anybody would hide.
pub(crate) fn orders(spans: usize) -> Batch {
    let order = |n: usize| {
        let id = mixed(n as u64) % 1_000_000;
        Span {
            name: "GET /orders/{id}".into(),
            attributes: vec![
                text("http.request.method", "GET".into()),
                text("http.route", "/orders/{id}".into()),
                text("url.path", format!("/orders/{id}")),
                pair("http.response.status_code", Value::IntValue(200)),
                text("server.address", "orders.shop.internal".into()),
                text(
                    "client.address",
                    format!("10.{}.{}.{}", id % 200, id % 251, id % 253),
                ),
                text(
                    "user_agent.original",
                    "Mozilla/5.0 (X11; Linux x86_64) Till/4.1".into(),
                ),
                pair("order.total", Value::IntValue(4711)),
            ],
            ..span(n)
        }
    };
    request((0..spans).map(order).collect())
}

fn request(spans: Vec<Span>) -> Batch {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "shop".into())],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    Batch::from_protobuf(Signal::Traces, bytes, &Limits::default()).expect("a valid request")
}

/// What a processor in native code would do to these keys.
pub(crate) fn hide(request: &mut ExportTraceServiceRequest, keys: &[&str]) {
    let scopes = request
        .resource_spans
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_spans);
    for span in scopes.flat_map(|scope| &mut scope.spans) {
        for pair in &mut span.attributes {
            if keys.contains(&pair.key.as_str()) {
                let value = Some(Value::StringValue("[redacted]".into()));
                pair.value = Some(AnyValue { value });
            }
        }
    }
}
