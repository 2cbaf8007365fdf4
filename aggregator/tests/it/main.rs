//! The aggregator's stages, each behind its real neighbour.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod api;
mod check;
mod doors;
mod import;
mod ingest;
mod manage;
mod meaning;
mod sender;
mod serve;
mod span_log;
mod store;
mod tenancy;
mod trace_context;
