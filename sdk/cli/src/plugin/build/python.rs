//! From Python to a component: the SDK in the plugin's `vendor` does it with the tools in its `.venv`,
//! we call it and say what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::{Built, exists, make_room};

/// The plugin's own interpreter, and the SDK beside it.
const INTERPRETER: &str = ".venv/bin/python";
const SDK: &str = "vendor/petrel-plugin";

/// Builds the project in `dir`.
pub(super) fn build(dir: &Path, output: Option<&Path>) -> anyhow::Result<Built> {
    let dir = fs::canonicalize(dir).with_context(|| format!("cannot enter {}", dir.display()))?;
    let interpreter = dir.join(INTERPRETER);
    if !exists(&interpreter, "--version")
        || !exists(dir.join(".venv/bin/componentize-py"), "--version")
    {
        bail!(
            "the tools are not installed in {0}; with Python 3.11 or later, run\n\n    \
             python3 -m venv {0}/.venv && {0}/.venv/bin/pip install -r {0}/requirements.txt\n\n\
             and where Debian's python3 has no venv, before that\n\n    apt-get install -y python3-venv\n",
            dir.display()
        );
    }
    if let Some(output) = output {
        make_room(output)?;
    }
    let built = Command::new(interpreter)
        .args(["-m", "petrel_plugin.build"])
        .arg(&dir)
        .args(output)
        .env("PYTHONPATH", dir.join(SDK))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run python")?;
    if !built.status.success() {
        bail!(
            "{} could not be built; python's words are above",
            dir.display()
        );
    }
    let said = String::from_utf8_lossy(&built.stdout);
    let mut lines = said.lines().rev();
    let (Some(file), Some(version), Some(name)) = (lines.next(), lines.next(), lines.next()) else {
        bail!(
            "the SDK in {SDK} did not say what it built; make the plugin anew with `petrel plugin new`"
        );
    };
    Ok(Built {
        name: name.to_owned(),
        version: Some(version.to_owned()),
        bytes: fs::metadata(file)?.len(),
        component: PathBuf::from(file),
    })
}
