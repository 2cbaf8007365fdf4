//! Tables that the operator mounts: CSV files, whose first column is the key. If every key is an IP
//! address or a range, addresses are looked up, and the most specific range answers.
//!
//! ```yaml
//! processors:
//!   - plugin: mine.wasm
//!     lookups: { sites: /etc/petrel-agent/sites.csv }
//! ```

use crate::column::Code;

#[cfg(target_arch = "wasm32")]
use crate::bindings::petrel::plugin::lookup as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::lookups as host;

/// A mounted table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mounted(u32);

/// One of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    table: u32,
    name: String,
}

impl Mounted {
    /// The table of this name, if the operator has mounted one. Best in `configure`, where the answer
    /// to nothing is an error that says what to mount.
    pub fn open(name: &str) -> Option<Self> {
        host::open(name).map(Self)
    }

    /// A column. In `configure` a name that the table does not have ends the start, with words.
    pub fn column(self, name: &str) -> Column {
        drop(host::join_dict(self.0, &[], name));
        Column {
            table: self.0,
            name: name.to_owned(),
        }
    }
}

impl Column {
    /// For each string its row's value in this column, as a string of the batch that edits may use;
    /// [`Code::NONE`] where there is no row, or the field is empty. Only in `process`. Every call crosses
    /// over to the host, so look up many strings at once.
    pub fn join(&self, codes: &[Code]) -> Vec<Code> {
        if codes.is_empty() {
            return Vec::new();
        }
        let codes: Vec<u32> = codes.iter().map(|code| code.0).collect();
        let found = host::join_dict(self.table, &codes, &self.name);
        found.into_iter().map(Code).collect()
    }
}
