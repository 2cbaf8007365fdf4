//! Small telemetry for unit tests.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;

/// A batch with so many log records.
pub(crate) fn logs(count: usize) -> Batch {
    let record = |n: usize| LogRecord {
        time_unix_nano: n as u64 + 1,
        severity_text: "INFO".to_owned(),
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: (0..count).map(record).collect(),
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    Batch::from_protobuf(Signal::Logs, bytes, &Limits::default()).unwrap()
}
