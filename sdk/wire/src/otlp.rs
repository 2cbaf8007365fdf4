//! OTLP in protobuf, read where it lies: checking, counting, walking and splitting without objects.
//!
//! [`fields`] reads any message field by field, `schema` says what OTLP's messages are made of,
//! `check` walks a request by the schema once, [`view`] gives names to the bytes afterwards,
//! `split` cuts, [`by_trace`] takes spans out, [`json`] translates the other encoding, [`response`] answers.

pub mod by_trace;
mod check;
pub mod fields;
pub mod json;
mod pair;
pub mod response;
mod schema;
mod split;
pub mod view;

pub use check::check;
pub(crate) use split::split;
