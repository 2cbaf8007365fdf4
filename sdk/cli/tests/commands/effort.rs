//! `petrel plugin bench` and `fuzz`: what a plugin costs, and what it cannot take.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::guest::Guest;
use crate::repository;

/// Whether it is content, and all that it said.
fn petrel(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_petrel"))
        .arg("plugin")
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), words)
}

/// A directory with a component and one case.
fn plugin(guest: &Guest) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("cases/first");
    fs::create_dir_all(&case).unwrap();
    fs::write(dir.path().join("guest.wasm"), guest.component()).unwrap();
    let input = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[
        {"key":"secret","value":{"stringValue":"some words"}}]}]}]}]}"#;
    fs::write(case.join("input.otlp.json"), input).unwrap();
    fs::write(case.join("expected.otlp.json"), input).unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}

const FUZZ: [&str; 7] = [
    "fuzz",
    "--component",
    "guest.wasm",
    "--seed",
    "11",
    "--requests",
    "64",
];

#[test]
fn a_plugin_that_takes_everything_is_not_found_at_fault() {
    let (_dir, path) = plugin(&Guest::default());
    let (content, said) = petrel(&path, &FUZZ);
    assert!(content, "{said}");
    assert!(said.contains("seed 11: 64 requests of "), "{said}");
    // The seed says it all.
    assert_eq!(petrel(&path, &FUZZ).1, said);
}

#[test]
fn what_a_plugin_cannot_take_becomes_a_small_case() {
    // Traps on more than a thousand bytes of strings.
    let guest = Guest {
        configure: "(i32.store8 (i32.const 1560) (i32.const 1))".into(),
        ..Guest::that("(if (i32.gt_u (local.get 9) (i32.const 1000)) (then unreachable))")
    };
    let (_dir, path) = plugin(&guest);
    let (content, said) = petrel(&path, &FUZZ);
    assert!(!content, "{said}");
    assert!(
        said.contains("seed 11: FAILED") && said.contains("trapped"),
        "{said}"
    );
    let case = fs::read_to_string(path.join("cases/fuzz-11/input.otlp.json")).unwrap();
    assert!(case.len() < 20_000, "{} bytes: {case:.2000}", case.len());
    let (content, said) = petrel(&path, &["test", "--component", "guest.wasm"]);
    assert!(!content, "{said}");
    assert!(
        said.contains("ok     first") && said.contains("FAILED fuzz-11"),
        "{said}"
    );
}

#[test]
fn a_budget_is_written_kept_and_found_exceeded() {
    let (_dir, path) = plugin(&Guest::default());
    let bench = ["bench", "--component", "guest.wasm"];
    let (content, said) = petrel(&path, &bench);
    assert!(
        content && said.contains("there is no ./budget.toml"),
        "{said}"
    );
    for records in ["1", "64", "512", "8192"] {
        let line = format!("batch of {records} ");
        assert!(said.contains(&line), "{said}");
    }
    let (content, said) = petrel(&path, &[&bench[..], &["--update"]].concat());
    assert!(content, "{said}");
    let no_times = [&bench[..], &["--no-times"]].concat();
    let (content, said) = petrel(&path, &no_times);
    assert!(content, "{said}");
    // The same plugin, and some more instructions.
    let busy = Guest {
        more: "(global $left (mut i32) (i32.const 0))".into(),
        ..Guest::that(
            "(global.set $left (i32.const 100000))
             (loop $again
               (global.set $left (i32.sub (global.get $left) (i32.const 1)))
               (br_if $again (global.get $left)))",
        )
    };
    fs::write(path.join("guest.wasm"), busy.component()).unwrap();
    let (content, said) = petrel(&path, &no_times);
    assert!(!content, "{said}");
    assert!(
        said.contains("fuel/record  WORSE than") && said.contains("petrel plugin bench --update"),
        "{said}"
    );
    fs::write(path.join("budget.toml"), "fule = 1\n").unwrap();
    let (content, said) = petrel(&path, &bench);
    assert!(!content && said.contains("fule"), "{said}");
}

#[test]
fn every_processor_that_we_ship_keeps_its_budget_and_takes_what_nobody_wrote() {
    for plugin in crate::shipped::plugins() {
        let name = plugin.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(plugin.join("budget.toml").is_file(), "{name} has no budget");
        let component = repository(&format!("target/plugins/{name}.wasm"));
        let component = component.to_str().unwrap();
        let dir = plugin.to_str().unwrap();
        let bench = ["bench", dir, "--component", component, "--no-times"];
        let (content, said) = petrel(&plugin, &bench);
        assert!(content, "{name}\n{said}");
        // A fixed seed: `make test` says the same twice.
        let fuzz = [
            "fuzz",
            dir,
            "--component",
            component,
            "--seed",
            "1",
            "--requests",
            "48",
        ];
        let (content, said) = petrel(&plugin, &fuzz);
        assert!(content, "{name}\n{said}");
    }
}
