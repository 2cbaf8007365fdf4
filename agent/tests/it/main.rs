//! The agent as its neighbours see it: applications before it, a peer behind it that may be any
//! OTLP endpoint, an old friend, or a captive portal.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a harness that cannot go on fails its test"
)]

mod authority;
mod binary;
mod canary;
mod counted;
mod delivery;
mod door;
#[path = "../../../sdk/plugin-host/tests/it/guest.rs"]
#[expect(dead_code, reason = "what the tests of the host need beyond this")]
mod guest;
mod hardened;
mod harness;
mod outputs;
mod process;
mod processors;
mod spool_command;
mod tls;
mod way;
mod window;
#[path = "../../../sdk/plugin-host/tests/it/zoo.rs"]
mod zoo;
