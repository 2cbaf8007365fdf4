//! What the fuzz targets do with their bytes. Each body is a plain function, so that it also runs
//! as an ordinary test wherever there is no nightly.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use petrel_wire::otlp::view;
use petrel_wire::{Batch, Limits, Sealed, Signal};
use prost::Message as _;

/// Small enough that a fuzzer reaches the limits.
const LIMITS: Limits = Limits {
    request_bytes: 1 << 20,
    items: 10_000,
    attributes: 1000,
    depth: 64,
};

/// The OTLP reader: never panics, takes nothing that prost refuses, and everything that can be
/// done with a batch can be done with what it took.
pub(crate) fn otlp(data: &[u8]) {
    for signal in Signal::ALL {
        let Ok(batch) = Batch::from_protobuf(signal, data.to_vec().into(), &LIMITS) else {
            continue;
        };
        assert!(
            is_decoded_by_prost(signal, data),
            "{signal}: taken, but not by prost"
        );
        use_up(&batch);
    }
}

/// Unpacking a sealed body of unknown origin: bounded, whatever it is.
pub(crate) fn unpack(data: &[u8]) {
    for signal in Signal::ALL {
        let sealed = Sealed::from_parts(signal, 0, 0, data.to_vec().into());
        if let Ok(batch) = sealed.unpack(&LIMITS) {
            assert!(batch.bytes().len() <= LIMITS.request_bytes);
            use_up(&batch);
        }
    }
}

/// The JSON translation: never panics, and what it makes is a request.
pub(crate) fn json(data: &[u8]) {
    for signal in Signal::ALL {
        if let Ok(batch) = Batch::from_json(signal, data, &LIMITS) {
            assert!(is_decoded_by_prost(signal, batch.bytes()));
            use_up(&batch);
        }
    }
}

fn is_decoded_by_prost(signal: Signal, bytes: &[u8]) -> bool {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).is_ok(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes).is_ok(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).is_ok(),
    }
}

/// Walks, writes, splits and seals.
fn use_up(batch: &Batch) {
    let mut text = String::new();
    match batch.signal() {
        Signal::Traces => {
            for scope in view::traces(batch).flat_map(|group| group.scopes()) {
                for span in scope.spans() {
                    span.attributes().write_json(&mut text);
                    span.events()
                        .for_each(|event| event.attributes().write_json(&mut text));
                }
            }
        }
        Signal::Logs => {
            for scope in view::logs(batch).flat_map(|group| group.scopes()) {
                for record in scope.records() {
                    record.body().unwrap_or_default().write_json(&mut text);
                }
            }
        }
        Signal::Metrics => {
            for scope in view::metrics(batch).flat_map(|group| group.scopes()) {
                for metric in scope.metrics() {
                    metric.metadata().write_json(&mut text);
                    assert_eq!(metric.data(), metric.data());
                }
            }
        }
    }
    let parts = batch.clone().split(batch.bytes().len() / 3);
    assert_eq!(parts.iter().map(Batch::items).sum::<u32>(), batch.items());
    let sealed = Sealed::pack(batch);
    let unpacked = sealed.unpack(&LIMITS).expect("what was sealed opens again");
    assert_eq!(&unpacked, batch);
}
