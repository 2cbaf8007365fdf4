//! [`Meter`]: how fast bodies may be written, by the time of day.
//!
//! A token bucket over the bytes of all bodies: what has been written is paid for afterwards, so a
//! piece of any size passes and the next one waits. While there is a limit, bodies go one after
//! another: four at a time would each be slow, and a peer gives up on a slow body.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use petrel_wire::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::config::{Bandwidth, Rate};

/// The bucket holds as much as may be written in this time.
const BURST: Duration = Duration::from_millis(250);
/// A wait looks at the schedule again after this long.
const LOOK: Duration = Duration::from_secs(1);
/// Pieces that a body is written in.
const PIECE: usize = 4 << 10;

/// The limit and what is left of it. Outlives the clients that it limits.
#[derive(Debug)]
pub struct Meter {
    clock: Arc<dyn Clock>,
    bandwidth: Mutex<Bandwidth>,
    bucket: Mutex<Bucket>,
    turn: Arc<Semaphore>,
}

#[derive(Debug)]
struct Bucket {
    /// May be negative: written, and not yet paid for.
    bytes: f64,
    at: Instant,
    asked: Instant,
    waited: Duration,
}

/// The right to write one body now.
#[derive(Debug)]
pub(super) struct Turn {
    rate: Rate,
    _held: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// What was allowed when it began.
    pub(super) fn rate(&self) -> Rate {
        self.rate
    }
}

impl Meter {
    /// A full bucket.
    pub fn new(clock: Arc<dyn Clock>, bandwidth: Bandwidth) -> Self {
        Self {
            clock,
            bandwidth: Mutex::new(bandwidth),
            bucket: Mutex::new(Bucket {
                bytes: 0.0,
                at: Instant::now(),
                asked: Instant::now(),
                waited: Duration::ZERO,
            }),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// What may be written now, by the local time of day.
    pub fn rate(&self) -> Rate {
        self.bandwidth().at(self.clock.wall())
    }

    /// Other limits from now on.
    pub fn set(&self, bandwidth: Bandwidth) {
        *self.bandwidth() = bandwidth;
    }

    /// When a piece of a body asked last.
    pub(super) fn asked(&self) -> Instant {
        self.lock().asked
    }

    /// Time that bodies have waited for the limit since the start.
    pub fn waited(&self) -> Duration {
        self.lock().waited
    }

    /// Waits until a body may begin.
    pub(super) async fn turn(&self) -> Turn {
        loop {
            let rate = self.rate();
            let held = match rate {
                Rate::Unlimited => None,
                Rate::Nothing => {
                    sleep(LOOK).await;
                    continue;
                }
                // Never closed.
                Rate::BytesPerSecond(_) => Arc::clone(&self.turn).acquire_owned().await.ok(),
            };
            return Turn { rate, _held: held };
        }
    }

    /// Zero if `bytes` may go, which are then paid for; else how long to wait before asking again.
    fn take(&self, bytes: usize) -> Duration {
        let rate = match self.rate() {
            Rate::Unlimited => return Duration::ZERO,
            Rate::Nothing => return self.note(LOOK),
            Rate::BytesPerSecond(rate) => rate.get() as f64,
        };
        let now = Instant::now();
        let mut bucket = self.lock();
        let earned = rate * now.duration_since(bucket.at).as_secs_f64();
        bucket.bytes = (bucket.bytes + earned).min(rate * BURST.as_secs_f64());
        bucket.at = now;
        if bucket.bytes >= 0.0 {
            bucket.bytes -= bytes as f64;
            return Duration::ZERO;
        }
        let wait = Duration::from_secs_f64(-bucket.bytes / rate);
        drop(bucket);
        self.note(wait.clamp(Duration::from_millis(1), LOOK))
    }

    fn note(&self, wait: Duration) -> Duration {
        let mut bucket = self.lock();
        bucket.waited += wait;
        bucket.asked = Instant::now();
        wait
    }

    fn bandwidth(&self) -> std::sync::MutexGuard<'_, Bandwidth> {
        self.bandwidth
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Held for nanoseconds and never across an await.
    fn lock(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Time that a body has waited for the meter: no fault of the peer's.
#[derive(Clone, Debug, Default)]
pub(super) struct Waited(Arc<AtomicU64>);

impl Waited {
    pub(super) fn time(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }

    fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Relaxed);
    }
}

/// A request body that is written at the pace of the meter.
#[derive(Debug)]
pub(super) struct Metered {
    rest: Bytes,
    meter: Arc<Meter>,
    waited: Waited,
    wait: Option<Pin<Box<Sleep>>>,
    turn: Option<Turn>,
}

impl Metered {
    pub(super) fn new(body: Bytes, meter: Arc<Meter>, waited: Waited, turn: Turn) -> Self {
        Self {
            rest: body,
            meter,
            waited,
            wait: None,
            turn: Some(turn),
        }
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let body = self.get_mut();
        if body.rest.is_empty() {
            body.turn = None;
            return Poll::Ready(None);
        }
        let piece = body.rest.len().min(PIECE);
        loop {
            if let Some(wait) = &mut body.wait {
                ready!(wait.as_mut().poll(context));
                body.wait = None;
            }
            let wait = body.meter.take(piece);
            if wait.is_zero() {
                break;
            }
            body.waited.add(wait);
            body.wait = Some(Box::pin(sleep(wait)));
        }
        let piece = body.rest.split_to(piece);
        if body.rest.is_empty() {
            body.turn = None;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use http_body_util::BodyExt as _;
    use petrel_wire::SystemClock;

    use super::*;

    fn meter(bytes_per_second: u64) -> Arc<Meter> {
        let limit = NonZeroU64::new(bytes_per_second).map_or(Rate::Nothing, Rate::BytesPerSecond);
        let bandwidth = Bandwidth {
            limit,
            ..Bandwidth::default()
        };
        Arc::new(Meter::new(SystemClock::shared(), bandwidth))
    }

    /// Writes a body and returns how long that took.
    async fn write(meter: &Arc<Meter>, bytes: usize) -> Duration {
        let started = Instant::now();
        let turn = meter.turn().await;
        let body = Bytes::from(vec![0; bytes]);
        let waited = Waited::default();
        let body = Metered::new(body, Arc::clone(meter), waited.clone(), turn);
        let written = body.collect().await.unwrap().to_bytes();
        assert_eq!(written.len(), bytes);
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_take_the_time_that_the_limit_gives_them() {
        let meter = meter(64 << 10);
        let took = write(&meter, 640 << 10).await;
        assert!((9.0..10.5).contains(&took.as_secs_f64()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_at_once_share_the_limit() {
        let meter = meter(64 << 10);
        let started = Instant::now();
        tokio::join!(write(&meter, 320 << 10), write(&meter, 320 << 10));
        let took = started.elapsed();
        assert!((9.0..10.5).contains(&took.as_secs_f64()), "{took:?}");
        assert!(meter.waited() > Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_goes_until_it_is_allowed() {
        let meter = meter(0);
        let write = write(&meter, 1);
        tokio::pin!(write);
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, &mut write).await.is_err());
        meter.set(Bandwidth::default());
        assert!(tokio::time::timeout(hour, write).await.is_ok());
    }
}
