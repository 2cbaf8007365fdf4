//! The imports `clock` and `random`: what a plugin knows of time and chance beyond its batch.
//!
//! Both are real only when what the plugin does counts. While it is loaded and tried on recent data,
//! time stands still and chance is drawn from a fixed seed, so that a trial that fails fails again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use petrel_wire::Clock;

use crate::bindings::petrel::plugin::{clock, random};
use crate::host::{HostState, Phase};

/// The grain of time: finer clocks tell a plugin what others do on this machine.
const GRAIN_NS: u64 = 1_000_000;
/// Random bytes in one call: keys and seeds are smaller, and who wants more calls again.
const MOST_RANDOM_BYTES: u32 = 64 << 10;

/// What the instances of one processor know of time and chance.
#[derive(Debug)]
pub(crate) struct Senses {
    /// Chance is drawn from it also when it counts, for tests.
    seed: Option<u64>,
    is_real: AtomicBool,
    /// When it was loaded, for calls without a batch while nothing counts.
    loaded_ns: AtomicU64,
    /// Held to draw.
    drawn: Mutex<Sequence>,
}

impl Senses {
    /// For a trial, until [`Senses::begin`]; `seed` decides about chance for ever.
    pub(crate) fn new(seed: Option<u64>, clock: &dyn Clock) -> Self {
        Self {
            seed,
            is_real: AtomicBool::new(false),
            loaded_ns: AtomicU64::new(clock.wall().0),
            drawn: Mutex::new(Sequence(seed.unwrap_or_default())),
        }
    }

    /// From here on it counts.
    pub(crate) fn begin(&self) {
        *self.drawn() = Sequence(self.seed.unwrap_or_default());
        self.is_real.store(true, Ordering::Relaxed);
    }

    fn is_real(&self) -> bool {
        self.is_real.load(Ordering::Relaxed)
    }

    fn drawn(&self) -> std::sync::MutexGuard<'_, Sequence> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, bytes: &mut [u8]) -> wasmtime::Result<()> {
        if self.seed.is_some() || !self.is_real() {
            self.drawn().fill(bytes);
            return Ok(());
        }
        getrandom::fill(bytes)
            .map_err(|error| wasmtime::Error::msg(format!("no random bytes to be had: {error}")))
    }
}

/// Numbers that look random and are not: SplitMix64, which the SDKs' tests have as well.
#[derive(Debug)]
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

impl clock::Host for HostState {
    fn wall_ns(&mut self) -> wasmtime::Result<u64> {
        let senses = &self.shared.senses;
        let now = match &self.phase {
            _ if senses.is_real() => self.shared.clock.wall().0,
            Phase::Process(work) => work.view.batch.now_ns,
            _ => senses.loaded_ns.load(Ordering::Relaxed),
        };
        Ok(now - now % GRAIN_NS)
    }

    fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        if !self.shared.senses.is_real() {
            return Ok(0);
        }
        let now = self.shared.clock.monotonic().as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        Ok(now - now % GRAIN_NS)
    }
}

impl random::Host for HostState {
    fn bytes(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        if len > MOST_RANDOM_BYTES {
            return Err(wasmtime::Error::msg(format!(
                "it asks for {len} random bytes at once, {MOST_RANDOM_BYTES} are the most"
            )));
        }
        let mut bytes = vec![0; len as usize];
        self.shared.senses.draw(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_which_the_sdks_know() {
        let mut bytes = [0; 12];
        Sequence(0).fill(&mut bytes);
        assert_eq!(bytes[..8], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
        assert_eq!(bytes[8..], 0x6e78_9e6a_a1b9_65f4_u64.to_le_bytes()[..4]);
    }
}
