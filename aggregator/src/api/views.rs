//! Saved views: pages as people of a project want to find them again; and who changed what.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Body, InProject, Named};
use super::{ApiState, Error, ErrorBody};
use crate::metadata::{Actor, Saved, SavedView, ViewDraft};

/// The longest name, in characters.
const LONGEST_NAME: usize = 100;
/// The longest query string: what browsers and proxies carry in an address.
const LONGEST_QUERY: usize = 8 * 1024;
/// Changes that are listed.
const CHANGES: u32 = 500;

/// A page of the UI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Page {
    Traces,
    Logs,
    Metrics,
    Services,
    Errors,
    Map,
}

impl Page {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Traces, "traces"),
        (Self::Logs, "logs"),
        (Self::Metrics, "metrics"),
        (Self::Services, "services"),
        (Self::Errors, "errors"),
        (Self::Map, "map"),
    ];

    fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(page, _)| *page == self);
        known.map_or("traces", |(_, name)| name)
    }

    fn read(text: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(_, name)| *name == text);
        known.map(|(page, _)| *page)
    }
}

/// A view to save.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewToSave {
    page: Page,
    /// Unique on its page; 1 to 100 characters.
    name: String,
    /// What stands behind the `?` of the page's address; at most 8 KiB.
    query: String,
    /// Listed first.
    #[serde(default)]
    pinned: bool,
}

impl ViewToSave {
    fn draft(self) -> Result<ViewDraft, Error> {
        let name = self.name.trim();
        if !(1..=LONGEST_NAME).contains(&name.chars().count()) || name.contains(char::is_control) {
            return Err(Error::bad_request(
                "bad_name",
                "a view's name has 1 to 100 characters on one line",
            ));
        }
        if self.query.len() > LONGEST_QUERY {
            return Err(
                Error::bad_request("long_query", "the query is longer than 8 KiB")
                    .with_hint("leave out filters, or values of a long list"),
            );
        }
        Ok(ViewDraft {
            page: self.page.name().to_owned(),
            name: name.to_owned(),
            query: self.query,
            pinned: self.pinned,
        })
    }
}

/// A view that is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct View {
    id: String,
    page: Page,
    name: String,
    /// What stands behind the `?` of the page's address.
    query: String,
    pinned: bool,
    /// Unix nanoseconds.
    changed_at: String,
}

impl View {
    /// `None` for a page of a later version.
    fn of(view: SavedView) -> Option<Self> {
        Some(Self {
            page: Page::read(&view.draft.page)?,
            id: view.id,
            name: view.draft.name,
            query: view.draft.query,
            pinned: view.draft.pinned,
            changed_at: view.changed_at.to_string(),
        })
    }
}

fn saved(saved: Saved<SavedView>) -> Result<View, Error> {
    match saved {
        Saved::Done(view) => View::of(view).ok_or_else(missing),
        Saved::NameTaken => Err(Error::conflict(
            "name_taken",
            "this page has a view of that name already",
        )
        .with_hint("choose another name, or change that view")),
        Saved::TooMany => Err(Error::conflict(
            "too_many_views",
            "the project has as many views as it may have",
        )
        .with_hint("delete views that nobody needs")),
        Saved::Missing => Err(missing()),
    }
}

fn missing() -> Error {
    Error::not_found("view_not_found", "there is no such view")
        .with_hint("somebody may have deleted it; load the list again")
}

/// The views of a project: pinned ones first, then by page and name.
#[utoipa::path(get, path = "/projects/{p}/views", operation_id = "list_views", tag = "views",
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Vec<View>), (status = 404, body = ErrorBody)))]
pub(super) async fn list(
    State(state): State<ApiState>,
    InProject { project, .. }: InProject,
) -> Result<Json<Vec<View>>, Error> {
    let views = state.metadata.saved_views(project.id).await?;
    Ok(Json(views.into_iter().filter_map(View::of).collect()))
}

/// Saves a view.
#[utoipa::path(post, path = "/projects/{p}/views", operation_id = "create_view", tag = "views", request_body = ViewToSave,
    params(("p" = u32, Path, description = "project")),
    responses((status = 201, body = View), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn create(
    State(state): State<ApiState>,
    InProject { project, user, .. }: InProject,
    Body(view): Body<ViewToSave>,
) -> Result<(StatusCode, Json<View>), Error> {
    let (actor, draft) = (Actor::user(&user), view.draft()?);
    let made = state
        .metadata
        .create_saved_view(project.id, &actor, draft)
        .await?;
    Ok((StatusCode::CREATED, Json(saved(made)?)))
}

/// Makes a view another.
#[utoipa::path(put, path = "/projects/{p}/views/{id}", operation_id = "change_view", tag = "views", request_body = ViewToSave,
    params(("p" = u32, Path, description = "project"), ("id" = String, Path, description = "view")),
    responses((status = 200, body = View), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn change(
    State(state): State<ApiState>,
    InProject { project, user, .. }: InProject,
    Named(id): Named,
    Body(view): Body<ViewToSave>,
) -> Result<Json<View>, Error> {
    let (actor, draft) = (Actor::user(&user), view.draft()?);
    let changed = state
        .metadata
        .change_saved_view(project.id, &actor, &id, draft)
        .await?;
    Ok(Json(saved(changed)?))
}

/// Deletes a view.
#[utoipa::path(delete, path = "/projects/{p}/views/{id}", operation_id = "delete_view", tag = "views",
    params(("p" = u32, Path, description = "project"), ("id" = String, Path, description = "view")),
    responses((status = 204, description = "deleted"), (status = 404, body = ErrorBody)))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    InProject { project, user, .. }: InProject,
    Named(id): Named,
) -> Result<StatusCode, Error> {
    let actor = Actor::user(&user);
    let gone = state
        .metadata
        .delete_saved_view(project.id, &actor, &id)
        .await?;
    if gone {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing())
    }
}

/// Who changed what.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Change {
    /// Unix nanoseconds.
    at: String,
    /// An e-mail address, or the command line of some system user.
    actor: String,
    /// `created`, `changed`, `deleted`.
    action: String,
    /// What kind of thing: `saved view`, `dashboard`, `monitors`, `limits`.
    object: String,
    /// Its name, or what it has become.
    subject: String,
}

/// The last 500 changes in a project, the newest first.
#[utoipa::path(get, path = "/projects/{p}/changes", operation_id = "list_changes", tag = "projects",
    params(("p" = u32, Path, description = "project")),
    responses((status = 200, body = Vec<Change>), (status = 404, body = ErrorBody)))]
pub(super) async fn changes(
    State(state): State<ApiState>,
    InProject { project, .. }: InProject,
) -> Result<Json<Vec<Change>>, Error> {
    let changes = state.metadata.audit(project.id, CHANGES).await?;
    let changes = changes.into_iter().map(|change| Change {
        at: change.at.to_string(),
        actor: change.actor,
        action: change.action,
        object: change.object,
        subject: change.subject,
    });
    Ok(Json(changes.collect()))
}
