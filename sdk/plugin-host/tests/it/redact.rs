//! The shipped redactor: what must be gone is gone, what must stay stays.

use std::path::PathBuf;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use petrel_plugin_host::{Chain, OnError, ProcessorConfig, Verdict};
use petrel_wire::{Batch, Limits};
use serde_json::json;

use crate::otlp::{array, contains, decoded, logs, map, metrics, pair, text, traces};

/// Built by `make`, from Rust source, by the same tool that plugin authors use.
fn redactor() -> PathBuf {
    let file = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/plugins/redact.wasm"
    ));
    assert!(
        file.exists(),
        "the redactor is not built; run: cargo run -p petrel-cli -- plugin build plugins/redact -o target/plugins/redact.wasm"
    );
    file
}

fn config(config: serde_json::Value) -> ProcessorConfig {
    ProcessorConfig {
        name: "redact".into(),
        plugin: redactor(),
        config,
        ..ProcessorConfig::default()
    }
}

fn chain(settings: serde_json::Value) -> Chain {
    Chain::load(&[config(settings)], None, Limits::default()).unwrap()
}

fn redacted(settings: serde_json::Value, batch: Batch) -> Batch {
    match chain(settings).process(batch) {
        Verdict::Kept { batch, dropped: 0 } => batch,
        other => panic!("{other:?}"),
    }
}

const CANARY: &str = "canary-7f3a";

/// Secrets in every shape that an attribute can have.
fn secrets() -> Vec<KeyValue> {
    let secret = || text(CANARY);
    vec![
        pair("password", secret()),
        pair("password", secret()),
        pair("http.request.header.Authorization", array(vec![secret()])),
        pair("app.secret", map(vec![pair("x", secret())])),
        pair("db.api_key", Value::BytesValue(CANARY.into())),
        pair(
            "nested",
            map(vec![pair("deep", map(vec![pair("Password", secret())]))]),
        ),
        pair("list", array(vec![map(vec![pair("auth.token", secret())])])),
        pair("query", text(&format!("a=1&token={CANARY}&b=2"))),
        pair(
            "json",
            text(&format!(r#"{{"user":"u","password":"{CANARY}"}}"#)),
        ),
        pair("header", text(&format!("Bearer {CANARY}"))),
        pair("url", text(&format!("postgres://app:{CANARY}@db/x"))),
        pair("keep.text", text("stays")),
        pair("keep.int", Value::IntValue(42)),
        pair("keep.map", map(vec![pair("one", Value::DoubleValue(1.0))])),
    ]
}

#[test]
fn no_secret_leaves_in_any_signal_at_any_level() {
    let said = format!("password={CANARY}");
    let body = map(vec![pair("msg", text(&said)), pair("secret", text(CANARY))]);
    for before in [
        traces(&secrets(), &said),
        logs(&secrets(), text(&said)),
        logs(&secrets(), body),
        metrics(&secrets()),
    ] {
        assert!(contains(&before, CANARY));
        let (signal, items) = (before.signal(), before.items());
        let after = redacted(json!({}), before);
        assert!(!contains(&after, CANARY), "{signal}: {}", decoded(&after));
        assert_eq!(after.items(), items);
        for kept in [
            "stays",
            "keep.int",
            "IntValue(42)",
            "DoubleValue(1.0)",
            "a=1&token=",
        ] {
            assert!(decoded(&after).contains(kept), "{signal}: {kept} is gone");
        }
        assert!(contains(&after, "[redacted]"));
    }
}

#[test]
fn only_what_was_found_is_replaced() {
    let value = |said: &str| {
        let after = redacted(json!({}), logs(&[], text(said)));
        let decoded = decoded(&after);
        let start = decoded.find("StringValue(\"").unwrap() + 13;
        let end = start + decoded[start..].find("\"))").unwrap();
        decoded[start..end].replace("\\\"", "\"")
    };
    let cases = [
        ("mail bob@example.com now", "mail [redacted] now"),
        ("card 4111 1111 1111 1111.", "card [redacted]."),
        ("order 4111 1111 1111 1112.", "order 4111 1111 1111 1112."),
        ("at 1732150000000000000 ns", "at 1732150000000000000 ns"),
        (
            "Authorization: Bearer abcdefghij",
            "Authorization: Bearer [redacted]",
        ),
        (
            r#"{"password":"x","n":1.50}"#,
            r#"{"password":"[redacted]","n":1.50}"#,
        ),
        (
            "user=1 password: hunter2, ok",
            "user=1 password: [redacted], ok",
        ),
        ("redis://:pw@host/0 up", "redis://:[redacted]@host/0 up"),
        ("id AKIAIOSFODNN7EXAMPLE", "id [redacted]"),
        ("jwt eyJhbGciOi.eyJzdWIiOi.sig-x", "jwt [redacted]"),
        ("tokens used: 12", "tokens used: 12"),
        ("nothing here", "nothing here"),
    ];
    for (said, want) in cases {
        assert_eq!(value(said), want);
    }
}

#[test]
fn a_batch_without_secrets_keeps_its_very_bytes() {
    let before = traces(&[pair("keep", text("this"))], "/index.html");
    let after = redacted(json!({}), before.clone());
    assert_eq!(after.bytes().as_ptr(), before.bytes().as_ptr());
}

#[test]
fn keys_and_patterns_can_be_chosen() {
    let attributes = [
        pair("ssn", text("secret-ssn")),
        pair("Password", text("left-alone")),
        pair("note", text("number 12-34")),
    ];
    let settings = json!({
        "keys": ["SSN"],
        "patterns": [{"regex": "[0-9]{2}-[0-9]{2}"}],
        "replacement": "***",
    });
    let after = decoded(&redacted(settings, traces(&attributes, "x")));
    assert!(!after.contains("secret-ssn"));
    assert!(after.contains("left-alone"));
    assert!(after.contains("number ***"));
}

#[test]
fn a_mistake_in_the_configuration_names_processor_file_and_cure() {
    let error = Chain::load(
        &[config(json!({"patterns": ["mail"]}))],
        None,
        Limits::default(),
    )
    .unwrap_err()
    .to_string();
    for part in [
        "processor \"redact\"",
        "redact.wasm",
        "\"mail\"",
        "email, card",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let error = Chain::load(
        &[config(json!({"patterns": [{"regex": "("}]}))],
        None,
        Limits::default(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("unclosed group"), "{error}");
}

#[test]
fn letting_data_pass_without_the_redactor_needs_a_signature() {
    let open = ProcessorConfig {
        on_error: Some(OnError::Open),
        ..config(json!({}))
    };
    let load = |config| Chain::load(&[config], None, Limits::default());
    let error = load(open.clone()).unwrap_err().to_string();
    assert!(error.contains("i_accept_unredacted: true"), "{error}");
    let signed = ProcessorConfig {
        i_accept_unredacted: true,
        ..open
    };
    assert!(load(signed).is_ok());
}

#[test]
fn many_threads_may_use_a_chain_at_once() {
    let chain = chain(json!({}));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let Verdict::Kept { batch, .. } = chain.process(metrics(&secrets())) else {
                        panic!("refused");
                    };
                    assert!(!contains(&batch, CANARY));
                }
            });
        }
    });
    let stats = &chain.stats()[0];
    assert_eq!((stats.calls, stats.failures), (80, 0));
    assert!(stats.edits > 0);
}

#[test]
fn a_batch_larger_than_a_part_is_redacted_in_all_its_parts() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use prost::Message as _;

    let one = logs(&secrets(), text(&"padding ".repeat(20_000)));
    let mut all = Vec::new();
    for _ in 0..60 {
        all.extend_from_slice(one.bytes());
    }
    let whole = Batch::from_protobuf(one.signal(), all.into(), &Limits::default()).unwrap();
    assert!(whole.bytes().len() > 9 << 20);
    let after = redacted(json!({}), whole);
    assert_eq!(after.items(), 60);
    assert!(!contains(&after, CANARY));
    ExportLogsServiceRequest::decode(after.bytes().clone()).unwrap();
}
