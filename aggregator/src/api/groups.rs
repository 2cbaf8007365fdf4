//! Groups: spans, log templates and exceptions that are alike, counted together.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Asked, InProject};
use super::question::time;
use super::{ApiState, Error, ErrorBody};
use crate::query::groups::{self, Order, Which};
use crate::query::rollups::{Level, pairs, quantile};
use crate::query::span_hex;

/// Which groups.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupsAsked {
    /// Unix nanoseconds, included; the step that it lies in counts as a whole.
    from: Option<String>,
    /// Unix nanoseconds, excluded.
    to: Option<String>,
    /// `db:postgresql`, `http:till`, `log:error`; all of a kind with a colon at the end: `log:`.
    system: Option<String>,
    /// `service.name`.
    service: Option<String>,
    /// `deployment.environment.name`.
    environment: Option<String>,
    /// A part of the name.
    q: Option<String>,
    /// What comes first: `items` (unless given), `errors`, `duration` or `last_seen`.
    #[serde(default)]
    order: Order,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Group {
    /// 16 hexadecimal digits, the same in every project, at every time.
    id: String,
    system: String,
    /// The operation, statement, template or exception, values taken out.
    name: String,
    /// At most ten.
    services: Vec<String>,
    items: u64,
    errors: u64,
    /// Nanoseconds; null for what has no duration.
    #[schema(required)]
    p50: Option<f64>,
    /// Nanoseconds; null for what has no duration.
    #[schema(required)]
    p99: Option<f64>,
    /// Nanoseconds, of the longest item.
    longest: u64,
    /// Start of the first step of this time in which it was seen, Unix nanoseconds.
    first_seen: String,
    /// Start of the last one, Unix nanoseconds.
    last_seen: String,
    /// The longest item, or one of the last.
    #[schema(required)]
    example: Option<Example>,
}

/// Where an example is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Example {
    trace_id: String,
    /// Empty where none is known.
    span_id: String,
}

/// Groups, at most 500.
#[utoipa::path(get, path = "/projects/{p}/groups", operation_id = "list_groups", tag = "groups",
    params(("p" = u32, Path, description = "project"), GroupsAsked),
    responses((status = 200, body = Answer<Vec<Group>>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn list(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Asked(asked): Asked<GroupsAsked>,
) -> Result<Answer<Vec<Group>>, Error> {
    let window = time(asked.from.as_deref(), asked.to.as_deref(), &state)?;
    let level = Level::of(window);
    let which = Which {
        system: asked.system.as_deref(),
        service: asked.service.as_deref(),
        environment: asked.environment.as_deref(),
        part: asked.q.as_deref(),
        order: asked.order,
    };
    let mut reading = Reading::start(&state);
    reading.source(level.name());
    let rows = reading
        .rows(groups::list(&scope, window, level, &which))
        .await?;
    let groups = rows.into_iter().map(|row| {
        let buckets = pairs(&row.marks, &row.counts);
        let known = row.example_trace.bytes().any(|digit| digit != b'0');
        Group {
            id: format!("{:016x}", row.id),
            system: row.kind,
            name: row.title,
            services: row.services,
            items: row.total,
            errors: row.failed,
            p50: quantile(&buckets, 0.5, row.most),
            p99: quantile(&buckets, 0.99, row.most),
            longest: row.most,
            first_seen: nanos(row.first),
            last_seen: nanos(row.last),
            example: known.then(|| Example {
                trace_id: row.example_trace,
                span_id: span_hex(row.example_span),
            }),
        }
    });
    let groups = groups.collect();
    Ok(reading.answer(groups))
}

fn nanos(seconds: i64) -> String {
    seconds.saturating_mul(1_000_000_000).to_string()
}
