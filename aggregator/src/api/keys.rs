//! Keys and values: what a filter may be made of.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Reading};
use super::extract::{Asked, InProject};
use super::question::time;
use super::{ApiState, Error, ErrorBody};
use crate::query::keys::{self, Items};

/// Which keys.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct KeysAsked {
    /// `traces`, `logs` or `metrics`.
    signal: Items,
    /// A part of the key.
    q: Option<String>,
    /// Unix nanoseconds, included.
    from: Option<String>,
    /// Unix nanoseconds, excluded.
    to: Option<String>,
}

/// Which values.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ValuesAsked {
    /// `traces`, `logs` or `metrics`.
    signal: Items,
    /// Whose values.
    key: String,
    /// A part of the value.
    q: Option<String>,
    /// Unix nanoseconds, included.
    from: Option<String>,
    /// Unix nanoseconds, excluded.
    to: Option<String>,
}

/// A key and how many items have it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyRow {
    key: String,
    count: u64,
}

/// A value and how many items have it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ValueRow {
    value: String,
    count: u64,
}

/// Attribute keys, the most frequent first, at most 100.
#[utoipa::path(get, path = "/projects/{p}/keys", operation_id = "list_keys", tag = "keys",
    params(("p" = u32, Path, description = "project"), KeysAsked),
    responses((status = 200, body = Answer<Vec<KeyRow>>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn list(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Asked(asked): Asked<KeysAsked>,
) -> Result<Answer<Vec<KeyRow>>, Error> {
    let window = time(asked.from.as_deref(), asked.to.as_deref(), &state)?;
    let mut reading = Reading::start(&state);
    let rows = reading
        .rows(keys::keys(&scope, window, asked.signal, asked.q.as_deref()))
        .await?;
    let keys = rows
        .into_iter()
        .map(|row| KeyRow {
            key: row.word,
            count: row.items,
        })
        .collect();
    Ok(reading.answer(keys))
}

/// Values of a key, the most frequent first, at most 100.
#[utoipa::path(get, path = "/projects/{p}/values", operation_id = "list_values", tag = "keys",
    params(("p" = u32, Path, description = "project"), ValuesAsked),
    responses((status = 200, body = Answer<Vec<ValueRow>>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn values(
    State(state): State<ApiState>,
    InProject { scope, .. }: InProject,
    Asked(asked): Asked<ValuesAsked>,
) -> Result<Answer<Vec<ValueRow>>, Error> {
    let window = time(asked.from.as_deref(), asked.to.as_deref(), &state)?;
    let mut reading = Reading::start(&state);
    let (key, part) = (asked.key.as_str(), asked.q.as_deref());
    let rows = reading
        .rows(keys::values(&scope, window, asked.signal, key, part))
        .await?;
    let values = rows
        .into_iter()
        .map(|row| ValueRow {
            value: row.word,
            count: row.items,
        })
        .collect();
    Ok(reading.answer(values))
}
