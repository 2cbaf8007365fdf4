//! One trace: its outline, its spans by id, its logs.

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Body, InProject, TraceId};
use super::logs::{LogRow, log_rows};
use super::outline::{Outline, lay_out};
use super::spans::SpanRow;
use super::traces::trace_not_found;
use super::{ApiState, Error, ErrorBody};
use crate::query::traces::{self, FullSpan, ListedSpan, Pairs};
use crate::query::{Scope, Window, logs, span_hex, span_id};

/// Spans of an outline. Beyond it a trace is cut, and the outline says so.
const MOST_SPANS: usize = 100_000;
/// Spans that are fetched whole at once.
const MOST_IDS: usize = 500;
/// Log records of a trace.
const MOST_LOGS: usize = 5_000;
/// Logs of a trace are looked for this long before and after its spans.
const AROUND_NS: i64 = 60 * 1_000_000_000;

/// Where the spans of a trace are in time.
async fn window_of(reading: &mut Reading<'_>, scope: &Scope, id: &str) -> Result<Window, Error> {
    let extents = reading
        .rows(traces::extents(scope, &[id.to_owned()]))
        .await?;
    let first = extents.iter().map(|extent| extent.first).min();
    let last = extents.iter().map(|extent| extent.last).max();
    match (first, last) {
        (Some(first), Some(last)) => Ok(Window::including(first, last)),
        _ => Err(trace_not_found()),
    }
}

fn around(window: Window) -> Window {
    Window::including(window.from() - AROUND_NS, window.to() + AROUND_NS)
}

/// The tree of a trace, in columns.
#[utoipa::path(get, path = "/projects/{p}/traces/{id}/outline", operation_id = "trace_outline", tag = "traces",
    params(("p" = u32, Path, description = "project"), ("id" = String, Path, description = "trace id, hex")),
    responses((status = 200, body = Answer<Outline>), (status = 404, body = ErrorBody)))]
pub(super) async fn outline(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    TraceId(id): TraceId,
) -> Result<Answer<Outline>, Error> {
    let mut reading = Reading::start(&state);
    let window = window_of(&mut reading, &scope, &id).await?;
    let mut spans = reading
        .rows(traces::outline(&scope, window, &id, MOST_SPANS + 1))
        .await?;
    if spans.is_empty() {
        return Err(trace_not_found());
    }
    let truncated = spans.len() > MOST_SPANS;
    spans.truncate(MOST_SPANS);
    let logged = reading
        .rows(traces::logged(&scope, around(window), &id, MOST_SPANS))
        .await?;
    let logged: HashSet<u64> = logged.into_iter().map(|span| span.id).collect();
    if truncated {
        reading.partial(format!("the first {MOST_SPANS} spans by start are shown"));
    }
    // A hundred thousand spans are milliseconds of work: not on a thread that serves requests.
    let outline = tokio::task::spawn_blocking(move || lay_out(id, &spans, &logged, truncated));
    let outline = outline.await.map_err(|_| trace_not_found())?;
    Ok(reading.answer(outline))
}

/// Which spans.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanIds {
    /// At most 500, hex.
    span_ids: Vec<String>,
}

/// A span with all it has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Span {
    #[serde(flatten)]
    row: SpanRow,
    status_message: String,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
    scope: SpanScope,
    events: Vec<SpanEvent>,
    links: Vec<SpanLink>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SpanScope {
    name: String,
    version: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct SpanEvent {
    /// Unix nanoseconds.
    time: String,
    name: String,
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SpanLink {
    trace_id: String,
    span_id: String,
    attributes: BTreeMap<String, String>,
}

/// Some spans of a trace, with all they have.
#[utoipa::path(post, path = "/projects/{p}/traces/{id}/spans", operation_id = "trace_spans", tag = "traces", request_body = SpanIds,
    params(("p" = u32, Path, description = "project"), ("id" = String, Path, description = "trace id, hex")),
    responses((status = 200, body = Answer<Vec<Span>>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn spans(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    TraceId(id): TraceId,
    Body(body): Body<SpanIds>,
) -> Result<Answer<Vec<Span>>, Error> {
    if body.span_ids.len() > MOST_IDS {
        return Err(Error::bad_request(
            "too_many_spans",
            "at most 500 spans can be asked for at once",
        ));
    }
    let ids: Option<Vec<u64>> = body.span_ids.iter().map(|text| span_id(text)).collect();
    let ids = ids
        .ok_or_else(|| Error::bad_request("bad_span_id", "a span id has 16 hexadecimal digits"))?;
    let mut reading = Reading::start(&state);
    if ids.is_empty() {
        return Ok(reading.answer(Vec::new()));
    }
    let window = window_of(&mut reading, &scope, &id).await?;
    let rows = reading
        .rows(traces::full(&scope, window, &id, &ids))
        .await?;
    let resources = resources(&mut reading, &scope, rows.iter().map(|row| row.resource)).await?;
    let spans = rows
        .into_iter()
        .map(|row| describe(row, &resources))
        .collect();
    Ok(reading.answer(spans))
}

/// The attributes of resources, by their id.
pub(super) async fn resources(
    reading: &mut Reading<'_>,
    scope: &Scope,
    ids: impl Iterator<Item = u64>,
) -> Result<HashMap<u64, Pairs>, Error> {
    let ids: HashSet<u64> = ids.collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<u64> = ids.into_iter().collect();
    let rows = reading.rows(traces::resources(scope, &ids)).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.pairs)).collect())
}

fn describe(row: FullSpan, resources: &HashMap<u64, Pairs>) -> Span {
    let events = row
        .event_at
        .into_iter()
        .zip(row.event_name)
        .zip(row.event_pairs);
    let links = row
        .link_trace
        .into_iter()
        .zip(row.link_span)
        .zip(row.link_pairs);
    Span {
        row: SpanRow::from(ListedSpan {
            trace: row.trace,
            id: row.id,
            parent: row.parent,
            service_name: row.service_name,
            span_name: row.span_name,
            kind_word: row.kind_word,
            status_word: row.status_word,
            start: row.start,
            nanos: row.nanos,
        }),
        status_message: row.status_text,
        attributes: row.pairs.into_iter().collect(),
        resource: resources
            .get(&row.resource)
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        scope: SpanScope {
            name: row.scope,
            version: row.version,
        },
        events: events
            .map(|((time, name), pairs)| SpanEvent {
                time: time.to_string(),
                name,
                attributes: pairs.into_iter().collect(),
            })
            .collect(),
        links: links
            .map(|((trace_id, span), pairs)| SpanLink {
                trace_id,
                span_id: span_hex(span),
                attributes: pairs.into_iter().collect(),
            })
            .collect(),
    }
}

/// The log records of a trace, oldest first.
#[utoipa::path(get, path = "/projects/{p}/traces/{id}/logs", operation_id = "trace_logs", tag = "traces",
    params(("p" = u32, Path, description = "project"), ("id" = String, Path, description = "trace id, hex")),
    responses((status = 200, body = Answer<Vec<LogRow>>), (status = 404, body = ErrorBody)))]
pub(super) async fn logs(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    TraceId(id): TraceId,
) -> Result<Answer<Vec<LogRow>>, Error> {
    let mut reading = Reading::start(&state);
    let window = around(window_of(&mut reading, &scope, &id).await?);
    let mut rows = reading
        .rows(logs::of_trace(&scope, window, &id, MOST_LOGS + 1))
        .await?;
    if rows.len() > MOST_LOGS {
        rows.truncate(MOST_LOGS);
        reading.partial(format!("the first {MOST_LOGS} log records are shown"));
    }
    let rows = log_rows(&mut reading, &scope, rows).await?;
    Ok(reading.answer(rows))
}
