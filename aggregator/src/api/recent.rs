//! Recent arrivals, as they come: for the page on which somebody waits for the first.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use utoipa::ToSchema;

use super::extract::InProject;
use super::{ApiState, ErrorBody};
use crate::ingest::RecentArrival;

/// One request at the door.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Arrived {
    /// Unix nanoseconds.
    at: String,
    /// `traces`, `logs` or `metrics`.
    signal: String,
    items: u64,
    /// `service.name` of the first resource.
    #[schema(required)]
    service: Option<String>,
    /// `accepted` or `refused`.
    outcome: &'static str,
    /// Why it was refused.
    #[schema(required)]
    reason: Option<String>,
    /// `http` or `grpc`.
    transport: &'static str,
    via_agent: bool,
}

impl From<RecentArrival> for Arrived {
    fn from(arrival: RecentArrival) -> Self {
        Self {
            at: arrival.at.0.to_string(),
            signal: arrival.signal.to_string(),
            items: arrival.items,
            service: arrival.service,
            outcome: if arrival.refused.is_none() {
                "accepted"
            } else {
                "refused"
            },
            reason: arrival.refused,
            transport: arrival.transport,
            via_agent: arrival.via_agent,
        }
    }
}

/// Server-sent events: the last fifty arrivals, then each as it comes.
#[utoipa::path(get, path = "/projects/{p}/ingest/recent", operation_id = "stream_recent", tag = "projects",
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Arrived, content_type = "text/event-stream"), (status = 404, body = ErrorBody)))]
pub(super) async fn stream(
    State(state): State<ApiState>,
    InProject { project, .. }: InProject,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (kept, feed) = state.recent.subscribe(project.id);
    let live = stream::unfold(feed, move |mut feed| async move {
        loop {
            match feed.recv().await {
                Ok(arrival) if arrival.project == project.id => return Some((arrival, feed)),
                Ok(_) => {}
                // Too slow for what arrives: the newest matter more than all.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let events = stream::iter(kept).chain(live).map(|arrival| {
        let event = Event::default().json_data(Arrived::from(arrival));
        Ok(event.unwrap_or_else(|_| Event::default().comment("unreadable arrival")))
    });
    // Headers go out with the first bytes: a quiet project must not look like a slow server.
    let opened = stream::iter([Ok(Event::default().comment("listening"))]);
    Sse::new(opened.chain(events)).keep_alive(KeepAlive::default())
}
