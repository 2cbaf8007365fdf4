//! Setup: the first user of a fresh installation, for who can read the server's log.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Body;
use super::session::{Session, signed_in};
use super::{ApiState, Error, ErrorBody};
use crate::metadata::{Claim, NewUser, Sees, check_password, is_email};

/// Whether anybody can sign in yet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Setup {
    /// There is no user; the setup token in the server's log makes the first.
    needed: bool,
}

/// The first user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstUser {
    /// From the server's log; works once.
    token: String,
    email: String,
    /// 12 to 128 characters.
    password: String,
    #[serde(default)]
    name: Option<String>,
}

/// Whether a first user is wanted.
#[utoipa::path(get, path = "/setup", operation_id = "show_setup", tag = "session", responses((status = 200, body = Setup)))]
pub(super) async fn show(State(state): State<ApiState>) -> Result<Json<Setup>, Error> {
    let needed = !state.metadata.any_user().await?;
    Ok(Json(Setup { needed }))
}

/// Creates the first user and signs in.
#[utoipa::path(post, path = "/setup", operation_id = "create_first_user", tag = "session", request_body = FirstUser, responses(
    (status = 200, body = Session), (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody), (status = 409, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub(super) async fn create(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Body(first): Body<FirstUser>,
) -> Result<Response, Error> {
    let from = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let now = state.clock.monotonic();
    state
        .throttle
        .take("setup", from, now)
        .map_err(Error::too_many_logins)?;
    let email = first.email.trim().to_owned();
    if !is_email(&email) {
        return Err(Error::bad_request(
            "bad_email",
            "that is not an e-mail address",
        ));
    }
    check_password(&email, &first.password)
        .map_err(|problem| Error::bad_request("bad_password", problem.to_string()))?;
    let name = first.name.filter(|name| !name.trim().is_empty());
    let name = name.unwrap_or_else(|| email.clone());
    let claim = NewUser {
        name: name.chars().take(100).collect(),
        email,
        password: first.password,
        sees: Sees::All,
    };
    match state.metadata.claim_setup(&first.token, claim).await? {
        Claim::Created(user) => {
            tracing::info!("the first user was created with the setup token");
            signed_in(&state, &user).await
        }
        Claim::WrongToken => Err(Error::forbidden(
            "wrong_setup_token",
            "the setup token is wrong, used or too old",
        )
        .with_hint("the server prints it at its start; restart it for a new one")),
        Claim::NotNeeded => Err(Error::conflict("already_set_up", "there are users already")
            .with_hint("sign in instead")),
    }
}
