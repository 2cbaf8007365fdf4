//! The admin port, on loopback only: `/health` for supervisors, `/metrics` for Prometheus, `/spool`
//! for `petrel-agent status`.
//!
//! Health is progress, not a pulse: an agent that is alive and ships nothing is degraded.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Level, Watch, metrics};

/// Serves until the stop.
pub async fn serve(
    listener: TcpListener,
    watch: Watch,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(watch))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

fn router(watch: Watch) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(prometheus))
        .route("/spool", get(spool))
        .with_state(watch)
}

/// 200 while data is taken and kept, 503 once the disk refuses.
async fn health(State(watch): State<Watch>) -> Response {
    let health = watch.look().health;
    let status = match health.status {
        Level::Ok | Level::Degraded => StatusCode::OK,
        Level::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}

async fn prometheus(State(watch): State<Watch>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, metrics(&watch.look())).into_response()
}

async fn spool(State(watch): State<Watch>) -> Response {
    Json(watch.look()).into_response()
}
