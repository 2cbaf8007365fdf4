//! `petrel plugin build`: from a Rust crate to a component.
//!
//! Cargo makes a core module that carries its WIT in a custom section; `wit-component` turns that
//! into a component whose imports are the capabilities it will ask for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package};

use super::toolchain::{TARGET, Toolchain};

/// Builds the plugin in `dir` and says where it is and how large.
pub(crate) fn run(dir: &Path, output: Option<&Path>) -> anyhow::Result<String> {
    let manifest = dir.join("Cargo.toml");
    if !manifest.is_file() {
        bail!("{} is not a plugin: it has no Cargo.toml", dir.display());
    }
    let toolchain = Toolchain::find()?;
    let metadata = MetadataCommand::new()
        .manifest_path(&manifest)
        .no_deps()
        .exec()
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let plugin = plugin_of(&metadata, &manifest)?;
    let status = toolchain
        .cargo_build()
        .arg("--manifest-path")
        .arg(&manifest)
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
    Ok(format!(
        "{} {} -> {} ({:.1} KiB)",
        plugin.name,
        plugin.version,
        output.display(),
        component.len() as f64 / 1024.0
    ))
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
                "{} cannot become a component; does the crate call wit_bindgen::generate! and export!?",
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
