//! Zipkin's own port, for senders that know no DSN: they are lent one.
//!
//! Zipkin knows no credentials, and what is written for it (the view in ClickHouse's documentation,
//! old tracers) sends to port 9411 of this machine and nothing else. Whoever comes here without a
//! DSN sends for the project of the configured token; with one, for its own. Nothing but spans is
//! taken here, and the configuration allows loopback only: who reaches the port may write.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http::{HeaderMap, HeaderValue};
use petrel_wire::{Dsn, Token};
use tower::ServiceExt as _;

/// Where Zipkin takes spans.
const PATH: &str = "/api/v2/spans";

/// The one route of `doors`, with a DSN for who has none.
pub fn router(doors: Router, token: &Token) -> Router {
    let dsn = HeaderValue::from_str(token.expose()).ok();
    Router::new().route(
        PATH,
        any(move |request: Request| lend(doors.clone(), dsn.clone(), request)),
    )
}

async fn lend(doors: Router, dsn: Option<HeaderValue>, mut request: Request) -> Response {
    let query = request.uri().query().unwrap_or("");
    if !shows_one(request.headers(), query)
        && let Some(mut dsn) = dsn
    {
        dsn.set_sensitive(true);
        request.headers_mut().insert(Dsn::HEADER, dsn);
    }
    match doors.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// As [`crate::auth`] looks for one.
fn shows_one(headers: &HeaderMap, query: &str) -> bool {
    crate::auth::HEADERS
        .iter()
        .any(|name| headers.contains_key(*name))
        || query.split('&').any(|pair| pair.starts_with("dsn="))
}
