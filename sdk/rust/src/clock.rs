//! The time, to the millisecond. Most plugins need no clock: a batch says when it came
//! ([`Batch::now_ns`](crate::Batch::now_ns)), and a timer what time it is.
//!
//! Operators have to allow it (`allow: [clock]`), since clocks help to spy on others on the machine.
//! While a plugin is tried on recent data, before it counts, time stands still.

#[cfg(target_arch = "wasm32")]
use crate::bindings::petrel::plugin::clock as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::senses as host;

/// Nanoseconds since 1970, as the host believes; may jump.
pub fn wall_ns() -> u64 {
    host::wall_ns()
}

/// Nanoseconds since some moment; never goes back.
pub fn monotonic_ns() -> u64 {
    host::monotonic_ns()
}
