//! The golden cases of a plugin, natively: the same files that `petrel plugin test` runs in the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::instruments::{recorded, summary};
use super::{NOW_NS, Tested};
use crate::Processor;

/// Runs every case in `dir`: a folder with `input.otlp.json`, `expected.otlp.json` and, where the
/// configuration is not empty, `config.json`; tables that it looks something up in are files in
/// `lookups/`, like `lookups/sites.csv`. A file may hold several requests, one after the other;
/// they come a second apart. If there is `expected.metrics.json`, it is what the plugin must have
/// counted, and `expected.NAME.otlp.json` what must have gone to the output of that name. Panics with the first difference.
pub fn golden<P: Processor>(dir: impl AsRef<Path>) {
    let dir = dir.as_ref();
    let list = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut cases: Vec<_> = list.flatten().map(|entry| entry.path()).collect();
    cases.retain(|path| path.join("input.otlp.json").is_file());
    cases.sort();
    assert!(!cases.is_empty(), "{} has no cases", dir.display());
    for case in cases {
        let name = case.display();
        let config = case.join("config.json");
        let config = if config.exists() {
            read(&config).remove(0)
        } else {
            Value::Null
        };
        let mut plugin = match Tested::<P>::with_lookups(config, &lookups(&case)) {
            Ok(plugin) => plugin,
            Err(error) => panic!("{name}: it does not take its configuration: {error}"),
        };
        drop(recorded());
        let expected = read(&case.join("expected.otlp.json"));
        let input = read(&case.join("input.otlp.json"));
        assert_eq!(
            input.len(),
            expected.len(),
            "{name}: as many requests come out as go in"
        );
        for (index, (input, expected)) in input.iter().zip(&expected).enumerate() {
            plugin.set_now_ns(NOW_NS + index as u64 * 1_000_000_000);
            let got = match plugin.run(input) {
                Ok(got) => got,
                Err(error) => panic!("{name}: request {index}: {error}"),
            };
            let (got, expected) = (canonical(&got), canonical(expected));
            assert!(
                got == expected,
                "{name}: request {index} differs\n got      {got:#}\n expected {expected:#}"
            );
        }
        let mut routed = BTreeMap::<String, Vec<Value>>::new();
        for (output, request) in plugin.routed() {
            routed.entry(output).or_default().push(canonical(&request));
        }
        let expected: BTreeMap<String, Vec<Value>> = outputs(&case)
            .into_iter()
            .map(|(output, file)| (output, read(&file).iter().map(canonical).collect()))
            .collect();
        assert!(
            routed == expected,
            "{name}: something else went to other outputs\n got      {routed:#?}\n expected {expected:#?}"
        );
        let counted = case.join("expected.metrics.json");
        if counted.is_file() {
            let (got, expected) = (summary(recorded()), read(&counted).remove(0));
            assert!(
                got == expected,
                "{name}: it counted something else\n got      {got:#}\n expected {expected:#}"
            );
        }
    }
}

/// Files with what must go to other outputs than the default one.
fn outputs(case: &Path) -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(case).into_iter().flatten().flatten();
    files
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let output = name.strip_prefix("expected.")?.strip_suffix(".otlp.json")?;
            Some((output.to_owned(), entry.path()))
        })
        .collect()
}

/// By name, what stands in the files.
fn lookups(case: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(case.join("lookups")).into_iter().flatten();
    let files = files.flatten().map(|entry| entry.path());
    files
        .map(|file| {
            let text = fs::read_to_string(&file);
            let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let name = file.file_stem().unwrap_or_default();
            (name.to_string_lossy().into_owned(), text)
        })
        .collect()
}

fn read(path: &Path) -> Vec<Value> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let values = serde_json::Deserializer::from_str(&text).into_iter();
    values
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One form for what OTLP/JSON can say in several: attributes in the order of their keys, 64-bit
/// numbers as strings, no defaults.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<_> = list.iter().map(canonical).collect();
            if list.iter().all(|one| one.get("key").is_some()) {
                list.sort_by_key(|pair| pair["key"].to_string());
            }
            Value::Array(list)
        }
        Value::Object(members) => {
            let members = members.iter().filter_map(|(name, value)| {
                let is_value = name.ends_with("Value") || name.starts_with("as");
                let value = match value {
                    Value::Number(number) if name == "intValue" || name.ends_with("Nano") => {
                        number.to_string().into()
                    }
                    value => canonical(value),
                };
                (is_value || !is_default(&value)).then(|| (name.clone(), value))
            });
            let mut sorted: Vec<_> = members.collect();
            sorted.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(Map::from_iter(sorted))
        }
        other => other.clone(),
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) => false,
    }
}
