//! What the stages of the path cost, one by one: `cargo bench --workspace --bench stages`.
//!
//! ```text
//! stages [--only spans|large-spans|logs|points] [--stage NAME] [--rounds N]
//! ```
//!
//! The payloads are those of `load ingest`, as many as one insert takes, and each stage does with
//! them what it does in the program. CPU time is that of all threads, so a journal that fsyncs in
//! a thread of its own is counted too. `--stage` and `--rounds 1` are for callgrind.

use std::sync::Arc;
use std::time::Duration;

use petrel_aggregator::rows::{self, Source};
use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolConfig, WhenFull};
use petrel_tests::draft::Load;
use petrel_tests::process::cpu_time_of;
use petrel_wire::{
    AgentId, Batch, BatchId, Clock as _, Limits, Sealed, SystemClock, UnixNanos, otlp, unpack_zstd,
};

/// Items of one insert.
const ITEMS: u64 = 65_536;
const HOUR: u64 = 3_600_000_000_000;

fn main() -> anyhow::Result<()> {
    let (mut only, mut stage, mut rounds) = (None, None, 10);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = arguments.next(),
            "--stage" => stage = arguments.next(),
            "--rounds" => rounds = arguments.next().unwrap_or_default().parse()?,
            // Cargo's own.
            "--bench" => {}
            other => anyhow::bail!("unknown argument {other}"),
        }
    }
    for load in Load::ALL {
        if only.as_ref().is_none_or(|only| only == load.name()) {
            Stages::of(load, rounds)?.run(stage.as_deref())?;
        }
    }
    Ok(())
}

/// The payloads of one load, in every form that a stage starts from.
struct Stages {
    load: Load,
    rounds: u32,
    now: UnixNanos,
    sealed: Vec<Sealed>,
    batches: Vec<Batch>,
}

impl Stages {
    fn of(load: Load, rounds: u32) -> anyhow::Result<Self> {
        let now = SystemClock::new().wall();
        let start = now.0 - now.0 % HOUR - 24 * HOUR;
        let batches = (0..ITEMS / load.per_request())
            .map(|number| {
                let body = load.request(number, load.per_request(), start).into();
                Batch::from_protobuf(load.signal(), body, &Limits::default())
            })
            .collect::<Result<Vec<_>, _>>()?;
        let sealed = batches.iter().map(Sealed::pack).collect();
        Ok(Self {
            load,
            rounds,
            now,
            sealed,
            batches,
        })
    }

    fn items(&self) -> u64 {
        self.batches.iter().map(|b| u64::from(b.items())).sum()
    }

    fn run(&self, stage: Option<&str>) -> anyhow::Result<()> {
        let bytes: usize = self.batches.iter().map(|batch| batch.bytes().len()).sum();
        say(&format!(
            "{}: {} items of {} bytes, CPU nanoseconds an item",
            self.load.name(),
            self.items(),
            bytes as u64 / self.items()
        ));
        let chosen = |name: &str| stage.is_none_or(|stage| stage == name);
        if chosen("unzstd") {
            self.measure("unzstd", || {
                for sealed in &self.sealed {
                    unpack_zstd(sealed.body(), sealed.unpacked_bytes() as usize)?;
                }
                Ok(())
            })?;
        }
        if chosen("check") {
            self.measure("check", || {
                for batch in &self.batches {
                    otlp::check(batch.signal(), batch.bytes(), &Limits::default())?;
                }
                Ok(())
            })?;
        }
        if chosen("journal") {
            self.journal()?;
        }
        if chosen("rows") {
            let sources: Vec<Source<'_>> = self.batches.iter().map(|b| self.source(b)).collect();
            self.measure("rows", || {
                let _blocks = std::hint::black_box(rows::build(&sources));
                Ok(())
            })?;
        }
        Ok(())
    }

    fn source<'a>(&self, batch: &'a Batch) -> Source<'a> {
        Source {
            project: ProjectId(1),
            accepted: self.now,
            origin: "00000000000000000000000000000001:1:1",
            batch,
        }
    }

    /// Four at a time, as four connections bring them; then out again as one cut.
    fn journal(&self) -> anyhow::Result<()> {
        let dir = tempfile::tempdir_in(".")?;
        let config = SpoolConfig {
            dir: dir.path().to_owned(),
            max_bytes: 8 << 30,
            when_full: WhenFull::Refuse,
            ..SpoolConfig::default()
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let journal = Spool::open(config, Arc::new(SystemClock::new()))?;
        let mut seq = 0;
        self.measure("journal", || {
            let entries: Vec<Entry> = self
                .sealed
                .iter()
                .map(|sealed| {
                    seq += 1;
                    self.entry(sealed, seq)
                })
                .collect();
            runtime.block_on(async {
                for four in entries.chunks(4) {
                    let appends = four
                        .iter()
                        .map(|entry| journal.append(entry.clone(), Class::Keep));
                    for spooled in futures_util::future::join_all(appends).await {
                        let _ticket = spooled?;
                    }
                }
                let cut = journal.cut(u64::MAX, u64::MAX).await?;
                anyhow::ensure!(
                    cut.entries().len() == entries.len(),
                    "a cut is missing some"
                );
                cut.settle().await?;
                Ok(())
            })
        })?;
        runtime.block_on(journal.close());
        Ok(())
    }

    fn entry(&self, sealed: &Sealed, seq: u64) -> Entry {
        Entry {
            project: ProjectId(1),
            origin: Some(BatchId {
                agent: AgentId(1),
                epoch: 1,
                seq,
                hash: sealed.hash(),
            }),
            accepted: self.now,
            sealed: sealed.clone(),
        }
    }

    fn measure(
        &self,
        name: &str,
        mut work: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        work()?;
        let before = cpu_time_of("/proc/self")?;
        for _ in 0..self.rounds {
            work()?;
        }
        let used: Duration = cpu_time_of("/proc/self")?.saturating_sub(before);
        let items = self.items() * u64::from(self.rounds);
        say(&format!(
            "  {name:8} {:6.0}",
            used.as_secs_f64() * 1e9 / items as f64
        ));
        Ok(())
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the report is the product of this program"
)]
fn say(line: &str) {
    println!("{line}");
}
