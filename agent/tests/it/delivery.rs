//! Behind: what the agent makes of the answers of a peer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use petrel_wire::BatchId;
use tokio::time::Instant;

use crate::harness::{Reply, Seen, Site, until};

#[tokio::test]
async fn a_batch_travels_as_it_lies_on_the_disk_with_dsn_and_identity() {
    let site = Site::with(|_| Reply::Echo).await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["a", "b"]).await, 200);
    agent.delivered(2).await;
    let seen = &site.peer.seen()[0];
    assert_eq!(seen.path, "/v1/logs");
    assert_eq!(seen.header("content-type"), "application/x-protobuf");
    assert_eq!(seen.header("content-encoding"), "zstd");
    assert_eq!(seen.header("petrel-items"), "2");
    assert!(
        seen.header("uptrace-dsn")
            .starts_with("http://secret_token@")
    );
    assert!(seen.id().is_some());
    assert_eq!(agent.report().forward.peer, "petrel");
    agent.stop().await;
}

#[tokio::test]
async fn everything_is_delivered_once_after_the_peer_was_killed() {
    let mut site = Site::with(|_| Reply::Echo).await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["before"]).await, 200);
    agent.delivered(1).await;
    site.peer.kill().await;
    for n in 0..20 {
        assert_eq!(agent.send(&[&format!("meanwhile {n}")]).await, 200);
    }
    until("the agent waits", || {
        agent.report().forward.state == "waiting"
    })
    .await;
    site.peer.revive().await;
    agent.delivered(21).await;
    assert_eq!(site.peer.stored().len(), 21);
    assert_eq!(site.peer.stored_once().len(), 21);
    assert_eq!(agent.report().forward.state, "forwarding");
    agent.stop().await;
}

#[tokio::test]
async fn a_busy_peer_is_left_alone_for_as_long_as_it_asks() {
    let site = Site::with(|seen| match seen.number {
        0 => Reply::With(503, "retry-after", "1".to_owned()),
        _ => Reply::Echo,
    })
    .await;
    let agent = site.agent().await;
    let started = Instant::now();
    assert_eq!(agent.send(&["patience"]).await, 200);
    agent.delivered(1).await;
    assert!(started.elapsed() >= Duration::from_secs(1));
    let seen = site.peer.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].id(), seen[1].id(), "the same bytes, the same name");
    assert_eq!(seen[0].body, seen[1].body);
    agent.stop().await;
}

#[tokio::test]
async fn a_captive_portal_acknowledges_nothing_and_refuses_nothing() {
    let site = Site::with(|seen| match seen.number {
        0 => Reply::Other(200, "text/html", b"<html>Sign in</html>".to_vec()),
        1 => Reply::Other(400, "text/html", b"<html>Bad request</html>".to_vec()),
        2 => Reply::With(302, "location", "http://127.0.0.1:1/".to_owned()),
        3 => Reply::Other(200, "application/x-protobuf", b"<html>".to_vec()),
        _ => Reply::Echo,
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["still here"]).await, 200);
    agent.delivered(1).await;
    assert_eq!(site.peer.stored(), ["still here"]);
    assert_eq!(agent.report().signals[1].rejected, 0);
    agent.stop().await;
}

#[tokio::test]
async fn a_plain_otlp_peer_acknowledges_without_echo() {
    let site = Site::with(|_| Reply::Plain).await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["to anybody"]).await, 200);
    agent.delivered(1).await;
    assert_eq!(agent.report().forward.peer, "otlp");
    agent.stop().await;
}

#[tokio::test]
async fn a_peer_that_has_echoed_is_held_to_it() {
    let site = Site::with(|seen| match seen.number {
        1 | 2 => Reply::Other(200, "application/x-protobuf", Vec::new()),
        3 => Reply::With(200, BatchId::HEADER, "0:1:2:3".to_owned()),
        _ => Reply::Echo,
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["first"]).await, 200);
    agent.delivered(1).await;
    assert_eq!(agent.send(&["second"]).await, 200);
    agent.delivered(2).await;
    assert_eq!(site.peer.seen().len(), 5);
    assert_eq!(site.peer.stored(), ["first", "second"]);
    agent.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_split_until_it_fits() {
    let site = Site::with(|seen| match seen.records().len() {
        0..=3 => Reply::Echo,
        _ => Reply::status(413),
    })
    .await;
    let agent = site.agent().await;
    let bodies: Vec<String> = (0..20).map(|n| format!("record {n}")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    assert_eq!(agent.send(&bodies).await, 200);
    agent.delivered(20).await;
    assert_eq!(site.peer.stored().len(), 20);
    assert_eq!(site.peer.stored_once().len(), 20);
    agent.stop().await;
}

#[tokio::test]
async fn a_single_item_that_is_too_large_is_set_aside_and_the_rest_goes_on() {
    let site = Site::with(|seen| {
        if seen.records().iter().any(|r| r == "whale") {
            return Reply::status(413);
        }
        Reply::Echo
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["minnow", "whale", "sprat"]).await, 200);
    agent.delivered(2).await;
    let stored: Vec<String> = site.peer.stored_once().into_iter().collect();
    assert_eq!(stored, ["minnow", "sprat"]);
    assert_eq!(agent.report().signals[1].rejected, 1);
    agent.stop().await;
}

#[tokio::test]
async fn bad_data_is_set_aside_with_the_peers_words_and_the_next_batch_goes_on() {
    let site = Site::with(|seen| {
        if seen.records().iter().any(|r| r == "poison") {
            return Reply::status(400);
        }
        Reply::Echo
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["good"]).await, 200);
    agent.delivered(1).await;
    assert_eq!(agent.send(&["poison"]).await, 200);
    until("it is set aside", || {
        agent.report().signals[1].rejected == 1
    })
    .await;
    assert_eq!(agent.send(&["better"]).await, 200);
    agent.delivered(2).await;
    assert_eq!(site.peer.stored(), ["good", "better"]);
    agent.stop().await;
}

#[tokio::test]
async fn only_the_poisonous_items_of_a_batch_are_set_aside() {
    let poison = |record: &String| record.starts_with("poison");
    let site = Site::with(move |seen| {
        if seen.records().iter().any(poison) {
            return Reply::status(400);
        }
        Reply::Echo
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["first"]).await, 200);
    agent.delivered(1).await;
    let mut bodies: Vec<String> = (0..40).map(|n| format!("record {n}")).collect();
    bodies[7] = "poison 7".to_owned();
    bodies[31] = "poison 31".to_owned();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    assert_eq!(agent.send(&bodies).await, 200);
    agent.delivered(39).await;
    let logs = agent.report().signals[1].clone();
    assert_eq!((logs.delivered, logs.rejected), (39, 2));
    assert_eq!(site.peer.stored().len(), 39, "each once");
    assert_eq!(site.peer.stored_once().len(), 39);
    let dead = agent.dead_letters().await;
    assert_eq!(dead.len(), 2);
    for letter in dead {
        assert!(letter.contains("said the peer"), "{letter}");
    }
    // Parts have names of their own: a peer recognises each.
    let ids = site.peer.seen().into_iter().map(|seen| seen.id());
    let ids: HashSet<_> = ids.collect();
    assert_eq!(ids.len(), site.peer.seen().len());
    agent.stop().await;
}

#[tokio::test]
async fn what_was_given_up_is_told_to_the_peer_once() {
    let mut site = Site::with(|seen| {
        if seen.records().iter().any(|r| r == "poison") {
            return Reply::status(400);
        }
        Reply::Echo
    })
    .await;
    site.tell_gaps = Duration::from_millis(20);
    let agent = site.agent().await;
    assert_eq!(agent.send(&["first"]).await, 200);
    agent.delivered(1).await;
    assert_eq!(agent.send(&["good", "poison"]).await, 200);
    agent.delivered(3).await;
    let mut stored = site.peer.stored();
    stored.sort();
    let told = "log records refused by the next hop: 1";
    assert_eq!(stored, ["first", "good", told]);
    let logs = agent.report().signals[1].clone();
    assert_eq!((logs.admitted, logs.delivered, logs.rejected), (4, 3, 1));
    agent.stop().await;
}

#[tokio::test]
async fn a_peer_that_refuses_everything_costs_nothing() {
    let broken = Arc::new(AtomicBool::new(true));
    let script = Arc::clone(&broken);
    let site = Site::with(move |_| {
        if script.load(SeqCst) {
            return Reply::status(400);
        }
        Reply::Echo
    })
    .await;
    let agent = site.agent().await;
    for n in 0..5 {
        let bodies = [format!("a {n}"), format!("b {n}")];
        assert_eq!(agent.send(&[&bodies[0], &bodies[1]]).await, 200);
    }
    until("it was asked often", || site.peer.seen().len() > 100).await;
    assert_eq!(agent.report().signals[1].rejected, 0);
    broken.store(false, SeqCst);
    agent.delivered(10).await;
    assert_eq!(site.peer.stored_once().len(), 10);
    agent.stop().await;
}

#[tokio::test]
async fn one_batch_that_the_peer_has_never_time_for_does_not_hold_up_the_others() {
    let site = Site::with(move |seen| {
        if seen.records().iter().any(|r| r == "stuck") {
            return Reply::status(503);
        }
        Reply::Echo
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["stuck"]).await, 200);
    let mut sent = 0;
    while agent.report().signals[1].rejected == 0 {
        sent += 1;
        assert_eq!(agent.send(&[&format!("free {sent}")]).await, 200);
        assert!(sent < 10_000, "{:?}", agent.report());
    }
    agent.delivered(sent).await;
    let tries = |seen: &Seen| seen.records() == ["stuck"];
    assert!(site.peer.seen().iter().filter(|seen| tries(seen)).count() >= 20);
    agent.stop().await;
}

#[tokio::test]
async fn a_batch_that_tries_again_needs_no_new_data_to_get_its_turn() {
    let mut site = Site::with(|seen| match seen.number {
        0..4 => Reply::status(500),
        _ => Reply::Echo,
    })
    .await;
    site.extra = "forward: { in_flight: 1 }\n".to_owned();
    let agent = site.agent().await;
    assert_eq!(agent.send(&["alone"]).await, 200);
    agent.delivered(1).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_part_that_the_peer_will_never_take_is_not_sent_again() {
    let partial = petrel_wire::otlp::response::PartialSuccess {
        rejected: 1,
        message: "too old".to_owned(),
    };
    let body = petrel_wire::otlp::response::write(&partial);
    let site = Site::with(move |_| Reply::Other(200, "application/x-protobuf", body.clone())).await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["new", "old"]).await, 200);
    agent.delivered(1).await;
    let logs = agent.report().signals[1].clone();
    assert_eq!((logs.delivered, logs.rejected), (1, 1));
    assert_eq!(site.peer.seen().len(), 1);
    agent.stop().await;
}

#[tokio::test]
async fn one_batch_that_fails_does_not_hold_up_the_others() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let site = Site::with(move |seen| {
        if seen.records().iter().any(|r| r == "stuck") {
            counted.fetch_add(1, SeqCst);
            return Reply::status(500);
        }
        Reply::Echo
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["stuck"]).await, 200);
    until("it was tried", || tries.load(SeqCst) > 0).await;
    for n in 0..10 {
        assert_eq!(agent.send(&[&format!("free {n}")]).await, 200);
    }
    until("the others are delivered", || {
        agent.report().signals[1].delivered == 10
    })
    .await;
    // Poison in the end: it keeps failing while others pass.
    until("it is set aside", || {
        agent.report().signals[1].rejected == 1
    })
    .await;
    assert_eq!(tries.load(SeqCst), 20);
    agent.stop().await;
}

#[tokio::test]
async fn a_revoked_dsn_keeps_the_data_and_delivers_it_once_restored() {
    let site = Site::with(|seen| match seen.number {
        0..3 => Reply::status(401),
        _ => Reply::Echo,
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["kept"]).await, 200);
    agent.delivered(1).await;
    assert_eq!(site.peer.stored(), ["kept"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_signal_that_the_peer_does_not_take_is_kept_and_holds_up_no_other() {
    let takes_spans = Arc::new(AtomicBool::new(false));
    let takes = Arc::clone(&takes_spans);
    let site = Site::with(move |seen| match seen.path.as_str() {
        "/v1/traces" if !takes.load(SeqCst) => Reply::status(404),
        "/v1/traces" => Reply::With(
            200,
            BatchId::HEADER,
            seen.header(BatchId::HEADER).to_owned(),
        ),
        _ => Reply::Echo,
    })
    .await;
    let agent = site.agent().await;
    for n in 0..5 {
        assert_eq!(agent.send_span().await, 200);
        assert_eq!(agent.send(&[&format!("record {n}")]).await, 200);
        until("the record has passed the spans", || {
            agent.report().signals[1].delivered == n + 1
        })
        .await;
    }
    let report = agent.report();
    assert_eq!(
        (report.signals[0].here, report.forward.state.as_str()),
        (5, "forwarding")
    );
    let reasons = report.health.reasons.join("; ");
    assert!(reasons.contains("parked: traces: HTTP 404"), "{reasons}");
    takes_spans.store(true, SeqCst);
    until("the spans are delivered", || {
        agent.balance();
        let report = agent.report();
        report.signals[0].delivered == 5 && report.forward.parked_signals.is_empty()
    })
    .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_peer_that_lacks_zstd_gets_gzip_and_is_remembered() {
    let site = Site::with(|seen| match seen.header("content-encoding") {
        "zstd" => Reply::status(415),
        _ => Reply::Plain,
    })
    .await;
    let agent = site.agent().await;
    assert_eq!(agent.send(&["one"]).await, 200);
    agent.delivered(1).await;
    assert_eq!(agent.send(&["two"]).await, 200);
    agent.delivered(2).await;
    let codings: Vec<String> = site
        .peer
        .seen()
        .iter()
        .map(|seen| seen.header("content-encoding").to_owned())
        .collect();
    assert_eq!(codings, ["zstd", "gzip", "gzip"]);
    assert_eq!(site.peer.seen()[1].id(), None, "other bytes, no identity");
    assert_eq!(site.peer.stored(), ["one", "two"]);
    agent.stop().await;
}

#[tokio::test]
async fn an_identity_that_somebody_else_uses_is_given_up() {
    let site = Site::with(|seen| match seen.number {
        0 => Reply::With(
            409,
            BatchId::HEADER,
            seen.header(BatchId::HEADER).to_owned(),
        ),
        _ => Reply::Echo,
    })
    .await;
    let agent = site.agent().await;
    let before = agent.report().identity;
    assert_eq!(agent.send(&["mine"]).await, 200);
    agent.delivered(1).await;
    let seen = site.peer.seen();
    assert_ne!(seen[0].id(), seen[1].id());
    assert_ne!(agent.report().identity, before);
    assert_eq!(site.peer.stored(), ["mine"]);
    agent.stop().await;
}
