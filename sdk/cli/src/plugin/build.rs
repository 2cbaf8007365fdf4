//! `petrel plugin build`: from a Rust crate to a component.
//!
//! Cargo makes a core module that carries its WIT in a custom section; `wit-component` turns that
//! into a component whose imports are the capabilities it will ask for.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package};

use super::toolchain::{TARGET, Toolchain};

/// A component that was just built.
#[derive(Debug)]
pub(crate) struct Built {
    name: String,
    version: String,
    /// The file.
    pub(crate) component: PathBuf,
    bytes: usize,
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
    let manifest = dir.join("Cargo.toml");
    if !manifest.is_file() {
        bail!(
            "{} is not a plugin: it has no Cargo.toml; name a plugin's directory, or make one with\n\n    petrel plugin new NAME\n",
            dir.display()
        );
    }
    let toolchain = Toolchain::find(dir)?;
    let metadata = MetadataCommand::new()
        .manifest_path(&manifest)
        .no_deps()
        .exec()
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let plugin = plugin_of(&metadata, &manifest)?;
    let status = toolchain
        .cargo_build()
        // Here rustup's choice for the directory counts, as it does when cargo is run by hand.
        .current_dir(dir)
        .args(["--package", &plugin.name])
        .arg("--target-dir")
        .arg(&metadata.target_directory)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo could not build {}; its words are above", plugin.name);
    }
    let module = metadata
        .target_directory
        .join(TARGET)
        .join("release")
        .join(format!("{}.wasm", plugin.name.replace('-', "_")));
    let component = componentize(module.as_std_path())?;
    let output = output.map_or_else(
        || {
            PathBuf::from(format!(
                "{}/{}.wasm",
                metadata.target_directory, plugin.name
            ))
        },
        PathBuf::from,
    );
    write(&output, &component)?;
    Ok(Built {
        name: plugin.name.to_string(),
        version: plugin.version.to_string(),
        component: output,
        bytes: component.len(),
    })
}

fn plugin_of<'a>(metadata: &'a Metadata, manifest: &Path) -> anyhow::Result<&'a Package> {
    let wanted = fs::canonicalize(manifest)?;
    let package = metadata
        .packages
        .iter()
        .find(|package| fs::canonicalize(&package.manifest_path).is_ok_and(|path| path == wanted))
        .with_context(|| {
            format!(
                "{} is a workspace, not a plugin; name one of its members",
                manifest.display()
            )
        })?;
    let is_module = package
        .targets
        .iter()
        .any(|target| target.crate_types.contains(&CrateType::CDyLib));
    if !is_module {
        bail!(
            "{} does not make a module; add to it\n\n    [lib]\n    crate-type = [\"cdylib\"]\n",
            manifest.display()
        );
    }
    Ok(package)
}

/// Wraps a core module that was made with `wit-bindgen`.
fn componentize(module: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(wit_component::ComponentEncoder::encode)
        .with_context(|| {
            format!(
                "{} cannot become a component; does the crate say petrel_plugin::export!(...)?",
                module.display()
            )
        })
}

/// Whole or not at all: an agent may be watching this file.
fn write(output: &Path, component: &[u8]) -> anyhow::Result<()> {
    if let Some(parent) = output.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let unfinished = output.with_extension("wasm.new");
    fs::write(&unfinished, component)
        .and_then(|()| fs::rename(&unfinished, output))
        .with_context(|| format!("cannot write {}", output.display()))
}
