//! Tables that the operator mounts: found, reloaded, and never a way to what was not shown.

use petrel_plugin_host::{Chain, Verdict};
use petrel_wire::Limits;

use crate::guest::{DICT_FROM, DICT_SLOT, DICT_TO, Guest, list};
use crate::otlp::{decoded, secrets};

/// Replaces the first string of the batch by what the table `site` has for it, or deletes it.
fn joins(table: &str) -> Guest {
    Guest {
        lookup: true,
        access: 11,
        // It asks for the strings.
        configure: "(i32.store8 (i32.const 1560) (i32.const 1))".into(),
        more: format!(
            r#"(import "petrel:plugin/lookup@0.1.0" "open" (func $open (param i32 i32 i32)))
            (import "petrel:plugin/lookup@0.1.0" "join-dict" (func $join (param i32 i32 i32 i32 i32 i32)))
            (data (i32.const 5000) "\00\00\00\00")
            (data (i32.const 5004) "{table}")"#
        ),
        ..Guest::that(
            &("(call $open (i32.const 5004) (i32.const 4) (i32.const 3000))
               (if (i32.eqz (i32.load8_u (i32.const 3000))) (then unreachable))
               (i32.store (i32.const 5000) (i32.load (i32.load offset=20 (local.get 10))))
               (call $join (i32.load (i32.const 3004)) (i32.const 5000) (i32.const 1)
                 (i32.const 5004) (i32.const 4) (i32.const 3016))
               (i32.store16 (i32.const 4096) (i32.const 0))
               (i32.store (i32.const 4100) (i32.const 0xfffffffe))
               (i32.store (i32.const 4104) (i32.load (i32.load (i32.const 3016))))"
                .to_owned()
                + &list(DICT_SLOT, 4096, 1)
                + &list(DICT_FROM, 4100, 1)
                + &list(DICT_TO, 4104, 1)),
        )
    }
}

fn kept(chain: &Chain, value: &str) -> String {
    match chain.process(secrets([value.to_owned()].into_iter())) {
        Verdict::Kept { batch, .. } => decoded(&batch),
        other => panic!("{other:?} {:?}", chain.stats()),
    }
}

#[test]
fn what_the_table_has_stands_in_the_batch_and_a_changed_table_after_a_reload() {
    let (dir, config) = joins("site").config(|_| {});
    let chain = Chain::load(std::slice::from_ref(&config), None, Limits::default()).unwrap();
    assert!(kept(&chain, "a").contains("Berlin"));
    assert!(!kept(&chain, "b").contains("Berlin"));
    assert_eq!(chain.reload(std::slice::from_ref(&config)).unwrap().kept, 1);
    std::fs::write(dir.path().join("site.csv"), "value,site\nb,Paris\n").unwrap();
    assert_eq!(
        chain.reload(std::slice::from_ref(&config)).unwrap().loaded,
        1
    );
    assert!(kept(&chain, "b").contains("Paris"));
    // What cannot be read leaves everything as it was.
    std::fs::write(dir.path().join("site.csv"), "value,site\nb\n").unwrap();
    let error = chain.reload(&[config]).unwrap_err().to_string();
    assert!(error.contains("site.csv:2: has 1 fields"), "{error}");
    assert!(kept(&chain, "b").contains("Paris"));
}

#[test]
fn a_table_that_is_not_mounted_is_not_there() {
    let (_dir, chain) = joins("none").chain(|_| {});
    assert!(matches!(
        chain.process(secrets(["a".to_owned()].into_iter())),
        Verdict::Refused { .. }
    ));
}
