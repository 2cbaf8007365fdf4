//! The only source of time, so that tests can move it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nanoseconds since the Unix epoch, as OTLP counts them. Good until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }
}

/// Wall time for stamps, monotonic time for every timer.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// What the host believes the time is. It may jump, so nothing is ever scheduled by it.
    fn wall(&self) -> UnixNanos;
    /// Time since an arbitrary start; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The host's clocks.
#[derive(Clone, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts counting monotonic time from now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// The host's clocks behind the trait.
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everyone else takes"
    )]
    fn wall(&self) -> UnixNanos {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixNanos(since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
