//! Requests to process, and decoding what came out.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message;

pub(crate) fn text(value: &str) -> Value {
    Value::StringValue(value.into())
}

pub(crate) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(crate) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

pub(crate) fn map(pairs: Vec<KeyValue>) -> Value {
    Value::KvlistValue(KeyValueList { values: pairs })
}

pub(crate) fn array(values: Vec<Value>) -> Value {
    Value::ArrayValue(ArrayValue {
        values: values.into_iter().map(any).collect(),
    })
}

fn resource(attributes: Vec<KeyValue>) -> Option<Resource> {
    Some(Resource {
        attributes,
        ..Resource::default()
    })
}

fn scope(attributes: Vec<KeyValue>) -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "lib".into(),
        attributes,
        ..InstrumentationScope::default()
    })
}

/// The same attributes wherever a traces request can have them, and a text wherever it can.
pub(crate) fn traces(attributes: &[KeyValue], said: &str) -> Batch {
    let attributes = || attributes.to_vec();
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(attributes()),
            scope_spans: vec![ScopeSpans {
                scope: scope(attributes()),
                spans: vec![Span {
                    trace_id: vec![1; 16],
                    span_id: vec![2; 8],
                    name: format!("GET {said}"),
                    attributes: attributes(),
                    events: vec![Event {
                        name: "exception".into(),
                        attributes: attributes(),
                        ..Event::default()
                    }],
                    links: vec![Link {
                        attributes: attributes(),
                        ..Link::default()
                    }],
                    status: Some(Status {
                        message: format!("failed: {said}"),
                        code: 2,
                    }),
                    ..Span::default()
                }],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    batch(Signal::Traces, &request)
}

pub(crate) fn logs(attributes: &[KeyValue], body: Value) -> Batch {
    let attributes = || attributes.to_vec();
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(attributes()),
            scope_logs: vec![ScopeLogs {
                scope: scope(attributes()),
                log_records: vec![LogRecord {
                    body: Some(any(body)),
                    attributes: attributes(),
                    ..LogRecord::default()
                }],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    batch(Signal::Logs, &request)
}

pub(crate) fn metrics(attributes: &[KeyValue]) -> Batch {
    let attributes = || attributes.to_vec();
    let exemplars = || {
        vec![Exemplar {
            filtered_attributes: attributes(),
            ..Exemplar::default()
        }]
    };
    let metric = |name: &str, data| Metric {
        name: name.into(),
        metadata: attributes(),
        data: Some(data),
        ..Metric::default()
    };
    let gauge = Data::Gauge(Gauge {
        data_points: vec![NumberDataPoint {
            attributes: attributes(),
            exemplars: exemplars(),
            ..NumberDataPoint::default()
        }],
    });
    let histogram = Data::Histogram(Histogram {
        data_points: vec![HistogramDataPoint {
            attributes: attributes(),
            exemplars: exemplars(),
            count: 1,
            ..HistogramDataPoint::default()
        }],
        ..Histogram::default()
    });
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(attributes()),
            scope_metrics: vec![ScopeMetrics {
                scope: scope(attributes()),
                metrics: vec![metric("g", gauge), metric("h", histogram)],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    batch(Signal::Metrics, &request)
}

/// Spans that each have one attribute `secret`.
pub(crate) fn secrets(values: impl Iterator<Item = String>) -> Batch {
    let span = |value: String| Span {
        name: "span".into(),
        attributes: vec![pair("secret", text(&value))],
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: values.map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    batch(Signal::Traces, &request)
}

pub(crate) fn batch(signal: Signal, request: &impl Message) -> Batch {
    Batch::from_protobuf(signal, request.encode_to_vec().into(), &Limits::default()).unwrap()
}

/// As text for assertions: Debug of prost shows every value.
pub(crate) fn decoded(batch: &Batch) -> String {
    let bytes = batch.bytes().clone();
    match batch.signal() {
        Signal::Traces => format!("{:?}", ExportTraceServiceRequest::decode(bytes).unwrap()),
        Signal::Logs => format!("{:?}", ExportLogsServiceRequest::decode(bytes).unwrap()),
        Signal::Metrics => format!("{:?}", ExportMetricsServiceRequest::decode(bytes).unwrap()),
    }
}

pub(crate) fn contains(batch: &Batch, needle: &str) -> bool {
    let bytes = batch.bytes();
    bytes
        .windows(needle.len())
        .any(|part| part == needle.as_bytes())
}
