//! Configuration: the user's `uptrace.yml` or `petrel.yml`, read in two steps.
//!
//! The text is expanded (`$NAME`, `${NAME:default}`), parsed into a tree that knows its lines, and
//! then read section by section into [`Config`], which is what it means: durations, bytes,
//! addresses, tokens. All problems are collected, each with file, line, key and the nearest key
//! that exists. Keys that Uptrace knows and nothing here uses yet are accepted and reported as
//! [`Notice`]s. This module is also the only one that reads the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use petrel_plugin_host::ProcessorConfig;
use petrel_spool::ProjectId;
use petrel_wire::Token;

mod address;
mod expand;
mod known;
mod limits;
mod load;
mod section;
mod servers;
mod values;
pub(crate) mod yaml;

pub use address::ListenAddr;
pub use limits::{Limit, LimitKind, Limits, OwnLimits};
pub use section::{Notice, Problem};
pub use values::{Ttl, TtlUnit};

/// Everything that a user decides. `Default` is what an empty file means.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the journal, the metadata file and the embedded engine live (`data_dir`).
    pub data_dir: PathBuf,
    /// The store (`ch`).
    pub ch: ClickHouse,
    /// The metadata database (`pg`); a SQLite file in `data_dir` when absent.
    pub pg: Option<Postgres>,
    /// Projects that exist from the start (`projects`).
    pub projects: Vec<Project>,
    /// Users that exist from the start (`auth.users`).
    pub users: Vec<User>,
    /// Where requests are taken (`listen`).
    pub listen: Listen,
    /// The address that users and senders know us by (`site.addr`), without a slash at its end.
    pub site_addr: String,
    /// How tables are made (`ch_schema`).
    pub ch_schema: ChSchema,
    /// Bounds at the door (`ingest`).
    pub ingest: Ingest,
    /// What each project may send (`limits`, `projects[].limits`).
    pub limits: Limits,
    /// What data without identity goes through before it is written down, in order.
    pub processors: Vec<Processor>,
    /// Lowest level that is logged (`logging.level`), as `tracing` filters spell it.
    pub log_level: String,
}

/// `ch`: an embedded engine, or a ClickHouse server.
#[derive(Clone, Debug, PartialEq)]
pub struct ClickHouse {
    /// The server's HTTP address; `None` starts the embedded engine.
    pub url: Option<String>,
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Database; created if absent.
    pub database: String,
    /// Longest query (`max_execution_time`).
    pub max_execution_time: Duration,
    /// The project that spans of the server's own work are imported into, if they are
    /// (`import_spans_to`).
    pub import_spans_to: Option<ProjectId>,
    /// Settings sent along with each query (`query_settings`).
    pub query_settings: BTreeMap<String, String>,
    /// Whether an insert is acknowledged only when it is on the disk (`durable`).
    pub durable: bool,
    /// The embedded engine's library, when it is not looked for beside the binary
    /// (`PETREL_ENGINE_LIB`).
    pub engine_library: Option<PathBuf>,
}

/// `pg`: a PostgreSQL server for metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Postgres {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Database.
    pub database: String,
    /// Whether the connection must be encrypted and the server verified.
    pub tls: bool,
}

/// `projects[]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The number in addresses and rows.
    pub id: ProjectId,
    /// For people.
    pub name: String,
    /// What senders show.
    pub token: Token,
    /// Attributes that are listed first.
    pub pinned_attrs: Vec<String>,
}

/// `auth.users[]`.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The login.
    pub email: String,
    /// The password, as written; only its hash is stored.
    pub password: Secret,
    /// For people; the address when absent.
    pub name: String,
}

/// `listen`.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// OTLP/gRPC (and OTLP/HTTP).
    pub grpc: Listener,
    /// OTLP/HTTP, API and UI (and OTLP/gRPC).
    pub http: Listener,
    /// Zipkin's own port, if it is open.
    pub zipkin: Option<ZipkinPort>,
}

/// `listen.zipkin`: where senders of spans come that know no DSN.
#[derive(Clone, Debug, PartialEq)]
pub struct ZipkinPort {
    /// On this machine's loopback.
    pub addr: ListenAddr,
    /// Whose project their spans belong to.
    pub token: Token,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Where.
    pub addr: ListenAddr,
    /// With TLS, or without.
    pub tls: Option<TlsFiles>,
}

/// `listen.tls`, or `tls` of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Private key, PEM.
    pub key_file: PathBuf,
    /// Whoever has no certificate of these authorities is turned away.
    pub client_ca_file: Option<PathBuf>,
}

/// `ch_schema`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChSchema {
    /// The codec of columns that have none of their own, as ClickHouse spells it.
    pub compression: String,
    /// Spans.
    pub spans: Table,
    /// Log records; as spans, unless given.
    pub logs: Table,
    /// Data points.
    pub metrics: Table,
    /// What is kept for another time than that (`projects[].ttl_delete`).
    pub projects: BTreeMap<ProjectId, ProjectTtl>,
    /// Several servers (`cluster`, `replicated`, `distributed`); `None` for one.
    pub cluster: Option<Cluster>,
}

/// How long one project's rows are kept, where that is not as long as everybody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProjectTtl {
    /// Spans.
    pub spans: Option<Ttl>,
    /// Log records.
    pub logs: Option<Ttl>,
    /// Data points and rollups.
    pub metrics: Option<Ttl>,
}

/// How the servers of a cluster share the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// In `remote_servers` of the servers' configuration.
    pub name: String,
    /// Whether servers are replicas of each other; needs Keeper.
    pub replicated: bool,
    /// Whether there is more than one shard.
    pub distributed: bool,
}

/// `processors[]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Processor {
    /// As in an agent.
    pub config: ProcessorConfig,
    /// Whose data it processes; empty for everybody's.
    pub projects: Vec<ProjectId>,
    /// Projects that its outputs lead to.
    pub outputs: BTreeMap<String, ProjectId>,
}

/// What can be said about one signal's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// How long rows are kept.
    pub ttl_delete: Ttl,
    /// The storage policy of the server; `default` is every server's own.
    pub storage_policy: String,
}

/// `ingest`: our own bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingest {
    /// Largest request after decompression.
    pub max_request_bytes: u64,
    /// What all requests in memory may weigh together.
    pub memory_bytes: u64,
    /// What may wait on the disk for the store; beyond it senders are told to come again.
    pub journal_bytes: u64,
    /// Whether the journal may lie on a network file system.
    pub allow_network_file_system: bool,
    /// Connections per listener.
    pub max_connections: usize,
}

impl Default for Config {
    fn default() -> Self {
        let listener = |port| Listener {
            addr: ListenAddr::loopback(port),
            tls: None,
        };
        Self {
            data_dir: PathBuf::from("./data/aggregator"),
            ch: ClickHouse::default(),
            pg: None,
            projects: Vec::new(),
            users: Vec::new(),
            listen: Listen {
                grpc: listener(14317),
                http: listener(14318),
                zipkin: None,
            },
            site_addr: "http://localhost:14318".to_owned(),
            ch_schema: ChSchema::default(),
            ingest: Ingest::default(),
            limits: Limits::default(),
            processors: Vec::new(),
            log_level: "info".to_owned(),
        }
    }
}

impl Default for ClickHouse {
    fn default() -> Self {
        Self {
            url: None,
            user: "default".to_owned(),
            password: Secret::default(),
            database: "petrel".to_owned(),
            max_execution_time: Duration::from_secs(30),
            import_spans_to: None,
            query_settings: BTreeMap::new(),
            durable: true,
            engine_library: None,
        }
    }
}

impl Default for ChSchema {
    fn default() -> Self {
        let table = |days| Table {
            ttl_delete: Ttl::days(days),
            storage_policy: "default".to_owned(),
        };
        Self {
            compression: "ZSTD(1)".to_owned(),
            spans: table(30),
            logs: table(30),
            metrics: table(90),
            projects: BTreeMap::new(),
            cluster: None,
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            max_request_bytes: 64 << 20,
            memory_bytes: 96 << 20,
            journal_bytes: 4 << 30,
            allow_network_file_system: false,
            max_connections: 16_384,
        }
    }
}

impl Config {
    /// Reads a file, with the process's environment.
    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text, &environment)
    }

    /// Reads text; `file` is what problems call it.
    pub fn parse(
        file: &str,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, ConfigError> {
        load::load(file, text, environment)
    }

    /// The DSN that a sender of this project is given: `http://TOKEN@HOST:PORT?grpc=PORT`.
    pub fn dsn(&self, token: &Token) -> String {
        let (scheme, rest) = self
            .site_addr
            .split_once("://")
            .unwrap_or(("http", &self.site_addr));
        let host = rest.split('/').next().unwrap_or(rest);
        let grpc = self.listen.grpc.addr.port();
        format!("{scheme}://{}@{host}?grpc={grpc}", token.expose())
    }

    /// Where the journal lives.
    pub fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// Where the embedded engine keeps its tables.
    pub fn engine_dir(&self) -> PathBuf {
        self.data_dir.join("engine")
    }

    /// The metadata file, when there is no PostgreSQL.
    pub fn metadata_file(&self) -> PathBuf {
        self.data_dir.join("meta.sqlite")
    }
}

/// A configuration, and what should be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// Keys that are accepted and do nothing yet.
    pub notices: Vec<Notice>,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// All that is wrong in it, one line each.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Problem>),
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// A password. Shown to those who need it, never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// One variable of the environment, if it is there and is text.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place where the environment is read"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests;
