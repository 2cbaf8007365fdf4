//! Time and chance: coarse, to be allowed, and the same in every trial.

use std::sync::Arc;
use std::time::Duration;

use petrel_plugin_host::{Chain, ProcessorConfig, Verdict};
use petrel_wire::{Batch, Clock, Limits, UnixNanos};

use crate::guest::{Guest, added, hide};
use crate::otlp::{decoded, secrets};

const CLOCK: &str = r#"(import "petrel:plugin/clock@0.1.0" "wall-ns" (func $wall (result i64)))"#;

/// A clock that shows more than a plugin may see.
#[derive(Debug)]
struct Fine;

impl Clock for Fine {
    fn wall(&self) -> UnixNanos {
        UnixNanos(1_732_150_000_123_456_789)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Writes eight letters into every `secret` that come of eight random bytes, drawn in `drawing`.
fn draws(in_configure: bool) -> Guest {
    let draw = "(call $bytes (i32.const 8) (i32.const 3000))
        (global.set $drawn (i32.load (i32.const 3000)))
        (i64.store (i32.const 5000)
          (i64.add (i64.const 0x6161616161616161)
            (i64.and (i64.load (global.get $drawn)) (i64.const 0x0f0f0f0f0f0f0f0f))))";
    let (configure, before) = if in_configure { (draw, "") } else { ("", draw) };
    Guest {
        more: r#"(import "petrel:plugin/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
            (global $drawn (mut i32) (i32.const 0))"#
            .into(),
        configure: configure.into(),
        ..Guest::that(&(before.to_owned() + &added(5000, 8) + &hide(0, 0x8000_0000)))
    }
}

fn batch() -> Batch {
    secrets(["a".to_owned()].into_iter())
}

fn kept(chain: &Chain) -> String {
    match chain.process(batch()) {
        Verdict::Kept { batch, .. } => decoded(&batch),
        other => panic!("{other:?} {:?}", chain.stats()),
    }
}

#[test]
fn a_plugin_that_wants_the_clock_is_loaded_only_if_it_may_and_sees_milliseconds() {
    let guest = Guest {
        more: CLOCK.into(),
        ..Guest::that(
            "(if (i64.ne (call $wall) (i64.const 1732150000123000000)) (then unreachable))",
        )
    };
    let error = guest.load_error();
    assert!(error.contains("allow: [clock]"), "{error}");
    let (_dir, config) = guest.config(|config| config.allow_clock = true);
    let clock: Arc<dyn Clock> = Arc::new(Fine);
    let chain = Chain::load_with_clock(&[config], None, Limits::default(), &clock).unwrap();
    kept(&chain);
}

#[test]
fn random_bytes_are_others_each_time_and_the_same_from_a_seed() {
    let (_dir, config) = draws(false).config(|_| {});
    let load = |config: &ProcessorConfig| {
        Chain::load(std::slice::from_ref(config), None, Limits::default()).unwrap()
    };
    let chain = load(&config);
    assert_ne!(kept(&chain), kept(&chain));
    let seeded = ProcessorConfig {
        random_seed: Some(0),
        ..config
    };
    let (one, other) = (load(&seeded), load(&seeded));
    assert_eq!(kept(&one), kept(&other));
    assert_eq!(kept(&one), kept(&other));
    assert_ne!(kept(&one), kept(&load(&seeded)));
}

#[test]
fn a_key_drawn_when_it_is_configured_is_not_the_one_of_the_trial() {
    let (_dir, config) = draws(true).config(|_| {});
    let load = || Chain::load(std::slice::from_ref(&config), None, Limits::default()).unwrap();
    assert_ne!(kept(&load()), kept(&load()));
}
