//! Meaning: what OpenTelemetry's conventions say about an item, beyond its fields.
//!
//! Which system a span talks to, which spans and records are "the same" (groups, with an id that
//! never depends on what else was sent), what people call them, how bad a log record is. Pure:
//! rows ask while they are built, queries ask where a key has several spellings.
//!
//! A group's id is a hash of text, so that two aggregators, or one before and after a restart,
//! agree without speaking to each other. Changing what goes into it starts new groups: a change is
//! to be made on purpose, and the ids in the tests below notice.

pub mod aliases;
pub mod body;
pub mod exponent;
pub mod facts;
pub mod group;
pub mod severity;
pub mod statement;
pub mod template;
pub mod units;
