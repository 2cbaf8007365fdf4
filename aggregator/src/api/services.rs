//! Services: rate, errors and durations.
//!
//! Over a short time they are counted from the spans themselves, over longer ones from what was
//! counted of groups; the answer says which.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Asked, InProject};
use super::question::TimeParams;
use super::{ApiState, Error, ErrorBody};
use crate::query::rollups::{Level, pairs, quantile};
use crate::query::{Scope, Window, services};

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
    let window = time.window(&state)?;
    let mut reading = Reading::start(&state);
    let services = match Level::if_long(window) {
        None => {
            reading.source("spans");
            from_spans(&mut reading, &scope, window).await?
        }
        Some(level) => {
            reading.source(level.name());
            from_groups(&mut reading, &scope, window, level).await?
        }
    };
    Ok(reading.answer(services))
}

async fn from_groups(
    reading: &mut Reading<'_>,
    scope: &Scope,
    window: Window,
    level: Level,
) -> Result<Vec<Service>, Error> {
    let rows = reading
        .rows(services::counted(scope, window, level))
        .await?;
    let beyond: u64 = rows
        .iter()
        .filter(|row| row.beyond != 0)
        .map(|row| row.total)
        .sum();
    if beyond > 0 {
        reading.partial(format!(
            "{beyond} items are in no service: at once there were more groups than are told apart"
        ));
    }
    let rows = rows.into_iter().filter(|row| row.beyond == 0);
    Ok(rows
        .map(|row| {
            let buckets = pairs(&row.marks, &row.counts);
            let of = |q| quantile(&buckets, q, row.most).unwrap_or(0.0);
            Service {
                spans: row.total,
                errors: row.failed,
                p50: of(0.5),
                p95: of(0.95),
                p99: of(0.99),
                service: row.service_name,
            }
        })
        .collect())
}

async fn from_spans(
    reading: &mut Reading<'_>,
    scope: &Scope,
    window: Window,
) -> Result<Vec<Service>, Error> {
    let rows = reading.rows(services::list(scope, window)).await?;
    Ok(rows
        .into_iter()
        .map(|row| Service {
            service: row.service_name,
            spans: row.total,
            errors: row.failed,
            p50: row.p50,
            p95: row.p95,
            p99: row.p99,
        })
        .collect())
}
