//! `petrel-agent spool`: what a person does with the disk buffer by hand.
//!
//! Looking never touches it, whether or not the agent runs. What changes it takes the directory's
//! lock, so the agent must be stopped.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use petrel_agent::status;
use petrel_spool::{
    ArchiveReader, ArchiveWriter, Glance, Spool, SpoolConfig, SpoolError, SpoolStats, WhenFull,
};
use petrel_wire::{Signal, SystemClock, UnixNanos};

mod dead_letters;

use dead_letters::DeadLetterCommand;

#[derive(Debug, Args)]
pub(crate) struct SpoolOptions {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: SpoolCommand,
}

/// Whose spool.
#[derive(Debug, Args)]
struct Place {
    /// The agent's configuration file; its spool is meant
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The spool's directory, in place of a configuration
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "config")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum SpoolCommand {
    /// Show sizes, books and files; the agent may run
    Inspect,
    /// Show the batches that wait, oldest first; the agent may run
    List {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Write every batch that waits into an archive; the agent must be stopped
    Export {
        /// The archive; must not exist
        file: PathBuf,
        /// Take the batches out of the spool once they are safe in the archive
        #[arg(long)]
        remove: bool,
    },
    /// Put the batches of an archive into the spool; the agent must be stopped. Batches keep their
    /// ids: what was imported or delivered before is recognised
    Import {
        /// The archive
        file: PathBuf,
    },
    /// Batches that the next hop refused for good
    DeadLetter {
        #[command(subcommand)]
        command: DeadLetterCommand,
    },
}

pub(crate) fn run(options: SpoolOptions) -> anyhow::Result<ExitCode> {
    let place = options.place;
    match options.command {
        SpoolCommand::Inspect => inspect(&place),
        SpoolCommand::List { limit } => list(&place, limit),
        SpoolCommand::Export { file, remove } => export(&place, &file, remove),
        SpoolCommand::Import { file } => import(&place, &file),
        SpoolCommand::DeadLetter { command } => dead_letters::run(&place, command),
    }
}

impl Place {
    fn config(&self) -> anyhow::Result<SpoolConfig> {
        match (&self.config, &self.dir) {
            (Some(path), _) => Ok(crate::load(path)?.spool),
            (None, Some(dir)) => Ok(SpoolConfig {
                // Nobody said how large it may be: nothing must be dropped for a guess.
                max_bytes: u64::MAX / 2,
                ..SpoolConfig::at(dir)
            }),
            (None, None) => bail!("say whose spool: --config FILE or --dir DIR"),
        }
    }

    fn look(&self) -> anyhow::Result<Glance> {
        Ok(Glance::at(&self.config()?.dir)?)
    }

    /// Opens a spool that exists, under its lock.
    fn open(&self) -> anyhow::Result<Spool> {
        let config = SpoolConfig {
            when_full: WhenFull::Refuse,
            live_percent: 0,
            ..self.config()?
        };
        Glance::at(&config.dir)?;
        is_ours(&config.dir)?;
        Spool::open(config, SystemClock::shared()).map_err(|error| match error {
            SpoolError::InUse { .. } => {
                anyhow::Error::new(error).context("stop the agent first, and start it again after")
            }
            error => error.into(),
        })
    }
}

/// Files that root makes could not be opened by the agent, which is not root.
fn is_ours(dir: &Path) -> anyhow::Result<()> {
    let owner = std::fs::metadata(dir)
        .with_context(|| format!("cannot look at {}", dir.display()))?
        .uid();
    if owner != rustix::process::geteuid().as_raw() {
        bail!(
            "{} belongs to the user with number {owner}; run this as that user (sudo -u '#{owner}')",
            dir.display()
        );
    }
    Ok(())
}

/// A new file for telemetry: for its owner alone, like the spool that it comes from.
fn new_file(path: &Path) -> std::io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .context("cannot start the runtime")?
        .block_on(work)
}

fn age(at: UnixNanos) -> String {
    let nanos = SystemClock::shared().wall().0.saturating_sub(at.0);
    status::seconds(std::time::Duration::from_nanos(nanos).as_secs_f64())
}

fn inspect(place: &Place) -> anyhow::Result<ExitCode> {
    let seen = place.look()?.inspect();
    let mut out = std::io::stdout();
    let owner = seen
        .owner
        .map_or("nobody".to_owned(), |pid| format!("pid {pid}"));
    writeln!(out, "identity   {} epoch {}", seen.agent, seen.epoch)?;
    writeln!(out, "in use by  {owner}")?;
    writeln!(out, "on disk    {}", status::bytes(seen.used_bytes))?;
    writeln!(
        out,
        "\n{:<10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "items", "spooled", "delivered", "rejected", "evicted", "corrupt", "exported", "here"
    )?;
    for signal in Signal::ALL {
        let s = seen.by_signal[usize::from(signal.code()) - 1];
        writeln!(
            out,
            "{:<10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
            signal.name(),
            s.spooled,
            s.delivered,
            s.rejected,
            s.evicted,
            s.corrupt,
            s.exported,
            s.here
        )?;
    }
    writeln!(
        out,
        "\n{:<26} {:<5} {:>6} {:>10} {:>10}",
        "file", "class", "epoch", "batches", "size"
    )?;
    for segment in &seen.segments {
        writeln!(
            out,
            "{:<26} {:<5} {:>6} {:>10} {:>10}",
            segment.name,
            segment.class.name(),
            segment.epoch,
            segment.entries,
            status::bytes(segment.allocated_bytes)
        )?;
    }
    writeln!(out, "\n{} files of dead letters", seen.dead_files)?;
    for name in &seen.quarantined {
        writeln!(out, "set aside: {name}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(place: &Place, limit: usize) -> anyhow::Result<ExitCode> {
    let glance = place.look()?;
    let mut out = std::io::stdout();
    for waiting in glance.waiting().take(limit) {
        let sealed = &waiting.entry.sealed;
        writeln!(
            out,
            "{} {} {} {} items {} {} old",
            waiting.id,
            waiting.class,
            sealed.signal().name(),
            sealed.items(),
            status::bytes(sealed.body().len() as u64),
            age(waiting.entry.accepted)
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn export(place: &Place, path: &Path, remove: bool) -> anyhow::Result<ExitCode> {
    let spool = remove.then(|| place.open()).transpose()?;
    let glance = place.look()?;
    if let Some(pid) = glance.inspect().owner.filter(|_| !remove) {
        bail!("the spool is in use by pid {pid}; stop the agent first, it would go on sending");
    }
    let cannot = || format!("cannot write {}", path.display());
    let file = new_file(path).with_context(cannot)?;
    let mut archive = ArchiveWriter::new(BufWriter::new(file)).with_context(cannot)?;
    let mut left = 0;
    match spool {
        Some(spool) => block_on(async {
            spool
                .export(&mut archive, sync)
                .await
                .with_context(cannot)?;
            left = spool.stats().entries;
            spool.close().await;
            Ok(())
        })?,
        None => {
            for waiting in glance.waiting() {
                archive
                    .append(&waiting.id, waiting.class, &waiting.entry)
                    .with_context(cannot)?;
            }
        }
    }
    let batches = archive.batches();
    sync(&mut archive.finish().with_context(cannot)?).with_context(cannot)?;
    let beside = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(beside.unwrap_or(Path::new(".")))
        .and_then(|dir| dir.sync_all())
        .with_context(cannot)?;
    writeln!(
        std::io::stdout(),
        "{batches} batches are in {}",
        path.display()
    )?;
    if left > 0 {
        bail!("{left} batches could not be taken out and are still in the spool");
    }
    Ok(ExitCode::SUCCESS)
}

fn sync(to: &mut BufWriter<File>) -> std::io::Result<()> {
    to.flush()?;
    to.get_ref().sync_all()
}

fn import(place: &Place, path: &Path) -> anyhow::Result<ExitCode> {
    let named = || path.display().to_string();
    let file = File::open(path).with_context(named)?;
    let archive = ArchiveReader::open(BufReader::new(file)).with_context(named)?;
    let spool = place.open()?;
    let (mut stored, mut known, mut conflicting) = (0_u64, 0_u64, 0_u64);
    let outcome: anyhow::Result<SpoolStats> = block_on(async {
        for batch in archive {
            let batch = batch.with_context(named)?;
            match spool.append(batch.entry, batch.class).await {
                Ok(spooled) if spooled.seen_before() => known += 1,
                Ok(_) => stored += 1,
                Err(SpoolError::Conflict(_)) => conflicting += 1,
                Err(why) => return Err(why.into()),
            }
        }
        let stats = spool.stats();
        spool.close().await;
        Ok(stats)
    });
    writeln!(
        std::io::stdout(),
        "{stored} batches imported, {known} were imported before"
    )?;
    outcome.context("not everything was imported; what was is recognised when you try again")?;
    if conflicting > 0 {
        bail!(
            "{conflicting} batches were not imported: this spool knows their numbers with other \
             contents, perhaps of a cloned machine; import the archive into a spool that is empty"
        );
    }
    Ok(ExitCode::SUCCESS)
}
