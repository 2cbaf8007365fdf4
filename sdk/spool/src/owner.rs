//! The owner: the one thread that touches the disk.
//!
//! Each turn takes whatever has come meanwhile, makes it durable in one commit, answers, and then
//! hands out what is asked for. While a commit waits for the disk the next group gathers by
//! itself, so there is no timer in the way of an append.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use petrel_wire::{AgentId, BatchId, Clock, Delivery, Sealed, Signal};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::books::Counts;
use crate::cut::{CutWaiter, Outstanding};
use crate::disk::Disk;
use crate::evict::Extras;
use crate::ledger::{Sender as LedgerSender, Window};
use crate::order::Turns;
use crate::room::Room;
use crate::segment::Segment;
use crate::settle::Dead;
use crate::shelf::Shelf;
use crate::state::{Site, State, Trust};
use crate::stream::Stream;
use crate::trouble::Trouble;
use crate::{
    Board, Class, Cut, DeadLetter, Entry, Lease, ProjectId, SpoolConfig, SpoolError, SpoolStats,
    Spooled, Tuning,
};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, SpoolError>>;

/// One caller waiting for a commit.
#[derive(Debug)]
pub(crate) struct Append {
    /// Whether the ledger is asked; not for what it has let in before.
    pub(crate) claims: bool,
    pub(crate) class: Class,
    pub(crate) entry: Entry,
    pub(crate) reply: Reply<Spooled>,
    pub(crate) _room: OwnedSemaphorePermit,
}

/// One entry by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) seq: u64,
}

/// What handles, leases and cuts ask of the owner.
#[derive(Debug)]
pub(crate) enum Request {
    Append(Append),
    Lease {
        home: Sender<Request>,
        reply: Reply<Lease>,
    },
    Settle {
        place: Place,
        entry: Entry,
        delivery: Delivery,
    },
    PutBack(Place),
    /// Whether entries of a signal are held back.
    Hold(Signal, bool),
    /// There is more to look through; others had their turn meanwhile.
    LookOn,
    Exported {
        place: Place,
        signal: Signal,
        items: u32,
    },
    Split {
        place: Place,
        entry: Entry,
        parts: Vec<Sealed>,
        reply: Reply<()>,
    },
    Cut {
        home: Sender<Request>,
        max_items: u64,
        max_bytes: u64,
        reply: Reply<Cut>,
    },
    SettleCut {
        id: u64,
        reply: Reply<()>,
    },
    PutBackCut(u64),
    Flush(Reply<()>),
    Knows {
        project: ProjectId,
        origin: BatchId,
        reply: Reply<bool>,
    },
    Renew(Reply<(AgentId, u32)>),
    DeadLetters {
        limit: usize,
        reply: Reply<Vec<DeadLetter>>,
    },
    DropDeadLetters {
        ids: Vec<BatchId>,
        reply: Reply<u64>,
    },
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(crate) struct LeaseWaiter {
    pub(crate) home: Sender<Request>,
    pub(crate) reply: Reply<Lease>,
}

#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) config: SpoolConfig,
    pub(crate) tuning: Tuning,
    pub(crate) clock: Arc<dyn Clock>,
    inbox: Receiver<Request>,
    board: Arc<Mutex<Board>>,
    pub(crate) site: Site,
    /// `None` after a failure, until it is opened again.
    pub(crate) state: Option<State>,
    pub(crate) state_allocated: u64,
    pub(crate) trust: Trust,
    pub(crate) shelves: BTreeMap<u64, Shelf>,
    /// In the order of [`Class::ALL`].
    pub(crate) streams: [Stream; 2],
    pub(crate) turns: Turns,
    /// Signals that nobody is to lease now, by their place in [`Signal::ALL`].
    pub(crate) held: [bool; 3],
    pub(crate) reader: Option<(u64, Segment)>,
    /// Windows of the active segment, not yet in the state file, and looked-up ones.
    pub(crate) ledger: HashMap<LedgerSender, Window>,
    pub(crate) cuts: BTreeMap<u64, Outstanding>,
    /// Settled, and still listed in the state file.
    pub(crate) settled_cuts: Vec<u64>,
    pub(crate) last_cut: Option<Instant>,
    /// A caller of `cut` is kept waiting so that its cut gets larger.
    pub(crate) lingering: bool,
    /// The entry that could not be read last, and how often in a row.
    pub(crate) unreadable: Option<(Place, u32)>,
    pub(crate) dead: Vec<Dead>,
    pub(crate) extras: Extras,
    pub(crate) pending: usize,
    pub(crate) pending_since: Option<Instant>,
    pub(crate) lease_waiters: VecDeque<LeaseWaiter>,
    pub(crate) cut_waiters: VecDeque<CutWaiter>,
    /// Reading and settling are left alone for a while.
    pub(crate) resting: Option<Trouble>,
    /// Appends are refused for a while.
    pub(crate) refusing: Option<Trouble>,
    pub(crate) room: Room,
    pub(crate) commits: u64,
    /// Until dropped, nobody else may open the directory.
    pub(crate) lock: Option<Box<dyn Any + Send>>,
}

/// What recovery found, for [`Owner::start`].
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) site: Site,
    pub(crate) state: State,
    pub(crate) shelves: BTreeMap<u64, Shelf>,
    pub(crate) streams: [Stream; 2],
    pub(crate) ledger: HashMap<LedgerSender, Window>,
    pub(crate) trust: Trust,
    pub(crate) cuts: BTreeMap<u64, Outstanding>,
    pub(crate) extras: Extras,
}

/// The groups that one turn's requests fall into.
#[derive(Debug, Default)]
struct Turn {
    appends: Vec<Append>,
    lookups: Vec<(ProjectId, BatchId, Reply<bool>)>,
    splits: Vec<(Place, Entry, Vec<Sealed>, Reply<()>)>,
    flushes: Vec<Reply<()>>,
    renewals: Vec<Reply<(AgentId, u32)>>,
    letters: Vec<(usize, Reply<Vec<DeadLetter>>)>,
    dropped_letters: Vec<(Vec<BatchId>, Reply<u64>)>,
    close: Option<oneshot::Sender<()>>,
}

impl Owner {
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        config: SpoolConfig,
        tuning: Tuning,
        clock: Arc<dyn Clock>,
        inbox: Receiver<Request>,
        room: Room,
        found: Found,
    ) -> Self {
        let identity = found.site.identity();
        let board = Board {
            stats: SpoolStats::default(),
            identity,
        };
        let mut owner = Self {
            disk,
            config,
            tuning,
            clock,
            inbox,
            board: Arc::new(Mutex::new(board)),
            site: found.site,
            state: Some(found.state),
            state_allocated: 0,
            trust: found.trust,
            shelves: found.shelves,
            streams: found.streams,
            turns: Turns::default(),
            held: [false; 3],
            reader: None,
            ledger: found.ledger,
            cuts: found.cuts,
            settled_cuts: Vec::new(),
            last_cut: None,
            lingering: false,
            unreadable: None,
            dead: Vec::new(),
            extras: found.extras,
            pending: 0,
            pending_since: None,
            lease_waiters: VecDeque::new(),
            cut_waiters: VecDeque::new(),
            resting: None,
            refusing: None,
            room,
            commits: 0,
            lock: None,
        };
        owner.recount();
        owner.publish();
        owner
    }

    pub(crate) fn board(&self) -> Arc<Mutex<Board>> {
        Arc::clone(&self.board)
    }

    pub(crate) fn run(mut self) {
        loop {
            // An overdue deadline must not starve the inbox, nor the other way round.
            let wait = self.wake_at().saturating_duration_since(Instant::now());
            let first = self.inbox.recv_timeout(wait);
            let mut turn = Turn::default();
            match first {
                Ok(request) => self.take(request, &mut turn),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => turn.close = Some(oneshot::channel().0),
            }
            let mut bytes = 0;
            while bytes < self.tuning.group_bytes && turn.close.is_none() {
                match self.inbox.try_recv() {
                    Ok(request) => {
                        if let Request::Append(append) = &request {
                            bytes += append.entry.sealed.body().len() as u64;
                        }
                        self.take(request, &mut turn);
                    }
                    Err(_) => break,
                }
            }
            if let Some(reply) = self.turn(turn) {
                for class in Class::ALL {
                    self.close_writer(class);
                }
                drop(self.reader.take());
                drop(self.state.take());
                self.extras.close();
                // Last: whoever gets it must find every file closed.
                drop(self.lock.take());
                let _nobody_may_wait = reply.send(());
                return;
            }
        }
    }

    fn take(&mut self, request: Request, turn: &mut Turn) {
        match request {
            Request::Append(append) => turn.appends.push(append),
            Request::Lease { home, reply } => {
                self.lease_waiters.push_back(LeaseWaiter { home, reply });
            }
            Request::Settle {
                place,
                entry,
                delivery,
            } => self.settle(place, entry, &delivery),
            Request::PutBack(place) => self.put_back(place),
            Request::Hold(signal, held) => self.held[usize::from(signal.code()) - 1] = held,
            Request::LookOn => {}
            Request::Exported {
                place,
                signal,
                items,
            } => self.exported(place, Counts::of(signal, u64::from(items))),
            Request::Split {
                place,
                entry,
                parts,
                reply,
            } => turn.splits.push((place, entry, parts, reply)),
            Request::Cut {
                home,
                max_items,
                max_bytes,
                reply,
            } => self.cut_waiters.push_back(CutWaiter {
                home,
                max_items,
                max_bytes,
                reply,
            }),
            Request::SettleCut { id, reply } => {
                self.settle_cut(id);
                turn.flushes.push(reply);
            }
            Request::PutBackCut(id) => self.put_back_cut(id),
            Request::Flush(reply) => turn.flushes.push(reply),
            Request::Knows {
                project,
                origin,
                reply,
            } => turn.lookups.push((project, origin, reply)),
            Request::Renew(reply) => turn.renewals.push(reply),
            Request::DeadLetters { limit, reply } => turn.letters.push((limit, reply)),
            Request::DropDeadLetters { ids, reply } => turn.dropped_letters.push((ids, reply)),
            Request::Close(reply) => turn.close = Some(reply),
        }
    }

    /// Does the work of one turn; `Some` if it was the last.
    fn turn(&mut self, turn: Turn) -> Option<oneshot::Sender<()>> {
        self.lease_waiters.retain(|w| !w.reply.is_closed());
        self.cut_waiters.retain(|w| !w.reply.is_closed());
        if self.room.recount_at <= Instant::now() {
            self.recount();
        }
        self.try_again();
        let answers = self.append(turn.appends);
        self.publish();
        for (reply, answer) in answers {
            let _caller_may_be_gone = reply.send(answer);
        }
        for (project, origin, reply) in turn.lookups {
            let _caller_may_be_gone = reply.send(self.knows(project, &origin));
        }
        for (place, entry, parts, reply) in turn.splits {
            let answer = self.split(place, &entry, parts);
            let _caller_may_be_gone = reply.send(answer);
        }
        for reply in turn.renewals {
            let answer = self.renew();
            self.publish();
            let _caller_may_be_gone = reply.send(answer);
        }
        for (limit, reply) in turn.letters {
            let answer = self.dead_letters(limit);
            let _caller_may_be_gone = reply.send(answer);
        }
        for (ids, reply) in turn.dropped_letters {
            let answer = self.drop_dead_letters(&ids);
            let _caller_may_be_gone = reply.send(answer);
        }
        if turn.close.is_some() {
            self.refuse_all(turn.flushes);
            return turn.close;
        }
        let resting = self.is_resting();
        if !turn.flushes.is_empty() || (self.flush_is_due() && !resting) {
            let answer = self.flush();
            self.publish();
            for reply in turn.flushes {
                let _caller_may_be_gone = reply.send(answer.clone());
            }
        }
        self.hand_out_leases();
        self.hand_out_cuts();
        self.publish();
        None
    }

    fn refuse_all(&mut self, flushes: Vec<Reply<()>>) {
        let answer = self.flush();
        if let Err(error) = &answer {
            // Not lost: whatever was not settled durably is sent again and recognised.
            tracing::warn!(%error, "the spool closed without its last settlements");
        }
        self.publish();
        for reply in flushes {
            let _caller_may_be_gone = reply.send(answer.clone());
        }
    }

    fn flush_is_due(&self) -> bool {
        self.pending >= self.tuning.settle_most
            || self
                .pending_since
                .is_some_and(|since| since.elapsed() >= self.tuning.settle_after)
    }

    /// The next moment when there is something to do though nobody asks.
    fn wake_at(&self) -> Instant {
        let flush = self.pending_since.map(|at| at + self.tuning.settle_after);
        let asked = !self.lease_waiters.is_empty() || !self.cut_waiters.is_empty();
        let work = match self.resting.as_ref().filter(|_| self.is_resting()) {
            Some(rest) => [Some(rest.until).filter(|_| asked || flush.is_some()), None],
            None => [flush, self.cut_due()],
        };
        let retry = self.refusing.as_ref().map(|trouble| trouble.until);
        work.into_iter()
            .flatten()
            .chain(retry)
            .fold(self.room.recount_at, Instant::min)
    }

    pub(crate) fn note_pending(&mut self) {
        self.pending += 1;
        self.pending_since.get_or_insert_with(Instant::now);
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.shelves.values().map(|s| s.allocated).sum::<u64>()
            + self.state_allocated
            + self.extras.allocated()
            + self.room.bytes()
    }

    pub(crate) fn measure_state(&mut self) {
        if let Ok(bytes) = self.disk.allocated(crate::layout::STATE) {
            self.state_allocated = bytes;
        }
    }

    pub(crate) fn publish(&mut self) {
        let books = &self.site.books;
        let mut stats = SpoolStats {
            used_bytes: self.used_bytes(),
            limit_bytes: self.room.limit_bytes,
            free_bytes: self.room.free_bytes,
            entries: self.shelves.values().map(Shelf::entries_here).sum(),
            cuts: self.cuts.len() as u64,
            oldest: self.shelves.values().filter_map(Shelf::oldest).min(),
            quarantined_files: self.extras.quarantined(),
            commits: self.commits,
            disk_failing: self.last_words().is_some(),
            trouble: self.last_words(),
            ..SpoolStats::default()
        };
        for signal in Signal::ALL {
            let at = usize::from(signal.code()) - 1;
            stats.by_signal[at] = books.stats(signal, self.shelves.values());
        }
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.stats = stats;
        board.identity = self.site.identity();
    }
}
