//! Holding spans until their traces are decided.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use petrel_plugin_host::{
    Chain, Decision, Outcome, PluginLimits, ProcessorConfig, Reloaded, TraceFate, Verdict,
};
use petrel_wire::otlp::by_trace::trace_parts;
use petrel_wire::{Batch, Limits, Signal};
use prost::Message as _;

use crate::guest::{Guest, ManualClock, holder};

/// A span of each of these traces; zero is no trace.
fn spans(traces: &[u8]) -> Batch {
    let span = |trace: &u8| Span {
        trace_id: if *trace == 0 {
            vec![]
        } else {
            vec![*trace; 16]
        },
        span_id: vec![1; 8],
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: traces.iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let bytes = request.encode_to_vec().into();
    Batch::from_protobuf(Signal::Traces, bytes, &Limits::default()).unwrap()
}

fn of(batch: &Batch) -> Vec<(u8, u32)> {
    let parts = trace_parts(batch);
    parts
        .iter()
        .map(|part| (part.trace[0], part.items))
        .collect()
}

fn decided(decisions: &[Decision]) -> Vec<(u8, TraceFate)> {
    decisions
        .iter()
        .map(|decision| (decision.trace[0], decision.fate))
        .collect()
}

fn kept(outcome: &Outcome) -> &Batch {
    match &outcome.verdict {
        Verdict::Kept { batch, .. } => batch,
        other => panic!("{other:?}"),
    }
}

fn held(outcome: &Outcome) -> Vec<(u8, u32)> {
    outcome
        .held
        .as_ref()
        .map(|held| of(&held.batch))
        .unwrap_or_default()
}

#[test]
fn what_is_held_is_no_part_of_what_goes_on_and_a_span_without_a_trace_passes() {
    let (_dir, chain) = holder(None, false).chain(|_| {});
    assert!(chain.holds());
    let outcome = chain.run(spans(&[1, 2, 0, 1]));
    assert_eq!(held(&outcome), [(1, 2), (2, 1)]);
    assert_eq!(kept(&outcome).items(), 1);
    assert!(outcome.decided.is_empty());
    // Who cannot hold gets all of it.
    let Verdict::Kept { batch, dropped: 0 } = chain.process(spans(&[3, 4])) else {
        panic!("nothing was dropped");
    };
    assert_eq!(batch.items(), 2);
}

#[test]
fn the_timer_decides_and_late_spans_share_the_fate_of_their_trace_without_a_call() {
    let clock = Arc::new(ManualClock::default());
    let (_dir, chain) = holder(Some(1), false).chain_at(&clock, |_| {});
    assert_eq!(held(&chain.run(spans(&[1, 2]))), [(1, 1), (2, 1)]);
    assert!(chain.tick().is_empty(), "not yet");
    clock.pass(1);
    let decisions = chain.tick();
    let both = [(1, TraceFate::Dropped), (2, TraceFate::Dropped)];
    assert_eq!(decided(&decisions), both);
    let keep_one = Decision {
        trace: [1; 16],
        fate: TraceFate::Sampled(1 << 55),
    };
    let now = chain.clock().monotonic();
    chain.decided().note(&[keep_one], now);
    chain.decided().note(&decisions, now);
    let calls = chain.stats()[0].calls;
    let outcome = chain.run(spans(&[1, 2, 1]));
    assert_eq!((held(&outcome), of(kept(&outcome))), (vec![], vec![(1, 2)]));
    assert!(matches!(outcome.verdict, Verdict::Kept { dropped: 1, .. }));
    assert_eq!(
        (chain.stats()[0].calls, chain.stats()[0].dropped_items),
        (calls, 1)
    );
    assert_eq!(held(&chain.run(spans(&[1, 3]))), [(3, 1)]);
}

#[test]
fn an_instance_that_died_is_another_generation_and_is_shown_what_it_has_forgotten() {
    let clock = Arc::new(ManualClock::default());
    let mut guest = holder(Some(0), false);
    // It dies of the first batch with seven spans.
    guest.process += "(if (i32.eq (global.get $spans) (i32.const 7)) (then unreachable))";
    let (_dir, chain) = guest.chain_at(&clock, |_| {});
    let outcome = chain.run(spans(&[1, 2]));
    let before = outcome.held.unwrap();
    assert_eq!(Some(before.generation), chain.generation());
    let outcome = chain.run(spans(&[3; 7]));
    assert_eq!(held(&outcome), [(3, 7)], "in halves it can be taken");
    assert_ne!(Some(before.generation), chain.generation());
    assert_eq!(chain.offer(&before.batch), Some(vec![]), "it holds them on");
    clock.pass(1);
    let again: Vec<_> = decided(&chain.tick())
        .into_iter()
        .map(|(trace, _)| trace)
        .collect();
    assert!(
        again.contains(&1) && again.contains(&2) && again.contains(&3),
        "{again:?}"
    );
}

#[test]
fn a_new_version_goes_on_with_what_the_old_one_saved() {
    for (saves, is_same) in [(true, true), (false, false)] {
        let dir = tempfile::tempdir().unwrap();
        let config = |guest: &Guest| {
            let plugin = dir.path().join("holder.wasm");
            std::fs::write(&plugin, guest.component()).unwrap();
            ProcessorConfig {
                name: "holder".into(),
                plugin,
                limits: PluginLimits {
                    call: Duration::from_secs(30),
                    ..PluginLimits::default()
                },
                ..ProcessorConfig::default()
            }
        };
        let clock = Arc::new(ManualClock::default());
        let time: Arc<dyn petrel_wire::Clock> = Arc::<ManualClock>::clone(&clock);
        let first = [config(&holder(None, saves))];
        let chain = Chain::load_with_clock(&first, None, Limits::default(), &time).unwrap();
        assert_eq!(held(&chain.run(spans(&[5]))), [(5, 1)]);
        let generation = chain.generation();
        let reloaded = chain.reload(&[config(&holder(Some(0), saves))]).unwrap();
        assert_eq!(reloaded, Reloaded { kept: 0, loaded: 1 });
        assert_eq!(chain.generation() == generation, is_same);
        clock.pass(1);
        let knows = decided(&chain.tick()) == [(5, TraceFate::Kept)];
        assert_eq!(knows, is_same);
    }
}

#[test]
fn a_processor_that_holds_has_to_be_the_last_one() {
    let (_one, mut early) = holder(None, false).config(|_| {});
    let (_other, mut late) = Guest::default().config(|_| {});
    early.name = "sampler".into();
    late.name = "hider".into();
    let load = |configs: &[ProcessorConfig]| Chain::load(configs, None, Limits::default());
    let error = load(&[early.clone(), late.clone()])
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"sampler\" holds traces"), "{error}");
    assert!(error.contains("put it behind \"hider\""), "{error}");
    let chain = load(&[late, early]).unwrap();
    assert!(chain.holds());
    let outcome = chain.run(spans(&[1]));
    assert_eq!(held(&outcome), [(1, 1)]);
    let calls: Vec<_> = chain.stats().iter().map(|stats| stats.calls).collect();
    assert_eq!(calls, [1, 1]);
}

#[test]
fn a_plugin_that_does_not_say_that_it_holds_may_not() {
    let mut guest = holder(None, false);
    guest.more =
        "(global $count (mut i32) (i32.const 0)) (global $spans (mut i32) (i32.const 0))".into();
    let (_dir, chain) = guest.chain(|_| {});
    assert!(!chain.holds());
    let outcome = chain.run(spans(&[1, 2]));
    assert_eq!((held(&outcome), kept(&outcome).items()), (vec![], 2));
    let error = chain.stats()[0].last_error.clone().unwrap();
    assert!(error.contains("verdict 2"), "{error}");
}
