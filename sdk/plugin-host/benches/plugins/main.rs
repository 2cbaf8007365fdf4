//! What processors cost: nanoseconds a span, with projection, call, check and splices; and what a
//! plugin costs before it sees data.
//!
//! `make bench-plugins` builds the guests and runs it. The controls run beside it on the same batch:
//! decoding, changing and encoding with prost in native code, and a guest that is given the bytes.

mod raw;
mod spans;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use petrel_plugin_host::{Chain, PluginLimits, ProcessorConfig, Verdict, start_costs};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;
use serde_json::{Value, json};

use crate::raw::RawGuest;

const SPANS: usize = 1_000;
const SECRETS: [&str; 3] = ["user.email", "session.token", "enduser.id"];

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    // `cargo test --benches` runs it, too, once and quickly.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let only = std::env::args()
        .nth(1)
        .filter(|word| !word.starts_with('-'));
    // One case alone is for a profiler, which should see it and not how it is loaded.
    let rounds = match (measured, &only) {
        (false, _) => 1,
        (true, None) => 400,
        (true, Some(_)) => 10_000,
    };
    let (batch, orders) = (spans::batch(SPANS), spans::orders(SPANS));
    let line = |name: &str, cost: f64, target: Option<f64>| {
        let target = target.map_or(String::new(), |target| {
            let missed = if cost > target { ", missed" } else { "" };
            format!("(target {target}{missed})")
        });
        println!("{cost:>9.1} ns/span  {name:<52} {target}");
    };
    println!(
        "{SPANS} spans of {} bytes, 10 attributes each",
        batch.bytes().len() / SPANS
    );
    for (name, target, is_done, steps) in cases() {
        if only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        let configs: Vec<_> = steps.into_iter().enumerate().map(processor).collect();
        let chain = Chain::load(&configs, None, Limits::default())
            .expect("make bench-plugins builds the guests");
        let batch = if name.contains("nothing to find") {
            &orders
        } else {
            &batch
        };
        let Verdict::Kept { batch: after, .. } = chain.process(batch.clone()) else {
            unreachable!("{name} keeps something");
        };
        // Who does nothing is fast.
        assert!(is_done(batch, &after), "{name} does not do its work");
        let cost = per_span(rounds, || {
            assert!(matches!(chain.process(batch.clone()), Verdict::Kept { .. }));
        });
        line(name, cost, target);
    }
    if only.is_some() {
        return;
    }
    held(&batch, rounds, &line);
    controls(&batch, rounds, &line);
    let (size, rows) = start(measured);
    println!(
        "before the first batch, a component of {:.1} KiB",
        size as f64 / 1024.0
    );
    for (name, cost, target) in rows {
        let missed = if cost > target { ", missed" } else { "" };
        println!(
            "{:>9.1} us       {name:<52} (target {:.0}{missed})",
            cost.as_secs_f64() * 1e6,
            target.as_secs_f64() * 1e6
        );
    }
}

type Step = (&'static str, Value);

/// Whether the batch became what it should.
type Done = fn(&Batch, &Batch) -> bool;

fn has(batch: &Batch, text: &str) -> bool {
    let mut parts = batch.bytes().windows(text.len());
    parts.any(|part| part == text.as_bytes())
}

/// What is measured, the target in ns a span, what comes out, and the chain that does it.
fn cases() -> Vec<(&'static str, Option<f64>, Done, Vec<Step>)> {
    let columns = |task: &str, keys: &[&str]| ("columns", json!({"do": task, "keys": keys}));
    let sample = |percent: u32| ("columns", json!({"do": "sample", "percent": percent}));
    let three = ("redact", json!({"keys": SECRETS, "patterns": []}));
    let every = json!({"keys": [], "patterns": [{"regex": "(?s).+"}]});
    let scan = columns("scan", &["user.email", "url.path"]);
    let defaults = ("redact", json!({}));
    let five = vec![
        three.clone(),
        scan.clone(),
        sample(90),
        columns("mark", &[]),
        columns("pass", &SECRETS),
    ];
    let same: Done = |before, after| before == after;
    let clean: Done = |_, after| !has(after, "@example") && has(after, "[redacted]");
    let hidden: Done = |_, after| !has(after, "@example") && !has(after, "tok-");
    let marked: Done = |_, after| has(after, "edge.marked");
    let fewer: Done = |before, after| after.items() < before.items();
    let all: Done = |_, after| !has(after, "@example") && has(after, "edge.marked");
    vec![
        (
            "pass-through of three strings",
            Some(120.0),
            same,
            vec![columns("pass", &SECRETS)],
        ),
        ("redact three keys", Some(300.0), hidden, vec![three]),
        (
            "redact default keys and patterns",
            Some(450.0),
            clean,
            vec![defaults.clone()],
        ),
        (
            "redact defaults, nothing to find",
            Some(300.0),
            same,
            vec![defaults],
        ),
        ("redact every string", None, hidden, vec![("redact", every)]),
        (
            "hide three keys, no look into JSON",
            None,
            hidden,
            vec![columns("hide", &SECRETS)],
        ),
        ("scan two keys in the guest", None, clean, vec![scan]),
        ("mark every span", None, marked, vec![columns("mark", &[])]),
        (
            "head sampling, 10 % kept",
            Some(80.0),
            fewer,
            vec![sample(10)],
        ),
        ("head sampling, 90 % kept", None, fewer, vec![sample(90)]),
        (
            "chain of five: redact, scan, sample, mark, pass",
            Some(900.0),
            all,
            five,
        ),
    ]
}

/// Tail sampling while nothing is decided: every span is folded into its trace and set aside.
fn held(batch: &Batch, rounds: u32, line: &dyn Fn(&str, f64, Option<f64>)) {
    let config = json!({"decision_wait_s": 3600, "errors": false});
    let configs = [processor((0, ("tail-sample", config)))];
    let chain = Chain::load(&configs, None, Limits::default())
        .expect("make bench-plugins builds the guests");
    let waiting = |batch: &Batch| {
        let held = chain.run(batch.clone()).held;
        held.map_or(0, |held| held.batch.items())
    };
    assert_eq!(waiting(batch), batch.items(), "every span is held");
    let cost = per_span(rounds, || {
        waiting(batch);
    });
    line("tail sampling, all held", cost, None);
}

fn controls(batch: &Batch, rounds: u32, line: &dyn Fn(&str, f64, Option<f64>)) {
    let check = per_span(rounds, || {
        let bytes = batch.bytes().clone();
        drop(Batch::from_protobuf(
            Signal::Traces,
            bytes,
            &Limits::default(),
        ));
    });
    line("control: the check that every request gets", check, None);
    let native = per_span(rounds, || {
        let mut request = ExportTraceServiceRequest::decode(batch.bytes().clone()).expect("valid");
        spans::hide(&mut request, &SECRETS);
        drop(request.encode_to_vec());
    });
    line("control: native prost, three keys", native, None);
    let mut raw = RawGuest::load(&artefact("raw"));
    for (name, keys) in [("pass-through", &[][..]), ("three keys", &SECRETS)] {
        let keys: Vec<String> = keys.iter().copied().map(String::from).collect();
        let cost = per_span(rounds.div_ceil(4), || {
            drop(raw.process(batch.bytes(), &keys));
        });
        line(&format!("control: prost in a guest, {name}"), cost, None);
    }
}

type Rows = [(&'static str, Duration, Duration); 4];

fn start(measured: bool) -> (usize, Rows) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = json!({"do": "pass", "keys": SECRETS});
    let limits = PluginLimits::default();
    let costs = start_costs(
        &artefact("columns"),
        &config,
        &limits,
        &dir.path().join("cache"),
    );
    let costs = costs.expect("make bench-plugins builds the guests");
    assert!(measured || costs.size_bytes > 0);
    let rows = [
        ("compile", costs.compile, Duration::from_millis(60)),
        (
            "load from the cache",
            costs.cache_load,
            Duration::from_millis(5),
        ),
        ("instantiate", costs.instantiate, Duration::from_micros(30)),
        (
            "describe and configure",
            costs.configure,
            Duration::from_micros(100),
        ),
    ];
    (costs.size_bytes, rows)
}

fn processor((index, (plugin, config)): (usize, Step)) -> ProcessorConfig {
    ProcessorConfig {
        name: format!("{plugin}-{index}"),
        plugin: artefact(plugin),
        config,
        ..ProcessorConfig::default()
    }
}

fn artefact(plugin: &str) -> PathBuf {
    PathBuf::from(format!(
        "{}/../../target/plugins/{plugin}.wasm",
        env!("CARGO_MANIFEST_DIR")
    ))
}

/// The best of several rounds: the machine has other things to do.
fn per_span(rounds: u32, mut run: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let started = Instant::now();
        run();
        best = best.min(started.elapsed());
    }
    best.as_secs_f64() * 1e9 / SPANS as f64
}
