//! TLS towards the peer: whom the agent trusts, as whom it comes, and what it says when it cannot.

use crate::authority::{Authority, Valid};
use crate::harness::{Reply, Site, until};

#[tokio::test]
async fn both_sides_show_certificates_and_the_peers_name_may_be_another() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = Authority::server(&theirs.issue("petrel.example", Valid::Now), Some(&ours));
    let mut site = Site::with_tls(server, |_| Reply::Echo);
    let client = ours.issue("agent", Valid::Now);
    site.write("ca.pem", &theirs.pem);
    site.write("cert.pem", &client.cert);
    site.write("key.pem", &client.key);
    site.extra = "forward: { tls: { ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem, \
                  server_name: petrel.example } }\n"
        .to_owned();
    let agent = site.agent().await;
    assert_eq!(agent.send(&["secret"]).await, 200);
    agent.delivered(1).await;
    agent.stop().await;
}

#[tokio::test]
async fn the_older_place_of_the_ca_file_is_read_as_well() {
    let authority = Authority::new("theirs");
    let server = Authority::server(&authority.issue("127.0.0.1", Valid::Now), None);
    let mut site = Site::with_tls(server, |_| Reply::Echo);
    site.write("ca.pem", &authority.pem);
    site.extra = "forward: { ca_file: ca.pem }\n".to_owned();
    let agent = site.agent().await;
    assert_eq!(agent.send(&["secret"]).await, 200);
    agent.delivered(1).await;
    agent.stop().await;
}

/// What an agent that trusts `theirs` says of a peer with this certificate. Nothing is sent to it.
async fn trouble_with(issuer: &str, name: &str, valid: Valid) -> String {
    let theirs = Authority::new("theirs");
    let other = Authority::new("other");
    let issuer = if issuer == "theirs" { &theirs } else { &other };
    let server = Authority::server(&issuer.issue(name, valid), None);
    let mut site = Site::with_tls(server, |_| Reply::Echo);
    site.write("ca.pem", &theirs.pem);
    "forward: { tls: { ca_file: ca.pem } }\n".clone_into(&mut site.extra);
    let agent = site.agent().await;
    assert_eq!(agent.send(&["kept"]).await, 200);
    until("it is parked", || agent.report().forward.state == "parked").await;
    let report = agent.report();
    assert_eq!(report.signals[1].here, 1);
    assert!(site.peer.seen().is_empty());
    agent.stop().await;
    report.forward.reason.unwrap()
}

#[tokio::test]
async fn an_expired_certificate_parks_and_names_the_date() {
    let words = trouble_with("theirs", "127.0.0.1", Valid::Past).await;
    assert!(words.contains("expired on Sat, 01 Jan 2011"), "{words}");
}

#[tokio::test]
async fn a_certificate_of_the_future_parks_and_asks_for_the_clock() {
    let words = trouble_with("theirs", "127.0.0.1", Valid::Future).await;
    assert!(
        words.contains("not yet valid") && words.contains("clock"),
        "{words}"
    );
}

#[tokio::test]
async fn an_unknown_issuer_parks_and_says_where_to_name_it() {
    let words = trouble_with("other", "127.0.0.1", Valid::Now).await;
    assert!(
        words.contains("unknown issuer") && words.contains("ca_file"),
        "{words}"
    );
}

#[tokio::test]
async fn a_wrong_name_parks_and_tells_both_names() {
    let words = trouble_with("theirs", "elsewhere.example", Valid::Now).await;
    assert!(
        words.contains("127.0.0.1, but for elsewhere.example"),
        "{words}"
    );
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_without_a_restart() {
    let (old, new, theirs) = (
        Authority::new("old"),
        Authority::new("new"),
        Authority::new("theirs"),
    );
    let server = Authority::server(&theirs.issue("127.0.0.1", Valid::Now), Some(&new));
    let mut site = Site::with_tls(server, |_| Reply::Echo);
    let (first, second) = (
        old.issue("agent", Valid::Now),
        new.issue("agent", Valid::Now),
    );
    site.write("ca.pem", &theirs.pem);
    site.write("cert.pem", &first.cert);
    site.write("key.pem", &first.key);
    site.extra = "forward: { tls: { ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem } }\n"
        .to_owned();
    site.timing.parked_for = std::time::Duration::from_secs(3600);
    let agent = site.agent().await;
    assert_eq!(agent.send(&["kept"]).await, 200);
    until("the peer does not take the old one", || {
        let forward = agent.report().forward;
        forward.state == "parked" && forward.reason.unwrap().contains("our certificate")
    })
    .await;
    // Half of a renewal cannot be used, and is said to be so.
    site.write("cert.pem", &second.cert);
    until("half a renewal is noticed", || {
        let reasons = agent.report().health.reasons;
        reasons
            .iter()
            .any(|reason| reason.contains("renewed certificates"))
    })
    .await;
    site.write("key.pem", &second.key);
    agent.delivered(1).await;
    assert_eq!(agent.report().health.reasons, Vec::<String>::new());
    agent.stop().await;
}
