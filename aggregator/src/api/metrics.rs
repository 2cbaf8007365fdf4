//! Metrics: the list, and a chart of one.

use std::collections::HashMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Asked, Body, InProject};
use super::question::{Time, TimeParams};
use super::trace::resources;
use super::{ApiState, Error, ErrorBody};
use crate::meaning::units;
use crate::query::metrics::{self, Aggregate, Grid, Labels, MetricQuestion};
use crate::query::{Filter, step_ms, steps};

/// Lines that a chart shows.
const MOST_LINES: usize = 100;

/// A metric in the list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Metric {
    name: String,
    /// `gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`.
    #[serde(rename = "type")]
    kind: String,
    /// UCUM.
    unit: String,
    description: String,
    /// How many.
    series: u64,
    /// Unix nanoseconds.
    last_seen: String,
}

/// The metrics of a project.
#[utoipa::path(get, path = "/projects/{p}/metrics", operation_id = "list_metrics", tag = "metrics",
    params(("p" = u32, Path, description = "project"), TimeParams),
    responses((status = 200, body = Answer<Vec<Metric>>), (status = 404, body = ErrorBody)))]
pub(super) async fn list(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Asked(time): Asked<TimeParams>,
) -> Result<Answer<Vec<Metric>>, Error> {
    let mut reading = Reading::start(&state);
    let rows = reading
        .rows(metrics::list(&scope, time.window(&state)?))
        .await?;
    let metrics = rows
        .into_iter()
        .map(|row| Metric {
            name: row.name,
            kind: row.kind,
            unit: units::normalise(&row.unit_code).to_owned(),
            description: row.about,
            series: row.total,
            last_seen: row.last.to_string(),
        })
        .collect();
    Ok(reading.answer(metrics))
}

/// What to draw.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricChart {
    time: Time,
    /// Its name.
    metric: String,
    aggregate: Aggregate,
    /// Attribute keys; each combination of their values is a line.
    #[serde(default)]
    group_by: Vec<String>,
    /// All of these must hold.
    #[serde(default, rename = "where")]
    filters: Vec<Filter>,
    /// Length of a step; chosen by the time when absent.
    #[serde(default)]
    step_ms: Option<i64>,
}

/// Lines to draw.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetricLines {
    unit: String,
    step_ms: i64,
    /// Unix milliseconds.
    times: Vec<i64>,
    series: Vec<MetricLine>,
}

#[derive(Debug, Serialize, ToSchema)]
struct MetricLine {
    labels: Labels,
    /// Null where there is nothing to show.
    values: Vec<Option<f64>>,
}

/// A metric over time.
#[utoipa::path(post, path = "/projects/{p}/metrics/query", operation_id = "query_metric", tag = "metrics", request_body = MetricChart,
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Answer<MetricLines>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn query(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Body(chart): Body<MetricChart>,
) -> Result<Answer<MetricLines>, Error> {
    let window = chart.time.window()?;
    let step_ms = step_ms(window, chart.step_ms);
    if chart.group_by.len() > 10 {
        return Err(Error::bad_request(
            "too_many_groups",
            "at most 10 keys can be grouped by",
        ));
    }
    let question = MetricQuestion {
        metric: &chart.metric,
        window,
        filters: &chart.filters,
        step_ms,
    };
    let mut reading = Reading::start(&state);
    let mut found = reading.rows(question.series(&scope)?).await?;
    if found.len() > metrics::MOST_SERIES {
        found.truncate(metrics::MOST_SERIES);
        reading.partial(format!(
            "only {} series are drawn; add a filter",
            metrics::MOST_SERIES
        ));
    }
    let times = steps(window, step_ms);
    let Some(first) = found.first() else {
        return Ok(reading.answer(MetricLines {
            unit: String::new(),
            step_ms,
            times,
            series: Vec::new(),
        }));
    };
    metrics::check(chart.aggregate, first)
        .map_err(|problem| Error::bad_request("bad_aggregate", problem.to_string()))?;
    let unit = metrics::unit(chart.aggregate, first);
    let resources = resources(&mut reading, &scope, found.iter().map(|row| row.resource)).await?;
    let series: HashMap<_, _> = found
        .iter()
        .map(|row| {
            (
                row.id,
                (row, metrics::labels(row, &resources, &chart.group_by)),
            )
        })
        .collect();
    let grid = Grid {
        times: &times,
        step_ms,
    };
    let lines = if first.is_distribution() {
        let mut points = reading.rows(question.distributions(&scope)?).await?;
        if points.len() > metrics::MOST_HISTOGRAMS {
            points.truncate(metrics::MOST_HISTOGRAMS);
            reading.partial("too many histograms; choose a shorter time or add a filter");
        }
        metrics::distribution_lines(chart.aggregate, &series, &points, window, &grid)
    } else {
        let points = reading.rows(question.numbers(&scope)?).await?;
        metrics::number_lines(chart.aggregate, &series, &points, &grid)
    };
    if lines.len() > MOST_LINES {
        reading.partial(format!(
            "{MOST_LINES} of {} lines are drawn; group by less",
            lines.len()
        ));
    }
    let series = lines
        .into_iter()
        .take(MOST_LINES)
        .map(|(labels, values)| MetricLine { labels, values })
        .collect();
    Ok(reading.answer(MetricLines {
        unit,
        step_ms,
        times,
        series,
    }))
}
