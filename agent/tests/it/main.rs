//! The agent as its neighbours see it: applications before it, a peer behind it that may be any
//! OTLP endpoint, an old friend, or a captive portal.

mod binary;
mod delivery;
mod door;
mod harness;
