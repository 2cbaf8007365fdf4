//! Dead letters: batches that the store will never take, kept whole with the reason.
//!
//! Two files each in `dead/`: the sealed batch as it came (zstd of the OTLP request), and a JSON
//! file that says whose it is and why. Written again under the same name when a restart repeats
//! the verdict.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use petrel_spool::Entry;
use petrel_wire::{BatchId, Clock};

/// The directory they are in.
#[derive(Clone, Debug)]
pub(super) struct DeadLetters {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
}

/// What could not be stored of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict<'a> {
    /// The table that refused it; nothing if it could not even be read.
    pub(super) table: Option<&'a str>,
    pub(super) day: u16,
    pub(super) reason: &'a str,
}

impl DeadLetters {
    pub(super) fn new(dir: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { dir, clock }
    }

    /// Durable when it returns. Blocks.
    pub(super) fn bury(
        &self,
        id: &BatchId,
        entry: &Entry,
        verdict: Verdict<'_>,
    ) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.dir)?;
        let table = verdict.table.unwrap_or("unreadable");
        let name = format!(
            "{}-{}-{}-{table}-{}",
            id.agent, id.epoch, id.seq, verdict.day
        );
        let body = self.dir.join(format!("{name}.otlp.zst"));
        write_durably(&body, entry.sealed.body())?;
        let about = serde_json::json!({
            "project": entry.project.0,
            "signal": entry.sealed.signal().name(),
            "items": entry.sealed.items(),
            "accepted_unix_nano": entry.accepted.0.to_string(),
            "origin": entry.origin.map(|origin| origin.to_string()),
            "table": verdict.table,
            "day": verdict.day,
            "reason": verdict.reason,
            "set_aside_unix_nano": self.clock.wall().0.to_string(),
        });
        write_durably(
            &self.dir.join(format!("{name}.json")),
            about.to_string().as_bytes(),
        )?;
        File::open(&self.dir)?.sync_all()?;
        Ok(body)
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)
}
