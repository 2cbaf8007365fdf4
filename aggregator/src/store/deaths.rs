//! [`Deaths`]: which pieces a process has died over.
//!
//! A panic while rows are built ends a task and is seen; memory that runs out, or a stack, ends the
//! process, and the journal gives the same cut to the next one. So that this does not go on for
//! ever, a piece is noted before it is built and ticked off after. One that was never ticked off in
//! three lives is built entry by entry, and an entry that ends one more life is set aside.
//!
//! A piece that was built once is never suspected again; it may have been inserted in part, under
//! tokens that belong to these very entries. And one that was suspected once is suspected for ever,
//! since its entries may have been inserted one by one. Only that is flushed to the disk: what notes
//! count leaves the file system alone, and a power cut, which could take back the note that a piece
//! was built, ends a life by itself. So lives count only if they ended on one boot of the machine.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::pieces::Piece;

/// Lives that may end over a piece: two may be anybody's fault.
const LIVES: u32 = 3;
/// The note of a piece that was built.
const BUILT: &str = "built";
/// Another one each time the machine starts (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The notes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Deaths {
    dir: Arc<PathBuf>,
    boot: Arc<str>,
}

/// What is to be done with a piece.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Build it, and hold this for so long.
    Build(Tick),
    /// Build its entries one by one.
    Suspect,
    /// Set its only entry aside.
    Deadly,
}

/// Ticks a piece off when it is dropped: also by a panic, which is survived. Its halves are inserted
/// then, and must come out the same in every life.
#[derive(Debug)]
pub(super) struct Tick {
    deaths: Deaths,
    piece: Piece,
}

impl Drop for Tick {
    fn drop(&mut self) {
        self.deaths.write(&self.piece, BUILT);
    }
}

impl Deaths {
    /// Notes in a directory of their own, made when it is needed.
    pub(super) fn noted_in(dir: PathBuf) -> Self {
        // Where nobody can tell, all lives are of one boot.
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
        Self::on_boot(dir, boot.trim())
    }

    fn on_boot(dir: PathBuf, boot: &str) -> Self {
        Self {
            dir: Arc::new(dir),
            boot: boot.into(),
        }
    }

    /// Notes that a piece is about to be built, if that is what should be done. An entry of a suspect
    /// has one life left.
    pub(super) fn begin(&self, piece: &Piece, of_a_suspect: bool) -> Verdict {
        let tick = || Tick {
            deaths: self.clone(),
            piece: piece.clone(),
        };
        let note = fs::read_to_string(self.note(piece)).unwrap_or_default();
        if note == BUILT {
            return Verdict::Build(tick());
        }
        let ended = self.ended(&note);
        if let Some(ended) = ended.filter(|ended| *ended >= LIVES) {
            // Once: while a note is written it can be lost.
            if note.contains(' ') {
                self.write(piece, &ended.to_string());
                self.flush(piece);
            }
            return match piece.range.len() {
                1 => Verdict::Deadly,
                _ => Verdict::Suspect,
            };
        }
        let before = if of_a_suspect { LIVES - 1 } else { 0 };
        let lives = ended.unwrap_or(before) + 1;
        self.write(piece, &format!("{lives} {}", self.boot));
        Verdict::Build(tick())
    }

    /// How many lives a note counts that ended on this boot, or enough of them on any.
    fn ended(&self, note: &str) -> Option<u32> {
        let (lives, boot) = note.split_once(' ').unwrap_or((note, ""));
        let lives = lives.trim().parse().ok()?;
        (lives >= LIVES && boot.is_empty() || boot == &*self.boot).then_some(lives)
    }

    /// All of the cut is stored.
    pub(super) fn forget(&self, cut: u64) {
        let Ok(notes) = fs::read_dir(&*self.dir) else {
            return;
        };
        let prefix = format!("{cut}-");
        for note in notes.flatten() {
            if note.file_name().to_string_lossy().starts_with(&prefix) {
                // One that stays is a name that no other cut will have.
                let _removed = fs::remove_file(note.path());
            }
        }
    }

    fn note(&self, piece: &Piece) -> PathBuf {
        let (cut, range) = (piece.cut, &piece.range);
        self.dir
            .join(format!("{cut}-{}-{}", range.start, range.end))
    }

    fn write(&self, piece: &Piece, note: &str) {
        let path = self.note(piece);
        let written = match fs::write(&path, note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&*self.dir).and_then(|()| fs::write(&path, note))
            }
            written => written,
        };
        // On a full disk there are worse things than a death that is not counted.
        if let Err(error) = written {
            tracing::debug!(%error, file = %path.display(), "cannot note what is being built");
        }
    }

    fn flush(&self, piece: &Piece) {
        let file = File::open(self.note(piece)).and_then(|file| file.sync_all());
        let flushed = file.and_then(|()| File::open(&*self.dir)?.sync_all());
        if let Err(error) = flushed {
            let file = self.note(piece);
            tracing::warn!(%error, file = %file.display(), "cannot keep that a batch is suspected");
        }
    }
}

#[cfg(test)]
mod tests {
    use petrel_spool::{Entry, ProjectId};
    use petrel_wire::{AgentId, Batch, BatchId, Limits, Sealed, Signal, UnixNanos};

    use super::super::pieces::{Entries, pieces};
    use super::*;

    fn cut_of(entries: u64) -> (Deaths, Piece, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let batch = Batch::from_protobuf(Signal::Logs, Vec::new().into(), &Limits::default());
        let sealed = Sealed::pack(&batch.unwrap());
        let entries: Entries = (1..=entries)
            .map(|seq| {
                let id = BatchId {
                    agent: AgentId::random(),
                    epoch: 1,
                    seq,
                    hash: sealed.hash(),
                };
                let entry = Entry {
                    project: ProjectId(1),
                    origin: None,
                    accepted: UnixNanos(1),
                    sealed: sealed.clone(),
                };
                (id, entry)
            })
            .collect();
        let piece = pieces(7, &entries).remove(0);
        (
            Deaths::on_boot(dir.path().join("building"), "a"),
            piece,
            dir,
        )
    }

    /// What a life does with it that ends there if it builds.
    fn die_over(deaths: &Deaths, piece: &Piece, of_a_suspect: bool) -> &'static str {
        match deaths.begin(piece, of_a_suspect) {
            Verdict::Build(tick) => {
                let _never_dropped = std::mem::ManuallyDrop::new(tick);
                "dies"
            }
            Verdict::Suspect => "suspects",
            Verdict::Deadly => "sets aside",
        }
    }

    fn survive(deaths: &Deaths, piece: &Piece, of_a_suspect: bool) {
        let verdict = deaths.begin(piece, of_a_suspect);
        assert!(matches!(verdict, Verdict::Build(_)), "{verdict:?}");
    }

    #[test]
    fn a_piece_that_ended_three_lives_is_built_by_its_entries_and_the_deadly_one_set_aside() {
        let (deaths, piece, _dir) = cut_of(4);
        let lives: Vec<_> = (0..5).map(|_| die_over(&deaths, &piece, false)).collect();
        assert_eq!(lives, ["dies", "dies", "dies", "suspects", "suspects"]);
        let singles = piece.singles();
        survive(&deaths, &singles[0], true);
        assert_eq!(die_over(&deaths, &singles[1], true), "dies");
        survive(&deaths, &singles[0], true);
        assert_eq!(die_over(&deaths, &singles[1], true), "sets aside");
        survive(&deaths, &singles[2], true);
    }

    #[test]
    fn what_was_built_once_is_never_suspected() {
        let (deaths, piece, _dir) = cut_of(2);
        survive(&deaths, &piece, false);
        for _life in 0..10 {
            assert_eq!(die_over(&deaths, &piece, false), "dies");
        }
    }

    #[test]
    fn a_panic_is_no_death() {
        let (deaths, piece, _dir) = cut_of(2);
        for _life in 0..10 {
            let panicked = std::panic::catch_unwind(|| {
                let _tick = deaths.begin(&piece, false);
                std::panic::resume_unwind(Box::new("on purpose"));
            });
            assert!(panicked.is_err());
        }
        assert_eq!(die_over(&deaths, &piece, false), "dies");
    }

    #[test]
    fn lives_that_ended_with_a_boot_do_not_count_and_a_suspicion_outlives_it() {
        let (deaths, piece, dir) = cut_of(2);
        let on = |boot| Deaths::on_boot(dir.path().join("building"), boot);
        // A power cut may have taken back the note that it was built.
        for boot in ["a", "a", "b", "c", "c", "d", "d", "d"] {
            assert_eq!(die_over(&on(boot), &piece, false), "dies", "{boot}");
        }
        assert_eq!(die_over(&on("d"), &piece, false), "suspects");
        assert_eq!(die_over(&on("e"), &piece, false), "suspects");
        assert_eq!(die_over(&deaths, &piece, false), "suspects");
    }

    #[test]
    fn a_stored_cut_leaves_no_notes_and_takes_no_others_with_it() {
        let (deaths, piece, dir) = cut_of(1);
        let other = Piece {
            cut: 71,
            ..piece.clone()
        };
        die_over(&deaths, &piece, false);
        die_over(&deaths, &other, false);
        deaths.forget(7);
        let left = fs::read_dir(dir.path().join("building")).unwrap();
        let left: Vec<_> = left.map(|note| note.unwrap().file_name()).collect();
        assert_eq!(left, ["71-0-1"]);
    }
}
