//! Edges: who calls whom.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Asked, InProject};
use super::question::TimeParams;
use super::{ApiState, Error, ErrorBody};
use crate::query::edges;
use crate::query::rollups::{pairs, quantile};

/// Calls from one to another.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Edge {
    /// A service.
    caller: String,
    /// A service, `db:postgresql`, `messaging:kafka`, or what the caller calls the other side.
    callee: String,
    /// `http`, `rpc`, `db`, `messaging`, or empty.
    via: String,
    calls: u64,
    /// Calls with an error on either side.
    errors: u64,
    /// As the caller saw it; null where its spans are not there.
    #[schema(required)]
    client: Option<Durations>,
    /// As the called side saw it; null where its spans are not there.
    #[schema(required)]
    server: Option<Durations>,
}

/// How long calls took.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Durations {
    /// Nanoseconds.
    p50: f64,
    /// Nanoseconds.
    p99: f64,
}

fn durations(marks: &[i16], counts: &[u64]) -> Option<Durations> {
    let buckets = pairs(marks, counts);
    Some(Durations {
        p50: quantile(&buckets, 0.5, 0)?,
        p99: quantile(&buckets, 0.99, 0)?,
    })
}

/// Who calls whom, the busiest first, at most 2000; by whole minutes.
#[utoipa::path(get, path = "/projects/{p}/edges", operation_id = "list_edges", tag = "services",
    params(("p" = u32, Path, description = "project"), TimeParams),
    responses((status = 200, body = Answer<Vec<Edge>>), (status = 404, body = ErrorBody)))]
pub(super) async fn list(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Asked(time): Asked<TimeParams>,
) -> Result<Answer<Vec<Edge>>, Error> {
    let mut reading = Reading::start(&state);
    let rows = reading
        .rows(edges::list(&scope, time.window(&state)?))
        .await?;
    let edges = rows.into_iter().map(|row| Edge {
        client: durations(&row.client_marks, &row.client_counts),
        server: durations(&row.server_marks, &row.server_counts),
        caller: row.source,
        callee: row.target,
        via: row.way,
        calls: row.total,
        errors: row.failed,
    });
    let edges = edges.collect();
    Ok(reading.answer(edges))
}
