//! The aggregator's stages, each behind its real neighbour.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod api;
mod bare;
mod check;
mod deaths;
mod doors;
#[path = "../../../sdk/plugin-host/tests/it/guest.rs"]
#[expect(dead_code, reason = "what the tests of the host need beyond this")]
mod guest;
mod import;
mod ingest;
mod manage;
mod meaning;
#[path = "../../src/metadata/tests/postgres.rs"]
mod postgres;
mod processors;
mod sender;
mod serve;
mod span_log;
mod store;
mod tenancy;
mod trace_context;
mod unfinished;

// Where `postgres` looks for it, here as there.
use petrel_aggregator::metadata;
