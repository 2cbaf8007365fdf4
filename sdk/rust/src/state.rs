//! What a plugin keeps across restarts: a small map of its own, best effort and no database.
//!
//! Only in `process`. Keys and values together may have 1 MiB; what was written longest ago makes room
//! for what comes. Writes count when the batch was accepted, so a batch that is sent again meets what
//! it met the first time. The host writes them down every few seconds and when it stops: what came
//! after the last time does not survive a crash. Every call crosses over to the host, so ask for many
//! keys at once.

use crate::bindings::petrel::plugin::types::Blob;

#[cfg(target_arch = "wasm32")]
use crate::bindings::petrel::plugin::state as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::kept as host;

/// The values of these keys, in their order.
pub fn get_many<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Vec<Option<Vec<u8>>> {
    let keys = blob(keys);
    if keys.ends.is_empty() {
        return Vec::new();
    }
    host::get_many(&keys)
}

/// The value of one key.
pub fn get(key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    get_many([key]).pop().flatten()
}

/// Puts values under keys. They are over after `ttl_s` seconds, or never if that is 0.
pub fn put_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    pairs: impl IntoIterator<Item = (K, V)>,
    ttl_s: u32,
) {
    let (keys, values): (Vec<K>, Vec<V>) = pairs.into_iter().unzip();
    if !keys.is_empty() {
        host::put_many(&blob(keys), &blob(values), ttl_s);
    }
}

/// Puts one value.
pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, ttl_s: u32) {
    put_many([(key, value)], ttl_s);
}

/// Removes what is under these keys.
pub fn delete_many<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) {
    let keys = blob(keys);
    if !keys.ends.is_empty() {
        host::delete_many(&keys);
    }
}

fn blob<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Blob {
    let mut blob = Blob {
        ends: Vec::new(),
        bytes: Vec::new(),
    };
    for part in parts {
        blob.bytes.extend_from_slice(part.as_ref());
        blob.ends
            .push(u32::try_from(blob.bytes.len()).unwrap_or(u32::MAX));
    }
    blob
}
