//! Outputs: a batch for each, of the same bytes, and nothing lost between them.

use petrel_plugin_host::{Chain, Outcome, ProcessorConfig, Verdict};
use petrel_wire::{Batch, Limits};

use crate::guest::{Guest, VERDICTS, added, hide, list, router};
use crate::otlp::{contains, decoded, secrets};

fn batch() -> Batch {
    secrets(["one", "two", "three"].map(str::to_owned).into_iter())
}

fn outputs(outcome: &Outcome) -> Vec<(&str, u32)> {
    let routed = outcome.routed.iter();
    routed
        .map(|routed| (&*routed.output, routed.batch.items()))
        .collect()
}

fn kept(outcome: &Outcome) -> (&Batch, u32) {
    match &outcome.verdict {
        Verdict::Kept { batch, dropped } => (batch, *dropped),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_output_gets_its_records_and_the_rest_goes_on() {
    let (_dir, chain) = router("\\01\\00\\02", "").chain(|_| {});
    let outcome = chain.run(batch());
    assert_eq!(outputs(&outcome), [("audit", 1), ("other", 1)]);
    let (default, dropped) = kept(&outcome);
    assert_eq!((default.items(), dropped), (1, 0));
    assert!(decoded(default).contains("two") && !contains(default, "one"));
    assert!(contains(&outcome.routed[0].batch, "one"));
    assert!(!contains(&outcome.routed[0].batch, "two"));
    assert!(contains(&outcome.routed[1].batch, "three"));
    for part in [default, &outcome.routed[0].batch, &outcome.routed[1].batch] {
        let bytes = part.bytes().clone();
        let read = Batch::from_protobuf(part.signal(), bytes, &Limits::default()).unwrap();
        assert_eq!(read.items(), 1);
    }
    let routed = &chain.stats()[0].routed_items;
    assert_eq!((routed["audit"], routed["other"]), (1, 1));
}

#[test]
fn whoever_has_one_place_gets_all_of_it() {
    let (_dir, chain) = router("\\01\\00\\02", "").chain(|_| {});
    let Verdict::Kept { batch, dropped: 0 } = chain.process(batch()) else {
        panic!("not kept");
    };
    assert_eq!(batch.items(), 3);
}

#[test]
fn what_is_routed_goes_on_through_the_chain_and_may_be_dropped_there() {
    let (_one, first) = router("\\01\\01\\00", "").config(|config| config.name = "route".into());
    let hides = added(48, 8) + &hide(0, 0x8000_0000) + &list(VERDICTS, 6000, 3);
    let second = Guest {
        more: r#"(data (i32.const 6000) "\01\00\00")"#.into(),
        ..Guest::that(&hides)
    };
    let (_other, second) = second.config(|config| config.name = "hide".into());
    let chain = Chain::load(&[first, second], None, Limits::default()).unwrap();
    let outcome = chain.run(batch());
    assert_eq!(outputs(&outcome), [("audit", 1)]);
    assert!(contains(&outcome.routed[0].batch, "new text"));
    let (default, dropped) = kept(&outcome);
    assert_eq!((default.items(), dropped), (1, 1));
    assert!(contains(default, "new text") && !contains(default, "three"));
}

#[test]
fn nothing_may_be_left_for_the_default_output() {
    let (_dir, chain) = router("\\02\\02\\02", "").chain(|_| {});
    let outcome = chain.run(batch());
    assert_eq!(outputs(&outcome), [("other", 3)]);
    let (default, dropped) = kept(&outcome);
    assert!(default.is_empty() && dropped == 0);
    assert_eq!(outcome.routed[0].batch.bytes(), batch().bytes());
}

#[test]
fn an_output_that_leads_nowhere_is_an_error_that_says_what_to_write() {
    let (_dir, config) = router("\\00\\00\\00", "").config(|config| {
        config.outputs = Some(vec!["audit".into()]);
    });
    let load = |config: &ProcessorConfig| {
        Chain::load(std::slice::from_ref(config), None, Limits::default()).map(drop)
    };
    let error = load(&config).unwrap_err().to_string();
    assert!(
        error.contains("\"other\"") && error.contains("outputs: { other: { dsn:"),
        "{error}"
    );
    let both = ProcessorConfig {
        outputs: Some(vec!["audit".into(), "other".into()]),
        ..config
    };
    load(&both).unwrap();
}
