//! Requests as an SDK would send them, built from the published protos.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use prost::Message as _;

/// Random-looking ids that a seed reproduces (xorshift64*).
#[derive(Debug)]
pub struct Ids(u64);

impl Ids {
    /// The same seed gives the same ids.
    pub fn seeded(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    /// A trace id.
    pub fn trace(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.number().to_be_bytes());
        id[8..].copy_from_slice(&self.number().to_be_bytes());
        id
    }

    /// A span id.
    pub fn span(&mut self) -> [u8; 8] {
        self.number().to_be_bytes()
    }
}

/// What sends: a service and where it runs.
#[derive(Clone, Debug)]
pub struct Resource(Vec<KeyValue>);

impl Resource {
    /// A resource with `service.name`.
    pub fn new(service: &str) -> Self {
        Self(vec![attribute("service.name", service)])
    }

    /// And one attribute more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Value) -> Self {
        self.0.push(attribute(key, value));
        self
    }

    fn proto(&self) -> ProtoResource {
        ProtoResource {
            attributes: self.0.clone(),
            ..Default::default()
        }
    }
}

/// What an attribute can hold in tests.
pub trait Value {
    /// As the proto has it.
    fn any(self) -> any_value::Value;
}

impl Value for &str {
    fn any(self) -> any_value::Value {
        any_value::Value::StringValue(self.to_owned())
    }
}

impl Value for String {
    fn any(self) -> any_value::Value {
        any_value::Value::StringValue(self)
    }
}

impl Value for i64 {
    fn any(self) -> any_value::Value {
        any_value::Value::IntValue(self)
    }
}

/// One attribute.
pub fn attribute(key: &str, value: impl Value) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(value.any()),
    });
    KeyValue {
        key: key.to_owned(),
        value,
        ..Default::default()
    }
}

/// A span in the making.
#[derive(Clone, Debug)]
pub struct SpanDraft(trace::Span);

impl SpanDraft {
    fn new(ids: &mut Ids, trace: [u8; 16], name: &str, kind: trace::span::SpanKind) -> Self {
        Self(trace::Span {
            trace_id: trace.to_vec(),
            span_id: ids.span().to_vec(),
            name: name.to_owned(),
            kind: kind.into(),
            ..Default::default()
        })
    }

    /// The entry of a trace.
    pub fn server(ids: &mut Ids, trace: [u8; 16], name: &str) -> Self {
        Self::new(ids, trace, name, trace::span::SpanKind::Server)
    }

    /// The other end of a call.
    pub fn server_under(ids: &mut Ids, trace: [u8; 16], parent: [u8; 8], name: &str) -> Self {
        Self::server(ids, trace, name).under(parent)
    }

    /// An outgoing call.
    pub fn client(ids: &mut Ids, trace: [u8; 16], parent: [u8; 8], name: &str) -> Self {
        Self::new(ids, trace, name, trace::span::SpanKind::Client).under(parent)
    }

    fn under(mut self, parent: [u8; 8]) -> Self {
        self.0.parent_span_id = parent.to_vec();
        self
    }

    /// Its id.
    ///
    /// # Panics
    /// Never: drafts are made with eight bytes.
    pub fn id(&self) -> [u8; 8] {
        self.0
            .span_id
            .as_slice()
            .try_into()
            .expect("a draft has an id of eight bytes")
    }

    /// From `start`, for `took`, in nanoseconds.
    #[must_use]
    pub fn lasting(mut self, start: u64, took: u64) -> Self {
        self.0.start_time_unix_nano = start;
        self.0.end_time_unix_nano = start + took;
        self
    }

    /// With an attribute.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Value) -> Self {
        self.0.attributes.push(attribute(key, value));
        self
    }

    /// With an error status.
    #[must_use]
    pub fn failed(mut self, message: &str) -> Self {
        let code = trace::status::StatusCode::Error.into();
        self.0.status = Some(trace::Status {
            message: message.to_owned(),
            code,
        });
        self
    }

    /// With an `exception` event.
    #[must_use]
    pub fn exception(mut self, at: u64, kind: &str, message: &str, stack: &str) -> Self {
        self.0.events.push(trace::span::Event {
            time_unix_nano: at,
            name: "exception".to_owned(),
            attributes: vec![
                attribute("exception.type", kind),
                attribute("exception.message", message),
                attribute("exception.stacktrace", stack),
            ],
            ..Default::default()
        });
        self
    }
}

fn scope() -> InstrumentationScope {
    let (name, version) = ("petrel.tests".to_owned(), "1".to_owned());
    InstrumentationScope {
        name,
        version,
        ..Default::default()
    }
}

/// An encoded `ExportTraceServiceRequest`.
pub fn traces_request(groups: &[(Resource, Vec<SpanDraft>)]) -> Vec<u8> {
    let resource_spans = groups.iter().filter(|(_, spans)| !spans.is_empty());
    let resource_spans = resource_spans.map(|(resource, spans)| trace::ResourceSpans {
        resource: Some(resource.proto()),
        scope_spans: vec![trace::ScopeSpans {
            scope: Some(scope()),
            spans: spans.iter().map(|draft| draft.0.clone()).collect(),
            ..Default::default()
        }],
        ..Default::default()
    });
    ExportTraceServiceRequest {
        resource_spans: resource_spans.collect(),
    }
    .encode_to_vec()
}

/// A log record inside a span.
#[derive(Clone, Debug)]
pub struct Log {
    /// When.
    pub at: u64,
    /// OpenTelemetry's severity number.
    pub severity: i32,
    /// The text.
    pub body: String,
    /// The trace it belongs to.
    pub trace: [u8; 16],
    /// The span it belongs to.
    pub span: [u8; 8],
}

/// An encoded `ExportLogsServiceRequest`.
pub fn logs_request(resource: &Resource, logs: &[Log]) -> Vec<u8> {
    let record = |log: &Log| LogRecord {
        time_unix_nano: log.at,
        observed_time_unix_nano: log.at,
        severity_number: log.severity,
        severity_text: match log.severity {
            17.. => "ERROR",
            13.. => "WARN",
            _ => "INFO",
        }
        .to_owned(),
        body: Some(AnyValue {
            value: Some(log.body.as_str().any()),
        }),
        trace_id: log.trace.to_vec(),
        span_id: log.span.to_vec(),
        ..Default::default()
    };
    let log_records = logs.iter().map(record).collect();
    let scope_logs = vec![ScopeLogs {
        scope: Some(scope()),
        log_records,
        ..Default::default()
    }];
    let resource = Some(resource.proto());
    let resource_logs = vec![ResourceLogs {
        resource,
        scope_logs,
        ..Default::default()
    }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn metric(name: &str, unit: &str, data: metrics::metric::Data) -> metrics::Metric {
    let (name, unit, data) = (name.to_owned(), unit.to_owned(), Some(data));
    metrics::Metric {
        name,
        unit,
        data,
        ..Default::default()
    }
}

fn number(
    attributes: Vec<KeyValue>,
    (start, time): (u64, u64),
    value: metrics::number_data_point::Value,
) -> metrics::NumberDataPoint {
    metrics::NumberDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(value),
        ..Default::default()
    }
}

/// A cumulative monotonic sum with one point per value of the attribute `result`.
///
/// # Panics
/// If a value does not fit into 63 bits.
pub fn counter(
    name: &str,
    unit: &str,
    over: (u64, u64),
    values: &[(&str, u64)],
) -> metrics::Metric {
    let point = |(result, value): &(&str, u64)| {
        let value = i64::try_from(*value).expect("a small count");
        let value = metrics::number_data_point::Value::AsInt(value);
        number(vec![attribute("result", *result)], over, value)
    };
    let data = metrics::metric::Data::Sum(metrics::Sum {
        data_points: values.iter().map(point).collect(),
        aggregation_temporality: metrics::AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    });
    metric(name, unit, data)
}

/// A gauge with a point for each of these attribute sets.
pub fn gauge_of(name: &str, at: u64, points: Vec<Vec<KeyValue>>) -> metrics::Metric {
    let value = metrics::number_data_point::Value::AsInt(1);
    let points = points.into_iter().map(|own| number(own, (0, at), value));
    let data_points = points.collect();
    let data = metrics::metric::Data::Gauge(metrics::Gauge { data_points });
    metric(name, "1", data)
}

/// A gauge with one point.
pub fn gauge(name: &str, unit: &str, at: u64, value: f64) -> metrics::Metric {
    let point = number(
        Vec::new(),
        (0, at),
        metrics::number_data_point::Value::AsDouble(value),
    );
    metric(
        name,
        unit,
        metrics::metric::Data::Gauge(metrics::Gauge {
            data_points: vec![point],
        }),
    )
}

/// A delta histogram over `values`.
pub fn histogram(
    name: &str,
    unit: &str,
    (start, time): (u64, u64),
    bounds: &[f64],
    values: &[f64],
) -> metrics::Metric {
    let mut bucket_counts = vec![0; bounds.len() + 1];
    for value in values {
        bucket_counts[bounds.partition_point(|bound| bound < value)] += 1;
    }
    let point = metrics::HistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: values.len() as u64,
        sum: Some(values.iter().sum()),
        min: values.iter().copied().reduce(f64::min),
        max: values.iter().copied().reduce(f64::max),
        bucket_counts,
        explicit_bounds: bounds.to_vec(),
        ..Default::default()
    };
    let data = metrics::metric::Data::Histogram(metrics::Histogram {
        data_points: vec![point],
        aggregation_temporality: metrics::AggregationTemporality::Delta.into(),
    });
    metric(name, unit, data)
}

/// An encoded `ExportMetricsServiceRequest`.
pub fn metrics_request(resource: &Resource, metrics: Vec<metrics::Metric>) -> Vec<u8> {
    let scope_metrics = vec![metrics::ScopeMetrics {
        scope: Some(scope()),
        metrics,
        ..Default::default()
    }];
    let resource = Some(resource.proto());
    let resource_metrics = vec![metrics::ResourceMetrics {
        resource,
        scope_metrics,
        ..Default::default()
    }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}
