//! Outputs: other peers for some of the records, each with troubles of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use petrel_agent::{Config, Environment};

use crate::guest::router;
use crate::harness::{Reply, Running, Site, until};

/// A site whose first of three records goes to `audit`, the third to `other`, and the second on.
fn routed(mut site: Site, peer: &Site, more: &str) -> Site {
    let dsn = format!("http://t@{}", peer.peer.address);
    site.extra = format!(
        "processors:\n  - plugin: route.wasm\n    on_error: closed\n    limits: {{ call: 30s }}\n    \
         outputs: {{ audit: {{ dsn: \"{dsn}\" }}, other: {{ dsn: \"{dsn}\" }}{more} }}\n"
    );
    site.guest("route", &router("\\01\\00\\02", ""));
    site
}

async fn reload(running: &mut Running, site: &Site) {
    let config = Config::load(&site.config_file(), &Environment::default());
    running.agent.reload(config).await;
}

#[tokio::test]
async fn an_output_whose_peer_refuses_waits_by_itself_and_all_is_accounted_for() {
    let lets_in = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&lets_in);
    let peer = Site::with(move |_| {
        if asked.load(Ordering::Relaxed) {
            Reply::Echo
        } else {
            Reply::status(401)
        }
    })
    .await;
    let site = routed(Site::with(|_| Reply::Echo).await, &peer, "");
    let running = site.agent().await;
    for _ in 0..5 {
        assert_eq!(running.send(&["one", "two", "three"]).await, 200);
    }
    until("the rest is delivered and the outputs are parked", || {
        let report = running.report();
        let parked = report
            .outputs
            .iter()
            .filter(|one| one.forward.state == "parked");
        report.signals[1].delivered == 5 && parked.count() == 2
    })
    .await;
    running.balance();
    let report = running.report();
    let names: Vec<&str> = report.outputs.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["audit", "other"]);
    assert_eq!(report.signals[1].here, 10);
    assert_eq!(report.forward.state, "forwarding");
    assert_eq!(report.processors[0].routed_items["audit"], 5);
    let reasons = report.health.reasons.join("\n");
    assert!(reasons.contains("output audit: parked"), "{reasons}");
    // It is all there after a restart, and leaves once the peer lets it in.
    running.stop().await;
    let running = site.agent().await;
    assert_eq!(running.report().signals[1].here, 10);
    lets_in.store(true, Ordering::Relaxed);
    running.delivered(15).await;
    running.stop().await;
}

#[tokio::test]
async fn a_reload_turns_an_output_to_another_peer_and_opens_no_new_one() {
    let nobody = Site::with(|_| Reply::status(401)).await;
    let peer = Site::with(|_| Reply::Echo).await;
    let site = routed(Site::with(|_| Reply::Echo).await, &nobody, "");
    let mut running = site.agent().await;
    assert_eq!(running.send(&["one", "two", "three"]).await, 200);
    let more = ", third: { dsn: \"http://t@127.0.0.1:1\" }";
    let site = routed(site, &peer, more);
    reload(&mut running, &site).await;
    let error = running.report().reload.and_then(|reload| reload.error);
    let error = error.unwrap_or_default();
    assert!(error.contains("output third is new: restart"), "{error}");
    let site = routed(site, &peer, "");
    reload(&mut running, &site).await;
    running.delivered(3).await;
    running.stop().await;
}
