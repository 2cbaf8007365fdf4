//! `petrel plugin bench`: what a plugin costs, beside what it may cost.
//!
//! Batches are the records of the plugin's cases, over and over, with the configuration of the case.
//! `budget.toml` in its directory says what is too much. Fuel and memory do not depend on the machine;
//! times do, so that a budget of them is for the machine that keeps it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use petrel_plugin_host::{
    OnError, ProcessorConfig, RecordCosts, StartCosts, record_costs, start_costs,
};
use petrel_wire::Batch;
use serde::{Deserialize, Serialize};

use super::cases::Case;
use super::generate::enlarged;
use super::{build, host, otlp};
use crate::Answer;

const RECORDS: [usize; 4] = [1, 64, 512, 8192];
const FILE: &str = "budget.toml";
const HEAD: &str = "# What `petrel plugin bench` must not exceed; `petrel plugin bench --update` writes it anew, with room to
# spare. fuel (instructions of the guest for a record) and memory are the same on every machine, times are not:
# leave those out that nobody's machine should fail on.

";

/// What to measure, and what to do about it.
#[derive(Debug)]
pub(crate) struct Options {
    /// The plugin's directory.
    pub(crate) dir: PathBuf,
    /// Instead of building one.
    pub(crate) component: Option<PathBuf>,
    /// Write the budget.
    pub(crate) update: bool,
    /// Compare times as well.
    pub(crate) times: bool,
    /// Interpret the plugin.
    pub(crate) interpreter: bool,
}

/// What a plugin may cost.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instantiate_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    /// By the number of records in a batch.
    #[serde(default)]
    fuel: BTreeMap<String, f64>,
    #[serde(default)]
    ns: BTreeMap<String, f64>,
}

/// Measures the plugin in a directory.
pub(crate) fn run(options: &Options) -> anyhow::Result<Answer> {
    let component = match &options.component {
        Some(component) => component.clone(),
        None => build::run(&options.dir, None)?.component,
    };
    let file = options.dir.join(FILE);
    let budget = read(&file)?;
    let (case, batches) = batches(&options.dir)?;
    let config = ProcessorConfig {
        name: case.name.clone(),
        plugin: component.clone(),
        // A failure must show here, whatever it would do to data.
        on_error: Some(OnError::Closed),
        config: case.config_or_empty(),
        allow_clock: true,
        lookups: case.lookups.clone(),
        limits: host::limits(),
        interpreted: options.interpreter,
        ..ProcessorConfig::default()
    };
    let scratch = tempfile::tempdir()?;
    let cache = scratch.path().join("compiled");
    let start = start_costs(&component, &config.config, &config.limits, &cache)?;
    let records = record_costs(&config, &batches)?;
    if options.update {
        let text = HEAD.to_owned() + &toml::to_string(&generous(&start, &records))?;
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        return Ok(format!("{} written", file.display()).into());
    }
    let mut table = Table::default();
    table.line(
        "compile",
        ms(&start),
        "ms",
        options.times.then_some(budget.compile_ms).flatten(),
    );
    let instantiate = options.times.then_some(budget.instantiate_us).flatten();
    table.line("instantiate", us(&start), "us", instantiate);
    let memory = records.iter().map(|cost| cost.memory_bytes).max();
    let limit = budget.memory_bytes.map(|bytes| bytes as f64);
    table.line("memory", memory.unwrap_or(0) as f64, "bytes", limit);
    for cost in &records {
        let records = cost.records.to_string();
        let what = format!("batch of {records}");
        let limit = budget.fuel.get(&records).copied();
        table.line(&what, cost.fuel, "fuel/record", limit);
        let limit = options.times.then(|| budget.ns.get(&records).copied());
        table.line(&what, cost.ns, "ns/record", limit.flatten());
    }
    let mut out = table.text;
    if table.worse > 0 {
        writeln!(
            out,
            "\n{} of the figures are worse than {}; if they may be, run\n\n    petrel plugin bench --update",
            table.worse,
            file.display()
        )?;
    } else if budget == Budget::default() {
        writeln!(
            out,
            "\nthere is no {}; petrel plugin bench --update writes one",
            file.display()
        )?;
    }
    Ok(Answer {
        out: out.into_bytes(),
        failed: table.worse > 0,
        ..Answer::default()
    })
}

fn read(file: &Path) -> anyhow::Result<Budget> {
    match fs::read_to_string(file) {
        Ok(text) => toml::from_str(&text).with_context(|| file.display().to_string()),
        Err(_) => Ok(Budget::default()),
    }
}

/// The first case whose records the plugin is shown, in batches of every size.
fn batches(dir: &Path) -> anyhow::Result<(Case, Vec<Batch>)> {
    for case in Case::all(dir)? {
        let Some(example) = case.examples()?.into_iter().next() else {
            continue;
        };
        let mut batches = Vec::new();
        for records in RECORDS {
            let Some(request) = enlarged(&example, records) else {
                break;
            };
            batches.extend(otlp::read_json(request.to_string().as_bytes())?);
        }
        if batches.len() == RECORDS.len() {
            return Ok((case, batches));
        }
    }
    bail!("no case in {} has a record", dir.display())
}

fn ms(start: &StartCosts) -> f64 {
    start.compile.as_secs_f64() * 1e3
}

fn us(start: &StartCosts) -> f64 {
    start.instantiate.as_secs_f64() * 1e6
}

/// What was measured, with room for other compilers, other versions and busier machines.
fn generous(start: &StartCosts, records: &[RecordCosts]) -> Budget {
    let memory = records.iter().map(|cost| cost.memory_bytes).max();
    let all = |of: fn(&RecordCosts) -> f64| -> BTreeMap<String, f64> {
        let pairs = records
            .iter()
            .map(|cost| (cost.records.to_string(), of(cost)));
        pairs.collect()
    };
    Budget {
        compile_ms: Some((ms(start) * 3.0).ceil()),
        instantiate_us: Some((us(start) * 5.0).ceil()),
        memory_bytes: memory.map(|bytes| bytes + bytes / 4),
        fuel: all(|cost| (cost.fuel * 1.1).ceil()),
        ns: all(|cost| (cost.ns * 3.0).ceil()),
    }
}

#[derive(Debug, Default)]
struct Table {
    text: String,
    worse: u32,
}

impl Table {
    fn line(&mut self, what: &str, figure: f64, unit: &str, limit: Option<f64>) {
        let verdict = match limit {
            Some(limit) if figure > limit => {
                self.worse += 1;
                format!("WORSE than {limit}")
            }
            Some(limit) => format!("of {limit}"),
            None => String::new(),
        };
        let line = format!("{what:<14} {figure:>14.1} {unit:<12} {verdict}");
        self.text += line.trim_end();
        self.text.push('\n');
    }
}
