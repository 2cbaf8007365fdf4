//! What plugins count: once, only what was accepted, with labels they were shown, and as telemetry
//! that goes through whoever stands behind them.

use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use petrel_plugin_host::{
    Chain, OwnMetric, OwnValue, PluginLimits, ProcessorConfig, Teller, Verdict,
};
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;
use tempfile::TempDir;

use crate::guest::{Guest, added, hide, hides_unless, holder};
use crate::otlp::{contains, pair, secrets, text};

/// Records 1.5 for each value of `secret`, with the value as the only label.
#[derive(Clone, Copy)]
struct Counts<'a> {
    kind: u8,
    audience: u8,
    label: &'a str,
    /// Instructions after it has recorded.
    then: &'a str,
    /// Where the codes are.
    codes: &'a str,
}

const SHOWN: &str = "(i32.load (i32.add (local.get 10) (i32.const 20)))";

impl Default for Counts<'_> {
    fn default() -> Self {
        Self {
            kind: 1,
            audience: 1,
            label: "secret",
            then: "",
            codes: SHOWN,
        }
    }
}

impl Counts<'_> {
    fn guest(self) -> Guest {
        let Self {
            kind,
            audience,
            label,
            then,
            codes,
        } = self;
        let length = "(i32.load (i32.add (local.get 10) (i32.const 24)))";
        let key_bytes = label.len();
        let values = r"\00\00\00\00\00\00\f8\3f".repeat(16);
        let import = "import \"petrel:plugin/metrics@0.1.0\"";
        Guest {
            access: 1,
            // It asks for the strings.
            configure: format!(
                "(i32.store8 (i32.const 1560) (i32.const 1))
                 (i32.store (i32.const 6016) (i32.const 6200))
                 (i32.store (i32.const 6020) (i32.const {key_bytes}))
                 (drop (call $declare (i32.const 6000) (i32.const 5) (i32.const 6005) (i32.const 2)
                   (i32.const {kind}) (i32.const {audience}) (i32.const 0)
                   (i32.const 6016) (i32.const 1)))"
            ),
            more: format!(
                "({import} \"declare\" (func $declare
                   (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
                 ({import} \"record-many\" (func $record
                   (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
                 (global $i (mut i32) (i32.const 0))
                 (data (i32.const 6000) \"callsms\")
                 (data (i32.const 6024) \"{values}\")
                 (data (i32.const 6200) \"{label}\")
                 (data (i32.const 6300) \"\\4d\\00\\00\\00\")"
            ),
            ..Guest::that(&format!(
                "(if (local.get 11) (then
                   (call $record (i32.const 0) (i32.const 6024) {length} {codes} {length}
                     (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
                 {then}"
            ))
        }
    }
}

/// Traps if a value holds a `!`.
const TRAPS: &str = "(global.set $i (i32.const 0))
    (block $done (loop $next
      (br_if $done (i32.ge_u (global.get $i) (local.get 9)))
      (if (i32.eq (i32.load8_u (i32.add (local.get 8) (global.get $i))) (i32.const 0x21))
        (then unreachable))
      (global.set $i (i32.add (global.get $i) (i32.const 1)))
      (br $next)))";

fn chain(guests: &[(&str, Guest)]) -> (TempDir, Chain) {
    let dir = tempfile::tempdir().unwrap();
    let configs: Vec<_> = guests
        .iter()
        .map(|(name, guest)| config(dir.path(), name, guest))
        .collect();
    let chain = Chain::load(&configs, None, Limits::default()).unwrap();
    (dir, chain)
}

fn config(dir: &Path, name: &str, guest: &Guest) -> ProcessorConfig {
    let plugin = dir.join(format!("{name}.wasm"));
    std::fs::write(&plugin, guest.component()).unwrap();
    ProcessorConfig {
        name: name.into(),
        plugin,
        limits: PluginLimits {
            call: Duration::from_secs(30),
            ..PluginLimits::default()
        },
        ..ProcessorConfig::default()
    }
}

fn batch(values: &[&str]) -> Batch {
    secrets(values.iter().map(|value| (*value).to_owned()))
}

fn teller() -> Teller {
    Teller {
        service: "petrel-agent".into(),
        agent: "agent-1".into(),
    }
}

/// Everything that was counted, told: label and value.
fn told(chain: &Chain) -> Vec<(String, f64)> {
    let mut told = Vec::new();
    for telling in chain.tellings(&teller()) {
        told.extend(telling.series().iter().map(series));
        telling.told();
    }
    told
}

fn series(metric: &OwnMetric) -> (String, f64) {
    let OwnValue::Counter(value) = metric.value else {
        panic!("{metric:?}");
    };
    (metric.labels[0].1.clone(), value)
}

fn counted(values: &[(&str, f64)]) -> Vec<(String, f64)> {
    let values = values.iter();
    values
        .map(|(label, value)| ((*label).to_owned(), *value))
        .collect()
}

#[test]
fn what_is_recorded_counts_once_and_only_with_an_accepted_answer() {
    let guest = Counts {
        then: TRAPS,
        ..Counts::default()
    };
    let (_dir, chain) = chain(&[("counts", guest.guest())]);
    // Half of it is tried several times until the record at fault is alone.
    let verdict = chain.process(batch(&["a", "a", "b!", "c"]));
    assert!(
        matches!(verdict, Verdict::Kept { dropped: 1, .. }),
        "{verdict:?}"
    );
    assert_eq!(told(&chain), counted(&[("a", 3.0), ("c", 1.5)]));
    assert_eq!(told(&chain), []);
}

#[test]
fn a_batch_that_is_refused_further_on_counts_when_it_comes_again() {
    let trap = Guest::that("unreachable");
    let guests = [("counts", Counts::default().guest()), ("trap", trap)];
    let (_dir, chain) = chain(&guests);
    assert!(matches!(
        chain.process(batch(&["a"])),
        Verdict::Refused { .. }
    ));
    assert_eq!(told(&chain), []);
    // Neither does one that the disk does not take.
    let (_dir, chain) = self::chain(&guests[..1]);
    let (_kept, effects) = chain.process_for(batch(&["a"]));
    drop(effects);
    assert_eq!(told(&chain), []);
    let (_kept, effects) = chain.process_for(batch(&["a"]));
    effects.settle();
    assert_eq!(told(&chain), counted(&[("a", 1.5)]));
}

/// A span for each value; the first one has no trace, so that nobody can hold it.
fn spans(values: &[&str]) -> Batch {
    let spans = values.iter().enumerate().map(|(at, value)| Span {
        trace_id: if at == 0 { vec![] } else { vec![1; 16] },
        span_id: vec![1; 8],
        attributes: vec![pair("secret", text(value))],
        ..Span::default()
    });
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: spans.collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    Batch::from_protobuf(Signal::Traces, bytes, &Limits::default()).unwrap()
}

#[test]
fn what_is_held_counts_once_with_the_rest_of_its_batch() {
    let guests = [
        ("counts", Counts::default().guest()),
        ("holder", holder(None, false)),
    ];
    let (_dir, chain) = chain(&guests);
    // The disk did not take what goes on, or what is held: it comes again.
    drop(chain.run(spans(&["a", "b"])).effects);
    assert_eq!(told(&chain), []);
    let outcome = chain.run(spans(&["a", "b"]));
    let held = outcome.held.unwrap().batch;
    assert_eq!(held.items(), 1);
    outcome.effects.settle();
    assert_eq!(told(&chain), counted(&[("a", 1.5), ("b", 1.5)]));
    // An instance that has forgotten it is shown it; that is not its coming.
    assert!(chain.offer(&held).is_some());
    assert_eq!(told(&chain), []);
}

#[test]
fn what_the_holder_cannot_take_counts_when_it_comes_again() {
    let traps = Guest {
        fail_closed: true,
        process: "unreachable".into(),
        ..holder(None, false)
    };
    let (_dir, chain) = chain(&[("counts", Counts::default().guest()), ("holder", traps)]);
    let outcome = chain.run(spans(&["a", "b"]));
    let verdict = outcome.verdict;
    assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
    outcome.effects.settle();
    assert_eq!(told(&chain), []);
}

#[test]
fn what_could_not_be_told_is_told_with_the_next() {
    let (_dir, chain) = chain(&[("counts", Counts::default().guest())]);
    chain.process(batch(&["a"]));
    drop(chain.tellings(&teller()));
    chain.process(batch(&["a", "b"]));
    assert_eq!(told(&chain), counted(&[("a", 3.0), ("b", 1.5)]));
}

#[test]
fn a_label_is_a_string_that_the_plugin_was_shown() {
    let guest = Counts {
        codes: "(i32.const 6300)",
        ..Counts::default()
    };
    let (_dir, chain) = chain(&[("counts", guest.guest())]);
    assert!(matches!(
        chain.process(batch(&["a"])),
        Verdict::Refused { .. }
    ));
    let error = chain.stats().remove(0).last_error.unwrap();
    assert!(
        error.contains("uses code 77, which is no string's"),
        "{error}"
    );
    assert_eq!(told(&chain), []);
}

#[test]
fn a_plugin_that_asked_for_no_strings_cannot_put_others_strings_into_labels() {
    let hider = Guest::that(&(added(48, 8) + &hide(0, 0x8000_0000)));
    let mut refused = 0;
    // It numbers strings as the batch does, and the batch still holds what was replaced.
    for code in 0..4 {
        let codes = format!(
            "(block (result i32) (i32.store (i32.const 6304) (i32.const {code})) (i32.const 6304))"
        );
        let mut blind = Counts {
            codes: &codes,
            ..Counts::default()
        }
        .guest();
        blind.configure = blind
            .configure
            .replace("1560) (i32.const 1)", "1560) (i32.const 0)");
        let (_dir, chain) = chain(&[("hider", hider.clone()), ("blind", blind)]);
        let verdict = chain.process(batch(&["canary"]));
        refused += usize::from(matches!(verdict, Verdict::Refused { .. }));
        for (label, _) in told(&chain) {
            assert!(["secret", "new text"].contains(&label.as_str()), "{label}");
        }
    }
    assert_eq!(refused, 2);
}

#[test]
fn an_instrument_that_cannot_be_is_refused_when_the_plugin_is_loaded() {
    let wrong = Counts {
        kind: 9,
        ..Counts::default()
    };
    let error = wrong.guest().load_error();
    assert!(
        error.contains("it gives instrument calls the kind 9"),
        "{error}"
    );
}

#[test]
fn a_telling_goes_through_those_behind_and_not_through_the_one_that_counted() {
    let hider = Guest::that(&(added(48, 8) + &hide(0, 0x8000_0000)));
    let (_dir, chain) = chain(&[("counts", Counts::default().guest()), ("hider", hider)]);
    chain.process(batch(&["canary"]));
    let telling = chain.tellings(&teller()).remove(0);
    assert!(contains(telling.batch(), "canary"));
    let (verdict, effects) = chain.process_telling(&telling);
    effects.settle();
    telling.told();
    let Verdict::Kept { batch, dropped: 0 } = verdict else {
        panic!("{verdict:?}");
    };
    assert!(!contains(&batch, "canary") && contains(&batch, "new text"));
    assert_eq!(told(&chain), []);
}

#[test]
fn counts_outlive_a_reload_and_a_rehearsal_adds_nothing() {
    let guest = Counts::default().guest();
    let (dir, chain) = chain(&[("counts", guest.clone())]);
    chain.process(batch(&["a"]));
    let mut next = config(dir.path(), "counts", &guest);
    next.config = serde_json::json!({"version": 2});
    assert_eq!(chain.reload(&[next.clone()]).unwrap().loaded, 1);
    chain.process(batch(&["a"]));
    assert_eq!(told(&chain), counted(&[("a", 3.0)]));
    // Nor is anything lost when its processor goes.
    chain.process(batch(&["b"]));
    chain.reload(&[]).unwrap();
    assert_eq!(told(&chain), counted(&[("b", 1.5)]));
    assert_eq!(told(&chain), []);
}

#[test]
fn what_a_plugin_says_about_itself_is_in_its_account_and_goes_nowhere() {
    let own = Counts {
        audience: 0,
        kind: 4,
        ..Counts::default()
    };
    let (_dir, chain) = chain(&[("counts", own.guest())]);
    chain.process(batch(&["a"]));
    chain.process(batch(&["a"]));
    assert!(chain.tellings(&teller()).is_empty());
    let own = chain.stats().remove(0).own;
    let labels = vec![("secret".to_owned(), "a".to_owned())];
    let value = OwnValue::Distribution { count: 2, sum: 3.0 };
    let (name, unit) = ("calls".to_owned(), "ms".to_owned());
    assert_eq!(
        own,
        [OwnMetric {
            name,
            unit,
            labels,
            value
        }]
    );
}

fn decoded(chain: &Chain) -> ExportMetricsServiceRequest {
    let telling = chain.tellings(&teller()).remove(0);
    let bytes = telling.batch().bytes().clone();
    telling.told();
    ExportMetricsServiceRequest::decode(bytes).unwrap()
}

fn attributes(of: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> Vec<(String, String)> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    of.iter()
        .map(|pair| {
            let value = pair.value.clone().and_then(|any| any.value);
            (pair.key.clone(), text(&value.unwrap()))
        })
        .collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let of = of.iter();
    of.map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect()
}

#[test]
fn a_label_of_the_resource_makes_the_metric_that_services() {
    let guest = Counts {
        label: "resource.service.name",
        ..Counts::default()
    };
    let (_dir, chain) = chain(&[("counts", guest.guest())]);
    chain.process(batch(&["shop", "pay", "shop"]));
    let request = decoded(&chain);
    let resources: Vec<_> = request
        .resource_metrics
        .iter()
        .map(|group| attributes(&group.resource.as_ref().unwrap().attributes))
        .collect();
    let of = |service| pairs(&[("service.name", service), ("petrel.agent.id", "agent-1")]);
    assert_eq!(resources, [of("pay"), of("shop")]);
    let scope = request.resource_metrics[1].scope_metrics[0].clone();
    let by = scope.scope.unwrap();
    assert_eq!((by.name.as_str(), by.version.as_str()), ("evil", "evil"));
    assert_eq!(
        attributes(&by.attributes),
        pairs(&[("petrel.processor", "counts")])
    );
    let metric = &scope.metrics[0];
    assert_eq!(
        (metric.name.as_str(), metric.unit.as_str()),
        ("calls", "ms")
    );
    let Some(Data::Sum(sum)) = &metric.data else {
        panic!("{metric:?}");
    };
    // Delta.
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (1, true));
    let point = &sum.data_points[0];
    assert_eq!(attributes(&point.attributes), []);
    assert!(point.start_time_unix_nano <= point.time_unix_nano);
    let value = point.value.as_ref().map(|value| format!("{value:?}"));
    assert_eq!(value.unwrap(), "AsDouble(3.0)");
}

#[test]
fn a_distribution_is_exponential_and_belongs_to_the_agent_if_to_nobody_else() {
    let guest = Counts {
        kind: 4,
        ..Counts::default()
    };
    let (_dir, chain) = chain(&[("counts", guest.guest())]);
    chain.process(batch(&["a", "a"]));
    let request = decoded(&chain);
    let group = &request.resource_metrics[0];
    let resource = attributes(&group.resource.as_ref().unwrap().attributes);
    let agent = [
        ("service.name", "petrel-agent"),
        ("petrel.agent.id", "agent-1"),
    ];
    assert_eq!(resource, pairs(&agent));
    let Some(Data::ExponentialHistogram(histogram)) = &group.scope_metrics[0].metrics[0].data
    else {
        panic!("{request:?}");
    };
    assert_eq!(histogram.aggregation_temporality, 1);
    let point = &histogram.data_points[0];
    assert_eq!(attributes(&point.attributes), pairs(&[("secret", "a")]));
    assert_eq!((point.count, point.sum), (2, Some(3.0)));
    assert_eq!((point.min, point.max), (Some(1.5), Some(1.5)));
    let buckets = point.positive.as_ref().unwrap();
    assert_eq!(buckets.bucket_counts, [2]);
    let base = f64::from(-point.scale).exp2().exp2();
    let low = base.powi(buckets.offset);
    assert!(low < 1.5 && 1.5 <= low * base * 1.000_001, "{point:?}");
}

#[test]
fn who_edits_and_counts_does_both() {
    let mut both = hides_unless("unreachable");
    let counts = Counts::default().guest();
    both.configure = counts.configure;
    both.more = counts.more;
    both.process = counts.process + &both.process;
    let (_dir, chain) = chain(&[("both", both)]);
    let verdict = chain.process(batch(&["a"]));
    let Verdict::Kept { batch, .. } = verdict else {
        panic!("{verdict:?}");
    };
    assert!(contains(&batch, "new text"));
    assert_eq!(told(&chain), counted(&[("a", 1.5)]));
}
