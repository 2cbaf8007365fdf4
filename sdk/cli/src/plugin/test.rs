//! `petrel plugin test`: golden cases in the host that agent and aggregator have.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use petrel_wire::Batch;

use super::build;
use super::cases::{Case, Passed};
use super::counted;
use super::diff::{Paint, diff};
use crate::Answer;

/// Builds the plugin in `dir`, unless a component is given, and runs its cases.
pub(crate) fn run(
    dir: &Path,
    component: Option<&Path>,
    update: bool,
    paint: Paint,
) -> anyhow::Result<Answer> {
    let cases = Case::all(dir)?;
    let component = match component {
        Some(component) => component.to_owned(),
        None => build::run(dir, None)?.component,
    };
    let mut out = String::new();
    let mut failed = 0;
    for case in &cases {
        let told = match case.run(&component)? {
            Err(words) => Some(format!("  {words}\n")),
            Ok(passed) if update => {
                case.update(&passed)?;
                None
            }
            Ok(passed) => differences(case, &passed, paint)?,
        };
        match told {
            None => writeln!(out, "{} {}", paint.green("ok    "), case.name)?,
            Some(told) => {
                failed += 1;
                writeln!(out, "{} {}\n{told}", paint.red("FAILED"), case.name)?;
            }
        }
    }
    let count = match cases.len() {
        1 => "1 case".to_owned(),
        count => format!("{count} cases"),
    };
    if failed > 0 {
        write!(
            out,
            "\n{failed} of {count} failed; if what came out (+) is right and what was expected (-) is not, run\n\n    petrel plugin test --update\n"
        )?;
    } else {
        writeln!(out, "{count}{}", if update { " written" } else { "" })?;
    }
    Ok(Answer {
        out: out.into_bytes(),
        failed: failed > 0,
        ..Answer::default()
    })
}

/// Nothing if what came out is what is expected.
pub(crate) fn differences(
    case: &Case,
    passed: &Passed,
    paint: Paint,
) -> anyhow::Result<Option<String>> {
    let Some(expected) = &case.expected else {
        return Ok(Some("  has no expected.otlp.json yet\n".into()));
    };
    let mut told = String::new();
    let counted = case.counted.as_ref();
    told.push_str(&counted.map_or(String::new(), |expected| {
        counted::difference(expected, &passed.counted)
    }));
    told += &requests(expected, &passed.batches, paint)?;
    let none = Vec::new();
    let outputs: BTreeSet<&String> = case.routed.keys().chain(passed.routed.keys()).collect();
    for output in outputs {
        let want = case.routed.get(output).unwrap_or(&none);
        let got = passed.routed.get(output).unwrap_or(&none);
        let lines = requests(want, got, paint)?;
        if !lines.is_empty() {
            write!(told, "  output {output}\n{lines}")?;
        }
    }
    Ok((!told.is_empty()).then_some(told))
}

/// Where requests differ from those that were expected.
fn requests(expected: &[Batch], passed: &[Batch], paint: Paint) -> anyhow::Result<String> {
    let mut told = String::new();
    if expected.len() != passed.len() {
        let (want, got) = (expected.len(), passed.len());
        writeln!(told, "  {want} requests were expected, {got} came out")?;
    }
    for (number, (want, got)) in (1..).zip(expected.iter().zip(passed)) {
        let lines = if want.signal() == got.signal() {
            diff(want, got, paint)?
        } else {
            let (want, got) = (want.signal(), got.signal());
            format!("  {want} were expected, {got} came out\n")
        };
        if !lines.is_empty() && expected.len() > 1 {
            writeln!(told, "  request {number}")?;
        }
        told.push_str(&lines);
    }
    Ok(told)
}
