//! What handlers take: a signed-in user, a project the user may see, a JSON body, a query string.
//! Each fails in the API's own error shape.

use std::collections::BTreeMap;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use petrel_spool::ProjectId;
use serde::de::DeserializeOwned;

use super::{ApiState, Error};
use crate::metadata::{Project, SessionSecret, User};
use crate::query::{Scope, trace_id};

/// Somebody with a live session.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) user: User,
    pub(super) secret: SessionSecret,
}

impl FromRequestParts<ApiState> for Signed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Error> {
        let secret =
            session_cookie(&parts.headers, state.site.cookie()).ok_or_else(Error::signed_out)?;
        let user = state
            .metadata
            .session(&secret)
            .await?
            .ok_or_else(Error::signed_out)?;
        Ok(Self { user, secret })
    }
}

/// The value of the session cookie.
pub(super) fn session_cookie(headers: &HeaderMap, name: &str) -> Option<SessionSecret> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| SessionSecret::new(value))
}

/// The project in the path, for a user who may see it. Everybody else is told that it does not
/// exist, whether it does or not.
#[derive(Debug)]
pub(super) struct InProject {
    pub(super) project: Project,
    pub(super) scope: Scope,
    /// Who may see it.
    pub(super) user: User,
}

impl FromRequestParts<ApiState> for InProject {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Error> {
        let signed = Signed::from_request_parts(parts, state).await?;
        let missing = || {
            Error::not_found("project_not_found", "there is no such project")
                .with_hint("GET /api/v1/session lists the projects that you may see")
        };
        let Path(path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        let id = path
            .get("p")
            .and_then(|text| text.parse().ok())
            .ok_or_else(missing)?;
        let project = state
            .metadata
            .project_of(&signed.user, ProjectId(id))
            .await?
            .ok_or_else(missing)?;
        Ok(Self {
            scope: Scope::of(&project),
            project,
            user: signed.user,
        })
    }
}

async fn in_path(parts: &mut Parts, state: &ApiState, name: &str) -> Option<String> {
    let path = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await;
    path.ok().and_then(|Path(mut path)| path.remove(name))
}

/// The trace id in the path: 32 hexadecimal digits, a UUID's dashes allowed.
#[derive(Debug)]
pub(super) struct TraceId(pub(super) String);

impl FromRequestParts<ApiState> for TraceId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Error> {
        let text = in_path(parts, state, "id").await;
        text.and_then(|text| trace_id(&text))
            .map(Self)
            .ok_or_else(|| {
                Error::bad_request(
                    "bad_trace_id",
                    "a trace id has 32 hexadecimal digits, not all zero",
                )
            })
    }
}

/// What the path calls `{id}`, whatever it is.
#[derive(Debug)]
pub(super) struct Named(pub(super) String);

impl FromRequestParts<ApiState> for Named {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Error> {
        let text = in_path(parts, state, "id").await;
        text.map(Self).ok_or_else(Error::no_such_endpoint)
    }
}

/// A JSON body, with the content type that no form of another site can send.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Error> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => {
                let status = rejection.status();
                let message = match &rejection {
                    JsonRejection::JsonDataError(error) => error.body_text(),
                    JsonRejection::JsonSyntaxError(error) => error.body_text(),
                    JsonRejection::MissingJsonContentType(_) => {
                        "the body must be JSON, with content type application/json".to_owned()
                    }
                    _ => "the body cannot be read".to_owned(),
                };
                Err(Error::bad_body(status, message))
            }
        }
    }
}

/// The query string.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<ApiState> for Asked<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Error> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Error::bad_request("bad_query", rejection.body_text())),
        }
    }
}
