//! `petrel plugin ...`: one verb a file.

pub(crate) mod build;
pub(crate) mod inspect;
mod toolchain;
