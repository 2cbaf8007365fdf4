//! Requests out of random bytes: the same bytes always give the same request, fewer bytes a
//! smaller one, no bytes an empty one.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use petrel_wire::Signal;
use prost::Message as _;

/// Decisions, one byte each; zeros when there are no more.
pub(crate) struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    fn maybe(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn long(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => u64::from(self.byte()),
            2 => 1_700_000_000_000_000_000 + u64::from(self.byte()),
            3 => u64::MAX - u64::from(self.byte()),
            4 => 1 << self.below(64),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn int(&mut self) -> u32 {
        u32::try_from(self.long() & 0xffff_ffff).unwrap()
    }

    fn signed(&mut self) -> i32 {
        self.int().cast_signed()
    }

    fn double(&mut self) -> f64 {
        match self.below(6) {
            0 => 0.0,
            1 => f64::from(self.byte()) / 8.0,
            2 => f64::NAN,
            3 => f64::INFINITY,
            4 => f64::NEG_INFINITY,
            _ => f64::from(self.signed()) * 1e-3,
        }
    }

    fn text(&mut self) -> String {
        match self.below(6) {
            0 => String::new(),
            1 => "service.name".to_owned(),
            2 => "http.request.method".to_owned(),
            3 => "größe 🐦 \"\\\u{0}\u{1f}\n".to_owned(),
            4 => "x".repeat(usize::from(self.byte())),
            _ => char::from(self.byte()).to_string(),
        }
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        match self.below(4) {
            0 => Vec::new(),
            1 => vec![0; length],
            2 => (0..self.below(20)).collect(),
            _ => (0..length).map(|_| self.byte()).collect(),
        }
    }

    fn many<T>(&mut self, bound: u8, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = if self.0.is_empty() {
            0
        } else {
            self.below(bound)
        };
        (0..count).map(|_| make(self)).collect()
    }

    fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.maybe().then(|| make(self))
    }
}

/// An encoded request of the signal.
pub(crate) fn request(signal: Signal, c: &mut Choices<'_>) -> Vec<u8> {
    match signal {
        Signal::Traces => traces(c).encode_to_vec(),
        Signal::Logs => logs(c).encode_to_vec(),
        Signal::Metrics => metrics(c).encode_to_vec(),
    }
}

pub(crate) fn traces(c: &mut Choices<'_>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: c.many(4, |c| ResourceSpans {
            resource: c.option(resource),
            scope_spans: c.many(4, |c| ScopeSpans {
                scope: c.option(scope),
                spans: c.many(5, span),
                schema_url: c.text(),
            }),
            schema_url: c.text(),
        }),
    }
}

pub(crate) fn logs(c: &mut Choices<'_>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: c.many(4, |c| ResourceLogs {
            resource: c.option(resource),
            scope_logs: c.many(4, |c| ScopeLogs {
                scope: c.option(scope),
                log_records: c.many(5, record),
                schema_url: c.text(),
            }),
            schema_url: c.text(),
        }),
    }
}

pub(crate) fn metrics(c: &mut Choices<'_>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: c.many(4, |c| ResourceMetrics {
            resource: c.option(resource),
            scope_metrics: c.many(4, |c| ScopeMetrics {
                scope: c.option(scope),
                metrics: c.many(5, metric),
                schema_url: c.text(),
            }),
            schema_url: c.text(),
        }),
    }
}

fn resource(c: &mut Choices<'_>) -> Resource {
    Resource {
        attributes: attributes(c),
        dropped_attributes_count: c.int(),
        entity_refs: c.many(2, |c| EntityRef {
            schema_url: c.text(),
            r#type: c.text(),
            id_keys: c.many(3, Choices::text),
            description_keys: c.many(3, Choices::text),
        }),
    }
}

fn scope(c: &mut Choices<'_>) -> InstrumentationScope {
    InstrumentationScope {
        name: c.text(),
        version: c.text(),
        attributes: attributes(c),
        dropped_attributes_count: c.int(),
    }
}

fn attributes(c: &mut Choices<'_>) -> Vec<KeyValue> {
    c.many(4, |c| pair(c, 0))
}

fn pair(c: &mut Choices<'_>, depth: u8) -> KeyValue {
    KeyValue {
        key: c.text(),
        value: c.option(|c| value(c, depth)),
        key_strindex: 0,
    }
}

fn value(c: &mut Choices<'_>, depth: u8) -> AnyValue {
    let value = match c.below(if depth < 4 { 8 } else { 6 }) {
        0 => None,
        1 => Some(Value::StringValue(c.text())),
        2 => Some(Value::BoolValue(c.maybe())),
        3 => Some(Value::IntValue(c.long().cast_signed())),
        4 => Some(Value::DoubleValue(c.double())),
        5 => Some(Value::BytesValue(c.id(5))),
        6 => Some(Value::ArrayValue(ArrayValue {
            values: c.many(4, |c| value(c, depth + 1)),
        })),
        _ => Some(Value::KvlistValue(KeyValueList {
            values: c.many(4, |c| pair(c, depth + 1)),
        })),
    };
    AnyValue { value }
}

fn span(c: &mut Choices<'_>) -> Span {
    Span {
        trace_id: c.id(16),
        span_id: c.id(8),
        trace_state: c.text(),
        parent_span_id: c.id(8),
        flags: c.int(),
        name: c.text(),
        kind: i32::from(c.below(7)),
        start_time_unix_nano: c.long(),
        end_time_unix_nano: c.long(),
        attributes: attributes(c),
        dropped_attributes_count: c.int(),
        events: c.many(3, |c| Event {
            time_unix_nano: c.long(),
            name: c.text(),
            attributes: attributes(c),
            dropped_attributes_count: c.int(),
        }),
        dropped_events_count: c.int(),
        links: c.many(3, |c| Link {
            trace_id: c.id(16),
            span_id: c.id(8),
            trace_state: c.text(),
            attributes: attributes(c),
            dropped_attributes_count: c.int(),
            flags: c.int(),
        }),
        dropped_links_count: c.int(),
        status: c.option(|c| Status {
            message: c.text(),
            code: i32::from(c.below(4)),
        }),
    }
}

fn record(c: &mut Choices<'_>) -> LogRecord {
    LogRecord {
        time_unix_nano: c.long(),
        observed_time_unix_nano: c.long(),
        severity_number: i32::from(c.below(26)),
        severity_text: c.text(),
        body: c.option(|c| value(c, 0)),
        attributes: attributes(c),
        dropped_attributes_count: c.int(),
        flags: c.int(),
        trace_id: c.id(16),
        span_id: c.id(8),
        event_name: c.text(),
    }
}

fn metric(c: &mut Choices<'_>) -> Metric {
    let temporality = i32::from(c.below(4));
    let data = match c.below(6) {
        0 => None,
        1 => Some(metric::Data::Gauge(Gauge {
            data_points: c.many(4, number_point),
        })),
        2 => Some(metric::Data::Sum(Sum {
            data_points: c.many(4, number_point),
            aggregation_temporality: temporality,
            is_monotonic: c.maybe(),
        })),
        3 => Some(metric::Data::Histogram(Histogram {
            data_points: c.many(4, histogram_point),
            aggregation_temporality: temporality,
        })),
        4 => Some(metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: c.many(4, exponential_point),
            aggregation_temporality: temporality,
        })),
        _ => Some(metric::Data::Summary(Summary {
            data_points: c.many(4, summary_point),
        })),
    };
    Metric {
        name: c.text(),
        description: c.text(),
        unit: c.text(),
        metadata: attributes(c),
        data,
    }
}

fn number_point(c: &mut Choices<'_>) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(c),
        start_time_unix_nano: c.long(),
        time_unix_nano: c.long(),
        exemplars: c.many(3, sample),
        flags: c.int(),
        value: match c.below(3) {
            0 => None,
            1 => Some(number_data_point::Value::AsDouble(c.double())),
            _ => Some(number_data_point::Value::AsInt(c.long().cast_signed())),
        },
    }
}

fn sample(c: &mut Choices<'_>) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(c),
        time_unix_nano: c.long(),
        span_id: c.id(8),
        trace_id: c.id(16),
        value: match c.below(3) {
            0 => None,
            1 => Some(exemplar::Value::AsDouble(c.double())),
            _ => Some(exemplar::Value::AsInt(c.long().cast_signed())),
        },
    }
}

fn histogram_point(c: &mut Choices<'_>) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(c),
        start_time_unix_nano: c.long(),
        time_unix_nano: c.long(),
        count: c.long(),
        sum: c.option(Choices::double),
        bucket_counts: c.many(6, Choices::long),
        explicit_bounds: c.many(5, Choices::double),
        exemplars: c.many(3, sample),
        flags: c.int(),
        min: c.option(Choices::double),
        max: c.option(Choices::double),
    }
}

fn exponential_point(c: &mut Choices<'_>) -> ExponentialHistogramDataPoint {
    let buckets = |c: &mut Choices<'_>| Buckets {
        offset: c.signed(),
        bucket_counts: c.many(5, Choices::long),
    };
    ExponentialHistogramDataPoint {
        attributes: attributes(c),
        start_time_unix_nano: c.long(),
        time_unix_nano: c.long(),
        count: c.long(),
        sum: c.option(Choices::double),
        scale: c.signed(),
        zero_count: c.long(),
        positive: c.option(buckets),
        negative: c.option(buckets),
        flags: c.int(),
        exemplars: c.many(3, sample),
        min: c.option(Choices::double),
        max: c.option(Choices::double),
        zero_threshold: c.double(),
    }
}

fn summary_point(c: &mut Choices<'_>) -> SummaryDataPoint {
    SummaryDataPoint {
        attributes: attributes(c),
        start_time_unix_nano: c.long(),
        time_unix_nano: c.long(),
        count: c.long(),
        sum: c.double(),
        quantile_values: c.many(4, |c| ValueAtQuantile {
            quantile: c.double(),
            value: c.double(),
        }),
        flags: c.int(),
    }
}
