//! What one project may cost: how long its rows stay, and what the door takes from it.

use petrel_aggregator::clickhouse::Schema;
use petrel_aggregator::config::{Cluster, Config, ProjectTtl, Ttl};
use petrel_aggregator::rows::{self, Source};
use petrel_spool::ProjectId;
use petrel_wire::{Batch, Limits, Signal, UnixNanos};

use crate::ingest::spans;
use crate::store::{Running, now};

const DAY: u64 = 86_400_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_project_keeps_its_rows_for_its_own_time_in_the_tables_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    // The tables are made with one retention, and changed to one that tells projects apart.
    Running::start_with(config.clone()).await.stop().await;
    let week = ProjectTtl {
        spans: Some(Ttl::days(7)),
        ..ProjectTtl::default()
    };
    config.ch_schema.projects.insert(ProjectId(1), week);
    let running = Running::start_with(config.clone()).await;
    let batch = Batch::from_protobuf(Signal::Traces, spans(3).into(), &Limits::default()).unwrap();
    let accepted = UnixNanos(now() - 10 * DAY);
    let source = |project| Source {
        project: ProjectId(project),
        accepted,
        origin: "",
        batch: &batch,
    };
    let writer = running.store.writer();
    for (number, block) in rows::build(&[source(1), source(2)]).iter().enumerate() {
        writer
            .insert(block, &format!("token {number}"))
            .await
            .unwrap();
    }
    let optimize = "OPTIMIZE TABLE petrel.span_rows FINAL";
    running.owner().query(optimize).execute().await.unwrap();
    let left = "SELECT project_id, count() FROM span_rows GROUP BY project_id ORDER BY project_id";
    assert_eq!(running.sql(left).await, [["2", "3"]]);
    running.stop().await;

    // And back again.
    config.ch_schema.projects.clear();
    let running = Running::start_with(config).await;
    let table = "SELECT position(engine_full, 'TTL accepted + toIntervalDay(30) SETTINGS ttl_only_drop_parts = 1') > 0 \
        FROM system.tables WHERE database = 'petrel' AND name = 'span_rows'";
    assert_eq!(running.cell(table).await, "1");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_can_read_what_a_cluster_would_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    for (replicated, distributed) in [(true, true), (true, false), (false, true)] {
        let mut config = Config::default();
        config.ch_schema.cluster = Some(Cluster {
            name: "prod".to_owned(),
            replicated,
            distributed,
        });
        for statement in Schema::of(&config).ddl() {
            let formatted: String = running
                .owner()
                .query("SELECT ifNull(formatQueryOrNull(?), '')")
                .bind(statement.as_str())
                .fetch_one()
                .await
                .unwrap();
            // Rows are written once, through the table that stands for all shards.
            let is_known = formatted.contains("ON CLUSTER prod")
                || formatted.starts_with("INSERT INTO group_");
            assert!(is_known, "{statement}");
        }
    }
    running.stop().await;
}
