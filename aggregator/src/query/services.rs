//! Questions about services.

use clickhouse::Row;
use serde::Deserialize;

use super::rollups::Level;
use super::{Scope, Select, Sql, Table, Window};

/// A service, by its spans.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Service {
    /// `service.name`.
    pub service_name: String,
    /// Spans.
    pub total: u64,
    /// Spans with an error.
    pub failed: u64,
    /// Median duration, nanoseconds.
    pub p50: f64,
    /// 95th percentile, nanoseconds.
    pub p95: f64,
    /// 99th percentile, nanoseconds.
    pub p99: f64,
}

/// A service, by what was counted of its groups.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Counted {
    /// `service.name`.
    pub service_name: String,
    /// 1: nobody's, because there were more groups than one insert tells apart.
    pub beyond: u8,
    /// Spans.
    pub total: u64,
    /// Spans with an error.
    pub failed: u64,
    /// The longest, nanoseconds.
    pub most: u64,
    /// Buckets of durations,
    pub marks: Vec<i16>,
    /// and what is in them.
    pub counts: Vec<u64>,
}

/// Services with their rate, errors and durations from a rollup, the busiest first.
pub fn counted(scope: &Scope, window: Window, level: Level) -> Select<Counted> {
    let mut sql = Sql::new(
        "SELECT toString(service) AS service_name, CAST(system = 'other', 'UInt8') AS beyond, \
         sum(items) AS total, sum(errors) AS failed, toUInt64(max(longest)) AS most, \
         mapKeys(sumMap(buckets)) AS marks, mapValues(sumMap(buckets)) AS counts",
    );
    sql.from(level.table(), scope, window);
    // Log templates, and exceptions that spans have recorded, are no spans.
    sql.push(
        " AND NOT startsWith(system, 'log:') GROUP BY service, beyond \
         ORDER BY total DESC, service_name",
    )
    .limit(1000);
    sql.finish()
}

/// Services with their rate, errors and durations from their spans, the busiest first.
pub fn list(scope: &Scope, window: Window) -> Select<Service> {
    let mut sql = Sql::new(
        "SELECT toString(service) AS service_name, count() AS total, \
         countIf(status = 'error') AS failed, toFloat64(quantile(0.5)(duration)) AS p50, \
         toFloat64(quantile(0.95)(duration)) AS p95, toFloat64(quantile(0.99)(duration)) AS p99",
    );
    sql.from(Table::Spans, scope, window);
    sql.push(" GROUP BY service ORDER BY total DESC, service_name")
        .limit(1000);
    sql.finish()
}
