//! Traffic whose every item is noted: an application that sends all three signals to an agent, uses
//! each id once, and remembers what it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use petrel_wire::{Clock as _, Signal, SystemClock};

use crate::http;
use crate::ledger::{Ledger, Outcome, payload};
use crate::telemetry::{
    Ids, Log, Resource, SpanDraft, attribute, gauge_of, logs_request, metrics_request,
    traces_request,
};

/// Where ids and payloads are in what is sent.
pub const ID: &str = "test.id";
/// See [`payload`].
pub const PAYLOAD: &str = "test.payload";

/// One application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Where its telemetry belongs: the first part of every id.
    pub place: String,
    /// Tells it from others of the same place.
    pub name: String,
    /// OTLP/HTTP of its agent.
    pub port: u16,
    /// Items in a request.
    pub items: u64,
    /// Pause after each request.
    pub pause: Duration,
}

/// Shared by all applications of a run.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    closed: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Tap {
    /// No request begins after this.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Items acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }
}

impl Application {
    /// Sends until the tap is closed.
    pub async fn run(self, tap: Tap) -> Ledger {
        let client = http::client();
        let mut ledger = Ledger::default();
        for number in 0_u64.. {
            if tap.closed.load(Relaxed) {
                break;
            }
            let (names, body) = self.request_number(number);
            let outcome = post(&client, self.port, Self::signal(number), body).await;
            if outcome == Outcome::Acknowledged {
                tap.acknowledged.fetch_add(self.items, Relaxed);
            }
            ledger.note(names, outcome);
            tokio::time::sleep(self.pause).await;
        }
        ledger
    }

    /// Signals take turns.
    pub fn signal(number: u64) -> Signal {
        Signal::ALL[usize::try_from(number % 3).unwrap_or(0)]
    }

    /// A request with ids of its own.
    pub fn request_number(&self, number: u64) -> (Vec<String>, Vec<u8>) {
        let signal = Self::signal(number);
        let names = (0..self.items)
            .map(|item| format!("{}/{}/{signal}/{number}/{item}", self.place, self.name));
        let names: Vec<String> = names.collect();
        let mut ids = Ids::seeded(number.wrapping_mul(0x9E37_79B9) ^ u64::from(self.port));
        let body = self.request(signal, &names, &mut ids);
        (names, body)
    }

    fn request(&self, signal: Signal, names: &[String], ids: &mut Ids) -> Vec<u8> {
        let now = SystemClock::new().wall().0;
        let resource = Resource::new(&self.name);
        let (trace, span) = (ids.trace(), ids.span());
        match signal {
            Signal::Traces => {
                let spans = names.iter().map(|name| {
                    SpanDraft::server(ids, trace, "work")
                        .lasting(now, 1_000_000)
                        .with(ID, name.as_str())
                        .with(PAYLOAD, payload(name))
                });
                traces_request(&[(resource, spans.collect())])
            }
            Signal::Logs => {
                let logs = names.iter().map(|name| Log {
                    at: now,
                    severity: 9,
                    body: format!("{name} {}", payload(name)),
                    trace,
                    span,
                });
                logs_request(&resource, &logs.collect::<Vec<_>>())
            }
            Signal::Metrics => {
                let points = names.iter().map(|name| {
                    vec![
                        attribute(ID, name.as_str()),
                        attribute(PAYLOAD, payload(name)),
                    ]
                });
                metrics_request(
                    &resource,
                    vec![gauge_of("test.points", now, points.collect())],
                )
            }
        }
    }
}

/// Sends one request and says what the first hop made of it.
pub async fn post(client: &reqwest::Client, port: u16, signal: Signal, body: Vec<u8>) -> Outcome {
    let sent = client
        .post(format!("http://127.0.0.1:{port}{}", signal.path()))
        .header("content-type", "application/x-protobuf")
        .body(body)
        .send()
        .await;
    match sent {
        Ok(response) if response.status() == 200 => match response.bytes().await {
            Ok(_) => Outcome::Acknowledged,
            Err(_) => Outcome::Unknown,
        },
        // What an fsync that failed has left behind may be found after a restart.
        Ok(response) if response.status() == 503 => match response.bytes().await {
            Ok(words) if !contains(&words, b"the disk does not confirm") => Outcome::Refused,
            _ => Outcome::Unknown,
        },
        Ok(_) => Outcome::Refused,
        // Nobody was there to take it.
        Err(error) if error.is_connect() => Outcome::Refused,
        Err(_) => Outcome::Unknown,
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
