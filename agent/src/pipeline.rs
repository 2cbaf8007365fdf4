//! The pipeline: which stage feeds which, and in which order they start and stop. It knows all of
//! them and keeps no state of theirs.
//!
//! ```text
//! receive -> plugins -> seal -> spool -> forward
//!               \-> window -/
//! ```
//! What processors send to an output takes a seal, a spool and a forward of its own (`outputs`).
//!
//! Starting goes from the disk outwards: nothing is accepted before the spool is open and every
//! processor is loaded. Stopping goes along the path: no new requests, the last group to the disk,
//! requests in flight, the spool.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use petrel_plugin_host::{Chain, PluginError, Store};
use petrel_receiver::{ReceiverConfig, ServeConfig};
use petrel_spool::{DeadLetter, Spool, SpoolConfig, SpoolError};
use petrel_wire::{Clock, Limits};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin;
use crate::capture::Capture;
use crate::config::{Config, ConfigError, Endpoint};
use crate::custody::Books;
use crate::forward::{Client, ClientError, ForwardTiming, Forwarder, Meter};
use crate::gaps::Gaps;
use crate::notes::Notes;
use crate::outputs::{Outputs, Shared};
use crate::plugins::Plugins;
use crate::receive::AgentDoor;
use crate::reload::{ReloadError, Reloads, needs_restart};
use crate::seal::{Seal, SealConfig};
use crate::telemetry::{Report, Watch};
use crate::tellings::Tellings;
use crate::window::{Ticker, Window, WindowParts};

/// Requests that were let in may finish for this long.
const DRAIN: Duration = Duration::from_secs(10);
/// The last group, on a slow disk.
const LAST_GROUP: Duration = Duration::from_secs(8);

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port is taken, or the address isn't ours.
    #[error("cannot listen on {endpoint} for {what}")]
    Listen {
        /// `OTLP/gRPC`, `OTLP/HTTP` or `admin`.
        what: &'static str,
        /// Which address.
        endpoint: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The disk buffer.
    #[error("cannot open the spool {dir}")]
    Spool {
        /// Its directory.
        dir: String,
        /// Why not.
        source: SpoolError,
    },
    /// A processor.
    #[error("cannot load the processors")]
    Plugins(#[from] PluginError),
    /// The way out.
    #[error("cannot forward")]
    Client(#[from] ClientError),
    /// The runtime is going down.
    #[error("the start was interrupted")]
    Interrupted,
}

/// What is handed in from outside: time, and whom to tell that the loop is alive.
#[derive(Debug)]
pub struct Surroundings<B> {
    /// The only source of time.
    pub clock: Arc<dyn Clock>,
    /// How hard to try.
    pub timing: ForwardTiming,
    /// How often to tell what was lost, if anything was.
    pub tell_gaps: Duration,
    /// How often to tell what processors have counted.
    pub tell_counted: Duration,
    /// Called every second by the forward loop.
    pub beat: B,
}

/// A running agent. Dropped without [`Agent::stop`] it ends like a killed one: what was
/// acknowledged is on the disk.
#[derive(Debug)]
pub struct Agent {
    /// The configuration that runs.
    config: Config,
    meter: Arc<Meter>,
    watch: Watch,
    addresses: Addresses,
    receivers: Vec<JoinHandle<()>>,
    gaps: JoinHandle<()>,
    tellings: JoinHandle<()>,
    outputs: Outputs,
    sealing: JoinHandle<()>,
    ticking: JoinHandle<()>,
    forwarding: JoinHandle<()>,
    admin: JoinHandle<()>,
    stop_receiving: CancellationToken,
    stop_telling: CancellationToken,
    stop_ticking: CancellationToken,
    stop_forwarding: CancellationToken,
    stop_admin: CancellationToken,
}

/// Where a running agent listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// OTLP/gRPC.
    pub grpc: SocketAddr,
    /// OTLP/HTTP.
    pub http: SocketAddr,
    /// Health, metrics, status.
    pub admin: SocketAddr,
}

impl Agent {
    /// Opens the spool, loads the processors, listens, forwards.
    pub async fn start<B: Fn() + Send + 'static>(
        config: Config,
        surroundings: Surroundings<B>,
    ) -> Result<Self, StartError> {
        let Surroundings {
            clock,
            timing,
            tell_gaps,
            tell_counted,
            beat,
        } = surroundings;
        let bandwidth = config.forward.bandwidth.clone();
        let meter = Arc::new(Meter::new(Arc::clone(&clock), bandwidth));
        let client = Client::new(&config.forward, Arc::clone(&meter))?;
        let spool = open_spool(config.spool.clone(), Arc::clone(&clock)).await?;
        let chain = Arc::new(load_chain(&config, Arc::clone(&clock)).await?);
        let books = Arc::new(Books::default());
        let window = open_window(&config, &spool, &chain, &books, &clock).await?;
        let plugins = Plugins::new(Arc::clone(&chain), window.clone());
        let (grpc_listener, grpc) = listen("OTLP/gRPC", &config.receivers.grpc).await?;
        let (http_listener, http) = listen("OTLP/HTTP", &config.receivers.http).await?;
        let (admin_listener, admin) = listen("admin", &config.admin).await?;
        warn_of_exposure(&config);

        let stop_receiving = CancellationToken::new();
        let stop_telling = CancellationToken::new();
        let stop_forwarding = CancellationToken::new();
        let stop_admin = CancellationToken::new();
        let forwarder = Forwarder::new(
            spool.clone(),
            client,
            Arc::clone(&meter),
            timing,
            stop_forwarding.clone(),
        );
        let (seal, sealer) = Seal::new(spool.clone(), Arc::clone(&clock), seal_config(&config));
        let gaps = Gaps::new(
            spool.clone(),
            sealer.clone(),
            Arc::clone(&books),
            Arc::clone(&clock),
        );
        let tellings = Tellings::new(plugins.clone(), sealer.clone(), Arc::clone(&books), &spool);
        let shared = Shared {
            books: Arc::clone(&books),
            meter: Arc::clone(&meter),
            clock: Arc::clone(&clock),
            timing,
            tell_gaps,
            stop_receiving: stop_receiving.clone(),
            stop_forwarding: stop_forwarding.clone(),
        };
        let (outputs, outlets) = Outputs::open(&config, shared).await?;
        let capture = config.capture.then(Capture::default);
        let door = AgentDoor::new(
            Arc::clone(&books),
            plugins.clone(),
            sealer,
            outlets,
            window.clone(),
            capture.clone(),
        );
        let refusals = door.refusals();
        let router = petrel_receiver::router(door, receiver_config(&config));
        let watch = Watch {
            books,
            refusals,
            plugins,
            window: window.clone(),
            spool,
            forwarder: forwarder.clone(),
            outputs: outputs.all(),
            reloads: Arc::new(Reloads::default()),
            clock,
        };

        let receivers = [grpc_listener, http_listener].map(|listener| {
            let serve = petrel_receiver::serve(
                listener,
                router.clone(),
                serve_config(&config),
                stop_receiving.clone(),
            );
            tokio::spawn(serve)
        });
        drop(router);
        let stop_ticking = CancellationToken::new();
        let ticker = Ticker { chain, window };
        let agent = Self {
            config,
            meter,
            receivers: receivers.into(),
            gaps: tokio::spawn(gaps.run(tell_gaps, stop_receiving.clone())),
            tellings: tokio::spawn(tellings.run(tell_counted, stop_telling.clone())),
            outputs,
            sealing: tokio::spawn(seal.run()),
            ticking: tokio::spawn(ticker.run(stop_ticking.clone())),
            forwarding: tokio::spawn(forwarder.run(beat)),
            admin: spawn_admin(admin_listener, watch.clone(), capture, stop_admin.clone()),
            addresses: Addresses { grpc, http, admin },
            watch,
            stop_receiving,
            stop_telling,
            stop_ticking,
            stop_forwarding,
            stop_admin,
        };
        let endpoint = agent.watch.look().forward.endpoint;
        info!(%grpc, %http, %admin, endpoint, "receiving OTLP and forwarding it");
        Ok(agent)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The agent now.
    pub fn report(&self) -> Report {
        self.watch.look()
    }

    /// Takes up a new configuration, if all of it can be used; what became of it is in the report.
    pub async fn reload(&mut self, config: Result<Config, ConfigError>) {
        let outcome = self.try_reload(config).await;
        self.watch.reloads.note(self.watch.clock.wall(), outcome);
    }

    async fn try_reload(
        &mut self,
        config: Result<Config, ConfigError>,
    ) -> Result<Vec<&'static str>, ReloadError> {
        let config = config?;
        let client = Client::new(&config.forward, Arc::clone(&self.meter))?;
        let ways = self.outputs.prepare(&config, &self.meter);
        let ways = ways.map_err(ReloadError::Output)??;
        // What else is new has been checked: nothing below can fail.
        self.watch.plugins.reload(config.processors.clone()).await?;
        warn_of_exposure(&config);
        self.watch.window.configure(config.window);
        self.meter.set(config.forward.bandwidth.clone());
        self.watch.forwarder.redirect(client);
        for (forwarder, client) in ways {
            forwarder.redirect(client);
        }
        let left = needs_restart(&self.config, &config);
        self.config.forward = config.forward;
        self.config.processors = config.processors;
        self.config.window = config.window;
        Ok(left)
    }

    /// The newest batches that the peer will never take, with its words.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, SpoolError> {
        self.watch.spool.flush().await?;
        self.watch.spool.dead_letters(limit).await
    }

    /// Returns if a stage ends by itself, which none does in a sound process.
    pub async fn broken(&mut self) -> &'static str {
        let outputs = &mut self.outputs;
        tokio::select! {
            _ = &mut self.sealing => "sealing",
            _ = &mut self.forwarding => "forwarding",
            stage = std::future::poll_fn(|context| outputs.poll_broken(context)) => stage,
        }
    }

    /// Stops along the path. What was acknowledged is durable already, so every step may be cut
    /// short.
    pub async fn stop(mut self) {
        self.stop_receiving.cancel();
        for receiver in self.receivers {
            let _panicked = receiver.await;
        }
        // After the last request, so that all that was counted is told.
        self.stop_telling.cancel();
        // The last handles of the sealer go with the receivers, the gaps and the tellings.
        let sealing = async {
            let _panicked = self.gaps.await;
            let _panicked = self.tellings.await;
            let _panicked = self.sealing.await;
            self.outputs.sealed().await;
        };
        if tokio::time::timeout(LAST_GROUP, sealing).await.is_err() {
            warn!("the last group did not reach the disk in time; its senders got no receipt");
        }
        // Last decisions come true, what is undecided stays in the window.
        self.stop_ticking.cancel();
        let _panicked = self.ticking.await;
        self.watch.window.close().await;
        self.stop_forwarding.cancel();
        let _panicked = self.forwarding.await;
        self.outputs.close().await;
        self.stop_admin.cancel();
        let _panicked = self.admin.await;
        self.watch.spool.close().await;
    }
}

pub(crate) async fn open_spool(
    spool: SpoolConfig,
    clock: Arc<dyn Clock>,
) -> Result<Spool, StartError> {
    let dir = spool.dir.display().to_string();
    tokio::task::spawn_blocking(move || Spool::open(spool, clock))
        .await
        .map_err(|_| StartError::Interrupted)?
        .map_err(|source| StartError::Spool { dir, source })
}

async fn load_chain(config: &Config, clock: Arc<dyn Clock>) -> Result<Chain, StartError> {
    let (processors, limits) = (config.processors.clone(), limits(config));
    // Compiled once, and beside the data that it will see.
    let cache = Some(config.spool.dir.join("compiled"));
    let notes: Arc<dyn Store> = Arc::new(Notes::beside(&config.spool.dir));
    let load = move || Chain::load_with_store(&processors, cache, limits, &clock, Some(notes));
    let chain = tokio::task::spawn_blocking(load)
        .await
        .map_err(|_| StartError::Interrupted)??;
    Ok(chain)
}

async fn open_window(
    config: &Config,
    spool: &Spool,
    chain: &Arc<Chain>,
    books: &Arc<Books>,
    clock: &Arc<dyn Clock>,
) -> Result<Window, StartError> {
    let parts = WindowParts {
        dir: config.spool.dir.clone(),
        spool: spool.clone(),
        chain: Arc::clone(chain),
        books: Arc::clone(books),
        clock: Arc::clone(clock),
        release_bytes: config.forward.batch_bytes,
    };
    let (dir, config) = (config.spool.dir.display().to_string(), config.window);
    tokio::task::spawn_blocking(move || Window::open(parts, config))
        .await
        .map_err(|_| StartError::Interrupted)?
        .map_err(|source| StartError::Spool { dir, source })
}

async fn listen(
    what: &'static str,
    endpoint: &Endpoint,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let cannot = |source| StartError::Listen {
        what,
        endpoint: endpoint.to_string(),
        source,
    };
    let listener = TcpListener::bind(endpoint.bind_address())
        .await
        .map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok((listener, address))
}

fn spawn_admin(
    listener: TcpListener,
    watch: Watch,
    capture: Option<Capture>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = admin::serve(listener, watch, capture, stop).await {
            warn!(%error, "the admin port has ended");
        }
    })
}

fn warn_of_exposure(config: &Config) {
    if config.forward.is_exposed() {
        warn!(
            endpoint = config.forward.base_url(),
            "telemetry and token travel unencrypted; use https"
        );
    }
    for (what, endpoint) in [
        ("grpc", &config.receivers.grpc),
        ("http", &config.receivers.http),
    ] {
        if !endpoint.is_loopback() {
            warn!(%endpoint, "receivers.otlp.{what} takes data from other machines, without asking who they are");
        }
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        request_bytes: usize::try_from(config.receivers.max_request_bytes).unwrap_or(usize::MAX),
        ..Limits::default()
    }
}

fn receiver_config(config: &Config) -> ReceiverConfig {
    ReceiverConfig {
        limits: limits(config),
        budget_bytes: config.receivers.memory_bytes,
        ..ReceiverConfig::default()
    }
}

fn serve_config(config: &Config) -> ServeConfig {
    ServeConfig {
        max_connections: config.receivers.max_connections,
        drain: DRAIN,
        ..ServeConfig::default()
    }
}

pub(crate) fn seal_config(config: &Config) -> SealConfig {
    SealConfig {
        batch_bytes: usize::try_from(config.forward.batch_bytes).unwrap_or(usize::MAX),
    }
}
