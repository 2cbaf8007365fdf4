//! Unpacking under a cap: in one go where a frame says how long its content is, as ours do, and
//! through a window where it does not.
//!
//! In one go the output is its own window, so nothing is copied behind the decoder; and each thread
//! keeps its context, which is 100 kB to clear.

use std::cell::RefCell;
use std::io::Read as _;

use zstd::bulk::Decompressor;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use super::UnpackError;

thread_local! {
    static CONTEXT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// How long the content of `body` is, if it is one frame, no more, that says so. It may lie:
/// [`unpack_zstd`] finds out.
pub fn zstd_content_bytes(body: &[u8]) -> Option<usize> {
    let content = get_frame_content_size(body).ok().flatten()?;
    (find_frame_compressed_size(body) == Ok(body.len()))
        .then(|| usize::try_from(content).ok())
        .flatten()
}

/// Unpacks zstd, frame after frame, into at most `limit` bytes.
///
/// The window is limited to 8 MiB (RFC 9659 for HTTP), so a small body cannot ask for a large
/// buffer either.
pub fn unpack_zstd(body: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
    match zstd_content_bytes(body) {
        Some(bytes) if bytes > limit => Err(UnpackError::TooLarge { limit }),
        Some(bytes) => at_once(body, bytes),
        None => through_a_window(body, limit),
    }
}

fn at_once(body: &[u8], bytes: usize) -> Result<Vec<u8>, UnpackError> {
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(Decompressor::new().map_err(corrupt)?),
        };
        // Memory that a lie reserves is never touched.
        let mut unpacked = Vec::with_capacity(bytes);
        context
            .decompress_to_buffer(body, &mut unpacked)
            .map_err(corrupt)?;
        Ok(unpacked)
    })
}

fn through_a_window(body: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(corrupt)?;
    decoder.window_log_max(23).map_err(corrupt)?;
    // One byte over the limit is enough to know.
    let mut unpacked = Vec::with_capacity(limit.min(body.len().saturating_mul(8)));
    let read = decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(corrupt)?;
    if read > limit {
        return Err(UnpackError::TooLarge { limit });
    }
    Ok(unpacked)
}

fn corrupt(error: std::io::Error) -> UnpackError {
    UnpackError::Corrupt {
        reason: error.to_string(),
    }
}
