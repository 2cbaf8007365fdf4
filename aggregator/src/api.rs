//! The API and the UI: what a browser asks, answered in JSON.
//!
//! One file per group of endpoints, each with its types, its documentation and its handlers.
//! `openapi.json` beside the manifest is made from them. Whoever asks must be signed in and may
//! see the project in the address; handlers get both as proven values. Telemetry is only ever
//! data inside JSON here, never part of a page, a header or a query's text.

mod answer;
mod cardinality;
mod edges;
mod error;
mod extract;
mod groups;
mod guard;
mod keys;
mod logs;
mod metrics;
mod outline;
mod page;
mod projects;
mod question;
mod recent;
mod services;
mod session;
mod setup;
mod site;
mod spans;
mod throttle;
mod trace;
mod traces;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use petrel_wire::Clock;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clickhouse::Reader;
use crate::ingest::Recent;
use crate::metadata::Metadata;
use crate::ui;

use error::{Error, ErrorBody};
use throttle::Throttle;

pub use site::Site;

/// Questions are small.
const LONGEST_BODY: usize = 256 * 1024;

/// What every handler can reach.
#[derive(Clone, Debug)]
pub struct ApiState {
    metadata: Metadata,
    reader: Reader,
    recent: Recent,
    site: Arc<Site>,
    clock: Arc<dyn Clock>,
    throttle: Arc<Throttle>,
}

impl ApiState {
    /// Brings together where answers come from.
    pub fn new(
        metadata: Metadata,
        reader: Reader,
        recent: Recent,
        site: Arc<Site>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            metadata,
            reader,
            recent,
            site,
            clock,
            throttle: Arc::default(),
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    components(schemas(crate::query::groups::Order, crate::query::keys::Items)),
    info(
        title = "Petrel",
        description = "What the UI asks the aggregator. Sign in with POST /session; the session is a cookie. \
        Errors are `{\"error\": {\"code\", \"message\", \"hint\"}}`."
    )
)]
struct Description;

fn routes() -> OpenApiRouter<ApiState> {
    let endpoints = OpenApiRouter::new()
        .routes(routes!(session::show, session::create, session::end))
        .routes(routes!(setup::show, setup::create))
        .routes(routes!(projects::show))
        .routes(routes!(views::list, views::create))
        .routes(routes!(views::change, views::delete))
        .routes(routes!(views::changes))
        .routes(routes!(recent::stream))
        .routes(routes!(services::list))
        .routes(routes!(groups::list))
        .routes(routes!(edges::list))
        .routes(routes!(traces::search))
        .routes(routes!(traces::find))
        .routes(routes!(trace::outline))
        .routes(routes!(trace::spans))
        .routes(routes!(trace::logs))
        .routes(routes!(spans::search))
        .routes(routes!(spans::timeseries))
        .routes(routes!(logs::search))
        .routes(routes!(logs::histogram))
        .routes(routes!(metrics::list))
        .routes(routes!(metrics::query))
        .routes(routes!(cardinality::show))
        .routes(routes!(keys::list))
        .routes(routes!(keys::values));
    OpenApiRouter::with_openapi(Description::openapi()).nest("/api/v1", endpoints)
}

/// The API's description, as `openapi.json` has it.
pub fn openapi() -> String {
    let (_, description) = routes().split_for_parts();
    // Plain data: nothing in it can fail to serialise.
    let mut text = description.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The API under `/api/v1`, and the UI at every other address.
pub fn router(state: ApiState) -> Router {
    let site = Arc::clone(&state.site);
    let (api, _) = routes().split_for_parts();
    api.with_state(state)
        .route("/api", axum::routing::any(missing))
        .route("/api/{*rest}", axum::routing::any(missing))
        .method_not_allowed_fallback(missing)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn_with_state(Arc::clone(&site), guard::same_site))
        .fallback(ui::serve)
        .layer(from_fn_with_state(site, guard::headers))
}

async fn missing() -> Error {
    Error::no_such_endpoint()
}

#[cfg(test)]
mod tests;
