//! [`serve`]: one listener, every protocol: HTTP/1.1, HTTP/2 with prior knowledge, and both in TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use crate::Tls;

/// Silence before the first byte, and between requests of HTTP/1.1. Above the minute at which
/// metrics are exported, so that their connections stay.
const IDLE: Duration = Duration::from_secs(75);
/// A TLS handshake takes two round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After a failed accept (no descriptors left): others may close theirs meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a listener is served.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// With TLS, or without.
    pub tls: Option<Tls>,
    /// Connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long requests in flight may take after `stop`.
    pub drain: Duration,
    /// How often the files of `tls` are looked at for a change.
    pub tls_look: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            tls: None,
            max_connections: 8192,
            drain: Duration::from_secs(25),
            tls_look: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop`, then lets what is in flight finish (HTTP/2 peers get a GOAWAY), for at
/// most `drain`. Requests carry the peer's address as [`ConnectInfo<SocketAddr>`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: ServeConfig,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(config.max_connections.max(1)));
    let address = listener.local_addr().ok();
    if let Some(tls) = config.tls.clone() {
        let (every, stop) = (config.tls_look, stop.clone());
        connections.spawn(async move { tls.follow(every, stop).await });
    }
    let mut failing = false;
    loop {
        let accept = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if std::mem::take(&mut failing) {
                    info!(?address, "connections are accepted again");
                }
                let (router, tls, stop) = (router.clone(), config.tls.clone(), stop.clone());
                let drain = config.drain;
                connections.spawn(async move {
                    let _slot = slot;
                    connection(stream, peer, router, tls, drain, stop).await;
                });
            }
            Err(why) if is_the_peers(&why) => {}
            // Out of descriptors or memory: a state that passes, and never a reason to stop.
            Err(why) => {
                if !std::mem::replace(&mut failing, true) {
                    warn!(?address, error = %why, "cannot accept connections, trying on");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(config.drain, connections.wait()).await.is_err() {
        warn!(
            ?address,
            open = connections.len(),
            "connections did not finish in time"
        );
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<Tls>,
    drain: Duration,
    stop: CancellationToken,
) {
    if let Err(why) = stream.set_nodelay(true) {
        debug!(%peer, error = %why, "cannot set TCP_NODELAY");
    }
    match tls {
        None => {
            let mut byte = [0];
            let first = tokio::select! {
                () = stop.cancelled() => return,
                first = timeout(IDLE, stream.peek(&mut byte)) => first,
            };
            if matches!(first, Ok(Ok(1..))) {
                http(stream, peer, router, drain, stop).await;
            }
        }
        Some(tls) => match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => http(stream, peer, router, drain, stop).await,
            Ok(Err(why)) => debug!(%peer, error = %why, "TLS handshake failed"),
            Err(_) => debug!(%peer, "TLS handshake did not finish in time"),
        },
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    drain: Duration,
    stop: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        // It stays with a connection for life, and there may be ten thousand of them.
        .max_buf_size(16 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(16 << 10)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        // A peer that is gone without a word is noticed within twenty seconds.
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match timeout(drain, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(why) = ended {
        debug!(%peer, error = %why, "connection ended early");
    }
}

/// Errors of `accept` that concern one connection only.
fn is_the_peers(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
