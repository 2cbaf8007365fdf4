//! The session: sign in, who am I, sign out.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Body, Signed};
use super::{ApiState, Error, ErrorBody};
use crate::metadata::{ABSOLUTE, SessionSecret, User};

/// Who is signed in, and what they may see.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    user: SessionUser,
    projects: Vec<SessionProject>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SessionUser {
    id: String,
    email: String,
    name: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct SessionProject {
    id: u32,
    name: String,
}

/// Address and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    email: String,
    password: String,
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", operation_id = "show_session", tag = "session", responses(
    (status = 200, body = Session), (status = 401, body = ErrorBody)))]
pub(super) async fn show(
    State(state): State<ApiState>,
    signed: Signed,
) -> Result<Json<Session>, Error> {
    Ok(Json(describe(&state, &signed.user).await?))
}

/// Signs in; the answer sets the session cookie.
#[utoipa::path(post, path = "/session", operation_id = "sign_in", tag = "session", request_body = Login, responses(
    (status = 200, body = Session), (status = 401, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub(super) async fn create(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Body(login): Body<Login>,
) -> Result<Response, Error> {
    let from = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let now = state.clock.monotonic();
    state
        .throttle
        .take(&login.email, from, now)
        .map_err(Error::too_many_logins)?;
    // Longer than any password: not worth hashing.
    if login.password.len() > 1024 || login.email.len() > 1024 {
        return Err(Error::wrong_login());
    }
    let user = state
        .metadata
        .authenticate(&login.email, &login.password)
        .await?;
    let Some(user) = user else {
        tracing::info!(peer = from.map(tracing::field::display), "a sign-in failed");
        return Err(Error::wrong_login());
    };
    signed_in(&state, &user).await
}

/// Signs out.
#[utoipa::path(delete, path = "/session", operation_id = "sign_out", tag = "session", responses(
    (status = 204, description = "signed out"), (status = 401, body = ErrorBody)))]
pub(super) async fn end(State(state): State<ApiState>, signed: Signed) -> Result<Response, Error> {
    state.metadata.close_session(&signed.secret).await?;
    let gone = cookie(&state, &SessionSecret::new(""), 0)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// Opens a session and answers with it and its cookie.
pub(super) async fn signed_in(state: &ApiState, user: &User) -> Result<Response, Error> {
    let secret = state.metadata.open_session(user).await?;
    let set = cookie(state, &secret, ABSOLUTE.as_secs())?;
    let body = describe(state, user).await?;
    Ok(([(header::SET_COOKIE, set)], Json(body)).into_response())
}

fn cookie(state: &ApiState, secret: &SessionSecret, age_s: u64) -> Result<HeaderValue, Error> {
    let secure = if state.site.https() { "; Secure" } else { "" };
    let text = format!(
        "{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age_s}{secure}",
        state.site.cookie(),
        secret.expose(),
    );
    let mut value = HeaderValue::from_str(&text).map_err(|_| Error::signed_out())?;
    value.set_sensitive(true);
    Ok(value)
}

async fn describe(state: &ApiState, user: &User) -> Result<Session, Error> {
    let projects = state.metadata.projects_of(user).await?;
    Ok(Session {
        user: SessionUser {
            id: user.id.to_string(),
            email: user.email.clone(),
            name: user.name.clone(),
        },
        projects: projects
            .into_iter()
            .map(|project| SessionProject {
                id: project.id.0,
                name: project.name,
            })
            .collect(),
    })
}
