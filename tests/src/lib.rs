//! The harness: what a test needs to start a site, trouble it, and balance the books afterwards.
//!
//! Nothing here shares code with the product but the names of signals and the clock: requests are
//! built by prost from the published protos, rows are read through the operator's own door.

pub mod api;
pub mod central;
pub mod disk;
pub mod draft;
pub mod edge;
pub mod fleet;
pub mod herd;
pub mod http;
pub mod ledger;
pub mod network;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod site;
pub mod telemetry;
pub mod torture;
pub mod traffic;
pub mod trouble;
pub mod versions;
