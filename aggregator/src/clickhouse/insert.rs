//! One block, one INSERT, once.
//!
//! A token names the content. The server drops an insert whose token it has seen in that partition
//! (`non_replicated_deduplication_window` of our tables), so that the answer to a lost answer is
//! the same insert again. That holds only for one block in one partition and with settings that we
//! choose: none of them is left to the server's profile, whose defaults have changed over versions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::clickhouse::Client;
use ::clickhouse::error::Error;

use super::trace_context::{Sender, traced};
use super::trouble::{self, Trouble};
use crate::rows::Block;

/// How long a piece of the body may take to be sent.
const SEND: Duration = Duration::from_secs(30);
/// How long the server may take for the insert. What became of it is unknown after that.
const END: Duration = Duration::from_secs(180);

/// What every insert relies on, whatever the profile of our user says. Every server from 25.8 on
/// knows these.
const SETTINGS: [(&str, &str); 16] = [
    // On by default since 26.3, where it batches behind our back and has lost data.
    ("async_insert", "0"),
    ("wait_for_async_insert", "1"),
    ("insert_deduplicate", "1"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    // One block stays one block: it is squashed with nothing and cut nowhere.
    ("max_insert_threads", "1"),
    ("max_insert_block_size", "16777216"),
    ("min_insert_block_size_rows", "16777216"),
    ("min_insert_block_size_bytes", "4294967296"),
    ("max_partitions_per_insert_block", "100"),
    ("throw_on_max_partitions_per_insert_block", "1"),
    ("input_format_native_allow_types_conversion", "1"),
    ("insert_null_as_default", "1"),
    ("input_format_defaults_for_omitted_fields", "1"),
    // A profile's limits are for people who ask.
    ("max_execution_time", "0"),
    ("max_memory_usage", "0"),
    ("max_rows_to_read", "0"),
];

/// The same for settings that only later servers know. They win over older ones, so that a profile
/// which has them must not decide.
const LATER_SETTINGS: [(&str, &str); 2] = [
    ("deduplicate_insert", "enable"),
    // The embedded engine reads the block from a file, as an INSERT SELECT does.
    ("deduplicate_insert_select", "enable_even_for_bad_queries"),
];

/// Inserts blocks. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    /// With the later settings that the server knows; nothing until it was asked.
    asked: Arc<Mutex<Option<Client>>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}

/// An insert that was not acknowledged.
#[derive(Debug, thiserror::Error)]
#[error("cannot insert into {table}")]
pub struct InsertError {
    table: &'static str,
    source: Error,
}

impl Writer {
    /// When an insert has ended, one way or the other, if sending it makes any progress at all.
    pub const LONGEST: Duration = SEND.saturating_add(END);

    /// Inserts through `client`, whose settings it overrides where it relies on them.
    pub fn new(client: Client) -> Self {
        Self {
            client: with(client, &SETTINGS),
            asked: Arc::default(),
        }
    }

    /// Inserts a block; with the same token again, nothing more is stored.
    pub async fn insert(&self, block: &Block, token: &str) -> Result<(), InsertError> {
        let inserted = self.try_insert(block, token).await;
        inserted.map_err(|source| {
            if trouble::code(&source.to_string()) == Some(UNKNOWN_SETTING) {
                // Another server than the one that was asked, or an older one since.
                *self.lock() = None;
            }
            InsertError {
                table: block.table(),
                source,
            }
        })
    }

    async fn try_insert(&self, block: &Block, token: &str) -> Result<(), Error> {
        let columns: Vec<_> = block
            .columns()
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let sql = format!(
            "INSERT INTO {} ({}) FORMAT Native",
            block.table(),
            columns.join(", ")
        );
        let client = self.client_for_server().await?;
        let mut insert = traced(&client, Sender::Machine)
            .insert_formatted_with(sql)
            .with_setting("insert_deduplication_token", token)
            .with_timeouts(Some(SEND), Some(END));
        for piece in block.pieces() {
            insert.send(piece.clone()).await?;
        }
        insert.end().await
    }

    async fn client_for_server(&self) -> Result<Client, Error> {
        if let Some(client) = self.lock().clone() {
            return Ok(client);
        }
        let names = LATER_SETTINGS.map(|(name, _)| format!("'{name}'"));
        let sql = format!(
            "SELECT name FROM system.settings WHERE name IN ({})",
            names.join(", ")
        );
        let known = match self.client.query_raw(&sql).fetch_bytes("TabSeparated") {
            Ok(mut cursor) => cursor.collect().await,
            Err(why) => Err(why),
        };
        let known = match known {
            Ok(known) => String::from_utf8_lossy(&known).into_owned(),
            // The user may not ask: without these settings it goes as well on most servers.
            Err(why) if matches!(Trouble::of(&why), Trouble::Operator(_)) => String::new(),
            Err(why) => return Err(why),
        };
        let later: Vec<_> = LATER_SETTINGS
            .into_iter()
            .filter(|(name, _)| known.lines().any(|known| known == *name))
            .collect();
        let client = with(self.client.clone(), &later);
        *self.lock() = Some(client.clone());
        Ok(client)
    }

    // Held for a clone and never across an await.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Client>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const UNKNOWN_SETTING: u32 = 115;

fn with(client: Client, settings: &[(&str, &str)]) -> Client {
    settings.iter().fold(client, |client, (name, value)| {
        client.with_setting(*name, *value)
    })
}

impl InsertError {
    /// What the answer asks of us.
    pub fn trouble(&self) -> Trouble {
        Trouble::of(&self.source)
    }

    /// The server's words, shortened.
    pub fn words(&self) -> String {
        trouble::words(&self.source)
    }
}
