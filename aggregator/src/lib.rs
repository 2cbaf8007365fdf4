//! The aggregator: OTLP in, a journal, ClickHouse exactly once, the API and the UI.
//!
//! The path, stage by stage: [`ingest`] takes requests at the door, each for the project whose
//! DSN it shows ([`auth`]), and appends them to the journal; rows are cut out of the journal and
//! stored; queries read them back for the API and the UI. [`pipeline`] alone knows who feeds whom.

pub mod auth;
pub mod config;
pub mod ingest;
pub mod shutdown;
