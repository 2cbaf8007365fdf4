//! What an operator reads before letting a plugin run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use petrel_wire::SystemClock;

use crate::bindings::petrel::plugin::types;
use crate::cache::{Cache, digest};
use crate::chain::PluginError;
use crate::component;
use crate::config::PluginLimits;
use crate::engine::Engine;
use crate::host::{Shared, printable};
use crate::instance::Instance;
use crate::registry::{access, field};

/// A component's papers: what it is, what it imports, what it asks to see with a configuration.
#[derive(Debug)]
pub struct Papers {
    name: String,
    version: String,
    sha256: String,
    size_bytes: usize,
    contract: String,
    imports: Vec<String>,
    fail_closed: bool,
    stateless: bool,
    plan: Result<types::Plan, String>,
}

/// Reads `file` and asks it, under `limits`; it sees no data. What is compiled is looked for and kept
/// in `cache_dir`.
pub fn inspect(
    file: &Path,
    config: &serde_json::Value,
    limits: &PluginLimits,
    cache_dir: Option<PathBuf>,
) -> Result<Papers, PluginError> {
    let cache = cache_dir.and_then(|dir| Cache::open(dir).ok());
    let engine = Engine::new(limits.memory_bytes).map_err(PluginError)?;
    let bytes = component::read(file, limits.component_bytes).map_err(PluginError)?;
    let loaded =
        component::load(&engine.engine, file, &bytes, cache.as_ref()).map_err(PluginError)?;
    let shared = Arc::new(Shared::new("inspect".into(), SystemClock::shared()));
    let failed = |words: &str| PluginError(format!("{}: {words}", file.display()));
    let mut instance = Instance::new(&engine, &loaded, &shared, limits)
        .map_err(|failure| failed(failure.words()))?;
    let descriptor = instance
        .describe(&engine)
        .map_err(|failure| failed(failure.words()))?;
    let json = serde_json::to_vec(config).map_err(|error| failed(&error.to_string()))?;
    let plan = instance
        .configure(&engine, &json, limits, None)
        .map_err(|failure| failure.words().to_owned());
    Ok(Papers {
        name: printable(&descriptor.name),
        version: printable(&descriptor.version),
        sha256: digest(&bytes),
        size_bytes: bytes.len(),
        contract: loaded.contract,
        imports: loaded.imports,
        fail_closed: descriptor.fail_closed,
        stateless: descriptor.stateless,
        plan,
    })
}

impl Papers {
    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that it says to have.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The version of the contract that it was built for.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// The SHA-256 of the component, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Size of the component file.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes as u64
    }
}

impl fmt::Display for Papers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} {}", self.name, self.version)?;
        writeln!(out, "  sha256       {}", self.sha256)?;
        writeln!(
            out,
            "  size         {:.1} KiB",
            self.size_bytes as f64 / 1024.0
        )?;
        let may: Vec<_> = self
            .imports
            .iter()
            .filter_map(|name| capability(name))
            .collect();
        let may = if may.is_empty() {
            "nothing".into()
        } else {
            may.join(", ")
        };
        writeln!(out, "  may use      {may}")?;
        let loss = if self.fail_closed {
            "stops the data"
        } else {
            "lets data pass"
        };
        writeln!(out, "  its failure  {loss}, unless on_error says otherwise")?;
        let copies = if self.stateless {
            "several at once"
        } else {
            "one, with state"
        };
        writeln!(out, "  instances    {copies}")?;
        let plan = match &self.plan {
            Ok(plan) => plan,
            Err(words) => return write!(out, "  with this config it fails: {words}"),
        };
        let values = if plan.want_dict {
            "are handed to it"
        } else {
            "stay with the host"
        };
        writeln!(out, "  values       {values}")?;
        write!(out, "  with this config it asks for")?;
        for selector in &plan.selectors {
            write!(out, "\n    {}", Asked(selector))?;
        }
        Ok(())
    }
}

/// In words; types are no capability.
fn capability(import: &str) -> Option<String> {
    let name = import.rsplit('/').next()?.split('@').next()?;
    match name {
        "types" => None,
        "log" => Some("log (lines in the agent's log)".into()),
        "accel" => Some("accel (the host's kernels over selected values)".into()),
        "metrics" => Some("metrics (counts of its own, with labels from what it reads)".into()),
        "lookup" => Some("lookup (tables that `lookups:` mounts)".into()),
        "clock" => Some("clock (the time, to the millisecond; needs `allow: [clock]`)".into()),
        "random" => Some("random (bytes of the operating system's)".into()),
        "state" => Some("state (up to 1 MiB that survives restarts)".into()),
        other => Some(other.to_owned()),
    }
}

/// A selector in words.
struct Asked<'a>(&'a types::Selector);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(selector) = self;
        let mut rights = Vec::new();
        for (bit, name) in [
            (access::READ, "read"),
            (access::WRITE, "write"),
            (access::CREATE, "create"),
            (access::DELETE, "delete"),
        ] {
            if selector.access & bit != 0 {
                rights.push(name);
            }
        }
        write!(
            out,
            "{:<12} {:<10} ",
            rights.join("+"),
            table(selector.table)
        )?;
        if selector.field == field::ATTRIBUTES {
            write!(out, "attributes {}", printable(&selector.key))
        } else {
            write!(out, "field {}", selector.field)
        }
    }
}

fn table(number: u8) -> &'static str {
    const NAMES: [&str; 7] = [
        "resource", "scope", "record", "event", "link", "exemplar", "metric",
    ];
    NAMES.get(usize::from(number)).copied().unwrap_or("unknown")
}
