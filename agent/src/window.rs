//! The window: spans that a processor holds until it has decided about their traces.
//!
//! A held span is acknowledged once it is durable in the spool's `window.redb`; the processor keeps
//! only what it needs to decide. One thread (`owner`) does the disk work: it writes what comes in,
//! many requests in one commit, and lets decisions come true. What is kept goes on into the spool,
//! under a number that the spool claims with it, so that a crash at any moment loses nothing that was
//! acknowledged and doubles nothing that was released.
//!
//! The window is bounded by bytes and by age; what is oldest then gets the verdict that the operator
//! chose. When the instance that knew of held spans is gone (a crash, a trap), they are offered to the
//! next one (`ticker`), which decides about them again.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_plugin_host::{Chain, Decision, Held};
use petrel_spool::{Committed, Spool, SpoolError, WindowStats};
use petrel_wire::otlp::by_trace::trace_parts;
use petrel_wire::{Batch, Clock, Sealed};
use tokio::sync::oneshot;

use crate::custody::{Books, Custody};

mod index;
mod owner;
mod ticker;

use owner::{Arrived, Owner, Request};
pub(crate) use ticker::Ticker;

/// Packing more than this takes a thread of its own.
const LARGE_BYTES: usize = 512 << 10;

/// `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowConfig {
    /// Encoded size of the spans that may wait.
    pub max_bytes: u64,
    /// How long a span may wait for a decision.
    pub max_age: Duration,
    /// What becomes of those that wait too long, or are too many.
    pub undecided: Undecided,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(60),
            undecided: Undecided::Keep,
        }
    }
}

/// What becomes of spans about which nobody has decided in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// They go on.
    Keep,
    /// They are dropped, and counted as the holding processor's.
    Drop,
}

/// What the window of a running agent is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowState {
    /// Since the window was made.
    pub stats: WindowStats,
    /// Encoded size of the spans that wait.
    pub used_bytes: u64,
    /// Traces that wait.
    pub traces: usize,
    /// About which nobody had decided in time, since the start.
    pub undecided_traces: u64,
    /// Spans that were shown to an instance again, since the start.
    pub offered_items: u64,
}

/// What the window stands between.
#[derive(Debug)]
pub(crate) struct WindowParts {
    /// The spool's directory.
    pub(crate) dir: PathBuf,
    pub(crate) spool: Spool,
    pub(crate) chain: Arc<Chain>,
    pub(crate) books: Arc<Books>,
    pub(crate) clock: Arc<dyn Clock>,
    /// A release does not become much larger, uncompressed.
    pub(crate) release_bytes: u64,
}

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Window {
    requests: Sender<Request>,
    board: Arc<Mutex<WindowState>>,
}

impl Window {
    /// Opens the window if there is one, and starts its owner, which makes one when it is needed.
    /// Blocks. Must be called within the runtime.
    pub(crate) fn open(parts: WindowParts, config: WindowConfig) -> Result<Self, SpoolError> {
        let (requests, inbox) = channel();
        let board = Arc::default();
        let owner = Owner::open(parts, config, inbox, Arc::clone(&board))?;
        std::thread::Builder::new()
            .name("window".to_owned())
            .spawn(move || owner.run())
            .map_err(|error| SpoolError::Disk {
                doing: "starting the window's thread",
                source: Arc::new(error),
            })?;
        Ok(Self { requests, board })
    }

    /// Returns once the spans would survive a power cut.
    pub async fn hold(&self, held: Held, custody: Custody) -> Result<Committed, SpoolError> {
        let Held { batch, generation } = held;
        let size = batch.bytes().len();
        let pack = move || {
            let parts = trace_parts(&batch);
            (Sealed::pack(&batch), parts)
        };
        let (sealed, parts) = if size > LARGE_BYTES {
            let packed = tokio::task::spawn_blocking(pack).await;
            packed.map_err(|_| SpoolError::Closed)?
        } else {
            pack()
        };
        let (answer, committed) = oneshot::channel();
        let arrived = Arrived {
            sealed,
            parts,
            generation,
            custody,
            answer,
        };
        self.ask(Request::Hold(arrived));
        committed.await.map_err(|_| SpoolError::Closed)?
    }

    /// Lets decisions come true.
    pub fn decide(&self, decisions: Vec<Decision>) {
        if !decisions.is_empty() {
            self.ask(Request::Decide(decisions));
        }
    }

    /// Bounds and policy from now on.
    pub(crate) fn configure(&self, config: WindowConfig) {
        self.ask(Request::Configure(config));
    }

    /// Nobody holds any more: everything gets the operator's verdict.
    pub(crate) fn let_go(&self) {
        if self.state().traces > 0 {
            self.ask(Request::LetGo);
        }
    }

    /// Spans that an instance of this generation does not know, if any wait; and their name.
    pub(crate) async fn unknown_to(&self, generation: u64) -> Option<(Vec<u64>, Batch)> {
        let (answer, found) = oneshot::channel();
        self.ask(Request::Unknown { generation, answer });
        found.await.ok().flatten()
    }

    /// An instance of this generation has seen them now.
    pub(crate) fn known_to(&self, generation: u64, ids: Vec<u64>) {
        self.ask(Request::Known { generation, ids });
    }

    /// The window now.
    pub fn state(&self) -> WindowState {
        *self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets what is decided come true and closes the file. What is undecided stays in it.
    pub(crate) async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        self.ask(Request::Close(answer));
        let _gone_already = closed.await;
    }

    fn ask(&self, request: Request) {
        let _owner_may_be_gone = self.requests.send(request);
    }
}
