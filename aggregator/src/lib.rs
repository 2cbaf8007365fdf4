//! The aggregator: OTLP in, a journal, ClickHouse exactly once, the API and the UI.
//!
//! The path, stage by stage: [`ingest`] takes requests at the door, each for the project whose
//! DSN it shows ([`auth`]), and appends them to the journal; rows are cut out of the journal and
//! stored; queries read them back for the API and the UI. [`pipeline`] alone knows who feeds whom.

pub mod api;
pub mod auth;
pub mod clickhouse;
pub mod config;
pub mod documents;
pub mod engine;
pub mod import;
pub mod ingest;
pub mod manage;
pub mod meaning;
pub mod memory;
pub mod metadata;
pub mod pipeline;
pub mod processors;
pub mod query;
pub mod rows;
pub mod shutdown;
pub mod span_log;
pub mod sql;
pub mod store;
pub mod telemetry;
pub mod ui;
pub mod zipkin_port;
