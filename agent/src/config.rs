//! Configuration: `agent.yaml` and the environment, read in two steps.
//!
//! The text is parsed into a tree that knows its lines, and then read section by section into
//! [`Config`], which is what it means: a DSN, bytes, durations, addresses. All problems are
//! collected, each with file, line, key and the nearest key that exists. This module is the only
//! one that reads the environment.
//!
//! Relative paths are relative to the file they stand in, so that an agent started from elsewhere
//! finds the same spool and the same processors.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderMap;
use petrel_plugin_host::ProcessorConfig;
use petrel_spool::{SpoolConfig, WhenFull};
use petrel_wire::Dsn;

use crate::window::WindowConfig;

mod bandwidth;
mod load;
mod outputs;
mod proxy;
mod section;
mod values;
mod yaml;

pub use bandwidth::{Bandwidth, Rate, Window};
pub use proxy::{Proxy, ProxyEnvironment};
pub use section::Problem;
pub use values::{BaseUrl, Endpoint};

/// Everything that a user decides. [`Config::default`] is what an empty file means, except that
/// an agent needs somewhere to forward to.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where OTLP comes in (`receivers.otlp`).
    pub receivers: Receivers,
    /// The chain, in order (`processors`).
    pub processors: Vec<ProcessorConfig>,
    /// Where processors may send records besides (`processors[].outputs`).
    pub outputs: Vec<Output>,
    /// What a processor may hold (`window`).
    pub window: WindowConfig,
    /// The disk buffer (`spool`).
    pub spool: SpoolConfig,
    /// Where batches go and how (`dsn`, `forward`).
    pub forward: Forward,
    /// Where `/health`, `/metrics` and `/spool` answer (`admin.endpoint`).
    pub admin: Endpoint,
    /// Whether the admin port shows what comes in (`admin.capture`).
    pub capture: bool,
    /// Lowest level that is logged, as `tracing` filters spell it (`logging.level`).
    pub log_level: String,
}

/// One of `processors[].outputs`.
#[derive(Clone, Debug)]
pub struct Output {
    /// As plugins call it.
    pub name: String,
    /// Where its batches go and how: as everything else, but for the DSN.
    pub forward: Forward,
    /// Bound of its spool.
    pub max_bytes: u64,
}

/// `receivers.otlp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receivers {
    /// OTLP/gRPC. Either port answers both protocols.
    pub grpc: Endpoint,
    /// OTLP/HTTP.
    pub http: Endpoint,
    /// Largest request after decompression.
    pub max_request_bytes: u64,
    /// What all requests in memory may weigh together; beyond it senders are told to come again.
    pub memory_bytes: u64,
    /// Connections per port; more wait in the kernel's queue.
    pub max_connections: usize,
}

/// `dsn` and `forward`.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The project's DSN; may be absent for a foreign OTLP endpoint.
    pub dsn: Option<Dsn>,
    /// Where to send if not to the DSN's host.
    pub endpoint: Option<BaseUrl>,
    /// Sent along with every request; marked sensitive, so they never print.
    pub headers: HeaderMap,
    /// What the peer is offered first.
    pub compression: Compression,
    /// Requests in flight.
    pub in_flight: usize,
    /// How much uncompressed OTLP is collected into one batch before it is sealed.
    pub batch_bytes: u64,
    /// Time for an answer, on top of what the body takes at the rate seen so far.
    pub timeout: Duration,
    /// Whom to trust and who we are.
    pub tls: Tls,
    /// An HTTP proxy in between.
    pub proxy: Option<Proxy>,
    /// How fast, and when.
    pub bandwidth: Bandwidth,
}

/// `forward.tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Trusted instead of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// Certificates and private key to show to a peer that asks for them.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name in the peer's certificate, if it is not the host's.
    pub server_name: Option<String>,
}

/// `Content-Encoding` of what is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// The bytes on the disk, as they are.
    Zstd,
    /// For peers that lack zstd: packed anew for each try.
    Gzip,
    /// Unpacked for each try.
    None,
}

impl Compression {
    /// As configuration, status and the header spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }
}

/// Where a configuration comes from, besides its file.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `PETREL_DSN`: wins over the file.
    pub dsn: Option<String>,
    /// `CREDENTIALS_DIRECTORY`: systemd puts a file `dsn` there; used if nothing else names one.
    pub credentials: Option<PathBuf>,
    /// `HTTPS_PROXY` and its like, for when `forward.proxy` says nothing.
    pub proxies: ProxyEnvironment,
}

impl Environment {
    /// The process's own.
    #[expect(clippy::disallowed_methods, reason = "read once, and here")]
    pub fn of_this_process() -> Self {
        Self {
            dsn: std::env::var("PETREL_DSN")
                .ok()
                .filter(|dsn| !dsn.trim().is_empty()),
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            proxies: ProxyEnvironment::read(|name| std::env::var(name).ok()),
        }
    }
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Everything that is wrong with it, in the order of its lines.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Default for Config {
    fn default() -> Self {
        Self {
            receivers: Receivers {
                grpc: Endpoint::loopback(4317),
                http: Endpoint::loopback(4318),
                max_request_bytes: 16 << 20,
                memory_bytes: 64 << 20,
                max_connections: 1024,
            },
            processors: Vec::new(),
            outputs: Vec::new(),
            window: WindowConfig::default(),
            spool: SpoolConfig {
                dir: PathBuf::from("./data/agent"),
                max_bytes: 2 << 30,
                when_full: WhenFull::EvictOldest,
                ..SpoolConfig::default()
            },
            forward: Forward {
                dsn: None,
                endpoint: None,
                headers: HeaderMap::new(),
                compression: Compression::Zstd,
                in_flight: 4,
                batch_bytes: 256 << 10,
                timeout: Duration::from_secs(10),
                tls: Tls::default(),
                proxy: None,
                bandwidth: Bandwidth::default(),
            },
            admin: Endpoint::loopback(14319),
            capture: false,
            log_level: "info".to_owned(),
        }
    }
}

impl Config {
    /// Reads a file and the given environment.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text, environment)
    }

    /// Reads `text` as if it stood in the file `path`.
    pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        load::load(path, text, environment)
    }
}

impl Forward {
    /// Scheme, host, port and path that a signal's path is put behind.
    pub fn base_url(&self) -> String {
        match (&self.endpoint, &self.dsn) {
            (Some(endpoint), _) => endpoint.as_str().to_owned(),
            (None, Some(dsn)) => dsn.http_origin(),
            (None, None) => String::new(),
        }
    }

    /// Whether telemetry and token travel in the clear to another machine.
    pub fn is_exposed(&self) -> bool {
        self.base_url().starts_with("http://") && !self.is_local()
    }

    /// Whether batches stay on this machine.
    pub fn is_local(&self) -> bool {
        let url = self.base_url();
        let Some((_, rest)) = url.split_once("://") else {
            return false;
        };
        let authority = rest.split('/').next().unwrap_or("");
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
