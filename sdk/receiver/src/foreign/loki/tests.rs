use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;

use super::{severity, translate_json, translate_protobuf};
use crate::Refused;

// Loki's logproto.
#[derive(Clone, PartialEq, prost::Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamAdapter>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct StreamAdapter {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryAdapter>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct EntryAdapter {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    structured_metadata: Vec<LabelPair>,
}
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}
#[derive(Clone, PartialEq, prost::Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn resources(bytes: Result<Vec<u8>, Refused>) -> Vec<ResourceLogs> {
    let bytes = bytes.unwrap();
    Batch::from_protobuf(Signal::Logs, bytes.clone().into(), &Limits::default()).unwrap();
    ExportLogsServiceRequest::decode(bytes.as_slice())
        .unwrap()
        .resource_logs
}

fn json(text: &str) -> Vec<ResourceLogs> {
    resources(translate_json(text.as_bytes(), &Limits::default()))
}

fn records(resource: &ResourceLogs) -> &[LogRecord] {
    &resource.scope_logs[0].log_records
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

/// `key=value` of each attribute.
fn pairs(attributes: &[KeyValue]) -> Vec<String> {
    let pair = |pair: &KeyValue| format!("{}={}", pair.key, text(pair.value.as_ref()));
    attributes.iter().map(pair).collect()
}

fn source(resource: &ResourceLogs) -> Vec<String> {
    pairs(&resource.resource.as_ref().unwrap().attributes)
}

#[test]
fn the_example_of_lokis_api_becomes_log_records() {
    // grafana.com/docs/loki, "Ingest logs", with and without structured metadata
    let logs = json(
        r#"{"streams": [{ "stream": { "foo": "bar2" }, "values": [
            [ "1570818238000000000", "fizzbuzz" ],
            [ "1570818238000000001", "more",
              {"trace_id": "0242ac120002b89b4ae6d1d3a8b1c9d0", "user_id": "superUser123"} ] ] }]}"#,
    );
    assert_eq!(source(&logs[0]), ["foo=bar2"]);
    let [first, second] = records(&logs[0]) else {
        panic!("{logs:?}")
    };
    assert_eq!(
        (first.time_unix_nano, text(first.body.as_ref())),
        (1_570_818_238_000_000_000, "fizzbuzz".to_owned())
    );
    assert_eq!(
        second.trace_id,
        0x0242_ac12_0002_b89b_4ae6_d1d3_a8b1_c9d0_u128.to_be_bytes()
    );
    assert_eq!(pairs(&second.attributes), ["user_id=superUser123"]);
    assert_eq!(
        (first.severity_number, first.severity_text.as_str()),
        (0, "")
    );
}

#[test]
fn protobuf_says_the_same_as_json() {
    let entry = |line: &str, metadata: &[(&str, &str)]| EntryAdapter {
        timestamp: Some(Timestamp {
            seconds: 1_570_818_238,
            nanos: 5,
        }),
        line: line.to_owned(),
        structured_metadata: metadata
            .iter()
            .map(|(name, value)| LabelPair {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
    };
    let push = PushRequest {
        streams: vec![StreamAdapter {
            labels: r#"{app="till", level="warn", pod="till-0"}"#.to_owned(),
            entries: vec![
                entry("slow", &[]),
                entry("broken", &[("level", "error"), ("n", "1")]),
            ],
        }],
    };
    let from_protobuf = resources(translate_protobuf(
        &push.encode_to_vec(),
        &Limits::default(),
    ));
    let from_json = json(
        r#"{"streams": [{"values": [["1570818238000000005", "slow"],
             ["1570818238000000005", "broken", {"level": "error", "n": "1"}]],
             "stream": {"pod": "till-0", "level": "warn", "app": "till"}}]}"#,
    );
    assert_eq!(from_protobuf, from_json);
    assert_eq!(
        source(&from_json[0]),
        ["service.name=till", "app=till", "pod=till-0"]
    );
    let levels: Vec<_> = records(&from_json[0])
        .iter()
        .map(|record| (record.severity_number, record.severity_text.as_str()))
        .collect();
    assert_eq!(levels, [(13, "warn"), (17, "error")]);
}

#[test]
fn streams_that_differ_only_in_their_level_come_from_one_source() {
    let logs = json(
        r#"{"streams": [
          {"stream": {"service_name": "till", "k8s_pod_name": "till-0", "level": "info"}, "values": [["1", "a"]]},
          {"stream": {"service_name": "till", "k8s_pod_name": "till-0", "level": "error"}, "values": [["2", "b"]]},
          {"stream": {"job": "cron"}, "values": [["3", "c"]]}]}"#,
    );
    assert_eq!(logs.len(), 2);
    assert_eq!(
        source(&logs[0]),
        ["service.name=till", "k8s.pod.name=till-0"]
    );
    assert_eq!(records(&logs[0]).len(), 2);
    assert_eq!(source(&logs[1]), ["service.name=cron", "job=cron"]);
}

#[test]
fn a_level_is_known_by_many_names_and_an_unknown_one_is_kept_as_text() {
    for (level, number) in [
        ("TRACE", 1),
        ("Debug", 5),
        ("information", 9),
        ("WARNING", 13),
        ("err", 17),
        ("fatal", 21),
        ("odd", 0),
    ] {
        assert_eq!(severity(level), number, "{level}");
    }
    let logs = json(r#"{"streams":[{"stream":{"level":"odd"},"values":[["1","a"]]}]}"#);
    assert_eq!(records(&logs[0])[0].severity_text, "odd");
}

#[test]
fn an_id_that_is_none_stays_an_attribute() {
    let logs = json(
        r#"{"streams":[{"stream":{},"values":[["1","a",{"trace_id":"none","span_id":"00f067aa0ba902b7"}]]}]}"#,
    );
    let record = &records(&logs[0])[0];
    assert!(record.trace_id.is_empty());
    assert_eq!(pairs(&record.attributes), ["trace_id=none"]);
    assert_eq!(record.span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, words) in [
        ("{}", "missing field `streams`"),
        (r#"{"streams":[{"stream":{}}]}"#, "missing field `values`"),
        (
            r#"{"streams":[{"stream":{},"values":[["x","a"]]}]}"#,
            "a whole number",
        ),
        (
            r#"{"streams":[{"stream":{},"values":[["1"]]}]}"#,
            "a time in nanoseconds, a line",
        ),
        (
            r#"{"streams":[{"stream":{},"values":[["1", 5]]}]}"#,
            "a line of text",
        ),
        ("[]", "an object with streams"),
    ] {
        let refused = translate_json(text.as_bytes(), &Limits::default()).unwrap_err();
        assert!(refused.to_string().contains(words), "{text}: {refused}");
    }
    let limits = Limits {
        items: 1,
        ..Limits::default()
    };
    let two = r#"{"streams":[{"stream":{},"values":[["1","a"],["2","b"]]}]}"#;
    assert!(matches!(
        translate_json(two.as_bytes(), &limits),
        Err(Refused::TooLarge(_))
    ));
    assert!(translate_protobuf(b"\x0a\x04\x0a\x02{x", &Limits::default()).is_err());
}
