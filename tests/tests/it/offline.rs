//! A site that no network reaches: what its agent holds is carried over by hand.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use petrel_tests::edge::EdgeOptions;
use petrel_tests::http;
use petrel_tests::ledger::{Differences, Ledger, Outcome};
use petrel_tests::process::{artefact, binary, wait_until};
use petrel_tests::site::Site;
use petrel_tests::traffic::{Application, post};

const REQUESTS: u64 = 60;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the technician reads, and whether it went well.
fn typed(program: &str, arguments: &[&str], config: &Path) -> anyhow::Result<(bool, String)> {
    let output = Command::new(binary(program))
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env("PETREL_ENGINE_LIB", artefact("target/engine/libchdb.so"))
        .output()?;
    let words = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(words)?))
}

fn spool(site: &Site, arguments: &[&str]) -> anyhow::Result<String> {
    let (well, words) = typed(
        "petrel-agent",
        &[&["spool"], arguments].concat(),
        &site.edge.config(),
    )?;
    anyhow::ensure!(well, "{words}");
    Ok(words)
}

/// Requests that the agent acknowledges.
fn send(site: &Site, name: &str, ledger: &mut Ledger) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let application = Application {
        place: "c0p1".to_owned(),
        name: name.to_owned(),
        port: site.edge.http_port,
        items: 5,
        pause: Duration::ZERO,
    };
    let client = http::client();
    for number in 0..REQUESTS {
        let (names, body) = application.request_number(number);
        let signal = Application::signal(number);
        let outcome = runtime.block_on(post(&client, application.port, signal, body));
        assert_eq!(outcome, Outcome::Acknowledged);
        ledger.note(names, outcome);
    }
    Ok(())
}

/// Once the store holds as many items as were acknowledged, it holds each once.
fn all_is_stored_once(site: &Site, ledger: &Ledger) -> anyhow::Result<()> {
    let due = ledger.count(Outcome::Acknowledged) as u64;
    wait_until(PATIENCE, "everything is stored", || {
        let stored = site.central.stored("c0")?;
        Ok(site.central.metric("aggregator_journal_entries")? == 0.0
            && stored.iter().map(|it| it.rows).sum::<u64>() >= due)
    })?;
    let stored = site.central.stored("c0")?;
    assert_eq!(ledger.audit(&stored), Differences::default());
    Ok(())
}

#[test]
fn what_is_carried_by_hand_and_sent_when_the_link_is_back_is_stored_once() -> anyhow::Result<()> {
    let mut site = Site::configure(&EdgeOptions {
        redact: false,
        ..EdgeOptions::default()
    })?;
    site.edge.link.cut();
    site.central.start()?;
    site.edge.start()?;
    let mut ledger = Ledger::default();
    send(&site, "before", &mut ledger)?;

    // At the site: look, stop the agent, take along what waits.
    let archive = site.dir().join("site-17.petrel");
    let archive = archive.to_str().expect("a path in UTF-8");
    let words = spool(&site, &["inspect"])?;
    assert!(words.contains("in use by  pid"), "{words}");
    let waiting = spool(&site, &["list", "--limit", "1000000"])?;
    let waiting = waiting.lines().count();
    site.edge.running().terminate(PATIENCE)?;
    let words = spool(&site, &["export", archive])?;
    assert!(words.starts_with(&format!("{waiting} batches")), "{words}");
    site.edge.start()?;
    send(&site, "after", &mut ledger)?;

    // In the centre.
    let dsn = site.dsn();
    let import = ["import", archive, "--dsn", &dsn];
    let config = site.central.config();
    let (well, words) = typed("petrel-aggregator", &import, &config)?;
    assert!(!well && words.contains("stop the aggregator"), "{words}");
    site.central.running().terminate(PATIENCE)?;
    for (new, known) in [(waiting, 0), (0, waiting)] {
        let (well, words) = typed("petrel-aggregator", &import, &config)?;
        let expected = format!("{new} batches are in the journal, {known} were known");
        assert!(well && words.contains(&expected), "{words}");
    }
    site.central.start()?;
    let carried = REQUESTS * 5;
    wait_until(PATIENCE, "what was carried is stored", || {
        let stored = site.central.stored("c0")?;
        Ok(stored.iter().map(|it| it.rows).sum::<u64>() == carried)
    })?;

    // The link comes back, and the agent sends all that it has: the same batches, and newer ones.
    site.edge.link.mend();
    wait_until(PATIENCE, "the agent has sent everything", || {
        Ok(site.edge.metric("petrel_agent_spool_entries")? == 0.0)
    })?;
    all_is_stored_once(&site, &ledger)
}

#[test]
fn what_was_moved_out_of_one_spool_into_another_is_sent_from_there() -> anyhow::Result<()> {
    let options = EdgeOptions {
        redact: false,
        ..EdgeOptions::default()
    };
    let mut site = Site::configure(&options)?;
    site.edge.link.cut();
    site.edge.start()?;
    let mut ledger = Ledger::default();
    send(&site, "moved", &mut ledger)?;
    site.edge.running().terminate(PATIENCE)?;
    let archive = site.dir().join("site-17.petrel");
    let archive = archive.to_str().expect("a path in UTF-8");
    spool(&site, &["export", "--remove", archive])?;
    assert_eq!(spool(&site, &["list"])?, "");

    // The same machine stands for another one: its spool is new.
    std::fs::rename(site.spool_dir(), site.dir().join("old"))?;
    site.edge.start()?;
    site.edge.running().terminate(PATIENCE)?;
    for new in [true, false] {
        let words = spool(&site, &["import", archive])?;
        assert_eq!(words.starts_with("0 batches"), !new, "{words}");
    }
    site.central.start()?;
    site.edge.link.mend();
    site.edge.start()?;
    all_is_stored_once(&site, &ledger)
}
