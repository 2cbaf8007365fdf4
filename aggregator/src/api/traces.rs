//! Traces: the list, and where a trace is that somebody has the id of.

use std::collections::HashMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Body, InProject, Signed, TraceId};
use super::page::Fingerprint;
use super::question::Search;
use super::{ApiState, Error, ErrorBody};
use crate::query::traces::{self, FoundTrace};
use crate::query::{Scope, Window};

/// A trace in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TraceRow {
    trace_id: String,
    /// Of the root span, or of the earliest when the root is not here.
    root_service: String,
    root_name: String,
    /// Unix nanoseconds.
    start: String,
    /// From the first start to the last end, nanoseconds.
    duration: String,
    spans: u64,
    errors: u64,
    services: Vec<String>,
    /// `error` when any span has an error, else the root's.
    status: String,
}

/// Traces with a span for which all filters hold, newest first.
#[utoipa::path(post, path = "/projects/{p}/traces/search", operation_id = "search_traces", tag = "traces", request_body = Search,
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Answer<Vec<TraceRow>>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn search(
    State(state): State<ApiState>,
    InProject { project, scope, .. }: InProject,
    Body(search): Body<Search>,
) -> Result<Answer<Vec<TraceRow>>, Error> {
    let fingerprint = Fingerprint::of("traces", project.id.0, &search.identity());
    let after = fingerprint
        .read::<String>(search.page.as_deref())?
        .map(|(after, _)| after);
    let window = search.time.window()?;
    let limit = search.limit();
    let mut reading = Reading::start(&state);
    let mut found: Vec<FoundTrace> = Vec::new();
    for part in window.newest_first() {
        found = reading
            .rows(traces::search(
                &scope,
                part,
                &search.filters,
                limit + 1,
                after.as_ref(),
            )?)
            .await?;
        if found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    reading.next(last.map(|last| fingerprint.after(last.newest, &last.trace, 0)));
    let rows = describe(&mut reading, &scope, found).await?;
    Ok(reading.answer(rows))
}

/// Roots and sizes of what was found, in its order.
async fn describe(
    reading: &mut Reading<'_>,
    scope: &Scope,
    found: Vec<FoundTrace>,
) -> Result<Vec<TraceRow>, Error> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = found.iter().map(|found| found.trace.clone()).collect();
    let extents = reading.rows(traces::extents(scope, &ids)).await?;
    // The lookup table knows the whole trace, the list only its spans within the chosen time.
    let first = extents.iter().map(|extent| extent.first).min();
    let last = extents.iter().map(|extent| extent.last).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(Vec::new());
    };
    let window = Window::including(first, last);
    let summaries = reading.rows(traces::summaries(scope, window, &ids)).await?;
    let mut summaries: HashMap<_, _> = summaries
        .into_iter()
        .map(|summary| (summary.trace.clone(), summary))
        .collect();
    let extents: HashMap<_, _> = extents
        .into_iter()
        .map(|extent| (extent.trace.clone(), extent))
        .collect();
    let rows = found.into_iter().filter_map(|found| {
        let summary = summaries.remove(&found.trace)?;
        let extent = extents.get(&found.trace)?;
        Some(TraceRow {
            trace_id: found.trace,
            root_service: summary.root_service,
            root_name: summary.root_name,
            start: extent.first.to_string(),
            duration: extent.last.saturating_sub(extent.first).to_string(),
            spans: extent.total,
            errors: extent.failed,
            services: summary.services,
            status: if extent.failed > 0 {
                "error".to_owned()
            } else {
                summary.root_status
            },
        })
    });
    Ok(rows.collect())
}

/// A project in which a trace is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TracePlace {
    project_id: u32,
    project_name: String,
    /// Unix nanoseconds.
    start: String,
    /// Unix nanoseconds.
    end: String,
    spans: u64,
}

/// The answer to a trace id that nothing has arrived for.
pub(super) fn trace_not_found() -> Error {
    Error::not_found("trace_not_found", "no trace with this id is here")
        .with_hint("not here yet; it may still be on its way. Look again in a few seconds")
}

/// Where a trace is, among all projects that the user may see.
#[utoipa::path(get, path = "/traces/{id}", operation_id = "find_trace", tag = "traces", params(("id" = String, Path, description = "trace id, hex")),
    responses((status = 200, body = Answer<Vec<TracePlace>>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn find(
    State(state): State<ApiState>,
    signed: Signed,
    TraceId(id): TraceId,
) -> Result<Answer<Vec<TracePlace>>, Error> {
    let projects = state.metadata.projects_of(&signed.user).await?;
    if projects.is_empty() {
        return Err(trace_not_found());
    }
    let mut reading = Reading::start(&state);
    let extents = reading
        .rows(traces::extents(&Scope::of_all(&projects), &[id]))
        .await?;
    let places: Vec<_> = extents
        .into_iter()
        .filter_map(|extent| {
            let project = projects
                .iter()
                .find(|project| project.id.0 == extent.project)?;
            Some(TracePlace {
                project_id: extent.project,
                project_name: project.name.clone(),
                start: extent.first.to_string(),
                end: extent.last.to_string(),
                spans: extent.total,
            })
        })
        .collect();
    if places.is_empty() {
        return Err(trace_not_found());
    }
    Ok(reading.answer(places))
}
