//! From a Rust crate to a component.
//!
//! Cargo makes a core module that carries its WIT in a custom section; `wit-component` turns that
//! into a component whose imports are the capabilities it will ask for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package};

use super::{Built, write};
use crate::plugin::toolchain::{TARGET, Toolchain};

/// Builds the crate in `dir`.
pub(super) fn build(dir: &Path, output: Option<&Path>) -> anyhow::Result<Built> {
    let manifest = dir.join("Cargo.toml");
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
        version: Some(plugin.version.to_string()),
        component: output,
        bytes: component.len() as u64,
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
