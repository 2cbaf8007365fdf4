//! The receiver behind real sockets, asked by real clients.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod codec;
mod door;
mod foreign;
mod grpc;
mod http;
mod sealed;
mod wires;
