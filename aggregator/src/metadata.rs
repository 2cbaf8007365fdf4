//! Metadata: projects, tokens, users and sessions, in SQLite or PostgreSQL.
//!
//! One set of queries serves both databases (`$1` placeholders, `BIGINT` and `TEXT` columns only).
//! Secrets are kept as SHA-256 of 256 random bits, passwords as argon2id; neither can be read
//! back. Times are Unix nanoseconds of the injected clock. Nothing here knows HTTP.

mod audit;
mod deliveries;
mod documents;
mod imports;
mod limits;
mod passwords;
mod projects;
mod secrets;
mod sessions;
mod setup;
mod tokens;
mod users;
mod views;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use petrel_wire::Clock;
use sqlx::AnyPool;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use tokio::sync::Semaphore;

use crate::config::Config;

pub use audit::{Action, Actor, Audited};
pub use deliveries::Delivered;
pub use documents::{Document, DocumentKind};
pub use imports::Import;
pub use limits::LimitChange;
pub use passwords::{PasswordProblem, check_password, generate_password};
pub use projects::Project;
pub use sessions::{ABSOLUTE, IDLE, SessionSecret};
pub use setup::Claim;
pub use tokens::{TokenHash, TokenOrigin, TokenRecord};
pub use users::{NewUser, Sees, User, UserId, is_email};
pub use views::{Saved, SavedView, ViewDraft};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/metadata");

/// Connections of one process to a file. Metadata is small and cached by who asks often.
const FILE_CONNECTIONS: u32 = 4;
/// ... and to a server, whose commits wait together for its disk.
const SERVER_CONNECTIONS: u32 = 16;
/// Passwords hashed at a time: logins must not starve ingest on a small machine.
const HASHING: usize = 2;
/// How long to wait for a connection before giving up.
const ACQUIRE: Duration = Duration::from_secs(10);

/// Where metadata lives.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file; created if absent.
    Sqlite(PathBuf),
    /// A `postgres://` address.
    Postgres(String),
}

impl Database {
    /// What the configuration names: PostgreSQL when `pg` is set, else the file in `data_dir`.
    pub fn of(config: &Config) -> Self {
        let Some(pg) = &config.pg else {
            return Self::Sqlite(config.metadata_file());
        };
        let tls = if pg.tls { "verify-full" } else { "disable" };
        Self::Postgres(format!(
            "postgres://{}:{}@{}:{}/{}?sslmode={tls}",
            percent(&pg.user),
            percent(pg.password.expose()),
            if pg.host.contains(':') && !pg.host.starts_with('[') {
                format!("[{}]", pg.host)
            } else {
                pg.host.clone()
            },
            pg.port,
            percent(&pg.database),
        ))
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => {
                format!("sqlite://{}?mode=rwc", percent(&path.to_string_lossy()))
            }
            Self::Postgres(url) => url.clone(),
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            // The address carries a password before its `@`.
            Self::Postgres(url) => {
                let place = url.rsplit_once('@').map_or("", |(_, place)| place);
                write!(f, "postgres://{}", place.split('?').next().unwrap_or(""))
            }
        }
    }
}

/// A cheap handle to the metadata database.
#[derive(Clone, Debug)]
pub struct Metadata {
    pool: AnyPool,
    clock: Arc<dyn Clock>,
    hashing: Arc<Semaphore>,
}

impl Metadata {
    /// Connects, brings the schema up to date, and refuses one that is newer than this program.
    pub async fn open(database: &Database, clock: Arc<dyn Clock>) -> Result<Self, MetadataError> {
        sqlx::any::install_default_drivers();
        let opening = |source| MetadataError::Open {
            database: database.to_string(),
            source,
        };
        let options: AnyConnectOptions = database.url().parse().map_err(opening)?;
        let sqlite = matches!(database, Database::Sqlite(_));
        let pool = AnyPoolOptions::new()
            .max_connections(if sqlite {
                FILE_CONNECTIONS
            } else {
                SERVER_CONNECTIONS
            })
            .acquire_timeout(ACQUIRE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        // A committed user or token must survive a power cut.
                        for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"] {
                            sqlx::query(pragma).execute(&mut *connection).await?;
                        }
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(opening)?;
        MIGRATIONS.run(&pool).await.map_err(|source| match source {
            MigrateError::VersionMissing(version) => MetadataError::Newer {
                database: database.to_string(),
                version,
            },
            source => MetadataError::Migrate {
                database: database.to_string(),
                source,
            },
        })?;
        Ok(Self {
            pool,
            clock,
            hashing: Arc::new(Semaphore::new(HASHING)),
        })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), MetadataError> {
        sqlx::query("SELECT 1")
            .execute(&self.pool)
            .await
            .map_err(doing("reach the database"))?;
        Ok(())
    }

    /// Waits for what is under way and disconnects.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.wall().0).unwrap_or(i64::MAX)
    }
}

/// Something with the metadata database failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// It cannot be opened or reached.
    #[error("cannot open the metadata database {database}")]
    Open {
        /// Which one, without its password.
        database: String,
        /// Why not.
        source: sqlx::Error,
    },
    /// A later version of this program has changed it.
    #[error(
        "the metadata database {database} has migration {version}, which this version of \
         petrel-aggregator does not know; start the newer version, or restore a backup"
    )]
    Newer {
        /// Which one.
        database: String,
        /// The first unknown migration.
        version: i64,
    },
    /// A migration failed.
    #[error("cannot bring the metadata database {database} up to date")]
    Migrate {
        /// Which one.
        database: String,
        /// Why not.
        source: MigrateError,
    },
    /// A query failed.
    #[error("metadata: cannot {doing}")]
    Query {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: sqlx::Error,
    },
    /// A stored value cannot be read, or a new one cannot be made.
    #[error("metadata: cannot {doing}")]
    Value {
        /// What was tried.
        doing: &'static str,
    },
}

fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> MetadataError {
    move |source| MetadataError::Query { doing, source }
}

/// Percent-encodes all but unreserved characters and `/`.
fn percent(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests;
