//! The SDKs, as copies that go into a plugin's `vendor/`: what it was written with stays with it, and
//! it builds where no registry has them.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::new::Language;

macro_rules! files {
    ($sdk:literal: $($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $sdk, "/", $name)))),*]
    };
}

/// All that a plugin needs: sources, contract, documentation.
const JAVASCRIPT: [(&str, &str); 27] = files![
    "javascript":
    "README.md",
    "package.json",
    "src/accel.d.ts",
    "src/accel.js",
    "src/batch.js",
    "src/build.js",
    "src/clock.d.ts",
    "src/clock.js",
    "src/edits.js",
    "src/hold.js",
    "src/index.d.ts",
    "src/index.js",
    "src/log.d.ts",
    "src/log.js",
    "src/lookup.d.ts",
    "src/lookup.js",
    "src/metrics.d.ts",
    "src/metrics.js",
    "src/plan.js",
    "src/random.d.ts",
    "src/random.js",
    "src/registry.js",
    "src/state.d.ts",
    "src/state.js",
    "src/testing-resolve.js",
    "src/testing.d.ts",
    "src/testing.js",
];
const GO: [(&str, &str); 31] = files![
    "go":
    "README.md",
    "accel/accel.go",
    "accel/guest.go",
    "accel/native.go",
    "batch.go",
    "clock/clock.go",
    "clock/guest.go",
    "clock/native.go",
    "edits.go",
    "go.mod",
    "guest.go",
    "hold.go",
    "internal/abi/abi.go",
    "log/guest.go",
    "log/log.go",
    "log/native.go",
    "lookup/guest.go",
    "lookup/lookup.go",
    "lookup/native.go",
    "metrics/guest.go",
    "metrics/metrics.go",
    "metrics/native.go",
    "petrel.go",
    "plan.go",
    "random/guest.go",
    "random/native.go",
    "random/random.go",
    "registry.go",
    "state/guest.go",
    "state/native.go",
    "state/state.go",
];
const PYTHON: [(&str, &str); 17] = files![
    "python":
    "README.md",
    "petrel_plugin/__init__.py",
    "petrel_plugin/accel.py",
    "petrel_plugin/batch.py",
    "petrel_plugin/build.py",
    "petrel_plugin/clock.py",
    "petrel_plugin/edits.py",
    "petrel_plugin/guest.py",
    "petrel_plugin/hold.py",
    "petrel_plugin/log.py",
    "petrel_plugin/lookup.py",
    "petrel_plugin/metrics.py",
    "petrel_plugin/plan.py",
    "petrel_plugin/random.py",
    "petrel_plugin/registry.py",
    "petrel_plugin/state.py",
    "petrel_plugin/testing.py",
];
const WIT: [(&str, &str); 2] = files!["rust": "wit/README.md", "wit/plugin.wit"];
const RUST: [(&str, &str); 32] = files![
    "rust":
    "README.md",
    "src/about.rs",
    "src/accel.rs",
    "src/batch.rs",
    "src/bindings.rs",
    "src/clock.rs",
    "src/column.rs",
    "src/edits.rs",
    "src/error.rs",
    "src/guest.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/lookup.rs",
    "src/metrics.rs",
    "src/plan.rs",
    "src/random.rs",
    "src/registry.rs",
    "src/sampling.rs",
    "src/state.rs",
    "src/testing.rs",
    "src/testing/apply.rs",
    "src/testing/columns.rs",
    "src/testing/golden.rs",
    "src/testing/instruments.rs",
    "src/testing/kept.rs",
    "src/testing/kernels.rs",
    "src/testing/keys.rs",
    "src/testing/lookups.rs",
    "src/testing/routes.rs",
    "src/testing/rows.rs",
    "src/testing/senses.rs",
    "src/testing/window.rs",
];
const MANIFEST: &str = include_str!("../../../rust/Cargo.toml");
/// Whose values the manifest takes over.
const WORKSPACE: &str = include_str!("../../../../plugins/Cargo.toml");

/// Writes the copy.
pub(crate) fn vendor(language: Language, into: &Path) -> anyhow::Result<()> {
    let manifest = standalone(MANIFEST, WORKSPACE);
    let mut files = WIT.to_vec();
    match language {
        Language::Rust => {
            files.extend(RUST);
            files.push(("Cargo.toml", &manifest));
        }
        Language::Javascript => files.extend(JAVASCRIPT),
        Language::Go => files.extend(GO),
        Language::Python => files.extend(PYTHON),
    }
    for (name, text) in files {
        let file = into.join(name);
        let parent = file.parent().unwrap_or(into);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// A manifest that needs no workspace: what it inherits stands in it. Lints are the SDK's own affair.
fn standalone(manifest: &str, workspace: &str) -> String {
    let mut out = String::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let inherited = line.strip_suffix(".workspace = true");
        let value = inherited.and_then(|name| value(workspace, section, name));
        match (inherited, value) {
            _ if section == "[lints]" || line.starts_with("workspace = ") => {}
            (Some(name), Some(value)) => out.extend([name, " = ", value, "\n"]),
            _ => out.extend([line, "\n"]),
        }
    }
    out
}

/// What `[workspace.package]` or `[workspace.dependencies]` says of `name`.
fn value<'a>(workspace: &'a str, section: &str, name: &str) -> Option<&'a str> {
    let heading = format!("[workspace.{}", section.strip_prefix('[')?);
    let mut lines = workspace
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1);
    let line = lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .find(|line| line.split(' ').next() == Some(name))?;
    line.split_once(" = ").map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_every_source_file_of_its_sdk() {
        for (language, sdk, sources) in [
            (Language::Rust, "rust", &["src", "wit"][..]),
            (Language::Javascript, "javascript", &["src", "wit"]),
            (Language::Go, "go", &["."]),
            (Language::Python, "python", &["petrel_plugin", "wit"]),
        ] {
            let into = tempfile::tempdir().unwrap();
            vendor(language, into.path()).unwrap();
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(sdk);
            let mut open: Vec<_> = sources.iter().map(|dir| root.join(dir)).collect();
            while let Some(dir) = open.pop() {
                for entry in fs::read_dir(dir).unwrap() {
                    let path = entry.unwrap().path();
                    // Not for plugins: what tests the SDK, and its example.
                    if ["__pycache__", "example"]
                        .iter()
                        .any(|dir| path.ends_with(dir))
                        || path.to_string_lossy().ends_with("_test.go")
                    {
                        continue;
                    }
                    if path.is_dir() {
                        open.push(path);
                    } else {
                        let copy = into.path().join(path.strip_prefix(&root).unwrap());
                        assert_eq!(
                            fs::read(&path).unwrap(),
                            fs::read(copy).unwrap(),
                            "{path:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn its_manifest_inherits_nothing() {
        let manifest = standalone(MANIFEST, WORKSPACE);
        assert!(!manifest.contains("workspace"), "{manifest}");
        assert!(manifest.contains("\nedition = \"2024\"\n"));
        assert!(manifest.contains("\nwit-bindgen = { version = "));
    }
}
