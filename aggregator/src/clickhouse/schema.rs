//! The schema as files with blanks, and what the configuration fills in.

use crate::config::{ChSchema, Cluster, Config, ProjectTtl, Ttl, TtlUnit};
use crate::engine::MERGED_CODEC;

/// A numbered step from the empty database to what this program expects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) name: &'static str,
    text: &'static str,
}

/// All of them, in order. A released one is never changed.
pub(super) const MIGRATIONS: [Migration; 7] = [
    Migration {
        version: 1,
        name: "tables",
        text: include_str!("../../migrations/clickhouse/0001_tables.sql"),
    },
    Migration {
        version: 2,
        name: "views",
        text: include_str!("../../migrations/clickhouse/0002_views.sql"),
    },
    Migration {
        version: 3,
        name: "meaning",
        text: include_str!("../../migrations/clickhouse/0003_meaning.sql"),
    },
    Migration {
        version: 4,
        name: "calls",
        text: include_str!("../../migrations/clickhouse/0004_calls.sql"),
    },
    Migration {
        version: 5,
        name: "parts",
        text: include_str!("../../migrations/clickhouse/0005_parts.sql"),
    },
    Migration {
        version: 6,
        name: "rollups",
        text: include_str!("../../migrations/clickhouse/0006_rollups.sql"),
    },
    Migration {
        version: 7,
        name: "codecs",
        text: include_str!("../../migrations/clickhouse/0007_codecs.sql"),
    },
];

/// Whose retention a table follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Spans,
    Logs,
    Metrics,
    /// What rows of every signal refer to lives as long as the longest of them.
    All,
}

const TABLES: [(&str, Follows); 13] = [
    ("span_rows", Follows::Spans),
    ("trace_index", Follows::Spans),
    ("log_rows", Follows::Logs),
    ("resources", Follows::All),
    ("series", Follows::Metrics),
    ("samples", Follows::Metrics),
    ("histogram_samples", Follows::Metrics),
    ("exemplars", Follows::Metrics),
    // Counts are small, and asked for over longer times than what they count.
    ("group_minutes", Follows::Metrics),
    ("group_five_minutes", Follows::Metrics),
    ("group_hours", Follows::Metrics),
    ("service_edges", Follows::Metrics),
    ("attribute_values", Follows::All),
];

/// What the configuration says about tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    database: String,
    tables: ChSchema,
    durable: bool,
    owner: String,
}

/// The machine, and where on it.
fn owner(config: &Config) -> String {
    let dir = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let machine = rustix::system::uname();
    format!("{}:{}", machine.nodename().to_string_lossy(), dir.display())
}

impl Schema {
    /// The part of the configuration that is about tables.
    pub fn of(config: &Config) -> Self {
        Self {
            database: config.ch.database.clone(),
            tables: ChSchema {
                compression: codec(config),
                ..config.ch_schema.clone()
            },
            durable: config.ch.durable,
            owner: owner(config),
        }
    }

    /// Who changes it: the same in every life of an aggregator, and another for each of several.
    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    /// The database, quoted.
    pub(super) fn database(&self) -> String {
        format!(
            "`{}`",
            self.database.replace('\\', "\\\\").replace('`', "\\`")
        )
    }

    pub(super) fn database_name(&self) -> &str {
        &self.database
    }

    /// Several servers, if there are.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.tables.cluster.as_ref()
    }

    /// ` ON CLUSTER 'name'`, or nothing.
    pub(super) fn everywhere(&self) -> String {
        self.cluster().map(Cluster::on).unwrap_or_default()
    }

    /// Everything that migrations tell an empty database, in order.
    pub fn ddl(&self) -> Vec<String> {
        let migrations = MIGRATIONS.iter();
        migrations.flat_map(|one| self.statements(one)).collect()
    }

    /// The statements of a migration, ready to be run.
    pub(super) fn statements(&self, migration: &Migration) -> Vec<String> {
        let text: Vec<&str> = migration
            .text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .collect();
        let text = self.fill(&text.join("\n"));
        text.split(";\n")
            .map(|statement| statement.trim().trim_end_matches(';').to_owned())
            .filter(|statement| !statement.is_empty())
            .flat_map(|statement| match self.cluster() {
                Some(cluster) => cluster.statements(&self.database(), &statement),
                None => vec![statement],
            })
            .collect()
    }

    fn fill(&self, text: &str) -> String {
        let fsync = if self.durable { "1" } else { "0" };
        let of = |follows| self.retention(follows).to_string();
        [
            ("${codec}", self.tables.compression.clone()),
            ("${spans_ttl}", of(Follows::Spans)),
            ("${logs_ttl}", of(Follows::Logs)),
            ("${metrics_ttl}", of(Follows::Metrics)),
            ("${shared_ttl}", of(Follows::All)),
            ("${spans_policy}", quoted(&self.tables.spans.storage_policy)),
            ("${logs_policy}", quoted(&self.tables.logs.storage_policy)),
            (
                "${metrics_policy}",
                quoted(&self.tables.metrics.storage_policy),
            ),
            ("${fsync}", fsync.to_owned()),
        ]
        .into_iter()
        .fold(text.to_owned(), |text, (blank, value)| {
            text.replace(blank, &value)
        })
    }

    fn retention(&self, follows: Follows) -> Ttl {
        let tables = &self.tables;
        match follows {
            Follows::Spans => tables.spans.ttl_delete,
            Follows::Logs => tables.logs.ttl_delete,
            Follows::Metrics => tables.metrics.ttl_delete,
            Follows::All => [
                tables.spans.ttl_delete,
                tables.logs.ttl_delete,
                tables.metrics.ttl_delete,
            ]
            .into_iter()
            .max_by_key(|ttl| seconds(*ttl))
            .unwrap_or(tables.spans.ttl_delete),
        }
    }

    /// Retention as the server prints it: `accepted + toIntervalDay(30)`.
    fn ttl(&self, follows: Follows) -> String {
        let ttl = self.retention(follows);
        let projects = self.projects(follows);
        if projects.is_empty() {
            let unit = UNITS[ttl.unit() as usize];
            return format!("accepted + toInterval{unit}({})", ttl.count());
        }
        let join = |numbers: Vec<String>| numbers.join(", ");
        let ids = projects.iter().map(|(id, _)| id.to_string()).collect();
        let times = projects.iter().map(|(_, own)| own.to_string()).collect();
        format!(
            "accepted + toIntervalSecond(transform(project_id, [{}], [{}], {}))",
            join(ids),
            join(times),
            seconds(ttl)
        )
    }

    /// Projects whose rows are kept for another time, and for how many seconds.
    fn projects(&self, follows: Follows) -> Vec<(u32, u64)> {
        let tables = &self.tables;
        let own = |own: &ProjectTtl| {
            let of = |ttl: Option<Ttl>, all: Ttl| seconds(ttl.unwrap_or(all));
            let spans = of(own.spans, tables.spans.ttl_delete);
            let logs = of(own.logs, tables.logs.ttl_delete);
            let metrics = of(own.metrics, tables.metrics.ttl_delete);
            match follows {
                Follows::Spans => spans,
                Follows::Logs => logs,
                Follows::Metrics => metrics,
                Follows::All => spans.max(logs).max(metrics),
            }
        };
        let all = seconds(self.retention(follows));
        let projects = tables.projects.iter();
        projects
            .map(|(project, ttl)| (project.0, own(ttl)))
            .filter(|(_, own)| *own != all)
            .collect()
    }

    fn policy(&self, follows: Follows) -> Option<&str> {
        match follows {
            Follows::Spans => Some(&self.tables.spans.storage_policy),
            Follows::Logs => Some(&self.tables.logs.storage_policy),
            Follows::Metrics => Some(&self.tables.metrics.storage_policy),
            Follows::All => None,
        }
    }

    /// What has to be said so that a table that exists keeps rows as configured now. `engine_full`
    /// is the server's description of it.
    pub(super) fn alterations(&self, table: &str, engine_full: &str) -> Vec<String> {
        let logical = self
            .cluster()
            .map_or(table, |cluster| cluster.logical(table));
        let Some((_, follows)) = TABLES.iter().find(|(name, _)| *name == logical) else {
            return Vec::new();
        };
        // What lies over the tables of a cluster keeps nothing itself.
        if engine_full.starts_with("Distributed") {
            return Vec::new();
        }
        let mut alterations = Vec::new();
        let ttl = self.ttl(*follows);
        if !engine_full.contains(&format!("{ttl} SETTINGS")) {
            alterations.push(format!("MODIFY TTL {ttl}"));
        }
        // A part is dropped whole when its last row has expired. Where projects keep rows for
        // different times, parts have to be rewritten without those of some.
        let whole = u8::from(self.projects(*follows).is_empty());
        if !engine_full.contains(&format!("ttl_only_drop_parts = {whole}")) {
            alterations.push(format!("MODIFY SETTING ttl_only_drop_parts = {whole}"));
        }
        if let Some(policy) = self.policy(*follows)
            && !engine_full.contains(&format!("storage_policy = '{policy}'"))
        {
            alterations.push(format!(
                "MODIFY SETTING storage_policy = '{}'",
                quoted(policy)
            ));
        }
        let fsync = u8::from(self.durable);
        if !engine_full.contains(&format!("fsync_after_insert = {fsync}")) {
            alterations.push(format!(
                "MODIFY SETTING fsync_after_insert = {fsync}, fsync_part_directory = {fsync}"
            ));
        }
        let head = format!(
            "ALTER TABLE {}.{table}{} ",
            self.database(),
            self.everywhere()
        );
        alterations
            .iter()
            .map(|alteration| format!("{head}{alteration}"))
            .collect()
    }
}

/// The codec of columns. Our own engine chooses it by what writes them, as long as nobody wants
/// another one.
fn codec(config: &Config) -> String {
    let wanted = &config.ch_schema.compression;
    if config.ch.url.is_none() && wanted == MERGED_CODEC {
        return "Default".to_owned();
    }
    wanted.clone()
}

const UNITS: [&str; 8] = [
    "Second", "Minute", "Hour", "Day", "Week", "Month", "Quarter", "Year",
];

/// About how long; months are 30 days here.
fn seconds(ttl: Ttl) -> u64 {
    let unit = match ttl.unit() {
        TtlUnit::Second => 1,
        TtlUnit::Minute => 60,
        TtlUnit::Hour => 3600,
        TtlUnit::Day => 86_400,
        TtlUnit::Week => 7 * 86_400,
        TtlUnit::Month => 30 * 86_400,
        TtlUnit::Quarter => 91 * 86_400,
        TtlUnit::Year => 365 * 86_400,
    };
    u64::from(ttl.count()) * unit
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use petrel_spool::ProjectId;

    use super::*;

    fn schema() -> Schema {
        Schema::of(&Config::default())
    }

    #[test]
    fn every_blank_is_filled_and_every_table_has_a_rule_for_its_retention() {
        let mut created = Vec::new();
        for migration in &MIGRATIONS {
            for statement in schema().statements(migration) {
                assert!(!statement.contains("${"), "{statement}");
                let name = statement.strip_prefix("CREATE TABLE IF NOT EXISTS ");
                created.extend(name.and_then(|rest| rest.lines().next().map(str::to_owned)));
            }
        }
        assert_eq!(created.len(), TABLES.len());
        for (table, _) in TABLES {
            assert!(created.contains(&table.to_owned()), "{table}");
        }
    }

    #[test]
    fn only_what_changed_is_altered() {
        let current = "MergeTree PARTITION BY toDate(bucket) ORDER BY x TTL accepted + toIntervalDay(30) \
                       SETTINGS ttl_only_drop_parts = 1, storage_policy = 'default', fsync_after_insert = 1";
        assert_eq!(
            schema().alterations("span_rows", current),
            Vec::<String>::new()
        );
        let mut shorter = Config::default();
        shorter.ch_schema.spans.ttl_delete = Ttl::days(7);
        shorter.ch.durable = false;
        assert_eq!(
            Schema::of(&shorter).alterations("span_rows", current),
            [
                "ALTER TABLE `petrel`.span_rows MODIFY TTL accepted + toIntervalDay(7)",
                "ALTER TABLE `petrel`.span_rows MODIFY SETTING fsync_after_insert = 0, fsync_part_directory = 0",
            ]
        );
    }

    #[test]
    fn a_project_with_another_retention_is_told_apart_where_it_differs() {
        let mut config = Config::default();
        let own = ProjectTtl {
            spans: Some(Ttl::days(7)),
            ..ProjectTtl::default()
        };
        config.ch_schema.projects.insert(ProjectId(3), own);
        let schema = Schema::of(&config);
        let alterations = schema.alterations("span_rows", "").join("; ");
        assert!(alterations.contains(
            "MODIFY TTL accepted + toIntervalSecond(transform(project_id, [3], [604800], 2592000))"
        ));
        assert!(alterations.contains("ttl_only_drop_parts = 0"));
        let alterations = schema.alterations("log_rows", "").join("; ");
        assert!(alterations.contains("MODIFY TTL accepted + toIntervalDay(30)"));
        assert!(alterations.contains("ttl_only_drop_parts = 1"));
    }

    #[test]
    fn a_cluster_gets_every_statement_of_every_migration() {
        let mut config = Config::default();
        config.ch_schema.cluster = Some(Cluster {
            name: "prod".to_owned(),
            replicated: true,
            distributed: true,
        });
        let schema = Schema::of(&config);
        let statements: Vec<_> = MIGRATIONS
            .iter()
            .flat_map(|m| schema.statements(m))
            .collect();
        for statement in &statements {
            // Rows are not copied by every server, but once.
            let rows = statement.starts_with("INSERT INTO ");
            assert!(
                rows || statement.contains(" ON CLUSTER 'prod'"),
                "{statement}"
            );
            assert!(!statement.contains("non_replicated_"), "{statement}");
            assert!(!statement.contains("ENGINE = MergeTree"), "{statement}");
        }
        for (table, _) in TABLES {
            let over = format!("Distributed('prod', `petrel`, {table}_local, ");
            assert!(statements.iter().any(|s| s.contains(&over)), "{table}");
        }
        let altered = schema.alterations("span_rows_local", "ReplicatedMergeTree");
        assert!(altered[0].starts_with("ALTER TABLE `petrel`.span_rows_local ON CLUSTER 'prod' "));
        assert!(
            schema
                .alterations("span_rows", "Distributed('prod', x)")
                .is_empty()
        );
    }

    #[test]
    fn only_our_own_engine_chooses_the_codec_and_only_if_nobody_else_does() {
        let ddl = |config: &Config| Schema::of(config).ddl().join(";");
        let mut config = Config::default();
        assert!(ddl(&config).contains("CODEC(Delta, Default)"));
        assert!(!ddl(&config).contains("ZSTD"));
        config.ch_schema.compression = "ZSTD(3)".to_owned();
        assert!(ddl(&config).contains("CODEC(Delta, ZSTD(3))"));
        let mut config = Config::default();
        config.ch.url = Some("http://localhost:8123".to_owned());
        assert!(ddl(&config).contains("CODEC(Delta, ZSTD(1))"));
    }

    #[test]
    fn resources_outlive_everything_that_refers_to_them() {
        assert!(
            schema()
                .alterations("resources", "")
                .join(" ")
                .contains("toIntervalDay(90)")
        );
    }
}
