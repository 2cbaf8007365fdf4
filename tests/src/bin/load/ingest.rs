//! What storing costs: the aggregator with its embedded engine, fed as agents feed it, beside a
//! naive exporter into the same engine, and beside Rotel if its agent is at hand.
//!
//! Pipeline and engine are two processes, so the kernel keeps their accounts apart. Merges are
//! stopped while rows come in and run to the end afterwards, so that both have a number of their
//! own. Rows are counted by identity at the end; a run that lost or doubled one fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use petrel_tests::central::{Central, Project};
use petrel_tests::draft::Load;
use petrel_tests::http;
use petrel_wire::{AgentId, Batch, BatchId, Clock as _, Limits, Sealed, SystemClock};

use crate::engine::Owner;
use crate::storage::{disk, disk_by_column, disk_by_table, merge, parts};
use crate::{baseline, rotel, say};

const TOKEN: &str = "load_token";
pub(crate) const SENDERS: u64 = 4;
const HOUR: u64 = 3_600_000_000_000;

/// What one run has used.
pub(crate) struct Used {
    pub(crate) name: String,
    pub(crate) items: u64,
    pub(crate) item_bytes: u64,
    pub(crate) took: Duration,
    pub(crate) pipeline: Duration,
    pub(crate) insert: Duration,
    pub(crate) merge: Duration,
    pub(crate) parts: u64,
    pub(crate) disk: u64,
    /// By table, the largest first.
    pub(crate) tables: Vec<(String, u64)>,
    /// By column of the table that the items themselves are in, the largest first; without marks
    /// and indexes.
    pub(crate) columns: Vec<(String, u64)>,
    pub(crate) peak: Option<u64>,
}

impl Used {
    fn line(&self) -> String {
        let items = self.items as f64;
        let micros = |used: Duration| used.as_secs_f64() * 1e6 / items;
        let peak = self
            .peak
            .map_or("-".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
        format!(
            "{:<22} | {:>6} | {:>8.0} | {:>11.2} | {:>9.2} | {:>9.2} | {:>14.2} | {:>10.1} | {:>5} | {:>8}",
            self.name,
            self.item_bytes,
            items / self.took.as_secs_f64(),
            micros(self.pipeline),
            micros(self.insert),
            micros(self.merge),
            micros(self.insert + self.merge),
            self.disk as f64 / items,
            self.parts,
            peak,
        )
    }

    fn disk_lines(&self) -> [String; 2] {
        let share = |(part, bytes): &(String, u64)| {
            let bytes = *bytes as f64 / self.items as f64;
            (bytes >= 0.01).then(|| format!("{part} {bytes:.2}"))
        };
        let shares = |parts: &[(String, u64)]| {
            let shares: Vec<_> = parts.iter().filter_map(share).collect();
            shares.join(", ")
        };
        [
            format!("  of the disk B/row: {}", shares(&self.tables)),
            format!("  of its columns: {}", shares(&self.columns)),
        ]
    }
}

pub(crate) fn run(items: u64, only: Option<&str>, peer: Option<&Path>) -> anyhow::Result<()> {
    let chosen = |name: &str| only.is_none_or(|only| only == name);
    say(&format!("{items} items each, CPU in microseconds an item"));
    say(
        "load                   | B/item |  items/s | pipeline us | insert us | merges us | engine in all  | disk B/row | parts | RSS peak",
    );
    let runtime = tokio::runtime::Runtime::new()?;
    let mut ran = false;
    for load in Load::ALL {
        if chosen(load.name()) {
            let used = runtime.block_on(ours(load, items))?;
            say(&used.line());
            for line in used.disk_lines() {
                say(&line);
            }
            ran = true;
        }
    }
    if chosen("baseline") {
        for load in [Load::Spans, Load::LargeSpans] {
            let site = Site::start()?;
            let requests = requests(load, items);
            say(&runtime
                .block_on(baseline::measure(&site.owner, load, &requests))?
                .line());
        }
        ran = true;
    }
    if let Some(peer) = peer.filter(|_| chosen("peer")) {
        for load in [Load::Spans, Load::LargeSpans] {
            let site = Site::start()?;
            let used = rotel::measure(peer, &site.owner, requests(load, items));
            say(&runtime.block_on(used)?.line());
        }
        ran = true;
    }
    anyhow::ensure!(ran, "there is no load {only:?}");
    Ok(())
}

/// An aggregator with nothing in it.
struct Site {
    central: Central,
    owner: Owner,
    _dir: tempfile::TempDir,
}

impl Site {
    fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let project = Project {
            id: 1,
            token: TOKEN.to_owned(),
        };
        let mut central = Central::configure(dir.path(), "central", &[project])?;
        central.start()?;
        let pid = central.running().pid();
        let owner = Owner::find(&central.data_dir(), pid)?;
        Ok(Self {
            central,
            owner,
            _dir: dir,
        })
    }
}

/// Numbers and sizes of requests.
pub(crate) struct Requests {
    pub(crate) load: Load,
    pub(crate) start: u64,
    pub(crate) count: u64,
}

impl Requests {
    pub(crate) fn items(&self) -> u64 {
        self.count * self.load.per_request()
    }

    pub(crate) fn body(&self, number: u64) -> Vec<u8> {
        self.load
            .request(number, self.load.per_request(), self.start)
    }

    pub(crate) fn sealed(&self, number: u64) -> anyhow::Result<Sealed> {
        let body = self.body(number).into();
        let batch = Batch::from_protobuf(self.load.signal(), body, &Limits::default())?;
        Ok(Sealed::pack(&batch))
    }

    pub(crate) fn item_bytes(&self) -> u64 {
        self.body(0).len() as u64 / self.load.per_request()
    }
}

fn requests(load: Load, items: u64) -> Requests {
    // Never in the future: at 15 seconds a step, points of a long run take some days.
    let now = SystemClock::new().wall().0;
    let days = if load == Load::Points { 4 } else { 1 };
    let start = (now / (24 * HOUR)).saturating_sub(days) * 24 * HOUR + 6 * HOUR;
    Requests {
        load,
        start,
        count: items.div_ceil(load.per_request()),
    }
}

async fn ours(load: Load, items: u64) -> anyhow::Result<Used> {
    let mut site = Site::start()?;
    let requests = Arc::new(requests(load, items));
    let owner = &site.owner;
    owner.run("SYSTEM STOP MERGES", Vec::new()).await?;
    let port = site.central.http_port;
    let aggregator = site.central.running();
    let (cpu, engine) = (aggregator.cpu_time()?, owner.cpu_time()?);
    let started = Instant::now();
    send(&requests, port).await?;
    arrived(load, owner, requests.items()).await?;
    let took = started.elapsed();
    let (pipeline, insert) = (
        aggregator.cpu_time()?.saturating_sub(cpu),
        owner.cpu_time()?.saturating_sub(engine),
    );
    // What the engine does to count is no part of what storing costs.
    count(load, owner, requests.items()).await?;
    let parts = parts(owner, main_table(load)).await?;
    let merge = merge(owner, tables(load)).await?;
    Ok(Used {
        name: load.name().to_owned(),
        items: requests.items(),
        item_bytes: requests.item_bytes(),
        took,
        pipeline,
        insert,
        merge,
        parts,
        disk: disk(owner, tables(load)).await?,
        tables: disk_by_table(owner, tables(load)).await?,
        columns: disk_by_column(owner, main_table(load)).await?,
        peak: Some(aggregator.peak_resident_bytes()?),
    })
}

/// Everything, through four closed loops, each an agent of its own.
async fn send(requests: &Arc<Requests>, port: u16) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let senders = (0..SENDERS).map(|sender| {
        let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
        tokio::spawn(async move {
            let client = http::client();
            let url = format!("http://127.0.0.1:{port}{}", requests.load.signal().path());
            for seq in 1.. {
                let number = next.fetch_add(1, Relaxed);
                if number >= requests.count {
                    break;
                }
                let sealed = requests.sealed(number)?;
                let id = BatchId {
                    agent: AgentId(u128::from(sender) + 1),
                    epoch: 1,
                    seq,
                    hash: sealed.hash(),
                };
                while !post(&client, &url, &id, &sealed).await? {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            anyhow::Ok(())
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await??;
    }
    Ok(())
}

/// Whether it was taken; if not, the journal is full for a moment.
async fn post(
    client: &reqwest::Client,
    url: &str,
    id: &BatchId,
    sealed: &Sealed,
) -> anyhow::Result<bool> {
    let response = client
        .post(url)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "zstd")
        .header("uptrace-dsn", format!("http://{TOKEN}@localhost/1"))
        .header(BatchId::HEADER, id.to_string())
        .body(sealed.body().clone())
        .send()
        .await?;
    let status = response.status();
    let words = response.bytes().await?;
    anyhow::ensure!(
        status == 200 || status == 503 || status == 429,
        "the aggregator said {status}: {}",
        String::from_utf8_lossy(&words)
    );
    Ok(status == 200)
}

fn main_table(load: Load) -> &'static str {
    match load {
        Load::Spans | Load::LargeSpans => "span_rows",
        Load::Logs => "log_rows",
        Load::Points => "samples",
    }
}

/// Everything that such items fill.
fn tables(load: Load) -> &'static [&'static str] {
    match load {
        Load::Spans | Load::LargeSpans => &[
            "span_rows",
            "trace_index",
            "resources",
            "group_minutes",
            "service_edges",
            "attribute_values",
        ],
        Load::Logs => &["log_rows", "resources", "group_minutes", "attribute_values"],
        Load::Points => &["samples", "series", "resources", "attribute_values"],
    }
}

/// Waits until as many items as were sent are there, or no more come.
async fn arrived(load: Load, owner: &Owner, expected: u64) -> anyhow::Result<()> {
    let table = main_table(load);
    let mut last = (0, Instant::now());
    loop {
        let rows = owner
            .number(&format!("SELECT count() FROM {table}"))
            .await?;
        if rows >= expected {
            return Ok(());
        }
        if rows > last.0 {
            last = (rows, Instant::now());
        }
        anyhow::ensure!(
            last.1.elapsed() < Duration::from_secs(60),
            "{rows} of {expected} rows, and no more come"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Every item once: as many rows as were sent, each of another item.
async fn count(load: Load, owner: &Owner, expected: u64) -> anyhow::Result<()> {
    let table = main_table(load);
    let identity = match load {
        Load::Spans | Load::LargeSpans => "span_id",
        Load::Logs => "body",
        Load::Points => "fingerprint, time",
    };
    let rows = owner
        .number(&format!("SELECT count() FROM {table}"))
        .await?;
    let different = owner
        .number(&format!("SELECT uniqExact({identity}) FROM {table}"))
        .await?;
    anyhow::ensure!(
        rows == expected && different == expected,
        "{expected} items were sent, {rows} rows are there, {different} different ones"
    );
    Ok(())
}
