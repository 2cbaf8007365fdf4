//! Telemetry for the store: fresh ids, times and parameters, from twenty services.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value as AnyKind,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric::Data, number_data_point::Value as Number,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span::Event, status::StatusCode,
};
use petrel_wire::Signal;
use prost::Message as _;

use crate::telemetry::{Ids, attribute};

/// Services that send.
pub const SERVICES: u64 = 20;
/// Series of one service.
const SERIES: u64 = 100;
/// Spans of one trace.
const PER_TRACE: u64 = 8;
const SECOND: u64 = 1_000_000_000;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// About 420 bytes each.
    Spans,
    /// About 1 KB each with their share of the resource: 14 resource attributes, 12 of the span, an
    /// event on every fifth.
    LargeSpans,
    /// Lines of text in a trace.
    Logs,
    /// Cumulative counters, every 15 seconds.
    Points,
}

impl Load {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Spans, Self::LargeSpans, Self::Logs, Self::Points];

    /// What it is called on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::LargeSpans => "large-spans",
            Self::Logs => "logs",
            Self::Points => "points",
        }
    }

    /// The signal of its requests.
    pub fn signal(self) -> Signal {
        match self {
            Self::Spans | Self::LargeSpans => Signal::Traces,
            Self::Logs => Signal::Logs,
            Self::Points => Signal::Metrics,
        }
    }

    /// What an agent puts into one batch: about 256 KiB.
    pub fn per_request(self) -> u64 {
        match self {
            Self::Spans => 600,
            Self::LargeSpans => 300,
            Self::Logs => 800,
            Self::Points => 1_000,
        }
    }

    /// Request `number` of a run that begins at `start` (Unix nanoseconds), encoded.
    pub fn request(self, number: u64, items: u64, start: u64) -> Vec<u8> {
        let mut ids = Ids::seeded(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xA5);
        let service = number % SERVICES;
        // A request is what came in about a second; services take turns.
        let now = start + number / SERVICES * SECOND;
        match self {
            Self::Spans | Self::LargeSpans => {
                let large = self == Self::LargeSpans;
                let mut trace = ids.trace();
                let spans = (0..items).map(|item| {
                    if item % PER_TRACE == 0 {
                        trace = ids.trace();
                    }
                    span(&mut ids, trace, now, large)
                });
                ExportTraceServiceRequest {
                    resource_spans: vec![ResourceSpans {
                        scope_spans: vec![ScopeSpans {
                            scope: scope(),
                            spans: spans.collect(),
                            ..Default::default()
                        }],
                        resource: resource(service, if large { 14 } else { 3 }),
                        ..Default::default()
                    }],
                }
                .encode_to_vec()
            }
            Self::Logs => {
                let log_records = (0..items).map(|_| log(&mut ids, now)).collect();
                ExportLogsServiceRequest {
                    resource_logs: vec![ResourceLogs {
                        scope_logs: vec![ScopeLogs {
                            scope: scope(),
                            log_records,
                            ..Default::default()
                        }],
                        resource: resource(service, 6),
                        ..Default::default()
                    }],
                }
                .encode_to_vec()
            }
            Self::Points => points(&mut ids, number, items, start),
        }
    }
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "io.opentelemetry.tomcat-10.0".to_owned(),
        version: "2.9.0-alpha".to_owned(),
        ..Default::default()
    })
}

fn resource(service: u64, attributes: usize) -> Option<Resource> {
    let mut all = vec![attribute("service.name", format!("service-{service:02}"))];
    for (key, value) in [
        ("service.version", "2.4.1".to_owned()),
        ("host.name", format!("till-{service}")),
        ("service.namespace", "shop".to_owned()),
        ("deployment.environment.name", "production".to_owned()),
        (
            "k8s.pod.name",
            format!("service-{service:02}-6d4cf56db6-x7k2p"),
        ),
        ("k8s.namespace.name", "shop".to_owned()),
        ("k8s.node.name", "node-3.eu-central-1.internal".to_owned()),
        ("k8s.cluster.name", "eu-1".to_owned()),
        ("cloud.provider", "aws".to_owned()),
        ("cloud.region", "eu-central-1".to_owned()),
        ("container.id", format!("{service:064x}")),
        ("telemetry.sdk.language", "java".to_owned()),
        ("telemetry.sdk.name", "opentelemetry".to_owned()),
    ] {
        all.push(attribute(key, value));
    }
    all.truncate(attributes);
    Some(Resource {
        attributes: all,
        ..Default::default()
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn span(ids: &mut Ids, trace: [u8; 16], now: u64, large: bool) -> Span {
    let start = now + ids.below(SECOND);
    let order = ids.below(1_000_000);
    let operation = ids.below(15);
    let failed = ids.below(50) == 0;
    let mut attributes = vec![
        attribute("http.request.method", "GET"),
        attribute("http.route", format!("/orders/{{id}}/part-{operation}")),
        attribute("url.path", format!("/orders/{order}/part-{operation}")),
        attribute(
            "http.response.status_code",
            if failed { 500_i64 } else { 200 },
        ),
        attribute("server.address", "orders.shop.internal"),
        attribute(
            "client.address",
            format!("10.{}.{}.{}", order % 200, order % 251, order % 253),
        ),
        attribute(
            "user_agent.original",
            "Mozilla/5.0 (X11; Linux x86_64) Till/4.1",
        ),
        attribute("order.total", signed(order % 10_000)),
    ];
    if large {
        attributes.extend([
            attribute("network.protocol.version", "1.1"),
            attribute("enduser.id", format!("customer-{}", order % 50_000)),
            attribute(
                "url.query",
                format!("session={:016x}&page={}", ids.number(), order % 40),
            ),
            attribute("thread.name", format!("http-nio-8080-exec-{}", order % 64)),
        ]);
    }
    let events = if large && ids.below(5) == 0 {
        vec![Event {
            time_unix_nano: start + 1_000_000,
            name: "exception".to_owned(),
            attributes: vec![
                attribute("exception.type", "java.net.SocketTimeoutException"),
                attribute("exception.message", format!("no answer from till {order}")),
            ],
            ..Default::default()
        }]
    } else {
        Vec::new()
    };
    Span {
        trace_id: trace.to_vec(),
        span_id: ids.span().to_vec(),
        parent_span_id: ids.span().to_vec(),
        name: format!("GET /orders/{{id}}/part-{operation}"),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 1_000_000 + ids.below(50_000_000),
        attributes,
        events,
        status: failed.then(|| Status {
            code: StatusCode::Error.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn log(ids: &mut Ids, now: u64) -> LogRecord {
    let at = now + ids.below(SECOND);
    let order = ids.below(1_000_000);
    LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at + 1_000,
        severity_number: if order.is_multiple_of(50) { 17 } else { 9 },
        severity_text: if order.is_multiple_of(50) {
            "ERROR"
        } else {
            "INFO"
        }
        .to_owned(),
        body: Some(AnyValue {
            value: Some(AnyKind::StringValue(format!(
                "order {order} of customer {} was handed to till {} in {} ms ({:016x})",
                order % 50_000,
                order % 64,
                order % 977,
                ids.number()
            ))),
        }),
        attributes: vec![
            attribute("code.function.name", "shop.orders.Handler.handOver"),
            attribute("thread.name", format!("worker-{}", order % 16)),
            attribute("order.total", signed(order % 10_000)),
        ],
        trace_id: ids.trace().to_vec(),
        span_id: ids.span().to_vec(),
        ..Default::default()
    }
}

/// A step of 15 seconds for every series of one service.
fn points(ids: &mut Ids, number: u64, items: u64, start: u64) -> Vec<u8> {
    let (service, round) = (number % SERVICES, number / SERVICES);
    let steps = items / SERIES;
    let metric = |metric: u64| {
        let data_points = (0..10)
            .flat_map(|series| (0..steps).map(move |step| (series, round * steps + step)))
            .map(|(series, step)| point(ids, series, step, start))
            .collect();
        Metric {
            name: format!("shop.requests.part_{metric}"),
            unit: "{request}".to_owned(),
            data: Some(Data::Sum(Sum {
                data_points,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            })),
            ..Default::default()
        }
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                scope: scope(),
                metrics: (0..SERIES / 10).map(metric).collect(),
                ..Default::default()
            }],
            resource: resource(service, 10),
            ..Default::default()
        }],
    }
    .encode_to_vec()
}

fn point(ids: &mut Ids, series: u64, step: u64, start: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![
            attribute("http.request.method", "GET"),
            attribute("http.route", format!("/orders/{{id}}/part-{series}")),
            attribute("http.response.status_code", 200_i64),
            attribute("server.port", signed(8000 + series)),
        ],
        start_time_unix_nano: start,
        time_unix_nano: start + (step + 1) * 15 * SECOND,
        value: Some(Number::AsInt(signed((step + 1) * 40 + ids.below(40)))),
        ..Default::default()
    }
}

/// Attributes as text, as a naive exporter writes them.
pub fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(AnyKind::StringValue(text)) => text.clone(),
        Some(AnyKind::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

/// Nothing but what [`attribute`] makes.
pub type Pairs = [KeyValue];
