//! `petrel plugin diff`: two components over the same requests, and where they answer differently.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::diff::{Paint, diff};
use super::host::{Host, Outcome};
use super::otlp::{self, SignalName};
use crate::Answer;

/// Runs `old` and `new` over standard input. The clock stands still during a request, so that time is no
/// difference.
pub(crate) fn run(
    old: &Path,
    new: &Path,
    config: &str,
    signal: Option<SignalName>,
    paint: Paint,
) -> anyhow::Result<Answer> {
    let config: Value = serde_json::from_str(config).context("--config is not JSON")?;
    let old = Host::load_for_cases(old, config.clone())?;
    let new = Host::load_for_cases(new, config)?;
    let mut input = Vec::new();
    std::io::stdin()
        .read_to_end(&mut input)
        .context("cannot read standard input")?;
    let (_, batches) = otlp::read(input, signal.map(Into::into))?;
    let (mut out, mut different, count) = (String::new(), 0, batches.len());
    for (number, batch) in (1..).zip(batches) {
        let told = match (old.process(batch.clone())?, new.process(batch)?) {
            (Outcome::Passed(old), Outcome::Passed(new)) => diff(&old, &new, paint)?,
            (Outcome::Failed(old), Outcome::Failed(new)) if old == new => String::new(),
            (old, new) => format!(
                "  {}\n  {}\n",
                paint.red(&format!("- {}", became(&old))),
                paint.green(&format!("+ {}", became(&new)))
            ),
        };
        if !told.is_empty() {
            different += 1;
            writeln!(out, "{}", paint.bold(&format!("request {number}")))?;
            out += &told;
        }
    }
    Ok(Answer {
        out: out.into_bytes(),
        notes: format!("{different} of {count} requests are answered differently\n"),
        failed: different > 0,
    })
}

fn became(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed(batch) => format!("passed on with {} items", batch.items()),
        Outcome::Failed(words) => format!("refused: {words}"),
    }
}
