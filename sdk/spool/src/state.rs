//! `state.redb`: small, and the only place that says what is settled.
//!
//! Order rules, each of which keeps a crash from losing or repeating something:
//! 1. a segment is listed here, with its first number, before its first record is acknowledged;
//! 2. settlements and drops that cover a file are committed here before the file is unlinked;
//! 3. the directory is synced after every create, rename and unlink;
//! 4. numbers go on from the highest that anybody may have seen; in doubt, the epoch grows;
//! 5. a segment keeps the identity it was written under.

use std::collections::BTreeMap;

use petrel_wire::{AgentId, UnixNanos};
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::Class;
use crate::books::{Books, Counts};
use crate::disk::Disk;
use crate::error::{Fault, guard};
use crate::handle::Handle;
use crate::layout::{FORMAT, META, Reader, STATE, SegmentMeta, newer_format, open_row, seal_row};
use crate::ledger::{Sender, Window};
use crate::ranges::Ranges;

const SEGMENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("segments");
const CUTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("cuts");
const LEDGER: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("ledger");
const CACHE: usize = 1 << 20;

/// Who this spool is, and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) agent: AgentId,
    /// The newest that anything was written under; zero before that.
    pub(crate) epoch: u32,
    /// Above every segment that was ever listed.
    pub(crate) next_segment: u64,
    /// Above every cut of this state file; the epoch goes in front, see `cut`.
    pub(crate) next_cut: u64,
    pub(crate) books: Books,
}

/// What is known of a segment without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) meta: SegmentMeta,
    /// `meta.first - 1` while it is empty.
    pub(crate) last: u64,
    /// Whether totals are final. Those of the newest segment are found by a scan of its headers.
    pub(crate) closed: bool,
    pub(crate) totals: Counts,
    pub(crate) oldest: UnixNanos,
    pub(crate) settled: Ranges,
    pub(crate) settled_items: Counts,
}

impl Manifest {
    pub(crate) fn new(meta: SegmentMeta) -> Self {
        Self {
            meta,
            last: meta.first - 1,
            closed: false,
            totals: Counts::default(),
            oldest: UnixNanos::default(),
            settled: Ranges::default(),
            settled_items: Counts::default(),
        }
    }

    /// Entries ever written to it.
    pub(crate) fn entries(&self) -> u64 {
        self.last + 1 - self.meta.first
    }

    fn write(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(160);
        row.extend_from_slice(&self.meta.number.to_le_bytes());
        row.extend_from_slice(&self.meta.agent.0.to_le_bytes());
        row.extend_from_slice(&self.meta.epoch.to_le_bytes());
        row.extend_from_slice(&self.meta.first.to_le_bytes());
        row.extend_from_slice(&self.last.to_le_bytes());
        row.push(u8::from(self.closed));
        self.totals.write(&mut row);
        row.extend_from_slice(&self.oldest.0.to_le_bytes());
        self.settled_items.write(&mut row);
        self.settled.write(&mut row);
        row.push(self.meta.class.code());
        seal_row(&row)
    }

    fn read(sealed: &[u8]) -> Option<Self> {
        let mut row = Reader::new(open_row(sealed)?);
        let mut manifest = Self {
            meta: SegmentMeta {
                number: row.u64()?,
                class: Class::Bulk,
                agent: AgentId(row.u128()?),
                epoch: row.u32()?,
                first: row.u64()?,
            },
            last: row.u64()?,
            closed: row.u8()? == 1,
            totals: Counts::read(&mut row)?,
            oldest: UnixNanos(row.u64()?),
            settled_items: Counts::read(&mut row)?,
            settled: Ranges::read(&mut row)?,
        };
        // The first format had no classes.
        if row.left() > 0 {
            manifest.meta.class = Class::from_code(row.u8()?)?;
        }
        Some(manifest)
    }
}

/// Entries `first..=last` of one segment, handed out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) segment: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Extent {
    fn write(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(24);
        for number in [self.segment, self.first, self.last] {
            row.extend_from_slice(&number.to_le_bytes());
        }
        seal_row(&row)
    }

    fn read(sealed: &[u8]) -> Option<Self> {
        let mut row = Reader::new(open_row(sealed)?);
        Some(Self {
            segment: row.u64()?,
            first: row.u64()?,
            last: row.u64()?,
        })
    }
}

/// Everything in the file but the ledger, which is looked up row by row.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) site: Site,
    pub(crate) segments: BTreeMap<u64, Manifest>,
    pub(crate) cuts: BTreeMap<u64, Extent>,
}

/// A row of the ledger as it lies in a file: key and sealed window.
pub(crate) type LedgerRow = (Vec<u8>, Vec<u8>);

/// What the owner may believe of the state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// It holds what was last committed.
    Sure,
    /// Its last commit failed: the next one writes everything.
    InDoubt,
    /// An fsync of it failed, or it was removed: it is replaced, and not written again.
    Spent,
}

/// One transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) put_segments: Vec<Manifest>,
    pub(crate) drop_segments: Vec<u64>,
    pub(crate) put_cuts: Vec<(u64, Extent)>,
    pub(crate) drop_cuts: Vec<u64>,
    pub(crate) ledger: Vec<(Sender, Window)>,
    /// Of another state file, as they lie in it.
    pub(crate) ledger_rows: Vec<LedgerRow>,
    /// Rows that are not put are removed: after a commit of unknown outcome.
    pub(crate) replace_all: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    handle: Handle,
}

impl State {
    /// Makes the file, in place of another one if there is one, so that it is either not there or
    /// has all that `change` says: a segment that it does not list would be unlinked.
    pub(crate) fn create(disk: &dyn Disk, site: &Site, change: &Change) -> Result<Self, Fault> {
        let unfinished = format!("{STATE}.new");
        let backend = disk
            .create(&unfinished)
            .map_err(|error| Fault::io("creating the state file", error))?;
        let state = Self {
            handle: Handle::create(backend, CACHE)?,
        };
        state.commit(site, change)?;
        disk.rename(&unfinished, STATE)
            .and_then(|()| disk.sync_dir())
            .map_err(|error| Fault::io("naming the state file", error))?;
        Ok(state)
    }

    pub(crate) fn open(disk: &dyn Disk) -> Result<Self, Fault> {
        let backend = disk
            .open(STATE)
            .map_err(|error| Fault::io("opening the state file", error))?;
        Ok(Self {
            handle: Handle::open(backend, CACHE)?,
        })
    }

    /// Opens the file and writes nothing.
    pub(crate) fn open_to_read(disk: &dyn Disk) -> Result<Self, Fault> {
        let backend = disk
            .open_to_read(STATE)
            .map_err(|error| Fault::io("opening the state file", error))?;
        Ok(Self {
            handle: Handle::open_to_read(backend, CACHE)?,
        })
    }

    /// True if an fsync failed, of the close itself too: the file must not be written again.
    pub(crate) fn close(self) -> bool {
        self.handle.close()
    }

    pub(crate) fn load(&self) -> Result<Snapshot, Fault> {
        let damaged = |what: &str| redb::Error::Corrupted(what.to_owned());
        guard("loading the state file", || {
            let txn = self.handle.db().begin_read()?;
            let site = txn.open_table(META)?.get("site")?;
            let site = site.ok_or_else(|| damaged("no site row"))?;
            if let Some(format) = newer_format(site.value()) {
                return Ok(Err(format));
            }
            let site = Site::read(site.value()).ok_or_else(|| damaged("the site row"))?;
            let mut segments = BTreeMap::new();
            for row in txn.open_table(SEGMENTS)?.iter()? {
                let (number, row) = row?;
                let manifest = Manifest::read(row.value())
                    .filter(|manifest| manifest.meta.number == number.value())
                    .ok_or_else(|| damaged("a segment's row"))?;
                segments.insert(number.value(), manifest);
            }
            let mut cuts = BTreeMap::new();
            for row in txn.open_table(CUTS)?.iter()? {
                let (id, row) = row?;
                let extent = Extent::read(row.value()).ok_or_else(|| damaged("a cut's row"))?;
                cuts.insert(id.value(), extent);
            }
            Ok(Ok(Snapshot {
                site,
                segments,
                cuts,
            }))
        })?
        .map_err(|format| Fault::newer(STATE, format))
    }

    pub(crate) fn window(&self, sender: &Sender) -> Result<Option<Window>, Fault> {
        guard("looking into the ledger", || {
            let txn = self.handle.db().begin_read()?;
            let table = txn.open_table(LEDGER)?;
            match table.get(sender.key().as_slice())? {
                None => Ok(None),
                Some(row) => match Window::read(row.value()) {
                    Some(window) => Ok(Some(window)),
                    None => Err(redb::Error::Corrupted("a ledger row".to_owned())),
                },
            }
        })
    }

    /// The ledger as it lies there, to be written elsewhere.
    pub(crate) fn ledger_rows(&self) -> Result<Vec<LedgerRow>, Fault> {
        guard("copying the ledger", || {
            let txn = self.handle.db().begin_read()?;
            let mut rows = Vec::new();
            for row in txn.open_table(LEDGER)?.iter()? {
                let (key, row) = row?;
                rows.push((key.value().to_vec(), row.value().to_vec()));
            }
            Ok(rows)
        })
    }

    pub(crate) fn commit(&self, site: &Site, change: &Change) -> Result<(), Fault> {
        guard("committing the state file", || {
            let txn = self.handle.db().begin_write()?;
            txn.open_table(META)?
                .insert("site", site.write().as_slice())?;
            {
                let mut table = txn.open_table(SEGMENTS)?;
                if change.replace_all {
                    table.retain(|_, _| false)?;
                }
                for manifest in &change.put_segments {
                    table.insert(manifest.meta.number, manifest.write().as_slice())?;
                }
                for number in &change.drop_segments {
                    table.remove(number)?;
                }
            }
            {
                let mut table = txn.open_table(CUTS)?;
                if change.replace_all {
                    table.retain(|_, _| false)?;
                }
                for (id, extent) in &change.put_cuts {
                    table.insert(id, extent.write().as_slice())?;
                }
                for id in &change.drop_cuts {
                    table.remove(id)?;
                }
            }
            {
                let mut table = txn.open_table(LEDGER)?;
                for (key, row) in &change.ledger_rows {
                    table.insert(key.as_slice(), row.as_slice())?;
                }
                for (sender, window) in &change.ledger {
                    table.insert(sender.key().as_slice(), window.write().as_slice())?;
                }
            }
            txn.commit()?;
            Ok(())
        })
    }
}

impl Site {
    pub(crate) fn new(agent: AgentId) -> Self {
        Self {
            agent,
            epoch: 0,
            next_segment: 1,
            next_cut: 1,
            books: Books::default(),
        }
    }

    /// As others see it: before anything was written, that under which the first entry will be.
    pub(crate) fn identity(&self) -> (AgentId, u32) {
        (self.agent, self.epoch.max(1))
    }

    fn write(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(200);
        row.extend_from_slice(&FORMAT.to_le_bytes());
        row.extend_from_slice(&self.agent.0.to_le_bytes());
        row.extend_from_slice(&self.epoch.to_le_bytes());
        row.extend_from_slice(&self.next_segment.to_le_bytes());
        row.extend_from_slice(&self.next_cut.to_le_bytes());
        self.books.write(&mut row);
        seal_row(&row)
    }

    fn read(sealed: &[u8]) -> Option<Self> {
        let mut row = Reader::new(open_row(sealed)?);
        if row.u32()? > FORMAT {
            return None;
        }
        Some(Self {
            agent: AgentId(row.u128()?),
            epoch: row.u32()?,
            next_segment: row.u64()?,
            next_cut: row.u64()?,
            books: Books::read(&mut row)?,
        })
    }
}
