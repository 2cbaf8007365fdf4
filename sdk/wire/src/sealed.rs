//! [`Sealed`]: packed with zstd once, hashed, and never changed again.
//!
//! The bytes in it are the bytes on the agent's disk, on the wire (`Content-Encoding: zstd`) and in
//! the aggregator's journal. Whoever wants to look inside unpacks under a cap.

mod packer;
mod unpacker;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

pub use unpacker::{unpack_zstd, zstd_content_bytes};

use crate::{Batch, Limits, Malformed, Signal};

/// One compressed OTLP export request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    signal: Signal,
    items: u32,
    unpacked_bytes: u32,
    hash: u128,
    body: Bytes,
}

/// Why a sealed body could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// More than the cap comes out; unpacking stopped there.
    #[error("unpacks to more than {limit} bytes; send smaller batches")]
    TooLarge {
        /// The cap.
        limit: usize,
    },
    /// Not a zstd frame, or a broken one.
    #[error("the body is not valid zstd: {reason}")]
    Corrupt {
        /// The decoder's words.
        reason: String,
    },
    /// What came out is not OTLP.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Sealed {
    /// Seals a batch.
    ///
    /// # Panics
    /// If zstd cannot allocate its context.
    pub fn pack(batch: &Batch) -> Self {
        Self::pack_joined(std::slice::from_ref(batch)).expect("one batch is not none")
    }

    /// Seals batches of one signal behind each other, which merges OTLP requests without decoding
    /// them. `None` if there are none.
    ///
    /// # Panics
    /// If the batches are of several signals, or zstd cannot allocate its context.
    pub fn pack_joined(parts: &[Batch]) -> Option<Self> {
        let signal = parts.first()?.signal();
        assert!(
            parts.iter().all(|part| part.signal() == signal),
            "only batches of one signal can be joined"
        );
        let items = parts.iter().map(Batch::items).sum();
        let bytes = parts.iter().map(|part| part.bytes().len()).sum();
        let body = packer::pack(parts.iter().map(|part| part.bytes().as_ref()), bytes);
        Some(Self::from_parts(signal, items, bytes, body))
    }

    /// Takes over a body that somebody else sealed (read from disk or from the wire). The hash is
    /// computed here; whether it is the promised one is for the caller to compare.
    pub fn from_parts(signal: Signal, items: u32, unpacked_bytes: usize, body: Bytes) -> Self {
        let hash = xxh3_128(&body);
        let unpacked_bytes = u32::try_from(unpacked_bytes).unwrap_or(u32::MAX);
        Self {
            signal,
            items,
            unpacked_bytes,
            hash,
            body,
        }
    }

    /// Unpacks under `limits` and checks what comes out.
    pub fn unpack(&self, limits: &Limits) -> Result<Batch, UnpackError> {
        let bytes = unpack_zstd(&self.body, limits.request_bytes)?;
        Ok(Batch::from_protobuf(self.signal, bytes.into(), limits)?)
    }

    /// Unpacks what was checked before it was sealed or accepted, without checking it again: a
    /// check reads every byte, and what shows that these are the same bytes is their hash. Over
    /// bytes that were never checked, views show defaults; nothing worse happens.
    pub fn unpack_checked(&self) -> Result<Batch, UnpackError> {
        let bytes = unpack_zstd(&self.body, self.unpacked_bytes as usize)?;
        Ok(Batch::trusted(self.signal, self.items, bytes.into()))
    }

    /// Which kind of request is inside.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// How many items are inside, as counted before sealing.
    pub fn items(&self) -> u32 {
        self.items
    }

    /// Size before compression.
    pub fn unpacked_bytes(&self) -> u32 {
        self.unpacked_bytes
    }

    /// xxh3-128 of the body.
    pub fn hash(&self) -> u128 {
        self.hash
    }

    /// The zstd frame: the body of the OTLP/HTTP request.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with one resource without spans, told apart by its schema URL.
    fn batch(schema_url: &str) -> Batch {
        let mut group = vec![0x1a, u8::try_from(schema_url.len()).unwrap()];
        group.extend_from_slice(schema_url.as_bytes());
        let mut request = vec![0x0a, u8::try_from(group.len()).unwrap()];
        request.extend(group);
        Batch::from_protobuf(Signal::Traces, request.into(), &Limits::default()).unwrap()
    }

    #[test]
    fn batches_sealed_together_come_out_behind_each_other() {
        let parts = [batch("a"), batch("of another length"), batch("c")];
        let together = Sealed::pack_joined(&parts).unwrap();
        let out = together.unpack(&Limits::default()).unwrap();
        assert_eq!(out.bytes(), Batch::concat(Signal::Traces, &parts).bytes());
        assert_eq!(together.unpacked_bytes() as usize, out.bytes().len());
    }

    #[test]
    fn a_large_batch_leaves_nothing_behind_in_the_small_one_packed_after_it() {
        let many = vec![batch("large"); 200_000];
        let large = Sealed::pack_joined(&many).unwrap();
        assert_eq!(large.unpacked_bytes(), 200_000 * 9);
        let small = Sealed::pack(&batch("small"));
        let out = small.unpack(&Limits::default()).unwrap();
        assert_eq!(out.bytes(), batch("small").bytes());
    }

    #[test]
    fn nothing_seals_to_nothing() {
        assert_eq!(Sealed::pack_joined(&[]), None);
    }
}
