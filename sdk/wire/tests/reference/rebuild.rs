//! Our views back into the reference's types, and the reference brought to the same form.
//!
//! What the views do not tell apart is made equal first: a message that is absent and one that is
//! empty (but where OTLP gives absence a meaning), and indices into dictionaries that only
//! profiles have.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1 as reference;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use petrel_wire::otlp::view::{self, Attributes, MetricData, Number, Temporality, Value};
use petrel_wire::{Batch, Signal};
use prost::{DecodeError, Message as _};

/// What our views show of a batch, encoded again by the reference.
pub(crate) fn from_views(batch: &Batch) -> Vec<u8> {
    match batch.signal() {
        Signal::Traces => traces(batch).encode_to_vec(),
        Signal::Logs => logs(batch).encode_to_vec(),
        Signal::Metrics => metrics(batch).encode_to_vec(),
    }
}

/// What the reference reads in the bytes, in the same form, with the number of items.
pub(crate) fn from_reference(
    signal: Signal,
    bytes: &[u8],
) -> Result<(Vec<u8>, usize), DecodeError> {
    Ok(match signal {
        Signal::Traces => {
            let mut request = ExportTraceServiceRequest::decode(bytes)?;
            let mut items = 0;
            for group in &mut request.resource_spans {
                same_resource(&mut group.resource);
                for scope in &mut group.scope_spans {
                    same_scope(&mut scope.scope);
                    items += scope.spans.len();
                    scope.spans.iter_mut().for_each(same_span);
                }
            }
            (request.encode_to_vec(), items)
        }
        Signal::Logs => {
            let mut request = ExportLogsServiceRequest::decode(bytes)?;
            let mut items = 0;
            for group in &mut request.resource_logs {
                same_resource(&mut group.resource);
                for scope in &mut group.scope_logs {
                    same_scope(&mut scope.scope);
                    items += scope.log_records.len();
                    for record in &mut scope.log_records {
                        same_pairs(&mut record.attributes);
                        record.body.iter_mut().for_each(same_value);
                    }
                }
            }
            (request.encode_to_vec(), items)
        }
        Signal::Metrics => {
            let mut request = ExportMetricsServiceRequest::decode(bytes)?;
            let mut items = 0;
            for group in &mut request.resource_metrics {
                same_resource(&mut group.resource);
                for scope in &mut group.scope_metrics {
                    same_scope(&mut scope.scope);
                    items += scope.metrics.iter_mut().map(same_metric).sum::<usize>();
                }
            }
            (request.encode_to_vec(), items)
        }
    })
}

fn same_resource(resource: &mut Option<Resource>) {
    same_pairs(&mut resource.get_or_insert_default().attributes);
}

fn same_scope(scope: &mut Option<InstrumentationScope>) {
    same_pairs(&mut scope.get_or_insert_default().attributes);
}

fn same_pairs(pairs: &mut [KeyValue]) {
    for pair in pairs {
        pair.key_strindex = 0;
        same_value(pair.value.get_or_insert_default());
    }
}

fn same_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(any_value::Value::StringValueStrindex(_)) => value.value = None,
        Some(any_value::Value::ArrayValue(array)) => array.values.iter_mut().for_each(same_value),
        Some(any_value::Value::KvlistValue(map)) => same_pairs(&mut map.values),
        _ => {}
    }
}

fn same_span(span: &mut Span) {
    span.status.get_or_insert_default();
    same_pairs(&mut span.attributes);
    for event in &mut span.events {
        same_pairs(&mut event.attributes);
    }
    for link in &mut span.links {
        same_pairs(&mut link.attributes);
    }
}

fn same_exemplars(exemplars: &mut [reference::Exemplar]) {
    for exemplar in exemplars {
        same_pairs(&mut exemplar.filtered_attributes);
    }
}

fn same_temporality(code: &mut i32) {
    if !(0..=2).contains(code) {
        *code = 0;
    }
}

fn same_metric(metric: &mut reference::Metric) -> usize {
    use reference::metric::Data;
    same_pairs(&mut metric.metadata);
    let same_numbers = |points: &mut Vec<reference::NumberDataPoint>| {
        for point in &mut *points {
            same_pairs(&mut point.attributes);
            same_exemplars(&mut point.exemplars);
        }
        points.len()
    };
    match &mut metric.data {
        None => 0,
        Some(Data::Gauge(gauge)) => same_numbers(&mut gauge.data_points),
        Some(Data::Sum(sum)) => {
            same_temporality(&mut sum.aggregation_temporality);
            same_numbers(&mut sum.data_points)
        }
        Some(Data::Histogram(histogram)) => {
            same_temporality(&mut histogram.aggregation_temporality);
            for point in &mut histogram.data_points {
                same_pairs(&mut point.attributes);
                same_exemplars(&mut point.exemplars);
            }
            histogram.data_points.len()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            same_temporality(&mut histogram.aggregation_temporality);
            for point in &mut histogram.data_points {
                same_pairs(&mut point.attributes);
                same_exemplars(&mut point.exemplars);
            }
            histogram.data_points.len()
        }
        Some(Data::Summary(summary)) => {
            for point in &mut summary.data_points {
                same_pairs(&mut point.attributes);
            }
            summary.data_points.len()
        }
    }
}

fn traces(batch: &Batch) -> ExportTraceServiceRequest {
    let span = |span: view::Span<'_>| Span {
        trace_id: span.trace_id().to_vec(),
        span_id: span.span_id().to_vec(),
        trace_state: span.trace_state().to_owned(),
        parent_span_id: span.parent_span_id().to_vec(),
        flags: span.flags(),
        name: span.name().to_owned(),
        kind: span.kind(),
        start_time_unix_nano: span.start_time_unix_nano(),
        end_time_unix_nano: span.end_time_unix_nano(),
        attributes: pairs(span.attributes()),
        dropped_attributes_count: span.dropped_attributes_count(),
        events: span.events().map(event).collect(),
        dropped_events_count: span.dropped_events_count(),
        links: span.links().map(link).collect(),
        dropped_links_count: span.dropped_links_count(),
        status: Some(Status {
            message: span.status().message().to_owned(),
            code: span.status().code(),
        }),
    };
    let groups = view::traces(batch).map(|group| ResourceSpans {
        resource: Some(resource(group.resource())),
        scope_spans: group
            .scopes()
            .map(|inner| ScopeSpans {
                scope: Some(scope(inner.scope())),
                spans: inner.spans().map(span).collect(),
                schema_url: inner.schema_url().to_owned(),
            })
            .collect(),
        schema_url: group.schema_url().to_owned(),
    });
    ExportTraceServiceRequest {
        resource_spans: groups.collect(),
    }
}

fn event(event: view::Event<'_>) -> Event {
    Event {
        time_unix_nano: event.time_unix_nano(),
        name: event.name().to_owned(),
        attributes: pairs(event.attributes()),
        dropped_attributes_count: event.dropped_attributes_count(),
    }
}

fn link(link: view::Link<'_>) -> Link {
    Link {
        trace_id: link.trace_id().to_vec(),
        span_id: link.span_id().to_vec(),
        trace_state: link.trace_state().to_owned(),
        attributes: pairs(link.attributes()),
        dropped_attributes_count: link.dropped_attributes_count(),
        flags: link.flags(),
    }
}

fn logs(batch: &Batch) -> ExportLogsServiceRequest {
    let record = |record: view::LogRecord<'_>| LogRecord {
        time_unix_nano: record.time_unix_nano(),
        observed_time_unix_nano: record.observed_time_unix_nano(),
        severity_number: record.severity_number(),
        severity_text: record.severity_text().to_owned(),
        body: record.body().map(value),
        attributes: pairs(record.attributes()),
        dropped_attributes_count: record.dropped_attributes_count(),
        flags: record.flags(),
        trace_id: record.trace_id().to_vec(),
        span_id: record.span_id().to_vec(),
        event_name: record.event_name().to_owned(),
    };
    let groups = view::logs(batch).map(|group| ResourceLogs {
        resource: Some(resource(group.resource())),
        scope_logs: group
            .scopes()
            .map(|inner| ScopeLogs {
                scope: Some(scope(inner.scope())),
                log_records: inner.records().map(record).collect(),
                schema_url: inner.schema_url().to_owned(),
            })
            .collect(),
        schema_url: group.schema_url().to_owned(),
    });
    ExportLogsServiceRequest {
        resource_logs: groups.collect(),
    }
}

fn metrics(batch: &Batch) -> ExportMetricsServiceRequest {
    let groups = view::metrics(batch).map(|group| ResourceMetrics {
        resource: Some(resource(group.resource())),
        scope_metrics: group
            .scopes()
            .map(|inner| ScopeMetrics {
                scope: Some(scope(inner.scope())),
                metrics: inner.metrics().map(metric).collect(),
                schema_url: inner.schema_url().to_owned(),
            })
            .collect(),
        schema_url: group.schema_url().to_owned(),
    });
    ExportMetricsServiceRequest {
        resource_metrics: groups.collect(),
    }
}

fn metric(metric: view::Metric<'_>) -> reference::Metric {
    use reference::metric::Data;
    let data = metric.data().map(|data| match data {
        MetricData::Gauge(gauge) => Data::Gauge(reference::Gauge {
            data_points: gauge.points().map(number_point).collect(),
        }),
        MetricData::Sum(sum) => Data::Sum(reference::Sum {
            data_points: sum.points().map(number_point).collect(),
            aggregation_temporality: temporality(sum.temporality()),
            is_monotonic: sum.is_monotonic(),
        }),
        MetricData::Histogram(histogram) => Data::Histogram(reference::Histogram {
            data_points: histogram.points().map(histogram_point).collect(),
            aggregation_temporality: temporality(histogram.temporality()),
        }),
        MetricData::Exponential(histogram) => {
            Data::ExponentialHistogram(reference::ExponentialHistogram {
                data_points: histogram.points().map(exponential_point).collect(),
                aggregation_temporality: temporality(histogram.temporality()),
            })
        }
        MetricData::Summary(summary) => Data::Summary(reference::Summary {
            data_points: summary.points().map(summary_point).collect(),
        }),
    });
    reference::Metric {
        name: metric.name().to_owned(),
        description: metric.description().to_owned(),
        unit: metric.unit().to_owned(),
        metadata: pairs(metric.metadata()),
        data,
    }
}

fn temporality(temporality: Temporality) -> i32 {
    match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}

fn number_point(point: view::NumberPoint<'_>) -> reference::NumberDataPoint {
    use reference::number_data_point::Value;
    reference::NumberDataPoint {
        attributes: pairs(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags(),
        value: point.value().map(|value| match value {
            Number::Int(value) => Value::AsInt(value),
            Number::Double(value) => Value::AsDouble(value),
        }),
    }
}

fn exemplar(exemplar: view::Exemplar<'_>) -> reference::Exemplar {
    use reference::exemplar::Value;
    reference::Exemplar {
        filtered_attributes: pairs(exemplar.filtered_attributes()),
        time_unix_nano: exemplar.time_unix_nano(),
        span_id: exemplar.span_id().to_vec(),
        trace_id: exemplar.trace_id().to_vec(),
        value: exemplar.value().map(|value| match value {
            Number::Int(value) => Value::AsInt(value),
            Number::Double(value) => Value::AsDouble(value),
        }),
    }
}

fn histogram_point(point: view::HistogramPoint<'_>) -> reference::HistogramDataPoint {
    reference::HistogramDataPoint {
        attributes: pairs(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        bucket_counts: point.bucket_counts().collect(),
        explicit_bounds: point.explicit_bounds().collect(),
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags(),
        min: point.min(),
        max: point.max(),
    }
}

fn exponential_point(
    point: view::ExponentialPoint<'_>,
) -> reference::ExponentialHistogramDataPoint {
    use reference::exponential_histogram_data_point::Buckets;
    let buckets = |buckets: view::Buckets<'_>| Buckets {
        offset: buckets.offset(),
        bucket_counts: buckets.counts().collect(),
    };
    reference::ExponentialHistogramDataPoint {
        attributes: pairs(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        scale: point.scale(),
        zero_count: point.zero_count(),
        positive: point.positive().map(buckets),
        negative: point.negative().map(buckets),
        flags: point.flags(),
        exemplars: point.exemplars().map(exemplar).collect(),
        min: point.min(),
        max: point.max(),
        zero_threshold: point.zero_threshold(),
    }
}

fn summary_point(point: view::SummaryPoint<'_>) -> reference::SummaryDataPoint {
    reference::SummaryDataPoint {
        attributes: pairs(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        quantile_values: point
            .quantiles()
            .map(|at| reference::summary_data_point::ValueAtQuantile {
                quantile: at.quantile(),
                value: at.value(),
            })
            .collect(),
        flags: point.flags(),
    }
}

fn resource(resource: view::Resource<'_>) -> Resource {
    Resource {
        attributes: pairs(resource.attributes()),
        dropped_attributes_count: resource.dropped_attributes_count(),
        entity_refs: resource
            .entity_refs()
            .map(|entity| EntityRef {
                schema_url: entity.schema_url().to_owned(),
                r#type: entity.entity_type().to_owned(),
                id_keys: entity.id_keys().map(str::to_owned).collect(),
                description_keys: entity.description_keys().map(str::to_owned).collect(),
            })
            .collect(),
    }
}

fn scope(scope: view::Scope<'_>) -> InstrumentationScope {
    InstrumentationScope {
        name: scope.name().to_owned(),
        version: scope.version().to_owned(),
        attributes: pairs(scope.attributes()),
        dropped_attributes_count: scope.dropped_attributes_count(),
    }
}

fn pairs(attributes: Attributes<'_>) -> Vec<KeyValue> {
    attributes
        .map(|(key, inner)| KeyValue {
            key: key.to_owned(),
            value: Some(value(inner)),
            key_strindex: 0,
        })
        .collect()
}

fn value(view: Value<'_>) -> AnyValue {
    use any_value::Value as Any;
    let value = match view {
        Value::Null => None,
        Value::Str(text) => Some(Any::StringValue(text.to_owned())),
        Value::Bool(value) => Some(Any::BoolValue(value)),
        Value::Int(value) => Some(Any::IntValue(value)),
        Value::Double(value) => Some(Any::DoubleValue(value)),
        Value::Bytes(bytes) => Some(Any::BytesValue(bytes.to_vec())),
        Value::Array(values) => Some(Any::ArrayValue(ArrayValue {
            values: values.map(value).collect(),
        })),
        Value::Map(map) => Some(Any::KvlistValue(KeyValueList { values: pairs(map) })),
    };
    AnyValue { value }
}
