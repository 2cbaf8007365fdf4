//! The admin port, on loopback only: `/health` for supervisors, `/metrics` for Prometheus, `/spool`
//! for `petrel-agent status`, and `/capture` for `petrel capture` if it is allowed.
//!
//! Health is progress, not a pulse: an agent that is alive and ships nothing is degraded.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::capture::{self, Capture};
use crate::telemetry::{Level, Watch, metrics};

/// Serves until the stop.
pub async fn serve(
    listener: TcpListener,
    watch: Watch,
    capture: Option<Capture>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(watch, capture))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

fn router(watch: Watch, capture: Option<Capture>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(prometheus))
        .route("/spool", get(spool))
        .with_state(watch)
        .merge(
            Router::new()
                .route("/capture", post(capture::capture))
                .with_state(capture),
        )
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
