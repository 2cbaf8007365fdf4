//! `petrel plugin fuzz`: requests that nobody wrote, until one is too much for the plugin.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use petrel_wire::{Batch, Clock as _, Limits, SystemClock};
use serde_json::{Value, json};

use super::build;
use super::cases::Case;
use super::generate::{Generator, Words};
use super::host::{Host, Outcome};
use super::otlp;
use crate::Answer;

/// Requests that one instance sees before the next one begins anew: what fails only after others is
/// found with at most so many before it.
const IN_A_ROW: usize = 16;
/// Tries to make a failure smaller.
const SHRINKS: usize = 2_000;

/// What to try, and how much of it.
#[derive(Debug)]
pub(crate) struct Options {
    /// The plugin's directory.
    pub(crate) dir: PathBuf,
    /// Instead of building one.
    pub(crate) component: Option<PathBuf>,
    /// Where all of it comes from; `None` for another one each time.
    pub(crate) seed: Option<u64>,
    /// Requests for each configuration.
    pub(crate) requests: usize,
}

/// Tries every configuration that the plugin's cases have.
pub(crate) fn run(options: &Options) -> anyhow::Result<Answer> {
    let cases = Case::all(&options.dir)?;
    let component = match &options.component {
        Some(component) => component.clone(),
        None => build::run(&options.dir, None)?.component,
    };
    let seed = options.seed.unwrap_or_else(|| SystemClock::new().wall().0);
    let mut examples = Vec::new();
    let mut distinct = Vec::<&Case>::new();
    for case in &cases {
        examples.extend(case.examples()?);
        examples.push(case.config.clone());
        let alike = |one: &&Case| one.config == case.config && one.lookups.is_empty();
        if !case.lookups.is_empty() || !distinct.iter().any(alike) {
            distinct.push(case);
        }
    }
    let mut out = String::new();
    for case in distinct {
        let config = &case.config;
        let trial = Trial {
            component: &component,
            case,
        };
        // The same requests for each, so that a seed says it all.
        let mut generator = Generator::new(seed, Words::of(examples.iter()));
        let (mut requests, mut items) = (0, 0);
        while requests < options.requests {
            let row = IN_A_ROW.min(options.requests - requests);
            let row: Vec<Value> = (0..row).map(|_| generator.request()).collect();
            let Some(words) = trial.failure(&row)? else {
                requests += row.len();
                items += row.iter().map(items_of).sum::<u64>();
                continue;
            };
            let least = trial.shrunk(row)?;
            let words = trial.failure(&least)?.unwrap_or(words);
            let case = save(&options.dir, seed, &least, case)?;
            writeln!(
                out,
                "seed {seed}: FAILED with config {config}\n  {words}\n\nThe smallest that makes it fail is a case now, which `petrel plugin test` runs:\n\n    {}",
                case.display()
            )?;
            return Ok(Answer {
                out: out.into_bytes(),
                failed: true,
                ..Answer::default()
            });
        }
        writeln!(
            out,
            "seed {seed}: {requests} requests of {items} items, none failed, config {config}"
        )?;
    }
    Ok(Answer {
        out: out.into_bytes(),
        ..Answer::default()
    })
}

/// A component with the configuration of one of its cases.
struct Trial<'a> {
    component: &'a Path,
    case: &'a Case,
}

impl Trial<'_> {
    /// What goes wrong when a new instance is given these, one after the other.
    fn failure(&self, requests: &[Value]) -> anyhow::Result<Option<String>> {
        let host = Host::load_for_case(self.component, self.case)?;
        for request in requests {
            let Ok(batches) = otlp::read_json(request.to_string().as_bytes()) else {
                // The door would not have taken it.
                return Ok(None);
            };
            for batch in batches {
                let signal = batch.signal();
                let passed = match host.process(batch)? {
                    Outcome::Passed(passed) => passed,
                    Outcome::Failed(words) => return Ok(Some(words)),
                };
                if let Some(words) = host.trouble()? {
                    return Ok(Some(words));
                }
                let read = Batch::from_protobuf(signal, passed.bytes().clone(), &Limits::default());
                if let Err(error) = read {
                    return Ok(Some(format!("what came out is not OTLP: {error}")));
                }
            }
        }
        Ok(None)
    }

    /// The least that still fails, as far as patience goes.
    fn shrunk(&self, requests: Vec<Value>) -> anyhow::Result<Vec<Value>> {
        let mut least = Value::Array(requests);
        let mut tries = 0;
        loop {
            let mut smaller = None;
            for candidate in simpler(&least) {
                if tries == SHRINKS {
                    break;
                }
                tries += 1;
                let Value::Array(requests) = &candidate else {
                    continue;
                };
                if !requests.is_empty() && self.failure(requests)?.is_some() {
                    smaller = Some(candidate);
                    break;
                }
            }
            match smaller {
                Some(smaller) => least = smaller,
                None => break,
            }
        }
        Ok(match least {
            Value::Array(requests) => requests,
            other => vec![other],
        })
    }
}

/// Whatever is left of a value when one part of it is left out, the largest parts first.
fn simpler(value: &Value) -> Box<dyn Iterator<Item = Value> + '_> {
    match value {
        Value::Array(list) => {
            let parts = std::iter::successors(Some(list.len()), |part| Some(part / 2));
            let without = parts.take_while(|part| *part > 0).flat_map(move |part| {
                let starts = (0..list.len()).step_by(part);
                starts.map(move |start| {
                    let end = (start + part).min(list.len());
                    Value::Array([&list[..start], &list[end..]].concat())
                })
            });
            // Its elements one by one, once they are few.
            let inside = list.iter().enumerate().take(8).flat_map(move |(at, one)| {
                simpler(one).map(move |simple| {
                    let mut list = list.clone();
                    list[at] = simple;
                    Value::Array(list)
                })
            });
            Box::new(without.chain(inside))
        }
        Value::Object(object) => {
            let without = object.keys().map(move |key| {
                let mut object = object.clone();
                object.remove(key);
                Value::Object(object)
            });
            let inside = object.iter().flat_map(move |(key, one)| {
                simpler(one).map(move |simple| {
                    let mut object = object.clone();
                    object.insert(key.clone(), simple);
                    Value::Object(object)
                })
            });
            Box::new(without.chain(inside))
        }
        Value::String(text) if text.len() > 1 => {
            let letters: Vec<char> = text.chars().collect();
            let half = letters.len() / 2;
            let parts = [&letters[..half], &letters[half..], &letters[1..]];
            let parts = parts.map(|part| json!(part.iter().collect::<String>()));
            Box::new(parts.into_iter())
        }
        _ => Box::new(std::iter::empty()),
    }
}

fn items_of(request: &Value) -> u64 {
    let batches = otlp::read_json(request.to_string().as_bytes()).unwrap_or_default();
    batches.iter().map(|batch| u64::from(batch.items())).sum()
}

fn save(dir: &Path, seed: u64, requests: &[Value], of: &Case) -> anyhow::Result<PathBuf> {
    let case = dir.join("cases").join(format!("fuzz-{seed}"));
    let cannot = || format!("cannot write {}", case.display());
    fs::create_dir_all(&case).with_context(cannot)?;
    let mut text = String::new();
    for request in requests {
        writeln!(text, "{request:#}")?;
    }
    fs::write(case.join("input.otlp.json"), text).with_context(cannot)?;
    if !of.config.is_null() {
        fs::write(case.join("config.json"), format!("{:#}\n", of.config)).with_context(cannot)?;
    }
    for file in of.lookups.values() {
        let lookups = case.join("lookups");
        fs::create_dir_all(&lookups).with_context(cannot)?;
        fs::copy(file, lookups.join(file.file_name().unwrap_or_default())).with_context(cannot)?;
    }
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_value_every_part_is_left_out_once() {
        let value = json!([{ "a": "xy" }, 2]);
        let all: Vec<Value> = simpler(&value).collect();
        for simple in [
            json!([]),
            json!([2]),
            json!([{ "a": "xy" }]),
            json!([{}, 2]),
        ] {
            assert!(all.contains(&simple), "{simple} of {all:?}");
        }
        assert!(all.contains(&json!([{ "a": "x" }, 2])));
    }
}
