//! The same schema on many servers: what migrations say for one, said to a cluster.
//!
//! Every statement runs `ON CLUSTER`; engines are replicated; with several shards a table `t` is
//! `t_local` on every server and a `Distributed` one over them. We write through that one, in the
//! foreground, and rows find their shard by a hash of what they hold: the same block is cut the same
//! way whichever server takes it, so that its token is known there, and an insert stays exactly once.

use crate::config::Cluster;

/// What finds the shard of a row: whatever is read together lies together.
const SHARDED_BY: [(&str, &str); 13] = [
    ("span_rows", "cityHash64(trace_id)"),
    ("trace_index", "cityHash64(trace_id)"),
    ("log_rows", "cityHash64(resource_id, time)"),
    ("resources", "resource_id"),
    ("series", "fingerprint"),
    ("samples", "fingerprint"),
    ("histogram_samples", "fingerprint"),
    ("exemplars", "fingerprint"),
    ("group_minutes", "group_id"),
    ("group_five_minutes", "group_id"),
    ("group_hours", "group_id"),
    ("service_edges", "cityHash64(caller, callee)"),
    ("attribute_values", "cityHash64(key)"),
];

const WINDOW: &str = "non_replicated_deduplication_window = 10000";
/// As many tokens as on one server, for as long as a store may be away.
const REPLICATED_WINDOW: &str = "replicated_deduplication_window = 10000, \
    replicated_deduplication_window_seconds = 604800";

impl Cluster {
    /// ` ON CLUSTER 'name'`.
    pub(super) fn on(&self) -> String {
        let name = self.name.replace('\\', "\\\\").replace('\'', "\\'");
        format!(" ON CLUSTER '{name}'")
    }

    /// The table that holds the rows of `table`.
    pub(super) fn local(&self, table: &str) -> String {
        if self.distributed && is_table(table) {
            format!("{table}_local")
        } else {
            table.to_owned()
        }
    }

    /// The table that a local one belongs to.
    pub(super) fn logical<'t>(&self, local: &'t str) -> &'t str {
        match local.strip_suffix("_local") {
            Some(table) if self.distributed => table,
            _ => local,
        }
    }

    /// What a statement of a migration becomes.
    pub(super) fn statements(&self, database: &str, statement: &str) -> Vec<String> {
        for head in ["CREATE TABLE IF NOT EXISTS ", "ALTER TABLE "] {
            let Some(rest) = statement.strip_prefix(head) else {
                continue;
            };
            let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
            let (table, rest) = rest.split_at(end);
            let local = self.local(table);
            let mut statements = vec![format!(
                "{head}{local}{}{}",
                self.on(),
                self.replicate(rest)
            )];
            if local != table {
                statements.push(self.over(database, table));
            }
            return statements;
        }
        let head = "CREATE OR REPLACE VIEW ";
        match statement
            .strip_prefix(head)
            .and_then(|rest| rest.split_once(" AS"))
        {
            Some((view, body)) => vec![format!("{head}{view}{} AS{body}", self.on())],
            None => vec![statement.to_owned()],
        }
    }

    /// The `Distributed` table over all `table_local`, with their columns of now.
    fn over(&self, database: &str, table: &str) -> String {
        let key = SHARDED_BY.iter().find(|(name, _)| *name == table);
        let key = key.map_or("rand()", |(_, key)| *key);
        let local = self.local(table);
        let name = self.name.replace('\\', "\\\\").replace('\'', "\\'");
        format!(
            "CREATE OR REPLACE TABLE {table}{} AS {local} \
             ENGINE = Distributed('{name}', {database}, {local}, {key})",
            self.on()
        )
    }

    fn replicate(&self, definition: &str) -> String {
        let Some((columns, engine)) = definition.split_once("\nENGINE = ") else {
            return definition.to_owned();
        };
        if !self.replicated {
            return definition.to_owned();
        }
        let end = engine.find(['\n', '(']).unwrap_or(engine.len());
        let (family, rest) = engine.split_at(end);
        // By the table's UUID, so that one that is dropped and made again finds nothing old.
        let place = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'";
        let rest = match rest.strip_prefix('(') {
            Some(arguments) => format!("({place}, {arguments}"),
            None => format!("({place}){rest}"),
        };
        format!("{columns}\nENGINE = Replicated{family}{rest}").replace(WINDOW, REPLICATED_WINDOW)
    }
}

fn is_table(name: &str) -> bool {
    SHARDED_BY.iter().any(|(table, _)| *table == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(replicated: bool, distributed: bool) -> Cluster {
        Cluster {
            name: "prod".to_owned(),
            replicated,
            distributed,
        }
    }

    const TABLE: &str = "CREATE TABLE IF NOT EXISTS span_rows\n(\n    x UInt8\n)\nENGINE = MergeTree\nORDER BY x\n\
        SETTINGS non_replicated_deduplication_window = 10000, a = 1";

    #[test]
    fn replicas_share_a_table_under_the_same_window() {
        assert_eq!(
            cluster(true, false).statements("`petrel`", TABLE),
            [
                "CREATE TABLE IF NOT EXISTS span_rows ON CLUSTER 'prod'\n(\n    x UInt8\n)\n\
                 ENGINE = ReplicatedMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}')\nORDER BY x\n\
                 SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, a = 1"
            ]
        );
        let replacing =
            "CREATE TABLE IF NOT EXISTS t\n(x UInt8)\nENGINE = ReplacingMergeTree(x)\nORDER BY x";
        assert!(cluster(true, false).statements("d", replacing)[0].contains(
            "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', x)\n"
        ));
    }

    #[test]
    fn shards_hold_local_tables_under_one_that_knows_where_rows_belong() {
        let over = "CREATE OR REPLACE TABLE span_rows ON CLUSTER 'prod' AS span_rows_local \
            ENGINE = Distributed('prod', `petrel`, span_rows_local, cityHash64(trace_id))";
        let statements = cluster(false, true).statements("`petrel`", TABLE);
        assert!(
            statements[0]
                .starts_with("CREATE TABLE IF NOT EXISTS span_rows_local ON CLUSTER 'prod'\n")
        );
        assert!(statements[0].contains("ENGINE = MergeTree\n"));
        assert_eq!(statements[1], over);
        // A new column is one of both.
        assert_eq!(
            cluster(false, true)
                .statements("`petrel`", "ALTER TABLE span_rows\n    ADD COLUMN y UInt8"),
            [
                "ALTER TABLE span_rows_local ON CLUSTER 'prod'\n    ADD COLUMN y UInt8",
                over
            ]
        );
    }

    #[test]
    fn views_are_everywhere() {
        assert_eq!(
            cluster(true, true).statements("d", "CREATE OR REPLACE VIEW spans AS\nSELECT 1 AS x"),
            ["CREATE OR REPLACE VIEW spans ON CLUSTER 'prod' AS\nSELECT 1 AS x"]
        );
    }
}
