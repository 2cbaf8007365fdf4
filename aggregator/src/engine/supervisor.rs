//! The parent's side: starts the child, starts it again when it dies, stops it at the end.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use petrel_wire::Clock;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tracing::{error, info, warn};

use super::{Access, AccessError, EngineError};

/// What an engine needs.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The program that has the `engine` subcommand; our own.
    pub program: PathBuf,
    /// The engine's library.
    pub library: PathBuf,
    /// Directory of its tables.
    pub dir: PathBuf,
    /// Where the address is published.
    pub access: PathBuf,
    /// The database that readers want.
    pub database: String,
    /// For the age of a child that dies.
    pub clock: Arc<dyn Clock>,
}

/// An engine cannot be started at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The library is missing.
    #[error(transparent)]
    Library(#[from] EngineError),
    /// The address cannot be published.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The operating system said no.
    #[error("cannot {doing} for the embedded engine")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

/// Least and longest pause before a child is started again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// A child that was asked to stop has this long.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    /// The child that runs. A descriptor, not a number: it cannot come to mean another process.
    child: Option<OwnedFd>,
    /// How many were started.
    starts: u64,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The supervised engine. Dropped without [`Engine::stop`], the child dies with this process.
#[derive(Debug)]
pub struct Engine {
    access: Access,
    file: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Binds a port, publishes it, and starts the child. Requests may be made at once: they wait
    /// until the child takes them.
    pub fn start(options: EngineOptions) -> Result<Self, StartError> {
        let system = |doing| move |source| StartError::System { doing, source };
        std::fs::create_dir_all(&options.dir).map_err(system("create the directory"))?;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(system("bind a port"))?;
        let port = listener.local_addr().map_err(system("bind a port"))?.port();
        let access = Access {
            url: format!("http://127.0.0.1:{port}"),
            user: "petrel".to_owned(),
            password: Access::new_password(),
            database: options.database.clone(),
            pid: std::process::id(),
        };
        access.write(&options.access)?;
        let shared = Arc::new(Shared::default());
        let file = options.access.clone();
        let supervisor = Supervisor {
            options,
            listener: listener.into(),
            shared: Arc::clone(&shared),
        };
        // A thread of its own: the child is told to die with the thread that started it.
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || supervisor.run())
            .map_err(system("start a thread"))?;
        Ok(Self {
            access,
            file,
            shared,
            thread: Some(thread),
        })
    }

    /// Where it listens, and who may ask.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// How many children were started so far: more than one means that the engine has died.
    pub fn starts(&self) -> u64 {
        self.shared.lock().starts
    }

    /// Kills the child, as a fault would; the next one is started. For tests of exactly that.
    pub fn kill(&self) {
        self.shared.signal(Signal::KILL);
    }

    /// Lets running queries finish for a while, then ends the child. Blocks.
    pub fn stop(mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        self.shared.signal(Signal::TERM);
        let Some(thread) = self.thread.take() else {
            return;
        };
        let state = self.shared.lock();
        let (state, waited) = self
            .shared
            .changed
            .wait_timeout_while(state, GRACE, |state| state.child.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        if waited.timed_out() {
            warn!("the engine does not stop; killing it");
            self.shared.signal(Signal::KILL);
        }
        if thread.join().is_err() {
            error!("the engine's supervisor has panicked");
        }
        if let Err(error) = std::fs::remove_file(&self.file) {
            warn!(%error, file = %self.file.display(), "cannot remove the engine's address");
        }
    }
}

impl Shared {
    // Held for moments, and whatever a panic leaves behind is still true.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.lock().child
            && let Err(error) = pidfd_send_signal(child, signal)
            && error != rustix::io::Errno::SRCH
        {
            warn!(%error, "cannot signal the engine");
        }
    }
}

struct Supervisor {
    options: EngineOptions,
    listener: OwnedFd,
    shared: Arc<Shared>,
}

impl Supervisor {
    fn run(self) {
        let mut pause = PAUSE.0;
        loop {
            let started = self.options.clock.monotonic();
            let ended = self.once();
            if self.options.clock.monotonic().saturating_sub(started) > PAUSE.1 {
                pause = PAUSE.0;
            }
            match ended {
                Ok(status) if self.shared.lock().stopping => {
                    info!(%status, "the engine has stopped");
                    return;
                }
                Ok(status) => {
                    error!(%status, pause_ms = pause.as_millis(), "the engine has died; starting it again");
                }
                Err(error) => {
                    error!(%error, pause_ms = pause.as_millis(), "the engine cannot be started; trying again");
                }
            }
            let state = self.shared.lock();
            let (state, _) = self
                .shared
                .changed
                .wait_timeout_while(state, pause, |state| !state.stopping)
                .unwrap_or_else(PoisonError::into_inner);
            if state.stopping {
                return;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn once(&self) -> std::io::Result<ExitStatus> {
        let mut child = self.spawn()?;
        let status = match self.announce(&child) {
            Ok(()) => child.wait(),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        };
        self.shared.lock().child = None;
        self.shared.changed.notify_all();
        status
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let EngineOptions {
            program,
            library,
            dir,
            access,
            ..
        } = &self.options;
        let argument = |name: &str, value: &Path| [name.into(), value.as_os_str().to_owned()];
        Command::new(program)
            .arg("engine")
            .args(argument("--dir", dir))
            .args(argument("--library", library))
            .args(argument("--access", access))
            .stdin(Stdio::from(self.listener.try_clone()?))
            .stdout(Stdio::null())
            .spawn()
    }

    fn announce(&self, child: &Child) -> std::io::Result<()> {
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| std::io::Error::other("a process without a number"))?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        let mut state = self.shared.lock();
        state.starts += 1;
        if state.stopping {
            // It was asked to stop before it could be asked.
            pidfd_send_signal(&handle, Signal::TERM)?;
        }
        state.child = Some(handle);
        Ok(())
    }
}
