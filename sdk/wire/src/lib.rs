//! The vocabulary of telemetry in transit: OTLP kept as bytes.
//!
//! Everything the two binaries say to each other, and to the disk, is defined here: a [`Batch`] is
//! one OTLP export request as received, checked and counted but never decoded into objects; a
//! [`Sealed`] is one or more batches packed with zstd once and never changed again; a [`BatchId`]
//! names it for life; a [`Delivery`] is what a peer can answer; a [`Dsn`] says where to and as whom.
//!
//! No I/O and no runtime: this crate may be used from a fuzzer, a browser or a plugin.

mod batch;
mod batch_id;
mod clock;
mod delivery;
mod dsn;
pub mod otlp;
mod sealed;
mod signal;

pub use batch::{Batch, Limits, Malformed};
pub use batch_id::{AgentId, BatchId, BatchIdError};
pub use clock::{Clock, SystemClock, UnixNanos};
pub use delivery::{Delivery, Peer, Refusal};
pub use dsn::{Dsn, DsnError, Token};
pub use sealed::{Sealed, UnpackError, unpack_zstd, zstd_content_bytes};
pub use signal::Signal;
