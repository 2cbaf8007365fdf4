//! The owner: the one thread that touches the window's file.
//!
//! Each turn takes whatever has come meanwhile and makes it durable in one commit, together with what
//! became of earlier spans; then it answers, decides about what is overdue, and releases what is
//! decided. After a failure of the disk the file counts, not what was in memory: it is read again.

use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_plugin_host::{Decision, TraceFate};
use petrel_spool::{
    Committed, Entry, HeldWindow, Part, ProjectId, Release, SpoolError, WindowChange, WindowStats,
};
use petrel_wire::otlp::by_trace::{Take, TraceId, TracePart, select};
use petrel_wire::{Batch, Sealed, Signal};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::info;

use super::index::Index;
use super::{Undecided, WindowConfig, WindowParts, WindowState};
use crate::custody::Custody;

mod file;
mod release;

/// Packed bytes that one commit takes in.
const GROUP_BYTES: usize = 4 << 20;
/// Uncompressed bytes that an instance is shown at once.
const OFFER_BYTES: u64 = 1 << 20;
/// What can wait for the next commit waits no longer than this.
const PENDING: Duration = Duration::from_millis(500);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(60);

/// Spans that somebody waits to be told are durable.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) sealed: Sealed,
    pub(super) parts: Vec<TracePart>,
    pub(super) generation: u64,
    pub(super) custody: Custody,
    pub(super) answer: oneshot::Sender<Result<Committed, SpoolError>>,
}

/// What handles ask.
#[derive(Debug)]
pub(super) enum Request {
    Hold(Arrived),
    Decide(Vec<Decision>),
    Configure(WindowConfig),
    LetGo,
    Unknown {
        generation: u64,
        answer: oneshot::Sender<Option<(Vec<u64>, Batch)>>,
    },
    Known {
        generation: u64,
        ids: Vec<u64>,
    },
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Owner {
    parts: WindowParts,
    config: WindowConfig,
    inbox: Receiver<Request>,
    board: Arc<Mutex<WindowState>>,
    runtime: Handle,
    /// Made when it is needed.
    file: Option<HeldWindow>,
    /// The books of the file that are in the agent's books.
    booked: WindowStats,
    index: Index,
    /// Decided, and to be released.
    queue: VecDeque<Part>,
    /// On the disk, and perhaps in the spool.
    release: Option<Release>,
    /// Whether somebody has tried to append it before, and nobody knows what came of it.
    may_be_spooled: bool,
    /// To be made durable with the next commit.
    pending: WindowChange,
    pending_since: Option<Duration>,
    /// From this id on entries were refused to their senders, wherever they are.
    refused_from: Option<u64>,
    is_broken: bool,
    /// Nothing is tried again before.
    retry_at: Duration,
    state: WindowState,
}

impl Owner {
    pub(super) fn open(
        parts: WindowParts,
        config: WindowConfig,
        inbox: Receiver<Request>,
        board: Arc<Mutex<WindowState>>,
    ) -> Result<Self, SpoolError> {
        let is_there = HeldWindow::is_in(&parts.dir);
        let mut owner = Self {
            parts,
            config,
            inbox,
            board,
            runtime: Handle::current(),
            file: None,
            booked: WindowStats::default(),
            index: Index::default(),
            queue: VecDeque::new(),
            release: None,
            may_be_spooled: false,
            pending: WindowChange::default(),
            pending_since: None,
            refused_from: None,
            is_broken: false,
            retry_at: Duration::ZERO,
            state: WindowState::default(),
        };
        if is_there {
            owner.open_file()?;
            owner.publish();
        }
        Ok(owner)
    }

    pub(super) fn run(mut self) {
        loop {
            let mut arrived = Vec::new();
            let mut closing = None;
            let first = match self.inbox.recv_timeout(self.wait()) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut next = first;
            let mut bytes = 0;
            while let Some(request) = next.take() {
                match request {
                    Request::Hold(one) => {
                        bytes += one.sealed.body().len();
                        arrived.push(one);
                    }
                    Request::Close(answer) => {
                        closing = Some(answer);
                        break;
                    }
                    other => self.take(other),
                }
                if bytes < GROUP_BYTES {
                    next = self.inbox.try_recv().ok();
                }
            }
            self.heal();
            self.store(arrived);
            self.settle_overdue();
            self.release_all();
            if closing.is_some()
                || self
                    .pending_since
                    .is_some_and(|at| self.now() >= at + PENDING)
            {
                self.flush();
            }
            self.publish();
            if let Some(answer) = closing {
                drop(self.file.take());
                let _nobody_may_wait = answer.send(());
                return;
            }
        }
    }

    fn now(&self) -> Duration {
        self.parts.clock.monotonic()
    }

    fn wait(&self) -> Duration {
        let now = self.now();
        let retries = self.is_broken || self.release.is_some() || !self.queue.is_empty();
        let moments = [
            self.index.due(),
            self.pending_since.map(|at| at + PENDING),
            retries.then_some(self.retry_at),
        ];
        let next = moments.into_iter().flatten().min();
        next.map_or(IDLE, |at| at.saturating_sub(now).min(IDLE))
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Decide(decisions) => {
                self.parts.chain.decided().note(&decisions, self.now());
                for Decision { trace, fate } in decisions {
                    self.decide(&trace, fate);
                }
            }
            Request::Configure(config) => self.config = config,
            Request::LetGo => {
                let traces = self.index.waiting_traces();
                info!(
                    traces = traces.len(),
                    "no processor holds traces any more; those that were held are let go"
                );
                self.decide_by_default(&traces);
            }
            Request::Unknown { generation, answer } => {
                let found = self.unknown_to(generation);
                let _caller_may_be_gone = answer.send(found);
            }
            Request::Known { generation, ids } => self.index.known_to(generation, &ids),
            Request::Hold(_) | Request::Close(_) => {}
        }
    }

    /// Makes spans durable and answers those that wait for it.
    fn store(&mut self, arrived: Vec<Arrived>) {
        if arrived.is_empty() {
            return;
        }
        let room = self.check_room().and_then(|()| self.open_file());
        let (Ok(()), Some(file)) = (&room, &self.file) else {
            let error = room.err().unwrap_or(SpoolError::Closed);
            for one in arrived {
                one.refuse(&error);
            }
            return;
        };
        let first = file.next_id();
        let accepted = self.parts.clock.wall();
        let mut change = self.take_pending();
        for (id, one) in (first..).zip(&arrived) {
            change.taken_items += one.custody.items();
            let entry = Entry {
                project: ProjectId::default(),
                origin: None,
                accepted,
                sealed: one.sealed.clone(),
            };
            change.put.push((id, entry));
        }
        match self.commit(&change) {
            Err(error) => {
                self.refused_from = Some(self.refused_from.map_or(first, |from| from.min(first)));
                for one in arrived {
                    one.refuse(&error);
                }
            }
            Ok(committed) => {
                let due = self.now() + self.config.max_age;
                let (mut traces, mut answers) = (Vec::new(), Vec::new());
                for (id, one) in (first..).zip(arrived) {
                    self.booked.taken += one.custody.items();
                    traces.extend(one.parts.iter().map(|part| part.trace));
                    self.index.add(id, one.parts, &[], one.generation, due);
                    one.custody.held(&committed);
                    answers.push(one.answer);
                }
                self.publish();
                for answer in answers {
                    // Whoever has gone away will send again; that cannot be helped here.
                    let _gone = answer.send(Ok(committed.clone()));
                }
                self.follow(&traces);
            }
        }
    }

    /// Traces that were decided while spans of theirs were on their way here.
    fn follow(&mut self, traces: &[TraceId]) {
        let fates = self.parts.chain.decided().fates(traces, self.now());
        for (trace, fate) in traces.iter().zip(fates) {
            if let Some(fate) = fate {
                self.decide(trace, fate);
            }
        }
    }

    fn decide(&mut self, trace: &TraceId, fate: TraceFate) {
        let parts = self.index.decide(trace, fate);
        if fate != TraceFate::Dropped {
            self.queue.extend(parts);
        } else if !parts.is_empty() {
            self.pending.dropped_items += items(&parts);
            self.index.leave(&parts, &mut self.pending);
            let now = self.now();
            self.pending_since.get_or_insert(now);
        }
    }

    fn decide_by_default(&mut self, traces: &[TraceId]) {
        let fate = match self.config.undecided {
            Undecided::Keep => TraceFate::Kept,
            Undecided::Drop => TraceFate::Dropped,
        };
        let decisions: Vec<_> = traces
            .iter()
            .map(|trace| Decision {
                trace: *trace,
                fate,
            })
            .collect();
        self.parts.chain.decided().note(&decisions, self.now());
        self.state.undecided_traces += traces.len() as u64;
        for trace in traces {
            self.decide(trace, fate);
        }
    }

    fn settle_overdue(&mut self) {
        while let Some(traces) = self.index.overdue(self.now(), self.config.max_bytes) {
            self.decide_by_default(&traces);
        }
    }

    fn unknown_to(&mut self, generation: u64) -> Option<(Vec<u64>, Batch)> {
        if self.is_broken {
            return None;
        }
        let found = self.index.unknown_to(generation, OFFER_BYTES);
        let mut batches = Vec::new();
        for (id, traces) in &found {
            let batch = self.read(*id).ok()?;
            let traces: HashSet<_> = traces.iter().copied().collect();
            batches.extend(batch.map(|batch| {
                select(&batch, |_, trace| match trace {
                    Some(trace) if traces.contains(&trace) => Take::Keep,
                    _ => Take::Leave,
                })
            }));
        }
        let batch = Batch::concat(Signal::Traces, &batches);
        self.state.offered_items += u64::from(batch.items());
        let ids: Vec<u64> = found.into_iter().map(|(id, _)| id).collect();
        (!ids.is_empty()).then_some((ids, batch))
    }

    fn publish(&mut self) {
        self.state.stats = self
            .file
            .as_ref()
            .map(HeldWindow::stats)
            .unwrap_or_default();
        self.state.used_bytes = self.index.bytes;
        self.state.traces = self.index.traces();
        *self.board.lock().unwrap_or_else(PoisonError::into_inner) = self.state;
    }
}

impl Arrived {
    fn refuse(self, why: &SpoolError) {
        self.custody.refused();
        let _gone = self.answer.send(Err(why.clone()));
    }
}

fn items(parts: &[Part]) -> u64 {
    parts.iter().map(|part| u64::from(part.items)).sum()
}
