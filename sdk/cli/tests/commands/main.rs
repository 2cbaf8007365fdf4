//! `petrel plugin` as people use it: by its commands.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly too")]

mod dev;
mod effort;
#[path = "../../../plugin-host/tests/it/guest.rs"]
#[expect(dead_code, reason = "what the tests of the host need beyond this")]
mod guest;
mod run;
mod shipped;
mod signing;

use std::path::PathBuf;

/// A path in this repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}
