//! [`Glance`]: a spool that is looked at and not touched, whether or not somebody has it open.
//!
//! Files are read through [`Unwritten`](crate::unwritten::Unwritten): nothing is locked, repaired
//! or marked. Beside a running owner it is a look at what the owner last committed; a page that is
//! replaced while it is read shows as damage, and is then read again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use petrel_wire::{AgentId, BatchId, Signal};

use crate::dead::read_dead_letters;
use crate::disk::{Directory, Disk as _};
use crate::error::{Fault, FaultKind};
use crate::evict::Extras;
use crate::layout::{Name, STATE};
use crate::segment::{Found, Segment};
use crate::shelf::Shelf;
use crate::state::{Manifest, Snapshot, State};
use crate::{Class, DeadLetter, Entry, SignalStats, SpoolError};

/// How often something that looks damaged is read again: its owner may be writing.
const TRIES: usize = 5;

/// A spool's directory, read-only.
#[derive(Debug)]
pub struct Glance {
    disk: Directory,
    snapshot: Snapshot,
    extras: Extras,
}

/// What there is in a spool.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Whose numbers.
    pub agent: AgentId,
    /// The newest epoch.
    pub epoch: u32,
    /// The pid in the lock file, if somebody holds it.
    pub owner: Option<String>,
    /// Blocks of everything in the directory.
    pub used_bytes: u64,
    /// Indexed by `Signal::code() - 1`.
    pub by_signal: [SignalStats; 3],
    /// Oldest first.
    pub segments: Vec<SegmentReport>,
    /// Groups of entries on their way into a store.
    pub cuts: u64,
    /// Files of dead letters.
    pub dead_files: u64,
    /// Files that were set aside.
    pub quarantined: Vec<String>,
}

/// One segment file.
#[derive(Clone, Debug)]
pub struct SegmentReport {
    /// File name.
    pub name: String,
    /// Of what is in it.
    pub class: Class,
    /// Of the numbers in it.
    pub epoch: u32,
    /// First number.
    pub first: u64,
    /// Last number that was committed to the state file; of one that is written there may be more.
    pub last: u64,
    /// Entries that are not settled.
    pub entries: u64,
    /// Blocks on disk.
    pub allocated_bytes: u64,
    /// Whether it is complete.
    pub closed: bool,
}

/// An entry that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Under which it will be sent.
    pub id: BatchId,
    /// Of which class.
    pub class: Class,
    /// What it is.
    pub entry: Entry,
}

impl Glance {
    /// Looks at the spool in `dir`.
    pub fn at(dir: &Path) -> Result<Self, SpoolError> {
        let disk = Directory::existing(dir);
        let names = match disk.list() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|error| SpoolError::Disk {
                doing: "listing the spool's directory",
                source: Arc::new(error),
            })?,
        };
        if !names.iter().any(|name| name == STATE) {
            return Err(SpoolError::None {
                dir: dir.to_owned(),
            });
        }
        let snapshot = patiently(|| State::open_to_read(&disk)?.load())
            .map_err(|fault| SpoolError::disk(&fault))?;
        let mut extras = Extras::default();
        for name in names {
            let allocated = disk.allocated(&name).unwrap_or(0);
            match Name::of(&name) {
                Name::Dead(number) => {
                    extras.dead.insert(number, allocated);
                }
                Name::Quarantined => {
                    extras.set_aside.insert(name, allocated);
                }
                _ => {}
            }
        }
        Ok(Self {
            disk,
            snapshot,
            extras,
        })
    }

    /// What there is, as of the last commit of the state file.
    pub fn inspect(&self) -> Inspection {
        let site = &self.snapshot.site;
        let shelves: BTreeMap<u64, Shelf> = self
            .snapshot
            .segments
            .iter()
            .map(|(number, manifest)| (*number, self.shelf(manifest)))
            .collect();
        let mut by_signal = [SignalStats::default(); 3];
        for signal in Signal::ALL {
            by_signal[usize::from(signal.code()) - 1] = site.books.stats(signal, shelves.values());
        }
        let segments = shelves.values().map(|shelf| SegmentReport {
            name: shelf.name(),
            class: shelf.manifest.meta.class,
            epoch: shelf.manifest.meta.epoch,
            first: shelf.manifest.meta.first,
            last: shelf.manifest.last,
            entries: shelf.entries_here(),
            allocated_bytes: shelf.allocated,
            closed: shelf.manifest.closed,
        });
        let (agent, epoch) = site.identity();
        Inspection {
            agent,
            epoch,
            owner: self.disk.owner(),
            used_bytes: self.disk.used().unwrap_or(0),
            by_signal,
            segments: segments.collect(),
            cuts: self.snapshot.cuts.len() as u64,
            dead_files: self.extras.dead.len() as u64,
            quarantined: self.extras.set_aside.keys().cloned().collect(),
        }
    }

    fn shelf(&self, manifest: &Manifest) -> Shelf {
        let mut shelf = Shelf::new(manifest.clone(), 0);
        shelf.allocated = self.disk.allocated(&shelf.name()).unwrap_or(0);
        shelf
    }

    /// Entries that are not settled, in the order in which they were written, with what was written
    /// since the last commit of the state file. Ends where a file is gone; what is damaged is
    /// passed over.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting> {
        self.snapshot.segments.values().flat_map(move |manifest| {
            let name = self.shelf(manifest).name();
            let mut segment = None;
            (manifest.meta.first..=self.last_of(&name, manifest))
                .filter(|seq| !manifest.settled.contains(*seq))
                .filter_map(move |seq| self.read(&name, &mut segment, manifest, seq))
        })
    }

    fn last_of(&self, name: &str, manifest: &Manifest) -> u64 {
        if manifest.closed {
            return manifest.last;
        }
        let last = patiently(|| Segment::open_to_read(&self.disk, name)?.0.last());
        last.ok().flatten().unwrap_or(0).max(manifest.last)
    }

    fn read(
        &self,
        name: &str,
        open: &mut Option<Segment>,
        manifest: &Manifest,
        seq: u64,
    ) -> Option<Waiting> {
        for _ in 0..TRIES {
            if open.is_none() {
                *open = Segment::open_to_read(&self.disk, name).ok().map(|it| it.0);
            }
            let found = open.as_ref()?.read(seq);
            if let Ok(Found::Record(_, entry)) = found {
                let own = BatchId {
                    agent: manifest.meta.agent,
                    epoch: manifest.meta.epoch,
                    seq,
                    hash: entry.sealed.hash(),
                };
                return Some(Waiting {
                    id: entry.origin.unwrap_or(own),
                    class: manifest.meta.class,
                    entry,
                });
            }
            *open = None;
        }
        None
    }

    /// The newest dead letters.
    pub fn dead_letters(&self, limit: usize) -> Vec<DeadLetter> {
        read_dead_letters(&self.disk, self.extras.dead.keys().copied().rev(), limit)
    }
}

/// Again, while it looks damaged.
fn patiently<T>(look: impl Fn() -> Result<T, Fault>) -> Result<T, Fault> {
    let mut seen = look();
    for _ in 1..TRIES {
        match &seen {
            Err(fault) if fault.kind == FaultKind::Damaged => seen = look(),
            _ => break,
        }
    }
    seen
}
