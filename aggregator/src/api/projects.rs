//! A project: what its senders need to know.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::InProject;
use super::{ApiState, Error, ErrorBody};

/// A project and how to send to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProjectDetail {
    id: u32,
    name: String,
    /// Attributes that are listed first.
    pinned_attrs: Vec<String>,
    /// `http://TOKEN@host:14318?grpc=14317`; null when the configuration names no token for it
    /// (other tokens are stored as hashes and cannot be shown).
    #[schema(required)]
    dsn: Option<String>,
    /// OTLP/HTTP, without a path.
    http_endpoint: String,
    /// OTLP/gRPC.
    grpc_endpoint: String,
}

/// A project and how to send to it.
#[utoipa::path(get, path = "/projects/{p}", operation_id = "show_project", tag = "projects", params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = ProjectDetail), (status = 404, body = ErrorBody)))]
pub(super) async fn show(
    State(state): State<ApiState>,
    InProject { project, .. }: InProject,
) -> Result<Json<ProjectDetail>, Error> {
    Ok(Json(ProjectDetail {
        id: project.id.0,
        name: project.name,
        pinned_attrs: project.pinned_attrs,
        dsn: state.site.dsn(project.id).map(str::to_owned),
        http_endpoint: state.site.http_endpoint().to_owned(),
        grpc_endpoint: state.site.grpc_endpoint().to_owned(),
    }))
}
