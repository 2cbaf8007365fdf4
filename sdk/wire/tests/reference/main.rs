//! Our reading of OTLP held against the reference: opentelemetry-proto's types, read by prost.
//!
//! `generate` makes requests out of random bytes, so that proptest can shrink them; `rebuild`
//! turns our views back into the reference's types. The fuzz targets run here as well, on the
//! same inputs, so that they cannot rot.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly too"
)]

#[path = "../../../../tests/fuzz/src/lib.rs"]
mod fuzz;
mod generate;
mod json;
mod rebuild;
mod split;
mod verdict;
