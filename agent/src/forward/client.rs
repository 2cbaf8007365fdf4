//! [`Client`]: one sealed batch to the peer, and what came back.
//!
//! A request is the sealed body as it lies on the disk, with the DSN and the batch's identity. The
//! answer is read under a cap and judged by [`Delivery::from_http`]; a peer that has once echoed an
//! identity is held to it from then on. Redirects are never followed, proxies are never guessed.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use petrel_wire::{BatchId, Delivery, Dsn, Peer, Refusal, Sealed, Signal};
use tokio::time::Instant;

use super::recode::{self, Coding};
use super::retry_after::retry_after;
use super::tls::{self, TlsError};
use crate::config::Forward;

/// An answer that is longer than this is no answer of an OTLP peer.
const MOST_ANSWER_BYTES: usize = 256 << 10;
/// A peer that is gone without a word is noticed within this.
const SILENCE: Duration = Duration::from_secs(20);
/// Metered links: no connection is kept for nothing.
const IDLE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
/// Slower than this is not waited for, and faster is not assumed before it was seen.
const SLOWEST_BYTES_PER_SECOND: u64 = 1 << 10;
const FIRST_BYTES_PER_SECOND: u64 = 16 << 10;

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Certificates.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// Anything else.
    #[error("cannot set up the HTTP client")]
    Http(#[from] reqwest::Error),
    /// A DSN or address that does not fit into a request.
    #[error("the DSN cannot be sent in a header")]
    Header(#[from] header::InvalidHeaderValue),
}

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
}

/// The one HTTP client of the agent.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
    timeout: Duration,
    preferred: Coding,
    known: Known,
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
    pub fn new(forward: &Forward) -> Result<Self, ClientError> {
        let base = forward.base_url();
        let tls = tls::config(base.starts_with("https://"), forward.ca_file.as_deref())?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("petrel-agent/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(forward.in_flight)
            .tcp_nodelay(true)
            .tcp_keepalive(SILENCE / 2)
            .tcp_keepalive_interval(SILENCE / 4)
            .tcp_keepalive_retries(2)
            .http2_keep_alive_interval(SILENCE / 2)
            .http2_keep_alive_timeout(SILENCE / 2)
            .http2_keep_alive_while_idle(false)
            .http2_max_header_list_size(16 << 10);
        #[cfg(target_os = "linux")]
        let http = http.tcp_user_timeout(SILENCE);
        let preferred = Coding::of(forward.compression);
        let known = Known::default();
        known.coding.store(preferred.index(), Relaxed);
        known
            .bytes_per_second
            .store(FIRST_BYTES_PER_SECOND, Relaxed);
        Ok(Self {
            http: http.build()?,
            base,
            headers: headers(forward)?,
            timeout: forward.timeout,
            preferred,
            known,
        })
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
        let (answer, elapsed) = {
            let started = Instant::now();
            let within = self.timeout_for(sent_bytes);
            let request = self.exchange(coding, id, sealed, body);
            let answer = tokio::time::timeout(within, request).await;
            (answer, started.elapsed())
        };
        match answer {
            Ok(Ok(response)) => {
                self.saw_rate(sent_bytes, elapsed);
                self.judge(coding, id, response, sent_bytes)
            }
            Ok(Err(error)) => Answer::nobody(chain(&error.without_url()), sent_bytes),
            Err(_) => {
                // The link may have become slower than it was.
                let slower = self.known.bytes_per_second.load(Relaxed) / 2;
                let slower = slower.max(SLOWEST_BYTES_PER_SECOND);
                self.known.bytes_per_second.store(slower, Relaxed);
                Answer::nobody("no answer in time".to_owned(), sent_bytes)
            }
        }
    }

    async fn exchange(
        &self,
        coding: Coding,
        id: &BatchId,
        sealed: &Sealed,
        body: Bytes,
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
            .http
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
            (Delivery::Busy { .. }, 429 | 502 | 503 | 504) => About::Peer,
            // A portal in the way answers every batch like this one.
            (Delivery::Busy { .. }, 200) => About::Peer,
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
        self.timeout + Duration::from_millis(bytes as u64 * 1000 / rate)
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

    /// What is offered first, as configured.
    pub fn preferred(&self) -> Coding {
        self.preferred
    }
}

struct Response {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn nobody(reason: String, sent_bytes: usize) -> Self {
        Self {
            delivery: Delivery::Busy {
                after: None,
                reason,
            },
            about: About::Peer,
            sent_bytes,
        }
    }

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

fn headers(forward: &Forward) -> Result<HeaderMap, header::InvalidHeaderValue> {
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

/// An error with its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}
