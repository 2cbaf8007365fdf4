//! When a plugin fails: what can be saved is saved, the rest gets the policy, and who keeps failing
//! is left alone for a while.

use std::sync::Arc;
use std::time::Duration;

use petrel_plugin_host::{OnError, PluginState, PluginStats, Verdict};
use petrel_wire::Batch;

use crate::guest::{Guest, ManualClock, hides_unless};
use crate::otlp::{contains, decoded, secrets};

/// A thousand spans, of which these hold what the guest cannot take.
fn thousand(poison: &[usize]) -> Batch {
    secrets((0..1_000).map(|n| {
        let mark = if poison.contains(&n) { "!" } else { "" };
        format!("canary-{n}{mark}")
    }))
}

fn kept(verdict: Verdict) -> (Batch, u32) {
    match verdict {
        Verdict::Kept { batch, dropped } => (batch, dropped),
        other => panic!("{other:?}"),
    }
}

fn traps_on(poison: &[usize], policy: OnError) -> (Batch, u32, PluginStats) {
    let guest = hides_unless("unreachable");
    let (_dir, chain) = guest.chain(|config| {
        config.on_error = Some(policy);
        config.i_accept_unredacted = true;
    });
    let (batch, dropped) = kept(chain.process(thousand(poison)));
    let processed = decoded(&batch).matches("new text").count();
    assert_eq!(processed, 1_000 - poison.len(), "{policy:?}");
    (batch, dropped, chain.stats().remove(0))
}

#[test]
fn one_record_in_a_thousand_costs_that_record_and_never_passes_unprocessed() {
    let (batch, dropped, stats) = traps_on(&[617], OnError::Closed);
    assert_eq!((batch.items(), dropped), (999, 1));
    assert!(!contains(&batch, "canary"));
    assert_eq!((stats.quarantined_items, stats.failures), (1, 0));
    assert!(stats.calls < 30, "{} calls", stats.calls);
    assert!(stats.last_error.unwrap().contains("trapped"));
}

#[test]
fn other_policies_are_for_the_one_record_too() {
    let (batch, dropped, stats) = traps_on(&[0, 999], OnError::Open);
    assert_eq!(
        (batch.items(), dropped, stats.quarantined_items),
        (1_000, 0, 0)
    );
    assert_eq!(decoded(&batch).matches("canary").count(), 2);
    let (batch, dropped, stats) = traps_on(&[0, 999], OnError::Drop);
    assert_eq!((batch.items(), dropped, stats.dropped_items), (998, 2, 2));
    assert!(!contains(&batch, "canary"));
    let (batch, dropped, _) = traps_on(&[500], OnError::Strip);
    assert_eq!((batch.items(), dropped), (1_000, 0));
    assert!(!contains(&batch, "canary"));
    assert_eq!(decoded(&batch).matches("\"secret\"").count(), 999);
}

#[test]
fn a_batch_of_nothing_but_poison_is_refused_with_few_calls() {
    let (_dir, chain) = hides_unless("unreachable").chain(|_| {});
    let all: Vec<_> = (0..1_000).collect();
    let verdict = chain.process(thousand(&all));
    assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
    let stats = &chain.stats()[0];
    assert!(stats.calls <= 100, "{} calls", stats.calls);
    assert_eq!((stats.failures, stats.quarantined_items), (1, 0));
}

#[test]
fn too_many_bad_records_make_a_closed_batch_refused_and_an_open_one_pass() {
    let every_tenth: Vec<_> = (0..1_000).step_by(10).collect();
    let run = |policy| {
        let (_dir, chain) = hides_unless("unreachable").chain(|config| {
            config.on_error = Some(policy);
            config.i_accept_unredacted = true;
        });
        let verdict = chain.process(thousand(&every_tenth));
        assert_eq!(chain.stats()[0].failures, 1);
        verdict
    };
    assert!(matches!(run(OnError::Closed), Verdict::Refused { .. }));
    assert_eq!(kept(run(OnError::Open)).0.items(), 1_000);
    let (batch, dropped) = kept(run(OnError::Drop));
    assert_eq!(batch.items() + dropped, 1_000);
    assert!(!contains(&batch, "canary"));
    assert!(!contains(&kept(run(OnError::Strip)).0, "canary"));
}

#[test]
fn a_record_that_is_never_done_with_costs_the_batch_once_and_not_half_by_half() {
    let (_dir, chain) = hides_unless("(loop $again (br $again))").chain(|config| {
        config.limits.call = Duration::from_millis(20);
    });
    let verdict = chain.process(thousand(&[3]));
    assert!(matches!(verdict, Verdict::Refused { .. }));
    assert_eq!(chain.stats()[0].calls, 1);
}

#[test]
fn a_guest_that_asks_for_the_batch_again_gets_it_once() {
    // Says so on every first call of three.
    let guest = Guest {
        more: "(global $calls (mut i32) (i32.const 0))".into(),
        ..Guest::that(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (i32.store8 (i32.const 2048) (i32.rem_u (global.get $calls) (i32.const 3)))
             (if (i32.eq (i32.load8_u (i32.const 2048)) (i32.const 1)) (then
               (i32.store (i32.const 2056) (i32.const 16)) (i32.store (i32.const 2060) (i32.const 4))
               (i32.store8 (i32.const 2064) (i32.const 1))
               (return (i32.const 2048))))
             (memory.fill (i32.const 2048) (i32.const 0) (i32.const 128))",
        )
    };
    let (_dir, chain) = guest.chain(|_| {});
    for _ in 0..6 {
        kept(chain.process(thousand(&[])));
    }
    let stats = &chain.stats()[0];
    assert_eq!((stats.failures, stats.instances), (0, 1));
    assert_eq!(stats.calls, 9);
}

#[test]
fn who_keeps_failing_is_turned_off_and_tried_again_later() {
    let clock = Arc::new(ManualClock::default());
    // Well again once it is offered a batch without a `!`.
    let (_dir, chain) = hides_unless("unreachable").chain_at(&clock, |_| {});
    let bad = || secrets(std::iter::once("canary!".into()));
    for _ in 0..5 {
        assert_eq!(chain.stats()[0].state, PluginState::Running);
        chain.process(bad());
    }
    let off = chain.stats().remove(0);
    let PluginState::Off { retry_in, because } = off.state else {
        panic!("{off:?}");
    };
    assert_eq!((retry_in, off.trips), (Duration::from_secs(10), 1));
    assert!(because.contains("trapped"), "{because}");
    // Now nobody calls it, whatever comes, and nothing passes.
    clock.pass(4);
    let Verdict::Refused { reason, .. } = chain.process(thousand(&[])) else {
        panic!("unprocessed");
    };
    assert!(reason.contains("off") && reason.contains("7 s"), "{reason}");
    assert_eq!(chain.stats()[0].calls, off.calls);
    // Tried and found wanting: off for longer. Tried and found well: on.
    clock.pass(6);
    chain.process(bad());
    assert_eq!(chain.stats()[0].trips, 2);
    clock.pass(19);
    assert!(matches!(
        chain.process(thousand(&[])),
        Verdict::Refused { .. }
    ));
    clock.pass(1);
    kept(chain.process(thousand(&[])));
    assert_eq!(chain.stats()[0].state, PluginState::Running);
    kept(chain.process(thousand(&[])));
}

#[test]
fn an_open_processor_that_is_off_lets_data_pass_without_a_call() {
    let clock = Arc::new(ManualClock::default());
    let guest = Guest {
        fail_closed: false,
        ..Guest::that("unreachable")
    };
    let (_dir, chain) = guest.chain_at(&clock, |_| {});
    for _ in 0..20 {
        let before = secrets(std::iter::once("value".into()));
        assert_eq!(kept(chain.process(before.clone())), (before, 0));
    }
    assert_eq!((chain.stats()[0].calls, chain.stats()[0].failures), (5, 5));
}

#[test]
fn a_guest_that_leaks_a_little_on_each_call_is_replaced_and_never_missed() {
    // A page a call, in four MiB: worn after some fifty calls.
    let guest = Guest::that("(drop (memory.grow (i32.const 1)))");
    let (_dir, chain) = guest.chain(|_| {});
    for _ in 0..500 {
        kept(chain.process(thousand(&[])));
    }
    let stats = &chain.stats()[0];
    assert_eq!((stats.calls, stats.failures), (500, 0));
    assert!((5..=20).contains(&stats.instances), "{}", stats.instances);
}
