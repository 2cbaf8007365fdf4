//! [`ReceiverConfig`]: the bounds of one door.

use std::time::Duration;

use petrel_wire::Limits;

/// What a door takes, and how much of it at once. `Default` is the packaged configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverConfig {
    /// Bounds of one request, after decompression.
    pub limits: Limits,
    /// Bytes that all requests together may hold in memory, packed and unpacked.
    pub budget_bytes: u64,
    /// The longest silence inside a body.
    pub body_idle: Duration,
    /// Time for a body, on top of one second per KiB that arrived: a slow link is welcome, a
    /// trickle that holds memory is not.
    pub body_grace: Duration,
    /// Whether browsers of any origin may send (the aggregator: yes, the agent: no).
    pub cors: bool,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            budget_bytes: 256 << 20,
            body_idle: Duration::from_secs(15),
            body_grace: Duration::from_secs(30),
            cors: false,
        }
    }
}
