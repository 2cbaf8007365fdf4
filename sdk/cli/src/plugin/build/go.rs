//! From Go to a component.
//!
//! The plain toolchain makes a reactor for WASI preview 1. Its runtime cannot do without WASI, and the
//! host has none: `wasip1.wat` goes into the component and answers in its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use super::{Built, exists, write};

const WIT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../rust/wit/plugin.wit"
));
const WASI: &str = include_str!("wasip1.wat");

/// Builds the module in `dir`.
pub(super) fn build(dir: &Path, output: Option<&Path>) -> anyhow::Result<Built> {
    let file = dir.join("go.mod");
    let manifest = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let module = manifest
        .lines()
        .find_map(|line| line.strip_prefix("module "));
    let name = module
        .and_then(|path| path.trim().rsplit('/').next())
        .with_context(|| format!("{} names no module", file.display()))?;
    if !exists("go", "version") {
        bail!(
            "a plugin in Go is built with Go 1.24 or later, and there is no go in PATH; {}\n",
            remedy(Path::new("/usr/bin/apt-get").exists())
        );
    }
    let made = tempfile::tempdir()?;
    let made = made.path().join("module.wasm");
    let status = Command::new("go")
        .args([
            "build",
            "-buildmode=c-shared",
            "-trimpath",
            "-ldflags=-s -w",
        ])
        .arg("-o")
        .arg(&made)
        .arg(".")
        .current_dir(dir)
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env_remove("GOFLAGS")
        .status()
        .context("cannot run go")?;
    if !status.success() {
        bail!("go could not build {name}; its words are above");
    }
    let component = componentize(&fs::read(&made)?).with_context(|| {
        format!(
            "{name} cannot become a component; does a package main import github.com/petrel-telemetry/petrel/sdk/go?"
        )
    })?;
    let output = output.map_or_else(
        || dir.join("dist").join(format!("{name}.wasm")),
        PathBuf::from,
    );
    write(&output, &component)?;
    Ok(Built {
        name: name.to_owned(),
        version: None,
        component: output,
        bytes: component.len() as u64,
    })
}

/// Wraps a module that has the contract's exports and a runtime that wants WASI.
fn componentize(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("plugin.wit", WIT)?;
    let world = resolve.select_world(&[package], Some("plugin"))?;
    let mut module = module.to_vec();
    let encoding = StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding, false)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter("wasi_snapshot_preview1", &wat::parse_str(WASI)?)?
        .encode()
}

fn remedy(apt: bool) -> &'static str {
    if apt {
        "install it with\n\n    apt-get install -y golang-go"
    } else {
        "see\n\n    https://go.dev/dl"
    }
}
