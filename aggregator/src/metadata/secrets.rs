//! Random secrets, and the digest under which they are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::MetadataError;

/// 256 random bits, as text that fits a cookie or an address.
pub(super) fn fresh() -> Result<String, MetadataError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| MetadataError::Value {
        doing: "get random bytes from the system",
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A name for a new row: 128 random bits in hex.
pub(super) fn fresh_id() -> Result<String, MetadataError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| MetadataError::Value {
        doing: "get random bytes from the system",
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// SHA-256 in hex. Enough for 256 random bits: there is nothing to guess, so nothing to slow down.
pub(super) fn digest(secret: &str) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(secret.as_bytes()) {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out
}
