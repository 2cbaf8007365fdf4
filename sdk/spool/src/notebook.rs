//! [`Notebook`]: small things that processors keep across restarts, best effort.
//!
//! One redb file beside the spool. It is opened for each visit, since visits are rare and a handle
//! that has met an error is of no use. One that is damaged is set aside, and a new one begins.

use std::fs;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase as _, TableDefinition, TableError};

use crate::error::{Fault, FaultKind, SpoolError, guard};

const FILE: &str = "notes.redb";
/// Of a value: when it is over, and what it is. Under the owner's name and its key.
const NOTES: Table = TableDefinition::new("notes.v1");
type Table = TableDefinition<'static, Place, Row>;
type Place = (&'static str, &'static [u8]);
type Row = (u64, &'static [u8]);
const CACHE: usize = 1 << 20;

/// Where it is.
#[derive(Debug)]
pub struct Notebook {
    path: PathBuf,
}

/// A value, and when it is over.
pub type Noted = (Vec<u8>, u64);

impl Notebook {
    /// In `dir`, which is made if it is not there when something is written.
    pub fn at(dir: &Path) -> Self {
        Self {
            path: dir.join(FILE),
        }
    }

    /// Everything that was noted under `owner`. A notebook that is damaged is set aside.
    pub fn read(&self, owner: &str) -> Result<Vec<(Vec<u8>, Noted)>, SpoolError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let read = guard("reading notes", || {
            let db = self.open()?;
            let txn = db.begin_read()?;
            let table = match txn.open_table(NOTES) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                table => table?,
            };
            let mut notes = Vec::new();
            let first: (&str, &[u8]) = (owner, &[]);
            for row in table.range(first..)? {
                let (key, value) = row?;
                let (by, key) = key.value();
                if by != owner {
                    break;
                }
                let (expires, value) = value.value();
                notes.push((key.to_vec(), (value.to_vec(), expires)));
            }
            Ok(notes)
        });
        read.or_else(|fault| {
            if fault.kind == FaultKind::Damaged {
                let aside = self.path.with_extension("redb.damaged");
                if fs::rename(&self.path, &aside).is_ok() {
                    let (file, error) = (aside.display(), &fault.source);
                    tracing::warn!(%file, %error, "notes of processors are damaged and set aside");
                    return Ok(Vec::new());
                }
            }
            Err(SpoolError::disk(&fault))
        })
    }

    /// Notes down, or crosses out what has no value; all of it or nothing. Returns once it would
    /// survive a power cut.
    pub fn write<'a>(
        &self,
        owner: &str,
        changes: impl Iterator<Item = (&'a [u8], Option<(&'a [u8], u64)>)>,
    ) -> Result<(), SpoolError> {
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)
                .map_err(|error| SpoolError::disk(&Fault::io("making room for notes", error)))?;
        }
        let written = guard("writing notes", || {
            let db = self.open()?;
            let txn = db.begin_write()?;
            {
                let mut table = txn.open_table(NOTES)?;
                for (key, change) in changes {
                    match change {
                        Some((value, expires)) => {
                            table.insert((owner, key), (expires, value))?;
                        }
                        None => {
                            table.remove((owner, key))?;
                        }
                    }
                }
            }
            txn.commit()?;
            Ok(())
        });
        written.map_err(|fault| SpoolError::disk(&fault))
    }

    fn open(&self) -> Result<Database, redb::Error> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        Ok(builder.create(&self.path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(notebook: &Notebook, owner: &str, key: &str, value: Option<&str>) {
        let change = (key.as_bytes(), value.map(|value| (value.as_bytes(), 7)));
        notebook.write(owner, [change].into_iter()).unwrap();
    }

    #[test]
    fn owners_find_their_own_notes_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let notebook = Notebook::at(&dir.path().join("notes"));
        assert!(notebook.read("a").unwrap().is_empty());
        write(&notebook, "a", "key", Some("one"));
        write(&notebook, "a", "gone", Some("two"));
        write(&notebook, "ab", "key", Some("three"));
        write(&notebook, "a", "gone", None);
        let again = Notebook::at(&dir.path().join("notes"));
        let note = |value: &str| vec![(b"key".to_vec(), (value.as_bytes().to_vec(), 7))];
        assert_eq!(again.read("a").unwrap(), note("one"));
        assert_eq!(again.read("ab").unwrap(), note("three"));
        assert!(again.read("b").unwrap().is_empty());
    }

    #[test]
    fn a_damaged_notebook_is_set_aside_and_a_new_one_begins() {
        let dir = tempfile::tempdir().unwrap();
        let notebook = Notebook::at(dir.path());
        fs::write(dir.path().join(FILE), [b'x'; 5_000]).unwrap();
        assert!(notebook.read("a").unwrap().is_empty());
        assert!(dir.path().join("notes.redb.damaged").exists());
        write(&notebook, "a", "key", Some("one"));
        assert_eq!(notebook.read("a").unwrap().len(), 1);
    }
}
