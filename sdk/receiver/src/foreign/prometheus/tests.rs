use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, metric::Data, number_data_point::Value as Number,
};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;

use super::{STALE, Version, Written};
use crate::Refused;

// Prometheus's prompb, as far as it is sent.
mod one {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<Metadata>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
        #[prost(int64, tag = "3")]
        pub(super) start_timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) family: String,
        #[prost(string, tag = "4")]
        pub(super) help: String,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(super) schema: i32,
        #[prost(double, tag = "5")]
        pub(super) zero_threshold: f64,
        #[prost(uint64, tag = "6")]
        pub(super) zero_count: u64,
        #[prost(message, repeated, tag = "8")]
        pub(super) negative_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "9")]
        pub(super) negative_deltas: Vec<i64>,
        #[prost(message, repeated, tag = "11")]
        pub(super) positive_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "12")]
        pub(super) positive_deltas: Vec<i64>,
        #[prost(int32, tag = "14")]
        pub(super) reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub(super) custom_values: Vec<f64>,
    }
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }
}

mod two {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) timeseries: Vec<TimeSeries>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<super::one::Sample>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata>,
    }
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit_ref: u32,
    }
}

fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> one::TimeSeries {
    let label = |(name, value): &(&str, &str)| one::Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    let sample = |(value, timestamp): &(f64, i64)| one::Sample {
        value: *value,
        timestamp: *timestamp,
        start_timestamp: 0,
    };
    one::TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
        histograms: Vec::new(),
    }
}

fn request(timeseries: Vec<one::TimeSeries>) -> one::WriteRequest {
    one::WriteRequest {
        timeseries,
        metadata: Vec::new(),
    }
}

fn read(version: Version, body: &[u8]) -> (Vec<ResourceMetrics>, Written) {
    let limits = Limits::default();
    let (bytes, written) = super::translate(version, body, &limits).unwrap();
    Batch::from_protobuf(Signal::Metrics, bytes.clone().into(), &limits).unwrap();
    let request = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
    (request.resource_metrics, written)
}

fn metrics(request: &one::WriteRequest) -> Vec<Metric> {
    let (resources, _) = read(Version::One, &request.encode_to_vec());
    let scopes = resources
        .into_iter()
        .flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).collect()
}

fn metric(request: &one::WriteRequest) -> Metric {
    metrics(request).remove(0)
}

fn histogram(histogram: one::Histogram) -> one::WriteRequest {
    let mut series = series(&[("__name__", "latency_seconds")], &[]);
    series.histograms.push(histogram);
    request(vec![series])
}

fn refusal(request: &one::WriteRequest) -> String {
    super::translate(Version::One, &request.encode_to_vec(), &Limits::default())
        .unwrap_err()
        .to_string()
}

/// `key=value` of each attribute.
fn pairs(attributes: &[KeyValue]) -> Vec<String> {
    let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    let pair = |pair: &KeyValue| format!("{}={}", pair.key, value(pair));
    attributes.iter().map(pair).collect()
}

fn numbers(points: &[NumberDataPoint]) -> Vec<(u64, f64)> {
    let number = |point: &NumberDataPoint| match point.value {
        Some(Number::AsDouble(value)) => (point.time_unix_nano, value),
        other => panic!("{other:?}"),
    };
    points.iter().map(number).collect()
}

#[test]
fn job_and_instance_are_the_resource_and_other_labels_are_attributes() {
    let labels = [
        ("__name__", "http_requests_total"),
        ("code", "200"),
        ("instance", "shop-1:8080"),
        ("job", "prod/shop"),
    ];
    let body = request(vec![series(
        &labels,
        &[(3.0, 1_700_000_000_000), (5.0, 1_700_000_015_000)],
    )]);
    let (resources, written) = read(Version::One, &body.encode_to_vec());
    assert_eq!(
        written,
        Written {
            samples: 2,
            histograms: 0
        }
    );
    assert_eq!(
        pairs(&resources[0].resource.as_ref().unwrap().attributes),
        [
            "service.namespace=prod",
            "service.name=shop",
            "service.instance.id=shop-1:8080"
        ]
    );
    let metric = &resources[0].scope_metrics[0].metrics[0];
    assert_eq!(metric.name, "http_requests_total");
    let Some(Data::Sum(sum)) = &metric.data else {
        panic!("{metric:?}")
    };
    assert!(sum.is_monotonic);
    assert_eq!(sum.aggregation_temporality, 2);
    assert_eq!(pairs(&sum.data_points[0].attributes), ["code=200"]);
    assert_eq!(
        numbers(&sum.data_points),
        [
            (1_700_000_000_000_000_000, 3.0),
            (1_700_000_015_000_000_000, 5.0)
        ]
    );
}

#[test]
fn without_metadata_the_suffix_says_what_counts() {
    for (name, counts, unit) in [
        ("process_cpu_seconds_total", true, "s"),
        ("process_resident_memory_bytes", false, "By"),
        ("request_duration_seconds_bucket", true, ""),
        ("request_duration_seconds_count", true, ""),
        ("request_duration_seconds_sum", true, "s"),
        ("request_duration_seconds", false, "s"),
        ("up", false, ""),
    ] {
        let metric = metric(&request(vec![series(&[("__name__", name)], &[(1.0, 1)])]));
        assert_eq!(matches!(metric.data, Some(Data::Sum(_))), counts, "{name}");
        assert_eq!(metric.unit, unit, "{name}");
    }
}

#[test]
fn metadata_says_it_better() {
    let known = |kind, family: &str, name: &str| {
        let mut body = request(vec![series(&[("__name__", name)], &[(1.0, 1)])]);
        body.metadata.push(one::Metadata {
            kind,
            family: family.to_owned(),
            help: "words".to_owned(),
            unit: "seconds".to_owned(),
        });
        metric(&body)
    };
    let gauge = known(2, "wheels_total", "wheels_total");
    assert!(matches!(gauge.data, Some(Data::Gauge(_))), "{gauge:?}");
    assert_eq!(
        (gauge.description.as_str(), gauge.unit.as_str()),
        ("words", "s")
    );
    assert!(matches!(
        known(1, "turns", "turns").data,
        Some(Data::Sum(_))
    ));
    assert!(matches!(
        known(3, "wait", "wait_count").data,
        Some(Data::Sum(_))
    ));
    assert!(matches!(
        known(5, "wait", "wait").data,
        Some(Data::Gauge(_))
    ));
    assert!(matches!(
        known(4, "wait", "wait_bucket").data,
        Some(Data::Gauge(_))
    ));
    assert!(matches!(
        known(1, "turns", "turns_total").data,
        Some(Data::Sum(_))
    ));
}

#[test]
fn stale_markers_are_dropped_and_other_odd_numbers_are_not() {
    let stale = f64::from_bits(STALE);
    let body = request(vec![
        series(&[("__name__", "gone")], &[(stale, 1)]),
        series(
            &[("__name__", "up")],
            &[(1.0, 1), (stale, 2), (f64::NAN, 3), (f64::INFINITY, 4)],
        ),
    ]);
    let metrics = metrics(&body);
    assert_eq!(metrics.len(), 1, "a series that only ended is not there");
    let Some(Data::Gauge(gauge)) = &metrics[0].data else {
        panic!("{metrics:?}")
    };
    let times: Vec<_> = gauge
        .data_points
        .iter()
        .map(|p| p.time_unix_nano / 1_000_000)
        .collect();
    assert_eq!(times, [1, 3, 4]);
    let (resources, written) = read(
        Version::One,
        &request(vec![series(&[("__name__", "gone")], &[(stale, 1)])]).encode_to_vec(),
    );
    assert!(resources.is_empty());
    assert_eq!(written.samples, 1, "what a marker says was taken note of");
}

#[test]
fn a_native_histogram_is_an_exponential_one_with_its_gaps_filled() {
    let metric = metric(&histogram(one::Histogram {
        count: 12,
        sum: 18.4,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 2,
        negative_spans: vec![one::Span {
            offset: -2,
            length: 1,
        }],
        negative_deltas: vec![1],
        // Buckets 0, 1 and 4, 5: counts 1, 2, 1, 5.
        positive_spans: vec![
            one::Span {
                offset: 0,
                length: 2,
            },
            one::Span {
                offset: 2,
                length: 2,
            },
        ],
        positive_deltas: vec![1, 1, -1, 4],
        timestamp: 1_700_000_000_000,
        ..one::Histogram::default()
    }));
    assert_eq!(metric.unit, "s");
    let Some(Data::ExponentialHistogram(histogram)) = &metric.data else {
        panic!("{metric:?}")
    };
    assert_eq!(histogram.aggregation_temporality, 2);
    let point = &histogram.data_points[0];
    assert_eq!(
        (point.count, point.sum, point.scale, point.zero_count),
        (12, Some(18.4), 1, 2)
    );
    let positive = point.positive.as_ref().unwrap();
    // Bucket 0 of Prometheus ends at 1, that of OTLP begins there.
    assert_eq!(
        (positive.offset, positive.bucket_counts.as_slice()),
        (-1, [1, 2, 0, 0, 1, 5].as_slice())
    );
    let negative = point.negative.as_ref().unwrap();
    assert_eq!(
        (negative.offset, negative.bucket_counts.as_slice()),
        (-3, [1].as_slice())
    );
    assert_eq!(point.time_unix_nano, 1_700_000_000_000_000_000);
}

#[test]
fn a_native_histogram_with_custom_bounds_is_one_with_bounds() {
    let metric = metric(&histogram(one::Histogram {
        count: 6,
        sum: 3.5,
        schema: -53,
        positive_spans: vec![one::Span {
            offset: 1,
            length: 2,
        }],
        positive_deltas: vec![2, 2],
        custom_values: vec![0.1, 1.0],
        timestamp: 1,
        ..one::Histogram::default()
    }));
    let Some(Data::Histogram(histogram)) = &metric.data else {
        panic!("{metric:?}")
    };
    let point = &histogram.data_points[0];
    assert_eq!(point.explicit_bounds, [0.1, 1.0]);
    assert_eq!(point.bucket_counts, [0, 2, 4]);
    assert_eq!((point.count, point.sum), (6, Some(3.5)));
}

#[test]
fn a_native_histogram_that_lies_is_refused_and_one_that_has_ended_is_dropped() {
    let spans = |offset, length| vec![one::Span { offset, length }];
    let odd = |change: fn(&mut one::Histogram)| {
        let mut odd = one::Histogram {
            count: 1,
            ..one::Histogram::default()
        };
        change(&mut odd);
        histogram(odd)
    };
    let mut body = odd(|_| {});
    body.timeseries[0].histograms[0].positive_spans = spans(0, u32::MAX);
    assert!(
        refusal(&body).contains("more than 16384 buckets"),
        "{}",
        refusal(&body)
    );
    body.timeseries[0].histograms[0].positive_spans = spans(0, 2);
    assert!(
        refusal(&body).contains("fewer buckets"),
        "{}",
        refusal(&body)
    );
    assert!(refusal(&odd(|h| h.positive_deltas = vec![1])).contains("more buckets"));
    assert!(refusal(&odd(|h| h.positive_deltas = vec![-1])).contains("fewer than no"));
    assert!(refusal(&odd(|h| h.schema = 99)).contains("schema 99"));
    assert!(metrics(&odd(|h| h.sum = f64::from_bits(STALE))).is_empty());
}

#[test]
fn version_two_says_itself_what_a_series_is_and_since_when_it_counts() {
    let symbols = [
        "",
        "__name__",
        "turns",
        "job",
        "mill",
        "how often",
        "seconds",
    ];
    let body = two::Request {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![two::TimeSeries {
            labels_refs: vec![1, 2, 3, 4],
            samples: vec![one::Sample {
                value: 7.0,
                timestamp: 2_000,
                start_timestamp: 1_000,
            }],
            metadata: Some(two::Metadata {
                kind: 1,
                help_ref: 5,
                unit_ref: 6,
            }),
        }],
    };
    let (resources, written) = read(Version::Two, &body.encode_to_vec());
    assert_eq!(written.samples, 1);
    let metric = &resources[0].scope_metrics[0].metrics[0];
    assert_eq!(
        (
            metric.name.as_str(),
            metric.description.as_str(),
            metric.unit.as_str()
        ),
        ("turns", "how often", "s")
    );
    let Some(Data::Sum(sum)) = &metric.data else {
        panic!("{metric:?}")
    };
    assert_eq!(sum.data_points[0].start_time_unix_nano, 1_000_000_000);
    assert_eq!(numbers(&sum.data_points), [(2_000_000_000, 7.0)]);

    let mut broken = body.clone();
    broken.timeseries[0].labels_refs = vec![1, 99];
    let refused = |body: &[u8], version| {
        super::translate(version, body, &Limits::default())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&broken.encode_to_vec(), Version::Two).contains("symbol 99"));
    broken.timeseries[0].labels_refs = vec![1];
    assert!(refused(&broken.encode_to_vec(), Version::Two).contains("without its value"));
    let other = refused(&body.encode_to_vec(), Version::One);
    assert!(other.contains("the other version"), "{other}");
}

#[test]
fn what_is_no_write_request_is_refused_with_words() {
    assert!(
        refusal(&request(vec![series(&[("a", "b")], &[(1.0, 1)])]))
            .contains("series 0 has no label __name__")
    );
    let refused = super::translate(Version::One, b"\x0a\xff", &Limits::default());
    assert!(matches!(refused, Err(Refused::Malformed(_))), "{refused:?}");
    let limits = Limits {
        items: 1,
        ..Limits::default()
    };
    let two = request(vec![series(&[("__name__", "up")], &[(1.0, 1), (2.0, 2)])]);
    let refused = super::translate(Version::One, &two.encode_to_vec(), &limits);
    assert!(matches!(refused, Err(Refused::TooLarge(_))), "{refused:?}");
}
