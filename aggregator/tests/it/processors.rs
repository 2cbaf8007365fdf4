//! Processors between door and journal, with a store that is away: what is on the disk is what they
//! have left.

use std::path::Path;

use petrel_spool::{Spool, SpoolConfig};
use petrel_tests::process::artefact;
use petrel_wire::{AgentId, Batch, BatchId, Limits, Sealed, Signal, SystemClock};

use crate::guest::Guest;
use crate::sender::{Answer, get, post};
use crate::serve::Running;

const CANARY: &str = "canary91c2";

/// A log record whose body and attribute hold the canary as a secret.
fn secret() -> Batch {
    let secret = format!(r#"[{{"key":"secret","value":{{"stringValue":"{CANARY}"}}}}]"#);
    let text = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":{secret}}},"scopeLogs":[{{"logRecords":[
            {{"body":{{"stringValue":"password={CANARY}"}},"attributes":{secret}}}]}}]}}]}}"#
    );
    Batch::from_json(Signal::Logs, text.as_bytes(), &Limits::default()).unwrap()
}

async fn send(running: &Running, token: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
    let dsn = format!("http://{token}@localhost:14318?grpc=14317");
    let headers = [("content-type", kind), ("uptrace-dsn", dsn.as_str())];
    post(running.at.http, path, &headers, body).await
}

async fn send_secret(running: &Running, token: &str) -> Answer {
    let kind = "application/x-protobuf";
    send(running, token, "/v1/logs", kind, secret().bytes()).await
}

/// A section of one processor.
fn redact(more: &str) -> String {
    let plugin = artefact("target/plugins/redact.wasm");
    format!(
        "processors: [ {{ name: redact, plugin: {}, on_error: closed, {more} }} ]\n",
        plugin.display()
    )
}

/// Every batch of the journal by its project, unpacked.
async fn journal(dir: &Path) -> Vec<(u32, Vec<u8>)> {
    let journal = Spool::open(SpoolConfig::at(dir.join("journal")), SystemClock::shared()).unwrap();
    let (mut found, mut leases) = (Vec::new(), Vec::new());
    for _ in 0..journal.stats().entries {
        let lease = journal.lease().await.unwrap();
        let entry = lease.entry();
        let batch = entry.sealed.unpack(&Limits::default()).unwrap();
        found.push((entry.project.0, batch.bytes().to_vec()));
        leases.push(lease);
    }
    found
}

fn has(bytes: &[u8], needle: &str) -> bool {
    bytes
        .windows(needle.len())
        .any(|part| part == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_down_for_senders_without_an_agent_is_processed_in_every_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start_with(dir.path(), &redact("config: {}")).await;
    let answer = send_secret(&running, "one").await;
    assert_eq!(answer.status, 200, "{}", answer.words());
    let json = "application/json";
    let loki = format!(
        r#"{{"streams":[{{"stream":{{"api_token":"{CANARY}"}},"values":[["1","password={CANARY}"]]}}]}}"#
    );
    let answer = send(&running, "one", "/loki/api/v1/push", json, loki.as_bytes()).await;
    assert_eq!(answer.status, 204, "{}", answer.words());
    let zipkin = format!(
        r#"[{{"traceId":"5af7183fb1d4cf5f","id":"352bff9a74ca9ad2","name":"get","tags":{{"api_token":"{CANARY}"}}}}]"#
    );
    let answer = send(&running, "one", "/api/v2/spans", json, zipkin.as_bytes()).await;
    assert_eq!(answer.status, 202, "{}", answer.words());
    let metrics = get(running.at.http, "/metrics").await.words();
    let calls = "aggregator_processor_calls_total{processor=\"redact\"} 3";
    assert!(metrics.contains(calls), "{metrics}");
    running.stop().await;
    let found = journal(dir.path()).await;
    assert_eq!(found.len(), 3);
    for (_, bytes) in found {
        assert!(has(&bytes, "[redacted]") && !has(&bytes, CANARY));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_for_one_project_sees_that_project_alone() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start_with(dir.path(), &redact("projects: [2]")).await;
    for token in ["one", "two"] {
        assert_eq!(send_secret(&running, token).await.status, 200);
    }
    running.stop().await;
    let mut found = journal(dir.path()).await;
    found.sort();
    let has_canary = found.iter().map(|(id, bytes)| (*id, has(bytes, CANARY)));
    assert_eq!(has_canary.collect::<Vec<_>>(), [(1, true), (2, false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_closed_processor_fails_senders_come_again_and_nothing_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::that("unreachable");
    std::fs::write(dir.path().join("guest.wasm"), guest.component()).unwrap();
    let section = "processors: [ { plugin: guest.wasm, on_error: closed } ]\n";
    let running = Running::start_with(dir.path(), section).await;
    for _ in 0..6 {
        let answer = send_secret(&running, "one").await;
        assert_eq!(answer.status, 503, "{}", answer.words());
        assert!(answer.header("retry-after").is_some());
        assert!(answer.words().contains("processor guest"));
        assert!(!has(&answer.body, CANARY));
    }
    let health = get(running.at.http, "/health").await;
    assert_eq!(health.status, 503);
    let said = "processor guest (evil evil) kept failing and is off";
    assert!(health.words().contains(said), "{}", health.words());
    let metrics = get(running.at.http, "/metrics").await.words();
    let off = "aggregator_processor_off{processor=\"guest\"} 1";
    assert!(metrics.contains(off), "{metrics}");
    running.stop().await;
    assert!(journal(dir.path()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_an_agent_has_sealed_stays_what_its_name_says() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start_with(dir.path(), &redact("config: {}")).await;
    let batch = secret();
    let sealed = Sealed::pack(&batch);
    let id = BatchId {
        agent: AgentId(7),
        epoch: 1,
        seq: 1,
        hash: sealed.hash(),
    };
    let (dsn, id) = ("http://one@localhost:14318", id.to_string());
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "zstd"),
        ("uptrace-dsn", dsn),
        (BatchId::HEADER, id.as_str()),
    ];
    let answer = post(running.at.http, "/v1/logs", &headers, sealed.body()).await;
    assert_eq!(answer.status, 200, "{}", answer.words());
    running.stop().await;
    let [(_, bytes)] = journal(dir.path()).await.try_into().unwrap();
    assert_eq!(bytes, batch.bytes().as_ref());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_dropped_whole_is_answered_for_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = artefact("target/plugins/sample.wasm");
    let section = format!(
        "processors: [ {{ name: sample, plugin: {}, config: {{ ratio: 0 }} }} ]\n",
        plugin.display()
    );
    let running = Running::start_with(dir.path(), &section).await;
    let spans = crate::ingest::spans(5);
    let kind = "application/x-protobuf";
    let answer = send(&running, "one", "/v1/traces", kind, &spans).await;
    assert_eq!(answer.status, 200, "{}", answer.words());
    let metrics = get(running.at.http, "/metrics").await.words();
    let dropped = "aggregator_processor_dropped_items_total{processor=\"sample\"} 5";
    assert!(metrics.contains(dropped), "{metrics}");
    running.stop().await;
    assert!(journal(dir.path()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_processor_sends_to_another_project_is_written_down_for_that_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = artefact("target/plugins/route.wasm");
    let section = format!(
        "processors:\n  - name: route\n    plugin: {}\n    outputs: {{ other: {{ project: 2 }} }}\n    \
         config: {{ rules: [ {{ on: record, key: secret, to: {{ {CANARY}: other }} }} ] }}\n",
        plugin.display()
    );
    let running = Running::start_with(dir.path(), &section).await;
    let plain = r#"{"body":{"stringValue":"plain"}}"#;
    let text = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{plain},
            {{"body":{{"stringValue":"special"}},"attributes":[{{"key":"secret","value":{{"stringValue":"{CANARY}"}}}}]}}]}}]}}]}}"#
    );
    let kind = "application/json";
    let answer = send(&running, "one", "/v1/logs", kind, text.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.words());
    // All of it is another project's.
    assert_eq!(
        send(
            &running,
            "one",
            "/v1/logs",
            "application/x-protobuf",
            secret().bytes()
        )
        .await
        .status,
        200
    );
    let metrics = get(running.at.http, "/metrics").await.words();
    let routed = "aggregator_processor_routed_items_total{processor=\"route\",output=\"other\"} 2";
    assert!(metrics.contains(routed), "{metrics}");
    running.stop().await;
    let mut found = journal(dir.path()).await;
    found.sort_by_key(|(project, _)| *project);
    let projects: Vec<u32> = found.iter().map(|(project, _)| *project).collect();
    assert_eq!(projects, [1, 2, 2]);
    assert!(has(&found[0].1, "plain") && !has(&found[0].1, CANARY));
    assert!(
        found[1..]
            .iter()
            .all(|(_, bytes)| has(bytes, CANARY) && !has(bytes, "plain"))
    );
}
