//! The embedded engine: ClickHouse in a child process, spoken to as if it were a server.
//!
//! The parent binds a port on loopback and hands the listening socket to the child
//! (`petrel-aggregator engine`) as its standard input, as inetd does. The child loads the engine's
//! library and speaks ClickHouse's HTTP interface on it, so that the same client code serves an
//! embedded engine and a server. A crash of the engine costs the queries that were running: the
//! port stays open in the parent, callers wait in its backlog, and the supervisor starts the next
//! child. Who may ask is decided by a password that is new with every start of the parent; it is
//! written, for the owner of the data alone, into `engine.json` ([`Access`]).
//!
//! [`library`] is the only module that calls the engine.

mod access;
mod door;
mod library;
mod request;
mod statement;
mod supervisor;
mod unfinished;

use std::os::fd::AsFd as _;
use std::path::PathBuf;

use rustix::process::Signal;

pub use access::{Access, AccessError};
pub(crate) use library::MERGED_CODEC;
pub use library::{EngineError, find as find_library};
pub use supervisor::{Engine, EngineOptions, StartError};

/// What the child is told.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct EngineArgs {
    /// Directory of the engine's tables.
    #[arg(long)]
    pub dir: PathBuf,
    /// The engine's library, libchdb.so.
    #[arg(long)]
    pub library: PathBuf,
    /// File that says who may ask.
    #[arg(long)]
    pub access: PathBuf,
}

/// Queries that run at a time; others wait. Each has a thread here and more in the engine.
const CONCURRENCY: usize = 12;
/// The engine parses and plans by recursion on the caller's stack.
const STACK_BYTES: usize = 8 << 20;

/// The child: serves the socket on standard input until it is told to stop or its parent is gone.
/// Makes its own runtime.
pub fn run(args: &EngineArgs) -> Result<(), EngineError> {
    // Before anything else: an engine without its supervisor would hold the directory for ever.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(|source| {
        EngineError::System {
            doing: "tie itself to its parent",
            source: source.into(),
        }
    })?;
    // Those who wait at the door come first. It is inherited by every thread of the engine.
    let _nice = rustix::process::nice(crate::store::LESS);
    let access = Access::read(&args.access)?;
    if rustix::process::getppid()
        .map(rustix::process::Pid::as_raw_nonzero)
        .map(i32::from)
        != i32::try_from(access.pid).ok()
    {
        return Err(EngineError::Orphan);
    }
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| EngineError::System {
            doing: "take over its socket",
            source,
        })?;
    let library = library::Library::open(&args.library)?;
    let forgotten = unfinished::forget(&args.dir);
    if forgotten > 0 {
        tracing::warn!(
            forgotten,
            "inserts were cut off between their token and their rows; they may come again"
        );
    }
    let home = library.boot(&args.dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(CONCURRENCY)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|source| EngineError::System {
            doing: "start its runtime",
            source,
        })?;
    let served = runtime.block_on(door::serve(
        socket.into(),
        library,
        args.dir.clone(),
        access,
    ));
    // Waits for queries that still run: a connection that is open at exit takes the process down.
    drop(runtime);
    drop(home);
    served.map_err(|source| EngineError::System {
        doing: "serve its socket",
        source,
    })
}
