//! The API over the real engine: what was sent is what is answered, to who may see it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use petrel_aggregator::config::{Config, ListenAddr};
use petrel_aggregator::metadata::{Database, Metadata, NewUser, Sees};
use petrel_aggregator::pipeline;
use petrel_spool::ProjectId;
use petrel_wire::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const CONFIG: &str = "
site: { addr: 'http://localhost:14318' }
projects:
  - { id: 1, name: Shop, token: one }
  - { id: 2, name: Other, token: two }
auth: { users: [{ email: uptrace@localhost, password: uptrace, name: Anonymous }] }
";

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SECOND: u64 = 1_000_000_000;

struct Running {
    at: SocketAddr,
    /// Everything is sent as if it happened up to here.
    now: u64,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    dir: TempDir,
}

impl Running {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::parse("petrel.yml", CONFIG, &|_| None)
            .unwrap()
            .config;
        config.data_dir = dir.path().to_owned();
        config.listen.grpc.addr = ListenAddr::loopback(0);
        config.listen.http.addr = ListenAddr::loopback(0);
        let (ready, listening) = oneshot::channel();
        let stop = CancellationToken::new();
        let run = pipeline::run(config, SystemClock::shared(), stop.clone(), |at| {
            ready.send(at).unwrap();
        });
        let task = tokio::spawn(run);
        Self {
            at: listening.await.expect("it starts").http,
            now: SystemClock::new().wall().0 / SECOND * SECOND,
            stop,
            task,
            dir,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(60), self.task).await;
        stopped.expect("it stops in time").unwrap().unwrap();
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let stream = TcpStream::connect(self.at).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = request
            .header("host", "localhost:14318")
            .body(Full::new(Bytes::from(body)));
        let (parts, body) = sender
            .send_request(request.unwrap())
            .await
            .unwrap()
            .into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let cookie = parts
            .headers
            .get("set-cookie")
            .map(|value| value.to_str().unwrap());
        Answer {
            status: parts.status.as_u16(),
            cookie: cookie
                .and_then(|cookie| cookie.split(';').next())
                .map(str::to_owned),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    async fn send(&self, token: &str, path: &str, body: &Value) {
        let dsn = format!("http://{token}@localhost:14318?grpc=14317");
        let answer = self
            .ask("POST", path, &[("uptrace-dsn", dsn.as_str())], Some(body))
            .await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }

    async fn sign_in(&self, email: &str, password: &str) -> User<'_> {
        let login = json!({ "email": email, "password": password });
        let answer = self.ask("POST", "/api/v1/session", &[], Some(&login)).await;
        User {
            running: self,
            cookie: answer.cookie.expect("a cookie"),
        }
    }

    /// Unix nanoseconds, so many milliseconds before `now`, as OTLP/JSON writes them.
    fn ago(&self, ms: u64) -> String {
        (self.now - ms * 1_000_000).to_string()
    }

    fn time(&self) -> Value {
        json!({ "from": self.ago(1_800_000), "to": (self.now + SECOND).to_string() })
    }

    fn span(&self, trace: &str, id: u64, parent: u64, name: &str, ago_ms: u64, ms: u64) -> Value {
        let hex = |id: u64| {
            if id == 0 {
                String::new()
            } else {
                format!("{id:016x}")
            }
        };
        json!({
            "traceId": trace, "spanId": hex(id), "parentSpanId": hex(parent), "name": name, "kind": 2,
            "startTimeUnixNano": self.ago(ago_ms), "endTimeUnixNano": self.ago(ago_ms - ms),
        })
    }
}

struct Answer {
    status: u16,
    cookie: Option<String>,
    body: Value,
}

struct User<'a> {
    running: &'a Running,
    cookie: String,
}

impl User<'_> {
    async fn get(&self, path: &str) -> Answer {
        self.running
            .ask(
                "GET",
                &format!("/api/v1{path}"),
                &[("cookie", self.cookie.as_str())],
                None,
            )
            .await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let path = format!("/api/v1{path}");
        self.running
            .ask(
                "POST",
                &path,
                &[("cookie", self.cookie.as_str())],
                Some(body),
            )
            .await
    }

    /// Asks a list or chart about the last half hour.
    async fn search(&self, path: &str, more: Value) -> Value {
        let mut body = json!({ "time": self.running.time() });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = self.post(path, &body).await;
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
        assert!(answer.body["meta"]["elapsed_ms"].is_number());
        answer.body
    }

    async fn data(&self, path: &str, more: Value) -> Value {
        self.search(path, more).await["data"].take()
    }

    async fn eventually(&self, path: &str, more: Value, enough: impl Fn(&Value) -> bool) -> Value {
        let waited = tokio::time::timeout(Duration::from_secs(90), async {
            let mut tick = tokio::time::interval(Duration::from_millis(200));
            loop {
                tick.tick().await;
                let mut body = json!({ "time": self.running.time() });
                for (key, value) in more.as_object().unwrap() {
                    body[key] = value.clone();
                }
                let answer = self.post(path, &body).await;
                if answer.status == 200 && enough(&answer.body["data"]) {
                    return answer.body["data"].clone();
                }
            }
        });
        waited.await.expect("the store answers within 90 seconds")
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn resource(service: &str) -> Value {
    json!({ "attributes": [attribute("service.name", service), attribute("host.name", "web-1")] })
}

fn rows(data: &Value) -> usize {
    data.as_array().map_or(0, Vec::len)
}

async fn send_a_trace(running: &Running) {
    let mut root = running.span(TRACE, 1, 0, "GET /cart", 10_000, 500);
    root["attributes"] = json!([
        attribute("http.route", "/cart"),
        { "key": "http.response.status_code", "value": { "intValue": "500" } },
    ]);
    let mut query = running.span(TRACE, 2, 1, "SELECT cart", 9_900, 300);
    query["status"] = json!({ "code": 2, "message": "deadlock" });
    query["events"] = json!([{
        "timeUnixNano": running.ago(9_700), "name": "exception",
        "attributes": [attribute("exception.type", "Deadlock <script>")],
    }]);
    query["links"] = json!([{ "traceId": "1".repeat(32), "spanId": "2".repeat(16) }]);
    let orphan = running.span(TRACE, 3, 99, "late", 9_800, 100);
    let traces = json!({ "resourceSpans": [
        { "resource": resource("shop"),
          "scopeSpans": [{ "scope": { "name": "http", "version": "1.2" }, "spans": [root, orphan] }] },
        { "resource": resource("database"), "scopeSpans": [{ "spans": [query] }] },
    ] });
    running.send("one", "/v1/traces", &traces).await;
    let other = json!({ "resourceSpans": [{ "resource": resource("foreign"),
        "scopeSpans": [{ "spans": [running.span(TRACE, 7, 0, "secret", 10_000, 5)] }] }] });
    running.send("two", "/v1/traces", &other).await;
    let record = |ago, number, text: &str, body: &str, span: &str| {
        json!({ "timeUnixNano": running.ago(ago), "severityNumber": number, "severityText": text,
            "body": { "stringValue": body }, "traceId": if span.is_empty() { "" } else { TRACE },
            "spanId": span, "attributes": [attribute("thread", "main")] })
    };
    let logs = json!({ "resourceLogs": [{ "resource": resource("database"), "scopeLogs": [{ "logRecords": [
        record(9_750, 17, "Error", "Deadlock detected on cart", "0000000000000002"),
        record(9_000, 9, "", "Connection opened", ""),
        record(8_000, 0, "notice", "no number", ""),
    ] }] }] });
    running.send("one", "/v1/logs", &logs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_found_drawn_and_read_with_its_logs() {
    let running = Running::start().await;
    send_a_trace(&running).await;
    let user = running.sign_in("uptrace@localhost", "uptrace").await;

    let traces = user.eventually("/projects/1/traces/search", json!({}), |data| {
        data[0]["spans"] == 3
    });
    let trace = traces.await[0].clone();
    assert_eq!(trace["trace_id"], TRACE);
    assert_eq!(trace["root_service"], "shop");
    assert_eq!(trace["root_name"], "GET /cart");
    assert_eq!(trace["start"], running.ago(10_000));
    assert_eq!(trace["duration"], "500000000");
    assert_eq!(trace["errors"], 1);
    assert_eq!(trace["status"], "error");
    assert_eq!(trace["services"], json!(["database", "shop"]));

    filters_find_it(&user).await;
    let found = user.get(&format!("/traces/{}", TRACE.to_uppercase())).await;
    assert_eq!(
        rows(&found.body["data"]),
        2,
        "in both projects: {}",
        found.body
    );
    let missing = user.get(&format!("/traces/{}", "f".repeat(32))).await;
    assert_eq!(
        (missing.status, &missing.body["error"]["code"]),
        (404, &json!("trace_not_found"))
    );

    user.eventually("/projects/1/logs/search", json!({}), |data| rows(data) == 3)
        .await;
    let outline = user
        .get(&format!("/projects/1/traces/{TRACE}/outline"))
        .await
        .body["data"]
        .take();
    assert_eq!(outline["count"], 3);
    assert_eq!(outline["truncated"], false);
    assert_eq!(outline["t0"], running.ago(10_000));
    assert_eq!(outline["duration"], 500_000_000);
    assert_eq!(outline["services"], json!(["shop", "database"]));
    assert_eq!(
        outline["names"],
        json!(["GET /cart", "SELECT cart", "late"])
    );
    let columns = &outline["columns"];
    assert_eq!(
        columns["span_id"],
        json!(["0000000000000001", "0000000000000002", "0000000000000003"])
    );
    assert_eq!(columns["parent"], json!([-1, 0, -1]));
    assert_eq!(columns["start"], json!([0, 100_000_000, 200_000_000]));
    assert_eq!(
        columns["self"],
        json!([200_000_000, 300_000_000, 100_000_000])
    );
    assert_eq!(columns["flags"], json!([16, 1 + 4 + 8 + 16 + 32, 2]));

    let ids = json!({ "span_ids": ["0000000000000002", "0000000000000007"] });
    let spans = user
        .post(&format!("/projects/1/traces/{TRACE}/spans"), &ids)
        .await
        .body;
    assert_eq!(
        rows(&spans["data"]),
        1,
        "the other one is another project's"
    );
    let span = &spans["data"][0];
    assert_eq!(span["status"], "error");
    assert_eq!(span["status_message"], "deadlock");
    assert_eq!(span["resource"]["host.name"], "web-1");
    assert_eq!(
        span["events"][0]["attributes"]["exception.type"],
        "Deadlock <script>"
    );
    assert_eq!(span["events"][0]["time"], running.ago(9_700));
    assert_eq!(span["links"][0]["span_id"], "2".repeat(16));

    let logs = user
        .get(&format!("/projects/1/traces/{TRACE}/logs"))
        .await
        .body;
    assert_eq!(rows(&logs["data"]), 1);
    assert_eq!(logs["data"][0]["body"], "Deadlock detected on cart");
    assert_eq!(logs["data"][0]["resource"]["service.name"], "database");

    logs_are_listed(&user).await;
    keys_are_suggested(&user).await;
    others_see_nothing(&running).await;
    hostile_words_are_only_words(&user).await;
    running.stop().await;
}

async fn filters_find_it(user: &User<'_>) {
    let filter = |key, op, value| json!([{ "key": key, "op": op, "value": value }]);
    for (filters, count) in [
        (filter("service.name", "=", json!("database")), 1),
        (filter("service.name", "!=", json!("database")), 2),
        (filter("name", "contains", json!("get /")), 1),
        (filter("duration", ">=", json!(300_000_000)), 2),
        (filter("duration", "<", json!("300ms")), 1),
        (filter("status", "=", json!("error")), 1),
        (filter("kind", "=", json!("Server")), 3),
        (filter("http.route", "exists", Value::Null), 1),
        (filter("http.route", "missing", Value::Null), 2),
        (filter("http.response.status_code", ">=", json!(500)), 1),
        (filter("http.response.status_code", "=", json!(500)), 1),
        (filter("host.name", "=", json!("web-1")), 3),
        (filter("host.name", "!=", json!("web-1")), 0),
        (filter("host.name", "missing", Value::Null), 0),
        (filter("span_id", "=", json!("0000000000000003")), 1),
        (filter("trace_id", "=", json!(TRACE)), 3),
    ] {
        let spans = user
            .data("/projects/1/spans/search", json!({ "where": filters }))
            .await;
        assert_eq!(rows(&spans), count, "{filters}");
        let traces = user
            .data("/projects/1/traces/search", json!({ "where": filters }))
            .await;
        assert_eq!(rows(&traces), count.min(1), "{filters}");
    }
    let chart = user.data("/projects/1/spans/timeseries", json!({})).await;
    let sum = |values: &Value| {
        values
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .sum::<u64>()
    };
    assert_eq!((sum(&chart["count"]), sum(&chart["errors"])), (3, 1));
    let at = chart["count"]
        .as_array()
        .unwrap()
        .iter()
        .position(|count| *count != 0)
        .unwrap();
    assert!(chart["p99"][at].as_f64().unwrap() > 2e8, "{chart}");
    let from_to = &user.running.time();
    let (from, to) = (
        from_to["from"].as_str().unwrap(),
        from_to["to"].as_str().unwrap(),
    );
    let services = user
        .get(&format!("/projects/1/services?from={from}&to={to}"))
        .await
        .body;
    assert_eq!(services["data"][0]["service"], "shop");
    assert_eq!(
        (
            &services["data"][0]["spans"],
            &services["data"][1]["errors"]
        ),
        (&json!(2), &json!(1))
    );
    counts_say_the_same(user, to.parse().unwrap()).await;
}

/// The same spans over longer times, from what was counted of them.
async fn counts_say_the_same(user: &User<'_>, to: i64) {
    let ask = async |what: &str, hours: i64| {
        let from = to - hours * 3_600_000_000_000;
        let path = format!("/projects/1/{what}from={from}&to={to}");
        user.get(&path).await.body
    };
    for (hours, source) in [(1, "minutes"), (7, "five_minutes"), (73, "hours")] {
        let services = ask("services?", hours).await;
        assert_eq!(services["meta"]["source"], source);
        let shop = &services["data"][0];
        assert_eq!(
            (&shop["service"], &shop["spans"]),
            (&json!("shop"), &json!(2))
        );
        let p99 = shop["p99"].as_f64().unwrap();
        assert!((4.5e8..=5e8).contains(&p99), "{p99}");
        assert_eq!(services["data"][1]["errors"], 1);
        let groups = ask("groups?order=errors&", hours).await;
        assert_eq!(groups["meta"]["source"], source, "{groups}");
        let ids: Vec<_> = groups["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["id"])
            .collect();
        let query = ask("groups?q=sElect&service=database&", hours).await;
        assert_eq!(
            (rows(&query["data"]), &query["data"][0]["errors"]),
            (1, &json!(1))
        );
        assert!(ids.contains(&&query["data"][0]["id"]));
        let example = json!({ "trace_id": TRACE, "span_id": "0000000000000002" });
        assert_eq!(query["data"][0]["example"], example);
        assert_eq!(rows(&ask("groups?system=nothing&", hours).await["data"]), 0);
    }
    let cardinality = ask("cardinality?", 1).await;
    let attributes = cardinality["data"]["attributes"].as_array().unwrap();
    let of = |signal, key: &str| {
        let one = attributes
            .iter()
            .find(|one| one["signal"] == signal && one["key"] == key);
        one.map(|one| (one["values"].clone(), one["items"].clone()))
    };
    assert_eq!(of("logs", "thread"), Some((json!(1), json!(3))));
    assert_eq!(of("traces", "http.route"), Some((json!(1), json!(1))));
    let edges = ask("edges?", 1).await;
    assert!(edges["data"].is_array(), "{edges}");
}

async fn logs_are_listed(user: &User<'_>) {
    let filter = |op, value| json!([{ "key": "severity", "op": op, "value": value }]);
    let logs = user.data("/projects/1/logs/search", json!({})).await;
    let bodies: Vec<_> = logs
        .as_array()
        .unwrap()
        .iter()
        .map(|log| log["body"].clone())
        .collect();
    assert_eq!(
        bodies,
        [
            "no number",
            "Connection opened",
            "Deadlock detected on cart"
        ]
    );
    assert_eq!(logs[0]["severity_text"], "notice");
    assert_eq!(logs[1]["severity_text"], "INFO");
    assert_eq!(
        (&logs[1]["trace_id"], &logs[1]["span_id"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(
        (&logs[2]["trace_id"], &logs[2]["severity_number"]),
        (&json!(TRACE), &json!(17))
    );
    for (more, count) in [
        (json!({ "text": "cart DEADLOCK" }), 1),
        (json!({ "text": "cart opened" }), 0),
        (json!({ "where": filter(">=", json!("warn")) }), 1),
        (json!({ "where": filter("=", json!("info")) }), 1),
        (json!({ "where": filter("=", json!("NOTICE")) }), 1),
        (
            json!({ "where": [{ "key": "thread", "op": "=", "value": "main" }] }),
            3,
        ),
        (
            json!({ "where": [{ "key": "trace_id", "op": "exists" }] }),
            1,
        ),
    ] {
        assert_eq!(
            rows(&user.data("/projects/1/logs/search", more.clone()).await),
            count,
            "{more}"
        );
    }
    let chart = user.data("/projects/1/logs/histogram", json!({})).await;
    let words: Vec<_> = chart["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["severity"].clone())
        .collect();
    assert_eq!(words, ["ERROR", "INFO", "NOTICE"]);
}

async fn keys_are_suggested(user: &User<'_>) {
    let words = async |path: &str, key: &str| {
        let answer = user.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let rows = answer.body["data"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| format!("{}={}", row[key].as_str().unwrap(), row["count"]))
            .collect::<Vec<_>>()
    };
    let keys = words("/projects/1/keys?signal=traces&q=h", "key").await;
    assert!(keys.contains(&"http.route=1".to_owned()), "{keys:?}");
    assert!(keys.contains(&"host.name=3".to_owned()), "{keys:?}");
    assert_eq!(
        words("/projects/1/values?signal=traces&key=host.name", "value").await,
        ["web-1=3"]
    );
    assert_eq!(
        words("/projects/1/values?signal=traces&key=service.name", "value").await,
        ["shop=2", "database=1"]
    );
    assert_eq!(
        words("/projects/1/values?signal=logs&key=thread&q=MA", "value").await,
        ["main=3"]
    );
    assert_eq!(
        words("/projects/1/values?signal=logs&key=severity&q=err", "value").await,
        ["ERROR=1"]
    );
}

async fn others_see_nothing(running: &Running) {
    let clock = SystemClock::shared();
    let database = Database::Sqlite(running.dir.path().join("meta.sqlite"));
    let metadata = Metadata::open(&database, clock).await.unwrap();
    let ada = NewUser {
        email: "ada@example.com".to_owned(),
        password: "four grey petrels".to_owned(),
        name: "Ada".to_owned(),
        sees: Sees::Granted,
    };
    let ada = metadata.create_user(ada).await.unwrap();
    metadata.grant(&ada.id, ProjectId(2)).await.unwrap();
    metadata.close().await;
    let ada = running
        .sign_in("ada@example.com", "four grey petrels")
        .await;
    let found = ada.get(&format!("/traces/{TRACE}")).await.body;
    assert_eq!(rows(&found["data"]), 1);
    assert_eq!(found["data"][0]["project_name"], "Other");
    let outline = ada
        .get(&format!("/projects/2/traces/{TRACE}/outline"))
        .await
        .body;
    assert_eq!(outline["data"]["names"], json!(["secret"]));
    assert_eq!(
        ada.get(&format!("/projects/1/traces/{TRACE}/outline"))
            .await
            .status,
        404
    );
}

/// The store must take each of these for a word, whatever it looks like.
async fn hostile_words_are_only_words(user: &User<'_>) {
    for word in [
        "\\",
        "'",
        "\\'",
        "\"",
        "`",
        "--",
        "/* */",
        "\0",
        "\t\n",
        "{p0:String}",
        "?",
        "') OR 1=1 --",
        "x'] OR attributes['y",
        "\u{202e}",
        "%_",
        "ü日本",
    ] {
        let filters = json!([
            { "key": word, "op": "missing" },
            { "key": "name", "op": "!=", "value": word },
            { "key": word, "op": "!=", "value": word },
        ]);
        let spans = user
            .data("/projects/1/spans/search", json!({ "where": filters }))
            .await;
        assert_eq!(rows(&spans), 3, "{word:?}");
        let filters = json!([{ "key": "name", "op": "=", "value": word }]);
        let spans = user
            .data("/projects/1/spans/search", json!({ "where": filters }))
            .await;
        assert_eq!(rows(&spans), 0, "{word:?}");
        let metric = json!({ "metric": word, "aggregate": "avg", "group_by": [word] });
        let lines = user.data("/projects/1/metrics/query", metric).await;
        assert_eq!(rows(&lines["series"]), 0, "{word:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_over_pages_shows_every_row_once() {
    let running = Running::start().await;
    let spans: Vec<_> = (1..=25)
        .map(|n| {
            let trace = format!("{n:032x}");
            // Five start together, so that ties decide.
            running.span(&trace, n, 0, "tick", 1000 + n / 5 * 10, 1)
        })
        .collect();
    let record = json!({ "timeUnixNano": running.ago(500), "body": { "stringValue": "twin" } });
    let traces = json!({ "resourceSpans": [{ "resource": resource("clock"), "scopeSpans": [{ "spans": spans }] }] });
    running.send("one", "/v1/traces", &traces).await;
    let logs = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": vec![record; 25] }] }] });
    running.send("one", "/v1/logs", &logs).await;
    let user = running.sign_in("uptrace@localhost", "uptrace").await;
    for (path, unique) in [("spans", true), ("traces", true), ("logs", false)] {
        let path = format!("/projects/1/{path}/search");
        user.eventually(&path, json!({}), |data| rows(data) == 25)
            .await;
        let (mut seen, mut page, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let body = json!({ "limit": 10, "page": page });
            let answer = user.search(&path, body).await;
            seen.extend(
                answer["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(ToString::to_string),
            );
            pages += 1;
            page = answer["meta"]["next"].clone();
            if page.is_null() {
                break;
            }
        }
        assert_eq!((pages, seen.len()), (3, 25), "{path}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), if unique { 25 } else { 1 }, "{path}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_listed_and_drawn() {
    let running = Running::start().await;
    let at = |ago_ms: u64, value: f64, host: &str| {
        json!({ "timeUnixNano": running.ago(ago_ms), "startTimeUnixNano": running.ago(3_600_000),
            "asDouble": value, "attributes": [attribute("host", host)] })
    };
    let histogram = |ago_ms: u64| {
        json!({ "timeUnixNano": running.ago(ago_ms), "startTimeUnixNano": running.ago(ago_ms + 1000),
            "count": "100", "sum": 1500.0, "min": 1.0, "max": 29.0,
            "explicitBounds": [10.0, 20.0], "bucketCounts": ["25", "50", "25"] })
    };
    let exponential = json!({ "timeUnixNano": running.ago(60_000), "startTimeUnixNano": running.ago(61_000),
        "count": "4", "sum": 400.0, "scale": 3, "zeroCount": "0",
        "positive": { "offset": 53, "bucketCounts": ["4"] } });
    let metrics = json!({ "resourceMetrics": [{ "resource": resource("shop"), "scopeMetrics": [{ "metrics": [
        { "name": "queue.length", "unit": "{item}", "description": "Waiting",
          "gauge": { "dataPoints": [at(61_000, 4.0, "a"), at(60_000, 6.0, "a"), at(60_000, 10.0, "b")] } },
        { "name": "requests", "sum": { "aggregationTemporality": 2, "isMonotonic": true,
          "dataPoints": [at(120_000, 100.0, "a"), at(60_000, 160.0, "a"), at(59_000, 20.0, "a")] } },
        { "name": "latency", "unit": "ms", "histogram": { "aggregationTemporality": 1,
          "dataPoints": [histogram(60_000), histogram(59_000)] } },
        { "name": "sizes", "unit": "By", "exponentialHistogram": { "aggregationTemporality": 1,
          "dataPoints": [exponential] } },
    ] }] }] });
    running.send("one", "/v1/metrics", &metrics).await;
    let user = running.sign_in("uptrace@localhost", "uptrace").await;
    // One step that holds all points but the counter's first.
    let time = json!({ "from": running.ago(90_000), "to": running.ago(0) });
    let query = |metric: &str, aggregate: &str, group_by: Value| json!({ "time": time, "metric": metric, "aggregate": aggregate, "group_by": group_by, "step_ms": 3_600_000 });
    let sizes = query("sizes", "count", json!([]));
    user.eventually("/projects/1/metrics/query", sizes, |data| {
        rows(&data["series"]) == 1
    })
    .await;

    let listed = user.get("/projects/1/metrics").await.body["data"].take();
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| metric["name"].clone())
        .collect();
    assert_eq!(names, ["latency", "queue.length", "requests", "sizes"]);
    assert_eq!(listed[1]["type"], "gauge");
    assert_eq!(
        (&listed[1]["unit"], &listed[1]["series"]),
        (&json!("{item}"), &json!(2))
    );
    assert_eq!(listed[3]["type"], "exponential_histogram");

    for (metric, aggregate, expected) in [
        ("queue.length", "avg", 20.0 / 3.0),
        ("queue.length", "sum", 16.0),
        ("queue.length", "min", 4.0),
        ("queue.length", "max", 10.0),
        ("queue.length", "count", 3.0),
        ("requests", "sum", 80.0),
        ("requests", "rate", 80.0 / 3600.0),
        ("requests", "max", 160.0),
        ("latency", "count", 200.0),
        ("latency", "avg", 15.0),
        ("latency", "p50", 15.0),
        ("latency", "max", 29.0),
        ("sizes", "avg", 100.0),
        ("sizes", "p50", 103.0),
    ] {
        let answer = user
            .post(
                "/projects/1/metrics/query",
                &query(metric, aggregate, json!([])),
            )
            .await;
        assert_eq!(answer.status, 200, "{metric} {aggregate}: {}", answer.body);
        let lines = &answer.body["data"]["series"];
        assert_eq!(rows(lines), 1, "{metric} {aggregate}");
        // The hour may turn within the window: the steps together are the answer then.
        let values: Vec<f64> = lines[0]["values"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        if values.len() == 1 {
            let close = (values[0] - expected).abs() < 0.05 * expected;
            assert!(close, "{metric} {aggregate}: {values:?}, not {expected}");
        }
    }
    let grouped = query("queue.length", "max", json!(["host", "service.name"]));
    let lines = user.post("/projects/1/metrics/query", &grouped).await.body["data"].take();
    assert_eq!(lines["unit"], "{item}");
    assert_eq!(
        lines["series"][1]["labels"],
        json!({ "host": "b", "service.name": "shop" })
    );
    for (metric, aggregate) in [
        ("queue.length", "rate"),
        ("queue.length", "p99"),
        ("latency", "last"),
    ] {
        let answer = user
            .post(
                "/projects/1/metrics/query",
                &query(metric, aggregate, json!([])),
            )
            .await;
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (400, &json!("bad_aggregate"))
        );
    }
    let keys = user.get("/projects/1/keys?signal=metrics").await.body;
    assert!(
        keys["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["key"] == "host"),
        "{keys}"
    );
    running.stop().await;
}
