//! `petrel plugin new`: a directory that builds, runs and has a test.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::sdk;

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Rust,
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

/// Makes the directory `name`.
pub(crate) fn run(name: &str, language: Language, sdk: Option<&Path>) -> anyhow::Result<String> {
    check(name)?;
    let dir = Path::new(name);
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{name} is there already; choose another name, or remove it");
    }
    let Language::Rust = language;
    let sdk = match sdk {
        Some(path) => fs::canonicalize(path.join("Cargo.toml"))
            .ok()
            .and_then(|manifest| manifest.parent().map(|parent| parent.display().to_string()))
            .with_context(|| format!("--sdk: {} has no Cargo.toml", path.display()))?,
        None => {
            let copy = "vendor/petrel-plugin";
            sdk::vendor(&dir.join(copy))?;
            copy.into()
        }
    };
    let words = [
        ("{{name}}", name.to_owned()),
        ("{{Name}}", camel(name)),
        ("{{crate}}", name.replace('-', "_")),
        ("{{sdk}}", sdk),
    ];
    for (file, text) in RUST {
        let text = words
            .iter()
            .fold(text.to_owned(), |text, (word, is)| text.replace(word, is));
        let file = dir.join(file);
        let parent = file.parent().unwrap_or(dir);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(format!(
        "{name}/ is a plugin that writes attributes in capital letters. Next:

    cd {name}
    cargo test             # natively, without wasm
    petrel plugin dev      # build on every change, show what is edited
    petrel plugin test     # cases/ in the host that the agent has
    petrel plugin build    # target/{name}.wasm

The processor is src/lib.rs; what there is to use says vendor/petrel-plugin/README.md."
    ))
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
