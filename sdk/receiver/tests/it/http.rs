//! OTLP/HTTP, row by row of the conformance list.

use std::io::Write as _;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};
use petrel_receiver::{ReceiverConfig, Refused, ServeConfig};
use petrel_wire::{
    Limits,
    otlp::{fields::put_len, response},
};
use prost::Message as _;
use reqwest::{Method, RequestBuilder, Response};

use crate::door::{Remembering, Served, client, spans};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

async fn post(served: &Served, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
    request(served)
        .header("content-type", content_type)
        .body(body)
        .send()
        .await
        .unwrap()
}

fn request(served: &Served) -> RequestBuilder {
    client().post(served.url("/v1/traces"))
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn protobuf_and_json_are_answered_in_their_own_type() {
    let served = Served::new(ReceiverConfig::default()).await;
    let body = spans(3).encode_to_vec();
    for content_type in [
        PROTOBUF,
        "application/protobuf",
        "Application/X-Protobuf; charset=utf-8",
    ] {
        let response = post(&served, content_type, body.clone()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), PROTOBUF);
        assert_eq!(response.bytes().await.unwrap(), "");
    }
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a",
         "startTimeUnixNano":"1","endTimeUnixNano":2,"kind":1,"unheardOf":{}}]}]}]}"#;
    let response = post(&served, "application/json; charset=utf-8", json).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), JSON);
    assert_eq!(response.text().await.unwrap(), "{}");
    let bodies = served.door.bodies();
    assert_eq!(bodies.len(), 4);
    assert_eq!(bodies[0], body, "what nobody changes stays as it came");
}

#[tokio::test]
async fn every_encoding_is_unpacked() {
    let served = Served::new(ReceiverConfig::default()).await;
    let body = spans(500).encode_to_vec();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&body).unwrap();
    let half = body.len() / 2;
    for (encoding, packed) in [
        ("identity", body.clone()),
        ("gzip", gzip(&body)),
        ("gzip", [gzip(&body[..half]), gzip(&body[half..])].concat()),
        ("deflate", zlib.finish().unwrap()),
        ("zstd", zstd::bulk::compress(&body, 3).unwrap()),
    ] {
        let response = request(&served)
            .header("content-type", PROTOBUF)
            .header("content-encoding", encoding)
            .body(packed)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{encoding}");
    }
    assert!(served.door.bodies().iter().all(|one| *one == body));
    assert_eq!(served.door.bodies().len(), 5);
}

#[tokio::test]
async fn what_nobody_reads_here_is_unsupported() {
    let served = Served::new(ReceiverConfig::default()).await;
    for content_type in ["text/plain", "application/grpc", "", "application/jsonx"] {
        let response = post(&served, content_type, "x").await;
        assert_eq!(response.status(), 415, "{content_type}");
        assert!(
            response
                .text()
                .await
                .unwrap()
                .contains("application/x-protobuf")
        );
    }
    for encoding in ["br", "gzip, zstd"] {
        let response = request(&served)
            .header("content-type", PROTOBUF)
            .header("content-encoding", encoding)
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 415, "{encoding}");
        assert!(header(&response, "accept-encoding").contains("zstd"));
    }
    let response = client().get(served.url("/v1/traces")).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(header(&response, "allow"), "POST");
    let elsewhere = client()
        .post(served.url("/v1/profiles"))
        .send()
        .await
        .unwrap();
    assert_eq!(elsewhere.status(), 404);
}

#[tokio::test]
async fn nothing_to_keep_is_a_success() {
    let served = Served::new(ReceiverConfig::default()).await;
    for (content_type, body) in [
        (PROTOBUF, Vec::new()),
        (PROTOBUF, spans(0).encode_to_vec()),
        (JSON, b"{}".to_vec()),
        (JSON, br#"{"resourceSpans":[]}"#.to_vec()),
        (JSON, Vec::new()),
    ] {
        assert_eq!(
            post(&served, content_type, body).await.status(),
            200,
            "{content_type}"
        );
    }
    assert_eq!(
        served.door.bodies().len(),
        0,
        "the door is not asked to owe for nothing"
    );
}

#[tokio::test]
async fn broken_bodies_are_told_what_is_wrong_in_the_type_they_came_in() {
    let served = Served::new(ReceiverConfig::default()).await;
    let whole = gzip(&spans(10).encode_to_vec());
    for (encoding, body) in [
        ("identity", b"\xff\xff\xff\xff".to_vec()),
        ("gzip", whole[..whole.len() / 2].to_vec()),
        ("gzip", b"not gzip".to_vec()),
        (
            "zstd",
            [zstd::bulk::compress(b"", 1).unwrap(), b"garbage".to_vec()].concat(),
        ),
    ] {
        let response = request(&served)
            .header("content-type", PROTOBUF)
            .header("content-encoding", encoding)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 400, "{encoding}");
        assert_eq!(header(&response, "content-type"), PROTOBUF);
        let words = response::status_message(&response.bytes().await.unwrap()).unwrap();
        assert!(!words.is_empty());
    }
    let response = post(&served, JSON, "{\"resourceSpans\": [").await;
    assert_eq!(response.status(), 400);
    assert_eq!(header(&response, "content-type"), JSON);
    let words = response.text().await.unwrap();
    assert!(
        words.contains("\"code\":3") && words.contains("\"message\""),
        "{words}"
    );
    assert_eq!(served.door.refused.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_request_for_another_signal_is_refused_and_not_lost() {
    let served = Served::new(ReceiverConfig::default()).await;
    // Field 2 at the top is of no signal.
    let response = post(&served, PROTOBUF, b"\x12\x03abc".to_vec()).await;
    assert_eq!(response.status(), 400);
    let words = response::status_message(&response.bytes().await.unwrap()).unwrap();
    assert!(words.contains("another endpoint"), "{words}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_and_after_unpacking() {
    let limits = Limits {
        request_bytes: 10_000,
        ..Limits::default()
    };
    let served = Served::new(ReceiverConfig {
        limits,
        ..ReceiverConfig::default()
    })
    .await;
    let large = spans(1000).encode_to_vec();
    for (encoding, body) in [
        ("identity", large.clone()),
        ("gzip", gzip(&large)),
        ("zstd", zstd::bulk::compress(&large, 1).unwrap()),
        (
            "zstd",
            zstd::bulk::compress(&vec![0; 500 << 20], 1).unwrap(),
        ),
    ] {
        let response = request(&served)
            .header("content-type", PROTOBUF)
            .header("content-encoding", encoding)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 413, "{encoding}");
        assert_eq!(
            header(&response, "retry-after"),
            "",
            "it must not come again as it is"
        );
    }
    // Without a length in front: the sender sees the refusal, and not a broken connection.
    let pieces = (0..20).map(|_| Ok::<_, std::io::Error>(vec![0; 1 << 20]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    assert_eq!(post(&served, PROTOBUF, body).await.status(), 413);
}

#[tokio::test]
async fn more_items_than_allowed_are_counted_without_being_built() {
    let served = Served::new(ReceiverConfig::default()).await;
    // Two bytes an empty span, behind one resource and scope.
    let spans = [0x12, 0x00].repeat(1 << 20);
    let nest = |field: u32, inner: &[u8]| {
        let mut out = Vec::new();
        put_len(&mut out, field, inner);
        out
    };
    let body = nest(1, &nest(2, &spans));
    let response = post(&served, PROTOBUF, body).await;
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn a_door_that_refuses_is_repeated_with_its_status_and_when_to_come_again() {
    let served = Served::new(ReceiverConfig::default()).await;
    for (refused, status) in [
        (Refused::busy("the journal is full"), 503),
        (
            Refused::Throttled {
                after: Duration::from_millis(2500),
                reason: "slower".to_owned(),
            },
            429,
        ),
        (Refused::Unauthenticated("no DSN".to_owned()), 401),
        (
            Refused::Conflict("known with other content".to_owned()),
            409,
        ),
    ] {
        *served.door.answer.lock().unwrap() = Some(refused.clone());
        let response = post(&served, PROTOBUF, spans(1).encode_to_vec()).await;
        assert_eq!(response.status(), status);
        let after = header(&response, "retry-after").parse::<u64>().ok();
        assert_eq!(after.is_some(), refused.retry_after().is_some(), "{status}");
        if status == 429 {
            assert_eq!(after, Some(3));
        }
        let body = response.bytes().await.unwrap();
        assert_eq!(response::status_message(&body), Some(refused.to_string()));
    }
}

#[tokio::test]
async fn who_may_not_come_in_is_told_before_the_body_is_read() {
    let served = Served::new(ReceiverConfig::default()).await;
    *served.door.admission.lock().unwrap() = Some(Refused::Unauthenticated("no DSN".to_owned()));
    // A body that never comes: the answer does not wait for it.
    let body =
        reqwest::Body::wrap_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
    let response = post(&served, PROTOBUF, body).await;
    assert_eq!(response.status(), 401);
    assert_eq!(header(&response, "www-authenticate"), "Bearer");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_time_out_and_gives_its_memory_back() {
    let config = ReceiverConfig {
        body_idle: Duration::from_millis(100),
        budget_bytes: 64 << 10,
        limits: Limits {
            request_bytes: 60 << 10,
            ..Limits::default()
        },
        ..ReceiverConfig::default()
    };
    let served = Served::new(config).await;
    let slow = || {
        let body =
            reqwest::Body::wrap_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
        request(&served)
            .header("content-type", PROTOBUF)
            .header("content-length", 50 << 10)
            .body(body)
            .send()
    };
    let (first, second) = tokio::join!(slow(), slow());
    let mut statuses = [
        first.unwrap().status().as_u16(),
        second.unwrap().status().as_u16(),
    ];
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [408, 503],
        "one held the memory, the other was told to come again"
    );
    assert_eq!(
        post(&served, PROTOBUF, spans(1).encode_to_vec())
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn rejected_items_are_told_in_a_partial_success() {
    let door = Remembering {
        rejects: 2,
        ..Remembering::default()
    };
    let served = Served::with(door, ReceiverConfig::default(), ServeConfig::default()).await;
    let response = post(&served, PROTOBUF, spans(3).encode_to_vec()).await;
    assert_eq!(response.status(), 200);
    let partial = response::read(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(
        (partial.rejected, partial.message.as_str()),
        (2, "not these")
    );
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}"#;
    let words = post(&served, JSON, json).await.text().await.unwrap();
    assert!(
        words.contains("rejectedSpans") && words.contains("not these"),
        "{words}"
    );
}

#[tokio::test]
async fn browsers_may_send_only_where_that_is_wanted() {
    for cors in [true, false] {
        let config = ReceiverConfig {
            cors,
            ..ReceiverConfig::default()
        };
        let served = Served::new(config).await;
        let asked = client()
            .request(Method::OPTIONS, served.url("/v1/traces"))
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST")
            .send()
            .await
            .unwrap();
        let allowed = header(&asked, "access-control-allow-headers").to_owned();
        assert_eq!(asked.status(), if cors { 204 } else { 405 });
        assert_eq!(allowed.contains("uptrace-dsn"), cors);
        let answered = post(&served, PROTOBUF, spans(1).encode_to_vec()).await;
        let origin = header(&answered, "access-control-allow-origin");
        assert_eq!(origin, if cors { "*" } else { "" });
    }
}
