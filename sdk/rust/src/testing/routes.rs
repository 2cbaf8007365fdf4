//! Outputs of the model: one answer becomes one for each of them.

use crate::bindings::petrel::plugin::types::Edits;
use crate::registry::verdict;

/// The answers that leave just what goes to one output each; out of the answer that goes.
pub(super) fn take_routed(
    answer: &mut Edits,
    outputs: &[String],
    records: usize,
) -> Result<Vec<(String, Edits)>, String> {
    let route = std::mem::take(&mut answer.route);
    if route.is_empty() {
        return Ok(Vec::new());
    }
    if route.len() != records {
        let count = route.len();
        return Err(format!("gives {count} outputs for {records} records"));
    }
    let strange = |output: &&u8| usize::from(**output) >= outputs.len().max(1);
    if let Some(output) = route.iter().find(strange) {
        return Err(format!("routes to output {output}, which it did not name"));
    }
    if answer.verdicts.is_empty() {
        answer.verdicts.resize(records, verdict::KEEP);
    }
    let only = |output: usize| {
        let mut edits = answer.clone();
        for (given, to) in edits.verdicts.iter_mut().zip(&route) {
            if usize::from(*to) != output {
                *given = verdict::DROP;
            }
        }
        edits
    };
    let used = outputs.iter().enumerate().skip(1);
    let used = used.filter(|(at, _)| route.iter().any(|to| usize::from(*to) == *at));
    let routed = used.map(|(at, name)| (name.clone(), only(at))).collect();
    *answer = only(0);
    Ok(routed)
}
