//! Cardinality: which metrics and labels make the series, and which attributes have the most values.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Asked, InProject};
use super::question::TimeParams;
use super::{ApiState, Error, ErrorBody};
use crate::query::cardinality;
use crate::query::keys::Items;

/// Where series come from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cardinality {
    metrics: Vec<MetricSeries>,
    labels: Vec<LabelValues>,
    /// Of spans and log records.
    attributes: Vec<AttributeValues>,
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

/// An attribute of spans or log records and how many values it has, about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttributeValues {
    signal: Items,
    key: String,
    values: u64,
    /// Items that have it, of those that were looked at.
    items: u64,
}

/// Metrics with the most series and labels with the most values, 100 each, by whole days; attributes
/// with the most values, 100 each of spans and of log records, from at most 200,000 items of the
/// time.
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
    let mut attributes = Vec::new();
    for signal in [Items::Traces, Items::Logs] {
        let rows = reading
            .rows(cardinality::attributes(&scope, window, signal))
            .await?;
        attributes.extend(rows.into_iter().map(|row| AttributeValues {
            signal,
            key: row.word,
            values: row.different,
            items: row.total,
        }));
    }
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
        attributes,
    }))
}
