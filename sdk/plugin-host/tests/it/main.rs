//! The plugin host from outside: the shipped redactor on all signals, and guests that mean harm.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail their test"
)]

mod evil;
mod failure;
mod guest;
mod hold;
mod keeps;
mod load;
mod lookups;
mod metrics;
mod otlp;
mod redact;
mod reload;
mod routes;
mod senses;
mod signed;
mod zoo;
