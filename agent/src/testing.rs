//! Small telemetry for unit tests.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;

/// A batch with so many log records.
pub(crate) fn logs(count: usize) -> Batch {
    logs_of_severity(&vec![9; count])
}

/// A batch with a log record of each severity.
pub(crate) fn logs_of_severity(numbers: &[i32]) -> Batch {
    let record = |(n, severity_number): (usize, &i32)| LogRecord {
        time_unix_nano: n as u64 + 1,
        severity_number: *severity_number,
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: numbers.iter().enumerate().map(record).collect(),
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    Batch::from_protobuf(Signal::Logs, bytes, &Limits::default()).unwrap()
}
