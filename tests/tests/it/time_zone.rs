//! The server's time zone is nobody's business.

use std::time::Duration;

use petrel_tests::api::Api;
use petrel_tests::central::{Central, Project};
use petrel_tests::http;
use petrel_tests::process::wait_until;
use petrel_tests::telemetry::{
    Ids, Log, Resource, SpanDraft, gauge, logs_request, metrics_request, traces_request,
};
use petrel_wire::{Clock as _, Signal, SystemClock};
use serde_json::{Value, json};

const TOKEN: &str = "zone_token";
const HOUR: u64 = 3_600_000_000_000;
const DAY: u64 = 24 * HOUR;

#[test]
fn a_server_in_another_time_zone_gives_the_same_answers() -> anyhow::Result<()> {
    // An hour before midnight in UTC is noon of another day in Auckland.
    let yesterday = SystemClock::new().wall().0 / DAY * DAY - HOUR;
    let at_home = answers("UTC", yesterday)?;
    let far_away = answers("Pacific/Auckland", yesterday)?;
    assert_eq!(at_home.zone, "UTC");
    assert_eq!(far_away.zone, "Pacific/Auckland", "the zone was not taken");
    assert!(at_home.rows.len() == 3, "{:?}", at_home.rows);
    assert_eq!(at_home.rows, far_away.rows);
    assert_eq!(at_home.lists, far_away.lists);
    Ok(())
}

struct Answers {
    zone: String,
    rows: Vec<Vec<Vec<String>>>,
    lists: Vec<Value>,
}

fn answers(zone: &'static str, at: u64) -> anyhow::Result<Answers> {
    let dir = tempfile::Builder::new().prefix("petrel-zone-").tempdir()?;
    let project = Project {
        id: 1,
        token: TOKEN.to_owned(),
    };
    let mut central = Central::configure(dir.path(), "central", &[project])?;
    central.environment.push(("TZ", zone));
    central.start()?;
    send(&central, at)?;
    wait_until(Duration::from_secs(30), "everything is stored", || {
        let count = |view: &str| central.count(&format!("SELECT count() FROM {view}"));
        Ok(count("spans")? == 4 && count("logs")? == 4 && count("points")? == 4)
    })?;
    let rows = [
        "SELECT time, bucket, toDate(bucket), toHour(time), name FROM spans ORDER BY time",
        "SELECT time, bucket, toDate(bucket), body FROM logs ORDER BY time",
        "SELECT time, bucket, toDate(bucket), value FROM points ORDER BY time",
    ];
    let rows = rows.iter().map(|question| central.sql(question));
    let api = Api::sign_in(&central, dir.path())?;
    let time = json!({ "from": (at - HOUR).to_string(), "to": (at + 3 * HOUR).to_string() });
    let lists = [
        ("spans/search", json!({ "time": time })),
        ("spans/timeseries", json!({ "time": time })),
        ("traces/search", json!({ "time": time })),
        ("logs/search", json!({ "time": time })),
        ("logs/histogram", json!({ "time": time })),
        (
            "metrics/query",
            json!({ "time": time, "metric": "depth", "aggregate": "avg", "step_ms": DAY / 1_000_000 }),
        ),
    ];
    let lists = lists.iter().map(|(path, question)| {
        let answer = api.post(&format!("/projects/1/{path}"), question)?;
        Ok::<_, anyhow::Error>(answer["data"].clone())
    });
    Ok(Answers {
        zone: central.sql("SELECT serverTimezone()")?.concat().concat(),
        rows: rows.collect::<anyhow::Result<_>>()?,
        lists: lists.collect::<anyhow::Result<_>>()?,
    })
}

/// One item of each signal every half hour, over midnight.
fn send(central: &Central, at: u64) -> anyhow::Result<()> {
    let resource = Resource::new("zone");
    let mut ids = Ids::seeded(5);
    let times: Vec<u64> = (0..4).map(|step| at + step * HOUR / 2).collect();
    let spans = times.iter().map(|at| {
        let trace = ids.trace();
        SpanDraft::server(&mut ids, trace, "GET /").lasting(*at, 1_000_000)
    });
    let spans = traces_request(&[(resource.clone(), spans.collect())]);
    let logs = times.iter().map(|at| Log {
        at: *at,
        severity: 9,
        body: format!("at {at}"),
        trace: [7; 16],
        span: [7; 8],
    });
    let logs = logs_request(&resource, &logs.collect::<Vec<_>>());
    let points = (1_u8..).zip(&times);
    let points = points.map(|(value, at)| gauge("depth", "1", *at, f64::from(value)));
    let points = metrics_request(&resource, points.collect());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for (signal, body) in [
        (Signal::Traces, spans),
        (Signal::Logs, logs),
        (Signal::Metrics, points),
    ] {
        let url = format!("http://127.0.0.1:{}{}", central.http_port, signal.path());
        let response = runtime.block_on(async {
            http::client()
                .post(url)
                .header("content-type", "application/x-protobuf")
                .header("uptrace-dsn", central.dsn(TOKEN))
                .body(body)
                .send()
                .await
        })?;
        assert_eq!(response.status(), 200, "{signal}");
    }
    Ok(())
}
