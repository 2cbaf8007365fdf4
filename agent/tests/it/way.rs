//! The way to the peer: proxies, limits, and links that fall silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::authority::{Authority, Valid};
use crate::harness::{Reply, Site, until};

/// An HTTP proxy that connects to `upstream`, whatever it is asked for, if it is shown
/// `me:hunter2`. Returns its address and how many tunnels it has made.
async fn proxy(upstream: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let made = Arc::clone(&tunnels);
    tokio::spawn(async move {
        loop {
            let (mut down, _) = listener.accept().await.unwrap();
            let made = Arc::clone(&made);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(down.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                // Base64 of me:hunter2, in lower case as the rest.
                if !head.contains("proxy-authorization: basic bwu6ahvudgvymg==") {
                    let answer = b"HTTP/1.1 407 Who are you?\r\ncontent-length: 0\r\n\r\n";
                    return down.write_all(answer).await.unwrap();
                }
                assert!(head.starts_with("connect petrel.example:443 "), "{head}");
                made.fetch_add(1, SeqCst);
                let mut up = TcpStream::connect(upstream).await.unwrap();
                down.write_all(b"HTTP/1.1 200 Go on\r\n\r\n").await.unwrap();
                drop(copy_bidirectional(&mut down, &mut up).await);
            });
        }
    });
    (address, tunnels)
}

async fn behind_a_proxy(credentials: &str) -> (Site, Arc<AtomicUsize>) {
    let authority = Authority::new("theirs");
    let server = Authority::server(&authority.issue("petrel.example", Valid::Now), None);
    let mut site = Site::with_tls(server, |_| Reply::Echo);
    let (proxy, tunnels) = proxy(site.peer.address).await;
    site.write("ca.pem", &authority.pem);
    site.extra = format!(
        "forward: {{ endpoint: 'https://petrel.example', proxy: 'http://{credentials}{proxy}', \
         tls: {{ ca_file: ca.pem }} }}\n"
    );
    (site, tunnels)
}

#[tokio::test]
async fn an_https_peer_is_reached_through_a_proxy_that_wants_a_password() {
    let (site, tunnels) = behind_a_proxy("me:hunter2@").await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["through"]).await, 200);
    agent.delivered(1).await;
    assert!(tunnels.load(SeqCst) > 0);
    let shown = agent.report().forward.proxy.unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    agent.stop().await;
}

#[tokio::test]
async fn a_proxy_that_does_not_know_us_parks_the_data_and_is_named() {
    let (site, _) = behind_a_proxy("").await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["kept"]).await, 200);
    until("it is parked", || agent.report().forward.state == "parked").await;
    let report = agent.report();
    let reason = report.forward.reason.unwrap();
    assert!(
        reason.contains("407") && reason.contains("forward.proxy"),
        "{reason}"
    );
    assert_eq!(report.signals[1].here, 1);
    agent.stop().await;
}

#[tokio::test]
async fn an_http_peer_is_asked_for_through_the_proxy_by_its_full_address() {
    let mut site = Site::with(|_| Reply::Echo).await;
    // The peer plays the proxy.
    site.extra = format!(
        "forward: {{ endpoint: 'http://petrel.example:4318', proxy: 'http://{}' }}\n",
        site.peer.address
    );
    let agent = site.agent().await;
    assert_eq!(agent.send(&["through"]).await, 200);
    agent.delivered(1).await;
    assert_eq!(site.peer.seen()[0].header("host"), "petrel.example:4318");
    agent.stop().await;
}

#[tokio::test]
async fn bodies_are_written_no_faster_than_the_limit_and_status_says_so() {
    let mut site = Site::with(|_| Reply::Plain).await;
    site.extra = "forward: { compression: none, bandwidth: { limit: 64KiB/s } }\n".to_owned();
    let agent = site.agent().await;
    let text = "x".repeat(96 << 10);
    let started = Instant::now();
    assert_eq!(agent.send(&[&text]).await, 200);
    agent.delivered(1).await;
    // A quarter of a second's worth may go at once.
    assert!(
        started.elapsed() > Duration::from_millis(1100),
        "{:?}",
        started.elapsed()
    );
    let seen = &site.peer.seen()[0];
    assert_eq!(seen.header("content-length"), seen.body.len().to_string());
    let report = agent.report();
    assert_eq!(report.forward.limit, "64KiB/s");
    assert!(report.forward.limited_seconds > 0.5);
    let page = petrel_agent::status::page(&report);
    assert!(page.contains("limited to 64KiB/s"), "{page}");
    agent.stop().await;
}

#[tokio::test]
async fn at_times_without_bandwidth_data_is_kept() {
    let mut site = Site::with(|_| Reply::Echo).await;
    site.extra = "forward: { bandwidth: { windows: [ { limit: 0 } ] } }\n".to_owned();
    let agent = site.agent().await;
    assert_eq!(agent.send(&["later"]).await, 200);
    assert_eq!(agent.report().forward.limit, "0");
    assert_eq!(agent.report().signals[1].here, 1);
    assert!(site.peer.seen().is_empty());
    agent.stop().await;
}

/// A relay whose connections can be made to carry nothing any more, without a word to either end.
async fn relay(upstream: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = Arc::new(AtomicBool::new(false));
    let falls_silent = Arc::clone(&silent);
    tokio::spawn(async move {
        loop {
            let (down, _) = listener.accept().await.unwrap();
            // Connections made after the silence began are fine: the peer has moved on.
            let born_in_silence = falls_silent.load(SeqCst);
            let up = TcpStream::connect(upstream).await.unwrap();
            let ((down_in, down_out), (up_in, up_out)) = (down.into_split(), up.into_split());
            for (mut from, mut to) in [(down_in, up_out), (up_in, down_out)] {
                let falls_silent = Arc::clone(&falls_silent);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 16 << 10];
                    while let Ok(read @ 1..) = from.read(&mut buffer).await {
                        if falls_silent.load(SeqCst) && !born_in_silence {
                            // Read and swallowed: nothing is ever reset.
                            continue;
                        }
                        if to.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        }
    });
    (address, silent)
}

/// How long it takes until a batch gets past a connection that fell silent.
async fn time_to_get_past_silence(mut site: Site) -> Duration {
    let (relay, silent) = relay(site.peer.address).await;
    site.peer.address = relay;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["before"]).await, 200);
    agent.delivered(1).await;
    silent.store(true, SeqCst);
    let started = Instant::now();
    assert_eq!(agent.send(&["after"]).await, 200);
    let delivered = async {
        while agent.report().signals[1].delivered < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), delivered)
        .await
        .expect("a silent connection is given up");
    let took = started.elapsed();
    assert_eq!(site.peer.stored(), ["before", "after"]);
    agent.stop().await;
    took
}

#[tokio::test]
async fn a_connection_that_fell_silent_is_given_up_within_20_seconds() {
    let site = Site::with(|_| Reply::Echo).await;
    let took = time_to_get_past_silence(site).await;
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test]
async fn an_encrypted_one_as_well() {
    let authority = Authority::new("theirs");
    let server = Authority::server(&authority.issue("127.0.0.1", Valid::Now), None);
    let mut site = Site::with_tls(server, |_| Reply::Echo);
    site.write("ca.pem", &authority.pem);
    site.extra = "forward: { tls: { ca_file: ca.pem } }\n".to_owned();
    let took = time_to_get_past_silence(site).await;
    assert!(took < Duration::from_secs(20), "{took:?}");
}
