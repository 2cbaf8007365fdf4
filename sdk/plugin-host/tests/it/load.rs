//! Loading: what is not a plugin for this host is refused with the cure; what is, is compiled once.

use petrel_plugin_host::{Chain, Papers, PluginLimits, ProcessorConfig, inspect};
use petrel_wire::Limits;

use crate::guest::{Guest, file};

fn load_error(bytes: &[u8]) -> String {
    let (_dir, plugin) = file(bytes);
    let config = ProcessorConfig {
        name: "guest".into(),
        plugin,
        ..ProcessorConfig::default()
    };
    let error = Chain::load(&[config], None, Limits::default()).unwrap_err();
    error.to_string()
}

#[test]
fn what_is_no_component_is_told_apart() {
    assert!(load_error(b"hello").contains("is not a WebAssembly component"));
    let core = wat::parse_str("(module)").unwrap();
    assert!(load_error(&core).contains("petrel plugin build"));
    let empty = wat::parse_str("(component)").unwrap();
    assert!(load_error(&empty).contains("does not export petrel:plugin/processor"));
    assert!(load_error(b"\0asm\x0d\0\x01\0garbage").contains("does not compile"));
}

#[test]
fn imports_are_capabilities_and_only_those_offered_pass() {
    let wasi = wat::parse_str(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#);
    let error = load_error(&wasi.unwrap());
    assert!(error.contains("get no WASI"), "{error}");
    let other = wat::parse_str(r#"(component (import "acme:net/sockets@1.0.0" (instance)))"#);
    assert!(load_error(&other.unwrap()).contains("not in the contract"));
}

#[test]
fn another_contract_is_named_with_both_versions() {
    let guest = Guest {
        version: "0.2.0",
        ..Guest::default()
    };
    let error = guest.load_error();
    assert!(
        error.contains("petrel:plugin@0.2.0") && error.contains("rebuild"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_missing_or_too_large_is_named() {
    let (dir, mut config) = Guest::default().config(|config| config.limits.component_bytes = 100);
    let error = Chain::load(&[config.clone()], None, Limits::default()).unwrap_err();
    assert!(error.to_string().contains("100 are allowed"), "{error}");
    config.plugin = dir.path().join("none.wasm");
    let error = Chain::load(&[config], None, Limits::default()).unwrap_err();
    assert!(error.to_string().contains("none.wasm"), "{error}");
}

#[test]
fn two_processors_of_one_name_are_refused() {
    let (_dir, config) = Guest::default().config(|_| {});
    let error = Chain::load(&[config.clone(), config], None, Limits::default()).unwrap_err();
    assert!(error.to_string().contains("two processors"), "{error}");
}

#[test]
fn a_second_start_loads_what_the_first_compiled() {
    let (dir, config) = Guest::default().config(|_| {});
    let cache = dir.path().join("cache");
    let files = || std::fs::read_dir(&cache).map_or(0, Iterator::count);
    for _ in 0..2 {
        let configs = [config.clone()];
        Chain::load(&configs, Some(cache.clone()), Limits::default()).unwrap();
        assert_eq!(files(), 1);
    }
}

#[test]
fn the_papers_of_a_plugin_say_what_it_may_and_wants() {
    let (_dir, path) = Guest::default().file();
    let papers: Papers = inspect(
        &path,
        &serde_json::json!({}),
        &PluginLimits::default(),
        None,
    )
    .unwrap();
    let papers = papers.to_string();
    for part in [
        "may use      nothing",
        "stops the data",
        "read+write   record     attributes secret",
    ] {
        assert!(papers.contains(part), "{papers}");
    }
}
