//! Connections to the peer, direct or through a proxy.

use std::time::Duration;

use http::header;
use rustls::ClientConfig;

use super::TlsError;
use crate::config::{Forward, Proxy};

/// A peer that is gone without a word is noticed within this.
const SILENCE: Duration = Duration::from_secs(20);
/// Metered links: no connection is kept for nothing.
const IDLE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Certificates.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// Anything else.
    #[error("cannot set up the HTTP client")]
    Http(#[from] reqwest::Error),
    /// `forward.proxy`. The URL may hold a password, so it isn't repeated.
    #[error("cannot use forward.proxy: it is not the URL of an HTTP proxy")]
    Proxy,
    /// A DSN or address that does not fit into a request.
    #[error("the DSN cannot be sent in a header")]
    Header(#[from] header::InvalidHeaderValue),
}

/// A pool of connections. A peer that is gone is noticed by TCP itself, which unlike a ping of
/// HTTP/2 doesn't take a slow link for a dead one: a ping waits behind the body in the socket.
pub(super) fn connections(
    config: &Forward,
    tls: ClientConfig,
) -> Result<reqwest::Client, ClientError> {
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("petrel-agent/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // The environment's were read with the configuration.
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(config.in_flight)
        .tcp_nodelay(true)
        .tcp_keepalive(SILENCE / 2)
        .tcp_keepalive_interval(SILENCE / 4)
        .tcp_keepalive_retries(2)
        .http2_max_header_list_size(16 << 10);
    #[cfg(target_os = "linux")]
    let http = http.tcp_user_timeout(SILENCE);
    let http = match &config.proxy {
        Some(proxy) => http.proxy(through(proxy)?),
        None => http,
    };
    Ok(http.build()?)
}

fn through(proxy: &Proxy) -> Result<reqwest::Proxy, ClientError> {
    let through = reqwest::Proxy::all(proxy.expose()).map_err(|_| ClientError::Proxy)?;
    let exempt = proxy.exempt().and_then(reqwest::NoProxy::from_string);
    Ok(through.no_proxy(exempt))
}
