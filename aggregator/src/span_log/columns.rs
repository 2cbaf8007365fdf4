//! The log's columns, as this server calls them, and the two questions about it.

use serde_json::Value;

use super::SpanLogError;
use super::rows::Row;
use crate::clickhouse::{MACHINE, Reader};

/// Expressions over the table, one for each thing that is wanted.
#[derive(Debug, PartialEq)]
pub(super) struct Columns {
    start_us: String,
    finish_us: String,
    names: String,
    values: String,
    kind: String,
}

const TABLE: &str = "system.opentelemetry_span_log";

impl Columns {
    /// Looks at the table. ClickHouse's documentation and its servers of several years do not
    /// agree about the names of these columns.
    pub(super) async fn read(reader: &Reader) -> Result<Self, SpanLogError> {
        let sql = format!(
            "SELECT name, type FROM system.columns WHERE database || '.' || table = '{TABLE}'"
        );
        let columns: Vec<(String, String)> = ask(reader, &sql)
            .await?
            .iter()
            .filter_map(|row| {
                Some((
                    row.first()?.as_str()?.to_owned(),
                    row.get(1)?.as_str()?.to_owned(),
                ))
            })
            .collect();
        if columns.is_empty() {
            return Err(SpanLogError::Odd(
                "there is none; see opentelemetry_span_log in the server's config.xml".to_owned(),
            ));
        }
        Self::of(&columns).ok_or_else(|| {
            let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
            SpanLogError::Odd(format!("its columns are {}", names.join(", ")))
        })
    }

    /// From names and types.
    fn of(columns: &[(String, String)]) -> Option<Self> {
        let first = |names: &[&str]| {
            let mut names = names.iter();
            names.find_map(|name| columns.iter().find(|(column, _)| column == name))
        };
        let micros = |names: &[&str]| {
            let (name, kind) = first(names)?;
            Some(if kind.starts_with("DateTime") {
                format!("toUInt64(toUnixTimestamp64Micro(toDateTime64(`{name}`, 6)))")
            } else {
                format!("toUInt64(`{name}`)")
            })
        };
        let attributes = first(&["attribute"]).filter(|(_, kind)| kind.starts_with("Map"));
        let part = |names: &[&str], of_map: &str| match (first(names), attributes) {
            (Some((name, _)), _) => Some(format!("`{name}`")),
            (None, Some(_)) => Some(format!("{of_map}(attribute)")),
            (None, None) => None,
        };
        Some(Self {
            start_us: micros(&["start_time_us", "start_time"])?,
            finish_us: micros(&["finish_time_us", "finish_time"])?,
            names: part(&["attribute.names", "attribute.name"], "mapKeys")?,
            values: part(&["attribute.values"], "mapValues")?,
            // INTERNAL to CONSUMER from 0; servers before 22.9 have none.
            kind: match first(&["kind"]) {
                Some(_) => "toInt8(kind)".to_owned(),
                None => "0".to_owned(),
            },
        })
    }

    /// Where the window that begins behind `position` ends; nothing if nothing is behind it.
    pub(super) async fn window(
        &self,
        reader: &Reader,
        position: u64,
        behind_seconds: u32,
        most: usize,
    ) -> Result<Option<u64>, SpanLogError> {
        let finish = &self.finish_us;
        let sql = format!(
            "SELECT toString(max(finish)) AS end, count() AS spans FROM (\
               SELECT {finish} AS finish FROM {TABLE} \
               WHERE finish_date >= {from} AND finish > {position} \
               AND finish <= toUInt64(toUnixTimestamp64Micro(now64(6))) - {behind_seconds} * 1000000 \
               ORDER BY finish LIMIT {most})",
            from = day_of(position),
        );
        let rows = ask(reader, &sql).await?;
        let end = rows
            .first()
            .and_then(|row| row.first())
            .and_then(Value::as_str);
        let end = end.and_then(|end| end.parse().ok()).unwrap_or(0);
        Ok(Some(end).filter(|end| *end > position))
    }

    /// The spans behind `position` up to `end`, in an order that is always the same.
    pub(super) async fn rows(
        &self,
        reader: &Reader,
        position: u64,
        end: u64,
    ) -> Result<Vec<Row>, SpanLogError> {
        let Self {
            start_us,
            finish_us,
            names,
            values,
            kind,
        } = self;
        let sql = format!(
            "SELECT replaceAll(toString(trace_id), '-', '') AS trace, toString(span_id) AS span, \
             toString(parent_span_id) AS parent, toString(operation_name) AS name, \
             toString({start_us}) AS start, toString({finish_us}) AS finish, toString({kind}) AS kind, \
             {names} AS names, {values} AS attribute_values FROM {TABLE} \
             WHERE finish_date >= {from} AND {finish_us} > {position} AND {finish_us} <= {end} \
             AND NOT startsWith(replaceAll(toString(trace_id), '-', ''), '{MACHINE}') \
             ORDER BY {finish_us}, trace_id, span_id, operation_name",
            from = day_of(position),
        );
        let rows = ask(reader, &sql).await?;
        let rows = rows.iter().map(|row| Row::read(row));
        rows.collect::<Option<_>>()
            .ok_or_else(|| SpanLogError::Odd("a row cannot be read".to_owned()))
    }
}

/// The first partition that can hold anything: the log is sorted by day, in the server's time zone.
fn day_of(position: u64) -> String {
    let seconds = (position / 1_000_000).saturating_sub(86_400);
    format!("toDate(toDateTime({seconds}, 'UTC'))")
}

async fn ask(reader: &Reader, sql: &str) -> Result<Vec<Vec<Value>>, SpanLogError> {
    let mut cursor = reader.machine(sql).fetch_bytes("JSONCompactEachRow")?;
    let bytes = cursor.collect().await?;
    // Attributes are what statements were: not always text.
    let text = String::from_utf8_lossy(&bytes);
    let rows = serde_json::Deserializer::from_str(&text).into_iter();
    rows.collect::<Result<_, _>>()
        .map_err(|why| SpanLogError::Odd(format!("the answer is no JSON: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(columns: &[(&str, &str)]) -> Option<Columns> {
        let owned = |(name, kind): &(&str, &str)| ((*name).to_owned(), (*kind).to_owned());
        Columns::of(&columns.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_columns_of_the_documentation_and_those_of_servers_are_known() {
        let documented = of(&[
            ("start_time", "DateTime64(6)"),
            ("finish_time", "UInt64"),
            ("attribute.name", "Array(String)"),
            ("attribute.values", "Array(String)"),
        ])
        .unwrap();
        assert!(
            documented
                .start_us
                .contains("toDateTime64(`start_time`, 6)")
        );
        assert_eq!(documented.finish_us, "toUInt64(`finish_time`)");
        assert_eq!(documented.names, "`attribute.name`");
        let today = of(&[
            ("start_time_us", "UInt64"),
            ("finish_time_us", "UInt64"),
            ("attribute", "Map(LowCardinality(String), String)"),
            ("kind", "Enum8('INTERNAL' = 0)"),
        ])
        .unwrap();
        assert_eq!(
            (today.names.as_str(), today.values.as_str()),
            ("mapKeys(attribute)", "mapValues(attribute)")
        );
        assert_eq!(today.kind, "toInt8(kind)");
        assert_eq!(of(&[("finish_time_us", "UInt64")]), None);
    }
}
