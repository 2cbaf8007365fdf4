//! Power cuts of a real file system, at any moment, while acknowledgements are on their way.

use std::time::Duration;

use petrel_tests::central::{Central, Project};
use petrel_tests::disk::Disk;
use petrel_tests::edge::{Edge, EdgeOptions};
use petrel_tests::ledger::{Differences, Ledger, Outcome};
use petrel_tests::process::wait_until;
use petrel_tests::proxy::Proxy;
use petrel_tests::telemetry::Ids;
use petrel_tests::traffic::{Application, Tap};

const TOKEN: &str = "power_token";
const APPLICATIONS: u64 = 3;

fn cuts(seed: u64, count: u64) -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("petrel-power-").tempdir()?;
    let disk = Disk::make(dir.path(), 320)?;
    let project = Project {
        id: 1,
        token: TOKEN.to_owned(),
    };
    let mut central = Central::configure(dir.path(), "central", &[project])?;
    let options = EdgeOptions {
        redact: false,
        spool_dir: Some(disk.path().join("spool")),
        ..EdgeOptions::default()
    };
    let link = Proxy::without_memory(central.http_port);
    let mut edge = Edge::configure(dir.path(), "agent", link, TOKEN, &options)?;
    central.start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut ids = Ids::seeded(seed);
    let mut ledger = Ledger::default();
    for cut in 0..count {
        edge.start()?;
        // Every other time the backlog stays for the next cut.
        if ids.below(2) == 0 {
            edge.link.cut();
        } else {
            edge.link.mend();
        }
        let tap = Tap::default();
        let sending: Vec<_> = (0..APPLICATIONS)
            .map(|application| {
                let application = Application {
                    place: "c0p1".to_owned(),
                    name: format!("cut-{cut}-{application}"),
                    port: edge.http_port,
                    items: 5,
                    pause: Duration::ZERO,
                };
                runtime.spawn(application.run(tap.clone()))
            })
            .collect();
        let enough = 100 + ids.below(2_000);
        wait_until(
            Duration::from_secs(60),
            "some requests are acknowledged",
            || Ok(tap.acknowledged() >= enough),
        )?;
        disk.cut()?;
        tap.close();
        for application in sending {
            ledger.extend(runtime.block_on(application)?);
        }
        edge.running().kill();
        disk.restore()?;
    }
    edge.link.mend();
    edge.start()?;
    wait_until(Duration::from_secs(120), "the backlog is stored", || {
        Ok(edge.metric("petrel_agent_spool_entries")? == 0.0
            && central.metric("aggregator_journal_entries")? == 0.0)
    })?;
    assert!(ledger.count(Outcome::Acknowledged) > 0);
    let mut found = ledger.audit(&central.stored("c0")?);
    // "Come again" promises nothing: the commit may have reached the disk before its error did.
    found.refused_but_stored.clear();
    assert_eq!(found, Differences::default());
    edge.running().kill();
    Ok(())
}

#[test]
fn a_file_system_that_loses_power_loses_nothing_that_was_acknowledged() -> anyhow::Result<()> {
    let seed = 1;
    println!("seed {seed}");
    cuts(seed, 5)
}

#[test]
#[ignore = "ten minutes; `make torture` runs it"]
fn two_hundred_power_cuts_of_a_file_system_lose_nothing() -> anyhow::Result<()> {
    let seed = 2026;
    println!("seed {seed}");
    cuts(seed, 200)
}
