//! Protocols, connections and stopping.

use std::path::Path;
use std::time::Duration;

use petrel_receiver::{ReceiverConfig, ServeConfig, Tls};
use prost::Message as _;
use reqwest::Version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::door::{Remembering, Served, client, client_builder, spans};

/// Sends bytes and reads until the answer has `until` in it.
async fn raw(stream: &mut TcpStream, bytes: &[u8], until: &str) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = async {
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&answer).contains(until) {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(n) => answer.extend_from_slice(&piece[..n]),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("an answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A body that is sent as the test goes on.
struct Pieces(tokio::sync::mpsc::Sender<Vec<u8>>);

impl Pieces {
    async fn send(&mut self, piece: Vec<u8>) {
        self.0.send(piece).await.unwrap();
    }
}

fn pieces() -> (Pieces, reqwest::Body) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let stream = futures_util::StreamExt::map(stream, Ok::<Vec<u8>, std::io::Error>);
    (Pieces(sender), reqwest::Body::wrap_stream(stream))
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_on_one_port() {
    let served = Served::new(ReceiverConfig::default()).await;
    let body = spans(1).encode_to_vec();
    let prior = client_builder().http2_prior_knowledge().build().unwrap();
    for (client, version) in [(client(), Version::HTTP_11), (prior, Version::HTTP_2)] {
        let response = client
            .post(served.url("/v1/traces"))
            .header("content-type", "application/x-protobuf")
            .body(body.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, version)
        );
    }
}

#[tokio::test]
async fn a_sender_that_asks_first_is_told_to_go_on() {
    let served = Served::new(ReceiverConfig::default()).await;
    let body = spans(1).encode_to_vec();
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let answer = raw(&mut stream, head.as_bytes(), "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    let answer = raw(&mut stream, &body, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn two_lengths_for_one_body_are_a_bad_request() {
    let served = Served::new(ReceiverConfig::default()).await;
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 2\r\ncontent-length: 3\r\n\r\n{}";
    let answer = raw(&mut stream, head.as_bytes(), "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn a_connection_is_kept_after_a_refusal() {
    let served = Served::new(ReceiverConfig::default()).await;
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    for _ in 0..3 {
        let request = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n\
                       content-length: 5\r\n\r\nhello";
        let answer = raw(&mut stream, request.as_bytes(), "}").await;
        assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    }
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_refuses_new_ones() {
    let served = Served::new(ReceiverConfig::default()).await;
    let mut idle = TcpStream::connect(served.addr).await.unwrap();
    served.stop.cancel();
    let closed = async { idle.read(&mut [0; 1]).await };
    let closed = tokio::time::timeout(Duration::from_secs(10), closed).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))));
    let gone = async { while TcpStream::connect(served.addr).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("the listener is closed");
}

#[tokio::test]
async fn what_is_in_flight_when_we_stop_is_answered_and_its_sender_told_to_leave() {
    let served = Served::new(ReceiverConfig::default()).await;
    let body = spans(100).encode_to_vec();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    // Being told to go on, we know that the request has begun.
    let answer = raw(&mut stream, head.as_bytes(), "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    served.stop.cancel();
    let gone = async { while TcpStream::connect(served.addr).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("the listener is closed");
    let answer = raw(&mut stream, &body, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(served.door.bodies(), [body]);
}

#[tokio::test]
async fn with_http2_a_stop_ends_the_connection_after_the_last_answer() {
    let served = Served::new(ReceiverConfig::default()).await;
    let stream = TcpStream::connect(served.addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    let connection = tokio::spawn(connection);
    let post = |body: reqwest::Body| {
        http::Request::post(served.url("/v1/traces"))
            .header("content-type", "application/x-protobuf")
            .body(body)
            .unwrap()
    };
    let whole = spans(10).encode_to_vec();
    let first = sender.send_request(post(whole.clone().into())).await;
    assert_eq!(first.unwrap().status(), 200);
    let (mut sending, body) = pieces();
    let second = tokio::spawn(sender.send_request(post(body)));
    sending.send(whole[..9].to_vec()).await;
    served.stop.cancel();
    sending.send(whole[9..].to_vec()).await;
    drop(sending);
    let second = tokio::time::timeout(Duration::from_secs(10), second).await;
    assert_eq!(second.unwrap().unwrap().unwrap().status(), 200);
    let ended = tokio::time::timeout(Duration::from_secs(10), connection).await;
    ended.expect("GOAWAY").unwrap().unwrap();
    assert!(sender.send_request(post(whole.into())).await.is_err());
}

#[tokio::test]
async fn a_changed_certificate_is_offered_without_a_restart_and_a_broken_one_is_not() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let dir = tempfile::tempdir().unwrap();
    let put = |from_name: &str, name: &str| {
        // As tools that renew certificates do: whole files, swapped in.
        let beside = dir.path().join("beside");
        std::fs::copy(from.join(from_name), &beside).unwrap();
        std::fs::rename(beside, dir.path().join(name)).unwrap();
    };
    put("cert.pem", "cert.pem");
    put("key.pem", "key.pem");
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let serving = ServeConfig {
        tls: Some(Tls::load(&cert, &key, None).unwrap()),
        tls_look: Duration::from_millis(10),
        ..ServeConfig::default()
    };
    let served = Served::with(Remembering::default(), ReceiverConfig::default(), serving).await;
    // A new connection each time, which trusts this certificate and no other.
    let trusts = async |name: &str| {
        let pem = std::fs::read(from.join(name)).unwrap();
        let root = reqwest::Certificate::from_pem(&pem).unwrap();
        let client = client_builder().tls_certs_only([root]).build().unwrap();
        let url = served.url("/v1/traces").replace("http:", "https:");
        client.get(url).send().await.is_ok()
    };
    let (old, new) = ("cert.pem", "next-cert.pem");
    assert!(trusts(old).await && !trusts(new).await);
    let kept = {
        let root = reqwest::Certificate::from_pem(&std::fs::read(from.join(old)).unwrap());
        client_builder()
            .tls_certs_only([root.unwrap()])
            .build()
            .unwrap()
    };
    let url = served.url("/v1/traces").replace("http:", "https:");
    kept.get(&url).send().await.unwrap();

    // For a moment the files do not go together; then they do.
    put("next-cert.pem", "cert.pem");
    for _ in 0..5 {
        assert!(trusts(old).await, "the one before stays");
    }
    put("next-key.pem", "key.pem");
    let changed = async { while !trusts(new).await {} };
    tokio::time::timeout(Duration::from_secs(20), changed)
        .await
        .expect("the new certificate is offered");
    assert!(!trusts(old).await);
    kept.get(&url).send().await.expect("old connections go on");
}

#[tokio::test]
async fn with_tls_both_versions_are_negotiated_and_plain_senders_are_not_served() {
    let file = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/tls")
            .join(name)
    };
    let serving = ServeConfig {
        tls: Some(Tls::load(&file("cert.pem"), &file("key.pem"), None).unwrap()),
        ..ServeConfig::default()
    };
    let served = Served::with(Remembering::default(), ReceiverConfig::default(), serving).await;
    let root = reqwest::Certificate::from_pem(&std::fs::read(file("cert.pem")).unwrap()).unwrap();
    for (builder, version) in [
        (client_builder(), Version::HTTP_2),
        (client_builder().http1_only(), Version::HTTP_11),
    ] {
        let client = builder.tls_certs_only([root.clone()]).build().unwrap();
        let response = client
            .post(served.url("/v1/traces").replace("http:", "https:"))
            .header("content-type", "application/x-protobuf")
            .body(spans(1).encode_to_vec())
            .send()
            .await
            .unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, version)
        );
    }
    let plain = client()
        .post(served.url("/v1/traces"))
        .body("x")
        .send()
        .await;
    assert!(plain.is_err());
}

#[test]
fn a_certificate_without_its_key_is_named() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let why = Tls::load(&dir.join("cert.pem"), &dir.join("none.pem"), None).unwrap_err();
    assert!(why.to_string().contains("none.pem"), "{why}");
}

#[tokio::test]
async fn as_many_connections_as_allowed_are_served_and_the_next_one_waits() {
    let serving = ServeConfig {
        max_connections: 1,
        ..ServeConfig::default()
    };
    let served = Served::with(Remembering::default(), ReceiverConfig::default(), serving).await;
    let first = TcpStream::connect(served.addr).await.unwrap();
    let mut second = TcpStream::connect(served.addr).await.unwrap();
    let request = b"GET /v1/traces HTTP/1.1\r\nhost: x\r\n\r\n";
    second.write_all(request).await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(200), second.read(&mut [0; 1])).await;
    assert!(waits.is_err(), "nobody answers while the first is there");
    drop(first);
    let answer = raw(&mut second, b"", "HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}
