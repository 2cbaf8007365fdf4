//! Golden cases: a folder each under `cases/`, with what goes in and what must come out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use petrel_wire::Batch;
use petrel_wire::otlp::json::Layout;
use serde_json::Value;

use super::counted;
use super::host::{Host, Outcome};
use super::otlp::{self, Form};

/// What a component is tested with.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    dir: PathBuf,
    pub(crate) config: Value,
    pub(crate) input: Vec<Batch>,
    /// Nothing yet: the case is new.
    pub(crate) expected: Option<Vec<Batch>>,
    /// Tables that it looks something up in: files under `lookups/`, by name.
    pub(crate) lookups: BTreeMap<String, PathBuf>,
    /// What must have gone to other outputs than the default one.
    pub(crate) routed: BTreeMap<String, Vec<Batch>>,
    /// What must have been counted, if the case is about that.
    pub(crate) counted: Option<Value>,
}

/// What came out of a case.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) batches: Vec<Batch>,
    /// By output.
    pub(crate) routed: BTreeMap<String, Vec<Batch>>,
    pub(crate) counted: Value,
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
        let json = |name: &str| -> anyhow::Result<Option<Value>> {
            let file = dir.join(name);
            if !file.is_file() {
                return Ok(None);
            }
            let value = serde_json::from_slice(&fs::read(&file)?)
                .with_context(|| format!("{} is not JSON", file.display()))?;
            Ok(Some(value))
        };
        let config = json("config.json")?.unwrap_or_default();
        let counted = json(COUNTED)?;
        let requests = |file: PathBuf| {
            let text =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            otlp::read_json(&text).with_context(|| file.display().to_string())
        };
        let expected = dir.join(EXPECTED);
        let mut routed = BTreeMap::new();
        for (output, file) in outputs(&dir) {
            routed.insert(output, requests(file)?);
        }
        Ok(Self {
            routed,
            name: dir.file_name().unwrap_or_default().to_string_lossy().into(),
            input: requests(dir.join(INPUT))?,
            expected: if expected.is_file() {
                Some(requests(expected)?)
            } else {
                None
            },
            lookups: lookups(&dir),
            dir,
            config,
            counted,
        })
    }

    /// Its requests as they are written.
    pub(crate) fn examples(&self) -> anyhow::Result<Vec<Value>> {
        let file = self.dir.join(INPUT);
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let requests = serde_json::Deserializer::from_slice(&text).into_iter();
        Ok(requests.collect::<Result<_, _>>()?)
    }

    /// Nothing is an empty object.
    pub(crate) fn config_or_empty(&self) -> Value {
        if self.config.is_null() {
            return serde_json::json!({});
        }
        self.config.clone()
    }

    /// Runs it in the host: what comes out, or the plugin's failure in words.
    pub(crate) fn run(&self, component: &Path) -> anyhow::Result<Result<Passed, String>> {
        let host = match Host::load_for_case(component, self) {
            Ok(host) => host,
            Err(error) => return Ok(Err(format!("{error:#}"))),
        };
        let mut passed = Vec::new();
        for (number, batch) in (1..).zip(&self.input) {
            match host.process(batch.clone())? {
                Outcome::Passed(batch) => passed.push(batch),
                Outcome::Failed(words) => return Ok(Err(format!("request {number}: {words}"))),
            }
            // Single records that it cannot take are kept back, and the others go on.
            if let Some(words) = host.trouble()? {
                return Ok(Err(format!("request {number}: {words}")));
            }
        }
        let counted = counted::summary(host.counted()?);
        Ok(Ok(Passed {
            batches: passed,
            routed: host.routed(),
            counted,
        }))
    }

    /// What came out is what is expected from now on.
    pub(crate) fn update(&self, out: &Passed) -> anyhow::Result<()> {
        let write = |name: &str, text: Vec<u8>| {
            let file = self.dir.join(name);
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
        };
        let is_counted = out.counted.as_array().is_some_and(|all| !all.is_empty());
        if is_counted || self.counted.is_some() {
            write(COUNTED, format!("{:#}\n", out.counted).into_bytes())?;
        }
        for (output, batches) in &out.routed {
            let text = otlp::write(batches, Form::Json, Layout::Indented);
            write(&format!("expected.{output}.otlp.json"), text)?;
        }
        for (output, file) in outputs(&self.dir) {
            if !out.routed.contains_key(&output) {
                fs::remove_file(&file)
                    .with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        write(
            EXPECTED,
            otlp::write(&out.batches, Form::Json, Layout::Indented),
        )
    }
}

/// `expected.NAME.otlp.json`, by name.
fn outputs(case: &Path) -> BTreeMap<String, PathBuf> {
    let files = fs::read_dir(case).into_iter().flatten().flatten();
    files
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let output = name.strip_prefix("expected.")?.strip_suffix(".otlp.json")?;
            Some((output.to_owned(), entry.path()))
        })
        .collect()
}

fn lookups(case: &Path) -> BTreeMap<String, PathBuf> {
    let files = fs::read_dir(case.join("lookups")).into_iter().flatten();
    let files = files.flatten().map(|entry| entry.path());
    let name = |file: &Path| {
        file.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    files
        .filter_map(|file| Some((name(&file)?, file)))
        .collect()
}

const INPUT: &str = "input.otlp.json";
const EXPECTED: &str = "expected.otlp.json";
const COUNTED: &str = "expected.metrics.json";
