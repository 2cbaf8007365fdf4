//! OTLP in protobuf, read where it lies: checking, counting, walking and splitting without objects.

use bytes::Bytes;

use crate::{Batch, Limits, Malformed, Signal};

pub mod json;
pub mod response;

/// Checks one export request and counts its items.
pub fn check(signal: Signal, bytes: &Bytes, limits: &Limits) -> Result<u32, Malformed> {
    todo!()
}

pub(crate) fn split(batch: &Batch, bytes: usize) -> Vec<Batch> {
    todo!()
}
