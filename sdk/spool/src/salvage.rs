//! What is left of a damaged directory: files are told apart, what can be read of them is kept, what
//! cannot is set aside under a name that says so.

use std::collections::BTreeSet;

use crate::error::{Fault, FaultKind};
use crate::evict::aside_name;
use crate::layout::{Header, segment_name};
use crate::recover::{Doubt, Recovery};
use crate::segment::Segment;
use crate::shelf::Shelf;
use crate::state::{Manifest, Snapshot};

/// How many numbers in a row may be unreadable before a segment with a damaged index is taken to
/// end there.
const MOST_MISSES: u32 = 64;

impl Recovery {
    /// Whether the segments that are here are sound ones, and all of another spool than the state
    /// file. The first that is ours ends the search; one that is closed opens in no time.
    pub(crate) fn is_foreign(&self, snapshot: &Snapshot, files: &BTreeSet<u64>) -> bool {
        let listed = |number: &u64| snapshot.segments.get(number);
        let (closed, others): (Vec<u64>, Vec<u64>) = files
            .iter()
            .partition(|number| listed(number).is_some_and(|manifest| manifest.closed));
        let mut strangers = 0;
        for number in closed.into_iter().chain(others) {
            let opened = Segment::open_to_read(&*self.disk, &segment_name(number));
            let Ok((_, meta)) = opened else { continue };
            let known = listed(&number).is_some_and(|manifest| manifest.meta == meta);
            if known || meta.agent == snapshot.site.agent {
                return false;
            }
            strangers += 1;
        }
        strangers > 0
    }

    /// A closed manifest for a segment that nothing is known about.
    pub(crate) fn read_in_full(
        &mut self,
        number: u64,
    ) -> Result<Option<(Manifest, Vec<Header>)>, Fault> {
        let name = segment_name(number);
        let (segment, meta) = match Segment::open_to_read(&*self.disk, &name) {
            Ok((segment, meta)) if meta.number == number => (segment, meta),
            Ok(_) => {
                self.quarantine(&name, &foreign())?;
                return Ok(None);
            }
            Err(fault) if fault.kind == FaultKind::Damaged => {
                self.quarantine(&name, &fault)?;
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        };
        let mut shelf = Shelf::new(Manifest::new(meta), 0);
        let (_, headers) = self.scan(segment, &mut shelf)?;
        shelf.close();
        Ok(Some((shelf.manifest, headers)))
    }

    /// Books every record of a segment by its header. The handle comes back if all of it could be
    /// read; otherwise the segment is not fit to be written any more.
    pub(crate) fn scan(
        &mut self,
        segment: Segment,
        shelf: &mut Shelf,
    ) -> Result<(Option<Segment>, Vec<Header>), Fault> {
        let mut headers = Vec::new();
        let mut open = Some(segment);
        let mut sound = true;
        let last = if let Some(Ok(last)) = open.as_ref().map(Segment::last) {
            last.unwrap_or(shelf.manifest.last)
        } else {
            // Its index is damaged: look number by number, as far as anything is found.
            sound = false;
            open = None;
            u64::MAX
        };
        let mut misses = 0;
        let mut seq = shelf.manifest.meta.first;
        while seq <= last && misses < MOST_MISSES {
            if open.is_none() {
                match Segment::open_to_read(&*self.disk, &shelf.name()) {
                    Ok((segment, _)) => open = Some(segment),
                    Err(fault) if fault.kind == FaultKind::Damaged => break,
                    Err(fault) => return Err(fault),
                }
            }
            match open.as_ref().map(|segment| segment.header(seq)) {
                Some(Ok(Some(header))) => {
                    for missed in shelf.manifest.last + 1..seq {
                        shelf.add_unreadable(missed);
                    }
                    shelf.add(&header);
                    headers.push(header);
                    misses = 0;
                }
                Some(Err(fault)) if fault.kind == FaultKind::Device => return Err(fault),
                Some(Ok(None)) => misses += 1,
                _ => {
                    misses += 1;
                    sound = false;
                    open = None;
                }
            }
            seq += 1;
        }
        if misses > 0 && last != u64::MAX {
            sound = false;
        }
        if !sound {
            tracing::error!(
                segment = shelf.manifest.meta.number,
                readable = headers.len(),
                "a segment is damaged; what can be read of it is kept",
            );
            self.doubt = self.doubt.max(Doubt::Epoch);
            return Ok((None, headers));
        }
        Ok((open, headers))
    }

    pub(crate) fn quarantine(&mut self, name: &str, fault: &Fault) -> Result<(), Fault> {
        let aside = aside_name(name, self.seconds);
        tracing::error!(
            name,
            renamed_to = aside,
            error = %fault.source,
            "a spool file cannot be read and was set aside",
        );
        self.disk
            .rename(name, &aside)
            .and_then(|()| self.disk.sync_dir())
            .map_err(|error| Fault::io("setting a file aside", error))?;
        let allocated = self.disk.allocated(&aside).unwrap_or(0);
        self.extras.set_aside.insert(aside, allocated);
        Ok(())
    }
}

pub(crate) fn foreign() -> Fault {
    Fault::damaged(
        "opening a segment",
        "it is another spool's, or another number's",
    )
}
