//! Protocols beside OTLP: what comes through, and what their senders are answered.

use petrel_receiver::{ReceiverConfig, Refused};
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
