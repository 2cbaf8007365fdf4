//! Questions about services.

use clickhouse::Row;
use serde::Deserialize;

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

/// Services with their rate, errors and durations, the busiest first.
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
