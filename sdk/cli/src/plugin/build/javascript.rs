//! From JavaScript to a component: the SDK in the plugin's `node_modules` does it, we call it and say
//! what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::{Built, exists, make_room};

/// What of package.json concerns us.
#[derive(Debug, Deserialize)]
struct Manifest {
    name: String,
    version: String,
    main: Option<PathBuf>,
}

/// What the SDK does it with; there if `npm install` has run.
const BUILDER: &str = "node_modules/petrel-plugin/src/build.js";
/// Where the SDK's own tools may be: npm puts them beside it or above.
const TOOLS: [&str; 2] = [
    "node_modules/@bytecodealliance/componentize-js",
    "node_modules/petrel-plugin/node_modules/@bytecodealliance/componentize-js",
];
const LEAST_NODE: &str = "node 20.6 or later";

/// Builds the package in `dir`.
pub(super) fn build(dir: &Path, output: Option<&Path>) -> anyhow::Result<Built> {
    let file = dir.join("package.json");
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .with_context(|| format!("{}: a plugin needs name and version", file.display()))?;
    let Some(main) = &manifest.main else {
        bail!(
            "{} does not say which file is the plugin: \"main\": \"src/plugin.js\"",
            file.display()
        );
    };
    if !exists("node", "--version") {
        bail!(
            "a plugin in JavaScript is built with {LEAST_NODE}, and there is none in PATH; install it with\n\n    {}\n",
            remedy()
        );
    }
    if !exists("npm", "--version") {
        bail!(
            "the SDK of a plugin in JavaScript is installed with npm, and there is none in PATH; install it with\n\n    {}\n",
            remedy()
        );
    }
    let tools = TOOLS.iter().any(|tool| dir.join(tool).exists());
    if !tools || !dir.join(BUILDER).is_file() {
        bail!(
            "the SDK is not installed in {0}; run\n\n    npm install --prefix {0}\n",
            dir.display()
        );
    }
    let output = output.map_or_else(
        || dir.join("dist").join(format!("{}.wasm", manifest.name)),
        PathBuf::from,
    );
    make_room(&output)?;
    let status = Command::new("node")
        .arg(dir.join(BUILDER))
        .arg(dir.join(main))
        .arg(&output)
        .status()
        .context("cannot run node")?;
    if !status.success() {
        bail!(
            "{} could not be built; node's words are above",
            manifest.name
        );
    }
    Ok(Built {
        name: manifest.name,
        version: Some(manifest.version),
        bytes: fs::metadata(&output)?.len(),
        component: output,
    })
}

fn remedy() -> &'static str {
    if Path::new("/usr/bin/apt-get").exists() {
        "apt-get install -y nodejs npm"
    } else {
        "see https://nodejs.org/en/download"
    }
}
