//! `petrel plugin run`: a component as a filter, for scripts and bug reports.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use petrel_wire::otlp::json::Layout;

use super::host::{Host, Outcome};
use super::otlp::{self, SignalName};
use crate::Answer;

/// Runs `component` over standard input.
pub(crate) fn run(
    component: &Path,
    config: &str,
    signal: Option<SignalName>,
    pretty: bool,
) -> anyhow::Result<Answer> {
    let config = serde_json::from_str(config).context("--config is not JSON")?;
    let host = Host::load(component, config)?;
    let mut input = Vec::new();
    std::io::stdin()
        .read_to_end(&mut input)
        .context("cannot read standard input")?;
    let (form, batches) = otlp::read(input, signal.map(Into::into))?;
    let mut notes = String::new();
    let (mut passed, mut failed) = (Vec::new(), false);
    let (mut items, mut left) = (0, 0);
    for (number, batch) in (1..).zip(batches) {
        items += batch.items();
        match host.process(batch)? {
            Outcome::Passed(batch) => {
                left += batch.items();
                passed.push(batch);
            }
            Outcome::Failed(words) => {
                failed = true;
                writeln!(notes, "request {number} was refused: {words}")?;
            }
        }
    }
    let stats = host.stats()?;
    writeln!(
        notes,
        "{}: {items} items in, {left} out, {} edits, {} dropped, {:.1?}",
        stats.name, stats.edits, stats.dropped_items, stats.busy
    )?;
    let layout = if pretty {
        Layout::Indented
    } else {
        Layout::Line
    };
    Ok(Answer {
        out: otlp::write(&passed, form, layout),
        notes,
        failed,
    })
}
