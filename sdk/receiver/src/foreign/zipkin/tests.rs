use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;

use super::translate;
use crate::Refused;

fn request(text: &str) -> ExportTraceServiceRequest {
    let bytes = translate(text.as_bytes(), &Limits::default()).unwrap();
    Batch::from_protobuf(Signal::Traces, bytes.clone().into(), &Limits::default()).unwrap();
    ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap()
}

fn span(text: &str) -> otlp::Span {
    request(text).resource_spans[0].scope_spans[0].spans[0].clone()
}

fn refusal(text: &str) -> String {
    match translate(text.as_bytes(), &Limits::default()) {
        Err(Refused::Malformed(words)) => words,
        other => panic!("{other:?}"),
    }
}

/// `key=value` of each attribute.
fn pairs(attributes: &[KeyValue]) -> Vec<String> {
    let value = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(value) => value.to_string(),
        Value::DoubleValue(value) => value.to_string(),
        other => panic!("{other:?}"),
    };
    let pair = |pair| format!("{}={}", KeyValue::clone(pair).key, value(pair));
    attributes.iter().map(pair).collect()
}

fn status(tags: &str) -> (i32, String) {
    let span = span(&format!(r#"{{"traceId":"1","id":"2","tags":{tags}}}"#));
    let status = span.status.unwrap_or_default();
    (status.code, status.message)
}

#[test]
fn the_example_of_zipkins_api_becomes_a_span_of_its_service() {
    // zipkin.io/zipkin-api, POST /spans
    let request = request(
        r#"[{
          "id": "352bff9a74ca9ad2",
          "traceId": "5af7183fb1d4cf5f",
          "parentId": "6b221d5bc9e6496c",
          "name": "get /api",
          "timestamp": 1556604172355737,
          "duration": 1431,
          "kind": "SERVER",
          "localEndpoint": { "serviceName": "backend", "ipv4": "192.168.99.1", "port": 3306 },
          "remoteEndpoint": { "ipv4": "172.19.0.2", "port": 58648 },
          "tags": { "http.method": "GET", "http.path": "/api" }
        }]"#,
    );
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(pairs(&resource.attributes), ["service.name=backend"]);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.trace_id, 0x5af7_183f_b1d4_cf5f_u128.to_be_bytes());
    assert_eq!(span.span_id, 0x352b_ff9a_74ca_9ad2_u64.to_be_bytes());
    assert_eq!(span.parent_span_id, 0x6b22_1d5b_c9e6_496c_u64.to_be_bytes());
    assert_eq!(
        (span.name.as_str(), span.kind()),
        ("get /api", otlp::span::SpanKind::Server)
    );
    assert_eq!(span.start_time_unix_nano, 1_556_604_172_355_737_000);
    assert_eq!(span.end_time_unix_nano, 1_556_604_172_357_168_000);
    assert_eq!(
        pairs(&span.attributes),
        [
            "http.method=GET",
            "http.path=/api",
            "network.local.address=192.168.99.1",
            "network.local.port=3306",
            "network.peer.address=172.19.0.2",
            "network.peer.port=58648",
        ]
    );
    assert_eq!(span.status, None);
}

#[test]
fn the_example_of_zipkins_data_model_keeps_its_annotations_as_events() {
    // zipkin.io/pages/data_model.html
    let request = request(
        r#"[
          {
            "traceId": "5982fe77008310cc80f1da5e10147517",
            "name": "get",
            "id": "bd7a977555f6b982",
            "timestamp": 1458702548467000,
            "duration": 386000,
            "localEndpoint": { "serviceName": "zipkin-query", "ipv4": "192.168.1.2", "port": 9411 },
            "annotations": [
              { "timestamp": 1458702548467000, "value": "sr" },
              { "timestamp": 1458702548853000, "value": "ss" }
            ]
          },
          {
            "traceId": "5982fe77008310cc80f1da5e10147517",
            "name": "get-traces",
            "id": "ebf33e1a81dc6f71",
            "parentId": "bd7a977555f6b982",
            "timestamp": 1458702548478000,
            "duration": 354374,
            "localEndpoint": { "serviceName": "zipkin-query", "ipv4": "192.168.1.2", "port": 9411 },
            "tags": { "lc": "JDBCSpanStore" }
          }
        ]"#,
    );
    assert_eq!(request.resource_spans.len(), 1, "one service, one resource");
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let events: Vec<_> = spans[0]
        .events
        .iter()
        .map(|e| (e.time_unix_nano, e.name.as_str()))
        .collect();
    assert_eq!(
        events,
        [
            (1_458_702_548_467_000_000, "sr"),
            (1_458_702_548_853_000_000, "ss")
        ]
    );
    assert_eq!(
        spans[0].trace_id,
        0x5982_fe77_0083_10cc_80f1_da5e_1014_7517_u128.to_be_bytes()
    );
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[0].kind(), otlp::span::SpanKind::Internal);
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
}

#[test]
fn an_event_that_opentelemetry_wrote_gets_its_name_and_attributes_back() {
    let span = span(
        r#"{"traceId":"1","id":"2","annotations":[
          {"timestamp":1,"value":"\"my-event-name\": {\"key1\": \"value1\", \"n\": 2}"},
          {"timestamp":2,"value":"\"only quoted\""}]}"#,
    );
    assert_eq!(span.events[0].name, "my-event-name");
    assert_eq!(pairs(&span.events[0].attributes), ["key1=value1", "n=2"]);
    assert_eq!(span.events[1].name, "\"only quoted\"");
}

#[test]
fn what_clickhouse_writes_for_its_own_spans_is_taken() {
    // Lines instead of an array, quoted numbers, short ids, zeros for no parent, an empty tag.
    let request = request(concat!(
        r#"{"traceId":"00000000000000ff00000000000000ff","parentId":"00","id":"ff","name":"query","#,
        r#""timestamp":"1700000000000000","duration":"1500","localEndpoint":{"serviceName":"clickhouse"},"#,
        r#""tags":{"db.statement":"SELECT 1"}}"#,
        "\n",
        r#"{"traceId":"00000000000000ff00000000000000ff","parentId":"ff","id":"1ff","name":"parse","#,
        r#""timestamp":"1700000000000100","duration":"20","localEndpoint":{"serviceName":"clickhouse"},"#,
        r#""tags":{"db.statement":""}}"#,
        "\n",
    ));
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans[0].span_id, [0, 0, 0, 0, 0, 0, 0, 0xff]);
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(
        spans[0].end_time_unix_nano - spans[0].start_time_unix_nano,
        1_500_000
    );
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
    assert_eq!(pairs(&spans[1].attributes), ["db.statement="]);
}

#[test]
fn the_servers_half_of_a_shared_span_is_a_child_of_the_clients_half_and_always_the_same() {
    let half = |shared: &str| {
        span(&format!(
            r#"{{"traceId":"a","id":"b","parentId":"c","kind":"SERVER"{shared}}}"#
        ))
    };
    let (client, server) = (half(""), half(r#","shared":true"#));
    assert_eq!(server.parent_span_id, client.span_id);
    assert_ne!(server.span_id, client.span_id);
    assert_eq!(server.span_id, half(r#","shared":true"#).span_id);
    assert_eq!(server.trace_id, client.trace_id);
    assert_eq!(half(r#","shared":false"#), client);
}

#[test]
fn an_error_tag_is_a_status_and_says_why() {
    assert_eq!(status(r#"{"error":"true"}"#), (2, String::new()));
    assert_eq!(status(r#"{"error":""}"#), (2, String::new()));
    assert_eq!(status(r#"{"error":"timeout"}"#), (2, "timeout".to_owned()));
    assert_eq!(status(r#"{"error":"false"}"#), (0, String::new()));
    assert_eq!(status(r#"{"otel.status_code":"OK"}"#), (1, String::new()));
    assert_eq!(
        status(r#"{"otel.status_code":"ERROR","error":"no disk"}"#),
        (2, "no disk".to_owned())
    );
    assert_eq!(status("{}"), (0, String::new()));
}

#[test]
fn tags_of_opentelemetrys_exporter_go_back_where_they_came_from() {
    let request = request(
        r#"[{"traceId":"1","id":"2","tags":{"otel.scope.name":"lib","otel.scope.version":"1.2",
          "otel.dropped_attributes_count":"3","w3c.tracestate":"a=b","kept":"yes"}}]"#,
    );
    let scope_spans = &request.resource_spans[0].scope_spans[0];
    let scope = scope_spans.scope.as_ref().unwrap();
    assert_eq!(
        (scope.name.as_str(), scope.version.as_str()),
        ("lib", "1.2")
    );
    let span = &scope_spans.spans[0];
    assert_eq!(
        (span.dropped_attributes_count, span.trace_state.as_str()),
        (3, "a=b")
    );
    assert_eq!(pairs(&span.attributes), ["kept=yes"]);
}

#[test]
fn a_span_without_a_start_begins_with_its_first_annotation_and_one_without_both_has_no_time() {
    let span_of = |more: &str| span(&format!(r#"{{"traceId":"1","id":"2","duration":5{more}}}"#));
    let annotated =
        span_of(r#","annotations":[{"timestamp":9,"value":"b"},{"timestamp":7,"value":"a"}]"#);
    assert_eq!(
        (annotated.start_time_unix_nano, annotated.end_time_unix_nano),
        (7_000, 12_000)
    );
    assert_eq!(span_of("").start_time_unix_nano, 0);
}

#[test]
fn remote_services_are_peers_unless_a_tag_says_so_already() {
    let span = span(
        r#"{"traceId":"1","id":"2","kind":"client","remoteEndpoint":{"serviceName":"db","port":"5432"},
          "tags":{"network.peer.port":"1"}}"#,
    );
    assert_eq!(
        pairs(&span.attributes),
        ["network.peer.port=1", "peer.service=db"]
    );
    assert_eq!(span.kind(), otlp::span::SpanKind::Client);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let good = r#"{"traceId":"1","id":"2"}"#;
    for (text, words) in [
        (
            format!(r#"[{good},{{"traceId":"xyz","id":"2"}}]"#),
            "span 1: traceId is not",
        ),
        (
            format!(r#"[{good},{{"traceId":"0","id":"2"}}]"#),
            "span 1: traceId is zero",
        ),
        (
            r#"[{"traceId":"1","id":"11112222333344445"}]"#.to_owned(),
            "id is not 1 to 16",
        ),
        (
            r#"[{"traceId":"1","id":"2","parentId":"-1"}]"#.to_owned(),
            "parentId is not",
        ),
        (r#"[{"traceId":"1"}]"#.to_owned(), "missing field `id`"),
        (
            r#"[{"traceId":"1","id":"2","duration":-4}]"#.to_owned(),
            "line 1 column",
        ),
        (format!("[{good}"), "EOF"),
        (format!("[{good}] x"), "trailing characters"),
        ("\"x\"".to_owned(), "expected struct Span"),
    ] {
        let refusal = refusal(&text);
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
    assert_eq!(request("[]").resource_spans.len(), 0);
    assert_eq!(request("").resource_spans.len(), 0);
}

#[test]
fn limits_hold_while_spans_are_read() {
    let limits = Limits {
        items: 2,
        ..Limits::default()
    };
    let spans = |n: usize| format!("[{}]", vec![r#"{"traceId":"1","id":"2"}"#; n].join(","));
    translate(spans(2).as_bytes(), &limits).unwrap();
    let refused = translate(spans(3).as_bytes(), &limits).unwrap_err();
    assert!(matches!(refused, Refused::TooLarge(_)), "{refused:?}");
}
