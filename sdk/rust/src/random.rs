//! Random bytes from the operating system. Most plugins need none: each batch has a fresh seed
//! ([`Batch::seed`](crate::Batch::seed)) that senders cannot know.
//!
//! While a plugin is tried on recent data, before it counts, and in tests, they are the same each time.

#[cfg(target_arch = "wasm32")]
use crate::bindings::petrel::plugin::random as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::senses as host;

/// What a call gives at most.
const MOST: usize = 64 << 10;

/// So many of them, in as many calls as it takes.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let most = (len - out.len()).min(MOST);
        out.extend(host::bytes(u32::try_from(most).unwrap_or(u32::MAX)));
    }
    out
}

/// A number.
pub fn number() -> u64 {
    let bytes = host::bytes(8);
    u64::from_le_bytes(bytes.try_into().unwrap_or_default())
}
