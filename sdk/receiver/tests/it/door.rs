//! A door that remembers, and a receiver in front of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use petrel_receiver::{
    Arrival, Door, Head, Receipt, ReceiverConfig, Refused, ServeConfig, router, serve,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Takes everything, as a door whose processors drop everything would.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remembering {
    pub(crate) accepted: Arc<Mutex<Vec<Arrival>>>,
    pub(crate) refused: Arc<Mutex<Vec<Refused>>>,
    /// What to answer instead of success.
    pub(crate) answer: Arc<Mutex<Option<Refused>>>,
    /// What `admit` says instead of yes.
    pub(crate) admission: Arc<Mutex<Option<Refused>>>,
    pub(crate) rejects: u64,
}

impl Door for Remembering {
    type Permit = ();

    async fn admit(&self, _: &Head) -> Result<(), Refused> {
        self.admission.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    async fn accept(&self, (): (), _: &Head, arrival: Arrival) -> Result<Receipt, Refused> {
        if let Some(refused) = self.answer.lock().unwrap().clone() {
            return Err(refused);
        }
        let items = u64::from(arrival.batch().items());
        self.accepted.lock().unwrap().push(arrival);
        let receipt = Receipt::dropped(items);
        Ok(match self.rejects {
            0 => receipt,
            n => receipt.with_rejected(n, "not these"),
        })
    }

    fn refused(&self, _: &Head, _: Option<&()>, why: &Refused) {
        self.refused.lock().unwrap().push(why.clone());
    }
}

impl Remembering {
    /// The requests that came through, as bytes.
    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        let accepted = self.accepted.lock().unwrap();
        accepted
            .iter()
            .map(|arrival| arrival.batch().bytes().to_vec())
            .collect()
    }
}

/// A served receiver; stopped on drop.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) door: Remembering,
    pub(crate) addr: SocketAddr,
    pub(crate) stop: CancellationToken,
}

impl Served {
    pub(crate) async fn new(config: ReceiverConfig) -> Self {
        Self::with(Remembering::default(), config, ServeConfig::default()).await
    }

    pub(crate) async fn with(
        door: Remembering,
        config: ReceiverConfig,
        serving: ServeConfig,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = router(door.clone(), config);
        tokio::spawn(serve(listener, router, serving, stop.clone()));
        Self { door, addr, stop }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A request with so many spans.
pub(crate) fn spans(count: usize) -> ExportTraceServiceRequest {
    let span = |n: usize| Span {
        trace_id: vec![7; 16],
        span_id: (n as u64 + 1).to_be_bytes().to_vec(),
        name: format!("GET /orders/{n}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..count).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// One client for a test, with nothing remembered from other tests.
pub(crate) fn client() -> reqwest::Client {
    client_builder().build().unwrap()
}

/// The library insists on a provider, with TLS or without. A second test finds it installed.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
}
