//! Zipkin's spans, sent by a tracer and by ClickHouse itself.

use super::{Whole, now_seconds, post};

const JSON: (&str, &str) = ("content-type", "application/json");

/// `system.opentelemetry_span_log` as ClickHouse's server has it; the embedded engine has none.
pub(crate) const SPAN_LOG: &str = "CREATE TABLE system.opentelemetry_span_log (
    trace_id UUID, span_id UInt64, parent_span_id UInt64,
    operation_name LowCardinality(String), kind Int8,
    start_time_us UInt64, finish_time_us UInt64, finish_date Date,
    attribute Map(LowCardinality(String), String),
    `attribute.names` Array(LowCardinality(String)) ALIAS mapKeys(attribute),
    `attribute.values` Array(String) ALIAS mapValues(attribute)
) ENGINE = MergeTree ORDER BY (finish_date, finish_time_us)";

/// The view of ClickHouse's documentation ("Integration with monitoring systems"), word for word.
const VIEW: &str = r#"CREATE MATERIALIZED VIEW default.zipkin_spans
ENGINE = URL('http://127.0.0.1:9411/api/v2/spans', 'JSONEachRow')
SETTINGS output_format_json_named_tuples_as_objects = 1,
    output_format_json_array_of_rows = 1 AS
SELECT
    lower(hex(reinterpretAsFixedString(trace_id))) AS traceId,
    lower(hex(parent_span_id)) AS parentId,
    lower(hex(span_id)) AS id,
    operation_name AS name,
    start_time_us AS timestamp,
    finish_time_us - start_time_us AS duration,
    cast(tuple('clickhouse'), 'Tuple(serviceName text)') AS localEndpoint,
    cast(tuple(
        attribute.values[indexOf(attribute.names, 'db.statement')]),
        'Tuple("db.statement" text)') AS tags
FROM system.opentelemetry_span_log"#;

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_a_zipkin_tracer_are_stored_for_the_project_of_their_dsn() {
    let whole = Whole::start().await;
    let second = now_seconds();
    let body = format!(
        r#"[{{"traceId":"5982fe77008310cc80f1da5e10147517","id":"bd7a977555f6b982","name":"get",
            "kind":"CLIENT","timestamp":{second}467000,"duration":386000,
            "localEndpoint":{{"serviceName":"zipkin-query","ipv4":"192.168.1.2","port":9411}},
            "annotations":[{{"timestamp":{second}467001,"value":"ws"}}],
            "tags":{{"error":"no such trace","http.path":"/traces"}}}}]"#
    );
    for (headers, path, project) in [
        (
            vec![JSON, ("uptrace-dsn", "http://one@localhost")],
            "/api/v2/spans",
            "1",
        ),
        (
            vec![JSON, ("authorization", "Bearer two")],
            "/api/v2/spans",
            "2",
        ),
        (vec![JSON], "/api/v2/spans?dsn=http://two@localhost", "2"),
    ] {
        let answer = post(whole.at.http, path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 202, "{project}: {}", answer.words());
        assert!(answer.body.is_empty());
    }
    let rows = whole
        .rows(
            3,
            "SELECT project_id, trace_id, span_id, service_name, name, kind, status, status_message, \
             duration, attributes['http.path'], events[1].name FROM spans ORDER BY project_id",
        )
        .await;
    let row = "1 5982fe77008310cc80f1da5e10147517 bd7a977555f6b982 zipkin-query get client error \
               no+such+trace 386000000 /traces ws";
    let words = |row: &[String]| {
        row.iter()
            .map(|cell| cell.replace(' ', "+"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(words(&rows[0]), row);
    assert_eq!(words(&rows[2][1..]), row[2..]);
    assert_eq!((rows[1][0].as_str(), rows[2][0].as_str()), ("2", "2"));
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_of_clickhouses_documentation_pushes_the_servers_own_spans_here() {
    let whole = Whole::start().await;
    let owner = whole.owner();
    owner.query_raw(SPAN_LOG).execute().await.unwrap();
    // Everything as documented but the address, which says whose spans they are.
    let address = format!(
        "http://{}/api/v2/spans?dsn=http://one@localhost",
        whole.at.http
    );
    let view = VIEW.replace("http://127.0.0.1:9411/api/v2/spans", &address);
    owner.query_raw(&view).execute().await.unwrap();
    let micros = now_seconds() * 1_000_000;
    // Old servers quoted what JavaScript cannot count; both are taken.
    for (quoted, span, parent) in [(1, 255, 0), (0, 511, 255)] {
        owner
            .clone()
            .with_setting(
                "output_format_json_quote_64bit_integers",
                quoted.to_string(),
            )
            .query_raw(&format!(
                "INSERT INTO system.opentelemetry_span_log SELECT \
                 '0af76519-16cd-43dd-8448-eb211c80319c', {span}, {parent}, 'query', 1, {micros}, \
                 {micros} + 1500, today(), map('db.statement', 'SELECT {span}')"
            ))
            .execute()
            .await
            .unwrap();
    }
    let rows = whole
        .rows(
            2,
            "SELECT span_id, parent_id, name, duration, attributes['db.statement'], service_name \
             FROM spans WHERE project_id = 1 ORDER BY span_id",
        )
        .await;
    assert_eq!(
        rows[0],
        [
            "00000000000000ff",
            "",
            "query",
            "1500000",
            "SELECT 255",
            "clickhouse"
        ]
    );
    assert_eq!(
        rows[1],
        [
            "00000000000001ff",
            "00000000000000ff",
            "query",
            "1500000",
            "SELECT 511",
            "clickhouse"
        ]
    );
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_zipkins_own_port_the_view_works_as_it_is_documented() {
    let whole =
        Whole::start_with("listen: { zipkin: { addr: '127.0.0.1:0', token: two } }\n").await;
    let at = whole.at.zipkin.expect("it is open");
    let owner = whole.owner();
    owner.query_raw(SPAN_LOG).execute().await.unwrap();
    // Word for word but the number of the port, which another test may have.
    let view = VIEW.replace("127.0.0.1:9411", &at.to_string());
    owner.query_raw(&view).execute().await.unwrap();
    let micros = now_seconds() * 1_000_000;
    owner
        .query_raw(&format!(
            "INSERT INTO system.opentelemetry_span_log SELECT \
             '0af76519-16cd-43dd-8448-eb211c80319c', 255, 0, 'query', 1, {micros}, {micros} + 1500, \
             today(), map('db.statement', 'SELECT 1')"
        ))
        .execute()
        .await
        .unwrap();
    // Who shows a DSN sends for its own project, also here.
    let span = br#"[{"traceId":"1","id":"2"}]"#;
    let dsn = ("uptrace-dsn", "http://one@localhost");
    assert_eq!(
        post(at, "/api/v2/spans", &[JSON, dsn], span).await.status,
        202
    );
    let unknown = ("uptrace-dsn", "http://three@localhost");
    assert_eq!(
        post(at, "/api/v2/spans", &[JSON, unknown], span)
            .await
            .status,
        401
    );
    let rows = whole
        .rows(2, "SELECT project_id, name FROM spans ORDER BY project_id")
        .await;
    assert_eq!(
        (rows[0].join("|"), rows[1].join("|")),
        ("1|".to_owned(), "2|query".to_owned())
    );
    // Nothing but spans is taken there, and nothing is shown.
    for path in ["/v1/traces", "/api/v1/write", "/"] {
        assert_eq!(post(at, path, &[JSON], b"{}").await.status, 404, "{path}");
    }
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_a_dsn_and_words_say_what_is_wrong() {
    let whole = Whole::start().await;
    let dsn = ("uptrace-dsn", "http://one@localhost");
    let send = async |headers: &[(&str, &str)], body: &str| {
        post(whole.at.http, "/api/v2/spans", headers, body.as_bytes()).await
    };
    let answer = send(&[JSON], "[]").await;
    assert_eq!(answer.status, 401);
    assert!(answer.words().contains("uptrace-dsn"), "{}", answer.words());
    let answer = send(&[JSON, dsn], r#"[{"traceId":"x","id":"1"}]"#).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.words().contains("span 0: traceId"),
        "{}",
        answer.words()
    );
    let answer = send(&[("content-type", "application/x-thrift"), dsn], "").await;
    assert_eq!(answer.status, 415);
    assert_eq!(send(&[JSON, dsn], "[]").await.status, 202);
    whole.stop().await;
}
