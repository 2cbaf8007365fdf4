//! Splitting loses nothing, cuts no item, keeps the order, and keeps the bound where items allow.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use petrel_wire::otlp::fields::{put_len, put_varint_field};
use petrel_wire::{Batch, Limits, Signal};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::generate::{self, Choices};

/// Every item with everything above it, in order; containers without items with what they say.
fn items(batch: &Batch) -> Vec<Vec<u8>> {
    let bytes = &batch.bytes()[..];
    let mut out = Vec::new();
    match batch.signal() {
        Signal::Traces => {
            for mut group in ExportTraceServiceRequest::decode(bytes)
                .unwrap()
                .resource_spans
            {
                for mut scope in std::mem::take(&mut group.scope_spans) {
                    let spans = std::mem::take(&mut scope.spans);
                    push(&mut out, &[&group, &scope], &spans);
                }
            }
        }
        Signal::Logs => {
            for mut group in ExportLogsServiceRequest::decode(bytes)
                .unwrap()
                .resource_logs
            {
                for mut scope in std::mem::take(&mut group.scope_logs) {
                    let records = std::mem::take(&mut scope.log_records);
                    push(&mut out, &[&group, &scope], &records);
                }
            }
        }
        Signal::Metrics => {
            for mut group in ExportMetricsServiceRequest::decode(bytes)
                .unwrap()
                .resource_metrics
            {
                for mut scope in std::mem::take(&mut group.scope_metrics) {
                    for mut metric in std::mem::take(&mut scope.metrics) {
                        let points = points(&mut metric.data);
                        push(&mut out, &[&group, &scope, &metric], &points);
                    }
                }
            }
        }
    }
    out
}

fn points(data: &mut Option<Data>) -> Vec<Raw> {
    fn take<T: Message>(points: &mut Vec<T>) -> Vec<Raw> {
        std::mem::take(points)
            .iter()
            .map(|point| Raw(point.encode_to_vec()))
            .collect()
    }
    match data {
        None => Vec::new(),
        Some(Data::Gauge(data)) => take(&mut data.data_points),
        Some(Data::Sum(data)) => take(&mut data.data_points),
        Some(Data::Histogram(data)) => take(&mut data.data_points),
        Some(Data::ExponentialHistogram(data)) => take(&mut data.data_points),
        Some(Data::Summary(data)) => take(&mut data.data_points),
    }
}

struct Raw(Vec<u8>);

trait Encoded {
    fn encoded(&self) -> Vec<u8>;
}

impl Encoded for Raw {
    fn encoded(&self) -> Vec<u8> {
        self.0.clone()
    }
}

impl<T: Message> Encoded for T {
    fn encoded(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

fn push<T: Encoded>(out: &mut Vec<Vec<u8>>, above: &[&dyn Encoded], items: &[T]) {
    let above: Vec<u8> = above.iter().flat_map(|one| one.encoded()).collect();
    if items.is_empty() {
        out.push(above.clone());
    }
    out.extend(
        items
            .iter()
            .map(|item| [above.clone(), item.encoded()].concat()),
    );
}

fn read(signal: Signal, bytes: Vec<u8>) -> Batch {
    Batch::from_protobuf(signal, bytes.into(), &Limits::default()).unwrap()
}

fn check(batch: &Batch, limit: usize) -> Vec<Batch> {
    let parts = batch.clone().split(limit);
    let mut together = Vec::new();
    for part in &parts {
        let again = read(part.signal(), part.bytes().to_vec());
        assert_eq!(&again, part, "a part knows its items");
        if parts.len() > 1 {
            assert!(
                part.bytes().len() <= limit || part.items() <= 1,
                "{} bytes with {} items, allowed are {limit}",
                part.bytes().len(),
                part.items()
            );
        }
        together.extend(items(part));
    }
    assert_eq!(together, items(batch));
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn nothing_is_lost_or_reordered(
        signal in prop_oneof![Just(Signal::Traces), Just(Signal::Logs), Just(Signal::Metrics)],
        choices in vec(any::<u8>(), 0..3000),
        limit in 0_usize..4000,
    ) {
        let batch = read(signal, generate::request(signal, &mut Choices(&choices)));
        check(&batch, limit);
    }
}

fn message(number: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, number, &parts.concat());
    out
}

#[test]
fn unknown_fields_stay_with_what_they_belong_to() {
    let mut unknown = Vec::new();
    put_varint_field(&mut unknown, 1000, 7);
    let span = |name: &[u8]| message(2, &[&message(5, &[name]), &unknown]);
    // The unknown fields stand behind and between the children.
    let scope = message(2, &[&span(b"one"), &unknown, &span(b"two")]);
    let resource = message(1, &[&scope, &unknown]);
    let batch = read(Signal::Traces, [resource, unknown.clone()].concat());
    let parts = batch.clone().split(1);
    let part = |name| message(1, &[&unknown, &message(2, &[&unknown, &span(name)])]);
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].bytes(), &[unknown.clone(), part(b"one")].concat());
    assert_eq!(parts[1].bytes(), &part(b"two"));
}

#[test]
fn a_metric_that_is_too_large_alone_is_cut_between_its_points() {
    let point = |time: u64| {
        let mut point = Vec::new();
        petrel_wire::otlp::fields::put_fixed64(&mut point, 3, time);
        message(1, &[&point])
    };
    let points: Vec<u8> = (0..1000).flat_map(point).collect();
    let metric = message(
        2,
        &[
            &message(1, &[b"a.sum"]),
            &message(7, &[&points, &[0x10, 2]]),
        ],
    );
    let small = message(2, &[&message(1, &[b"small"]), &message(5, &[&point(1)])]);
    let scope = message(2, &[&small, &metric, &small]);
    let batch = read(Signal::Metrics, message(1, &[&scope]));
    let parts = check(&batch, 1000);
    assert_eq!(parts.iter().map(Batch::items).sum::<u32>(), 1002);
    assert!(
        parts.len() <= 14,
        "{} parts of 1000 bytes for 11 kB",
        parts.len()
    );
}

#[test]
fn parts_are_filled_and_an_item_beyond_the_bound_goes_alone() {
    let span = |bytes: usize| message(2, &[&message(5, &["x".repeat(bytes).as_bytes()])]);
    let spans = [span(10), span(10), span(500), span(10), span(10)].concat();
    let batch = read(Signal::Traces, message(1, &[&message(2, &[&spans])]));
    let sizes: Vec<u32> = check(&batch, 100).iter().map(Batch::items).collect();
    assert_eq!(sizes, [2, 1, 2]);
    assert_eq!(check(&batch, 10_000), [batch]);
}
