//! `petrel-aggregator sql`: an operator's door into the store of the running server, to read.
//!
//! The embedded engine belongs to the aggregator that runs; where it listens and the password of
//! the day are in `engine.json`, which only the owner of the data directory can read. A server of
//! one's own is asked with the credentials of the configuration. Either way nothing can be changed.

use std::io::{IsTerminal as _, Write as _};

use crate::clickhouse::{self, Reader, client};
use crate::config::Config;
use crate::engine::{Access, AccessError};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct SqlArgs {
    /// A SELECT, SHOW or DESCRIBE. The views spans, logs and points are made for people.
    pub query: String,
    /// A format of ClickHouse: JSON, CSVWithNames, Vertical, ... A table on a terminal, tab
    /// separated values elsewhere, unless given.
    #[arg(long)]
    pub format: Option<String>,
}

/// The question was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// There is no engine to ask.
    #[error(
        "no aggregator is running on {data_dir}: its embedded engine can only be asked while it \
         runs; start `petrel-aggregator serve` with this configuration first"
    )]
    NotRunning {
        /// Whose data.
        data_dir: String,
    },
    /// The engine's address cannot be read.
    #[error("cannot learn how the running aggregator's engine is reached")]
    Access(#[source] AccessError),
    /// The server cannot be reached.
    #[error("cannot reach ClickHouse at {url}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why not.
        source: ::clickhouse::error::Error,
    },
    /// The server refuses the statement.
    #[error("{0}")]
    Refused(String),
    /// The answer cannot be written.
    #[error("cannot write the answer")]
    Output(#[source] std::io::Error),
}

/// Asks, and writes the answer to standard output.
pub async fn run(config: &Config, args: &SqlArgs) -> Result<(), SqlError> {
    let format = args
        .format
        .as_deref()
        .unwrap_or(if std::io::stdout().is_terminal() {
            "PrettyCompactMonoBlock"
        } else {
            "TabSeparated"
        });
    let mut answer = Vec::new();
    ask(config, &args.query, format, &mut answer).await?;
    let mut out = std::io::stdout().lock();
    match out.write_all(&answer).and_then(|()| out.flush()) {
        // `| head` has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(SqlError::Output),
    }
}

/// Asks, and appends the answer in this format.
pub async fn ask(
    config: &Config,
    query: &str,
    format: &str,
    answer: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let not_running = || SqlError::NotRunning {
        data_dir: config.data_dir.display().to_string(),
    };
    let (reader, url) = match &config.ch.url {
        Some(url) => {
            let password = config.ch.password.expose();
            let client = client(url, &config.ch.user, password);
            (
                Reader::new(client.with_database(&config.ch.database)),
                url.clone(),
            )
        }
        None => {
            let access = match Access::read(&clickhouse::access_file(config)) {
                Ok(access) => access,
                Err(AccessError::Absent { .. }) => return Err(not_running()),
                Err(error) => return Err(SqlError::Access(error)),
            };
            let client = client(&access.url, &access.user, &access.password);
            (
                Reader::new(client.with_database(&access.database)),
                access.url,
            )
        }
    };
    let embedded = config.ch.url.is_none();
    let failed = |error: ::clickhouse::error::Error| match error {
        ::clickhouse::error::Error::BadResponse(words) => {
            SqlError::Refused(words.trim().to_owned())
        }
        // A file that a killed aggregator left behind.
        ::clickhouse::error::Error::Network(_) if embedded => not_running(),
        source => SqlError::Unreachable {
            url: url.clone(),
            source,
        },
    };
    let mut cursor = reader
        .query(query.trim())
        .fetch_bytes(format)
        .map_err(failed)?;
    while let Some(chunk) = cursor.next().await.map_err(failed)? {
        answer.extend_from_slice(&chunk);
    }
    Ok(())
}
