//! Redaction with exceptions: cell by cell, since an edit of the dictionary would reach them all.

use std::collections::BTreeMap;

use petrel_plugin::Code;
use petrel_plugin::prelude::*;

use crate::Redact;

impl Redact {
    /// As without exceptions, but for columns whose key is allowed. `found` are texts and what they
    /// become.
    pub(crate) fn redact_unless_allowed(
        &self,
        batch: &Batch<'_>,
        edits: &mut Edits,
        found: &[(Code, Code)],
    ) {
        let found: BTreeMap<Code, Code> = found.iter().copied().collect();
        let columns = || {
            let columns = batch.all_columns();
            columns.filter(|column| !column.key().is_some_and(|key| self.allows(key.bytes)))
        };
        for cell in columns().flat_map(|column| column.cells()) {
            match cell.value {
                Value::Text(text) => {
                    if let Some(to) = found.get(&text.code) {
                        edits.set(&cell, *to);
                    }
                }
                Value::Json(json) => {
                    if let Some(to) = found.get(&json.code) {
                        edits.set(&cell, New::JsonCode(*to));
                    }
                }
                _ => {}
            }
        }
        // The later edit wins: a value hidden for its key is hidden as a whole.
        let replacement = edits.text(&self.replacement);
        for column in columns().filter(|column| self.key_slots.contains(&column.slot())) {
            for cell in column.cells() {
                edits.set(&cell, replacement);
            }
        }
    }

    fn allows(&self, key: &[u8]) -> bool {
        let key = key.to_ascii_lowercase();
        self.allowed.iter().any(|rule| {
            let text = rule.trim_matches('*').as_bytes();
            match (rule.starts_with('*'), rule.ends_with('*')) {
                (false, false) => key == text,
                (false, true) => key.starts_with(text),
                (true, false) => key.ends_with(text),
                (true, true) => {
                    key.windows(text.len().max(1)).any(|part| part == text) || text.is_empty()
                }
            }
        })
    }
}
