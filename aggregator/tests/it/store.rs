//! The store with the real engine: what was sent is what can be read, once, whatever dies on the way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    self as metrics, Metric, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use petrel_aggregator::clickhouse::{Trouble, Writer, access_file};
use petrel_aggregator::config::{Config, Ttl};
use petrel_aggregator::engine::Access;
use petrel_aggregator::rows::{self, Source};
use petrel_aggregator::sql;
use petrel_aggregator::store::Store;
use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolConfig};
use petrel_wire::{
    AgentId, Batch, BatchId, Clock as _, Limits, Sealed, Signal, SystemClock, UnixNanos,
};
use prost::Message;

const SECOND: u64 = 1_000_000_000;

pub(crate) fn now() -> u64 {
    SystemClock::new().wall().0
}

/// A journal and a store on it, with the embedded engine.
pub(crate) struct Running {
    pub(crate) config: Config,
    pub(crate) journal: Spool,
    pub(crate) store: Store,
}

impl Running {
    pub(crate) async fn start(dir: &Path) -> Self {
        let config = Config {
            data_dir: dir.to_owned(),
            ..Config::default()
        };
        Self::start_with(config).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let clock = SystemClock::shared();
        let journal = Spool::open(
            SpoolConfig::at(config.data_dir.join("journal")),
            Arc::clone(&clock),
        )
        .unwrap();
        let store = Store::start(&config, journal.clone(), clock)
            .expect("the engine starts; `make target/engine/libchdb.so` fetches its library");
        let running = Self {
            config,
            journal,
            store,
        };
        eventually("the schema is ready", || running.store.is_up()).await;
        running
    }

    pub(crate) async fn append(
        &self,
        signal: Signal,
        request: &impl Message,
        origin: Option<BatchId>,
    ) {
        let bytes = request.encode_to_vec().into();
        let batch = Batch::from_protobuf(signal, bytes, &Limits::default()).unwrap();
        let entry = Entry {
            project: ProjectId(7),
            origin,
            accepted: UnixNanos(now()),
            sealed: Sealed::pack(&batch),
        };
        drop(self.journal.append(entry, Class::Keep).await.unwrap());
    }

    /// Everything that was appended is settled.
    pub(crate) async fn stored(&self) {
        eventually("the journal is empty", || self.journal.stats().entries == 0).await;
    }

    pub(crate) async fn sql(&self, query: &str) -> Vec<Vec<String>> {
        let mut answer = Vec::new();
        sql::ask(&self.config, query, "TabSeparatedRaw", &mut answer)
            .await
            .expect(query);
        let text = String::from_utf8(answer).unwrap();
        text.lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect()
    }

    pub(crate) async fn cell(&self, query: &str) -> String {
        self.sql(query).await[0][0].clone()
    }

    async fn refusal(&self, query: &str) -> String {
        let mut answer = Vec::new();
        sql::ask(&self.config, query, "TSV", &mut answer)
            .await
            .expect_err(query)
            .to_string()
    }

    /// A client that may change things.
    pub(crate) fn owner(&self) -> clickhouse::Client {
        let access = Access::read(&access_file(&self.config)).unwrap();
        clickhouse::Client::default()
            .with_url(access.url)
            .with_user(access.user)
            .with_password(access.password)
            .with_database(access.database)
            .with_compression(clickhouse::Compression::None)
    }

    pub(crate) async fn stop(self) {
        self.store.stop().await;
        self.journal.close().await;
    }
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(120), async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !holds() {
            ticks.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "{what}, but not in two minutes");
}

pub(crate) fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

pub(crate) fn text(text: &str) -> Option<AnyValue> {
    any(Value::StringValue(text.to_owned()))
}

pub(crate) fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

fn resource(service: &str) -> Option<Resource> {
    Some(Resource {
        attributes: vec![
            pair("service.name", text(service)),
            pair("host.name", text("h\t1")),
        ],
        ..Resource::default()
    })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "lib".to_owned(),
        version: "1.2".to_owned(),
        attributes: vec![pair("s", text("x"))],
        ..InstrumentationScope::default()
    })
}

pub(crate) fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource("till"),
            scope_spans: vec![ScopeSpans {
                scope: scope(),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

pub(crate) fn logs(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource("till"),
            scope_logs: vec![ScopeLogs {
                scope: scope(),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

fn metrics(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource("till"),
            scope_metrics: vec![ScopeMetrics {
                scope: scope(),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

pub(crate) fn simple_span(number: u64) -> Span {
    Span {
        trace_id: u128::from(number / 10 + 1).to_be_bytes().to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("step {}", number % 7),
        start_time_unix_nano: now(),
        end_time_unix_nano: now() + 5,
        attributes: vec![pair("test.id", text(&number.to_string()))],
        ..Span::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_span_can_be_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let start = now() - 3 * SECOND;
    let full = Span {
        trace_id: (0_u8..16).collect(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0xab, 0x01],
        parent_span_id: vec![0xff; 8],
        trace_state: "a=1".to_owned(),
        name: "GET /orders/{id}".to_owned(),
        kind: span::SpanKind::Server as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 1_234_567,
        attributes: vec![
            pair("text", text("it's \"quoted\"\n\0")),
            pair("truth", any(Value::BoolValue(true))),
            pair("int", any(Value::IntValue(i64::MIN))),
            pair("float", any(Value::DoubleValue(0.1))),
            pair("whole", any(Value::DoubleValue(5.0))),
            pair("nan", any(Value::DoubleValue(f64::NAN))),
            pair("bytes", any(Value::BytesValue(vec![0xff, 0]))),
            pair(
                "list",
                any(Value::ArrayValue(ArrayValue {
                    values: vec![text("a").unwrap()],
                })),
            ),
            pair("nothing", None),
        ],
        dropped_attributes_count: 3,
        events: vec![span::Event {
            time_unix_nano: start + 7,
            name: "exception".to_owned(),
            attributes: vec![pair("exception.type", text("Boom"))],
            ..span::Event::default()
        }],
        links: vec![span::Link {
            trace_id: vec![0x11; 16],
            span_id: vec![0x22; 8],
            trace_state: "b=2".to_owned(),
            attributes: vec![pair("why", text("retry"))],
            ..span::Link::default()
        }],
        status: Some(Status {
            message: "no".to_owned(),
            code: 2,
        }),
        flags: 0x101,
        ..Span::default()
    };
    let odd = Span {
        trace_id: vec![1, 2, 3],
        span_id: vec![],
        name: "odd".to_owned(),
        kind: 99,
        ..full.clone()
    };
    let id = BatchId {
        agent: AgentId(0xabc),
        epoch: 2,
        seq: 9,
        hash: 5,
    };
    running
        .append(
            Signal::Traces,
            &traces(vec![full, odd, Span::default()]),
            Some(id),
        )
        .await;
    running.stored().await;

    let columns = "project_id, toUnixTimestamp64Nano(time), trace_id, span_id, parent_id, service_name, name, \
         kind, status, status_message, duration, scope, scope_version, trace_state, flags, batch";
    let row = running
        .sql(&format!(
            "SELECT {columns} FROM spans WHERE name LIKE 'GET%'"
        ))
        .await;
    let at = start.to_string();
    let agent = format!("{}:2:9", AgentId(0xabc));
    assert_eq!(
        row,
        [[
            "7",
            at.as_str(),
            "000102030405060708090a0b0c0d0e0f",
            "000000000000ab01",
            "ffffffffffffffff",
            "till",
            "GET /orders/{id}",
            "server",
            "error",
            "no",
            "1234567",
            "lib",
            "1.2",
            "a=1",
            "257",
            &agent,
        ]]
    );
    for (key, value) in [
        ("truth", "true"),
        ("int", "-9223372036854775808"),
        ("float", "0.1"),
        ("whole", "5.0"),
        ("nan", "NaN"),
        ("bytes", "/wA="),
        ("list", "[\"a\"]"),
        ("nothing", ""),
        ("otel.dropped_attributes_count", "3"),
        ("otel.scope.attributes", "{\"s\":\"x\"}"),
    ] {
        let sql = format!("SELECT attributes['{key}'] FROM spans WHERE name LIKE 'GET%'");
        assert_eq!(running.cell(&sql).await, value, "{key}");
    }
    let same = "SELECT attributes['text'] = 'it\\'s \"quoted\"\\n\\0', mapContains(attributes, 'nothing'), \
        resource['host.name'] = 'h\\t1', resource['service.name'] FROM spans WHERE name LIKE 'GET%'";
    assert_eq!(running.sql(same).await, [["1", "1", "1", "till"]]);
    let nested = "SELECT events.name[1], toUnixTimestamp64Nano(events.time[1]), events.attributes[1]['exception.type'], \
        links.trace_id[1], links.span_id[1], links.trace_state[1], links.attributes[1]['why'] FROM spans WHERE name LIKE 'GET%'";
    let when = (start + 7).to_string();
    assert_eq!(
        running.sql(nested).await,
        [[
            "exception",
            when.as_str(),
            "Boom",
            &"11".repeat(16),
            &"22".repeat(8),
            "b=2",
            "retry"
        ]]
    );
    let odd = "SELECT attributes['petrel.trace_id'], kind, trace_id FROM spans WHERE name = 'odd'";
    assert_eq!(
        running.sql(odd).await,
        [["010203", "unspecified", &"00".repeat(16)]]
    );
    assert_eq!(running.cell("SELECT count() FROM spans").await, "3");
    let index = "SELECT project_id, spans, errors, toUnixTimestamp64Nano(end) FROM trace_index";
    let end = (start + 1_234_567).to_string();
    assert_eq!(running.sql(index).await, [["7", "1", "1", end.as_str()]]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_log_record_can_be_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let at = now() - SECOND;
    let full = LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at + 1,
        severity_number: 17,
        severity_text: "Error".to_owned(),
        body: text("disk is full"),
        attributes: vec![pair("n", any(Value::IntValue(3)))],
        trace_id: vec![9; 16],
        span_id: vec![1; 8],
        flags: 1,
        event_name: "disk".to_owned(),
        ..LogRecord::default()
    };
    let observed = LogRecord {
        time_unix_nano: 0,
        body: any(Value::ArrayValue(ArrayValue {
            values: vec![text("a").unwrap()],
        })),
        trace_id: vec![],
        span_id: vec![],
        ..full.clone()
    };
    running
        .append(Signal::Logs, &logs(vec![full, observed]), None)
        .await;
    running.stored().await;
    let columns = "toUnixTimestamp64Nano(time), toUnixTimestamp64Nano(observed_time), service_name, severity_text, \
         severity_number, event_name, body, trace_id, span_id, attributes['n'], resource['service.name'], scope, flags, batch";
    let rows = running
        .sql(&format!("SELECT {columns} FROM logs ORDER BY time"))
        .await;
    let (time, seen) = (at.to_string(), (at + 1).to_string());
    let (trace, span) = ("09".repeat(16), "01".repeat(8));
    assert_eq!(
        rows,
        [
            [
                &time,
                &seen,
                "till",
                "Error",
                "17",
                "disk",
                "disk is full",
                &trace,
                &span,
                "3",
                "till",
                "lib",
                "1",
                ""
            ],
            [
                &seen, &seen, "till", "Error", "17", "disk", "[\"a\"]", "", "", "3", "till", "lib",
                "1", ""
            ],
        ]
    );
    running.stop().await;
}

fn number(value: metrics::number_data_point::Value) -> metrics::NumberDataPoint {
    metrics::NumberDataPoint {
        attributes: vec![pair("b", text("2")), pair("a", text("1"))],
        start_time_unix_nano: now() - 60 * SECOND,
        time_unix_nano: now(),
        value: Some(value),
        ..metrics::NumberDataPoint::default()
    }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "ms".to_owned(),
        description: "words".to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_metric_keeps_the_values_that_were_recorded() {
    use metrics::number_data_point::Value::{AsDouble, AsInt};
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let mut traced = number(AsDouble(1.5));
    traced.exemplars = vec![metrics::Exemplar {
        time_unix_nano: now(),
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        filtered_attributes: vec![pair("user", text("u"))],
        value: Some(metrics::exemplar::Value::AsDouble(9.25)),
    }];
    let mut nothing = number(AsInt(0));
    nothing.value = None;
    nothing.flags = 1;
    let (start_time_unix_nano, time_unix_nano) = (now() - SECOND, now());
    let histogram = metrics::HistogramDataPoint {
        start_time_unix_nano,
        time_unix_nano,
        count: 6,
        sum: Some(12.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 10.0],
        min: Some(0.25),
        max: None,
        ..metrics::HistogramDataPoint::default()
    };
    let exponential = metrics::ExponentialHistogramDataPoint {
        start_time_unix_nano,
        time_unix_nano,
        count: 10,
        sum: None,
        scale: -2,
        zero_count: 4,
        zero_threshold: 0.001,
        positive: Some(metrics::exponential_histogram_data_point::Buckets {
            offset: -3,
            bucket_counts: vec![1, 0, 2],
        }),
        negative: Some(metrics::exponential_histogram_data_point::Buckets {
            offset: 5,
            bucket_counts: vec![3],
        }),
        ..metrics::ExponentialHistogramDataPoint::default()
    };
    let summary = metrics::SummaryDataPoint {
        time_unix_nano,
        count: 3,
        sum: 6.0,
        quantile_values: vec![metrics::summary_data_point::ValueAtQuantile {
            quantile: 0.99,
            value: 4.0,
        }],
        ..metrics::SummaryDataPoint::default()
    };
    let sent = metrics(vec![
        metric(
            "gauge",
            Data::Gauge(metrics::Gauge {
                data_points: vec![traced, nothing],
            }),
        ),
        metric(
            "sum",
            Data::Sum(metrics::Sum {
                data_points: vec![number(AsInt(i64::MAX - 1))],
                aggregation_temporality: 2,
                is_monotonic: true,
            }),
        ),
        metric(
            "histogram",
            Data::Histogram(metrics::Histogram {
                data_points: vec![histogram],
                aggregation_temporality: 1,
            }),
        ),
        metric(
            "exponential",
            Data::ExponentialHistogram(metrics::ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 1,
            }),
        ),
        metric(
            "summary",
            Data::Summary(metrics::Summary {
                data_points: vec![summary],
            }),
        ),
    ]);
    running.append(Signal::Metrics, &sent, None).await;
    running.stored().await;

    let simple = "SELECT metric, type, unit, temporality, monotonic, value, attributes, resource['service.name'] \
         FROM points WHERE isNotNull(value) ORDER BY metric";
    assert_eq!(
        running.sql(simple).await,
        [
            [
                "gauge",
                "gauge",
                "ms",
                "unspecified",
                "false",
                "1.5",
                "{'a':'1','b':'2'}",
                "till"
            ],
            [
                "sum",
                "sum",
                "ms",
                "cumulative",
                "true",
                "9223372036854776000",
                "{'a':'1','b':'2'}",
                "till"
            ],
        ]
    );
    assert_eq!(
        running
            .cell(
                "SELECT count() FROM points WHERE metric = 'gauge' AND isNull(value) AND flags = 1"
            )
            .await,
        "1"
    );
    let exact = "SELECT toInt128(value) + integer_rest FROM samples WHERE metric = 'sum'";
    assert_eq!(running.cell(exact).await, (i64::MAX - 1).to_string());
    assert_eq!(
        running.sql("SELECT type, temporality, count, sum, min, max, bounds, bucket_counts FROM points WHERE metric = 'histogram'").await,
        [["histogram", "delta", "6", "12.5", "0.25", "\\N", "[0.5,10]", "[1,2,3]"]]
    );
    let exponential = "SELECT type, count, sum, scale, zero_count, zero_threshold, positive_offset, positive_counts, \
         negative_offset, negative_counts FROM points WHERE metric = 'exponential'";
    assert_eq!(
        running.sql(exponential).await,
        [[
            "exponential_histogram",
            "10",
            "\\N",
            "-2",
            "4",
            "0.001",
            "-3",
            "[1,0,2]",
            "5",
            "[3]"
        ]]
    );
    assert_eq!(
        running.sql("SELECT type, count, sum, quantiles, quantile_values FROM points WHERE metric = 'summary'").await,
        [["summary", "3", "6", "[0.99]", "[4]"]]
    );
    assert_eq!(
        running
            .sql("SELECT value, lower(hex(trace_id)), attributes['user'] FROM exemplars")
            .await,
        [["9.25", &"07".repeat(16), "u"]]
    );
    assert_eq!(running.cell("SELECT count() FROM series").await, "5");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dictionaries_of_every_width_are_read_by_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    for (count, at) in [(300_u32, now()), (70_000, now() - 86_400 * SECOND)] {
        let span = |n: u32| Span {
            name: format!("name {n}"),
            start_time_unix_nano: at,
            attributes: vec![pair(&format!("key {n}"), text(&format!("value {n}")))],
            ..Span::default()
        };
        running
            .append(
                Signal::Traces,
                &traces((0..count).map(span).collect()),
                None,
            )
            .await;
    }
    running.stored().await;
    let right = "SELECT count(), uniqExact(name), countIf(attributes[concat('key ', substring(name, 6))] \
        = concat('value ', substring(name, 6))) FROM span_rows";
    assert_eq!(running.sql(right).await, [["70300", "70000", "70300"]]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_block_under_the_same_token_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let request = traces((0..1000).map(simple_span).collect()).encode_to_vec();
    let batch = Batch::from_protobuf(Signal::Traces, request.into(), &Limits::default()).unwrap();
    let source = Source {
        project: ProjectId(1),
        accepted: UnixNanos(now()),
        origin: "",
        batch: &batch,
    };
    let writer = running.store.writer();
    for _ in 0..3 {
        for (number, block) in rows::build(&[source]).iter().enumerate() {
            writer
                .insert(block, &format!("token {number}"))
                .await
                .unwrap();
        }
    }
    assert_eq!(running.cell("SELECT count() FROM span_rows").await, "1000");
    assert_eq!(running.cell("SELECT count() FROM trace_index").await, "100");
    // One insert was one part: one token covers all of it.
    assert_eq!(
        running
            .cell("SELECT count() FROM system.parts WHERE active AND table = 'span_rows'")
            .await,
        "1"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_with_hostile_defaults_changes_nothing() {
    const HOSTILE: [(&str, &str); 18] = [
        ("async_insert", "1"),
        ("wait_for_async_insert", "0"),
        ("insert_deduplicate", "0"),
        ("deduplicate_insert", "disable"),
        ("deduplicate_insert_select", "disable"),
        ("insert_deduplication_token", "everything is the same"),
        ("deduplicate_blocks_in_dependent_materialized_views", "0"),
        ("max_insert_threads", "8"),
        ("max_block_size", "10"),
        ("max_insert_block_size", "10"),
        ("min_insert_block_size_rows", "1"),
        ("min_insert_block_size_bytes", "1"),
        ("max_partitions_per_insert_block", "1"),
        ("max_memory_usage", "1"),
        ("max_rows_to_read", "1"),
        ("insert_null_as_default", "0"),
        ("input_format_defaults_for_omitted_fields", "0"),
        ("input_format_native_allow_types_conversion", "0"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let hostile = HOSTILE
        .iter()
        .fold(running.owner(), |client, (name, value)| {
            client.with_setting(*name, *value)
        });
    let writer = Writer::new(hostile);
    // Two blocks of equal rows under two names, each three times.
    let request = traces((0..1000).map(simple_span).collect()).encode_to_vec();
    let batch = Batch::from_protobuf(Signal::Traces, request.into(), &Limits::default()).unwrap();
    let source = Source {
        project: ProjectId(1),
        accepted: UnixNanos(now()),
        origin: "",
        batch: &batch,
    };
    for _ in 0..3 {
        for name in ["first", "second"] {
            for (number, block) in rows::build(&[source]).iter().enumerate() {
                let token = format!("{name} {number}");
                writer.insert(block, &token).await.unwrap();
            }
        }
    }
    assert_eq!(running.cell("SELECT count() FROM span_rows").await, "2000");
    assert_eq!(running.cell("SELECT count() FROM trace_index").await, "200");
    // One insert was one part, whether they are merged by now or not.
    let blocks = "SELECT max(max_block_number) - min(min_block_number) + 1 \
        FROM system.parts WHERE table = 'span_rows'";
    assert_eq!(running.cell(blocks).await, "2");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_batches_of_senders_without_identity_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let request = traces(vec![simple_span(1)]);
    for _ in 0..3 {
        running.append(Signal::Traces, &request, None).await;
        running.stored().await;
    }
    assert_eq!(running.cell("SELECT count() FROM spans").await, "3");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_stored_once_through_kills_of_the_engine_and_restarts_of_the_store() {
    const ROUNDS: u64 = 4;
    const BATCHES: u64 = 25;
    const SPANS: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let mut sent = 0;
    for round in 0..ROUNDS {
        let running = Running::start(dir.path()).await;
        for batch in 0..BATCHES {
            let spans = (sent..sent + SPANS).map(simple_span).collect();
            sent += SPANS;
            running.append(Signal::Traces, &traces(spans), None).await;
            if batch % 8 == 3 {
                running.store.kill_engine();
            }
        }
        if round % 2 == 1 {
            running.stored().await;
        }
        running.stop().await;
    }
    let running = Running::start(dir.path()).await;
    running.stored().await;
    let counts = "SELECT count(), uniqExact(attributes['test.id']) FROM spans";
    assert_eq!(
        running.sql(counts).await,
        [[sent.to_string(), sent.to_string()]]
    );
    let index = "SELECT sum(spans), uniqExact(trace_id) FROM trace_index";
    assert_eq!(
        running.sql(index).await,
        [[sent.to_string(), (sent / 10).to_string()]]
    );
    assert_eq!(running.store.stats().dead_letters(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_the_schema_that_a_killed_one_left_holds_its_next_life_up_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let machine = rustix::system::uname();
    let us = format!(
        "{}:{}",
        machine.nodename().to_string_lossy(),
        dir.path().display()
    );
    let lock = format!("CREATE TABLE schema_lock (x UInt8) ENGINE = Memory COMMENT '{us}'");
    running.owner().query(&lock).execute().await.unwrap();
    running.stop().await;
    // A lock of somebody else's is respected for two minutes, which is as long as this waits.
    let running = Running::start(dir.path()).await;
    let left = "SELECT count() FROM system.tables WHERE name = 'schema_lock'";
    assert_eq!(running.cell(left).await, "0");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_cannot_be_cost_nothing_but_their_word() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let insane = [0, 1, 86_400 * SECOND, now() + 3 * 86_400 * SECOND, u64::MAX];
    let spans = insane.map(|at| Span {
        start_time_unix_nano: at,
        end_time_unix_nano: at.saturating_add(10),
        name: at.to_string(),
        events: vec![span::Event {
            time_unix_nano: u64::MAX,
            ..span::Event::default()
        }],
        ..Span::default()
    });
    // More days than one insert may touch, each possible in itself.
    let scattered = (0..300).map(|day| Span {
        start_time_unix_nano: now() - day * 86_400 * SECOND,
        name: "scattered".to_owned(),
        ..Span::default()
    });
    running
        .append(
            Signal::Traces,
            &traces(spans.into_iter().chain(scattered).collect()),
            None,
        )
        .await;
    let point = metrics::NumberDataPoint {
        time_unix_nano: 5,
        value: Some(metrics::number_data_point::Value::AsDouble(1.0)),
        ..metrics::NumberDataPoint::default()
    };
    let gauge = metric(
        "g",
        Data::Gauge(metrics::Gauge {
            data_points: vec![point],
        }),
    );
    running
        .append(Signal::Metrics, &metrics(vec![gauge]), None)
        .await;
    running.stored().await;

    let today = "abs(dateDiff('minute', now(), time)) < 60";
    let kept = format!(
        "SELECT countIf({today}), countIf(attributes['petrel.start_time_unix_nano'] = name) FROM spans WHERE name != 'scattered'"
    );
    assert_eq!(running.sql(&kept).await, [["5", "4"]]);
    assert_eq!(
        running
            .cell("SELECT count() FROM spans WHERE name = 'scattered'")
            .await,
        "300"
    );
    assert!(
        running
            .cell("SELECT uniqExact(toDate(bucket)) FROM span_rows")
            .await
            .parse::<u32>()
            .unwrap()
            <= 68
    );
    assert_eq!(
        running
            .sql(&format!("SELECT claimed_time, {today} FROM samples"))
            .await,
        [["5", "1"]]
    );
    let mut numbers = String::new();
    running.store.metrics(&mut numbers);
    for line in [
        "displaced_items_total{project=\"7\",signal=\"traces\",reason=\"past\"} 2",
        "displaced_items_total{project=\"7\",signal=\"traces\",reason=\"future\"} 2",
        "displaced_items_total{project=\"7\",signal=\"metrics\",reason=\"past\"} 1",
    ] {
        assert!(numbers.contains(line), "{line} is not in\n{numbers}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_will_never_take_is_set_aside_alone_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let forbid = "ALTER TABLE log_rows ADD CONSTRAINT no_poison CHECK body != 'poison'";
    running.owner().query(forbid).execute().await.unwrap();
    let log = |body: &str| LogRecord {
        body: text(body),
        time_unix_nano: now(),
        ..LogRecord::default()
    };
    // One cut: the journal lingers for a moment before it hands out another.
    for n in 0..7 {
        let body = if n == 4 {
            "poison".to_owned()
        } else {
            n.to_string()
        };
        running
            .append(
                Signal::Logs,
                &logs(vec![log(&body), log("companion")]),
                None,
            )
            .await;
    }
    running.stored().await;
    assert_eq!(running.cell("SELECT count() FROM logs").await, "12");
    assert_eq!(running.store.stats().dead_letters(), 1);
    let files: Vec<_> = std::fs::read_dir(dir.path().join("dead"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    let about = files
        .iter()
        .find(|file| file.extension().is_some_and(|e| e == "json"))
        .unwrap();
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(about).unwrap()).unwrap();
    assert_eq!(
        (&about["table"], &about["items"]),
        (&"log_rows".into(), &2.into())
    );
    assert!(
        about["reason"].as_str().unwrap().contains("no_poison"),
        "{about}"
    );
    let body = files
        .iter()
        .find(|file| file.extension().is_some_and(|e| e == "zst"))
        .unwrap();
    let sealed = Sealed::from_parts(Signal::Logs, 2, 4096, std::fs::read(body).unwrap().into());
    assert_eq!(sealed.unpack(&Limits::default()).unwrap().items(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_stops_the_store_with_advice_and_costs_nothing_once_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let owner = running.owner();
    let run = async |sql: &str| owner.query(sql).execute().await.unwrap();
    run("RENAME TABLE span_rows TO elsewhere").await;
    running
        .append(Signal::Traces, &traces(vec![simple_span(1)]), None)
        .await;
    let stats = running.store.stats();
    eventually(
        "somebody is called",
        || matches!(stats.trouble(), Some(Trouble::Operator(remedy)) if remedy.contains("restore")),
    )
    .await;
    assert!(!running.store.is_up());
    run("RENAME TABLE elsewhere TO span_rows").await;
    running.stored().await;
    assert_eq!(running.cell("SELECT count() FROM spans").await, "1");
    assert_eq!((stats.trouble(), stats.dead_letters()), (None, 0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_refuses_everything_is_blamed_itself_and_not_batch_after_batch() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let owner = running.owner();
    let run = async |sql: &str| owner.query(sql).execute().await.unwrap();
    run("ALTER TABLE log_rows ADD CONSTRAINT nothing CHECK body = ''").await;
    for n in 0..40 {
        let log = LogRecord {
            body: text(&n.to_string()),
            ..LogRecord::default()
        };
        running.append(Signal::Logs, &logs(vec![log]), None).await;
    }
    let stats = running.store.stats();
    eventually("the table is blamed", || {
        matches!(stats.trouble(), Some(Trouble::Operator(remedy)) if remedy.contains("every batch"))
    })
    .await;
    assert!(stats.dead_letters() <= 18, "{}", stats.dead_letters());
    run("ALTER TABLE log_rows DROP CONSTRAINT nothing").await;
    running.stored().await;
    let stored: u64 = running
        .cell("SELECT count() FROM logs")
        .await
        .parse()
        .unwrap();
    assert_eq!(stored + stats.dead_letters(), 40);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_retention_is_applied_to_tables_that_exist() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    running
        .append(Signal::Traces, &traces(vec![simple_span(1)]), None)
        .await;
    running.stored().await;
    let mut config = running.config.clone();
    running.stop().await;
    config.ch_schema.spans.ttl_delete = Ttl::days(7);
    let running = Running::start_with(config).await;
    let ttl = "SELECT name, extract(engine_full, 'TTL (.*?) SETTINGS') FROM system.tables \
        WHERE database = 'petrel' AND name IN ('span_rows', 'log_rows') ORDER BY name";
    assert_eq!(
        running.sql(ttl).await,
        [
            ["log_rows", "accepted + toIntervalDay(30)"],
            ["span_rows", "accepted + toIntervalDay(7)"]
        ]
    );
    assert_eq!(running.cell("SELECT count() FROM spans").await, "1");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_door_reads_while_it_runs_and_does_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    assert_eq!(running.sql("SELECT 1 + 1, '?'").await, [["2", "?"]]);
    assert!(
        running
            .sql("SHOW TABLES")
            .await
            .concat()
            .contains(&"spans".to_owned())
    );
    assert!(!running.sql("DESCRIBE points").await.is_empty());
    let secret = dir.path().join("out.txt");
    for harm in [
        "DROP TABLE span_rows".to_owned(),
        "SELECT 1; DROP TABLE span_rows".to_owned(),
        "INSERT INTO resources SELECT * FROM resources".to_owned(),
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')".to_owned(),
        "SELECT * FROM file('/etc/passwd', LineAsString)".to_owned(),
        format!("SELECT 1 INTO OUTFILE '{}'", secret.display()),
        "SELECT 1 SETTINGS readonly = DEFAULT".to_owned(),
        "SELECT * FROM nowhere".to_owned(),
    ] {
        let words = running.refusal(&harm).await;
        assert!(words.starts_with("Code: "), "{harm}: {words}");
    }
    assert!(!secret.exists());
    let mut access = Access::read(&access_file(&running.config)).unwrap();
    access.password.replace_range(0..1, "x");
    let stranger = clickhouse::Client::default()
        .with_url(&access.url)
        .with_user(&access.user)
        .with_password(&access.password);
    let refused = stranger
        .query("SELECT 1")
        .execute()
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("Code: 516"), "{refused}");

    let config = running.config.clone();
    running.stop().await;
    let mut answer = Vec::new();
    let closed = sql::ask(&config, "SELECT 1", "TSV", &mut answer)
        .await
        .unwrap_err()
        .to_string();
    assert!(closed.contains("running"), "{closed}");
}

#[test]
fn equal_batches_make_equal_blocks() {
    let request = traces((0..50).map(simple_span).collect()).encode_to_vec();
    let batch = Batch::from_protobuf(Signal::Traces, request.into(), &Limits::default()).unwrap();
    let source = Source {
        project: ProjectId(1),
        accepted: UnixNanos(now()),
        origin: "",
        batch: &batch,
    };
    assert_eq!(rows::build(&[source]), rows::build(&[source]));
}
