//! Log records: the list, and how many over time.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Body, InProject};
use super::page::Fingerprint;
use super::question::{Chart, Search};
use super::trace::resources;
use super::{ApiState, Error, ErrorBody};
use crate::query::logs::{self, LogRecord};
use crate::query::{Scope, span_hex, step_ms, steps};

/// A log record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogRow {
    /// Unix nanoseconds.
    time: String,
    severity_text: String,
    /// OpenTelemetry's number, 0 for none.
    severity_number: u8,
    service: String,
    /// Text, or JSON where it was structured.
    body: String,
    /// Empty for none.
    trace_id: String,
    /// Empty for none.
    span_id: String,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
}

/// Adds the resources.
pub(super) async fn log_rows(
    reading: &mut Reading<'_>,
    scope: &Scope,
    records: Vec<LogRecord>,
) -> Result<Vec<LogRow>, Error> {
    let resources = resources(reading, scope, records.iter().map(|row| row.resource)).await?;
    let rows = records.into_iter().map(|record| LogRow {
        time: record.at.to_string(),
        severity_text: record.severity,
        severity_number: record.number,
        service: record.service_name,
        body: record.text,
        trace_id: if record.trace.bytes().all(|byte| byte == b'0') {
            String::new()
        } else {
            record.trace
        },
        span_id: span_hex(record.span),
        attributes: record.pairs.into_iter().collect(),
        resource: resources
            .get(&record.resource)
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .collect(),
    });
    Ok(rows.collect())
}

/// Log records, newest first.
#[utoipa::path(post, path = "/projects/{p}/logs/search", operation_id = "search_logs", tag = "logs", request_body = Search,
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Answer<Vec<LogRow>>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn search(
    State(state): State<ApiState>,
    InProject { project, scope, .. }: InProject,
    Body(search): Body<Search>,
) -> Result<Answer<Vec<LogRow>>, Error> {
    let fingerprint = Fingerprint::of("logs", project.id.0, &search.identity());
    let after = fingerprint.read::<u64>(search.page.as_deref())?;
    let window = search.time.window()?;
    let limit = search.limit();
    let mut reading = Reading::start(&state);
    let mut rows = Vec::new();
    for part in window.newest_first() {
        let after = after.as_ref().map(|(after, seen)| (after, *seen));
        let text = search.text.as_deref();
        rows = reading
            .rows(logs::search(
                &scope,
                part,
                &search.filters,
                text,
                limit + 1,
                after,
            )?)
            .await?;
        if rows.len() > limit {
            break;
        }
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| {
        let twins = rows
            .iter()
            .filter(|row| (row.at, row.tie) == (last.at, last.tie))
            .count();
        let before = after
            .filter(|(after, _)| (after.time, after.tie) == (last.at, last.tie))
            .map_or(0, |(_, seen)| seen);
        fingerprint.after(last.at, last.tie, before + twins)
    });
    reading.next(next);
    let rows = log_rows(&mut reading, &scope, rows).await?;
    Ok(reading.answer(rows))
}

/// How many log records, by severity and time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogChart {
    step_ms: i64,
    /// Unix milliseconds.
    times: Vec<i64>,
    series: Vec<LogSeries>,
}

#[derive(Debug, Serialize, ToSchema)]
struct LogSeries {
    /// `TRACE` to `FATAL`, or what senders wrote without a number; `UNSET` for neither.
    severity: String,
    counts: Vec<u64>,
}

/// How many log records, by severity and time.
#[utoipa::path(post, path = "/projects/{p}/logs/histogram", operation_id = "log_histogram", tag = "logs", request_body = Chart,
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Answer<LogChart>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn histogram(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Body(chart): Body<Chart>,
) -> Result<Answer<LogChart>, Error> {
    let window = chart.time.window()?;
    let step_ms = step_ms(window, chart.step_ms);
    let mut reading = Reading::start(&state);
    let text = chart.text.as_deref();
    let rows = reading
        .rows(logs::histogram(
            &scope,
            window,
            &chart.filters,
            text,
            step_ms,
        )?)
        .await?;
    let times = steps(window, step_ms);
    let mut series: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for row in rows {
        if let Ok(at) = times.binary_search(&row.at) {
            series
                .entry(row.severity)
                .or_insert_with(|| vec![0; times.len()])[at] += row.total;
        }
    }
    Ok(reading.answer(LogChart {
        step_ms,
        times,
        series: series
            .into_iter()
            .map(|(severity, counts)| LogSeries { severity, counts })
            .collect(),
    }))
}
