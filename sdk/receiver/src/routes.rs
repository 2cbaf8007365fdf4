//! [`router`]: which request goes where, and what all of them share.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    routing::{any, post},
};
use http::{Extensions, HeaderMap};
use petrel_wire::{BatchId, Signal};

use crate::{
    Door, Head, Receipt, ReceiverConfig, Refused,
    budget::{Budget, Share},
    foreign::{self, Protocol},
    grpc, health, http as otlp_http,
    turns::Turns,
    unpack::Packed,
};

/// Packed bodies up to this size are opened where they are: handing them to another thread would
/// cost more than it spares the others. Larger ones would stand in the way of those who only have
/// to be told to come again.
const SMALL_BYTES: usize = 4 << 10;

/// The routes of one door: `/v1/{traces,logs,metrics}`, the three export services of gRPC,
/// `grpc.health.v1`, and the paths of Zipkin, Prometheus remote write and Loki. It has no fallback, so that it can be merged into another router.
pub fn router<D: Door>(door: D, config: ReceiverConfig) -> Router {
    router_in_turns(door, config, Turns::of_this_machine())
}

/// As [`router`], for a door that has work of its own for threads: bodies are opened in the same
/// `turns`, so that all of it together takes no more threads, and tenants share them evenly.
pub fn router_in_turns<D: Door>(door: D, config: ReceiverConfig, turns: Turns) -> Router {
    let shared = Arc::new(Shared {
        door,
        budget: Budget::new(config.budget_bytes),
        opening: turns,
        config,
    });
    let mut router = Router::new()
        .route(health::CHECK, post(health::check))
        .route(health::WATCH, post(health::watch));
    for signal in Signal::ALL {
        let (http, grpc) = (Arc::clone(&shared), Arc::clone(&shared));
        router = router
            .route(
                signal.path(),
                any(move |request: Request| otlp_http::export(http, signal, request)),
            )
            .route(
                signal.grpc_path(),
                post(move |request: Request| grpc::export(grpc, signal, request)),
            );
    }
    for protocol in Protocol::ALL {
        for path in protocol.paths() {
            let shared = Arc::clone(&shared);
            router = router.route(
                path,
                any(move |request: Request| foreign::push(shared, protocol, request)),
            );
        }
    }
    router
}

/// What all requests of one door share.
#[derive(Debug)]
pub(crate) struct Shared<D> {
    pub(crate) door: D,
    pub(crate) config: ReceiverConfig,
    pub(crate) budget: Budget,
    /// How many bodies are opened at once on threads of their own; each may hold an 8 MiB window.
    opening: Turns,
}

impl<D: Door> Shared<D> {
    /// Opens a complete body and finds somebody who owes for it.
    pub(crate) async fn settle(
        &self,
        head: &Head,
        packed: Packed,
        mut share: Share,
        permit: &mut Option<D::Permit>,
    ) -> Result<Receipt, Refused> {
        let limits = self.config.limits;
        let bytes = packed.body.len();
        packed.reserve(&limits, &mut share)?;
        let open = move |share: &mut Share| packed.open(&limits, share);
        // The share lives until the answer: what was opened stays in memory as long as that.
        let (arrival, mut share) = self.opened(bytes, share, open).await?;
        share.trim();
        if arrival.batch().is_empty() {
            return Ok(Receipt::empty());
        }
        let permit = permit.take().ok_or_else(closing)?;
        self.door.accept(permit, head, arrival).await
    }

    /// Opens a body of so many bytes: a small one here, a large one where it holds nobody up.
    pub(crate) async fn opened<T: Send + 'static>(
        &self,
        bytes: usize,
        mut share: Share,
        open: impl FnOnce(&mut Share) -> Result<T, Refused> + Send + 'static,
    ) -> Result<(T, Share), Refused> {
        if bytes <= SMALL_BYTES {
            return Ok((open(&mut share)?, share));
        }
        let turn = self.opening.take(share.tenant()).await;
        let _turn = turn.ok_or_else(closing)?;
        tokio::task::spawn_blocking(move || Ok((open(&mut share)?, share)))
            .await
            .map_err(|_| closing())?
    }
}

fn closing() -> Refused {
    Refused::busy("shutting down; send again elsewhere or later")
}

/// Who is at the other end, as [`crate::serve`] noted it.
pub(crate) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| *peer)
}

/// A header that may stand once, as text.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refused::Malformed(format!("more than one {name} header")));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Refused::Malformed(format!("the {name} header is not printable text")))
}

/// The identity that an agent gives its batch.
pub(crate) fn batch_id(headers: &HeaderMap) -> Result<Option<BatchId>, Refused> {
    text(headers, BatchId::HEADER)?
        .map(|value| {
            value
                .trim()
                .parse()
                .map_err(|why| Refused::Malformed(format!("{} header: {why}", BatchId::HEADER)))
        })
        .transpose()
}
