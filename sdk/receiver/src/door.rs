//! [`Door`]: what a binary puts behind the receiver, and what it is shown.

use std::net::SocketAddr;

use ::http::HeaderMap;
use petrel_wire::{Batch, BatchId, Sealed, Signal};

use crate::{Receipt, Refused};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// OTLP/HTTP.
    Http,
    /// OTLP/gRPC.
    Grpc,
    /// Zipkin's JSON, now OTLP.
    Zipkin,
    /// Prometheus remote write, now OTLP.
    Prometheus,
    /// Loki's push, now OTLP.
    Loki,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Http,
        Self::Grpc,
        Self::Zipkin,
        Self::Prometheus,
        Self::Loki,
    ];

    /// `http` and `grpc` for OTLP, else the name of the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Zipkin => "zipkin",
            Self::Prometheus => "prometheus",
            Self::Loki => "loki",
        }
    }
}

/// What is known of a request before its body is read.
#[derive(Clone, Debug)]
pub struct Head {
    /// What the sender says it sends.
    pub signal: Signal,
    /// How it came.
    pub transport: Transport,
    /// Request headers, which are the metadata of gRPC.
    pub headers: HeaderMap,
    /// The query string, without its `?`.
    pub query: Option<String>,
    /// Who is at the other end of the connection.
    pub peer: Option<SocketAddr>,
}

/// A request that passed every check.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// From a sender without identity: an SDK, a Collector.
    Bare(Batch),
    /// From an agent: the same bytes may come again under the same id.
    Sealed {
        /// The sender's name for it; its hash is that of the body.
        id: BatchId,
        /// The body as it came.
        sealed: Sealed,
        /// What is in it.
        batch: Batch,
    },
}

impl Arrival {
    /// The checked request.
    pub fn batch(&self) -> &Batch {
        match self {
            Self::Bare(batch) | Self::Sealed { batch, .. } => batch,
        }
    }
}

/// Who decides about requests and comes to owe for them.
pub trait Door: Clone + Send + Sync + 'static {
    /// What admission found out: who sends, and what they may.
    type Permit: Send;

    /// Called before anything of the body is read.
    fn admit(&self, head: &Head) -> impl Future<Output = Result<Self::Permit, Refused>> + Send;

    /// Whose part of the memory an admitted request takes. Parts are kept for tenants one by one.
    fn tenant(&self, permit: &Self::Permit) -> u32 {
        let _ = permit; // everybody is one
        0
    }

    /// Returns only when somebody durably owes for the items. A request without items is answered
    /// by the receiver and never comes here.
    fn accept(
        &self,
        permit: Self::Permit,
        head: &Head,
        arrival: Arrival,
    ) -> impl Future<Output = Result<Receipt, Refused>> + Send;

    /// Told of every refusal, also of the receiver's own, for counters and for who looks on.
    /// `permit` is there once the request was admitted, unless `accept` has consumed it.
    fn refused(&self, head: &Head, permit: Option<&Self::Permit>, why: &Refused) {
        let (_, _, _) = (head, permit, why);
    }
}
