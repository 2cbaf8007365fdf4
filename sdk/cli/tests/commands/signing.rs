//! `petrel plugin keygen`, `sign` and `verify`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::repository;

/// Whether it did it, and all that it said.
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

fn does(dir: &Path, arguments: &[&str]) -> String {
    let (done, words) = petrel(dir, arguments);
    assert!(done, "{arguments:?}: {words}");
    words
}

fn does_not(dir: &Path, arguments: &[&str]) -> String {
    let (done, words) = petrel(dir, arguments);
    assert!(!done, "{arguments:?}: {words}");
    words
}

#[test]
fn a_signed_component_is_good_for_its_key_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::copy(
        repository("target/plugins/redact.wasm"),
        dir.join("redact.wasm"),
    )
    .unwrap();
    let told = does(dir, &["keygen", "team"]);
    assert!(told.contains("require_signature: true"), "{told}");
    let secret = fs::metadata(dir.join("team.key")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    let told = does_not(dir, &["keygen", "team"]);
    assert!(told.contains("cannot make team.key"), "{told}");

    let told = does_not(dir, &["verify", "redact.wasm", "--key", "team.pub"]);
    assert!(told.contains("petrel plugin sign redact.wasm"), "{told}");
    let told = does(dir, &["sign", "redact.wasm", "--key", "team.key"]);
    assert!(told.contains("vouches for redact"), "{told}");
    let told = does(dir, &["verify", "redact.wasm", "--key", "team.pub"]);
    assert!(told.contains("redact.wasm is redact"), "{told}");
    let public = fs::read_to_string(dir.join("team.pub")).unwrap();
    does(dir, &["verify", "redact.wasm", "--key", public.trim()]);

    does(dir, &["keygen", "other"]);
    let told = does_not(dir, &["verify", "redact.wasm", "--key", "other.pub"]);
    assert!(told.contains("says to be by"), "{told}");
    fs::copy(
        repository("target/plugins/sample.wasm"),
        dir.join("redact.wasm"),
    )
    .unwrap();
    let told = does_not(dir, &["verify", "redact.wasm", "--key", "team.pub"]);
    assert!(told.contains("the signature is for sha256"), "{told}");
    let told = does_not(dir, &["sign", "redact.wasm", "--key", "team.pub"]);
    assert!(told.contains("petrel plugin keygen"), "{told}");
}
