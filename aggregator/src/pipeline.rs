//! Which stage feeds which. This file knows everybody and keeps no state.
//!
//! ```text
//! listeners -> receiver -> processors -> ingest -> journal -> store -> reader -> api -> ui
//! ```

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use petrel_receiver::{ReceiverConfig, ServeConfig, Tls, Turns};
use petrel_spool::{ProjectId, Spool, SpoolConfig, SpoolError, WhenFull};
use petrel_wire::{Clock, Limits, SystemClock, Token};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::{self, ApiState, Site};
use crate::auth::{Auth, Directory, DirectoryError};
use crate::config::{Config, Ingest as Bounds, ListenAddr, Listener};
use crate::ingest::{self, Ingest, Recent, Sharing};
use crate::metadata::{Database, Metadata};
use crate::processors::Processors;
use crate::span_log::SpanLog;
use crate::store::Store;
use crate::{shutdown, telemetry, zipkin_port};

/// Runs the aggregator until it is told to stop.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("cannot watch for signals")?;
    run(config, SystemClock::shared(), stop, |_| shutdown::ready()).await
}

/// Where a running aggregator listens, with ports that the system chose filled in.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// OTLP/gRPC.
    pub grpc: SocketAddr,
    /// OTLP/HTTP, API and UI.
    pub http: SocketAddr,
    /// Zipkin's own port, if it is open.
    pub zipkin: Option<SocketAddr>,
}

/// Runs until `stop`; calls `ready` once requests are taken.
pub async fn run(
    config: Config,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    ready: impl FnOnce(Listening),
) -> anyhow::Result<()> {
    create_private(&config.data_dir)?;
    // Bound first: a port that is taken should be said before anything else is started.
    let (grpc, http) = (&config.listen.grpc, &config.listen.http);
    let (grpc_listener, http_listener) = (bind(&grpc.addr).await?, bind(&http.addr).await?);
    let (grpc_serve, http_serve) = (serving(grpc, &config)?, serving(http, &config)?);
    let zipkin = match &config.listen.zipkin {
        Some(port) => Some((bind(&port.addr).await?, port.token.clone())),
        None => None,
    };
    let listening = Listening {
        zipkin: match &zipkin {
            Some((listener, _)) => Some(listener.local_addr()?),
            None => None,
        },
        grpc: grpc_listener.local_addr()?,
        http: http_listener.local_addr()?,
    };

    let turns = Turns::of_this_machine();
    let processors = load_processors(&config, turns.clone()).await?;
    let metadata = Metadata::open(&Database::of(&config), Arc::clone(&clock)).await?;
    metadata.upsert_projects(&config.projects).await?;
    metadata.upsert_users(&config.users).await?;
    let journal = open_journal(&config, &clock).await.with_context(|| {
        format!(
            "cannot open the journal in {}",
            config.journal_dir().display()
        )
    })?;
    let store = Store::start(&config, journal.clone(), Arc::clone(&clock))?;
    let store = Arc::new(store);

    let sharing = Sharing::of(&config, &metadata, &journal);
    let importing = SpanLog::of(
        &config,
        store.reader(),
        metadata.clone(),
        journal.clone(),
        sharing.clone(),
        Arc::clone(&clock),
    )
    .map(|span_log| tokio::spawn(span_log.run(stop.clone())));

    let recent = Recent::new();
    let auth = Auth::new(metadata.clone(), Arc::clone(&clock));
    let project_limits = ingest::Limits::new(config.limits.clone());
    project_limits.set(metadata.limits().await?);
    let keeping = sharing
        .clone()
        .map(|sharing| tokio::spawn(sharing.keep(stop.clone())));
    let ingest = Ingest::new(
        auth,
        journal.clone(),
        Arc::clone(&clock),
        recent.clone(),
        project_limits,
        processors,
        sharing,
    );
    let limiting = {
        let (ingest, metadata, stop) = (ingest.clone(), metadata.clone(), stop.clone());
        tokio::spawn(async move { ingest.limits().keep(&metadata, stop).await })
    };
    let state = ApiState::new(
        metadata.clone(),
        store.reader(),
        recent,
        Arc::new(Site::of(&config)),
        Arc::clone(&clock),
    );
    let router = Router::new()
        .merge(petrel_receiver::router_in_turns(
            ingest.clone(),
            receiving(&config.ingest),
            turns,
        ))
        .merge(telemetry::routes(telemetry::Watched {
            ingest,
            journal: journal.clone(),
            metadata: metadata.clone(),
            store: Arc::clone(&store),
            clock,
        }))
        .merge(api::router(state));

    let mut serving = vec![
        petrel_receiver::serve(grpc_listener, router.clone(), grpc_serve, stop.clone()),
        petrel_receiver::serve(http_listener, router.clone(), http_serve, stop.clone()),
    ];
    if let Some((listener, token)) = zipkin {
        let lending = zipkin_port::router(router, &token);
        let plain = ServeConfig {
            tls: None,
            max_connections: config.ingest.max_connections,
            drain: shutdown::DRAIN,
            ..ServeConfig::default()
        };
        serving.push(petrel_receiver::serve(
            listener,
            lending,
            plain,
            stop.clone(),
        ));
    }
    info!(
        grpc = %listening.grpc, http = %listening.http, site = config.site_addr,
        "taking requests"
    );
    if let Some(token) = metadata.setup_token().await? {
        info!(
            "nobody can sign in yet: open {}/setup and enter {token}",
            config.site_addr
        );
    }
    ready(listening);
    // The watchdog is fed to the end: stopping may not hang either.
    let watchdog = tokio::spawn(feed_watchdog(Arc::clone(&store), journal.clone()));
    futures_util::future::join_all(serving).await;
    for background in [importing, keeping, Some(limiting)].into_iter().flatten() {
        background.await?;
    }

    // Nothing is answered any more; all that is owed lies in the journal.
    store.stop().await;
    journal.close().await;
    metadata.close().await;
    watchdog.abort();
    info!("stopped");
    Ok(())
}

/// Progress is that the store's loop turns and that the journal's thread answers. Whether
/// ClickHouse takes anything is not ours to cure by a restart.
async fn feed_watchdog(store: Arc<Store>, journal: Spool) {
    shutdown::feed_watchdog(|| {
        let (store, journal) = (Arc::clone(&store), journal.clone());
        async move {
            // An error is an answer, too; after the end there is nobody left to ask.
            let _answered = journal.flush().await;
            store.pulse().turns()
        }
    })
    .await;
}

/// Opening may look through what a power cut left behind: not on a thread of the runtime.
pub(crate) async fn open_journal(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Spool, SpoolError> {
    let journal = SpoolConfig {
        dir: config.journal_dir(),
        max_bytes: config.ingest.journal_bytes,
        allow_network_file_system: config.ingest.allow_network_file_system,
        // The sender keeps what we cannot: nothing that was answered is ever evicted.
        when_full: WhenFull::Refuse,
        ..SpoolConfig::default()
    };
    let clock = Arc::clone(clock);
    tokio::task::spawn_blocking(move || Spool::open(journal, clock))
        .await
        .map_err(|_| SpoolError::Closed)?
}

/// Compiling takes its time: not on a thread of the runtime.
async fn load_processors(config: &Config, turns: Turns) -> anyhow::Result<Processors> {
    let (processors, limits) = (config.processors.clone(), limits(&config.ingest));
    let cache = Some(config.data_dir.join("compiled"));
    let load = move || Processors::load(&processors, cache, limits, turns);
    let loaded = tokio::task::spawn_blocking(load).await?;
    loaded.context("cannot load the processors")
}

fn limits(bounds: &Bounds) -> Limits {
    Limits {
        request_bytes: usize::try_from(bounds.max_request_bytes).unwrap_or(usize::MAX),
        ..Limits::default()
    }
}

fn receiving(bounds: &Bounds) -> ReceiverConfig {
    ReceiverConfig {
        limits: limits(bounds),
        budget_bytes: bounds.memory_bytes,
        cors: true,
        ..ReceiverConfig::default()
    }
}

fn serving(listener: &Listener, config: &Config) -> anyhow::Result<ServeConfig> {
    let tls = match &listener.tls {
        None => None,
        Some(files) => Some(Tls::load(
            &files.cert_file,
            &files.key_file,
            files.client_ca_file.as_deref(),
        )?),
    };
    if tls.is_none() && !listener.addr.is_loopback() {
        warn!(addr = %listener.addr, "tokens and data travel unencrypted here; see listen.tls");
    }
    Ok(ServeConfig {
        tls,
        max_connections: config.ingest.max_connections,
        drain: shutdown::DRAIN,
        ..ServeConfig::default()
    })
}

/// Without a host: every interface, both families where the machine has both.
async fn bind(addr: &ListenAddr) -> anyhow::Result<TcpListener> {
    let port = addr.port();
    let bound = match addr.host() {
        Some(host) => listen(tokio::net::lookup_host((host, port)).await),
        None => match listen(Ok([SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))])) {
            Err(why) if why.kind() != io::ErrorKind::AddrInUse => {
                listen(Ok([SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))]))
            }
            bound => bound,
        },
    };
    bound.with_context(|| format!("cannot listen on {addr}"))
}

/// The first address that can be had, with a queue that a fleet fits into which comes back at once.
fn listen(addrs: io::Result<impl IntoIterator<Item = SocketAddr>>) -> io::Result<TcpListener> {
    const QUEUE: u32 = 4096;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for addr in addrs? {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let listener = socket.and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(addr)?;
            socket.listen(QUEUE)
        });
        match listener {
            Ok(listener) => return Ok(listener),
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// Telemetry is nobody else's business.
fn create_private(dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot create {}", dir.display()))
}

impl Directory for Metadata {
    async fn project_by_token(&self, token: &Token) -> Result<Option<ProjectId>, DirectoryError> {
        match Metadata::project_by_token(self, token).await {
            Ok(project) => Ok(project.map(|project| project.id)),
            Err(why) => Err(DirectoryError(Box::new(why))),
        }
    }
}
