//! Cutting a batch by encoded size.
use crate::Batch;

pub(crate) fn split(batch: &Batch, bytes: usize) -> Vec<Batch> {
    let _ = bytes;
    vec![batch.clone()]
}
