//! The importer of ClickHouse's own spans, over the real store.

use petrel_aggregator::config::Config;
use petrel_aggregator::ingest::Sharing;
use petrel_aggregator::metadata::{Database, Import, Metadata};
use petrel_aggregator::span_log::SpanLog;
use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolConfig};
use petrel_wire::{Clock as _, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::doors::zipkin::SPAN_LOG;
use crate::postgres::Server;
use crate::store::{Running, eventually};

/// An hour ago, in microseconds: long written by any server.
fn then() -> u64 {
    SystemClock::new().wall().0 / 1000 - 3_600_000_000
}

/// Writes `count` spans that finish one microsecond after the other from `first` on.
async fn finish(running: &Running, first: u64, count: u64) {
    let insert = format!(
        "INSERT INTO system.opentelemetry_span_log SELECT '0af76519-16cd-43dd-8448-eb211c80319c', \
         {first} + number, 7, 'query', 1, {first} + number - 1500, {first} + number, \
         toDate(toDateTime(intDiv({first}, 1000000))), map('db.statement', 'SELECT ' || toString(number)) \
         FROM numbers({count})"
    );
    running.owner().query_raw(&insert).execute().await.unwrap();
}

struct Importing {
    metadata: Metadata,
    source: String,
}

impl Importing {
    /// Imports until everything up to `position` is taken, then ends.
    async fn up_to(&self, running: &Running, position: u64) {
        let span_log = SpanLog::of(
            &running.config,
            running.store.reader(),
            self.metadata.clone(),
            running.journal.clone(),
            None,
            SystemClock::shared(),
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(span_log.expect("it is configured").run(stop.clone()));
        let reached = tokio::time::timeout(std::time::Duration::from_secs(60), async {
            let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
            while self.stands().await.position != position {
                ticks.tick().await;
            }
        });
        reached.await.expect("it gets there within a minute");
        stop.cancel();
        task.await.unwrap();
        running.stored().await;
    }

    async fn stands(&self) -> Import {
        self.metadata.import(&self.source).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_span_of_the_servers_log_is_imported_once_whatever_breaks_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    config.ch.import_spans_to = Some(ProjectId(3));
    let running = Running::start_with(config).await;
    running.owner().query_raw(SPAN_LOG).execute().await.unwrap();
    let importing = Importing {
        metadata: Metadata::open(&Database::of(&running.config), SystemClock::shared())
            .await
            .unwrap(),
        source: "span log of embedded for project 3".to_owned(),
    };
    let begin = then();
    // More than one window.
    finish(&running, begin, 4_500).await;
    importing.up_to(&running, begin + 4_499).await;
    let counted = "SELECT count(), uniqExact(span_id), countIf(project_id = 3) FROM spans";
    assert_eq!(running.sql(counted).await[0], ["4500", "4500", "4500"]);
    let one = format!(
        "SELECT trace_id, parent_id, service_name, name, kind, duration, attributes['db.statement'], \
         toUnixTimestamp64Micro(time) FROM spans WHERE span_id = lower(leftPad(hex(toUInt64({begin} + 9)), 16, '0'))"
    );
    assert_eq!(
        running.sql(&one).await[0].join("|"),
        format!(
            "0af7651916cd43dd8448eb211c80319c|0000000000000007|clickhouse|query|server|1500000|SELECT 9|{}",
            begin + 9 - 1500
        )
    );

    // A crash between the journal and the note: the last window comes again and is recognised.
    let stood = importing.stands().await;
    assert_eq!((stood.seq, stood.pending), (4, None));
    let crashed = Import {
        seq: 3,
        position: begin + 3_999,
        pending: Some(begin + 4_499),
        ..stood.clone()
    };
    let back = importing
        .metadata
        .go_on_with_import(&importing.source, &stood, &crashed);
    assert!(back.await.unwrap());
    importing.up_to(&running, begin + 4_499).await;
    assert_eq!(importing.stands().await, stood);
    assert_eq!(running.sql(counted).await[0], ["4500", "4500", "4500"]);

    // What came since is taken, and nothing else; nor what this program asked for by itself.
    finish(&running, begin + 10_000, 10).await;
    let own = format!(
        "INSERT INTO system.opentelemetry_span_log SELECT toUUID('70657472-656c-43dd-8448-eb211c80319c'), \
         {begin} + 99, 0, 'query', 1, {begin} + 20000, {begin} + 20001, \
         toDate(toDateTime(intDiv({begin}, 1000000))), map()"
    );
    running.owner().query_raw(&own).execute().await.unwrap();
    importing.up_to(&running, begin + 20_001).await;
    assert_eq!(running.sql(counted).await[0], ["4510", "4510", "4510"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_finish_now_wait_until_the_server_has_written_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    config.ch.import_spans_to = Some(ProjectId(3));
    let running = Running::start_with(config).await;
    running.owner().query_raw(SPAN_LOG).execute().await.unwrap();
    let importing = Importing {
        metadata: Metadata::open(&Database::of(&running.config), SystemClock::shared())
            .await
            .unwrap(),
        source: "span log of embedded for project 3".to_owned(),
    };
    let (begin, now) = (then(), SystemClock::new().wall().0 / 1000);
    finish(&running, begin, 1).await;
    // An hour ahead of us: whatever the pace of this test, its time has not come.
    finish(&running, now + 3_600_000_000, 1).await;
    importing.up_to(&running, begin).await;
    eventually("one is stored", || running.journal.stats().entries == 0).await;
    assert_eq!(running.cell("SELECT count() FROM spans").await, "1");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_importers_that_share_postgresql_take_each_span_once_between_them() {
    let Some(server) = Server::start().await else {
        eprintln!("SKIPPED: no PostgreSQL under /usr/lib/postgresql; apt-get install postgresql");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    config.ch.import_spans_to = Some(ProjectId(3));
    let running = Running::start_with(config).await;
    running.owner().query_raw(SPAN_LOG).execute().await.unwrap();
    let begin = then();
    finish(&running, begin, 9_000).await;

    let database = server.create_database("shared").await;
    let open = async || {
        let opened = Metadata::open(&database, SystemClock::shared());
        opened.await.unwrap()
    };
    let other = Spool::open(
        SpoolConfig::at(dir.path().join("other")),
        SystemClock::shared(),
    );
    let other = other.unwrap();
    let stop = CancellationToken::new();
    let mut tasks = Vec::new();
    for journal in [&running.journal, &other] {
        let metadata = open().await;
        let sharing = Sharing::new(metadata.clone(), journal.clone());
        let span_log = SpanLog::of(
            &running.config,
            running.store.reader(),
            metadata,
            journal.clone(),
            Some(sharing.clone()),
            SystemClock::shared(),
        );
        let span_log = span_log.expect("it is configured");
        tasks.push(tokio::spawn(span_log.run(stop.clone())));
        tasks.push(tokio::spawn(sharing.keep(stop.clone())));
    }
    let watching = open().await;
    let source = "span log of embedded for project 3";
    let reached = tokio::time::timeout(std::time::Duration::from_secs(120), async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        while watching.import(source).await.unwrap().position != begin + 8_999 {
            ticks.tick().await;
        }
    });
    reached.await.expect("they get there within two minutes");
    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    // What the other has taken comes into the store by ours, under no name: nothing could hide
    // that it was there before.
    while other.stats().entries > 0 {
        let cut = other.cut(u64::MAX, u64::MAX).await.unwrap();
        for (_, entry) in cut.entries() {
            let entry = Entry {
                origin: None,
                ..entry.clone()
            };
            drop(running.journal.append(entry, Class::Keep).await.unwrap());
        }
        cut.settle().await.unwrap();
    }
    running.stored().await;
    let counted = "SELECT count(), uniqExact(span_id), countIf(project_id = 3) FROM spans";
    assert_eq!(running.sql(counted).await[0], ["9000", "9000", "9000"]);
    running.stop().await;
}
