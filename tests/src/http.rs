//! One HTTP client for the harness.

use std::time::Duration;

/// A client with deadlines. Each call makes a pool of its own.
///
/// # Panics
/// If the platform cannot make one, which no test survives.
pub fn client() -> reqwest::Client {
    // Every client is built with TLS in it, so there has to be a provider; the first one wins.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(20))
        .build()
        .expect("an HTTP client")
}
