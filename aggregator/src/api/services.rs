//! Services: rate, errors and durations.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Asked, InProject};
use super::question::TimeParams;
use super::{ApiState, Error, ErrorBody};
use crate::query::services;

/// A service, by its spans.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Service {
    service: String,
    spans: u64,
    errors: u64,
    /// Nanoseconds.
    p50: f64,
    /// Nanoseconds.
    p95: f64,
    /// Nanoseconds.
    p99: f64,
}

/// Services, the busiest first.
#[utoipa::path(get, path = "/projects/{p}/services", operation_id = "list_services", tag = "services",
    params(("p" = u32, Path, description = "project"), TimeParams),
    responses((status = 200, body = Answer<Vec<Service>>), (status = 404, body = ErrorBody)))]
pub(super) async fn list(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Asked(time): Asked<TimeParams>,
) -> Result<Answer<Vec<Service>>, Error> {
    let mut reading = Reading::start(&state);
    let rows = reading
        .rows(services::list(&scope, time.window(&state)?))
        .await?;
    let services = rows
        .into_iter()
        .map(|row| Service {
            service: row.service_name,
            spans: row.total,
            errors: row.failed,
            p50: row.p50,
            p95: row.p95,
            p99: row.p99,
        })
        .collect();
    Ok(reading.answer(services))
}
