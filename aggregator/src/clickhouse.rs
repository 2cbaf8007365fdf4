//! ClickHouse, embedded or elsewhere: who connects, who may read, who writes.
//!
//! Everything above this module speaks to a server over HTTP and cannot tell whether it is one of
//! its own ([`crate::engine`]). Readers cannot change anything, writers only insert blocks.

mod cluster;
mod insert;
mod migrate;
mod schema;
mod trace_context;
mod trouble;

use std::path::PathBuf;
use std::sync::Arc;

use petrel_wire::Clock;

use crate::config::Config;
use crate::engine::{self, Engine, EngineOptions};

pub use crate::engine::StartError;
pub use insert::{InsertError, Writer};
pub use migrate::{MigrateError, migrate};
pub use schema::Schema;
pub(crate) use trace_context::MACHINE;
pub use trouble::Trouble;

use trace_context::{Sender, traced};

/// What the server's query log says about who asks.
const PRODUCT: &str = "petrel-aggregator";

/// The store's server. Owns the engine when it is embedded.
#[derive(Debug)]
pub struct ClickHouse {
    client: ::clickhouse::Client,
    database: String,
    max_execution_seconds: u64,
    query_settings: Vec<(String, String)>,
    engine: Option<Engine>,
}

impl ClickHouse {
    /// Starts the embedded engine, or prepares to speak to the configured server. Returns at once;
    /// whether anybody answers is seen when something is asked.
    pub fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let engine = match &config.ch.url {
            Some(_) => None,
            None => Some(Engine::start(EngineOptions {
                program: program()?,
                library: engine::find_library(config.ch.engine_library.as_deref())?,
                dir: config.engine_dir(),
                access: access_file(config),
                database: config.ch.database.clone(),
                clock,
            })?),
        };
        let client = match (&engine, &config.ch.url) {
            (Some(engine), _) => {
                let access = engine.access();
                client(&access.url, &access.user, &access.password)
            }
            (None, url) => client(
                url.as_deref().unwrap_or_default(),
                &config.ch.user,
                config.ch.password.expose(),
            ),
        };
        let sharded = config.ch_schema.cluster.as_ref();
        let client = match sharded.filter(|cluster| cluster.distributed) {
            // An insert is acknowledged when the shards have it, and joins see all of them.
            Some(_) => client
                .with_setting("distributed_foreground_insert", "1")
                .with_setting("distributed_product_mode", "global"),
            None => client,
        };
        Ok(Self {
            client,
            database: config.ch.database.clone(),
            max_execution_seconds: config.ch.max_execution_time.as_secs().max(1),
            query_settings: config.ch.query_settings.clone().into_iter().collect(),
            engine,
        })
    }

    /// For queries of people.
    pub fn reader(&self) -> Reader {
        let client = self
            .query_settings
            .iter()
            .fold(self.client.clone(), |client, (name, value)| {
                client.with_setting(name, value)
            })
            .with_database(&self.database)
            .with_setting("max_execution_time", self.max_execution_seconds.to_string());
        Reader::new(client)
    }

    /// For blocks.
    pub fn writer(&self) -> Writer {
        Writer::new(self.client.clone().with_database(&self.database))
    }

    /// For the schema: no database is chosen, since there may be none yet.
    pub fn owner(&self) -> ::clickhouse::Client {
        self.client.clone()
    }

    /// The embedded engine, if it is one.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Ends the embedded engine. Blocks for as long as queries run, within bounds.
    pub fn stop(self) {
        if let Some(engine) = self.engine {
            engine.stop();
        }
    }
}

/// Asks; cannot change anything. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    client: ::clickhouse::Client,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    pub(crate) fn new(client: ::clickhouse::Client) -> Self {
        Self {
            client: client.with_setting("readonly", "1"),
        }
    }

    /// A statement, with `{name:Type}` where parameters go ([`::clickhouse::query::Query::param`]).
    /// Question marks mean themselves.
    pub fn query(&self, sql: &str) -> ::clickhouse::query::Query {
        traced(&self.client, Sender::Person).query_raw(sql)
    }

    /// The same for a question that nobody asks but this program, round the clock.
    pub(crate) fn machine(&self, sql: &str) -> ::clickhouse::query::Query {
        traced(&self.client, Sender::Machine).query_raw(sql)
    }
}

/// A client with these credentials and nothing else set.
pub(crate) fn client(url: &str, user: &str, password: &str) -> ::clickhouse::Client {
    let compression = if is_here(url) {
        ::clickhouse::Compression::None
    } else {
        ::clickhouse::Compression::Lz4
    };
    ::clickhouse::Client::default()
        .with_url(url)
        .with_user(user)
        .with_password(password)
        .with_compression(compression)
        .with_product_info(PRODUCT, env!("CARGO_PKG_VERSION"))
}

/// On loopback, whoever serves there, compression would only cost; embedded engines offer none.
fn is_here(url: &str) -> bool {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Where a running aggregator says how its embedded engine is reached.
pub fn access_file(config: &Config) -> PathBuf {
    config.data_dir.join("engine.json")
}

/// Ourselves. The binary of a test lies in `deps`, one directory below the program that it tests.
fn program() -> Result<PathBuf, StartError> {
    let system = |source| StartError::System {
        doing: "find this program",
        source,
    };
    let exe = std::env::current_exe().map_err(system)?;
    let program = exe
        .parent()
        .filter(|dir| dir.ends_with("deps"))
        .and_then(|dir| Some(dir.parent()?.join("petrel-aggregator")))
        .filter(|program| program.is_file());
    Ok(program.unwrap_or(exe))
}

#[cfg(test)]
mod tests {
    use super::is_here;

    #[test]
    fn only_loopback_is_here() {
        for url in [
            "http://127.0.0.1:8123",
            "http://localhost:8123/",
            "http://[::1]:8123",
        ] {
            assert!(is_here(url), "{url}");
        }
        for url in [
            "http://10.0.0.1:8123",
            "https://localhost.example.com:8443",
            "",
        ] {
            assert!(!is_here(url), "{url}");
        }
    }
}
