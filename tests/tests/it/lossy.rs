//! Links as sites have them: packets get lost, and little passes.

use std::time::Duration;

use petrel_tests::edge::EdgeOptions;
use petrel_tests::ledger::{Differences, Ledger, Outcome};
use petrel_tests::network::{Link, Network, of_its_own};
use petrel_tests::process::wait_until;
use petrel_tests::site::Site;
use petrel_tests::traffic::{Application, Tap};

/// What an application leaves at the agent while the link is down, all of which then has to pass.
fn backlog(site: &Site, requests: u64, per_request: u64) -> anyhow::Result<Ledger> {
    let application = Application {
        place: "c0p1".to_owned(),
        name: "app".to_owned(),
        port: site.edge.http_port,
        items: per_request,
        pause: Duration::ZERO,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let tap = Tap::default();
    let sending = runtime.spawn(application.run(tap.clone()));
    wait_until(Duration::from_secs(60), "the backlog is there", || {
        Ok(tap.acknowledged() >= requests * per_request)
    })?;
    tap.close();
    Ok(runtime.block_on(sending)?)
}

/// Sends a backlog of `requests` over the link; everything must be stored once, and of the bytes
/// that are sent so many must be of use.
fn passes(
    network: &Network,
    link: Link,
    requests: u64,
    per_request: u64,
    least_useful: f64,
) -> anyhow::Result<()> {
    let mut site = Site::configure(&EdgeOptions::default())?;
    site.central.start()?;
    site.edge.link.cut();
    site.edge.start()?;
    let ledger = backlog(&site, requests, per_request)?;
    network.degrade(site.edge.link.port(), link)?;
    site.edge.link.mend();
    wait_until(Duration::from_secs(240), "the backlog is stored", || {
        Ok(site.edge.metric("petrel_agent_spool_entries")? == 0.0
            && site.central.metric("aggregator_journal_entries")? == 0.0)
    })?;
    assert!(ledger.count(Outcome::Acknowledged) as u64 >= requests * per_request);
    let found = ledger.audit(&site.central.stored("c0")?);
    assert_eq!(found, Differences::default());

    let bodies = site.edge.metric("petrel_agent_forward_sent_bytes_total")?;
    let delivered = site
        .edge
        .metric("petrel_agent_forward_delivered_batches_total")?;
    let tries = site.edge.metric("petrel_agent_forward_tries_total")?;
    let useful = bodies * delivered / tries / network.sent()? as f64;
    assert!(
        useful >= least_useful,
        "only {useful:.2} of what was sent was of use, with {tries} tries for {delivered} batches"
    );
    Ok(())
}

#[test]
fn a_link_that_loses_every_twentieth_packet_carries_little_but_data() -> anyhow::Result<()> {
    let link = Link {
        loss_percent: 5,
        kilobits: 512,
    };
    of_its_own(
        "lossy::a_link_that_loses_every_twentieth_packet_carries_little_but_data",
        |network| passes(network, link, 80, 50, 0.6),
    )
}

#[test]
fn a_link_that_takes_ten_seconds_for_a_batch_is_not_filled_with_repeats() -> anyhow::Result<()> {
    let link = Link {
        loss_percent: 1,
        kilobits: 64,
    };
    of_its_own(
        "lossy::a_link_that_takes_ten_seconds_for_a_batch_is_not_filled_with_repeats",
        |network| passes(network, link, 3, 1_000, 0.6),
    )
}

#[test]
fn a_link_that_loses_almost_every_third_packet_is_passed_in_the_end() -> anyhow::Result<()> {
    let link = Link {
        loss_percent: 30,
        kilobits: 512,
    };
    of_its_own(
        "lossy::a_link_that_loses_almost_every_third_packet_is_passed_in_the_end",
        |network| passes(network, link, 6, 50, 0.25),
    )
}
