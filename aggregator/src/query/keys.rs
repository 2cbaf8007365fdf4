//! Which attribute keys there are, and which values: for those who type a filter.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::SEVERITY;
use super::{EVER, Scope, Select, Sql, Table, Window};
use crate::meaning::aliases::spellings;

/// Whose keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Items {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Series.
    Metrics,
}

/// A key or a value, and how many items have it.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Counted {
    /// The key or value.
    pub word: String,
    /// Items.
    pub items: u64,
}

/// Rows that are looked at: suggestions need no more.
pub(super) const LOOKED_AT: usize = 200_000;
/// Suggestions given.
const GIVEN: usize = 100;

pub(super) fn table(of: Items) -> Table {
    match of {
        Items::Traces => Table::Spans,
        Items::Logs => Table::Logs,
        Items::Metrics => Table::Series,
    }
}

fn push_end(sql: &mut Sql, part: Option<&str>) {
    if let Some(part) = part.filter(|part| !part.is_empty()) {
        sql.push(" HAVING positionCaseInsensitiveUTF8(word, ")
            .text(part)
            .push(") > 0");
    }
    sql.push(" ORDER BY items DESC, word").limit(GIVEN);
}

fn signal(of: Items) -> &'static str {
    match of {
        Items::Traces => " AND signal = 'traces'",
        Items::Logs => " AND signal = 'logs'",
        Items::Metrics => " AND signal = 'metrics'",
    }
}

/// Attribute keys of items and of their resources, the most frequent first.
pub fn keys(scope: &Scope, window: Window, of: Items, part: Option<&str>) -> Select<Counted> {
    let mut sql = Sql::new(
        "SELECT word, sum(n) AS items FROM (SELECT toString(key) AS word, attribute_values.items AS n",
    );
    sql.from(Table::Vocabulary, scope, window)
        .push(signal(of))
        .push(") GROUP BY word");
    push_end(&mut sql, part);
    sql.finish()
}

/// The values that are frequent, from what was noted of them. Who types a part of one wants to find
/// rare ones as well, which only rows know.
fn frequent(scope: &Scope, window: Window, of: Items, key: &str) -> Select<Counted> {
    let mut sql = Sql::new(
        "SELECT word, sum(n) AS items FROM (SELECT value AS word, attribute_values.items AS n",
    );
    sql.from(Table::Vocabulary, scope, window).push(signal(of));
    sql.push(" AND value != '' AND key IN (");
    for (number, key) in spellings(key).into_iter().enumerate() {
        if number > 0 {
            sql.push(", ");
        }
        sql.text(key);
    }
    sql.push(")) GROUP BY word");
    push_end(&mut sql, None);
    sql.finish()
}

/// Values of a key, the most frequent first.
pub fn values(
    scope: &Scope,
    window: Window,
    of: Items,
    key: &str,
    part: Option<&str>,
) -> Select<Counted> {
    let built_in = match (of, key) {
        (_, "service.name") => Some("toString(service)"),
        (Items::Traces, "name") => Some("toString(name)"),
        (Items::Traces, "status") => Some("toString(status)"),
        (Items::Traces, "kind") => Some("toString(kind)"),
        (Items::Logs, "severity") => Some(SEVERITY),
        _ => None,
    };
    if let Some(column) = built_in {
        let mut sql = Sql::new("SELECT word, count() AS items FROM (SELECT ");
        sql.push(column).push(" AS word");
        sql.from(table(of), scope, window).limit(LOOKED_AT);
        sql.push(") GROUP BY word");
        push_end(&mut sql, part);
        return sql.finish();
    }
    if part.is_none_or(str::is_empty) {
        return frequent(scope, window, of, key);
    }
    let mut sql = Sql::new(
        "SELECT w AS word, sum(n) AS items FROM \
         (SELECT w, count() AS n FROM (SELECT attributes[",
    );
    sql.text(key).push("] AS w");
    sql.from(table(of), scope, window);
    sql.push(" AND mapContains(attributes, ")
        .text(key)
        .push(")")
        .limit(LOOKED_AT);
    sql.push(
        ") GROUP BY w UNION ALL SELECT r.w AS w, sum(s.n) AS n FROM \
         (SELECT resource_id, count() AS n FROM (SELECT resource_id",
    );
    sql.from(table(of), scope, window).limit(LOOKED_AT);
    sql.push(") GROUP BY resource_id) AS s INNER JOIN (SELECT resource_id, any(attributes[");
    sql.text(key).push("]) AS w");
    sql.from(Table::Resources, scope, EVER);
    sql.push(" AND mapContains(attributes, ")
        .text(key)
        .push(")");
    sql.push(" GROUP BY resource_id) AS r ON r.resource_id = s.resource_id GROUP BY w)");
    sql.push(" GROUP BY word");
    push_end(&mut sql, part);
    sql.finish()
}
