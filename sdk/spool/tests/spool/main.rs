//! The spool's promises on a real directory, and under every fault that can be simulated.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail loudly too"
)]

mod archives;
mod classes;
mod copies;
mod damage;
mod entries;
mod failing_sync;
mod formats;
mod full_disk;
mod order;
mod power_cut;
mod promises;
mod sim_disk;
mod window;
