//! Spans across traces: a list and a chart.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Body, InProject};
use super::page::Fingerprint;
use super::question::{Chart, Search};
use super::{ApiState, Error, ErrorBody};
use crate::query::traces::{self, ListedSpan};
use crate::query::{span_hex, step_ms, steps};

/// A span in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SpanRow {
    trace_id: String,
    span_id: String,
    /// Empty for a root.
    parent_id: String,
    service: String,
    name: String,
    /// `unspecified`, `internal`, `server`, `client`, `producer`, `consumer`.
    kind: String,
    /// `unset`, `ok`, `error`.
    status: String,
    /// Unix nanoseconds.
    start: String,
    /// Nanoseconds.
    duration: String,
}

impl From<ListedSpan> for SpanRow {
    fn from(span: ListedSpan) -> Self {
        Self {
            trace_id: span.trace,
            span_id: span_hex(span.id),
            parent_id: span_hex(span.parent),
            service: span.service_name,
            name: span.span_name,
            kind: span.kind_word,
            status: span.status_word,
            start: span.start.to_string(),
            duration: span.nanos.to_string(),
        }
    }
}

/// Spans, newest first.
#[utoipa::path(post, path = "/projects/{p}/spans/search", operation_id = "search_spans", tag = "spans", request_body = Search,
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Answer<Vec<SpanRow>>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn search(
    State(state): State<ApiState>,
    InProject { project, scope, .. }: InProject,
    Body(search): Body<Search>,
) -> Result<Answer<Vec<SpanRow>>, Error> {
    let fingerprint = Fingerprint::of("spans", project.id.0, &search.identity());
    let after = fingerprint
        .read::<u64>(search.page.as_deref())?
        .map(|(after, _)| after);
    let window = search.time.window()?;
    let limit = search.limit();
    let mut reading = Reading::start(&state);
    let mut rows = Vec::new();
    for part in window.newest_first() {
        rows = reading
            .rows(traces::spans(
                &scope,
                part,
                &search.filters,
                limit + 1,
                after.as_ref(),
            )?)
            .await?;
        if rows.len() > limit {
            break;
        }
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more);
    reading.next(last.map(|last| fingerprint.after(last.start, last.id, 0)));
    Ok(reading.answer(rows.into_iter().map(SpanRow::from).collect()))
}

/// Spans over time. Steps without spans have counts of zero and no percentiles.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SpanChart {
    step_ms: i64,
    /// Unix milliseconds.
    times: Vec<i64>,
    count: Vec<u64>,
    errors: Vec<u64>,
    /// Nanoseconds.
    p50: Vec<Option<f64>>,
    /// Nanoseconds.
    p99: Vec<Option<f64>>,
}

/// Rate, errors and durations over time.
#[utoipa::path(post, path = "/projects/{p}/spans/timeseries", operation_id = "span_timeseries", tag = "spans", request_body = Chart,
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Answer<SpanChart>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn timeseries(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Body(chart): Body<Chart>,
) -> Result<Answer<SpanChart>, Error> {
    let window = chart.time.window()?;
    let step_ms = step_ms(window, chart.step_ms);
    let mut reading = Reading::start(&state);
    let rows = reading
        .rows(traces::timeseries(&scope, window, &chart.filters, step_ms)?)
        .await?;
    let times = steps(window, step_ms);
    let mut answer = SpanChart {
        step_ms,
        count: vec![0; times.len()],
        errors: vec![0; times.len()],
        p50: vec![None; times.len()],
        p99: vec![None; times.len()],
        times,
    };
    for row in rows {
        if let Ok(at) = answer.times.binary_search(&row.at) {
            answer.count[at] = row.total;
            answer.errors[at] = row.failed;
            answer.p50[at] = Some(row.p50);
            answer.p99[at] = Some(row.p99);
        }
    }
    Ok(reading.answer(answer))
}
