//! `petrel plugin build`: from sources to a component that agent and aggregator can load.
//!
//! What a directory is written in says its manifest; how that becomes a component is told in
//! `build/rust.rs` and `build/javascript.rs`.

mod javascript;
mod rust;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// A component that was just built.
#[derive(Debug)]
pub(crate) struct Built {
    name: String,
    version: String,
    /// The file.
    pub(crate) component: PathBuf,
    bytes: u64,
}

impl fmt::Display for Built {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} {} -> {} ({:.1} KiB)",
            self.name,
            self.version,
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
    } else {
        bail!(
            "{} is not a plugin: it has neither Cargo.toml nor package.json; name a plugin's directory, or make one with\n\n    petrel plugin new NAME\n",
            dir.display()
        )
    }
}

fn make_room(output: &Path) -> anyhow::Result<()> {
    if let Some(parent) = output.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    Ok(())
}
