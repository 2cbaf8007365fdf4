//! Groups: what is alike, counted together; spans, log templates and exceptions.

use clickhouse::Row;
use serde::Deserialize;

use super::rollups::Level;
use super::{Scope, Select, Sql, Window};

/// Groups given.
const GIVEN: usize = 500;

/// Which groups, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Which<'a> {
    /// `db:postgresql`, or the part before the colon and the colon.
    pub system: Option<&'a str>,
    /// `service.name`.
    pub service: Option<&'a str>,
    /// `deployment.environment.name`.
    pub environment: Option<&'a str>,
    /// A part of the name.
    pub part: Option<&'a str>,
    /// What comes first.
    pub order: Order,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The most items.
    #[default]
    Items,
    /// The most errors.
    Errors,
    /// The longest duration of all items together.
    Duration,
    /// Seen last.
    LastSeen,
}

/// A group.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Group {
    /// `db:postgresql`, `http:till`, `log:error`.
    pub kind: String,
    /// The same wherever it is counted.
    pub id: u64,
    /// For people.
    pub title: String,
    /// Of which services, at most ten.
    pub services: Vec<String>,
    /// Items.
    pub total: u64,
    /// Items with an error.
    pub failed: u64,
    /// Nanoseconds, of all items.
    pub nanos: u64,
    /// Nanoseconds, of the longest item.
    pub most: u64,
    /// The first step of the window in which it was seen, Unix seconds.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// Buckets of durations,
    pub marks: Vec<i16>,
    /// and what is in them.
    pub counts: Vec<u64>,
    /// The trace of an example, 32 hexadecimal digits; all zero if it has none.
    pub example_trace: String,
    /// The span of the example; zero if it has none.
    pub example_span: u64,
}

/// Groups of a window.
pub fn list(scope: &Scope, window: Window, level: Level, which: &Which<'_>) -> Select<Group> {
    let mut sql = Sql::new(
        "SELECT toString(system) AS kind, group_id AS id, any(toString(name)) AS title, \
         arraySort(groupUniqArray(10)(toString(service))) AS services, sum(items) AS total, \
         sum(errors) AS failed, sum(duration) AS nanos, toUInt64(max(longest)) AS most, \
         toInt64(toUnixTimestamp(min(time))) AS first, toInt64(toUnixTimestamp(max(time))) AS last, \
         mapKeys(sumMap(buckets)) AS marks, mapValues(sumMap(buckets)) AS counts, \
         lower(hex(argMax(trace_id, (longest, time)))) AS example_trace, \
         toUInt64(argMax(span_id, (longest, time))) AS example_span",
    );
    sql.from(level.table(), scope, window);
    match which.system {
        Some(system) if system.ends_with(':') => {
            sql.push(" AND startsWith(system, ").text(system).push(")");
        }
        Some(system) => {
            sql.push(" AND system = ").text(system);
        }
        None => {}
    }
    if let Some(service) = which.service {
        sql.push(" AND service = ").text(service);
    }
    if let Some(environment) = which.environment {
        sql.push(" AND environment = ").text(environment);
    }
    if let Some(part) = which.part.filter(|part| !part.is_empty()) {
        sql.push(" AND positionCaseInsensitiveUTF8(toString(name), ")
            .text(part)
            .push(") > 0");
    }
    sql.push(" GROUP BY system, group_id ORDER BY ");
    sql.push(match which.order {
        Order::Items => "total",
        Order::Errors => "failed",
        Order::Duration => "nanos",
        Order::LastSeen => "last",
    });
    sql.push(" DESC, total DESC, kind, id").limit(GIVEN);
    sql.finish()
}
