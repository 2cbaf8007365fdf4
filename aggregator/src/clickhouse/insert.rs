//! One block, one INSERT, once.
//!
//! A token names the content. The server drops an insert whose token it has seen in that partition
//! (`non_replicated_deduplication_window` of our tables), so that the answer to a lost answer is
//! the same insert again. That holds only for one block in one partition and with settings that we
//! choose: none of them is left to the server's profile, whose defaults have changed over versions.

use std::time::Duration;

use ::clickhouse::Client;

use crate::rows::Block;

/// How long a piece of the body may take to be sent.
const SEND: Duration = Duration::from_secs(30);
/// How long the server may take for the insert. What became of it is unknown after that.
const END: Duration = Duration::from_secs(180);

const SETTINGS: [(&str, &str); 13] = [
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
    ("input_format_native_allow_types_conversion", "1"),
    // A profile's limits are for people who ask.
    ("max_execution_time", "0"),
    ("insert_null_as_default", "1"),
    ("throw_on_max_partitions_per_insert_block", "1"),
];

/// Inserts blocks. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    client: Client,
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
    source: ::clickhouse::error::Error,
}

impl Writer {
    pub(super) fn new(client: Client) -> Self {
        let client = SETTINGS.iter().fold(client, |client, (name, value)| {
            client.with_setting(*name, *value)
        });
        Self { client }
    }

    /// Inserts a block; with the same token again, nothing more is stored.
    pub async fn insert(&self, block: &Block, token: &str) -> Result<(), InsertError> {
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
        let failed = |source| InsertError {
            table: block.table(),
            source,
        };
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_setting("insert_deduplication_token", token)
            .with_timeouts(Some(SEND), Some(END));
        insert.send(block.bytes().clone()).await.map_err(failed)?;
        insert.end().await.map_err(failed)
    }
}

/// The code in the server's words.
fn code(words: &str) -> Option<u32> {
    let digits = words.split_once("Code: ")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse().ok()
}

impl InsertError {
    /// Whether the block itself is at fault, as far as one answer can tell. Everything else (a
    /// network, a full disk, a missing table, a server that is busy or being upgraded) passes.
    pub fn blames_the_block(&self) -> bool {
        blames_the_block(&self.source.to_string())
    }

    /// The server's words, shortened.
    pub fn words(&self) -> String {
        self.source.to_string().chars().take(500).collect()
    }
}

fn blames_the_block(words: &str) -> bool {
    match code(words) {
        // CANNOT_PARSE_*, CANNOT_READ_ALL_DATA, TYPE_MISMATCH, CANNOT_CONVERT_TYPE,
        // SIZES_OF_*_DOESNT_MATCH, ARGUMENT_OUT_OF_BOUND, INCORRECT_DATA, TOO_LARGE_*_SIZE,
        // VIOLATED_CONSTRAINT.
        Some(
            6 | 8 | 9 | 10 | 26 | 27 | 33 | 38 | 41 | 53 | 69 | 70 | 72 | 117 | 128 | 131 | 469,
        ) => true,
        // TOO_MANY_PARTS: too many partitions in one block is the block's fault for ever, too many
        // parts in a table is the server asking for a pause.
        Some(252) => words
            .to_ascii_lowercase()
            .contains("partitions for single insert block"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_meanings_of_code_252_are_told_apart() {
        assert!(blames_the_block(
            "bad response: Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100)."
        ));
        assert!(!blames_the_block(
            "Code: 252. DB::Exception: Too many parts (3000 with average size of 1.00 KiB) in table 'x'. \
             Merges are processing significantly slower than inserts. (TOO_MANY_PARTS)"
        ));
    }

    #[test]
    fn only_answers_about_the_data_blame_the_data() {
        for (code, blamed) in [
            (117, true),  // INCORRECT_DATA
            (33, true),   // CANNOT_READ_ALL_DATA
            (53, true),   // TYPE_MISMATCH
            (16, false),  // NO_SUCH_COLUMN_IN_TABLE: a schema that is behind
            (60, false),  // UNKNOWN_TABLE
            (159, false), // TIMEOUT_EXCEEDED
            (164, false), // READONLY
            (202, false), // TOO_MANY_SIMULTANEOUS_QUERIES
            (241, false), // MEMORY_LIMIT_EXCEEDED
            (243, false), // NOT_ENOUGH_SPACE
            (516, false), // AUTHENTICATION_FAILED
            (999, false), // KEEPER_EXCEPTION
        ] {
            let words = format!("bad response: Code: {code}. DB::Exception: x. (X)");
            assert_eq!(blames_the_block(&words), blamed, "{code}");
        }
        assert!(!blames_the_block("network error: connection refused"));
    }
}
