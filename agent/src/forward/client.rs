//! [`Client`]: one sealed batch to the peer, and what came back.
//!
//! A request is the sealed body as it lies on the disk, with the DSN and the batch's identity. The
//! answer is read under a cap and judged by [`Delivery::from_http`]; a peer that has once echoed an
//! identity is held to it from then on. Redirects are never followed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use petrel_wire::{BatchId, Delivery, Dsn, Peer, Refusal, Sealed, Signal};
use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::ClientError;
use super::cause;
use super::certificates::Stamp;
use super::connections::connections;
use super::meter::{Meter, Metered, Turn, Waited};
use super::recode::{self, Coding};
use super::retry_after::retry_after;
use super::tls;
use crate::config::{Forward, Proxy, Rate};

/// An answer that is longer than this is no answer of an OTLP peer.
const MOST_ANSWER_BYTES: usize = 256 << 10;
/// Slower than this is not waited for, and faster is not assumed before it was seen.
const SLOWEST_BYTES_PER_SECOND: u64 = 1 << 10;
const FIRST_BYTES_PER_SECOND: u64 = 16 << 10;

/// What came back, and what it says something about.
#[derive(Debug)]
pub struct Answer {
    /// The verdict.
    pub delivery: Delivery,
    /// On what.
    pub about: About,
    /// Bytes of the body that were sent.
    pub sent_bytes: usize,
}

/// What an answer says something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The peer, or the way to it: other batches would fare the same.
    Peer,
    /// This batch: others may pass meanwhile.
    Batch,
    /// Who else has this batch in hand: no fault of the batch, and others may pass meanwhile.
    Hands,
    /// This signal: the peer takes none of it at its address, and perhaps others.
    Signal,
    /// The way to the peer: no connection came about, so nobody was asked.
    Way,
}

/// The one HTTP client of the agent.
#[derive(Debug)]
pub struct Client {
    /// Replaced when a connection has fallen silent.
    http: RwLock<reqwest::Client>,
    tls: ClientConfig,
    config: Forward,
    base: String,
    headers: HeaderMap,
    meter: Arc<Meter>,
    /// Of the certificates, before they were read.
    stamp: Stamp,
    known: Arc<Known>,
}

/// What was learned about the peer; in memory, since it may be another one tomorrow.
#[derive(Debug, Default)]
struct Known {
    /// It has echoed an identity.
    echoes: AtomicBool,
    /// It has acknowledged something.
    acknowledges: AtomicBool,
    /// The first of [`Coding::ALL`] that it takes, if not the preferred one.
    coding: AtomicU64,
    bytes_per_second: AtomicU64,
}

impl Client {
    /// Reads certificates; connects when there is something to send.
    pub fn new(forward: &Forward, meter: Arc<Meter>) -> Result<Self, ClientError> {
        let known = Known::default();
        known
            .coding
            .store(Coding::of(forward.compression).index(), Relaxed);
        known
            .bytes_per_second
            .store(FIRST_BYTES_PER_SECOND, Relaxed);
        Self::knowing(forward.clone(), meter, Arc::new(known))
    }

    /// The same with certificates read anew, and what was learned about the peer.
    pub(super) fn renewed(&self) -> Result<Self, ClientError> {
        let known = Arc::clone(&self.known);
        Self::knowing(self.config.clone(), Arc::clone(&self.meter), known)
    }

    fn knowing(config: Forward, meter: Arc<Meter>, known: Arc<Known>) -> Result<Self, ClientError> {
        let base = config.base_url();
        let proxy_tls = config.proxy.as_ref().is_some_and(Proxy::speaks_tls);
        let stamp = Stamp::of(&config.tls);
        let tls = tls::config(base.starts_with("https://") || proxy_tls, &config.tls)?;
        Ok(Self {
            http: RwLock::new(connections(&config, tls.clone())?),
            tls,
            headers: headers(&config)?,
            base,
            config,
            meter,
            stamp,
            known,
        })
    }

    /// After an answer that did not come: the connection may lead nowhere, and so may those beside
    /// it. Requests on them have deadlines of their own.
    fn connect_anew(&self) {
        match connections(&self.config, self.tls.clone()) {
            Ok(http) => *self.http.write().unwrap_or_else(PoisonError::into_inner) = http,
            Err(error) => warn!(%error, "cannot set up new connections, keeping the old"),
        }
    }

    fn http(&self) -> reqwest::Client {
        // A handle on the same connections.
        self.http
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How it was configured.
    pub fn config(&self) -> &Forward {
        &self.config
    }

    /// Whether the files of certificates are others than those that were read.
    pub(super) fn is_outdated(&self) -> bool {
        self.stamp != Stamp::of(&self.config.tls)
    }

    /// How long a batch of this size may take at most.
    pub(super) fn allowance(&self, sealed: &Sealed) -> Duration {
        // A peer may have to be asked once for each coding.
        self.timeout_for(sealed.unpacked_bytes() as usize) * 3
    }

    /// Where batches go.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Whom we speak to, as far as it has shown.
    pub fn peer(&self) -> Peer {
        if self.known.echoes.load(Relaxed) {
            Peer::Echoing
        } else {
            Peer::Plain
        }
    }

    /// Whether anything was ever acknowledged.
    pub fn has_acknowledged(&self) -> bool {
        self.known.acknowledges.load(Relaxed)
    }

    /// How bodies are sent now.
    pub fn coding(&self) -> Coding {
        Coding::from_index(self.known.coding.load(Relaxed))
    }

    /// Sends a batch and judges the answer. Never fails: whatever happens is an answer.
    pub async fn deliver(&self, id: &BatchId, sealed: &Sealed) -> Answer {
        let mut coding = self.coding();
        let mut first = None;
        loop {
            let answer = self.try_once(coding, id, sealed).await;
            let next = coding
                .next()
                .filter(|_| self.may_be_the_coding(&answer.delivery));
            match next {
                // A peer that lacks zstd says 415, or 400 if it is older than that code.
                Some(next) => coding = next,
                None if answer.acknowledges() => {
                    self.known.acknowledges.store(true, Relaxed);
                    self.known.coding.store(coding.index(), Relaxed);
                    return answer;
                }
                None => return first.unwrap_or(answer),
            }
            first.get_or_insert(answer);
        }
    }

    /// Who has acknowledged batches as they are, or knows identities, lacks no coding.
    fn may_be_the_coding(&self, delivery: &Delivery) -> bool {
        let unproven = !self.has_acknowledged() && self.peer() == Peer::Plain;
        match delivery {
            Delivery::Refused(Refusal::Parked, words) => {
                words.starts_with("HTTP 415") && self.peer() == Peer::Plain
            }
            Delivery::Refused(Refusal::Data, _) => unproven,
            _ => false,
        }
    }

    async fn try_once(&self, coding: Coding, id: &BatchId, sealed: &Sealed) -> Answer {
        let body = match recode::body(sealed, coding).await {
            Ok(body) => body,
            Err(reason) => return Answer::about_batch(Refusal::Data, reason),
        };
        let sent_bytes = body.len();
        // A wait for the limit is no fault of the peer's.
        let turn = self.meter.turn().await;
        let waited = Waited::default();
        let body = match turn.rate() {
            Rate::Unlimited => body.into(),
            _ => reqwest::Body::wrap(self.metered(body, &waited, turn)),
        };
        let started = Instant::now();
        let within = self.timeout_for(sent_bytes);
        let request = self.exchange(coding, id, sealed, body);
        let answer = in_time(request, || started + within + waited.time()).await;
        let elapsed = started.elapsed().saturating_sub(waited.time());
        match answer {
            Some(Ok(response)) => {
                self.saw_rate(sent_bytes, elapsed);
                self.judge(coding, id, response, sent_bytes)
            }
            Some(Err(error)) => {
                let about = if cause::reached_nobody(&error) {
                    About::Way
                } else {
                    About::Peer
                };
                Answer {
                    delivery: cause::delivery(&error.without_url()),
                    about,
                    sent_bytes,
                }
            }
            None => {
                // The link may have become slower than it was.
                let slower = self.known.bytes_per_second.load(Relaxed) / 2;
                let slower = slower.max(SLOWEST_BYTES_PER_SECOND);
                self.known.bytes_per_second.store(slower, Relaxed);
                self.connect_anew();
                let reason = format!("no answer within {} s", within.as_secs());
                Answer {
                    delivery: Delivery::Busy {
                        after: None,
                        reason,
                    },
                    about: About::Peer,
                    sent_bytes,
                }
            }
        }
    }

    fn metered(&self, body: Bytes, waited: &Waited, turn: Turn) -> Metered {
        Metered::new(body, Arc::clone(&self.meter), waited.clone(), turn)
    }

    async fn exchange(
        &self,
        coding: Coding,
        id: &BatchId,
        sealed: &Sealed,
        body: reqwest::Body,
    ) -> Result<Response, reqwest::Error> {
        let mut headers = self.headers.clone();
        if let Some(name) = coding.header() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        // The identity names the sealed bytes; other bytes must not come under it.
        if coding == Coding::Zstd
            && let Ok(id) = HeaderValue::from_str(&id.to_string())
        {
            headers.insert(BatchId::HEADER, id);
            headers.insert("petrel-items", HeaderValue::from(sealed.items()));
        }
        let mut response = self
            .http()
            .post(url(&self.base, sealed.signal()))
            .headers(headers)
            .body(body)
            .send()
            .await?;
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = MOST_ANSWER_BYTES.saturating_sub(answer.len());
            answer.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                // Cut off, it decodes as nothing: no acknowledgement.
                break;
            }
        }
        Ok(Response {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: answer,
        })
    }

    fn judge(&self, coding: Coding, id: &BatchId, response: Response, sent_bytes: usize) -> Answer {
        let Response {
            status,
            headers,
            body,
        } = response;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = text("content-type");
        let echo = text(BatchId::HEADER);
        // An identity that was not sent cannot be echoed.
        let peer = if coding == Coding::Zstd {
            self.peer()
        } else {
            Peer::Plain
        };
        let after = retry_after(&headers);
        let mut delivery = Delivery::from_http(peer, id, status, content_type, echo, after, &body);
        let acknowledged = matches!(delivery, Delivery::Committed | Delivery::Partial { .. });
        if acknowledged && echo.is_some() {
            self.known.echoes.store(true, Relaxed);
        }
        if let Delivery::Refused(Refusal::Data, words) = &delivery
            && !self.is_credible(content_type)
        {
            delivery = Delivery::Refused(Refusal::Parked, words.clone());
        }
        let about = match (&delivery, status) {
            (Delivery::Busy { .. }, 425) => About::Hands,
            (Delivery::Busy { .. }, 429 | 502 | 503 | 504) => About::Peer,
            // A portal in the way answers every batch like this one.
            (Delivery::Busy { .. }, 200) => About::Peer,
            (Delivery::Refused(Refusal::Parked, _), 404 | 405 | 415 | 501) => About::Signal,
            (Delivery::Refused(Refusal::Parked, _), _) => About::Peer,
            _ => About::Batch,
        };
        Answer {
            delivery,
            about,
            sent_bytes,
        }
    }

    /// A verdict that costs data must come from an OTLP peer: one that speaks its types, or has
    /// acknowledged before. A web server that dislikes our request is no judge.
    fn is_credible(&self, content_type: Option<&str>) -> bool {
        let essence = content_type.unwrap_or("").split(';').next().unwrap_or("");
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" | "application/json" => true,
            "text/html" => false,
            _ => self.has_acknowledged(),
        }
    }

    /// The time for an answer, and what the body takes at the rate that was seen.
    fn timeout_for(&self, bytes: usize) -> Duration {
        let rate = self.known.bytes_per_second.load(Relaxed);
        let rate = rate.max(SLOWEST_BYTES_PER_SECOND);
        self.config.timeout + Duration::from_millis(bytes as u64 * 1000 / rate)
    }

    /// A moving average over answered requests. The peer's own time is in it, so the rate is
    /// underrated, which only waits longer.
    fn saw_rate(&self, bytes: usize, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        let seen = bytes as u64 * 1_000_000 / micros;
        // Small bodies say nothing about the link.
        if bytes >= 4096 {
            let rate = self.known.bytes_per_second.load(Relaxed);
            let rate = rate - rate / 4 + seen / 4;
            self.known.bytes_per_second.store(rate, Relaxed);
        }
    }
}

struct Response {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn about_batch(refusal: Refusal, reason: String) -> Self {
        Self {
            delivery: Delivery::Refused(refusal, reason),
            about: About::Batch,
            sent_bytes: 0,
        }
    }

    fn acknowledges(&self) -> bool {
        matches!(
            self.delivery,
            Delivery::Committed | Delivery::Partial { .. }
        )
    }
}

fn url(base: &str, signal: Signal) -> String {
    format!("{base}{}", signal.path())
}

fn headers(forward: &Forward) -> Result<HeaderMap, ClientError> {
    let mut headers = forward.headers.clone();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-protobuf"),
    );
    if let Some(dsn) = forward.dsn.as_ref().filter(|dsn| dsn.token().is_some()) {
        let mut value = HeaderValue::from_str(&dsn.expose())?;
        value.set_sensitive(true);
        headers.insert(Dsn::HEADER, value);
    }
    Ok(headers)
}

/// The outcome, unless a deadline passes that may move on meanwhile.
async fn in_time<T>(work: impl Future<Output = T>, deadline: impl Fn() -> Instant) -> Option<T> {
    tokio::pin!(work);
    loop {
        let until = deadline();
        tokio::select! {
            outcome = &mut work => return Some(outcome),
            () = sleep_until(until) => {
                if deadline() <= until {
                    return None;
                }
            }
        }
    }
}
