//! The agent as its neighbours see it: applications before it, a peer behind it that may be any
//! OTLP endpoint, an old friend, or a captive portal.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a harness that cannot go on fails its test"
)]

mod authority;
mod binary;
mod delivery;
mod door;
mod harness;
mod spool_command;
mod tls;
mod way;
