//! Items with nothing around them: no resource, no scope, not one attribute.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
    number_data_point::Value,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use petrel_wire::Signal;

use crate::store::{Running, now, text};

#[tokio::test(flavor = "multi_thread")]
async fn items_without_a_single_attribute_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;

    let log_records = vec![LogRecord {
        body: text("bare"),
        ..LogRecord::default()
    }];
    let scope_logs = vec![ScopeLogs {
        log_records,
        ..ScopeLogs::default()
    }];
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs,
            ..ResourceLogs::default()
        }],
    };
    running.append(Signal::Logs, &logs, None).await;
    running.stored().await;

    let spans = vec![Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "bare".to_owned(),
        start_time_unix_nano: now(),
        end_time_unix_nano: now(),
        ..Span::default()
    }];
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    let traces = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    };
    running.append(Signal::Traces, &traces, None).await;
    running.stored().await;

    let data_points = vec![NumberDataPoint {
        time_unix_nano: now(),
        value: Some(Value::AsInt(1)),
        ..NumberDataPoint::default()
    }];
    let metrics = vec![Metric {
        name: "bare".to_owned(),
        data: Some(Data::Gauge(Gauge { data_points })),
        ..Metric::default()
    }];
    let scope_metrics = vec![ScopeMetrics {
        metrics,
        ..ScopeMetrics::default()
    }];
    let metrics = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics,
            ..ResourceMetrics::default()
        }],
    };
    running.append(Signal::Metrics, &metrics, None).await;
    running.stored().await;

    for (table, items) in [("logs", "1"), ("spans", "1"), ("samples", "1")] {
        let counted = format!("SELECT count() FROM {table}");
        assert_eq!(running.cell(&counted).await, items, "{table}");
    }
    running.stop().await;
}
