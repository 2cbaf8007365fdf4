//! [`Trouble`]: what an answer of ClickHouse other than success asks of us.
//!
//! Codes alone do not say: 252 is a block that touches too many partitions, which will be refused
//! for ever, and a table whose merges are behind, which asks for a pause. So each row of the table
//! has codes and words, and the first that fits decides. What no row knows passes by itself: data
//! is set aside only for an answer that certainly blames the data.

use std::error::Error as _;

use ::clickhouse::error::Error;

/// What a failed statement asks of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It passes by itself: the same again, soon.
    Passing,
    /// The server asks for a pause: the same again, later.
    Pressure,
    /// As pressure; smaller inserts would help.
    Memory,
    /// The block is at fault and will be for ever, if the answer is to be believed.
    Poison,
    /// Somebody has to do something first; what. Then the same again.
    Operator(&'static str),
}

use Trouble::{Memory, Operator, Passing, Poison, Pressure};

/// Codes (none: any answer), lower-case words that the answer contains, and what it means.
type Row = (&'static [u32], &'static str, Trouble);

/// Names of the codes: ClickHouse's `src/Common/ErrorCodes.cpp`.
const TABLE: &[Row] = &[
    // TOO_MANY_PARTS, both of its meanings.
    (&[252], "single insert block", Poison),
    (&[252], "", Pressure),
    // MEMORY_LIMIT_EXCEEDED, CANNOT_ALLOCATE_MEMORY.
    (&[241, 173], "", Memory),
    // TOO_MANY_SIMULTANEOUS_QUERIES, NO_FREE_CONNECTION, LIMIT_EXCEEDED, TOO_MANY_FETCHES,
    // RECEIVED_ERROR_TOO_MANY_REQUESTS, CANNOT_SCHEDULE_TASK.
    (&[202, 203, 290, 364, 367, 439], "", Pressure),
    (
        &[201],
        "",
        Operator("the ClickHouse user's quota is used up: raise it, or wait for its next interval"),
    ),
    (
        &[243],
        "",
        Operator(
            "the disk of ClickHouse is full: free space there, or shorten ch_schema.*.ttl_delete",
        ),
    ),
    (
        &[242],
        "",
        Operator("a table is read-only: look at system.replicas and at the connection to Keeper"),
    ),
    // SETTING_CONSTRAINT_VIOLATION comes with the setting's name; READONLY may, too.
    (
        &[452],
        "",
        Operator(
            "the ClickHouse user's profile forbids a setting that each insert sends: allow it to change the one that is named",
        ),
    ),
    (
        &[164],
        "",
        Operator("the ClickHouse user is read-only: give it a profile with readonly = 0"),
    ),
    (
        &[115],
        "",
        Operator(
            "ClickHouse does not know a setting that each insert sends: it is older than 25.8",
        ),
    ),
    // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED, AUTHENTICATION_FAILED.
    (
        &[192, 193, 194, 195, 516],
        "",
        Operator(
            "ClickHouse does not let us in: check ch.user and ch.password, and from where the user may come",
        ),
    ),
    // DATABASE_ACCESS_DENIED, ACCESS_DENIED.
    (
        &[291, 497],
        "",
        Operator(
            "the ClickHouse user lacks a grant: it needs SELECT, INSERT, CREATE, ALTER and DROP TABLE on ch.database",
        ),
    ),
    (
        &[60, 81, 218],
        "",
        Operator(
            "a table or the database is gone: restore it; after the whole database is gone, restart petrel-aggregator, which creates it",
        ),
    ),
    // Our columns do not depend on the data: an answer about them is one about the table. Missing
    // columns by several names, and columns of other types, into which our text is parsed in vain.
    (
        &[7, 8, 10, 16, 20, 44, 47, 53, 70, 122],
        "",
        Operator(
            "a table is not as petrel-aggregator made it: compare it with aggregator/migrations/clickhouse",
        ),
    ),
    // Values that cannot be read or stored: CANNOT_PARSE_*, SIZES_OF_*_DOESNT_MATCH,
    // CANNOT_READ_ALL_DATA, ARGUMENT_OUT_OF_BOUND, INCORRECT_DATA, TOO_LARGE_*_SIZE,
    // INVALID_PARTITION_VALUE, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, CANNOT_INSERT_NULL_*,
    // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO, DECIMAL_OVERFLOW, VIOLATED_CONSTRAINT.
    (
        &[
            6, 9, 26, 27, 33, 38, 41, 69, 72, 117, 128, 131, 190, 248, 321, 349, 366, 376, 395,
            407, 467, 469,
        ],
        "",
        Poison,
    ),
    // SYNTAX_ERROR is said of statements, and of types in the head of a block that cannot be read.
    (&[62], "while executing native", Poison),
    // Answers without a code come from something in between.
    (
        &[],
        "413 ",
        Operator("a proxy in front of ClickHouse refuses large bodies: let it pass 64 MiB"),
    ),
    (&[], "502 ", Passing),
    (&[], "503 ", Passing),
    (&[], "504 ", Passing),
    (
        &[],
        "<html",
        Operator("what answers at ch.addr is not ClickHouse's HTTP interface"),
    ),
    (
        &[],
        "certificate",
        Operator(
            "ClickHouse's certificate is not trusted here: check its names, its dates and the CAs of this machine",
        ),
    ),
];

impl Trouble {
    /// Reads an error of the client.
    pub fn of(error: &Error) -> Self {
        Self::read(&words(error))
    }

    fn read(words: &str) -> Self {
        let code = code(words);
        let words = words.to_ascii_lowercase();
        TABLE
            .iter()
            .find(|(codes, needle, _)| {
                let fits = code.map_or(codes.is_empty(), |code| codes.contains(&code));
                fits && words.contains(needle)
            })
            .map_or(Passing, |(_, _, trouble)| *trouble)
    }

    /// One word, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Passing => "passing",
            Pressure => "pressure",
            Memory => "memory",
            Poison => "poison",
            Operator(_) => "operator",
        }
    }
}

/// The code in the server's words; the first, which is the answer's own.
pub(super) fn code(words: &str) -> Option<u32> {
    let digits = words.split_once("Code: ")?.1;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// An error with its causes, in one line, shortened.
pub(super) fn words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some repeat what they wrap.
        let text = error.to_string();
        if !words.ends_with(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = error.source();
    }
    words.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as servers of versions 20.3 to 26 and proxies have given them, by what they mean.
    const ANSWERS: &[(&str, &str)] = &[
        (
            "poison",
            "bad response: Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100). The limit is controlled by 'max_partitions_per_insert_block' setting. Large number of partitions is a common misconception. It will lead to severe negative performance impact, including slow server startup, slow INSERT queries and slow SELECT queries. (TOO_MANY_PARTS) (version 26.3.1.1 (official build))",
        ),
        (
            "poison",
            "bad response: Code: 62. DB::Exception: Code: 62. DB::Exception: Empty query: (in file/uri /proc/self/fd/69): While executing Native: While executing File: data for INSERT was parsed from file. (SYNTAX_ERROR) (version 26.5.1.1). (SYNTAX_ERROR)",
        ),
        (
            "passing",
            "bad response: Code: 62. DB::Exception: Syntax error: failed at position 1 (INSRT): INSRT INTO span_rows. (SYNTAX_ERROR)",
        ),
        (
            "pressure",
            "bad response: Code: 252. DB::Exception: Too many parts (3000 with average size of 1.20 MiB) in table 'petrel.span_rows (6f1)'. Merges are processing significantly slower than inserts. (TOO_MANY_PARTS) (version 25.8.2.1 (official build))",
        ),
        (
            "pressure",
            "bad response: Code: 252. DB::Exception: Too many parts (100001) in all partitions in total in table 'petrel.span_rows'. This indicates wrong choice of partition key. The threshold can be modified with 'max_parts_in_total' setting in <merge_tree> element in config.xml or with per-table setting. (TOO_MANY_PARTS)",
        ),
        (
            "memory",
            "bad response: Code: 241. DB::Exception: Memory limit (for query) exceeded: would use 16.01 GiB (attempt to allocate chunk of 8589934592 bytes), maximum: 9.31 GiB. (MEMORY_LIMIT_EXCEEDED)",
        ),
        (
            "memory",
            "bad response: Code: 241. DB::Exception: (total) memory limit exceeded: would use 4.21 GiB (attempt to allocate chunk of 4204837 bytes), current RSS 184.33 GiB, maximum: 125.69 GiB. OvercommitTracker decision: Query was selected to stop by OvercommitTracker. (MEMORY_LIMIT_EXCEEDED)",
        ),
        (
            "pressure",
            "bad response: Code: 202. DB::Exception: Too many simultaneous queries. Maximum: 100. (TOO_MANY_SIMULTANEOUS_QUERIES)",
        ),
        (
            "operator",
            "bad response: Code: 164. DB::Exception: petrel: Cannot execute query in readonly mode. (READONLY)",
        ),
        (
            "operator",
            "bad response: Code: 164. DB::Exception: Cannot modify 'max_execution_time' setting in readonly mode. (READONLY) (version 23.1.3.5 (official build))",
        ),
        (
            "operator",
            "bad response: Code: 452. DB::Exception: Setting max_memory_usage should not be changed. (SETTING_CONSTRAINT_VIOLATION)",
        ),
        (
            "operator",
            "bad response: Code: 115. DB::Exception: Setting deduplicate_insert is neither a builtin setting nor started with the prefix 'SQL_' registered for user-defined settings. (UNKNOWN_SETTING)",
        ),
        (
            "operator",
            "bad response: Code: 242. DB::Exception: Table is in readonly mode due to shutdown: replica_path=/clickhouse/tables/1/span_rows/replicas/a. (TABLE_IS_READ_ONLY)",
        ),
        (
            "operator",
            "bad response: Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)",
        ),
        (
            "operator",
            "bad response: Code: 60. DB::Exception: Table petrel.span_rows does not exist. (UNKNOWN_TABLE)",
        ),
        (
            "operator",
            "bad response: Code: 81. DB::Exception: Database petrel does not exist. (UNKNOWN_DATABASE)",
        ),
        (
            "operator",
            "bad response: Code: 16. DB::Exception: No such column link_attributes in table petrel.span_rows (6f1). (NO_SUCH_COLUMN_IN_TABLE)",
        ),
        (
            "operator",
            "bad response: Code: 53. DB::Exception: Cannot convert string hello to type UInt8. (TYPE_MISMATCH)",
        ),
        (
            "operator",
            "bad response: Code: 516. DB::Exception: petrel: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)",
        ),
        (
            "operator",
            "bad response: Code: 497. DB::Exception: petrel: Not enough privileges. To execute this query, it's necessary to have the grant INSERT(project_id, bucket) ON petrel.span_rows. (ACCESS_DENIED)",
        ),
        (
            "operator",
            "bad response: Code: 201. DB::Exception: Quota for user `petrel` for 3600s has been exceeded: written_bytes = 10/9. (QUOTA_EXCEEDED)",
        ),
        (
            "poison",
            "bad response: Code: 469. DB::Exception: Constraint `no_poison` for table petrel.log_rows (0a1) is violated at row 3. Expression: (body != 'poison'). (VIOLATED_CONSTRAINT)",
        ),
        (
            "poison",
            "bad response: Code: 117. DB::Exception: Invalid data in Native format: unexpected number of rows. (INCORRECT_DATA)",
        ),
        (
            "poison",
            "bad response: Code: 33. DB::Exception: Cannot read all data. Bytes read: 2538. Bytes expected: 3000. (CANNOT_READ_ALL_DATA)",
        ),
        (
            "poison",
            "bad response: Code: 131. DB::Exception: Too large string size. (TOO_LARGE_STRING_SIZE)",
        ),
        (
            "passing",
            "bad response: Code: 159. DB::Exception: Timeout exceeded: elapsed 5.1 seconds, maximum: 5. (TIMEOUT_EXCEEDED)",
        ),
        (
            "passing",
            "bad response: Code: 209. DB::NetException: Timeout exceeded while reading from socket (peer: 10.0.0.2:1234, 300000 ms). (SOCKET_TIMEOUT)",
        ),
        (
            "passing",
            "bad response: Code: 319. DB::Exception: Unknown status, client must retry. Reason: Code: 999. Coordination::Exception: Connection loss. (UNKNOWN_STATUS_OF_INSERT)",
        ),
        (
            "passing",
            "bad response: Code: 999. Coordination::Exception: Session expired (Session expired). (KEEPER_EXCEPTION)",
        ),
        (
            "passing",
            "bad response: Code: 236. DB::Exception: Server is shutting down. (ABORTED)",
        ),
        (
            "passing",
            "bad response: Code: 4711. DB::Exception: Something that a later version has invented. (NEW)",
        ),
        (
            "passing",
            "network error: client error (Connect): tcp connect error: Connection refused (os error 111)",
        ),
        (
            "passing",
            "network error: client error (Connect): dns error: failed to lookup address information: Name or service not known",
        ),
        (
            "passing",
            "network error: connection closed before message completed",
        ),
        ("passing", "timeout expired"),
        (
            "passing",
            "bad response: <html>\r\n<head><title>502 Bad Gateway</title></head>",
        ),
        ("passing", "bad response: 503 Service Unavailable"),
        (
            "operator",
            "bad response: <html>\r\n<head><title>413 Request Entity Too Large</title></head>",
        ),
        (
            "operator",
            "bad response: <html><head><title>Welcome to the hotel network</title></head>",
        ),
        (
            "operator",
            "network error: client error (Connect): invalid peer certificate: UnknownIssuer",
        ),
    ];

    #[test]
    fn real_answers_mean_what_they_say() {
        for (meaning, answer) in ANSWERS {
            assert_eq!(Trouble::read(answer).name(), *meaning, "{answer}");
        }
    }

    #[test]
    fn an_answer_that_quotes_another_is_read_by_its_own_code() {
        let quoting = "Code: 999. DB::Exception: x. Reason: Code: 117. DB::Exception: y";
        assert_eq!(Trouble::read(quoting), Passing);
        let data = "Code: 469. DB::Exception: Constraint is violated: 'Too many parts. Code: 252.'";
        assert_eq!(Trouble::read(data), Poison);
    }

    #[test]
    fn a_message_without_a_body_still_has_its_code() {
        assert_eq!(Trouble::read("bad response: Code: 241"), Memory);
    }
}
