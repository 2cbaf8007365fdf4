//! `petrel-agent spool dead-letter`: what the next hop refused for good, and what becomes of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use petrel_agent::status;
use petrel_spool::DeadLetter;
use petrel_wire::{BatchId, Limits};

use super::{Place, age, block_on, new_file};

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetterCommand {
    /// Show the newest ones with the reasons; the agent may run
    List {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one; the agent may run
    Show {
        /// As `list` shows it
        id: BatchId,
        /// Write the OTLP request (protobuf) into a new file
        #[arg(long, value_name = "FILE")]
        body: Option<PathBuf>,
    },
    /// Spool some again, under their own ids; the agent must be stopped
    Retry(Which),
    /// Forget some for good; the agent must be stopped
    Drop(Which),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// As `list` shows them
    #[arg(value_name = "ID")]
    ids: Vec<BatchId>,
    /// Every one
    #[arg(long)]
    all: bool,
}

impl Which {
    fn ids(self, place: &Place) -> anyhow::Result<Vec<BatchId>> {
        if !self.all {
            return Ok(self.ids);
        }
        let letters = place.look()?.dead_letters(usize::MAX);
        Ok(letters.into_iter().map(|letter| letter.id).collect())
    }
}

pub(super) fn run(place: &Place, command: DeadLetterCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeadLetterCommand::List { limit } => list(place, limit),
        DeadLetterCommand::Show { id, body } => show(place, id, body.as_deref()),
        DeadLetterCommand::Retry(which) => retry(place, which.ids(place)?),
        DeadLetterCommand::Drop(which) => forget(place, which.ids(place)?),
    }
}

fn list(place: &Place, limit: usize) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    for letter in place.look()?.dead_letters(limit) {
        let sealed = &letter.entry.sealed;
        let reason = letter.reason.lines().next().unwrap_or_default();
        writeln!(
            out,
            "{} {} {} items: {reason}",
            letter.id,
            sealed.signal().name(),
            sealed.items()
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn find(place: &Place, id: BatchId) -> anyhow::Result<DeadLetter> {
    let letters = place.look()?.dead_letters(usize::MAX);
    let found = letters.into_iter().find(|letter| letter.id == id);
    found.with_context(|| no_such(id))
}

fn no_such(id: BatchId) -> String {
    format!("no dead letter {id}; `spool dead-letter list` shows those there are")
}

fn show(place: &Place, id: BatchId, body: Option<&Path>) -> anyhow::Result<ExitCode> {
    let letter = find(place, id)?;
    let sealed = &letter.entry.sealed;
    let mut out = std::io::stdout();
    writeln!(out, "id        {id}")?;
    writeln!(out, "signal    {}", sealed.signal().name())?;
    writeln!(out, "items     {}", sealed.items())?;
    let (packed, unpacked) = (
        sealed.body().len() as u64,
        u64::from(sealed.unpacked_bytes()),
    );
    let (packed, unpacked) = (status::bytes(packed), status::bytes(unpacked));
    writeln!(out, "size      {packed}, unpacked {unpacked}")?;
    writeln!(out, "accepted  {} ago", age(letter.entry.accepted))?;
    writeln!(out, "reason    {}", letter.reason)?;
    if let Some(path) = body {
        let limits = Limits {
            request_bytes: sealed.unpacked_bytes() as usize,
            ..Limits::default()
        };
        let batch = sealed.unpack(&limits).context("cannot unpack the batch")?;
        new_file(path)
            .and_then(|mut file| file.write_all(batch.bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn retry(place: &Place, ids: Vec<BatchId>) -> anyhow::Result<ExitCode> {
    let spool = place.open()?;
    let count = ids.len();
    block_on(async {
        for id in ids {
            if spool.retry_dead_letter(id).await?.is_none() {
                bail!(no_such(id));
            }
        }
        spool.close().await;
        Ok(())
    })?;
    writeln!(std::io::stdout(), "{count} batches will be sent again")?;
    Ok(ExitCode::SUCCESS)
}

fn forget(place: &Place, ids: Vec<BatchId>) -> anyhow::Result<ExitCode> {
    let spool = place.open()?;
    let asked = ids.len() as u64;
    let dropped = block_on(async {
        let dropped = spool.drop_dead_letters(ids).await?;
        spool.close().await;
        Ok(dropped)
    })?;
    writeln!(std::io::stdout(), "{dropped} dead letters dropped")?;
    if dropped < asked {
        bail!("{} of the ids are no dead letters", asked - dropped);
    }
    Ok(ExitCode::SUCCESS)
}
