//! Protocols beside OTLP: what comes through, and what their senders are answered.

use petrel_receiver::{ReceiverConfig, Refused};
use petrel_wire::otlp::fields::{put_fixed64, put_len, put_varint_field};
use reqwest::{Method, Response};

use crate::door::{Served, client};

const SPAN: &str = r#"[{"traceId":"5982fe77008310cc80f1da5e10147517","id":"bd7a977555f6b982"}]"#;

async fn zipkin(served: &Served, method: Method, headers: &[(&str, &str)], body: &str) -> Response {
    let mut request = client().request(method, served.url("/api/v2/spans"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_owned()).send().await.unwrap()
}

#[tokio::test]
async fn zipkins_spans_are_accepted_in_its_own_words() {
    let served = Served::new(ReceiverConfig::default()).await;
    for content_type in [
        "application/json",
        "application/json; charset=UTF-8",
        "application/x-ndjson",
    ] {
        let response = zipkin(
            &served,
            Method::POST,
            &[("content-type", content_type)],
            SPAN,
        )
        .await;
        assert_eq!(response.status(), 202, "{content_type}");
        assert_eq!(response.text().await.unwrap(), "");
    }
    let packed = zstd::bulk::compress(SPAN.as_bytes(), 1).unwrap();
    let response = client()
        .post(served.url("/api/v2/spans"))
        .header("content-encoding", "zstd")
        .body(packed)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(served.door.bodies().len(), 4);
    assert!(
        served
            .door
            .bodies()
            .iter()
            .all(|body| *body == served.door.bodies()[0])
    );
}

#[tokio::test]
async fn a_refusal_is_plain_text_with_a_code_that_its_sender_understands() {
    let served = Served::new(ReceiverConfig::default()).await;
    let json = ("content-type", "application/json");
    let wrong = zipkin(&served, Method::POST, &[json], "{").await;
    assert_eq!(wrong.status(), 400);
    assert_eq!(wrong.headers()["content-type"], "text/plain; charset=utf-8");
    assert!(wrong.text().await.unwrap().contains("EOF"));
    let get = zipkin(&served, Method::GET, &[], "").await;
    assert_eq!(
        (
            get.status().as_u16(),
            get.headers()["allow"].to_str().unwrap()
        ),
        (405, "POST")
    );
    let thrift = zipkin(
        &served,
        Method::POST,
        &[("content-type", "application/x-thrift")],
        "",
    )
    .await;
    assert_eq!(thrift.status(), 415);
    assert!(thrift.text().await.unwrap().contains("application/json"));
    for (refused, status) in [
        (Refused::busy("full"), 503),
        // A code below 500 would make its sender throw the spans away.
        (Refused::TooSlow("late".to_owned()), 503),
        (Refused::Unauthenticated("no DSN".to_owned()), 401),
    ] {
        *served.door.answer.lock().unwrap() = Some(refused.clone());
        let response = zipkin(&served, Method::POST, &[json], SPAN).await;
        assert_eq!(response.status(), status, "{refused:?}");
        let waits = response.headers().contains_key("retry-after");
        assert_eq!(waits, refused.retry_after().is_some(), "{refused:?}");
    }
    assert_eq!(served.door.bodies().len(), 0);
    assert_eq!(
        served.door.refused.lock().unwrap().len(),
        6,
        "each was told to the door"
    );
}

#[tokio::test]
async fn who_may_not_come_in_is_told_before_the_body_is_read() {
    let served = Served::new(ReceiverConfig::default()).await;
    let words = "no DSN".to_owned();
    *served.door.admission.lock().unwrap() = Some(Refused::Unauthenticated(words));
    // The body is no JSON, and nobody looks.
    let json = ("content-type", "application/json");
    let response = zipkin(&served, Method::POST, &[json], "{").await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.text().await.unwrap(), "no DSN");
}

/// The least that is a write request of either version, packed.
fn write_request(version: u8) -> Vec<u8> {
    let mut series = Vec::new();
    let mut request = Vec::new();
    if version == 1 {
        let mut label = Vec::new();
        put_len(&mut label, 1, b"__name__");
        put_len(&mut label, 2, b"up");
        put_len(&mut series, 1, &label);
    } else {
        for symbol in ["", "__name__", "up"] {
            put_len(&mut request, 4, symbol.as_bytes());
        }
        put_len(&mut series, 1, &[1, 2]);
    }
    let mut sample = Vec::new();
    put_fixed64(&mut sample, 1, 1.0_f64.to_bits());
    put_varint_field(&mut sample, 2, 1_700_000_000_000);
    put_len(&mut series, 2, &sample);
    put_len(&mut request, if version == 1 { 1 } else { 5 }, &series);
    snap::raw::Encoder::new().compress_vec(&request).unwrap()
}

async fn push(served: &Served, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = client().post(served.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn remote_write_is_taken_in_both_versions_and_the_second_is_told_how_much() {
    let served = Served::new(ReceiverConfig::default()).await;
    let snappy = ("content-encoding", "snappy");
    let one = ("content-type", "application/x-protobuf");
    for path in ["/api/v1/write", "/api/v1/prometheus/write"] {
        let response = push(&served, path, &[one, snappy], write_request(1)).await;
        assert_eq!(response.status(), 204, "{path}");
    }
    let two = (
        "content-type",
        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    );
    let response = push(&served, "/api/v1/write", &[two, snappy], write_request(2)).await;
    assert_eq!(response.status(), 204);
    assert_eq!(
        response.headers()["x-prometheus-remote-write-samples-written"],
        "1"
    );
    assert_eq!(
        response.headers()["x-prometheus-remote-write-histograms-written"],
        "0"
    );
    let bodies = served.door.bodies();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| *body == bodies[0]));

    let other = (
        "content-type",
        "application/x-protobuf;proto=prometheus.Other",
    );
    for (headers, status) in [
        ([other, snappy], 415),
        ([one, ("content-encoding", "gzip")], 415),
        // Told apart before its samples are lost.
        ([two, snappy], 400),
    ] {
        let response = push(&served, "/api/v1/write", &headers, write_request(1)).await;
        assert_eq!(response.status(), status, "{headers:?}");
    }
}

#[tokio::test]
async fn lokis_pushes_are_taken_in_json_and_in_protobuf() {
    let served = Served::new(ReceiverConfig::default()).await;
    let text =
        r#"{"streams":[{"stream":{"app":"till"},"values":[["1700000000000000000","hello"]]}]}"#;
    let json = ("content-type", "application/json");
    let response = push(&served, "/loki/api/v1/push", &[json], text.into()).await;
    assert_eq!(response.status(), 204);
    let (mut entry, mut time) = (Vec::new(), Vec::new());
    put_varint_field(&mut time, 1, 1_700_000_000);
    put_len(&mut entry, 1, &time);
    put_len(&mut entry, 2, b"hello");
    let (mut stream, mut request) = (Vec::new(), Vec::new());
    put_len(&mut stream, 1, br#"{app="till"}"#);
    put_len(&mut stream, 2, &entry);
    put_len(&mut request, 1, &stream);
    let packed = snap::raw::Encoder::new().compress_vec(&request).unwrap();
    // Its clients pack with snappy and do not say so.
    let protobuf = ("content-type", "application/x-protobuf");
    let response = push(&served, "/loki/api/v1/push", &[protobuf], packed).await;
    assert_eq!(response.status(), 204);
    let bodies = served.door.bodies();
    assert_eq!((bodies.len(), &bodies[0]), (2, &bodies[1]));
}
