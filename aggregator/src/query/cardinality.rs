//! Where series come from: metrics with the most of them, labels with the most values; and which
//! attributes of spans and log records have the most.

use clickhouse::Row;
use serde::Deserialize;

use super::keys::{Items, LOOKED_AT, table};
use super::{Scope, Select, Sql, Table, Window};

/// Rows given.
const GIVEN: usize = 100;

/// A metric and how many series it has.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct OfMetric {
    /// Its name.
    pub name: String,
    /// Series.
    pub total: u64,
}

/// A label of a metric and how many values it has.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct OfLabel {
    /// The metric's name.
    pub name: String,
    /// The label's key.
    pub word: String,
    /// Values.
    pub different: u64,
}

/// An attribute of spans or log records, of those that were looked at.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct OfAttribute {
    /// Its key.
    pub word: String,
    /// Items that have it.
    pub total: u64,
    /// Values, about.
    pub different: u64,
}

/// Attributes of some items of the window, those with the most values first.
pub fn attributes(scope: &Scope, window: Window, of: Items) -> Select<OfAttribute> {
    let mut sql = Sql::new(
        "SELECT toString(pair.1) AS word, count() AS total, uniq(pair.2) AS different FROM \
         (SELECT arrayJoin(CAST(attributes, 'Array(Tuple(String, String))')) AS pair FROM \
         (SELECT attributes",
    );
    sql.from(table(of), scope, window).limit(LOOKED_AT);
    sql.push(")) GROUP BY word ORDER BY different DESC, total DESC, word")
        .limit(GIVEN);
    sql.finish()
}

/// Metrics with the most series first.
pub fn metrics(scope: &Scope, window: Window) -> Select<OfMetric> {
    let mut sql = Sql::new("SELECT toString(metric) AS name, uniqExact(fingerprint) AS total");
    sql.from(Table::Series, scope, window);
    sql.push(" GROUP BY metric ORDER BY total DESC, name")
        .limit(GIVEN);
    sql.finish()
}

/// Labels with the most values first.
pub fn labels(scope: &Scope, window: Window) -> Select<OfLabel> {
    let mut sql = Sql::new(
        "SELECT toString(metric) AS name, toString(label.1) AS word, uniq(label.2) AS different \
         FROM (SELECT metric, arrayJoin(CAST(attributes, 'Array(Tuple(String, String))')) AS label",
    );
    sql.from(Table::Series, scope, window);
    sql.push(") GROUP BY metric, label.1 ORDER BY different DESC, name, word")
        .limit(GIVEN);
    sql.finish()
}
