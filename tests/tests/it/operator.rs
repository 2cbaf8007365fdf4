//! What the person who runs it meets: configuration files, the read-only door, clear refusals.

use std::process::{Command, Output};

use petrel_tests::edge::EdgeOptions;
use petrel_tests::process::{binary, repository};
use petrel_tests::site::Site;

fn check(program: &str, file: &std::path::Path) -> Output {
    Command::new(binary(program))
        .args(["check", "--config"])
        .arg(file)
        .output()
        .expect("it starts")
}

fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_uptrace_configuration_of_the_guide_loads_unchanged() {
    let output = check(
        "petrel-aggregator",
        &repository("tests/fixtures/uptrace/uptrace.yml"),
    );
    assert!(output.status.success(), "{}", words(&output));
}

#[test]
fn a_typo_in_a_configuration_names_file_line_key_and_the_nearest_key() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let cases = [
        (
            "petrel-aggregator",
            "petrel.yml",
            "listen:\n  http:\n    adr: \":14318\"\nprojects:\n  - { id: 1, name: a, token: b }\n",
            3,
            "adr",
            "addr",
        ),
        (
            "petrel-agent",
            "agent.yaml",
            "dsn: http://t@localhost:14318\nspool:\n  dir: ./data\n  max_byte: 2GiB\n",
            4,
            "max_byte",
            "max_bytes",
        ),
    ];
    for (program, name, text, line, typo, meant) in cases {
        let file = dir.path().join(name);
        std::fs::write(&file, text)?;
        let output = check(program, &file);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(64), "{said}");
        for part in [name, &format!(":{line}"), typo, meant] {
            assert!(said.contains(part), "{part:?} is missing in: {said}");
        }
    }
    Ok(())
}

#[test]
fn the_operators_door_reads_and_never_writes() -> anyhow::Result<()> {
    let mut site = Site::configure(&EdgeOptions {
        redact: false,
        ..EdgeOptions::default()
    })?;
    let closed = site
        .sql("SELECT 1")
        .expect_err("nothing runs yet")
        .to_string();
    assert!(closed.contains("running"), "{closed}");
    site.central.start()?;
    assert_eq!(site.sql("SELECT 1 + 1")?, [["2"]]);
    for view in ["spans", "logs", "points"] {
        assert_eq!(site.count(&format!("SELECT count() FROM {view}"))?, 0);
    }
    for harm in [
        "DROP TABLE span_rows",
        "INSERT INTO resources SELECT * FROM resources",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')",
    ] {
        site.sql(harm).expect_err(harm);
    }
    Ok(())
}
