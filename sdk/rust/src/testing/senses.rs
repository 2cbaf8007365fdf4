//! Time and chance of tests: time stands where [`Tested`](super::Tested) says, chance is drawn from a
//! fixed seed, as in `petrel plugin test`.

use std::cell::Cell;

use super::NOW_NS;

const GRAIN_NS: u64 = 1_000_000;
const MOST_RANDOM_BYTES: u32 = 64 << 10;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(NOW_NS) };
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// A plugin is configured: chance begins anew.
pub(super) fn begin() {
    NOW.set(NOW_NS);
    DRAWN.set(0);
}

pub(super) fn set_now(now_ns: u64) {
    NOW.set(now_ns);
}

pub(crate) fn wall_ns() -> u64 {
    let now = NOW.get();
    now - now % GRAIN_NS
}

pub(crate) fn monotonic_ns() -> u64 {
    let since = NOW.get().saturating_sub(NOW_NS);
    since - since % GRAIN_NS
}

pub(crate) fn bytes(len: u32) -> Vec<u8> {
    assert!(
        len <= MOST_RANDOM_BYTES,
        "{len} random bytes at once, {MOST_RANDOM_BYTES} are the most"
    );
    let mut out = vec![0; len as usize];
    for chunk in out.chunks_mut(8) {
        let number = next().to_le_bytes();
        chunk.copy_from_slice(&number[..chunk.len()]);
    }
    out
}

/// `SplitMix64`, as the host has it.
fn next() -> u64 {
    let state = DRAWN.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    DRAWN.set(state);
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
