//! Replacing processors while batches go through.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use petrel_plugin_host::{Chain, PluginError, PluginLimits, ProcessorConfig, Reloaded, Verdict};
use petrel_wire::{Batch, Limits};
use tempfile::TempDir;

use crate::guest::{Guest, added, hide, hides_unless};
use crate::otlp::{decoded, pair, secrets, text, traces};

/// Writes this, of eight letters, into every `secret`.
fn writer(text: &str) -> Guest {
    let data = format!("(data (i32.const 5000) \"{text}\")");
    Guest {
        more: data,
        ..Guest::that(&(added(5000, 8) + &hide(0, 0x8000_0000)))
    }
}

/// Counts its calls, writes the count as the last of eight letters, and saves it.
fn counter(greeting: &str) -> Guest {
    Guest {
        more: format!(
            "(global $count (mut i32) (i32.const 48))
             (data (i32.const 5000) \"{greeting}\")"
        ),
        // A state is the ninth argument: whether there is one, where, how long.
        configure: "(if (local.get 8) (then
            (global.set $count (i32.load8_u (local.get 9)))))"
            .into(),
        save: "(i32.store8 (i32.const 5010) (global.get $count))
               (i32.store (i32.const 1008) (i32.const 5010)) (i32.store (i32.const 1012) (i32.const 1))"
            .into(),
        stateless: false,
        ..Guest::that(
            &("(global.set $count (i32.add (global.get $count) (i32.const 1)))
               (i32.store8 (i32.const 5007) (global.get $count))"
                .to_owned()
                + &added(5000, 8)
                + &hide(0, 0x8000_0000)),
        )
    }
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

fn load(configs: &[ProcessorConfig]) -> Chain {
    Chain::load(configs, None, Limits::default()).unwrap()
}

fn spans() -> Batch {
    secrets((0..20).map(|n| format!("value {n}")))
}

fn processed(chain: &Chain) -> String {
    match chain.process(spans()) {
        Verdict::Kept { batch, .. } => decoded(&batch),
        other => panic!("{other:?}"),
    }
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_next_batch_meets_the_new_component_and_counters_go_on() {
    let dir = dir();
    let configs = [config(dir.path(), "writer", &writer("version1"))];
    let chain = load(&configs);
    assert!(processed(&chain).contains("version1"));
    let before = chain.stats().remove(0);
    config(dir.path(), "writer", &writer("version2"));
    assert_eq!(
        chain.reload(&configs).unwrap(),
        Reloaded { kept: 0, loaded: 1 }
    );
    let text = processed(&chain);
    assert!(text.contains("version2") && !text.contains("version1"));
    let after = chain.stats().remove(0);
    assert_eq!((after.calls, after.edits), (2, 40));
    assert_ne!(before.sha256, after.sha256);
}

#[test]
fn what_has_not_changed_keeps_its_instances() {
    let dir = dir();
    let mut configs = vec![
        config(dir.path(), "first", &writer("version1")),
        config(dir.path(), "second", &Guest::default()),
    ];
    let chain = load(&configs);
    processed(&chain);
    configs[1].config = serde_json::json!({"other": true});
    assert_eq!(
        chain.reload(&configs).unwrap(),
        Reloaded { kept: 1, loaded: 1 }
    );
    configs.remove(1);
    assert_eq!(
        chain.reload(&configs).unwrap(),
        Reloaded { kept: 1, loaded: 0 }
    );
    processed(&chain);
    let stats = chain.stats();
    assert_eq!((stats.len(), stats[0].instances, stats[0].calls), (1, 1, 2));
    assert_eq!(chain.reload(&[]).unwrap(), Reloaded::default());
    assert!(chain.is_empty() && processed(&chain).contains("value 3"));
    assert_eq!(
        chain.reload(&configs).unwrap(),
        Reloaded { kept: 0, loaded: 1 }
    );
    assert!(processed(&chain).contains("version1"));
}

#[test]
fn a_bad_new_version_leaves_all_the_old_ones_and_says_why() {
    let dir = dir();
    let mut configs = vec![
        config(dir.path(), "writer", &writer("version1")),
        config(dir.path(), "other", &Guest::default()),
    ];
    let chain = load(&configs);
    config(dir.path(), "writer", &writer("version2"));
    let trap = Guest {
        configure: "unreachable".into(),
        ..Guest::default()
    };
    config(dir.path(), "other", &trap);
    let refused: PluginError = chain.reload(&configs).unwrap_err();
    assert!(refused.to_string().contains("\"other\""), "{refused}");
    assert!(processed(&chain).contains("version1"), "all or nothing");
    std::fs::remove_file(&configs[1].plugin).unwrap();
    assert!(
        chain
            .reload(&configs)
            .unwrap_err()
            .to_string()
            .contains("cannot read plugin")
    );
    configs.remove(1);
    chain.reload(&configs).unwrap();
    assert!(processed(&chain).contains("version2"));
}

#[test]
fn a_new_version_that_fails_on_what_came_lately_is_not_taken() {
    let dir = dir();
    let configs = [config(dir.path(), "writer", &writer("version1"))];
    let chain = load(&configs);
    let with_mark = || secrets((0..20).map(|n| format!("value {n}!")));
    assert!(matches!(chain.process(with_mark()), Verdict::Kept { .. }));
    config(dir.path(), "writer", &hides_unless("unreachable"));
    let refused = chain.reload(&configs).unwrap_err().to_string();
    assert!(
        refused.contains("fails on data that came lately") && refused.contains("trapped"),
        "{refused}"
    );
    assert!(processed(&chain).contains("version1"));
    assert_eq!((chain.stats()[0].failures, chain.stats()[0].calls), (0, 2));
}

#[test]
fn a_trial_leaves_neither_counters_nor_state_behind() {
    let dir = dir();
    let configs = [config(dir.path(), "counter", &counter("morning."))];
    let chain = load(&configs);
    assert!(processed(&chain).contains("morning1"));
    // The new one is not stateful in the old one's sense: nothing is handed over.
    let forgets = Guest {
        save: String::new(),
        ..counter("evening.")
    };
    config(dir.path(), "counter", &forgets);
    chain.reload(&configs).unwrap();
    assert!(processed(&chain).contains("evening2"));
    assert_eq!(chain.stats()[0].calls, 2);
    let other = Guest {
        save: String::new(),
        ..counter("midnight")
    };
    config(dir.path(), "counter", &other);
    chain.reload(&configs).unwrap();
    assert!(
        processed(&chain).contains("midnigh1"),
        "the trial's count is gone"
    );
}

#[test]
fn what_the_old_version_cannot_take_either_is_no_reason_against_the_new_one() {
    let dir = dir();
    let configs = [config(dir.path(), "writer", &Guest::that("unreachable"))];
    let chain = load(&configs);
    assert!(matches!(chain.process(spans()), Verdict::Refused { .. }));
    config(dir.path(), "writer", &hides_unless("unreachable"));
    chain.reload(&configs).unwrap();
    assert!(processed(&chain).contains("new text"));
}

#[test]
fn no_batch_sees_two_versions() {
    // Two processors, one for spans and one for resources, which must agree.
    let dir = dir();
    let both = |version: &str| {
        let for_resources = Guest {
            configure: "(i32.store8 (i32.const 512) (i32.const 0))".into(),
            ..writer(version)
        };
        let spans = config(dir.path(), &format!("spans-{version}"), &writer(version));
        let resources = config(dir.path(), &format!("resources-{version}"), &for_resources);
        [
            ProcessorConfig {
                name: "spans".into(),
                ..spans
            },
            ProcessorConfig {
                name: "resources".into(),
                ..resources
            },
        ]
    };
    let (one, two) = (both("version1"), both("version2"));
    let chain = load(&one);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = [0_u32; 2];
                    while !stop.load(Ordering::Relaxed) {
                        let batch = traces(&[pair("secret", text("value"))], "x");
                        let text = match chain.process(batch) {
                            Verdict::Kept { batch, .. } => decoded(&batch),
                            other => panic!("{other:?} {:?}", chain.stats()),
                        };
                        let (old, new) = (text.contains("version1"), text.contains("version2"));
                        assert!(old != new, "{text}");
                        seen[usize::from(new)] += 1;
                    }
                    seen
                })
            })
            .collect();
        for round in 0..20 {
            chain
                .reload(if round % 2 == 0 { &two } else { &one })
                .unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            let seen = sender.join().unwrap();
            assert!(seen[0] + seen[1] > 0);
        }
    });
    assert_eq!(chain.stats()[0].failures, 0);
}

#[test]
fn state_goes_from_version_to_version() {
    let dir = dir();
    let configs = [config(dir.path(), "counter", &counter("morning."))];
    let chain = load(&configs);
    assert!(processed(&chain).contains("morning1"));
    assert!(processed(&chain).contains("morning2"));
    config(dir.path(), "counter", &counter("evening."));
    chain.reload(&configs).unwrap();
    assert!(processed(&chain).contains("evening3"));
}

#[test]
fn a_pin_is_held_to_at_start_and_at_every_reload() {
    let dir = dir();
    let mut configs = [config(dir.path(), "writer", &writer("version1"))];
    let digest = load(&configs).stats()[0].sha256.clone();
    configs[0].sha256 = Some(digest.to_uppercase());
    let chain = load(&configs);
    config(dir.path(), "writer", &writer("version2"));
    let error = chain.reload(&configs).unwrap_err().to_string();
    assert!(
        error.contains(&digest.to_uppercase()) && error.contains("pins"),
        "{error}"
    );
    assert!(processed(&chain).contains("version1"));
    assert!(Chain::load(&configs, None, Limits::default()).is_err());
    configs[0].sha256 = Some("sha256:abc".into());
    let error = chain.reload(&configs).unwrap_err().to_string();
    assert!(error.contains("is not 64 hex digits"), "{error}");
}
