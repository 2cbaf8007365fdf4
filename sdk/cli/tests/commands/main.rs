//! `petrel plugin` as people use it: by its commands.

mod readme;
mod run;
mod shipped;

use std::path::PathBuf;

/// A path in this repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}
