//! Takes literals out of SQL and parameters out of URLs.
//!
//! Each distinct text is looked at once a batch, however many spans have it. It fails closed.

mod sql;
mod url;

use petrel_plugin::prelude::*;

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Attribute keys with SQL.
    sql: Vec<String>,
    /// Attribute keys with URLs, or with a path and a query.
    urls: Vec<String>,
    /// Attribute keys with nothing but a query string.
    queries: Vec<String>,
    /// Query parameters whose values stay.
    keep_params: Vec<String>,
    double_quotes: DoubleQuotes,
}

/// What `"..."` is in SQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DoubleQuotes {
    /// A value, as in MySQL: replaced.
    #[default]
    Value,
    /// A name, as in PostgreSQL and the standard: left alone.
    Name,
}

impl Default for Config {
    fn default() -> Self {
        let keys = |keys: &[&str]| keys.iter().map(|key| String::from(*key)).collect();
        Self {
            sql: keys(&["db.query.text", "db.statement"]),
            urls: keys(&[
                "url.full",
                "http.url",
                "http.target",
                "http.request.header.referer",
            ]),
            queries: keys(&["url.query"]),
            keep_params: Vec::new(),
            double_quotes: DoubleQuotes::Value,
        }
    }
}

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "sql": { "type": "array", "items": { "type": "string" }, "description": "Attribute keys with SQL." },
    "urls": { "type": "array", "items": { "type": "string" }, "description": "Attribute keys with URLs, or with a path and a query." },
    "queries": { "type": "array", "items": { "type": "string" }, "description": "Attribute keys with nothing but a query string." },
    "keep_params": { "type": "array", "items": { "type": "string" }, "description": "Query parameters whose values stay." },
    "double_quotes": { "enum": ["value", "name"], "default": "value", "description": "What \"...\" is in SQL." }
  }
}"#;

/// What `configure` prepared for `process`.
#[derive(Debug)]
pub struct ScrubSqlUrl {
    sql: Vec<Slot>,
    urls: Vec<Slot>,
    queries: Vec<Slot>,
    keep_params: Vec<String>,
    double_quotes: DoubleQuotes,
}

/// Spans and log records have them, and links and events of spans.
const TABLES: [Table; 2] = [Table::RECORD, Table::EVENT];

impl Processor for ScrubSqlUrl {
    type Config = Config;

    fn about() -> About {
        about!().schema(SCHEMA).fails_closed()
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        let mut select = |keys: &[String]| {
            let rule = keys.join("|");
            let tables = TABLES.iter().filter(|_| !keys.is_empty());
            tables
                .map(|table| plan.select(Selector::attributes(*table, &rule).write()))
                .collect::<Vec<_>>()
        };
        let (sql, urls, queries) = (
            select(&config.sql),
            select(&config.urls),
            select(&config.queries),
        );
        if sql.is_empty() && urls.is_empty() && queries.is_empty() {
            return Err(Error::config(
                "config leaves nothing to scrub: name keys under sql, urls or queries",
            ));
        }
        Ok(Self {
            sql,
            urls,
            queries,
            keep_params: config.keep_params,
            double_quotes: config.double_quotes,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        let quoted_is_name = self.double_quotes == DoubleQuotes::Name;
        for slot in &self.sql {
            edits.map_text(batch, *slot, |text| Some(sql::scrub(text, quoted_is_name)));
        }
        for slot in &self.urls {
            edits.map_text(batch, *slot, |text| {
                Some(url::scrub(text, &self.keep_params))
            });
        }
        for slot in &self.queries {
            edits.map_text(batch, *slot, |text| {
                let mut out = String::with_capacity(text.len());
                url::query(text, &self.keep_params, &mut out);
                Some(out)
            });
        }
        Ok(())
    }
}

petrel_plugin::export!(ScrubSqlUrl);
