//! All faults at once, and the account afterwards.
//!
//! An application at every agent sends traces, logs and metrics whose every item is noted. Meanwhile
//! links are cut, swallow, crawl, lose answers and pretend to be portals; agents, aggregators and
//! engines are killed, restarted, frozen, and their disks fail. Then everything is mended, the
//! backlog drains, and each stored row is compared with what its sender was told.
//!
//! Last, the checker is checked: one item of each kind of fault is planted, through the front door,
//! and exactly those must be reported.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use petrel_wire::{Clock as _, Signal, SystemClock};

use crate::fleet::Fleet;
use crate::http;
use crate::ledger::{Ledger, Outcome, payload};
use crate::telemetry::{Ids, Resource, SpanDraft, traces_request};
use crate::traffic::{ID, PAYLOAD, Tap, post};
use crate::trouble::{Trouble, end_all, last};

const ITEMS: u64 = 40;
const PAUSE: Duration = Duration::from_millis(150);
/// What an agent and an aggregator may have at most, resident, without the engine.
const AGENT_BYTES: u64 = 96 << 20;
const AGGREGATOR_BYTES: u64 = 256 << 20;

/// Lets `enough(elapsed, troubles)` decide when the storm is over; fails if any promise was broken.
/// `say` gets the account of it, line by line.
pub fn torture(
    fleet: &mut Fleet,
    seed: u64,
    enough: impl Fn(Duration, u32) -> bool,
    say: impl Fn(&str),
) -> anyhow::Result<()> {
    let runtime = &tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let tap = Tap::default();
    let applications = fleet.applications(ITEMS, PAUSE);
    let senders: Vec<_> = applications
        .into_iter()
        .map(|application| runtime.spawn(application.run(tap.clone())))
        .collect();

    let mut random = Ids::seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let started = Instant::now();
    let mut troubles = 0;
    while !enough(started.elapsed(), troubles) {
        let trouble = Trouble::draw(fleet, &mut random);
        say(&format!(
            "{:7.1} s  {trouble}",
            started.elapsed().as_secs_f64()
        ));
        trouble.happen(fleet).with_context(|| trouble.to_string())?;
        troubles += 1;
        last(Duration::from_millis(200 + random.below(3000)));
    }
    tap.close();
    let mut ledger = Ledger::default();
    for sender in senders {
        ledger.extend(runtime.block_on(sender)?);
    }
    end_all(fleet)?;
    let mended = Instant::now();
    fleet.wait_until_drained(Duration::from_secs(600))?;
    fleet.note_memory();
    say(&format!(
        "{troubles} troubles; {} items acknowledged, {} refused, {} unknown; drained in {:.1} s",
        ledger.count(Outcome::Acknowledged),
        ledger.count(Outcome::Refused),
        ledger.count(Outcome::Unknown),
        mended.elapsed().as_secs_f64()
    ));
    fleet.check(&ledger)?;
    fleet.check_books()?;
    let peaks = fleet.peaks;
    say(&format!(
        "0 lost, 0 doubled, 0 damaged, 0 in the wrong project; the books balance. Peak memory: agent {} MiB, aggregator {} MiB",
        peaks.agent >> 20,
        peaks.aggregator >> 20
    ));
    anyhow::ensure!(peaks.agent <= AGENT_BYTES, "an agent needs too much memory");
    anyhow::ensure!(
        peaks.aggregator <= AGGREGATOR_BYTES,
        "an aggregator needs too much memory"
    );
    check_the_checker(fleet, runtime, ledger)?;
    say("six planted faults, six reported");
    Ok(())
}

/// Plants one fault of each kind and expects exactly these.
fn check_the_checker(
    fleet: &Fleet,
    runtime: &tokio::runtime::Runtime,
    mut ledger: Ledger,
) -> anyhow::Result<()> {
    let port = fleet.edges[0].http_port;
    let client = http::client();
    let plant = |id: &str, carries: &str| {
        let mut ids = Ids::seeded(7);
        let trace = ids.trace();
        let span = SpanDraft::server(&mut ids, trace, "planted")
            .lasting(SystemClock::new().wall().0, 1)
            .with(ID, id)
            .with(PAYLOAD, carries);
        let body = traces_request(&[(Resource::new("planted"), vec![span])]);
        let outcome = runtime.block_on(post(&client, port, Signal::Traces, body));
        anyhow::ensure!(outcome == Outcome::Acknowledged, "a plant was not taken");
        Ok(())
    };
    let id = |name: &str| format!("c0p1/planted/{name}");
    // Agent 0 fills store 0, project 1.
    let misplaced = "c0p9/planted/misplaced".to_owned();
    for name in ["doubled", "doubled", "invented", "refused"] {
        plant(&id(name), &payload(&id(name)))?;
    }
    plant(&misplaced, &payload(&misplaced))?;
    plant(&id("damaged"), "something else")?;
    ledger.note(
        [id("lost"), id("doubled"), id("damaged"), misplaced.clone()],
        Outcome::Acknowledged,
    );
    ledger.note([id("refused")], Outcome::Refused);
    fleet.wait_until_drained(Duration::from_secs(60))?;
    let found = ledger.audit(&fleet.stored()?);
    let only = |what: &str, found: &std::collections::BTreeSet<String>, id: String| {
        anyhow::ensure!(
            found.len() == 1 && found.contains(&id),
            "planted {id}, {what}: {found:?}"
        );
        Ok(())
    };
    only("lost", &found.lost, id("lost"))?;
    only("doubled", &found.doubled, id("doubled"))?;
    only("invented", &found.invented, id("invented"))?;
    only("damaged", &found.damaged, id("damaged"))?;
    only("misplaced", &found.misplaced, misplaced)?;
    only("refused", &found.refused_but_stored, id("refused"))
}
