//! A look at what comes in, as it came, for whoever writes a processor on this host.
//!
//! It shows data that no processor has seen yet, so it is there only if the configuration says so
//! (`admin.capture`), at the admin port, for one onlooker at a time, for a bounded while. The request
//! carries a header of our own and asks for this machine by a name of loopback, which together no web
//! page can do, not even one whose name was made to point here.
//! Onlookers cost senders nothing: what they cannot keep up with they miss, and are told how much.
//!
//! The answer is frames: a signal's number (one byte), a length (four bytes, big endian), a request in
//! protobuf. A last frame with the signal 0 holds the number of requests that were missed.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Frame;
use petrel_wire::Batch;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

/// What a request must carry.
pub const HEADER: &str = "petrel-capture";
/// The longest look.
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes that wait for an onlooker.
const WAITING: usize = 16 << 20;

/// What comes in, for an onlooker if there is one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Looked at by every request: nothing else happens while nobody looks on.
    is_watched: AtomicBool,
    /// Held to send and to come and go.
    onlooker: Mutex<Option<Onlooker>>,
}

/// Where frames go.
#[derive(Clone, Debug)]
struct Onlooker {
    frames: mpsc::UnboundedSender<Bytes>,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    /// Bytes on their way.
    waiting: AtomicUsize,
    /// Requests that there was no room for.
    missed: AtomicU64,
}

impl Capture {
    /// Shows a batch that just came.
    pub(crate) fn show(&self, batch: &Batch) {
        let shared = &self.0;
        if !shared.is_watched.load(Ordering::Relaxed) {
            return;
        }
        let onlooker = shared.onlooker().clone();
        let Some(Onlooker { frames, tally }) = onlooker else {
            return;
        };
        let size = batch.bytes().len();
        let Ok(length) = u32::try_from(size) else {
            return;
        };
        if tally.waiting.fetch_add(size, Ordering::Relaxed) + size > WAITING {
            tally.waiting.fetch_sub(size, Ordering::Relaxed);
            tally.missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // A copy: what holds the request is not held any longer.
        let mut frame = BytesMut::with_capacity(size + 5);
        frame.put_u8(batch.signal().code());
        frame.put_u32(length);
        frame.put_slice(batch.bytes());
        // Who has gone meanwhile misses nothing.
        frames.send(frame.freeze()).ok();
    }

    /// Begins a look; nothing if somebody looks on already.
    fn look(&self, lasting: Duration) -> Option<Look> {
        let (sender, frames) = mpsc::unbounded_channel();
        let (shared, tally) = (Arc::clone(&self.0), Arc::<Tally>::default());
        let mut onlooker = shared.onlooker();
        if onlooker.is_some() {
            return None;
        }
        *onlooker = Some(Onlooker {
            frames: sender,
            tally: Arc::clone(&tally),
        });
        shared.is_watched.store(true, Ordering::Relaxed);
        drop(onlooker);
        Some(Look {
            frames,
            end: Box::pin(tokio::time::sleep_until(Instant::now() + lasting)),
            has_left: false,
            has_ended: false,
            tally,
            shared,
        })
    }
}

impl Shared {
    fn onlooker(&self) -> std::sync::MutexGuard<'_, Option<Onlooker>> {
        self.onlooker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self) {
        self.is_watched.store(false, Ordering::Relaxed);
        *self.onlooker() = None;
    }
}

/// The body of an answer, until its time is over or nobody reads it.
struct Look {
    frames: mpsc::UnboundedReceiver<Bytes>,
    end: Pin<Box<Sleep>>,
    /// Its place is free for somebody else.
    has_left: bool,
    /// The last frame was given out.
    has_ended: bool,
    tally: Arc<Tally>,
    shared: Arc<Shared>,
}

impl http_body::Body for Look {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if !self.has_left && self.end.as_mut().poll(context).is_ready() {
            self.has_left = true;
            self.shared.leave();
        }
        match self.frames.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(frame)) => {
                let size = frame.len().saturating_sub(5);
                self.tally.waiting.fetch_sub(size, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(frame))))
            }
            Poll::Ready(None) => {
                self.has_ended = true;
                let mut last = BytesMut::with_capacity(13);
                last.put_u8(0);
                last.put_u32(8);
                last.put_u64(self.tally.missed.load(Ordering::Relaxed));
                Poll::Ready(Some(Ok(Frame::data(last.freeze()))))
            }
        }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if !self.has_left {
            self.shared.leave();
        }
    }
}

/// How long to look.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Question {
    seconds: u64,
}

/// `POST /capture?seconds=10`.
pub(crate) async fn capture(
    State(capture): State<Option<Capture>>,
    headers: HeaderMap,
    Query(question): Query<Question>,
) -> Response {
    let Some(capture) = capture else {
        let words = "this agent shows nothing; `admin: { capture: true }` in agent.yaml allows it, \
                     and a restart";
        return (StatusCode::FORBIDDEN, words).into_response();
    };
    if !headers.contains_key(HEADER) || !is_asked_as_loopback(&headers) {
        let words = format!("only a request to this machine with the header {HEADER} is answered");
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    let lasting = Duration::from_secs(question.seconds);
    if lasting.is_zero() || lasting > LONGEST {
        let words = format!("seconds must be from 1 to {}", LONGEST.as_secs());
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    match capture.look(lasting) {
        Some(look) => {
            tracing::warn!(
                seconds = question.seconds,
                "somebody on this machine looks at what comes in, unprocessed"
            );
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            (kind, Body::new(look)).into_response()
        }
        None => {
            let words = "somebody looks on already; try again when they have finished";
            (StatusCode::CONFLICT, words).into_response()
        }
    }
}

/// Whether `Host` is a name that nobody else can make point here.
fn is_asked_as_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST);
    let Some(host) = host.and_then(|host| host.to_str().ok()) else {
        return false;
    };
    host.parse().is_ok_and(|endpoint: http::uri::Authority| {
        let name = endpoint.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost"
            || address
                .parse()
                .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use petrel_wire::otlp::fields::put_len;
    use petrel_wire::{Limits, Signal};

    use super::*;

    fn batch(bytes: usize) -> Batch {
        // Logs of a resource, of which nothing is told but the URL of its schema.
        let (mut resource, mut request) = (Vec::new(), Vec::new());
        put_len(&mut resource, 3, &vec![b'u'; bytes]);
        put_len(&mut request, 1, &resource);
        Batch::from_protobuf(Signal::Logs, request.into(), &Limits::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_onlooker_sees_what_comes_until_its_time_is_over() {
        let capture = Capture::default();
        capture.show(&batch(1));
        let look = capture.look(Duration::from_secs(5)).unwrap();
        assert!(capture.look(Duration::from_secs(5)).is_none());
        let shown = batch(3);
        capture.show(&shown);
        let body = look.collect().await.unwrap().to_bytes();
        let mut expected = vec![Signal::Logs.code(), 0, 0, 0];
        expected.push(u8::try_from(shown.bytes().len()).unwrap());
        expected.extend_from_slice(shown.bytes());
        expected.extend_from_slice(&[0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(body, expected);
        assert!(!capture.0.is_watched.load(Ordering::Relaxed));
        assert!(capture.look(Duration::from_secs(5)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_keep_up_misses_what_is_too_much_and_is_told_so() {
        let capture = Capture::default();
        let look = capture.look(Duration::from_secs(1)).unwrap();
        for _ in 0..3 {
            capture.show(&batch(WAITING / 3));
        }
        let body = look.collect().await.unwrap().to_bytes();
        assert_eq!(body.last(), Some(&1));
        assert!(body.len() < WAITING);
    }

    #[test]
    fn a_name_that_was_made_to_point_here_is_not_loopback() {
        let asked = |host: &'static str| {
            let host = http::HeaderValue::from_static(host);
            is_asked_as_loopback(&HeaderMap::from_iter([(header::HOST, host)]))
        };
        for good in ["127.0.0.1:14319", "localhost:14319", "[::1]:14319"] {
            assert!(asked(good), "{good}");
        }
        for bad in [
            "evil.example:14319",
            "192.0.2.1",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(!asked(bad), "{bad}");
        }
        assert!(!is_asked_as_loopback(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn who_goes_away_is_no_onlooker_any_more() {
        let capture = Capture::default();
        drop(capture.look(Duration::from_secs(60)));
        assert!(!capture.0.is_watched.load(Ordering::Relaxed));
        assert!(capture.look(Duration::from_secs(60)).is_some());
    }
}
