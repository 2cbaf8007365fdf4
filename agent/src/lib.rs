//! The agent: OTLP in, processors, a durable spool, OTLP out.
//!
//! ```text
//! application
//!    | OTLP/gRPC, OTLP/HTTP
//!    v
//! receive ----> plugins ----> seal ----> spool ----> forward
//! Admitted      Processed     Sealed     Spooled     Lease -> Delivery
//! ```
//!
//! - [`receive`] lets a checked batch in and gives it a custodian;
//! - [`plugins`] runs the user's processors over it, before anything of it touches the disk;
//! - [`seal`] joins what waits together, packs it once and appends it to the spool;
//! - [`petrel_spool`] answers once the batch would survive a power cut, and only then the sender
//!   gets its 200;
//! - [`forward`] leases sealed batches out, tries for ever, and settles them by what the peer says.
//!
//! [`pipeline`] knows which stage feeds which. [`custody`] keeps the books: `admitted = spooled +
//! dropped + refused`, and from there on the spool's: `spooled = delivered + rejected + evicted +
//! corrupt + here`. [`telemetry`] and [`admin`] show them, [`gaps`] tells the next hop what is
//! missing, and [`tellings`] what processors have counted;
//! what those keep is in [`notes`], where else they send records in [`outputs`].

pub mod admin;
pub mod capture;
pub mod config;
pub mod custody;
pub mod forward;
pub mod gaps;
pub mod notes;
pub mod outputs;
pub mod pipeline;
pub mod plugins;
pub mod receive;
pub mod reload;
pub mod seal;
pub mod shutdown;
pub mod status;
pub mod telemetry;
pub mod tellings;
pub mod window;

pub use config::{Config, ConfigError, Environment};
pub use pipeline::{Agent, Surroundings};

#[cfg(test)]
mod testing;
