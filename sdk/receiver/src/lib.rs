//! The receiver: the one OTLP door of both binaries.
//!
//! It stands at the start of the path, between whoever exports telemetry and whoever owes for it
//! afterwards: the agent's processors and spool, or the aggregator's journal. [`router`] answers
//! OTLP/HTTP (protobuf and JSON), OTLP/gRPC, Zipkin, Prometheus remote write and Loki (which are
//! translated into OTLP on their way in) on the same port; [`serve`] runs it on a listener, with HTTP/1.1, HTTP/2 without TLS, and
//! TLS.
//!
//! What it promises:
//! - **Memory is bounded before a body is read.** Every byte, packed or unpacked, is first taken
//!   from one budget; who finds it empty is told when to come again.
//! - **Who may not come in is told so before the body is read** ([`Door::admit`]).
//! - **An answer needs a receipt.** A success is built only from a [`Receipt`], and a receipt only
//!   from a `Spooled`, from a processor's decision to drop, or from a request without items.
//! - **No wrong code.** What may be repeated says so (503, 429, `UNAVAILABLE`, `RetryInfo`), what
//!   must not be repeated never does; there is no 500 and no `UNKNOWN` ([`Refused`]).
//!
//! It never looks inside a batch beyond checking it, and knows neither tokens nor projects.

mod answer;
mod appointments;
mod body;
mod budget;
mod config;
mod cors;
mod door;
mod foreign;
mod grpc;
mod health;
mod http;
mod inflate;
mod routes;
mod serve;
mod status;
mod tls;
mod turns;
mod unpack;

pub use answer::{Receipt, Refused};
pub use config::ReceiverConfig;
pub use door::{Arrival, Door, Head, Transport};
pub use routes::{router, router_in_turns};
pub use serve::{ServeConfig, serve};
pub use tls::{Tls, TlsError};
pub use turns::{Turn, Turns};
