//! What the host keeps for a plugin: in a test, as long as its [`Tested`](super::Tested) lives.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::petrel::plugin::types::Blob;

/// Values, and when they are over; zero for never.
pub(super) type Kept = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

#[derive(Default)]
struct Call {
    kept: Kept,
    now_ns: u64,
}

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

pub(super) fn begin(kept: Kept, now_ns: u64) {
    CALL.set(Some(Call { kept, now_ns }));
}

/// What is kept after the call.
pub(super) fn end() -> Kept {
    CALL.take().unwrap_or_default().kept
}

fn with<T>(run: impl FnOnce(&mut Call) -> T) -> T {
    CALL.with_borrow_mut(|call| match call {
        Some(call) => run(call),
        None => panic!("state belongs into process"),
    })
}

fn parts(blob: &Blob) -> Vec<Vec<u8>> {
    let mut start = 0;
    let part = |end: &u32| {
        let part = blob.bytes[start..*end as usize].to_vec();
        start = *end as usize;
        part
    };
    blob.ends.iter().map(part).collect()
}

pub(crate) fn get_many(keys: &Blob) -> Vec<Option<Vec<u8>>> {
    with(|call| {
        let get = |key: Vec<u8>| {
            let (value, expires) = call.kept.get(&key)?;
            (*expires == 0 || *expires > call.now_ns).then(|| value.clone())
        };
        parts(keys).into_iter().map(get).collect()
    })
}

pub(crate) fn put_many(keys: &Blob, values: &Blob, ttl_s: u32) {
    with(|call| {
        let expires = match ttl_s {
            0 => 0,
            ttl_s => call.now_ns + u64::from(ttl_s) * 1_000_000_000,
        };
        for (key, value) in parts(keys).into_iter().zip(parts(values)) {
            call.kept.insert(key, (value, expires));
        }
    });
}

pub(crate) fn delete_many(keys: &Blob) {
    with(|call| {
        for key in parts(keys) {
            call.kept.remove(&key);
        }
    });
}
