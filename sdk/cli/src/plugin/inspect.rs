//! `petrel plugin inspect`: what an operator reads before granting.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use petrel_plugin_host::{PluginLimits, inspect};

use super::{compiled, host};

/// Says what `file` is and asks for, given `config`.
pub(crate) fn run(file: &Path, config: &str) -> anyhow::Result<String> {
    let config = serde_json::from_str(config).context("--config is not JSON")?;
    let papers = inspect(file, &config, &host::limits(), compiled::dir())?;
    let mut text = papers.to_string();
    let (size, limit) = (papers.size_bytes(), PluginLimits::default().component_bytes);
    if size > limit {
        write!(
            text,
            "\nIt is larger than an agent takes without being told; its processor needs\n\n    \
             limits: {{ component_bytes: {}MiB }}\n",
            size.div_ceil(4 << 20) * 4
        )?;
    }
    Ok(text)
}
