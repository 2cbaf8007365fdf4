//! Processors in a running agent: replaced under load, and kept when what should follow them is bad.

use std::cell::Cell;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use petrel_agent::telemetry::{Level, Report};

use crate::guest::{Guest, added, hide, hides_unless, keeps_count};
use crate::harness::{Reply, Site};
use crate::process::Process;

/// The machine may have better things to do than these guests.
const PATIENT: &str = "limits: { call: 30s }";

fn secret(value: &str) -> Vec<KeyValue> {
    vec![KeyValue {
        key: "secret".into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }]
}

/// Log records with these values under `secret`; their resource has the first of them.
pub(crate) fn secrets(values: &[String]) -> ExportLogsServiceRequest {
    let record = |value: &String| LogRecord {
        body: Some(AnyValue {
            value: Some(Value::StringValue("hello".into())),
        }),
        attributes: secret(value),
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: secret(&values[0]),
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                log_records: values.iter().map(record).collect(),
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

/// Writes these eight letters into every `secret` of a table: 0 resources, 2 records.
fn writer(table: u8, text: &str) -> Guest {
    Guest {
        configure: format!("(i32.store8 (i32.const 512) (i32.const {table}))"),
        more: format!("(data (i32.const 5000) \"{text}\")"),
        ..Guest::that(&(added(5000, 8) + &hide(0, 0x8000_0000)))
    }
}

fn text(attributes: &[KeyValue]) -> String {
    let value = attributes[0].value.clone().and_then(|any| any.value);
    match value {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn sha256(report: &Report, processor: usize) -> &str {
    &report.processors[processor].sha256
}

#[tokio::test]
async fn processors_are_replaced_under_load_and_no_batch_sees_two_versions() {
    let mut site = Site::with(|_| Reply::Echo).await;
    // Two that must agree, one for resources and one for records.
    let versions = ["version1", "version2"];
    let write = |site: &Site, version: &str| {
        site.guest("resources", &writer(0, version));
        site.guest("records", &writer(2, version));
    };
    site.extra = format!(
        "processors: [ {{ plugin: resources.wasm, {PATIENT} }}, {{ plugin: records.wasm, {PATIENT} }} ]\n"
    );
    write(&site, versions[0]);
    let process = Process::start(&site, &[]).await;
    let values: Vec<_> = (0..50).map(|n| format!("value {n}")).collect();
    let request = secrets(&values);
    let is_over = Cell::new(false);
    let sender = async || {
        let mut sent = 0;
        while !is_over.get() {
            let (status, answer) = process.post(&request).await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
            sent += 50;
        }
        sent
    };
    let reloads = async {
        for round in 0..6 {
            let before = process.report().await.processors;
            write(&site, versions[(round + 1) % 2]);
            process.signal("HUP");
            process
                .shows("the next version has worked", |now| {
                    let now = &now.processors;
                    now[1].sha256 != before[1].sha256 && now[1].calls > before[1].calls + 10
                })
                .await;
        }
        is_over.set(true);
    };
    let (one, other, third, ()) = tokio::join!(sender(), sender(), sender(), reloads);
    let sent = one + other + third;
    let report = process
        .shows("all is delivered", |report| {
            report.signals[1].delivered == sent
        })
        .await;
    assert_eq!(report.processors[0].failures, 0, "{report:?}");
    let mut seen = [0; 2];
    for group in site
        .peer
        .seen()
        .iter()
        .flat_map(|seen| seen.logs().resource_logs)
    {
        let version = text(&group.resource.unwrap().attributes);
        for record in &group.scope_logs[0].log_records {
            assert_eq!(text(&record.attributes), version);
        }
        seen[usize::from(version == versions[1])] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn a_version_that_does_not_load_or_fails_on_recent_data_leaves_the_old_one_at_work() {
    let mut site = Site::with(|_| Reply::Echo).await;
    site.extra = format!("processors: [ {{ name: hider, plugin: guest.wasm, {PATIENT} }} ]\n");
    site.guest("guest", &writer(2, "version1"));
    let process = Process::start(&site, &[]).await;
    let values = ["good".to_owned(), "bad!".to_owned()];
    assert_eq!(process.post(&secrets(&values)).await.0, 200);
    let before = process.report().await;
    let bad: [(&str, Option<Guest>, &str); 3] = [
        (
            "no component",
            None,
            "guest.wasm is not a WebAssembly component",
        ),
        (
            "a trap in configure",
            Some(Guest {
                configure: "unreachable".into(),
                ..Guest::default()
            }),
            "does not take its `config`",
        ),
        (
            "a trap on what came lately",
            Some(hides_unless("unreachable")),
            "fails on data that came lately",
        ),
    ];
    for (what, guest, why) in bad {
        match guest {
            Some(guest) => site.guest("guest", &guest),
            None => site.write("guest.wasm", "not yet"),
        }
        process.signal("HUP");
        let words = |report: &Report| report.reload.clone().and_then(|reload| reload.error);
        let report = process
            .shows(what, |report| {
                words(report).is_some_and(|words| words.contains(why))
            })
            .await;
        let words = words(&report).unwrap();
        assert!(words.contains("hider"), "{words}");
        assert_eq!(sha256(&report, 0), sha256(&before, 0), "{what}");
        assert_eq!(report.health.status, Level::Degraded);
        let reasons = report.health.reasons.join("\n");
        assert!(
            reasons.contains("newest configuration is not in use"),
            "{reasons}"
        );
        assert!(petrel_agent::status::page(&report).contains("reload     failed"));
        assert_eq!(process.post(&secrets(&values)).await.0, 200);
    }
    site.guest("guest", &writer(2, "version2"));
    process.signal("HUP");
    let report = process
        .shows("a good version is taken up", |report| {
            let is_over = report.reload.as_ref().is_some_and(|it| it.error.is_none());
            is_over && sha256(report, 0) != sha256(&before, 0)
        })
        .await;
    assert_eq!(report.health.status, Level::Ok, "{report:?}");
    assert_eq!(process.post(&secrets(&values)).await.0, 200);
    process
        .shows("all is delivered", |report| {
            report.signals[1].delivered == 10
        })
        .await;
    let mut records: Vec<_> = site
        .peer
        .seen()
        .iter()
        .flat_map(|seen| seen.logs().resource_logs)
        .flat_map(|group| group.scope_logs[0].log_records.clone())
        .map(|record| text(&record.attributes))
        .collect();
    // Batches may overtake each other.
    records.sort();
    assert_eq!(records[..8], ["version1"; 8]);
    assert_eq!(records[8..], ["version2"; 2]);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn what_a_processor_keeps_survives_a_restart() {
    let mut site = Site::with(|_| Reply::Echo).await;
    site.extra = format!("processors: [ {{ name: counter, plugin: guest.wasm, {PATIENT} }} ]\n");
    site.guest("guest", &keeps_count());
    for run in 0..3 {
        let process = Process::start(&site, &[]).await;
        for _ in 0..2 {
            let (status, _) = process.post(&secrets(&["value".to_owned()])).await;
            assert_eq!(status, 200);
        }
        let sent = 2 * (run + 1);
        let delivered = |report: &Report| report.signals[1].delivered == sent;
        process.shows("all is delivered", delivered).await;
        assert_eq!(process.stop().await, Some(0));
    }
    let records = site.peer.seen().into_iter().flat_map(|seen| {
        let groups = seen.logs().resource_logs.into_iter();
        groups.flat_map(|group| {
            group
                .scope_logs
                .into_iter()
                .flat_map(|scope| scope.log_records)
        })
    });
    let mut counts: Vec<_> = records.map(|record| text(&record.attributes)).collect();
    // Requests in flight may pass each other.
    counts.sort();
    let expected: Vec<_> = (1..=6).map(|count| format!("number {count}")).collect();
    assert_eq!(counts, expected);
}
