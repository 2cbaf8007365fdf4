//! Releasing: what is decided goes on into the spool, in steps that a crash may cut anywhere.

use std::collections::HashMap;
use std::sync::Arc;

use petrel_spool::{Entry, ProjectId, Release, SpoolError};
use petrel_wire::otlp::by_trace::{Take, TraceId, select};
use petrel_wire::{Batch, BatchId, Sealed, Signal};
use tracing::warn;

use super::{Owner, PAUSE, items};
use crate::seal::class_of;

impl Owner {
    /// While nothing can be released, what is decided must not grow without bound.
    pub(super) fn check_room(&self) -> Result<(), SpoolError> {
        if self.is_broken {
            return Err(SpoolError::Disk {
                doing: "writing to the window",
                source: Arc::new(std::io::Error::other("it has failed before")),
            });
        }
        if self.release.is_none() {
            return Ok(());
        }
        let queued: u64 = self
            .queue
            .iter()
            .map(|part| self.index.bytes_of(part))
            .sum();
        let used_bytes = self.index.bytes + queued;
        let limit_bytes = self.config.max_bytes;
        if used_bytes > limit_bytes {
            return Err(SpoolError::Full {
                used_bytes,
                limit_bytes,
            });
        }
        Ok(())
    }

    pub(super) fn release_all(&mut self) {
        while !self.is_broken && self.now() >= self.retry_at {
            if self.release.is_none() && !self.begin_release() {
                return;
            }
            let Some(release) = self.release.take() else {
                return;
            };
            match self.carry_out(&release) {
                Ok(released) => {
                    let all = items(&release.parts);
                    self.pending.end = true;
                    self.pending.released_items += released;
                    self.pending.corrupt_items += all.saturating_sub(released);
                    self.index.leave(&release.parts, &mut self.pending);
                    self.may_be_spooled = false;
                    let now = self.now();
                    self.pending_since.get_or_insert(now);
                }
                Err(why) => {
                    warn!(error = %why, "cannot release held traces yet: the spool does not take them");
                    // A disk that failed may have it all the same.
                    self.may_be_spooled |= matches!(why, SpoolError::Disk { .. });
                    self.release = Some(release);
                    self.retry_at = self.now() + PAUSE;
                }
            }
        }
    }

    /// Makes it durable what is released next, and under which number. False if there is nothing.
    fn begin_release(&mut self) -> bool {
        let Some(file) = self.file.as_ref().filter(|_| !self.queue.is_empty()) else {
            return false;
        };
        let name = file.next_release();
        let mut parts = Vec::new();
        let mut bytes = 0;
        while bytes < self.parts.release_bytes
            && let Some(part) = self.queue.pop_front()
        {
            bytes += self.index.bytes_of(&part);
            parts.push(part);
        }
        parts.sort_unstable_by_key(|part| (part.entry, part.part));
        let release = Release { name, parts };
        let mut change = self.take_pending();
        change.begin = Some(release.clone());
        if self.commit(&change).is_err() {
            return false;
        }
        self.release = Some(release);
        true
    }

    /// Appends the spans of a release to the spool, which recognises its number; how many there are.
    fn carry_out(&mut self, release: &Release) -> Result<u64, SpoolError> {
        let mut batches = Vec::new();
        for parts in release.parts.chunk_by(|one, next| one.entry == next.entry) {
            let Some(batch) = self.read(parts[0].entry)? else {
                continue;
            };
            let takes: HashMap<TraceId, Take> = parts
                .iter()
                .filter_map(|part| {
                    let take = part.threshold.map_or(Take::Keep, Take::Sampled);
                    Some((self.index.trace_of(part)?, take))
                })
                .collect();
            batches.push(select(&batch, |_, trace| {
                let take = trace.and_then(|trace| takes.get(&trace).copied());
                take.unwrap_or(Take::Leave)
            }));
        }
        let batch = Batch::concat(Signal::Traces, &batches);
        if batch.is_empty() {
            return Ok(0);
        }
        let sealed = Sealed::pack(&batch);
        let origin = BatchId {
            hash: sealed.hash(),
            ..release.name
        };
        let entry = Entry {
            project: ProjectId::default(),
            origin: Some(origin),
            accepted: self.parts.clock.wall(),
            sealed,
        };
        let appended = self.parts.spool.append(entry, class_of(&batch));
        match self.runtime.block_on(appended) {
            Ok(_) => Ok(u64::from(batch.items())),
            // The same spans, packed by another version.
            Err(SpoolError::Conflict(_)) if self.may_be_spooled => Ok(u64::from(batch.items())),
            Err(why) => Err(why),
        }
    }
}
