//! In front: what an application is told, and what was done before it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use prost::Message as _;

use crate::harness::{Reply, Site, client, holds, logs, until};

#[tokio::test]
async fn a_batch_is_on_the_disk_before_its_sender_gets_an_answer() {
    let mut site = Site::with(|_| Reply::Echo).await;
    site.peer.kill().await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["durable-before-the-answer"]).await, 200);
    assert_eq!(agent.report().signals[1].spooled, 1);
    // Too short to be compressed away: the record is readable in the raw file.
    assert!(holds(&site.spool_dir(), b"durable-before-the-answer"));
    agent.balance();
    // Ended like a killed agent: nothing is flushed on the way out.
    drop(agent);
}

#[tokio::test]
async fn what_was_acknowledged_is_delivered_by_the_next_agent_on_the_same_disk() {
    let mut site = Site::with(|_| Reply::Echo).await;
    site.peer.kill().await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["first life"]).await, 200);
    agent.stop().await;
    site.peer.revive().await;
    let agent = site.agent().await;
    agent.delivered(1).await;
    assert_eq!(site.peer.stored(), ["first life"]);
    agent.stop().await;
}

#[tokio::test]
async fn json_gzip_and_zstd_come_in_and_protobuf_goes_out() {
    let site = Site::with(|_| Reply::Echo).await;
    let agent = site.agent().await;
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"stringValue":"from json"}}]}]}]}"#;
    let zstd = zstd::bulk::compress(&logs(&["from zstd"]).encode_to_vec(), 1).unwrap();
    for (kind, coding, body) in [
        ("application/json", "identity", json.as_bytes().to_vec()),
        ("application/x-protobuf", "zstd", zstd),
    ] {
        let request = client()
            .post(agent.http("/v1/logs"))
            .header("content-type", kind)
            .header("content-encoding", coding)
            .body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{kind} {coding}");
        assert_eq!(response.headers()["content-type"], kind);
    }
    agent.delivered(2).await;
    let stored: Vec<String> = site.peer.stored_once().into_iter().collect();
    assert_eq!(stored, ["from json", "from zstd"]);
    agent.stop().await;
}

#[tokio::test]
async fn garbage_is_refused_with_words_and_nothing_is_spooled() {
    let site = Site::with(|_| Reply::Echo).await;
    let agent = site.agent().await;
    for (kind, body, status) in [
        ("application/x-protobuf", "not protobuf", 400),
        ("application/json", "{\"resourceLogs\": 7}", 400),
        ("text/plain", "hello", 415),
    ] {
        let request = client()
            .post(agent.http("/v1/logs"))
            .header("content-type", kind)
            .body(body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status);
    }
    let report = agent.report();
    assert_eq!(report.signals[1].admitted, 0);
    let refused: u64 = report.refused_requests.iter().map(|(_, n)| n).sum();
    assert_eq!(refused, 3);
    agent.stop().await;
}

#[tokio::test]
async fn health_metrics_and_status_tell_the_same_story() {
    let away = Arc::new(AtomicBool::new(true));
    let script = Arc::clone(&away);
    let reply = move |_: &_| {
        if script.load(SeqCst) {
            return Reply::status(401);
        }
        Reply::Echo
    };
    let site = Site::with(reply).await;
    let agent = site.agent().await;
    let get = async |path: &str| {
        let response = client().get(agent.admin(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get("/health").await.0, 200);
    assert_eq!(agent.send(&["a", "b"]).await, 200);
    until("the agent is parked", || {
        agent.report().forward.state == "parked"
    })
    .await;
    let (status, body) = get("/health").await;
    assert_eq!(status, 200, "data is taken and kept");
    assert!(body.contains("degraded") && body.contains("401"), "{body}");
    let (_, metrics) = get("/metrics").await;
    for line in [
        "petrel_agent_admitted_items_total{signal=\"logs\"} 2",
        "petrel_agent_spool_here_items{signal=\"logs\"} 2",
        "petrel_agent_forward_parked 1",
        "petrel_agent_health 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let report = petrel_agent::status::ask(&agent.admin("")).await.unwrap();
    let page = petrel_agent::status::page(&report);
    assert!(page.contains("parked") && page.contains("401"), "{page}");
    assert!(!page.contains("secret_token") && !metrics.contains("secret_token"));
    away.store(false, SeqCst);
    agent.delivered(2).await;
    assert!(get("/health").await.1.contains("\"ok\""));
    agent.stop().await;
}
