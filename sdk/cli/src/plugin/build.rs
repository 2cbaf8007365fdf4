//! `petrel plugin build`: from sources to a component that agent and aggregator can load.
//!
//! What a directory is written in says its manifest; how that becomes a component is told in the file
//! of each language.

mod go;
mod javascript;
mod python;
mod rust;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// A component that was just built.
#[derive(Debug)]
pub(crate) struct Built {
    name: String,
    /// Where the manifest has one.
    version: Option<String>,
    /// The file.
    pub(crate) component: PathBuf,
    bytes: u64,
}

impl fmt::Display for Built {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.name)?;
        if let Some(version) = &self.version {
            write!(out, " {version}")?;
        }
        write!(
            out,
            " -> {} ({:.1} KiB)",
            self.component.display(),
            self.bytes as f64 / 1024.0
        )
    }
}

/// Builds the plugin in `dir`.
pub(crate) fn run(dir: &Path, output: Option<&Path>) -> anyhow::Result<Built> {
    if dir.join("Cargo.toml").is_file() {
        rust::build(dir, output)
    } else if dir.join("package.json").is_file() {
        javascript::build(dir, output)
    } else if dir.join("go.mod").is_file() {
        go::build(dir, output)
    } else if dir.join("pyproject.toml").is_file() {
        python::build(dir, output)
    } else {
        bail!(
            "{} is not a plugin: there is no Cargo.toml, package.json, go.mod or pyproject.toml in it; name a plugin's directory, or make one with\n\n    petrel plugin new NAME\n",
            dir.display()
        )
    }
}

/// Whether there is such a command.
fn exists(command: impl AsRef<OsStr>, version: &str) -> bool {
    Command::new(command)
        .arg(version)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whole or not at all: an agent may be watching this file.
fn write(output: &Path, component: &[u8]) -> anyhow::Result<()> {
    make_room(output)?;
    let unfinished = output.with_extension("wasm.new");
    fs::write(&unfinished, component)
        .and_then(|()| fs::rename(&unfinished, output))
        .with_context(|| format!("cannot write {}", output.display()))
}

fn make_room(output: &Path) -> anyhow::Result<()> {
    if let Some(parent) = output.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    Ok(())
}
