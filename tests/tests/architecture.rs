//! The directions that hold for ever, and documentation that names only what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};
use petrel_tests::process::repository;

/// Direct dependencies of each of our crates, without those of tests and builds.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(repository("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("the workspace has metadata");
    let direct = |package: &cargo_metadata::Package| {
        let normal = package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.clone()).collect()
    };
    metadata
        .packages
        .iter()
        .map(|package| (package.name.to_string(), direct(package)))
        .collect()
}

fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![repository(dir)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a readable directory");
            open.extend(entries.map(|entry| entry.expect("a readable entry").path()));
        } else if path
            .extension()
            .is_some_and(|e| e == "rs" || e == "ts" || e == "tsx")
        {
            let text = std::fs::read_to_string(&path).expect("a text file");
            found.push((path, text));
        }
    }
    found
}

#[test]
fn crates_depend_only_in_the_directions_that_the_architecture_allows() {
    let all = dependencies();
    let ours = |krate: &str| -> BTreeSet<String> {
        all[krate]
            .iter()
            .filter(|name| name.starts_with("petrel-"))
            .cloned()
            .collect()
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(ours("petrel-wire"), set(&[]));
    assert_eq!(ours("petrel-log"), set(&["petrel-wire"]));
    assert_eq!(ours("petrel-spool"), set(&["petrel-wire"]));
    assert_eq!(ours("petrel-plugin-host"), set(&["petrel-wire"]));
    assert_eq!(
        ours("petrel-receiver"),
        set(&["petrel-spool", "petrel-wire"])
    );
    assert!(!ours("petrel-agent").contains("petrel-aggregator"));
    assert!(!ours("petrel-aggregator").contains("petrel-agent"));
}

#[test]
fn the_wire_knows_no_runtime_and_each_engine_has_one_owner() {
    let all = dependencies();
    let runtimes = [
        "tokio",
        "tonic",
        "axum",
        "hyper",
        "redb",
        "wasmtime",
        "sqlx",
        "clickhouse",
    ];
    for runtime in runtimes {
        assert!(
            !all["petrel-wire"].contains(runtime),
            "petrel-wire must not know {runtime}"
        );
    }
    for (owner, engine) in [
        ("petrel-spool", "redb"),
        ("petrel-plugin-host", "wasmtime"),
        ("petrel-aggregator", "clickhouse"),
        ("petrel-aggregator", "sqlx"),
    ] {
        let users: Vec<&String> = all
            .iter()
            .filter(|(_, d)| d.contains(engine))
            .map(|(k, _)| k)
            .collect();
        assert_eq!(users, [owner], "{engine} has one owner");
    }
}

#[test]
fn rows_meaning_and_queries_are_pure() {
    for part in ["rows", "meaning", "query"] {
        let mut files = sources(&format!("aggregator/src/{part}"));
        files.extend(sources(&format!("aggregator/src/{part}.rs")));
        assert!(!files.is_empty(), "aggregator/src/{part} exists");
        for (path, text) in files {
            for banned in [
                "tokio::",
                "clickhouse::Client",
                "clickhouse::query::",
                "reqwest::",
                "std::fs",
                "std::net",
                "sqlx::",
                "async fn",
                ".await",
            ] {
                assert!(
                    !text.contains(banned),
                    "{} must not use {banned}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn pages_of_the_ui_never_fetch() {
    let pages = sources("aggregator/ui/src/pages");
    assert!(!pages.is_empty());
    for (path, text) in pages {
        assert!(
            !text.contains(" fetch(") && !text.contains("(fetch("),
            "{}: ask src/api instead",
            path.display()
        );
    }
}

#[test]
fn every_crate_takes_the_lints_and_the_edition_of_the_workspace() {
    for krate in dependencies().keys() {
        let dir = match krate
            .strip_prefix("petrel-")
            .expect("our crates share a prefix")
        {
            top @ ("agent" | "aggregator" | "tests") => top.to_owned(),
            sdk => format!("sdk/{sdk}"),
        };
        let manifest = repository(&dir).join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).expect("a manifest where its name says");
        for line in ["[lints]\nworkspace = true", "edition.workspace = true"] {
            assert!(text.contains(line), "{} lacks {line:?}", manifest.display());
        }
    }
}

#[test]
fn every_path_named_in_the_documents_exists() {
    for document in ["ARCHITECTURE.md", "README.md"] {
        let text = std::fs::read_to_string(repository(document)).expect("the document");
        let named: Vec<&str> = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| is_path(word))
            .collect();
        assert!(!named.is_empty(), "{document} names files");
        for path in named {
            assert!(
                repository(path).exists(),
                "{document} names {path}, which does not exist"
            );
        }
    }
}

/// Words in backquotes that begin with one of our folders. What a build makes is not meant.
fn is_path(word: &str) -> bool {
    let top = [
        "agent/",
        "aggregator/",
        "plugins/",
        "wit/",
        "sdk/",
        "tests/",
        "packaging/",
        ".ci/",
    ];
    top.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '*', '{', '<'])
}

#[test]
fn no_test_file_is_forgotten() {
    let main = std::fs::read_to_string(repository("tests/tests/it/main.rs")).expect("the list");
    for (path, _) in sources("tests/tests/it") {
        let name = Path::new(&path)
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        let listed = name == "main" || main.contains(&format!("mod {name};"));
        assert!(listed, "{} is not part of the test binary", path.display());
    }
}
