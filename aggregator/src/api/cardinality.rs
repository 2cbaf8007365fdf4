//! Cardinality: which metrics and labels make the series.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Asked, InProject};
use super::question::TimeParams;
use super::{ApiState, Error, ErrorBody};
use crate::query::cardinality;

/// Where series come from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cardinality {
    metrics: Vec<MetricSeries>,
    labels: Vec<LabelValues>,
}

/// A metric and how many series it has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetricSeries {
    metric: String,
    series: u64,
}

/// A label of a metric and how many values it has, about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LabelValues {
    metric: String,
    key: String,
    values: u64,
}

/// Metrics with the most series and labels with the most values, 100 each, by whole days.
#[utoipa::path(get, path = "/projects/{p}/cardinality", operation_id = "show_cardinality", tag = "metrics",
    params(("p" = u32, Path, description = "project"), TimeParams),
    responses((status = 200, body = Answer<Cardinality>), (status = 404, body = ErrorBody)))]
pub(super) async fn show(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Asked(time): Asked<TimeParams>,
) -> Result<Answer<Cardinality>, Error> {
    let window = time.window(&state)?;
    let mut reading = Reading::start(&state);
    let metrics = reading.rows(cardinality::metrics(&scope, window)).await?;
    let labels = reading.rows(cardinality::labels(&scope, window)).await?;
    let metrics = metrics.into_iter().map(|row| MetricSeries {
        metric: row.name,
        series: row.total,
    });
    let labels = labels.into_iter().map(|row| LabelValues {
        metric: row.name,
        key: row.word,
        values: row.different,
    });
    Ok(reading.answer(Cardinality {
        metrics: metrics.collect(),
        labels: labels.collect(),
    }))
}
