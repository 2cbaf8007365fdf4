//! OTLP/JSON: the reference's own serde form reads back, and what real senders write is taken.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use petrel_wire::otlp::json::{Layout, from_batch};
use petrel_wire::otlp::view::{self, MetricData, Number, Value};
use petrel_wire::{Batch, Limits, Malformed, Signal};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::generate::{self, Choices};
use crate::{fuzz, rebuild};

fn read(signal: Signal, text: &str) -> Result<Batch, Malformed> {
    Batch::from_json(signal, text.as_bytes(), &Limits::default())
}

fn reason(signal: Signal, text: &str) -> String {
    read(signal, text).unwrap_err().to_string()
}

/// The JSON of the request in `bytes` as opentelemetry-proto writes it. Nothing for a request with
/// numbers that JSON lacks: the reference writes them as null, which it cannot read back either.
fn reference_json(signal: Signal, bytes: &[u8]) -> Option<String> {
    fn json<M: Message + Default + std::fmt::Debug + serde::Serialize>(
        bytes: &[u8],
    ) -> Option<String> {
        let request = M::decode(bytes).unwrap();
        let shown = format!("{request:?}");
        let finite = !shown.contains("NaN") && !shown.contains("inf");
        finite.then(|| serde_json::to_string(&request).unwrap())
    }
    match signal {
        Signal::Traces => json::<ExportTraceServiceRequest>(bytes),
        Signal::Logs => json::<ExportLogsServiceRequest>(bytes),
        Signal::Metrics => json::<ExportMetricsServiceRequest>(bytes),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_reference_s_json_reads_back_as_its_protobuf(
        signal in prop_oneof![Just(Signal::Traces), Just(Signal::Logs), Just(Signal::Metrics)],
        choices in vec(any::<u8>(), 0..2000),
    ) {
        let bytes = generate::request(signal, &mut Choices(&choices));
        let json = reference_json(signal, &bytes);
        prop_assume!(json.is_some());
        let json = json.unwrap();
        let batch = read(signal, &json).unwrap();
        let (expected, items) = rebuild::from_reference(signal, &bytes).unwrap();
        prop_assert_eq!(batch.items() as usize, items);
        prop_assert_eq!(rebuild::from_views(&batch), expected, "{}", json);
    }

    #[test]
    fn what_we_write_reads_back_as_what_it_was(
        signal in prop_oneof![Just(Signal::Traces), Just(Signal::Logs), Just(Signal::Metrics)],
        choices in vec(any::<u8>(), 0..2000),
    ) {
        let bytes = generate::request(signal, &mut Choices(&choices));
        let before = Batch::from_protobuf(signal, bytes.into(), &Limits::default()).unwrap();
        for layout in [Layout::Line, Layout::Indented] {
            let json = from_batch(&before, layout);
            let after = read(signal, &json).unwrap();
            prop_assert_eq!(rebuild::from_views(&after), rebuild::from_views(&before), "{}", json);
        }
    }

    #[test]
    fn damaged_json_crashes_nothing(
        choices in vec(any::<u8>(), 0..400),
        place in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let bytes = generate::request(Signal::Traces, &mut Choices(&choices));
        let mut json = reference_json(Signal::Traces, &bytes).unwrap_or_else(|| "{}".to_owned()).into_bytes();
        let place = place.index(json.len());
        json[place] = with;
        fuzz::json(&json);
        json.truncate(place);
        fuzz::json(&json);
    }
}

/// A request with one span that has these members.
fn span(members: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}]}}]}}"#)
}

/// The only span of a batch, by what `look` sees in it.
fn of_span<T>(members: &str, look: impl FnOnce(view::Span<'_>) -> T) -> T {
    let batch = read(Signal::Traces, &span(members)).unwrap();
    let scope = view::traces(&batch)
        .next()
        .unwrap()
        .scopes()
        .next()
        .unwrap();
    look(scope.spans().next().unwrap())
}

#[test]
fn ids_are_hexadecimal_in_any_case_and_may_be_empty() {
    let id = of_span(
        r#""traceId":"5B8EFFF798038103d269b633813fc60c","parentSpanId":"""#,
        |span| {
            assert_eq!(span.parent_span_id(), b"");
            span.trace_id().to_vec()
        },
    );
    assert_eq!(id[..4], [0x5b, 0x8e, 0xff, 0xf7]);
    let wrong = reason(
        Signal::Traces,
        &span(r#""traceId":"W47/95gDgQPSabYzgT/GDA==""#),
    );
    assert!(
        wrong.contains("resourceSpans[0].scopeSpans[0].spans[0].traceId: expected a string of hex"),
        "{wrong}"
    );
}

#[test]
fn integers_come_as_strings_or_numbers_and_stay_in_range() {
    for time in ["\"1544712660300000000\"", "1544712660300000000"] {
        let members = format!(r#""startTimeUnixNano":{time}"#);
        assert_eq!(
            of_span(&members, |span| span.start_time_unix_nano()),
            1_544_712_660_300_000_000
        );
    }
    assert_eq!(of_span(r#""flags":2.57e2"#, |span| span.flags()), 257);
    for bad in [
        "-1",
        "\"-1\"",
        "1.5",
        "\"x\"",
        "true",
        "[]",
        "{}",
        "\"99999999999999999999\"",
    ] {
        let words = reason(
            Signal::Traces,
            &span(&format!(r#""startTimeUnixNano":{bad}"#)),
        );
        assert!(
            words.contains("expected an unsigned 64-bit integer"),
            "{bad}: {words}"
        );
    }
    assert!(read(Signal::Traces, &span(r#""flags":4294967296"#)).is_err());
}

#[test]
fn enums_come_as_numbers_or_names() {
    for kind in ["3", "\"3\"", "\"SPAN_KIND_CLIENT\""] {
        assert_eq!(of_span(&format!(r#""kind":{kind}"#), |span| span.kind()), 3);
    }
    let code = |span: view::Span<'_>| span.status().code();
    assert_eq!(of_span(r#""status":{"code":"STATUS_CODE_ERROR"}"#, code), 2);
    assert!(read(Signal::Traces, &span(r#""kind":"CLIENT!""#)).is_err());
}

#[test]
fn unknown_keys_are_passed_over_and_null_means_absent() {
    let name = of_span(
        r#""new":{"deep":[1,{"x":null}]},"attributes":null,"status":null,"name":"n","kind":null"#,
        |span| {
            assert_eq!(span.attributes().count(), 0);
            span.name().to_owned()
        },
    );
    assert_eq!(name, "n");
    let values = of_span(
        r#""attributes":[null,{"key":"k","value":{"arrayValue":{"values":[null,{"intValue":"1"}]}}}]"#,
        |span| {
            let mut json = String::new();
            span.attributes().write_json(&mut json);
            json
        },
    );
    assert_eq!(values, r#"{"k":[null,1]}"#);
}

#[test]
fn keys_may_be_written_as_in_the_protos() {
    let text = r#"{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"0102","start_time_unix_nano":"5"}]}]}]}"#;
    let batch = read(Signal::Traces, text).unwrap();
    assert_eq!(
        batch,
        read(
            Signal::Traces,
            &span(r#""traceId":"0102","startTimeUnixNano":5"#)
        )
        .unwrap()
    );
}

#[test]
fn of_a_key_given_twice_the_last_value_counts() {
    assert_eq!(
        of_span(r#""name":"a","kind":2,"name":"b""#, |span| span
            .name()
            .to_owned()),
        "b"
    );
    let both = r#""status":{"code":2,"message":"x"},"kind":4,"status":{"code":1},"name":"n""#;
    of_span(both, |span| {
        assert_eq!((span.status().code(), span.status().message()), (1, ""));
        assert_eq!((span.kind(), span.name()), (4, "n"));
    });
    let value =
        r#""attributes":[{"key":"k","value":{"arrayValue":{"values":[]},"stringValue":"s"}}]"#;
    of_span(value, |span| {
        assert_eq!(span.attributes().get("k"), Some(Value::Str("s")));
    });
}

#[test]
fn every_kind_of_value_is_read() {
    let attributes = r#""attributes":[
        {"key":"text","value":{"stringValue":"a\u00e9\ud83d\udc26"}},
        {"key":"truth","value":{"boolValue":true}},
        {"key":"int","value":{"intValue":"-9223372036854775808"}},
        {"key":"number","value":{"intValue":42}},
        {"key":"float","value":{"doubleValue":5}},
        {"key":"nan","value":{"doubleValue":"NaN"}},
        {"key":"inf","value":{"doubleValue":"-Infinity"}},
        {"key":"bytes","value":{"bytesValue":"/wA="}},
        {"key":"url","value":{"bytesValue":"_wA"}},
        {"key":"empty","value":{}},
        {"key":"map","value":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}}]}}}]"#;
    let json = of_span(attributes, |span| {
        let mut json = String::new();
        span.attributes().write_json(&mut json);
        json
    });
    assert_eq!(
        json,
        r#"{"text":"aé🐦","truth":true,"int":-9223372036854775808,"number":42,"float":5.0,"nan":"NaN","inf":"-Infinity","bytes":"/wA=","url":"/wA=","empty":null,"map":{"a":1}}"#
    );
}

#[test]
fn a_request_of_another_signal_is_said_to_be_one() {
    let error = read(Signal::Logs, &span("")).unwrap_err();
    assert_eq!(
        error,
        Malformed::NothingKnown {
            signal: Signal::Logs
        }
    );
    for empty in [
        "",
        "  \n",
        "{}",
        r#"{"resourceLogs":[]}"#,
        r#"{"resourceLogs":null}"#,
    ] {
        assert!(read(Signal::Logs, empty).unwrap().is_empty(), "{empty:?}");
    }
}

#[test]
fn an_error_names_the_path_and_the_place_and_not_the_value() {
    let cases = [
        ("[]", "expected an object"),
        (
            r#"{"resourceSpans":{}}"#,
            "resourceSpans: expected an array",
        ),
        (
            r#"{"resourceSpans":[1]}"#,
            "resourceSpans[0]: expected an object",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{},{"spans":[{"name":7}]}]}]}"#,
            "resourceSpans[0].scopeSpans[1].spans[0].name: expected a string at line 1",
        ),
        (
            r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":{"bytesValue":"se cret"}}]}}]}"#,
            "resourceSpans[0].resource.attributes[0].value.bytesValue: expected a string in base64",
        ),
        (r#"{"resourceSpans":[{"#, "EOF while parsing"),
        (r#"{"resourceSpans":[]} x"#, "trailing characters"),
    ];
    for (text, words) in cases {
        let error = reason(Signal::Traces, text);
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains("cret"), "{error}");
    }
}

#[test]
fn nesting_has_a_limit_in_json_too() {
    let nested = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        let close = "]}}".repeat(levels);
        span(&format!(
            r#""attributes":[{{"key":"k","value":{open}{close}}}]"#
        ))
    };
    assert!(read(Signal::Traces, &nested(30)).is_ok());
    for levels in [65, 10_000] {
        let error = reason(Signal::Traces, &nested(levels));
        assert!(
            error.contains("nest") || error.contains("recursion"),
            "{error}"
        );
        assert!(error.len() < 1000, "{error}");
    }
    let garbage = format!(r#"{{"resourceSpans":[],"x":{}"#, "[".repeat(1 << 20));
    assert!(read(Signal::Traces, &garbage).is_err());
}

#[test]
fn json_cannot_grow_beyond_the_limit_in_protobuf() {
    let limits = Limits {
        request_bytes: 5000,
        ..Limits::default()
    };
    let bounds = vec!["1"; 1000].join(",");
    let text = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"explicitBounds":[{bounds}]}}]}}}}]}}]}}]}}"#
    );
    assert!(matches!(
        Batch::from_json(Signal::Metrics, text.as_bytes(), &limits),
        Err(Malformed::TooLarge { .. })
    ));
    assert!(read(Signal::Metrics, &text).is_ok());
}

#[test]
fn the_examples_of_the_specification_are_taken() {
    let text = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
      "scopeMetrics":[{"scope":{"name":"my.library","version":"1.0.0"},"metrics":[
        {"name":"my.counter","unit":"1","sum":{"aggregationTemporality":1,"isMonotonic":true,
          "dataPoints":[{"asDouble":5,"startTimeUnixNano":"1544712660300000000","timeUnixNano":"1544712660300000000"}]}},
        {"name":"my.histogram","histogram":{"aggregationTemporality":1,"dataPoints":[
          {"startTimeUnixNano":"1544712660300000000","timeUnixNano":"1544712660300000000","count":"2","sum":2,
           "bucketCounts":["1","1"],"explicitBounds":[1],"min":0,"max":2}]}},
        {"name":"my.exponential","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[
          {"count":"3","sum":10,"scale":-1,"zeroCount":"1","positive":{"offset":1,"bucketCounts":["0","2"]},"zeroThreshold":0}]}}]}]}]}"#;
    let batch = read(Signal::Metrics, text).unwrap();
    assert_eq!(batch.items(), 3);
    let scope = view::metrics(&batch)
        .next()
        .unwrap()
        .scopes()
        .next()
        .unwrap();
    let data: Vec<_> = scope.metrics().filter_map(|metric| metric.data()).collect();
    let [
        MetricData::Sum(sum),
        MetricData::Histogram(histogram),
        MetricData::Exponential(exponential),
    ] = data[..]
    else {
        panic!("{data:?}")
    };
    assert_eq!(
        sum.points().next().unwrap().value(),
        Some(Number::Double(5.0))
    );
    let point = histogram.points().next().unwrap();
    assert_eq!(point.bucket_counts().collect::<Vec<_>>(), [1, 1]);
    assert_eq!(point.explicit_bounds().collect::<Vec<_>>(), [1.0]);
    let point = exponential.points().next().unwrap();
    assert_eq!(point.scale(), -1);
    assert_eq!(
        point.positive().unwrap().counts().collect::<Vec<_>>(),
        [0, 2]
    );
}
