//! Packing without paying for memory each time: a context and two buffers for every thread.
//!
//! A fresh zstd context clears its tables, and buffers of this size come from the kernel and go
//! back to it, a page fault for every 4 KiB. Together that was a third of what packing costs.

use std::cell::RefCell;

use bytes::Bytes;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

/// zstd level 1: on telemetry, 3 costs twice the time for one percent, 6 five times for seven.
const LEVEL: i32 = 1;
/// Buffers that a large group has needed are not kept for the small ones that follow.
const KEPT_BYTES: usize = 1 << 20;

thread_local! {
    static PACKER: RefCell<Packer> = RefCell::new(Packer::default());
}

/// Packs `parts`, `bytes` in all, as one zstd frame.
pub(super) fn pack<'a>(parts: impl Iterator<Item = &'a [u8]>, bytes: usize) -> Bytes {
    PACKER.with_borrow_mut(|packer| packer.pack(parts, bytes))
}

#[derive(Default)]
struct Packer {
    context: Option<Compressor<'static>>,
    joined: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    fn pack<'a>(&mut self, mut parts: impl Iterator<Item = &'a [u8]>, bytes: usize) -> Bytes {
        let context = self
            .context
            .get_or_insert_with(|| Compressor::new(LEVEL).expect("zstd has memory to work in"));
        let first = parts.next().unwrap_or_default();
        let whole = if first.len() == bytes {
            first
        } else {
            self.joined.clear();
            self.joined.reserve(bytes);
            self.joined.extend_from_slice(first);
            parts.for_each(|part| self.joined.extend_from_slice(part));
            &self.joined
        };
        self.packed.clear();
        self.packed.reserve(compress_bound(whole.len()));
        context
            .compress_to_buffer(whole, &mut self.packed)
            .expect("a buffer of the bound's size holds every frame");
        let body = Bytes::copy_from_slice(&self.packed);
        for buffer in [&mut self.joined, &mut self.packed] {
            if buffer.capacity() > KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
        body
    }
}
