//! Which class a request belongs to: what somebody will look for is kept longest and goes first.

use petrel_spool::Class;
use petrel_wire::{Batch, Signal, otlp::view};

/// `STATUS_CODE_ERROR`.
const ERROR_STATUS: i32 = 2;
/// `SEVERITY_NUMBER_ERROR`; what is above is worse.
const ERROR_SEVERITY: i32 = 17;

/// A request with an error in it is kept whole: its neighbours are what explains the error, and
/// taking it apart would cost more than they weigh. Looked up where it lies, up to the first one.
pub(crate) fn class_of(batch: &Batch) -> Class {
    let has_error = match batch.signal() {
        Signal::Traces => view::traces(batch)
            .flat_map(|resource| resource.scopes())
            .flat_map(|scope| scope.spans())
            .any(|span| span.status().code() == ERROR_STATUS),
        Signal::Logs => view::logs(batch)
            .flat_map(|resource| resource.scopes())
            .flat_map(|scope| scope.records())
            .any(|record| record.severity_number() >= ERROR_SEVERITY),
        Signal::Metrics => false,
    };
    if has_error { Class::Keep } else { Class::Bulk }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
    use petrel_wire::Limits;
    use prost::Message as _;

    use super::*;
    use crate::testing::logs_of_severity;

    fn class_of_spans(codes: &[i32]) -> Class {
        let span = |code: &i32| Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            status: Some(Status {
                code: *code,
                ..Status::default()
            }),
            ..Span::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: codes.iter().map(span).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let bytes = request.encode_to_vec().into();
        class_of(&Batch::from_protobuf(Signal::Traces, bytes, &Limits::default()).unwrap())
    }

    #[test]
    fn a_request_with_an_error_is_kept() {
        assert_eq!(class_of_spans(&[0, 1, 2, 0]), Class::Keep);
        assert_eq!(class_of_spans(&[0, 1, 0]), Class::Bulk);
        assert_eq!(class_of(&logs_of_severity(&[9, 17])), Class::Keep);
        assert_eq!(class_of(&logs_of_severity(&[24])), Class::Keep);
        assert_eq!(class_of(&logs_of_severity(&[9, 13, 16, 0])), Class::Bulk);
    }
}
