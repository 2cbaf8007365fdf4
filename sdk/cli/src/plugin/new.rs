//! `petrel plugin new`: a directory that builds, runs and has a test.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::sdk;

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Rust,
    Javascript,
    Go,
    Python,
}

impl Language {
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &RUST,
            Self::Javascript => &JAVASCRIPT,
            Self::Go => &GO,
            Self::Python => &PYTHON,
        }
    }

    /// What an SDK's directory is known by.
    fn sdk_has(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Javascript => "package.json",
            Self::Go => "go.mod",
            Self::Python => "petrel_plugin/build.py",
        }
    }

    /// Where the copy of its SDK goes. To Go, `vendor` means something else.
    fn copy(self) -> &'static str {
        match self {
            Self::Go => "petrel-plugin",
            Self::Rust | Self::Javascript | Self::Python => "vendor/petrel-plugin",
        }
    }
}

macro_rules! template {
    ($($name:literal as $into:literal),* $(,)?) => {
        [$(($into, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $name)))),*]
    };
}

const RUST: [(&str, &str); 8] = template![
    "rust/Cargo.toml" as "Cargo.toml",
    "rust/README.md" as "README.md",
    "rust/cases/first/config.json" as "cases/first/config.json",
    "rust/cases/first/expected.otlp.json" as "cases/first/expected.otlp.json",
    "rust/cases/first/input.otlp.json" as "cases/first/input.otlp.json",
    "rust/gitignore" as ".gitignore",
    "rust/src/lib.rs" as "src/lib.rs",
    "rust/tests/golden.rs" as "tests/golden.rs",
];

const JAVASCRIPT: [(&str, &str); 8] = template![
    "javascript/README.md" as "README.md",
    "javascript/cases/first/config.json" as "cases/first/config.json",
    "javascript/cases/first/expected.otlp.json" as "cases/first/expected.otlp.json",
    "javascript/cases/first/input.otlp.json" as "cases/first/input.otlp.json",
    "javascript/gitignore" as ".gitignore",
    "javascript/package.json" as "package.json",
    "javascript/src/plugin.js" as "src/plugin.js",
    "javascript/test/plugin.test.js" as "test/plugin.test.js",
];

const GO: [(&str, &str); 8] = template![
    "go/README.md" as "README.md",
    "go/cases/first/config.json" as "cases/first/config.json",
    "go/cases/first/expected.otlp.json" as "cases/first/expected.otlp.json",
    "go/cases/first/input.otlp.json" as "cases/first/input.otlp.json",
    "go/gitignore" as ".gitignore",
    "go/go.mod" as "go.mod",
    "go/main.go" as "main.go",
    "go/main_test.go" as "main_test.go",
];

const PYTHON: [(&str, &str); 9] = template![
    "python/README.md" as "README.md",
    "python/cases/first/config.json" as "cases/first/config.json",
    "python/cases/first/expected.otlp.json" as "cases/first/expected.otlp.json",
    "python/cases/first/input.otlp.json" as "cases/first/input.otlp.json",
    "python/gitignore" as ".gitignore",
    "python/pyproject.toml" as "pyproject.toml",
    "python/requirements.txt" as "requirements.txt",
    "python/src/plugin.py" as "src/plugin.py",
    "python/test/test_plugin.py" as "test/test_plugin.py",
];

/// Makes the directory `name`.
pub(crate) fn run(name: &str, language: Language, sdk: Option<&Path>) -> anyhow::Result<String> {
    check(name)?;
    let dir = Path::new(name);
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{name} is there already; choose another name, or remove it");
    }
    let sdk = match sdk {
        Some(path) => elsewhere(path, language, dir)?,
        None => {
            sdk::vendor(language, &dir.join(language.copy()))?;
            language.copy().to_owned()
        }
    };
    let sdk = match language {
        Language::Rust | Language::Python => sdk,
        Language::Javascript => format!("file:{sdk}"),
        Language::Go if sdk.starts_with('/') => sdk,
        Language::Go => format!("./{sdk}"),
    };
    let words = [
        ("{{name}}", name.to_owned()),
        ("{{Name}}", camel(name)),
        ("{{crate}}", name.replace('-', "_")),
        ("{{sdk}}", sdk),
    ];
    for (file, text) in language.files() {
        let text = words.iter().fold((*text).to_owned(), |text, (word, is)| {
            text.replace(word, is)
        });
        let file = dir.join(file);
        let parent = file.parent().unwrap_or(dir);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(next(name, language))
}

/// How a plugin in `dir` names the SDK at `path`.
fn elsewhere(path: &Path, language: Language, dir: &Path) -> anyhow::Result<String> {
    let has = language.sdk_has();
    let Some(sdk) = fs::canonicalize(path)
        .ok()
        .filter(|sdk| sdk.join(has).is_file())
    else {
        bail!("--sdk: {} has no {has}", path.display());
    };
    if language != Language::Python {
        return Ok(sdk.display().to_string());
    }
    // Its manifest has no place for it.
    let link = dir.join(language.copy());
    fs::create_dir_all(link.parent().unwrap_or(dir))
        .and_then(|()| symlink(sdk, &link))
        .with_context(|| format!("cannot make {}", link.display()))?;
    Ok(language.copy().to_owned())
}

fn next(name: &str, language: Language) -> String {
    let (first, output, source) = match language {
        Language::Rust => (
            "cargo test             # natively, without wasm",
            "target",
            "src/lib.rs",
        ),
        Language::Javascript => (
            "npm install            # the SDK's tools, some 400 MB\n    npm test               # without a host",
            "dist",
            "src/plugin.js",
        ),
        Language::Go => (
            "go test ./...          # natively, without wasm",
            "dist",
            "main.go",
        ),
        Language::Python => (
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
            "dist",
            "src/plugin.py",
        ),
    };
    let copy = language.copy();
    format!(
        "{name}/ is a plugin that writes attributes in capital letters. Next:

    cd {name}
    {first}
    petrel plugin dev      # build on every change, show what is edited
    petrel plugin test     # cases/ in the host that the agent has
    petrel plugin build    # {output}/{name}.wasm

The processor is {source}; what there is to use says {copy}/README.md."
    )
}

/// A name that cargo, a file and a processor can have.
fn check(name: &str) -> anyhow::Result<()> {
    let usable =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let starts = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    if starts && !name.ends_with('-') && name.chars().all(usable) && name != "test" {
        return Ok(());
    }
    bail!(
        "{name:?} is no name for a plugin; lower-case letters, digits and dashes, a letter first: my-plugin"
    )
}

/// `my-plugin` is `MyPlugin`.
fn camel(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_do_for_cargo_and_for_a_type() {
        assert_eq!(camel("my-plugin-2"), "MyPlugin2");
        for good in ["a", "my-plugin", "x2"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "My", "2x", "a_b", "a b", "-a", "a-", "../a", "test"] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains("my-plugin"), "{error}");
        }
    }
}
