//! Held spans in a running agent: durable before they are acknowledged, decided once, never doubled.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use petrel_agent::telemetry::Report;
use prost::Message as _;

use crate::guest::holder;
use crate::harness::{Reply, Site};
use crate::process::Process;

const KEEP: Option<u8> = Some(0);
const DROP: Option<u8> = Some(1);
const PATIENT: &str = "limits: { call: 30s }";

/// Spans of one trace, each with a number of its own and so many bytes of attribute.
fn spans(trace: u32, numbers: &[u64], bytes: usize) -> ExportTraceServiceRequest {
    let span = |number: &u64| Span {
        trace_id: u128::from(trace).to_be_bytes().to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: "GET /".into(),
        attributes: vec![KeyValue {
            key: "filler".into(),
            value: Some(AnyValue {
                value: Some(Value::StringValue("x".repeat(bytes))),
            }),
            ..KeyValue::default()
        }],
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: numbers.iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// Numbers of the spans that the peer has, and how often each; a batch that came again under its name
/// counts once, as at an aggregator.
fn stored(site: &Site) -> BTreeMap<u64, usize> {
    let mut names = BTreeSet::new();
    let mut stored = BTreeMap::new();
    for seen in site.peer.seen() {
        if seen.path != "/v1/traces" || !names.insert(seen.id().unwrap().to_string()) {
            continue;
        }
        let request = ExportTraceServiceRequest::decode(seen.unpacked().as_slice()).unwrap();
        let scopes = request
            .resource_spans
            .into_iter()
            .flat_map(|one| one.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let number = u64::from_be_bytes(span.span_id.try_into().unwrap());
            *stored.entry(number).or_default() += 1;
        }
    }
    stored
}

fn assert_balanced(report: &Report) {
    for s in &report.signals {
        let settled = s.spooled_now + s.dropped + s.refused + s.held + s.unreadable + s.in_hand;
        assert_eq!(s.admitted + s.resumed, settled, "{report:?}");
    }
    let w = &report.window;
    let gone = w.released + w.dropped + w.corrupt + w.refused;
    assert_eq!(w.taken, gone + w.here, "{report:?}");
    assert_eq!(report.signals[0].held, w.here, "{report:?}");
}

async fn site(window: &str) -> Site {
    let mut site = Site::with(|_| Reply::Echo).await;
    site.extra = format!(
        "processors: [ {{ name: holder, plugin: holder.wasm, {PATIENT} }} ]\nwindow: {{ {window} }}\n"
    );
    site
}

#[tokio::test]
async fn held_spans_outlive_a_kill_and_the_next_process_decides_about_them_again() {
    let site = site("").await;
    site.guest("holder", &holder(None, false));
    let process = Process::start(&site, &[]).await;
    assert_eq!(process.post_spans(&spans(1, &[1, 2], 10)).await, Some(200));
    assert_eq!(process.post_spans(&spans(2, &[3], 10)).await, Some(200));
    let report = process.report().await;
    assert_eq!((report.signals[0].held, report.window.traces), (3, 2));
    assert_eq!(report.signals[0].spooled, 0);
    assert_balanced(&report);
    process.kill();
    assert_eq!(stored(&site), BTreeMap::new());

    site.guest("holder", &holder(KEEP, false));
    let process = Process::start(&site, &[]).await;
    let report = process
        .shows("what was held is delivered", |report| {
            report.signals[0].delivered == 3
        })
        .await;
    assert_eq!(report.window.offered_items, 3);
    assert_eq!(report.signals[0].resumed, 3);
    let report = process
        .shows("the release has ended", |report| report.window.here == 0)
        .await;
    assert_balanced(&report);
    assert_eq!(stored(&site), [(1, 1), (2, 1), (3, 1)].into());
    let page = process.page("/metrics").await;
    assert!(page.contains("held_items{signal=\"traces\"} 0"), "{page}");
    // A late span of a decided trace goes its way at once.
    assert_eq!(process.post_spans(&spans(1, &[4], 10)).await, Some(200));
    process
        .shows("the late one is delivered", |report| {
            report.signals[0].delivered == 4
        })
        .await;
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn what_is_decided_against_is_dropped_by_the_processor_that_held_it() {
    let site = site("").await;
    site.guest("holder", &holder(DROP, false));
    let process = Process::start(&site, &[]).await;
    assert_eq!(process.post_spans(&spans(1, &[1, 2], 10)).await, Some(200));
    let report = process
        .shows("it is dropped", |report| {
            report.signals[0].dropped == 2 && report.window.here == 0
        })
        .await;
    assert_balanced(&report);
    assert_eq!(report.processors[0].dropped_items, 2);
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(stored(&site), BTreeMap::new());
}

#[tokio::test]
async fn a_window_that_is_full_or_too_old_gets_the_operators_verdict_oldest_first() {
    let mut site = site("max_bytes: 1MiB").await;
    site.guest("holder", &holder(None, false));
    let process = Process::start(&site, &[]).await;
    for number in 1..=8_u32 {
        let request = spans(number, &[u64::from(number)], 200_000);
        assert_eq!(process.post_spans(&request).await, Some(200));
    }
    let report = process
        .shows("three had to go", |report| {
            report.signals[0].delivered == 3 && report.window.here == 5
        })
        .await;
    assert_balanced(&report);
    assert_eq!(report.window.undecided_traces, 3);
    assert!(report.window.used_bytes <= 1 << 20, "{report:?}");
    assert_eq!(stored(&site), [(1, 1), (2, 1), (3, 1)].into());
    assert_eq!(process.stop().await, Some(0));

    // What is left is undecided still; now it is too old.
    site.extra = site
        .extra
        .replace("max_bytes: 1MiB", "max_age: 100ms, undecided: drop");
    let process = Process::start(&site, &[]).await;
    let report = process
        .shows("the rest is dropped", |report| {
            report.signals[0].dropped == 5 && report.window.here == 0
        })
        .await;
    assert_balanced(&report);
    assert_eq!(report.signals[0].resumed, 5);
    assert_eq!(process.stop().await, Some(0));
    assert_eq!(stored(&site).len(), 3);
}

#[tokio::test]
async fn a_reload_hands_on_what_the_processor_knows_or_shows_it_what_is_held() {
    for (saves, offered) in [(true, 0), (false, 2)] {
        let site = site("").await;
        site.guest("holder", &holder(None, saves));
        let process = Process::start(&site, &[]).await;
        assert_eq!(process.post_spans(&spans(1, &[1, 2], 10)).await, Some(200));
        site.guest("holder", &holder(KEEP, saves));
        process.signal("HUP");
        let report = process
            .shows("the new version has decided", |report| {
                report.signals[0].delivered == 2 && report.window.here == 0
            })
            .await;
        assert_balanced(&report);
        assert_eq!(report.window.offered_items, offered);
        assert_eq!(process.stop().await, Some(0));
        assert_eq!(stored(&site), [(1, 1), (2, 1)].into());
    }
}

#[tokio::test]
async fn without_a_processor_that_holds_everything_is_let_go() {
    let mut site = site("").await;
    site.guest("holder", &holder(None, false));
    let process = Process::start(&site, &[]).await;
    assert_eq!(process.post_spans(&spans(1, &[1, 2], 10)).await, Some(200));
    site.extra = String::new();
    site.config_file();
    process.signal("HUP");
    let report = process
        .shows("it is let go", |report| {
            report.signals[0].delivered == 2 && report.window.here == 0
        })
        .await;
    assert_balanced(&report);
    assert_eq!(process.stop().await, Some(0));
}

/// Kills at whatever the agent is doing then: holding, deciding, releasing, forwarding.
#[tokio::test]
async fn however_often_it_is_killed_every_acknowledged_span_is_delivered_once() {
    let site = site("").await;
    site.guest("holder", &holder(KEEP, false));
    let next = Cell::new(0_u64);
    let acknowledged = RefCell::new(BTreeSet::new());
    for round in 0..6_u64 {
        let process = Process::start(&site, &[]).await;
        let until = tokio::time::Instant::now() + Duration::from_millis(150 + 130 * round);
        let send = async || {
            while tokio::time::Instant::now() < until {
                let first = next.get() + 1;
                next.set(first + 4);
                let numbers: Vec<u64> = (first..first + 5).collect();
                let trace = u32::try_from(first).unwrap();
                if process.post_spans(&spans(trace, &numbers, 50)).await == Some(200) {
                    acknowledged.borrow_mut().extend(numbers);
                }
            }
        };
        tokio::join!(send(), send(), send());
        process.kill();
    }
    let process = Process::start(&site, &[]).await;
    let report = process
        .shows("nothing waits any more", |report| {
            let traces = &report.signals[0];
            report.window.here == 0 && traces.here == 0 && traces.in_hand == 0
        })
        .await;
    assert_balanced(&report);
    assert_eq!(report.signals[0].unreadable, 0);
    let stored = stored(&site);
    let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let acknowledged = acknowledged.into_inner();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|one| !stored.contains_key(one))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {}: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    assert_eq!(process.stop().await, Some(0));
}
