//! Nothing unprocessed is written down, sent on or talked about, whatever a closed processor does.
//!
//! Every request carries a canary. It must not be found in any file of the spool (dead letters
//! included), in what the peer got, in the log, in the status or in an answer. That the search would
//! find it is shown with a processor that is told to let it pass.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use petrel_agent::telemetry::{Level, Report};

use crate::guest::{Guest, hides_unless};
use crate::harness::{Reply, Site, holds};
use crate::process::{Process, agent};
use crate::processors::secrets;
use crate::zoo::evil;

const CANARY: &str = "canary91c2";

/// For guests that take all the time they get, and for all others on a busy machine.
const SHORT: &str = "300ms";
const LONG: &str = "30s";

/// A processor `guest` with little memory.
fn section(policy: &str, call: &str) -> String {
    format!(
        "processors: [ {{ name: guest, plugin: guest.wasm, on_error: {policy}, \
         i_accept_unredacted: true, limits: {{ memory_bytes: 4MiB, call: {call} }} }} ]\n"
    )
}

/// Records of which each holds the canary.
fn canaries(count: usize) -> ExportLogsServiceRequest {
    let values: Vec<_> = (0..count).map(|n| format!("{CANARY} {n}")).collect();
    let mut request = secrets(&values);
    // The guests are about records.
    request.resource_logs[0].resource = None;
    request
}

fn has(bytes: &[u8]) -> bool {
    bytes
        .windows(CANARY.len())
        .any(|part| part == CANARY.as_bytes())
}

/// Where the canary is.
async fn found(site: &Site, process: &Process) -> Vec<&'static str> {
    let seen = site.peer.seen();
    let report = process.report().await;
    let pages = [
        petrel_agent::status::page(&report),
        process.page("/spool").await,
        process.page("/metrics").await,
        process.page("/health").await,
    ];
    let places = [
        ("the spool", holds(&site.spool_dir(), CANARY.as_bytes())),
        ("the wire", seen.iter().any(|seen| has(&seen.unpacked()))),
        ("the log", has(process.log().as_bytes())),
        ("a page", pages.iter().any(|page| has(page.as_bytes()))),
    ];
    let places = places.into_iter().filter(|(_, is_there)| *is_there);
    places.map(|(place, _)| place).collect()
}

/// Acknowledges the first batch and calls the second one bad.
async fn site(guest: &Guest, policy: &str, call: &str) -> Site {
    let mut site = Site::with(|seen| match seen.number {
        0 => Reply::Echo,
        _ => Reply::status(400),
    })
    .await;
    site.extra = section(policy, call);
    site.guest("guest", guest);
    site
}

/// Sends until the processor is turned off; how long the slowest answer took.
async fn send_until_off(process: &Process, name: &str) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..6 {
        let started = Instant::now();
        let (status, answer) = process.post(&canaries(1)).await;
        slowest = slowest.max(started.elapsed());
        assert_eq!(status, 503, "{name}");
        assert!(!has(&answer), "{name}");
    }
    slowest
}

fn is_accounted_for(report: &Report) -> bool {
    let logs = &report.signals[1];
    logs.admitted == logs.spooled_now + logs.dropped + logs.refused
}

#[tokio::test]
async fn no_evil_guest_gets_a_canary_written_down_sent_on_or_talked_about() {
    for (name, guest, why) in evil() {
        let mut site = site(&guest, "closed", SHORT).await;
        let process = Process::start(&site, &[]).await;
        let slowest = send_until_off(&process, name).await;
        // Generous, for a loaded machine; without bounds some of them would take for ever.
        assert!(slowest < Duration::from_secs(10), "{name}: {slowest:?}");
        let report = process.report().await;
        let stats = &report.processors[0];
        let off = stats
            .off
            .clone()
            .unwrap_or_else(|| panic!("{name}: {stats:?}"));
        assert!(off.because.contains(why), "{name}: {}", off.because);
        assert!(is_accounted_for(&report), "{name}: {report:?}");
        assert_eq!(report.health.status, Level::Degraded);
        let reasons = report.health.reasons.join("\n");
        let said = "processor guest (evil evil) kept failing and is off";
        assert!(
            reasons.contains(said) && reasons.contains("refused"),
            "{reasons}"
        );
        let metrics = process.page("/metrics").await;
        assert!(
            metrics.contains("processor_off{processor=\"guest\"} 1"),
            "{metrics}"
        );
        assert!(metrics.contains("processor_trips_total{processor=\"guest\"} 1"));
        assert!(
            process.log().contains("processor guest keeps failing"),
            "{name}"
        );
        // The other policy that lets nothing unprocessed pass, without a restart.
        site.extra = section("strip", SHORT);
        site.config_file();
        process.signal("HUP");
        process
            .shows("it strips", |report| {
                report.processors[0].on_error == "strip"
            })
            .await;
        let mut report = process.report().await;
        for outcome in [(1, 0), (1, 1)] {
            let (status, answer) = process.post(&canaries(1)).await;
            assert_eq!(status, 200, "{name}");
            assert!(!has(&answer), "{name}");
            report = process
                .shows("the first is delivered, the second is dead", |report| {
                    let logs = &report.signals[1];
                    (logs.delivered, logs.rejected) == outcome
                })
                .await;
        }
        assert!(is_accounted_for(&report), "{name}: {report:?}");
        assert_eq!(found(&site, &process).await, [""; 0], "{name}");
        let peak = process.peak_resident_bytes() >> 20;
        assert!(peak < 300, "{name}: {peak} MiB");
        assert_eq!(process.stop().await, Some(0));
    }
}

#[tokio::test]
async fn the_same_search_finds_a_canary_that_is_let_pass() {
    let mut site = site(&Guest::that("unreachable"), "open", LONG).await;
    site.peer.kill().await;
    let process = Process::start(&site, &[]).await;
    assert_eq!(process.post(&canaries(1)).await.0, 200);
    assert_eq!(found(&site, &process).await, ["the spool"]);
    site.peer.revive().await;
    process
        .shows("it is delivered", |report| report.signals[1].delivered == 1)
        .await;
    assert!(found(&site, &process).await.contains(&"the wire"));
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn one_record_in_a_thousand_that_kills_the_guest_is_kept_back_and_the_others_arrive() {
    let site = site(&hides_unless("unreachable"), "closed", LONG).await;
    let process = Process::start(&site, &[]).await;
    let mut request = canaries(1_000);
    let poison = secrets(&[format!("{CANARY}!")]).resource_logs.remove(0);
    let records = &mut request.resource_logs[0].scope_logs[0].log_records;
    records[617] = poison.scope_logs[0].log_records[0].clone();
    assert_eq!(process.post(&request).await.0, 200);
    let report = process
        .shows("the others arrive", |report| {
            report.signals[1].delivered == 999
        })
        .await;
    assert!(is_accounted_for(&report), "{report:?}");
    let stats = &report.processors[0];
    assert_eq!((stats.quarantined_items, stats.failures), (1, 0));
    let page = petrel_agent::status::page(&report);
    assert!(
        page.contains("1 items quarantined; last: it trapped"),
        "{page}"
    );
    assert!(
        process
            .log()
            .contains("cannot take 1 of 1000 items, which are kept back")
    );
    assert_eq!(found(&site, &process).await, [""; 0]);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn a_guest_that_leaks_on_each_call_is_replaced_and_nobody_waits_for_it() {
    // A page a call, in four MiB.
    let mut guest = hides_unless("unreachable");
    guest.process.push_str("(drop (memory.grow (i32.const 1)))");
    let site = site(&guest, "closed", LONG).await;
    let process = Process::start(&site, &[]).await;
    for _ in 0..200 {
        assert_eq!(process.post(&canaries(3)).await.0, 200);
    }
    let report = process.report().await;
    let stats = &report.processors[0];
    assert_eq!((stats.calls, stats.failures), (200, 0), "{stats:?}");
    assert!((3..=20).contains(&stats.instances), "{stats:?}");
    assert!(process.peak_resident_bytes() < 300 << 20);
    assert_eq!(found(&site, &process).await, [""; 0]);
    assert_eq!(process.stop().await, Some(0));
}

#[test]
fn a_guest_of_another_world_keeps_the_agent_from_starting_and_is_named() {
    let clock = r#"(import "petrel:plugin/clock@0.1.0" "wall-ns" (func (result i64)))"#;
    let wasi = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#;
    let next = Guest {
        version: "0.2.0",
        ..Guest::default()
    };
    let asks_time = Guest {
        more: clock.into(),
        ..Guest::default()
    };
    let lowers = Guest {
        configure: "(i32.store16 (i32.const 514) (i32.const 17))".into(),
        ..Guest::default()
    };
    for (component, why) in [
        (next.component(), "was built for petrel:plugin@0.2.0"),
        (asks_time.component(), "allow: [clock]"),
        (wat::parse_str(wasi).unwrap(), "plugins get no WASI"),
        (lowers.component(), "field 17"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.yaml");
        std::fs::write(dir.path().join("guest.wasm"), component).unwrap();
        let text = format!(
            "dsn: http://t@127.0.0.1:1\nspool: {{ dir: ./spool }}\n{}",
            section("closed", LONG)
        );
        std::fs::write(&path, text).unwrap();
        let output = agent(&["run"], &path).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{why}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(
            words.contains("guest.wasm") && words.contains(why),
            "{words}"
        );
    }
}
