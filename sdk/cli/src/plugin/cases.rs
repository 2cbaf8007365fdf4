//! Golden cases: a folder each under `cases/`, with what goes in and what must come out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use petrel_wire::Batch;
use petrel_wire::otlp::json::Layout;
use serde_json::Value;

use super::host::{Host, Outcome};
use super::otlp::{self, Form};

/// What a component is tested with.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    dir: PathBuf,
    config: Value,
    pub(crate) input: Vec<Batch>,
    /// Nothing yet: the case is new.
    pub(crate) expected: Option<Vec<Batch>>,
}

impl Case {
    /// The cases of the plugin in `dir`, by name.
    pub(crate) fn all(dir: &Path) -> anyhow::Result<Vec<Self>> {
        let cases = dir.join("cases");
        let mut found: Vec<PathBuf> = match fs::read_dir(&cases) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => Vec::new(),
        };
        found.retain(|case| case.join(INPUT).is_file());
        found.sort();
        if found.is_empty() {
            bail!(
                "{} has no cases; put one request of OTLP/JSON into {}",
                dir.display(),
                cases.join("first").join(INPUT).display()
            );
        }
        found.into_iter().map(Self::read).collect()
    }

    fn read(dir: PathBuf) -> anyhow::Result<Self> {
        let config = dir.join("config.json");
        let config = if config.is_file() {
            serde_json::from_slice(&fs::read(&config)?)
                .with_context(|| format!("{} is not JSON", config.display()))?
        } else {
            Value::Null
        };
        let requests = |file: PathBuf| {
            let text =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            otlp::read_json(&text).with_context(|| file.display().to_string())
        };
        let expected = dir.join(EXPECTED);
        Ok(Self {
            name: dir.file_name().unwrap_or_default().to_string_lossy().into(),
            input: requests(dir.join(INPUT))?,
            expected: if expected.is_file() {
                Some(requests(expected)?)
            } else {
                None
            },
            dir,
            config,
        })
    }

    /// Runs it in the host: what comes out, or the plugin's failure in words.
    pub(crate) fn run(&self, component: &Path) -> anyhow::Result<Result<Vec<Batch>, String>> {
        let host = match Host::load_for_cases(component, self.config.clone()) {
            Ok(host) => host,
            Err(error) => return Ok(Err(format!("{error:#}"))),
        };
        let mut passed = Vec::new();
        for (number, batch) in (1..).zip(&self.input) {
            match host.process(batch.clone())? {
                Outcome::Passed(batch) => passed.push(batch),
                Outcome::Failed(words) => return Ok(Err(format!("request {number}: {words}"))),
            }
        }
        Ok(Ok(passed))
    }

    /// What came out is what is expected from now on.
    pub(crate) fn update(&self, out: &[Batch]) -> anyhow::Result<()> {
        let file = self.dir.join(EXPECTED);
        fs::write(&file, otlp::write(out, Form::Json, Layout::Indented))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

const INPUT: &str = "input.otlp.json";
const EXPECTED: &str = "expected.otlp.json";
