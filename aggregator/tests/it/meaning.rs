//! What items mean, and what is counted of them, with the real engine.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use petrel_aggregator::metadata::Project;
use petrel_aggregator::query::rollups::{pairs as pairs_of, quantile};
use petrel_aggregator::query::{Scope, Window, edges};
use petrel_aggregator::rows::{self, Source};
use petrel_spool::ProjectId;
use petrel_wire::{Batch, Limits, Signal, UnixNanos};
use prost::Message as _;

use crate::store::{Running, any, logs, now, pair, text};

const MS: u64 = 1_000_000;

fn of_service(service: &str, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource {
            attributes: vec![
                pair("service.name", text(service)),
                pair("deployment.environment", text("prod")),
            ],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

fn request(resource_spans: Vec<ResourceSpans>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest { resource_spans }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs
        .iter()
        .map(|(key, value)| pair(key, text(value)))
        .collect()
}

/// A span of trace 9 that took so many milliseconds, in the middle of a minute.
fn span(id: u64, parent: u64, kind: SpanKind, took_ms: u64, attributes: &[(&str, &str)]) -> Span {
    let start = now() / (60_000 * MS) * (60_000 * MS) - 30_000 * MS;
    Span {
        trace_id: vec![9; 16],
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: match parent {
            0 => vec![],
            parent => parent.to_be_bytes().to_vec(),
        },
        name: "step".to_owned(),
        kind: kind as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + took_ms * MS,
        attributes: pairs(attributes),
        ..Span::default()
    }
}

fn failed(span: Span) -> Span {
    Span {
        status: Some(Status {
            code: 2,
            ..Status::default()
        }),
        ..span
    }
}

/// Shop asks till, till asks PostgreSQL twice; one of each pair fails.
fn calls() -> Vec<ResourceSpans> {
    let query = |id| {
        let statement = format!("SELECT * FROM orders WHERE id = {id}");
        span(
            id,
            2,
            SpanKind::Client,
            3,
            &[("db.system", "postgresql"), ("db.statement", &statement)],
        )
    };
    let mut asks = span(
        1,
        0,
        SpanKind::Client,
        20,
        &[
            ("http.request.method", "GET"),
            ("url.path", "/orders/17"),
            ("server.address", "till.internal"),
        ],
    );
    // What many libraries call it; the group has a better name.
    "GET".clone_into(&mut asks.name);
    vec![
        of_service("shop", vec![asks]),
        of_service(
            "till",
            vec![
                failed(span(
                    2,
                    1,
                    SpanKind::Server,
                    10,
                    &[
                        ("http.request.method", "GET"),
                        ("http.route", "/orders/{id}"),
                    ],
                )),
                query(3),
                failed(query(4)),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_have_a_system_and_a_group_and_are_counted_by_the_minute() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    // Twice: rows of two inserts add up.
    for _ in 0..2 {
        running
            .append(Signal::Traces, &request(calls()), None)
            .await;
        running.stored().await;
    }
    let counted = "SELECT system, name, service, environment, kind, sum(items), sum(errors), sum(duration), max(longest), \
        uniqExact(group_id) FROM group_minutes GROUP BY ALL ORDER BY system";
    assert_eq!(
        running.sql(counted).await,
        [
            [
                "db:postgresql",
                "SELECT * FROM orders WHERE id = ?",
                "till",
                "prod",
                "client",
                "4",
                "2",
                "12000000",
                "3000000",
                "1"
            ],
            [
                "http:till",
                "GET /orders/{id}",
                "till",
                "prod",
                "server",
                "2",
                "2",
                "20000000",
                "10000000",
                "1"
            ],
            [
                "httpclient:shop",
                "GET till.internal/orders/<num>",
                "shop",
                "prod",
                "client",
                "2",
                "0",
                "40000000",
                "20000000",
                "1"
            ],
        ]
    );
    // Coarser steps say the same, and begin where they should.
    for (table, start) in [
        ("group_five_minutes", "toStartOfFiveMinutes(time)"),
        ("group_hours", "toStartOfHour(time)"),
    ] {
        let coarse = counted.replace("group_minutes", table);
        assert_eq!(running.sql(&coarse).await, running.sql(counted).await);
        let all = format!(
            "SELECT (SELECT sumMap(buckets) FROM {table}) = (SELECT sumMap(buckets) FROM group_minutes), \
             countIf(time != {start}) FROM {table}"
        );
        assert_eq!(running.sql(&all).await, [["1", "0"]], "{table}");
    }
    // Rows know their group, and an exponential bucket holds what it says.
    let known = "SELECT count() FROM span_rows WHERE (project_id, system, group_id, trace_id) IN \
        (SELECT project_id, system, group_id, trace_id FROM group_minutes)";
    assert_eq!(running.cell(known).await, "8");
    let bucket = "SELECT b.keys[1], b.values[1], exp2(b.keys[1] / 8) < 1e7 AND exp2((b.keys[1] + 1) / 8) >= 1e7 FROM \
        (SELECT sumMap(buckets) AS m, (mapKeys(m), mapValues(m))::Tuple(keys Array(Int16), values Array(UInt64)) AS b \
        FROM group_minutes WHERE system = 'http:till')";
    assert_eq!(running.sql(bucket).await, [["186", "2", "1"]]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_insert_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let mut lonely = calls();
    lonely.truncate(1);
    lonely[0].scope_spans[0].spans[0].span_id = vec![7; 8];
    lonely.extend(calls());
    let bytes = request(lonely).encode_to_vec().into();
    let batch = Batch::from_protobuf(Signal::Traces, bytes, &Limits::default()).unwrap();
    let source = Source {
        project: ProjectId(7),
        accepted: UnixNanos(now()),
        origin: "",
        batch: &batch,
    };
    let writer = running.store.writer();
    let first = rows::build(&[source]);
    for _ in 0..3 {
        let blocks = rows::build(&[source]);
        assert_eq!(blocks, first, "the same bytes every time");
        for (number, block) in blocks.iter().enumerate() {
            let token = format!("token {number}");
            writer.insert(block, &token).await.unwrap();
        }
    }
    let mut tables: Vec<_> = first
        .iter()
        .map(|block| (block.table(), block.day()))
        .collect();
    let blocks = tables.len();
    tables.dedup();
    assert_eq!(tables.len(), blocks, "one block for each table and day");
    for (sum, expected) in [
        ("sum(items) FROM group_minutes", "5"),
        ("sum(items) FROM group_five_minutes", "5"),
        ("sum(items) FROM group_hours", "5"),
        ("sum(calls) FROM service_edges", "3"),
        ("countIf(call_side = 'client') FROM span_rows", "1"),
        (
            "sum(items) FROM attribute_values WHERE key = 'db.system'",
            "2",
        ),
    ] {
        assert_eq!(
            running.cell(&format!("SELECT {sum}")).await,
            expected,
            "{sum}"
        );
    }
    running.stop().await;
}

async fn asked_edges(running: &Running) -> Vec<edges::Edge> {
    let project = Project {
        id: ProjectId(7),
        name: "till".to_owned(),
        pinned_attrs: Vec::new(),
    };
    let now = i64::try_from(now()).unwrap();
    let hour = 3_600_000_000_000;
    let window = Window::new(now - hour, now + hour).unwrap();
    let select = edges::list(&Scope::of(&project), window);
    let reader = running.store.reader();
    let mut query = reader.query(select.sql());
    for (name, value) in select.params() {
        query = query.param(name, value);
    }
    query.fetch_all().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_become_edges_whether_their_sides_come_together_or_apart() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let edges = "SELECT caller, callee, via, sum(calls), sum(errors), sum(client_duration), sum(server_duration) \
        FROM edges WHERE project_id = 7 GROUP BY ALL ORDER BY caller, callee";
    running
        .append(Signal::Traces, &request(calls()), None)
        .await;
    running.stored().await;
    let together = running.sql(edges).await;
    assert_eq!(
        together,
        [
            ["shop", "till", "http", "1", "1", "20000000", "10000000"],
            ["till", "db:postgresql", "db", "2", "1", "6000000", "0"],
        ]
    );
    assert_eq!(
        running
            .cell("SELECT countIf(call_side != 'none') FROM span_rows")
            .await,
        "0"
    );
    // The same calls of another trace, each service in a batch of its own, the server's first.
    for mut resource in calls().into_iter().rev() {
        for span in &mut resource.scope_spans[0].spans {
            span.trace_id = vec![8; 16];
        }
        running
            .append(Signal::Traces, &request(vec![resource]), None)
            .await;
        running.stored().await;
    }
    assert_eq!(
        running
            .cell("SELECT countIf(call_side != 'none') FROM span_rows")
            .await,
        "2"
    );
    assert_eq!(
        running.sql(edges).await,
        [
            ["shop", "till", "http", "2", "2", "40000000", "20000000"],
            ["till", "db:postgresql", "db", "4", "2", "12000000", "0"],
        ]
    );
    // The question of the API finds the same, and how long calls took.
    let asked = asked_edges(&running).await;
    let counted: Vec<_> = asked
        .iter()
        .map(|edge| {
            (
                edge.source.as_str(),
                edge.target.as_str(),
                edge.total,
                edge.failed,
            )
        })
        .collect();
    assert_eq!(
        counted,
        [("till", "db:postgresql", 4, 2), ("shop", "till", 2, 2)]
    );
    let p50 = |marks: &[i16], counts: &[u64]| quantile(&pairs_of(marks, counts), 0.5, 0);
    let client = p50(&asked[1].client_marks, &asked[1].client_counts).unwrap();
    assert!((client / 20e6 - 1.0).abs() < 0.09, "{client}");
    let server = p50(&asked[1].server_marks, &asked[1].server_counts).unwrap();
    assert!((server / 10e6 - 1.0).abs() < 0.09, "{server}");
    assert_eq!(asked[1].client_counts.iter().sum::<u64>(), 2);
    assert_eq!(asked[0].server_counts.iter().sum::<u64>(), 0);
    // Nobody answers for this one.
    let unknown = span(
        77,
        0,
        SpanKind::Client,
        1,
        &[
            ("http.request.method", "GET"),
            ("server.address", "example.com"),
        ],
    );
    running
        .append(
            Signal::Traces,
            &request(vec![of_service("shop", vec![unknown])]),
            None,
        )
        .await;
    running.stored().await;
    assert!(
        running.sql(edges).await.contains(
            &["shop", "example.com", "http", "1", "0", "1000000", "0"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_of_spans_and_logs_meet_in_one_group() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let exception = |row| pairs(&[("exception.type", "Boom"), ("exception.message", row)]);
    let mut thrown = failed(span(1, 0, SpanKind::Internal, 1, &[]));
    thrown.events = vec![Event {
        name: "exception".to_owned(),
        attributes: exception("no row 17"),
        ..Event::default()
    }];
    let logged = LogRecord {
        time_unix_nano: now(),
        attributes: exception("no row 18"),
        severity_number: 17,
        body: text("it went wrong"),
        ..LogRecord::default()
    };
    running
        .append(
            Signal::Traces,
            &request(vec![of_service("till", vec![thrown])]),
            None,
        )
        .await;
    running
        .append(Signal::Logs, &logs(vec![logged]), None)
        .await;
    running.stored().await;
    let patterns =
        "SELECT system, pattern, sum(items), uniqExact(group_id) FROM log_patterns GROUP BY ALL";
    assert_eq!(
        running.sql(patterns).await,
        [["log:error", "Boom: no row <num>", "2", "1"]]
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_log_line_says_can_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let start = now();
    let line = |number: u64, body: &str| LogRecord {
        time_unix_nano: start + number,
        body: text(body),
        attributes: pairs(&[("user", "sent")]),
        ..LogRecord::default()
    };
    let json = r#"{"level":"warn","msg":"user 17 is slow","user":"parsed","took":{"ms":250},"trace_id":"0102030405060708090a0b0c0d0e0f10"}"#;
    let mut custom = line(4, "user 19 is slow");
    custom.severity_number = 9;
    custom.severity_text = "USAGE".to_owned();
    let mut structured = line(5, "");
    structured.body = any(Value::IntValue(5));
    let records = vec![
        line(0, json),
        line(1, "level=error msg=\"user 18 is slow\" code=7"),
        line(2, "2026-01-01 12:00:00 ERROR user 20 is slow"),
        line(3, "nothing to see"),
        custom,
        structured,
    ];
    running.append(Signal::Logs, &logs(records), None).await;
    running.stored().await;
    let rows = "SELECT level, message, attributes['user'], attributes['took.ms'], attributes['code'], \
        trace_id != toFixedString('', 16), body = '' FROM log_rows ORDER BY time";
    assert_eq!(
        running.sql(rows).await,
        [
            ["13", "user 17 is slow", "sent", "250", "", "1", "0"],
            ["17", "user 18 is slow", "sent", "", "7", "0", "0"],
            ["17", "", "sent", "", "", "0", "0"],
            ["0", "", "sent", "", "", "0", "0"],
            ["9", "", "sent", "", "", "0", "0"],
            ["0", "", "sent", "", "", "0", "0"],
        ]
    );
    let body = running
        .cell("SELECT body FROM log_rows ORDER BY time LIMIT 1")
        .await;
    assert_eq!(body, json, "kept as it came");
    let patterns = "SELECT system, pattern, sum(items) FROM log_patterns GROUP BY ALL ORDER BY system, pattern";
    assert_eq!(
        running.sql(patterns).await,
        [
            ["log:error", "<time> ERROR user <num> is slow", "1"],
            ["log:error", "user <num> is slow", "1"],
            ["log:info", "user <num> is slow", "1"],
            ["log:unset", "<num>", "1"],
            ["log:unset", "nothing to see", "1"],
            ["log:warn", "user <num> is slow", "1"],
        ]
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_their_frequent_values_are_known_without_reading_rows() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let spans = (1..=3000_u64)
        .map(|number| {
            let tier = if number % 3 == 0 { "gold" } else { "silver" };
            let id = format!("user {number}");
            span(
                number,
                0,
                SpanKind::Internal,
                1,
                &[("tier", tier), ("user.id", &id)],
            )
        })
        .collect();
    running
        .append(
            Signal::Traces,
            &request(vec![of_service("till", spans)]),
            None,
        )
        .await;
    running.stored().await;
    let keys = "SELECT key, sum(items), uniqExact(value) <= 17 FROM attribute_values WHERE signal = 'traces' GROUP BY key ORDER BY key";
    assert_eq!(
        running.sql(keys).await,
        [
            ["deployment.environment", "3000", "1"],
            ["service.name", "3000", "1"],
            ["tier", "3000", "1"],
            ["user.id", "3000", "1"],
        ]
    );
    let values = "SELECT value FROM attribute_values WHERE key = 'tier' GROUP BY value ORDER BY sum(items) DESC";
    assert_eq!(running.sql(values).await, [["silver"], ["gold"]]);
    running.stop().await;
}
