//! The file under the owner: opened, written, and opened again after a failure.

use std::sync::Arc;
use std::time::Duration;

use petrel_spool::{Committed, HeldWindow, Reopened, SpoolError, WindowChange};
use petrel_wire::otlp::by_trace::trace_parts;
use petrel_wire::{Batch, Signal, UnixNanos};
use tracing::{error, info, warn};

use super::{Owner, PAUSE};
use crate::window::index::Index;

impl Owner {
    pub(super) fn read(&mut self, id: u64) -> Result<Option<Batch>, SpoolError> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        match file.read(id) {
            Ok(entry) => Ok(entry.and_then(|entry| entry.sealed.unpack_checked().ok())),
            Err(why) => {
                self.broke(&why);
                Err(why)
            }
        }
    }

    pub(super) fn take_pending(&mut self) -> WindowChange {
        self.pending_since = None;
        std::mem::take(&mut self.pending)
    }

    pub(super) fn flush(&mut self) {
        let change = self.take_pending();
        if !change.is_empty() && self.commit(&change).is_err() {
            warn!("what was decided about held traces is not on the disk yet");
        }
    }

    pub(super) fn commit(&mut self, change: &WindowChange) -> Result<Committed, SpoolError> {
        let Some(file) = &mut self.file else {
            return Err(SpoolError::Closed);
        };
        match file.commit(change) {
            Ok(committed) => {
                self.book(
                    change.released_items,
                    change.dropped_items,
                    change.corrupt_items,
                );
                Ok(committed)
            }
            Err(why) => {
                self.broke(&why);
                Err(why)
            }
        }
    }

    fn book(&mut self, released: u64, dropped: u64, corrupt: u64) {
        self.booked.released += released;
        self.booked.dropped += dropped;
        self.booked.corrupt += corrupt;
        let books = &self.parts.books;
        books.left_the_window(Signal::Traces, released, dropped, corrupt);
        self.parts.chain.dropped_held(dropped);
    }

    fn broke(&mut self, why: &SpoolError) {
        error!(error = %why, "the window's file has failed; it is opened again");
        self.is_broken = true;
        self.retry_at = self.now() + PAUSE;
    }

    /// Opens the file again after a failure.
    pub(super) fn heal(&mut self) {
        if !self.is_broken || self.now() < self.retry_at {
            return;
        }
        let Some(mut file) = self.file.take() else {
            return;
        };
        let reopened = file.reopen();
        self.file = Some(file);
        match reopened.and_then(|reopened| self.load(reopened)) {
            Ok(()) => {
                self.is_broken = false;
                info!("the window's file works again");
            }
            Err(why) => self.broke(&why),
        }
    }

    pub(super) fn open_file(&mut self) -> Result<(), SpoolError> {
        if self.file.is_some() {
            return Ok(());
        }
        let (file, reopened) = HeldWindow::open(&self.parts.dir, Arc::clone(&self.parts.clock))?;
        let here = file.stats().here;
        self.booked = file.stats();
        self.file = Some(file);
        self.parts.books.resumed(Signal::Traces, here);
        self.load(reopened)?;
        if here > 0 {
            let traces = self.index.traces();
            info!(
                items = here,
                traces, "{here} held spans of {traces} traces are still in the window"
            );
        }
        Ok(())
    }

    /// Takes over what is in the file. What a commit of unknown outcome has done after all is booked.
    fn load(&mut self, reopened: Reopened) -> Result<(), SpoolError> {
        self.index = Index::default();
        self.queue.clear();
        self.pending = WindowChange::default();
        let stats = self
            .file
            .as_ref()
            .map(HeldWindow::stats)
            .unwrap_or_default();
        let before = self.booked;
        self.book(
            stats.released.saturating_sub(before.released),
            stats.dropped.saturating_sub(before.dropped),
            stats.corrupt.saturating_sub(before.corrupt),
        );
        for entry in reopened.entries {
            let Some(file) = &mut self.file else { break };
            let found = file.read(entry.id)?;
            let accepted = found.as_ref().map_or(UnixNanos(0), |entry| entry.accepted);
            let batch = found.and_then(|entry| entry.sealed.unpack_checked().ok());
            match batch {
                Some(batch) if self.refused_from.is_none_or(|from| entry.id < from) => {
                    let due = self.due(accepted);
                    self.index
                        .add(entry.id, trace_parts(&batch), &entry.gone, 0, due);
                }
                batch => {
                    let refused = batch.map_or(0, |batch| u64::from(batch.items()));
                    self.pending.refused_items += refused;
                    self.pending.remove.push(entry.id);
                }
            }
        }
        self.refused_from = None;
        let left = self.index.items() + self.pending.refused_items;
        self.pending.corrupt_items = stats.here.saturating_sub(left);
        if self.pending.corrupt_items > 0 {
            let items = self.pending.corrupt_items;
            error!(items, "{items} held spans cannot be read and are lost");
        }
        if !self.pending.is_empty() {
            self.pending_since = Some(self.now());
        }
        self.release = reopened.release;
        if let Some(release) = &self.release {
            self.index.take(&release.parts);
            self.may_be_spooled = true;
        }
        self.follow(&self.index.waiting_traces());
        Ok(())
    }

    /// When spans that came at this time are due. Clocks jump: not later than if they came now.
    fn due(&self, accepted: UnixNanos) -> Duration {
        let age = self.parts.clock.wall().0.saturating_sub(accepted.0);
        self.now()
            + self
                .config
                .max_age
                .saturating_sub(Duration::from_nanos(age))
    }
}
