//! Notes: what processors keep across restarts, in a file beside the spool.
//!
//! They are written down every few seconds and at the stop, never on the way of a batch. A `kill -9`
//! costs what was kept since the last time.

use std::path::Path;

use petrel_plugin_host::{Note, Store};
use petrel_spool::Notebook;
use petrel_wire::UnixNanos;

/// A notebook as processors see it.
#[derive(Debug)]
pub struct Notes(Notebook);

impl Notes {
    /// In a directory of its own in the spool's.
    pub fn beside(spool_dir: &Path) -> Self {
        Self(Notebook::at(&spool_dir.join("plugins")))
    }
}

impl Store for Notes {
    fn load(&self, name: &str) -> Result<Vec<Note>, String> {
        let notes = self.0.read(name).map_err(|error| words(&error))?;
        let notes = notes.into_iter();
        Ok(notes
            .map(|(key, (value, expires))| Note {
                key,
                value: Some(value),
                expires: UnixNanos(expires),
            })
            .collect())
    }

    fn save(&self, name: &str, changes: &[Note]) -> Result<(), String> {
        let changes = changes.iter().map(|note| {
            let value = note.value.as_deref();
            (
                note.key.as_slice(),
                value.map(|value| (value, note.expires.0)),
            )
        });
        let written = self.0.write(name, changes);
        written.map_err(|error| words(&error))
    }
}

fn words(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
