//! Ingest: what stands behind the aggregator's door.

mod recent;

pub use recent::{Recent, RecentArrival};
