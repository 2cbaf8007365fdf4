//! `petrel plugin inspect`: what an operator reads before granting.

use std::path::Path;

use anyhow::Context as _;
use petrel_plugin_host::inspect;

/// Says what `file` is and asks for, given `config`.
pub(crate) fn run(file: &Path, config: &str) -> anyhow::Result<String> {
    let config = serde_json::from_str(config).context("--config is not JSON")?;
    Ok(inspect(file, &config)?.to_string())
}
