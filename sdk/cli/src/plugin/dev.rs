//! `petrel plugin dev`: build on every change, run the cases, show what is edited.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use super::build;
use super::cases::Case;
use super::diff::{Paint, diff};
use super::test::differences;

/// How often we look. Asking the file system of a plugin's directory takes less than a millisecond
/// and works where notifications do not: on network file systems and in containers.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What builds make, and what is not ours to watch.
const UNWATCHED: [&str; 6] = [
    "target",
    "node_modules",
    ".git",
    "dist",
    ".venv",
    "__pycache__",
];

/// Watches `dir` until it is interrupted.
pub(crate) fn run(dir: &Path, paint: Paint, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut seen = Vec::new();
    loop {
        let now = look(dir)?;
        if now != seen {
            // What changes during the build is seen by the next look.
            seen = now;
            if let Err(error) = round(dir, paint, out) {
                writeln!(out, "{} {error:#}", paint.red("error:"))?;
            }
            writeln!(out, "watching {}; Ctrl-C ends", dir.display())?;
            out.flush()?;
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

fn round(dir: &Path, paint: Paint, out: &mut dyn Write) -> anyhow::Result<()> {
    let built = build::run(dir, None)?;
    writeln!(out, "\n{built}")?;
    for case in Case::all(dir)? {
        writeln!(out, "{}", paint.bold(&case.name))?;
        let passed = match case.run(&built.component)? {
            Ok(passed) => passed,
            Err(words) => {
                writeln!(out, "  {}", paint.red(&words))?;
                continue;
            }
        };
        let mut edits = String::new();
        for (before, after) in case.input.iter().zip(&passed.batches) {
            edits += &diff(before, after, paint)?;
        }
        if edits.is_empty() {
            edits = "  no edits\n".into();
        }
        write!(out, "{edits}")?;
        match differences(&case, &passed, paint)? {
            None => writeln!(out, "  {}", paint.green("as expected"))?,
            Some(told) => write!(out, "  {}\n{told}", paint.red("not as expected"))?,
        }
    }
    Ok(())
}

/// Every watched file with its size and time.
fn look(dir: &Path) -> anyhow::Result<Vec<(PathBuf, u64, Option<SystemTime>)>> {
    let mut files = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if UNWATCHED.iter().any(|unwatched| name == *unwatched) {
                continue;
            }
            // A file may go between the list and the look: editors write beside and rename.
            let Ok(about) = entry.metadata() else {
                continue;
            };
            if about.is_dir() {
                open.push(entry.path());
            } else {
                files.push((entry.path(), about.len(), about.modified().ok()));
            }
        }
    }
    files.sort();
    // Cargo writes its lock beside the sources.
    files.retain(|(path, _, _)| path.file_name().is_none_or(|name| name != "Cargo.lock"));
    Ok(files)
}
