//! The binary's words about a configuration.

use std::path::PathBuf;
use std::process::{Command, Output};

fn check(name: &str, text: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_petrel-aggregator"))
        .args(["check", "--config"])
        .arg(&path)
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_good_file_is_good_and_says_what_has_no_effect_yet() {
    let output = check("uptrace.yml", "smtp_mailer: { host: mail }\n");
    assert_eq!(output.status.code(), Some(0));
    let words = words(&output);
    assert!(
        words.contains("line 1: smtp_mailer: accepted, no effect yet"),
        "{words}"
    );
    assert!(words.contains("uptrace.yml is good"), "{words}");
}

#[test]
fn typos_name_file_line_key_and_the_nearest_key_and_end_with_64() {
    let output = check(
        "petrel.yml",
        "listen:\n  grcp: { addr: ':1' }\nsite: { adr: x }\n",
    );
    assert_eq!(output.status.code(), Some(64));
    let words = words(&output);
    assert!(
        words.contains("petrel.yml:2: listen.grcp: unknown key; did you mean \"grpc\"?"),
        "{words}"
    );
    assert!(
        words.contains("petrel.yml:3: site.adr: unknown key; did you mean \"addr\"?"),
        "{words}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_petrel-aggregator"))
        .args(["check", "--config", "/nowhere/petrel.yml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(words(&output).contains("/nowhere/petrel.yml"));
}
