//! What an outage costs: a link that is cut for a minute under load, and how its backlog drains.
//!
//! An agent with the shipped processor gets spans at a steady rate; its link to the aggregator is
//! cut and comes back. From then on, four times a second: what the agent still holds, what is
//! stored, and how old the newest stored span is, which says whether fresh data waits behind the
//! backlog.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use petrel_tests::central::{Central, Project};
use petrel_tests::edge::{Edge, EdgeOptions};
use petrel_tests::http;
use petrel_tests::proxy::{Proxy, Weather};
use petrel_tests::telemetry::{Ids, Resource, SpanDraft, traces_request};
use petrel_wire::{Clock as _, SystemClock};

use crate::engine::Owner;
use crate::say;

const TOKEN: &str = "load_token";
const PER_REQUEST: u64 = 100;
/// What is on its way at any moment: an agent's batch, a journal's cut, an insert.
const ON_THE_WAY: Duration = Duration::from_secs(3);

/// An application that sends at a rate, and what was acknowledged to it.
#[derive(Clone, Default)]
struct Live {
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Live {
    async fn run(self, port: u16, rate: u64) -> anyhow::Result<()> {
        let client = http::client();
        let url = format!("http://127.0.0.1:{port}/v1/traces");
        let mut ids = Ids::seeded(7);
        let pause = Duration::from_secs_f64(PER_REQUEST as f64 / rate as f64);
        let mut ticks = tokio::time::interval(pause);
        while !self.stop.load(Relaxed) {
            ticks.tick().await;
            let response = client
                .post(&url)
                .header("content-type", "application/x-protobuf")
                .body(request(&mut ids))
                .send()
                .await?;
            anyhow::ensure!(
                response.status() == 200,
                "the agent said {}",
                response.status()
            );
            response.bytes().await?;
            self.acknowledged.fetch_add(PER_REQUEST, Relaxed);
        }
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }
}

fn request(ids: &mut Ids) -> Vec<u8> {
    let now = SystemClock::new().wall().0;
    let span = |ids: &mut Ids| {
        let trace = ids.trace();
        let order = ids.below(1_000_000);
        SpanDraft::server(ids, trace, "GET /orders/{id}")
            .lasting(now, 1_000_000)
            .with("http.request.method", "GET")
            .with("http.route", "/orders/{id}")
            .with("url.path", format!("/orders/{order}"))
            .with("server.address", "orders.shop.internal")
            .with("customer", format!("customer-{}", order % 50_000))
    };
    let spans = (0..PER_REQUEST).map(|_| span(ids)).collect();
    traces_request(&[(Resource::new("orders"), spans)])
}

struct Moment {
    stored: u64,
    newest_age: Duration,
}

async fn look(owner: &Owner) -> anyhow::Result<Moment> {
    let answer = owner
        .run(
            "SELECT count(), toUnixTimestamp64Nano(max(time)) FROM span_rows",
            Vec::new(),
        )
        .await?;
    let (stored, newest) = answer.split_once('\t').unwrap_or((&answer, "0"));
    let age = SystemClock::new()
        .wall()
        .0
        .saturating_sub(newest.parse::<u64>().unwrap_or(0));
    Ok(Moment {
        stored: stored.parse()?,
        newest_age: Duration::from_nanos(age),
    })
}

/// `rate` in spans a second, `outage` in seconds.
pub(crate) fn run(rate: u64, outage: u64) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(measure(rate, Duration::from_secs(outage)))
}

async fn measure(rate: u64, outage: Duration) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let project = Project {
        id: 1,
        token: TOKEN.to_owned(),
    };
    let mut central = Central::configure(dir.path(), "central", &[project])?;
    let link = Proxy::without_memory(central.http_port);
    let mut edge = Edge::configure(dir.path(), "agent", link, TOKEN, &EdgeOptions::default())?;
    central.start()?;
    edge.start()?;
    let owner = Owner::find(&central.data_dir(), central.running().pid())?;

    let live = Live::default();
    let sender = tokio::spawn(live.clone().run(edge.http_port, rate));
    // These are not waits for a condition: a rate and an outage last.
    tokio::time::sleep(Duration::from_secs(10)).await;
    edge.link.set(Weather::Cut);
    tokio::time::sleep(outage).await;
    edge.link.set(Weather::Clear);

    let back = Instant::now();
    let before = look(&owner).await?;
    let backlog = live.acknowledged() - before.stored;
    let (mut ages, mut first_fresh) = (Vec::new(), None);
    let slack = rate * ON_THE_WAY.as_secs();
    let after = loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let moment = look(&owner).await?;
        if first_fresh.is_none() && moment.newest_age < ON_THE_WAY {
            first_fresh = Some(back.elapsed());
        }
        if first_fresh.is_some() {
            ages.push(moment.newest_age);
        }
        if moment.stored + slack >= live.acknowledged() {
            break moment;
        }
        anyhow::ensure!(
            back.elapsed() < outage * 10,
            "the backlog does not drain: {} of {} stored",
            moment.stored,
            live.acknowledged()
        );
    };
    let took = back.elapsed();
    live.stop.store(true, Relaxed);
    sender.await??;
    let sent = live.acknowledged();
    let end = Instant::now();
    while look(&owner).await?.stored < sent {
        anyhow::ensure!(end.elapsed() < Duration::from_secs(60), "spans are missing");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let stored = look(&owner).await?.stored;
    anyhow::ensure!(stored == sent, "{stored} stored of {sent}");

    let drained = (after.stored - before.stored) as f64 / took.as_secs_f64();
    ages.sort_unstable();
    say(&format!(
        "live {rate} spans/s, outage {} s: backlog of {backlog} spans drained in {:.1} s, {drained:.0} spans/s stored, {:.1} times the live rate",
        outage.as_secs(),
        took.as_secs_f64(),
        drained / rate as f64,
    ));
    say(&format!(
        "fresh data: first {} after the link was back; then the newest stored span was {} old (median), {} at most",
        seconds(first_fresh),
        seconds(ages.get(ages.len() / 2).copied()),
        seconds(ages.last().copied()),
    ));
    say(&format!(
        "peak RSS: agent {} MiB, aggregator {} MiB; {sent} acknowledged, {stored} stored",
        edge.running().peak_resident_bytes()? >> 20,
        central.running().peak_resident_bytes()? >> 20,
    ));
    Ok(())
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or("never".to_owned(), |duration| {
        format!("{:.1} s", duration.as_secs_f64())
    })
}
