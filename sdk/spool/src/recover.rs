//! Opening: who are we, what is here, and where do numbers go on.
//!
//! Constant time in the backlog: closed segments are taken at their manifest's word and opened
//! only when something of them is asked for; only the newest one's headers are read. Whatever
//! cannot be explained by a crash at some point of the order rules (see `state`) puts continuity
//! in doubt, and numbering starts afresh.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use petrel_wire::{AgentId, Clock};

use crate::cut::Outstanding;
use crate::disk::Disk;
use crate::error::{Fault, FaultKind};
use crate::evict::Extras;
use crate::layout::{Header, Name, STATE, dead_name, segment_name};
use crate::ledger::{Sender, Window};
use crate::owner::{Found, Owner, Request};
use crate::room::{self, Room};
use crate::salvage::foreign;
use crate::segment::{Replaced, Segment};
use crate::shelf::Shelf;
use crate::state::{Change, Manifest, Site, Snapshot, State, Trust};
use crate::stream::Stream;
use crate::{SpoolConfig, SpoolError, Tuning};

/// How far the numbers on disk can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doubt {
    None,
    /// Numbers of this epoch may have been used that we no longer see.
    Epoch,
    /// Epochs may have been used that we no longer see.
    Identity,
}

#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) seconds: u64,
    pub(crate) doubt: Doubt,
    pub(crate) extras: Extras,
    shelves: BTreeMap<u64, Shelf>,
    ledger: HashMap<Sender, Window>,
    /// The state file lists segments that are gone: its next commit writes everything.
    trust: Trust,
}

impl Owner {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        config: SpoolConfig,
        tuning: Tuning,
        clock: Arc<dyn Clock>,
        inbox: Receiver<Request>,
    ) -> Result<Self, SpoolError> {
        if !config.allow_network_file_system
            && let Ok(Some(network)) = disk.network()
        {
            let dir = config.dir;
            return Err(SpoolError::Network { dir, network });
        }
        let lock = disk.lock()?;
        let room = Room::find(&*disk, &config, &tuning);
        let recover = || Recovery::of(Arc::clone(&disk), clock.wall().seconds()).run();
        let mut recovered = recover();
        if let Err(fault) = &recovered
            && fault.kind == FaultKind::Full
            && room::release(&*disk)
        {
            // It was held back for a moment like this: what is here must go on leaving.
            recovered = recover();
        }
        let (found, doubt, replaced) = recovered.map_err(|fault| SpoolError::disk(&fault))?;
        let mut owner = Owner::start(disk, config, tuning, clock, inbox, room, found);
        owner.lock = Some(lock);
        for one in replaced {
            owner.book_replaced(&one);
        }
        let mut site = owner.site.clone();
        if doubt == Doubt::Identity {
            site.agent = AgentId::random();
            site.epoch = 0;
        }
        let started = match doubt {
            Doubt::None => Ok(()),
            Doubt::Epoch | Doubt::Identity => owner.end_streams(site),
        };
        started.map_err(|fault| SpoolError::disk(&fault))?;
        owner.publish();
        Ok(owner)
    }
}

impl Recovery {
    fn of(disk: Arc<dyn Disk>, seconds: u64) -> Self {
        Self {
            disk,
            seconds,
            doubt: Doubt::None,
            extras: Extras::default(),
            shelves: BTreeMap::new(),
            ledger: HashMap::new(),
            trust: Trust::Sure,
        }
    }

    fn run(mut self) -> Result<(Found, Doubt, Vec<Replaced>), Fault> {
        let files = self.take_stock()?;
        let (state, mut snapshot) = match self.open_state(&files)? {
            Some(opened) => opened,
            None => self.new_state(&files.segments)?,
        };
        self.match_files(&state, &mut snapshot, &files.segments)?;
        let open = self.shelves.iter().filter(|(_, it)| !it.manifest.closed);
        let open: Vec<u64> = open.map(|(number, _)| *number).collect();
        let mut streams: [Stream; 2] = Default::default();
        for stream in &mut streams {
            // Of a spool that is new nobody has a copy.
            stream.leaps = snapshot.site.epoch > 0;
        }
        let mut replaced = Vec::new();
        for number in open {
            let (writer, found) = self.open_active(number, &state, &mut snapshot.site)?;
            replaced.extend(found);
            let Some(shelf) = self.shelves.get(&number) else {
                continue; // set aside
            };
            let stream = &mut streams[shelf.manifest.meta.class.index()];
            let older = stream.active.replace(number);
            stream.writer = writer;
            if let Some(older) = older.and_then(|older| self.shelves.get_mut(&older)) {
                older.close();
            }
        }
        let mut cuts = BTreeMap::new();
        for (id, extent) in snapshot.cuts {
            if let Some(shelf) = self.shelves.get_mut(&extent.segment) {
                for seq in extent.first..=extent.last {
                    shelf.reserve(seq);
                }
                cuts.insert(id, Outstanding::found(extent));
            }
        }
        let found = Found {
            site: snapshot.site,
            state,
            shelves: self.shelves,
            streams,
            ledger: self.ledger,
            trust: self.trust,
            cuts,
            extras: self.extras,
        };
        Ok((found, self.doubt, replaced))
    }

    /// Lists the directory, removes what was never finished.
    fn take_stock(&mut self) -> Result<Files, Fault> {
        let names = self
            .disk
            .list()
            .map_err(|error| Fault::io("listing the directory", error))?;
        let mut files = Files::default();
        for name in names {
            let allocated = self.disk.allocated(&name).unwrap_or(0);
            match Name::of(&name) {
                Name::State => files.state = true,
                Name::Segment(number) => {
                    files.segments.insert(number);
                }
                Name::Dead(number) => {
                    self.extras.dead.insert(number, allocated);
                }
                Name::Quarantined => {
                    self.extras.set_aside.insert(name, allocated);
                }
                Name::Unfinished => self.extras.discard(name, allocated),
                Name::Ballast | Name::Other => {}
            }
        }
        let empty: Vec<u64> = self
            .extras
            .dead
            .keys()
            .copied()
            .filter(|number| {
                self.disk
                    .open(&dead_name(*number))
                    .and_then(|file| file.len())
                    .is_ok_and(|len| len == 0)
            })
            .collect();
        for number in empty {
            self.extras.dead.remove(&number);
            self.extras.discard(dead_name(number), 0);
        }
        self.extras.sweep(&*self.disk);
        Ok(files)
    }

    fn open_state(&mut self, files: &Files) -> Result<Option<(State, Snapshot)>, Fault> {
        let segments = &files.segments;
        if !files.state {
            return Ok(None);
        }
        // Looked at before it is opened for writing: what a newer version wrote is not touched.
        let opened = State::open_to_read(&*self.disk)
            .and_then(|state| state.load())
            .and_then(|_| State::open(&*self.disk))
            .and_then(|state| {
                let snapshot = state.load()?;
                Ok((state, snapshot))
            });
        match opened {
            Ok((state, snapshot)) if self.is_foreign(&snapshot, segments) => {
                drop(state);
                let fault = Fault::damaged("opening the state file", "is another spool's");
                self.quarantine(STATE, &fault)?;
                Ok(None)
            }
            Ok(opened) => Ok(Some(opened)),
            Err(fault) if fault.kind == FaultKind::Damaged => {
                self.quarantine(STATE, &fault)?;
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// A first start, or one after the state file was lost: then everything in segments is kept
    /// under the identity written in each, and what they held before is not known any more.
    fn new_state(&mut self, segments: &BTreeSet<u64>) -> Result<(State, Snapshot), Fault> {
        let mut site = Site::new(AgentId::random());
        if let Some(highest) = segments.last() {
            tracing::error!(
                segments = segments.len(),
                "the spool's state is lost; its segments are read again in full",
            );
            self.doubt = Doubt::Identity;
            site.next_segment = highest + 1;
        }
        let mut manifests = BTreeMap::new();
        let mut claims = HashMap::new();
        for number in segments {
            if let Some((manifest, headers)) = self.read_in_full(*number)? {
                note_claims(&headers, &mut claims, |_| Ok(None))?;
                manifests.insert(*number, manifest);
            }
        }
        let change = Change {
            put_segments: manifests.values().cloned().collect(),
            ledger: claims.into_iter().collect(),
            ..Change::default()
        };
        let state = State::create(&*self.disk, &site, &change)?;
        let snapshot = Snapshot {
            site,
            segments: manifests,
            cuts: BTreeMap::new(),
        };
        Ok((state, snapshot))
    }

    /// Compares what the state file lists with what is in the directory.
    fn match_files(
        &mut self,
        state: &State,
        snapshot: &mut Snapshot,
        files: &BTreeSet<u64>,
    ) -> Result<(), Fault> {
        let site = &mut snapshot.site;
        for (number, manifest) in std::mem::take(&mut snapshot.segments) {
            if files.contains(&number) {
                let allocated = self.disk.allocated(&segment_name(number)).unwrap_or(0);
                self.shelves.insert(number, Shelf::new(manifest, allocated));
                continue;
            }
            tracing::error!(
                segment = number,
                entries = manifest.entries(),
                "a segment is missing"
            );
            if !manifest.closed {
                self.doubt = self.doubt.max(Doubt::Epoch);
            }
            self.trust = Trust::InDoubt;
            count_lost(site, &manifest);
        }
        for number in files.iter().copied() {
            if self.shelves.contains_key(&number) || !self.file_is_there(number) {
                continue;
            }
            if number < site.next_segment {
                self.remove_retired(number, site.agent)?;
            } else if let Some((manifest, headers)) = self.read_in_full(number)? {
                if manifest.entries() == 0 {
                    // Made just before a crash, and never written to.
                    self.extras.discard(segment_name(number), 0);
                    continue;
                }
                tracing::error!(
                    segment = number,
                    "the state file is older than a segment; it was restored from a copy?",
                );
                self.doubt = Doubt::Identity;
                note_claims(&headers, &mut self.ledger, |sender| state.window(sender))?;
                site.next_segment = number + 1;
                let allocated = self.disk.allocated(&segment_name(number)).unwrap_or(0);
                let mut shelf = Shelf::new(manifest, allocated);
                shelf.dirty = true;
                self.shelves.insert(number, shelf);
            }
        }
        self.extras.sweep(&*self.disk);
        Ok(())
    }

    fn file_is_there(&self, number: u64) -> bool {
        self.disk.allocated(&segment_name(number)).is_ok()
    }

    /// A file that the state file has forgotten: unlinked if it is the one we mean.
    fn remove_retired(&mut self, number: u64, agent: AgentId) -> Result<(), Fault> {
        let name = segment_name(number);
        match Segment::open_to_read(&*self.disk, &name) {
            Ok((_, meta)) if meta.number == number && meta.agent == agent => {
                let allocated = self.disk.allocated(&name).unwrap_or(0);
                self.extras.discard(name, allocated);
                Ok(())
            }
            Ok(_) => self.quarantine(&name, &foreign()),
            Err(fault) if fault.kind == FaultKind::Damaged => self.quarantine(&name, &fault),
            Err(fault) => Err(fault),
        }
    }

    /// Reads the newest segment's headers and opens it for writing.
    fn open_active(
        &mut self,
        number: u64,
        state: &State,
        site: &mut Site,
    ) -> Result<(Option<Segment>, Vec<Replaced>), Fault> {
        let Some(mut shelf) = self.shelves.remove(&number) else {
            return Ok((None, Vec::new()));
        };
        let name = segment_name(number);
        let opened = match Segment::open(&*self.disk, &name) {
            Ok((_, meta)) if meta != shelf.manifest.meta => Err(foreign()),
            opened => opened,
        };
        let segment = match opened {
            Ok((segment, _)) => segment,
            Err(fault) if fault.kind == FaultKind::Damaged => {
                self.quarantine(&name, &fault)?;
                self.doubt = self.doubt.max(Doubt::Epoch);
                self.trust = Trust::InDoubt;
                count_lost(site, &shelf.manifest);
                return Ok((None, Vec::new()));
            }
            Err(fault) => return Err(fault),
        };
        // What the last flush knew of it: a lower bound.
        let (known_last, known_totals) = (shelf.manifest.last, shelf.manifest.totals);
        shelf.manifest.last = shelf.manifest.meta.first - 1;
        shelf.manifest.totals = crate::books::Counts::default();
        let replaced = segment.replaced().unwrap_or_else(|fault| {
            tracing::error!(error = %fault.source, "the splits of the newest segment are lost");
            self.doubt = self.doubt.max(Doubt::Epoch);
            Vec::new()
        });
        let (segment, headers) = self.scan(segment, &mut shelf)?;
        if shelf.manifest.last < known_last {
            tracing::error!(
                segment = number,
                missing = known_last - shelf.manifest.last,
                "the newest segment has lost entries",
            );
            self.doubt = self.doubt.max(Doubt::Epoch);
            for seq in shelf.manifest.last + 1..=known_last {
                shelf.add_unreadable(seq);
            }
        }
        // Entries without a readable header: their items show up as missing when it is retired.
        let lost = known_totals.beyond(&shelf.manifest.totals);
        shelf.manifest.totals += lost;
        note_claims(&headers, &mut self.ledger, |sender| state.window(sender))?;
        shelf.dirty = true;
        self.shelves.insert(number, shelf);
        Ok((segment, replaced))
    }
}

#[derive(Debug, Default)]
struct Files {
    state: bool,
    segments: BTreeSet<u64>,
}

/// A segment that is gone: what of it was not settled is lost, and said so.
fn count_lost(site: &mut Site, manifest: &Manifest) {
    site.books.corrupt += manifest.totals.beyond(&manifest.settled_items);
    site.books.retired += manifest.totals;
    site.books.retired += manifest.settled_items.beyond(&manifest.totals);
}

fn note_claims(
    headers: &[Header],
    ledger: &mut HashMap<Sender, Window>,
    look_up: impl Fn(&Sender) -> Result<Option<Window>, Fault>,
) -> Result<(), Fault> {
    for header in headers {
        if let Some(origin) = &header.origin {
            let sender = Sender::of(header.project, origin);
            let window = match ledger.entry(sender) {
                hash_map::Entry::Occupied(known) => known.into_mut(),
                hash_map::Entry::Vacant(unknown) => {
                    unknown.insert(look_up(&sender)?.unwrap_or_default())
                }
            };
            window.mark(origin);
        }
    }
    Ok(())
}
