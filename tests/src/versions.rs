//! Two versions side by side: which binaries a test starts.
//!
//! Usually those of this build. If the environment names a folder with binaries of another version,
//! the same tests tell whether the two understand each other, and what the other has left on a disk.
//! `make versions OLD=<revision>` does that with the fleet in weather.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::process::binary;

/// A folder with another version's `petrel-agent`.
pub const OTHER_AGENTS: &str = "PETREL_OTHER_AGENTS";
/// A folder with another version's `petrel-aggregator`.
pub const OTHER_AGGREGATORS: &str = "PETREL_OTHER_AGGREGATORS";

/// The agent to start. With [`OTHER_AGENTS`] every second start takes that one: spools are opened
/// by the older and the newer in turn.
pub(crate) fn agent() -> PathBuf {
    static STARTS: AtomicUsize = AtomicUsize::new(0);
    match other(OTHER_AGENTS) {
        Some(dir) if STARTS.fetch_add(1, Relaxed) % 2 == 1 => dir.join("petrel-agent"),
        _ => binary("petrel-agent"),
    }
}

/// The aggregator to start. With [`OTHER_AGGREGATORS`] always that one: an older aggregator does not
/// open what a newer one has made of its database.
pub(crate) fn aggregator() -> PathBuf {
    match other(OTHER_AGGREGATORS) {
        Some(dir) => dir.join("petrel-aggregator"),
        None => binary("petrel-aggregator"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test takes its orders from the environment"
)]
fn other(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}
