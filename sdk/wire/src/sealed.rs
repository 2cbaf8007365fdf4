//! [`Sealed`]: packed with zstd once, hashed, and never changed again.
//!
//! The bytes in it are the bytes on the agent's disk, on the wire (`Content-Encoding: zstd`) and in
//! the aggregator's journal. Whoever wants to look inside unpacks under a cap.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

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
    /// zstd level 1: on telemetry, 3 costs twice the time for one percent, 6 five times for seven.
    pub const LEVEL: i32 = 1;

    /// Seals a batch.
    ///
    /// # Panics
    /// If zstd cannot allocate its context.
    pub fn pack(batch: &Batch, level: i32) -> Self {
        let body = zstd::bulk::compress(batch.bytes(), level).expect("zstd has memory to work in");
        Self::from_parts(
            batch.signal(),
            batch.items(),
            batch.bytes().len(),
            body.into(),
        )
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

/// Unpacks zstd, frame after frame, into at most `limit` bytes.
///
/// The window is limited to 8 MiB (RFC 9659 for HTTP), so a small body cannot ask for a large
/// buffer either.
pub fn unpack_zstd(body: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
    use std::io::Read as _;
    let corrupt = |error: std::io::Error| UnpackError::Corrupt {
        reason: error.to_string(),
    };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(corrupt)?;
    decoder.window_log_max(23).map_err(corrupt)?;
    // One byte over the limit is enough to know; a lying content size reserves nothing.
    let mut bytes = Vec::with_capacity(limit.min(body.len().saturating_mul(8)));
    let read = decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(corrupt)?;
    if read > limit {
        return Err(UnpackError::TooLarge { limit });
    }
    Ok(bytes)
}
