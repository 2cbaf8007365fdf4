//! `petrel plugin ...`: one verb a file.

pub(crate) mod bench;
pub(crate) mod build;
mod cases;
pub(crate) mod compare;
mod compiled;
mod counted;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod fuzz;
mod generate;
mod host;
pub(crate) mod inspect;
pub(crate) mod new;
pub(crate) mod otlp;
pub(crate) mod run;
mod sdk;
pub(crate) mod signing;
pub(crate) mod test;
mod toolchain;
