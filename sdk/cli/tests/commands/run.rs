//! `petrel plugin run`, `test` and `new`, and what they say when something is wrong.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::repository;

fn petrel(arguments: &[&str], dir: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_petrel"))
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn notes(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn redact() -> String {
    let file = repository("target/plugins/redact.wasm");
    file.to_str().unwrap().to_owned()
}

const LOG: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"password=hunter2"}}]}]}]}"#;

#[test]
fn requests_come_out_in_the_form_they_came_in() {
    let here = repository("");
    let two = format!("{LOG}\n{LOG}");
    let output = petrel(&["plugin", "run", &redact()], &here, &two);
    assert!(output.status.success(), "{}", notes(&output));
    let redacted = LOG.replace("hunter2", "[redacted]");
    assert_eq!(out(&output), format!("{redacted}\n{redacted}\n"));
    assert!(notes(&output).starts_with("redact: 2 items in, 2 out, 2 edits, 0 dropped"));

    let body = "\x0a\x12\x12\x10\x12\x0e\x2a\x0c\x0a\x0apwd=secret";
    let protobuf = petrel(
        &["plugin", "run", &redact(), "--signal", "logs"],
        &here,
        body,
    );
    assert!(
        out(&protobuf).ends_with("pwd=[redacted]"),
        "{}",
        notes(&protobuf)
    );
    let unsaid = petrel(&["plugin", "run", &redact()], &here, body);
    assert!(!unsaid.status.success());
    assert!(notes(&unsaid).contains("--signal traces, logs or metrics"));
}

#[test]
fn a_case_that_fails_is_shown_and_can_be_taken_for_right() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("cases/one");
    let component = redact();
    let test = ["plugin", "test", "--component", &component];
    let none = petrel(&test, dir.path(), "");
    assert!(
        notes(&none).contains("cases/first/input.otlp.json"),
        "{}",
        notes(&none)
    );

    fs::create_dir_all(&case).unwrap();
    fs::write(case.join("input.otlp.json"), LOG).unwrap();
    let new = petrel(&test, dir.path(), "");
    assert!(!new.status.success());
    assert!(
        out(&new).contains("has no expected.otlp.json yet"),
        "{}",
        out(&new)
    );

    let update = petrel(&[&test[..], &["--update"]].concat(), dir.path(), "");
    assert_eq!(out(&update), "ok     one\n1 case written\n");
    assert_eq!(out(&petrel(&test, dir.path(), "")), "ok     one\n1 case\n");

    let expected = case.join("expected.otlp.json");
    let text = fs::read_to_string(&expected).unwrap();
    fs::write(&expected, text.replace("[redacted]", "hidden")).unwrap();
    let failed = petrel(
        &[&test[..], &["--color", "always"]].concat(),
        dir.path(),
        "",
    );
    assert!(!failed.status.success());
    for part in [
        "\x1b[31m    - body: \"password=hidden\"\x1b[0m\n",
        "\x1b[32m    + body: \"password=[redacted]\"\x1b[0m\n",
        "petrel plugin test --update",
    ] {
        assert!(out(&failed).contains(part), "{}", out(&failed));
    }

    fs::write(case.join("config.json"), r#"{"patterns": ["mail"]}"#).unwrap();
    let config = petrel(&test, dir.path(), "");
    assert!(out(&config).contains("email, card"), "{}", out(&config));
}

#[test]
fn what_is_no_plugin_is_answered_with_the_command_that_makes_one() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = petrel(&["plugin", "build"], dir.path(), "");
    assert!(
        notes(&nothing).contains("    petrel plugin new NAME\n"),
        "{}",
        notes(&nothing)
    );
    fs::create_dir(dir.path().join("taken")).unwrap();
    fs::write(dir.path().join("taken/file"), "").unwrap();
    let script = dir.path().join("script");
    fs::create_dir(&script).unwrap();
    fs::write(
        script.join("package.json"),
        r#"{"name":"s","version":"1","main":"s.js"}"#,
    )
    .unwrap();
    let uninstalled = petrel(&["plugin", "build", "script"], dir.path(), "");
    let said = notes(&uninstalled);
    assert!(
        said.contains("    npm install --prefix script\n") || said.contains("node 20"),
        "{said}"
    );
    let taken = petrel(&["plugin", "new", "taken"], dir.path(), "");
    assert!(
        notes(&taken).contains("is there already"),
        "{}",
        notes(&taken)
    );
    let no_sdk = petrel(&["plugin", "new", "x", "--sdk", "nowhere"], dir.path(), "");
    assert!(
        notes(&no_sdk).contains("nowhere has no Cargo.toml"),
        "{}",
        notes(&no_sdk)
    );
    assert!(!dir.path().join("x").exists());
}

#[test]
fn two_components_are_compared_over_the_same_requests() {
    let here = repository("");
    let (redact, scrub) = (redact(), repository("target/plugins/scrub-sql-url.wasm"));
    let scrub = scrub.to_str().unwrap();
    let input = format!("{LOG}\n{}", LOG.replace("password=hunter2", "hello"));
    let same = petrel(&["plugin", "diff", &redact, &redact], &here, &input);
    assert!(same.status.success(), "{}", notes(&same));
    assert_eq!(
        (out(&same), notes(&same)),
        (
            String::new(),
            "0 of 2 requests are answered differently\n".into()
        )
    );
    let other = petrel(&["plugin", "diff", &redact, scrub], &here, &input);
    assert!(!other.status.success());
    for part in [
        "request 1\n",
        "- body: \"password=[redacted]\"\n",
        "+ body: \"password=hunter2\"\n",
    ] {
        assert!(out(&other).contains(part), "{}", out(&other));
    }
    assert!(!out(&other).contains("request 2"), "{}", out(&other));
    assert_eq!(notes(&other), "1 of 2 requests are answered differently\n");
}

#[test]
fn missing_tools_of_other_languages_are_answered_with_the_command_that_installs_them() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let cases = [
        (
            "go.mod",
            "module example.com/mine\n",
            [
                "    apt-get install -y golang-go\n",
                "    https://go.dev/dl\n",
            ],
        ),
        (
            "package.json",
            r#"{"name":"s","version":"1","main":"s.js"}"#,
            [
                "    apt-get install -y nodejs npm\n",
                "    see https://nodejs.org",
            ],
        ),
        (
            "pyproject.toml",
            "[project]\n",
            ["/.venv && ", "/.venv/bin/pip install -r "],
        ),
    ];
    for (manifest, text, helps) in cases {
        let plugin = dir.path().join(manifest.split('.').next().unwrap());
        fs::create_dir(&plugin).unwrap();
        fs::write(plugin.join(manifest), text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_petrel"))
            .args(["plugin", "build"])
            .arg(&plugin)
            .env("PATH", &bin)
            .output()
            .unwrap();
        let said = notes(&output);
        assert!(helps.iter().any(|help| said.contains(help)), "{said}");
    }
}

#[test]
fn a_machine_that_cannot_build_for_wasm_is_told_the_one_command_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(dir.path().join("Cargo.toml"), "").unwrap();
    let script = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = bin.join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let build = || {
        Command::new(env!("CARGO_BIN_EXE_petrel"))
            .args(["plugin", "build"])
            .current_dir(dir.path())
            .env("PATH", &bin)
            .output()
            .unwrap()
    };
    script("rustc", "echo /nowhere");
    let without_rustup = notes(&build());
    let helps = [
        "    apt-get install -y rustc-web",
        "sh.rustup.rs | sh -s -- -y --target wasm32-unknown-unknown",
    ];
    assert!(
        helps.iter().any(|command| without_rustup.contains(command)),
        "{without_rustup}"
    );
    script("rustup", "echo 'error: no such host' >&2; exit 1");
    let without_target = notes(&build());
    assert!(without_target.contains("no such host"), "{without_target}");
    assert!(without_target.contains("\n    rustup target add wasm32-unknown-unknown\n"));
}
