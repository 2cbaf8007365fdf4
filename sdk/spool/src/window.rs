//! The window: spans that are acknowledged and wait for a decision about their traces.
//!
//! One redb file beside the segments. Each commit makes everything in a [`WindowChange`] durable, or
//! nothing of it. An entry is what one request brought, packed once; its parts are its traces, in the
//! order in which they stand in it, and leave it one by one. The entry goes with its last part.
//!
//! # How a release is neither lost nor doubled
//! 1. A [`Release`] is committed here: which parts, under which number.
//! 2. Their spans are appended to the spool with that number as their origin, which the spool's
//!    ledger claims in the transaction of the append.
//! 3. The release ends here, and its parts are gone.
//!
//! A crash between 1 and 3 leaves the release here. It is repeated after the start, and the ledger
//! tells whether the spans are in the spool already. A number is never used for other parts: numbers
//! leap at each start, since the disk may be a copy of another one.
//!
//! It blocks: one thread owns it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use petrel_wire::{BatchId, Clock};
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::disk::{Directory, Disk};
use crate::error::{Fault, FaultKind, guard};
use crate::handle::Handle;
use crate::layout::{META, newer_format};
use crate::segment::{Found, Record, get_record, put_record};
use crate::{Entry, SpoolError};

mod rows;

use rows::{Gone, Site};
pub use rows::{Part, Release, WindowStats};

const NAME: &str = "window.redb";
const UNFINISHED: &str = "window.redb.new";
const HELD: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("held");
/// Parts that have left their entries.
const GONE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("gone");
const CACHE: usize = 4 << 20;
/// A file that is so much larger than what it holds is made anew at the start.
const MOST_SLACK: u64 = 8 << 20;
/// Starts under one identity: each leaves a hole in the numbers, which the ledger remembers.
const MOST_STARTS: u32 = 1_000;

/// An entry that is in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldEntry {
    /// Ascending in the order in which entries came.
    pub id: u64,
    /// Parts that have left it, ascending.
    pub gone: Vec<u32>,
}

/// What was in the window when it was opened.
#[derive(Debug)]
pub struct Reopened {
    /// Oldest first.
    pub entries: Vec<HeldEntry>,
    /// A release that was interrupted, and has to be repeated before anything else is released.
    pub release: Option<Release>,
}

/// One transaction. What is not said stays as it is.
#[derive(Debug, Default)]
pub struct WindowChange {
    /// New entries, with ids from [`HeldWindow::next_id`] on.
    pub put: Vec<(u64, Entry)>,
    /// Entries of which something is left, and all parts that have left each.
    pub gone: BTreeMap<u64, Vec<u32>>,
    /// Entries of which nothing is left.
    pub remove: Vec<u64>,
    /// A release that begins.
    pub begin: Option<Release>,
    /// The release that was begun has ended.
    pub end: bool,
    /// Items that came in, and what became of others.
    pub taken_items: u64,
    /// They are in the spool.
    pub released_items: u64,
    /// Somebody decided against them.
    pub dropped_items: u64,
    /// They cannot be read.
    pub corrupt_items: u64,
    /// They were taken, and their senders were told that they were not.
    pub refused_items: u64,
}

impl WindowChange {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty()
            && self.gone.is_empty()
            && self.remove.is_empty()
            && self.begin.is_none()
            && !self.end
            && self.dropped_items + self.corrupt_items + self.refused_items == 0
    }
}

/// Proof that a change would survive a power cut.
#[derive(Clone, Debug)]
pub struct Committed(());

/// The open file. After a failure it has to be [reopened](HeldWindow::reopen).
#[derive(Debug)]
pub struct HeldWindow {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    /// `None` after a failure.
    handle: Option<Handle>,
    /// An fsync failed: what is read may be in memory only, so it is written elsewhere.
    is_spent: bool,
    site: Site,
}

impl HeldWindow {
    /// Opens or makes the window of the spool in `dir`, which the caller has open. Blocks.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<(Self, Reopened), SpoolError> {
        let disk = Directory::new(dir).map_err(|error| SpoolError::Disk {
            doing: "creating the directory",
            source: Arc::new(error),
        })?;
        Self::open_on(Arc::new(disk), clock)
    }

    /// Whether there is a window in `dir`.
    pub fn is_in(dir: &Path) -> bool {
        dir.join(NAME).is_file()
    }

    /// As [`HeldWindow::open`], on a disk of the caller's choice.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Reopened), SpoolError> {
        let mut window = Self {
            disk,
            clock,
            handle: None,
            is_spent: false,
            site: Site::new(),
        };
        let opened = window.open_file();
        let mut reopened = opened.map_err(|fault| SpoolError::disk(&fault))?;
        window.site.leap();
        if reopened.release.is_none() && window.site.starts > MOST_STARTS {
            window.site.renew();
        }
        let begun = window.commit(&WindowChange::default());
        if begun.is_err() {
            reopened = window.reopen()?;
        }
        Ok((window, reopened))
    }

    /// Opens the file again after a failure; what is in it then is what counts.
    pub fn reopen(&mut self) -> Result<Reopened, SpoolError> {
        self.give_up();
        self.open_file().map_err(|fault| SpoolError::disk(&fault))
    }

    /// The id of the next entry.
    pub fn next_id(&self) -> u64 {
        self.site.next_entry
    }

    /// The name for the next release.
    pub fn next_release(&self) -> BatchId {
        BatchId {
            agent: self.site.agent,
            epoch: 1,
            seq: self.site.next_release,
            hash: 0,
        }
    }

    /// Items since the window was made.
    pub fn stats(&self) -> WindowStats {
        self.site.stats
    }

    /// Makes a change durable, all of it or nothing. After an error nobody knows which, until
    /// [`HeldWindow::reopen`] has looked.
    pub fn commit(&mut self, change: &WindowChange) -> Result<Committed, SpoolError> {
        let site = self.site.after(change);
        let outcome = match &self.handle {
            None => Err(Fault::io(
                "writing to the window",
                std::io::Error::other("it has to be reopened"),
            )),
            Some(handle) => write(handle, &site, change),
        };
        match outcome {
            Ok(()) => {
                self.site = site;
                Ok(Committed(()))
            }
            Err(fault) => {
                self.give_up();
                Err(SpoolError::disk(&fault))
            }
        }
    }

    /// An entry; `None` if it is not there, or not what was written.
    pub fn read(&mut self, id: u64) -> Result<Option<Entry>, SpoolError> {
        let outcome = match &self.handle {
            None => return Err(SpoolError::Closed),
            Some(handle) => guard("reading the window", || {
                let txn = handle.db().begin_read()?;
                get_record(&txn.open_table(HELD)?, id)
            }),
        };
        match outcome {
            Ok(Found::Record(_, entry)) => Ok(Some(entry)),
            Ok(Found::Damaged(_) | Found::Missing) => Ok(None),
            Err(fault) if fault.kind == FaultKind::Damaged => Ok(None),
            Err(fault) => {
                self.give_up();
                Err(SpoolError::disk(&fault))
            }
        }
    }

    fn give_up(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.is_spent |= handle.close();
        }
    }

    fn open_file(&mut self) -> Result<Reopened, Fault> {
        let names = self
            .disk
            .list()
            .map_err(|error| Fault::io("listing the directory", error))?;
        if !names.iter().any(|name| name == NAME) {
            self.handle = Some(self.make(&Site::new(), None)?);
            self.is_spent = false;
        } else if let Err(fault) = self.open_existing() {
            if fault.kind != FaultKind::Damaged {
                return Err(fault);
            }
            self.set_aside(&fault)?;
        }
        let Some(handle) = &self.handle else {
            return Err(Fault::damaged("opening the window", "it is closed"));
        };
        let (site, reopened) = load(handle)?;
        self.site = site;
        Ok(reopened)
    }

    fn open_existing(&mut self) -> Result<(), Fault> {
        let backend = self
            .disk
            .open(NAME)
            .map_err(|error| Fault::io("opening the window", error))?;
        let handle = Handle::open(backend, CACHE)?;
        let (site, reopened) = load(&handle)?;
        let allocated = self.disk.allocated(NAME).unwrap_or(0);
        let is_slack = reopened.entries.is_empty() && allocated > MOST_SLACK;
        if self.is_spent || is_slack {
            let made = self.make(&site, Some(&handle))?;
            handle.close();
            self.handle = Some(made);
            self.is_spent = false;
        } else {
            self.handle = Some(handle);
        }
        Ok(())
    }

    /// Makes the file, in place of another one, whose contents it takes over if it is given.
    fn make(&self, site: &Site, old: Option<&Handle>) -> Result<Handle, Fault> {
        let backend = self
            .disk
            .create(UNFINISHED)
            .map_err(|error| Fault::io("creating the window", error))?;
        let handle = Handle::create(backend, CACHE)?;
        write(&handle, site, &WindowChange::default())?;
        if let Some(old) = old {
            copy(old, &handle)?;
        }
        self.disk
            .rename(UNFINISHED, NAME)
            .and_then(|()| self.disk.sync_dir())
            .map_err(|error| Fault::io("naming the window", error))?;
        Ok(handle)
    }

    /// What cannot be read is kept for whoever can, and an empty window takes its place. Its books
    /// begin anew, too.
    fn set_aside(&mut self, fault: &Fault) -> Result<(), Fault> {
        self.handle = None;
        let aside = format!("{NAME}.corrupt-{}", self.clock.wall().seconds());
        tracing::error!(error = %fault.source, file = aside, "the window cannot be read and is set aside; what was held in it is lost");
        self.disk
            .rename(NAME, &aside)
            .map_err(|error| Fault::io("setting the window aside", error))?;
        self.handle = Some(self.make(&Site::new(), None)?);
        Ok(())
    }
}

fn write(handle: &Handle, site: &Site, change: &WindowChange) -> Result<(), Fault> {
    guard("writing to the window", || {
        let txn = handle.db().begin_write()?;
        {
            let mut meta = txn.open_table(META)?;
            meta.insert("site", site.write().as_slice())?;
            if change.end {
                meta.remove("release")?;
            }
            if let Some(release) = &change.begin {
                meta.insert("release", release.write().as_slice())?;
            }
            let mut held = txn.open_table(HELD)?;
            for (seq, entry) in &change.put {
                let record = Record {
                    seq: *seq,
                    entry,
                    note: "",
                };
                put_record(&mut held, &record)?;
            }
            let mut gone = txn.open_table(GONE)?;
            for (id, parts) in &change.gone {
                gone.insert(id, Gone::write(parts).as_slice())?;
            }
            for id in &change.remove {
                gone.remove(id)?;
                held.retain_in((*id, 0)..=(*id, u16::MAX), |_, _| false)?;
            }
        }
        txn.commit()?;
        Ok(())
    })
}

fn load(handle: &Handle) -> Result<(Site, Reopened), Fault> {
    let damaged = |what: &str| redb::Error::Corrupted(what.to_owned());
    guard("loading the window", || {
        let txn = handle.db().begin_read()?;
        let meta = txn.open_table(META)?;
        let site = meta.get("site")?.ok_or_else(|| damaged("no site row"))?;
        if let Some(format) = newer_format(site.value()) {
            return Ok(Err(format));
        }
        let site = Site::read(site.value()).ok_or_else(|| damaged("the site row"))?;
        let release = match meta.get("release")? {
            None => None,
            Some(row) => Some(Release::read(row.value()).ok_or_else(|| damaged("a release"))?),
        };
        let mut entries = Vec::new();
        for row in txn.open_table(HELD)?.iter()? {
            let (id, piece) = row?.0.value();
            if piece == 0 {
                entries.push(HeldEntry {
                    id,
                    gone: Vec::new(),
                });
            }
        }
        for row in txn.open_table(GONE)?.iter()? {
            let (id, row) = row?;
            let gone = Gone::read(row.value()).ok_or_else(|| damaged("a row of parts"))?;
            if let Ok(at) = entries.binary_search_by_key(&id.value(), |entry| entry.id) {
                entries[at].gone = gone;
            }
        }
        Ok(Ok((site, Reopened { entries, release })))
    })?
    .map_err(|format| Fault::newer(NAME, format))
}

fn copy(from: &Handle, to: &Handle) -> Result<(), Fault> {
    guard("copying the window", || {
        let old = from.db().begin_read()?;
        let new = to.db().begin_write()?;
        {
            let mut meta = new.open_table(META)?;
            for row in old.open_table(META)?.iter()? {
                let (key, row) = row?;
                meta.insert(key.value(), row.value())?;
            }
            let mut held = new.open_table(HELD)?;
            for row in old.open_table(HELD)?.iter()? {
                let (key, row) = row?;
                held.insert(key.value(), row.value())?;
            }
            let mut gone = new.open_table(GONE)?;
            for row in old.open_table(GONE)?.iter()? {
                let (key, row) = row?;
                gone.insert(key.value(), row.value())?;
            }
        }
        new.commit()?;
        Ok(())
    })
}
