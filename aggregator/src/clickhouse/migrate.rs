//! Brings the database to what this program expects: numbered steps, one process at a time.

use std::time::Duration;

use ::clickhouse::Client;
use tracing::info;

use super::Trouble;
use super::schema::{MIGRATIONS, Schema};
use super::trace_context::{Sender, traced};

/// The schema is not what this program needs, and could not be made so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A statement failed.
    #[error("cannot {doing}")]
    Statement {
        /// What was tried.
        doing: String,
        /// The server's words.
        source: ::clickhouse::error::Error,
    },
    /// A later version of this program has changed it.
    #[error(
        "database {database} has migration {version}, which this version of petrel-aggregator \
         does not know; start the newer version"
    )]
    Newer {
        /// Which one.
        database: String,
        /// The first unknown migration.
        version: u32,
    },
    /// Somebody else migrates, and takes long.
    #[error("another process is migrating database {database}")]
    Locked {
        /// Which one.
        database: String,
    },
}

impl MigrateError {
    /// What it asks of us.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Statement { source, .. } => Trouble::of(source),
            Self::Newer { .. } => Trouble::Operator("start the newer petrel-aggregator"),
            Self::Locked { .. } => Trouble::Passing,
        }
    }
}

/// A lock older than this belongs to a process that died.
const STALE: u32 = 120;
/// How often the lock is tried, and how long after one another.
const TRIES: u32 = 60;
const BETWEEN: Duration = Duration::from_millis(500);

/// Applies what is missing, then what the configuration has changed since.
pub async fn migrate(client: &Client, schema: &Schema) -> Result<(), MigrateError> {
    let owner = Owner { client, schema };
    let (database, everywhere) = (schema.database(), schema.everywhere());
    // One list for all servers, whichever of them we speak to.
    let list = match schema.cluster() {
        Some(cluster) if cluster.replicated => {
            "ReplicatedMergeTree('/clickhouse/tables/{uuid}/list', '{shard}-{replica}')"
        }
        _ => "MergeTree",
    };
    owner
        .run(
            "create the database",
            &format!("CREATE DATABASE IF NOT EXISTS {database}{everywhere}"),
        )
        .await?;
    owner
        .run(
            "create the list of migrations",
            &format!(
                "CREATE TABLE IF NOT EXISTS {database}.schema_migrations{everywhere} \
                 (version UInt32, name String, applied DateTime('UTC') DEFAULT now()) \
                 ENGINE = {list} ORDER BY version"
            ),
        )
        .await?;
    owner.lock().await?;
    let migrated = owner.migrate().await;
    let unlocked = owner.unlock().await;
    migrated.and(unlocked)
}

struct Owner<'a> {
    client: &'a Client,
    schema: &'a Schema,
}

impl Owner<'_> {
    async fn migrate(&self) -> Result<(), MigrateError> {
        let database = self.schema.database();
        let sql = format!("SELECT version FROM {database}.schema_migrations ORDER BY version");
        let applied = self.lines("read the list of migrations", &sql).await?;
        let applied: Vec<u32> = applied
            .iter()
            .filter_map(|line| line.parse().ok())
            .collect();
        let known = MIGRATIONS.iter().map(|migration| migration.version);
        if let Some(version) = applied
            .iter()
            .find(|version| !known.clone().any(|k| k == **version))
        {
            return Err(MigrateError::Newer {
                database: self.schema.database_name().to_owned(),
                version: *version,
            });
        }
        let missing = MIGRATIONS
            .iter()
            .filter(|migration| !applied.contains(&migration.version));
        for migration in missing {
            let doing = format!("apply migration {} ({})", migration.version, migration.name);
            for statement in self.schema.statements(migration) {
                self.run_in(&doing, &statement).await?;
            }
            let (version, name) = (migration.version, migration.name);
            let done = format!(
                "INSERT INTO {database}.schema_migrations (version, name) \
                 SETTINGS async_insert = 0 VALUES ({version}, '{name}')"
            );
            self.run(&doing, &done).await?;
            info!(version, name, "migration applied");
        }
        self.follow_configuration().await
    }

    /// Retention and durability of tables that exist already.
    async fn follow_configuration(&self) -> Result<(), MigrateError> {
        let name = self
            .schema
            .database_name()
            .replace('\\', "\\\\")
            .replace('\'', "\\'");
        let sql = format!(
            "SELECT concat(name, ' ', replaceAll(engine_full, '\\n', ' ')) FROM system.tables \
             WHERE database = '{name}' ORDER BY name"
        );
        for line in self.raw("read the tables", &sql).await?.lines() {
            let Some((table, engine)) = line.split_once(' ') else {
                continue;
            };
            // Output is escaped once more than the description is.
            for statement in self.schema.alterations(table, &engine.replace("\\'", "'")) {
                self.run(&format!("change table {table}"), &statement)
                    .await?;
                info!(table, statement, "table follows the configuration");
            }
        }
        Ok(())
    }

    /// ClickHouse has no locks, but of two processes that create a table one learns that it was
    /// there. A lock that we left in an earlier life is ours; others count until they are stale.
    /// Statements are idempotent, so that a lock broken by mistake costs nothing but noise.
    async fn lock(&self) -> Result<(), MigrateError> {
        const TABLE_ALREADY_EXISTS: &str = "Code: 57.";
        let database = self.schema.database();
        let everywhere = self.schema.everywhere();
        let us = self
            .schema
            .owner()
            .replace('\\', "\\\\")
            .replace('\'', "\\'");
        let create = format!(
            "CREATE TABLE {database}.schema_lock{everywhere} (x UInt8) ENGINE = Memory COMMENT '{us}'"
        );
        let name = self
            .schema
            .database_name()
            .replace('\\', "\\\\")
            .replace('\'', "\\'");
        let broken = format!(
            "SELECT comment = '{us}' OR now() - metadata_modification_time > {STALE} \
             FROM system.tables WHERE database = '{name}' AND name = 'schema_lock'"
        );
        for _ in 0..TRIES {
            match self.run("lock the schema", &create).await {
                Err(MigrateError::Statement { source, .. })
                    if source.to_string().contains(TABLE_ALREADY_EXISTS) => {}
                other => return other,
            }
            let broken = self.lines("look at the lock", &broken).await?;
            if broken.first().is_some_and(|broken| broken == "1") {
                self.unlock().await?;
            } else {
                tokio::time::sleep(BETWEEN).await;
            }
        }
        Err(MigrateError::Locked {
            database: self.schema.database_name().to_owned(),
        })
    }

    async fn unlock(&self) -> Result<(), MigrateError> {
        let sql = format!(
            "DROP TABLE IF EXISTS {}.schema_lock{}",
            self.schema.database(),
            self.schema.everywhere()
        );
        self.run("unlock the schema", &sql).await
    }

    async fn run(&self, doing: &str, sql: &str) -> Result<(), MigrateError> {
        self.execute(self.client, doing, sql).await
    }

    async fn run_in(&self, doing: &str, sql: &str) -> Result<(), MigrateError> {
        let client = self
            .client
            .clone()
            .with_database(self.schema.database_name());
        self.execute(&client, doing, sql).await
    }

    async fn execute(&self, client: &Client, doing: &str, sql: &str) -> Result<(), MigrateError> {
        traced(client, Sender::Machine)
            .query_raw(sql)
            .execute()
            .await
            .map_err(|source| MigrateError::Statement {
                doing: doing.to_owned(),
                source,
            })
    }

    async fn lines(&self, doing: &str, sql: &str) -> Result<Vec<String>, MigrateError> {
        Ok(self
            .raw(doing, sql)
            .await?
            .lines()
            .map(str::to_owned)
            .collect())
    }

    async fn raw(&self, doing: &str, sql: &str) -> Result<String, MigrateError> {
        let failed = |source| MigrateError::Statement {
            doing: doing.to_owned(),
            source,
        };
        let mut cursor = traced(self.client, Sender::Machine)
            .query_raw(sql)
            .fetch_bytes("TabSeparated")
            .map_err(failed)?;
        let bytes = cursor.collect().await.map_err(failed)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
