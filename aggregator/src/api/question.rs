//! What most endpoints are asked: a time, filters, a limit, a page.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiState, Error};
use crate::query::{Filter, FilterError, Window};

/// The longest time that one question may span.
const LONGEST_NS: i64 = 400 * 24 * 3600 * 1_000_000_000;
/// What is shown when no time was given.
const DEFAULT_NS: i64 = 3600 * 1_000_000_000;

/// Unix nanoseconds, as text because JSON's numbers end before them.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Nanos {
    Text(String),
    Number(i64),
}

impl Nanos {
    fn read(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Number(number) => Some(*number),
        }
    }
}

/// From (included) to (excluded).
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    /// Unix nanoseconds.
    #[schema(value_type = String)]
    from: Nanos,
    /// Unix nanoseconds.
    #[schema(value_type = String)]
    to: Nanos,
}

impl Time {
    pub(super) fn window(&self) -> Result<Window, Error> {
        window(self.from.read(), self.to.read())
    }
}

fn window(from: Option<i64>, to: Option<i64>) -> Result<Window, Error> {
    let bad = |message: &str| {
        Error::bad_request("bad_time", message)
            .with_hint("`from` and `to` are Unix nanoseconds, written as text")
    };
    let (Some(from), Some(to)) = (from, to) else {
        return Err(bad("the time cannot be read"));
    };
    let window = Window::new(from, to).ok_or_else(|| bad("`from` is not before `to`"))?;
    if to - from > LONGEST_NS {
        return Err(bad("the time spans more than 400 days"));
    }
    Ok(window)
}

/// A time in a query string; the last hour when there is none.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TimeParams {
    /// Unix nanoseconds, included.
    from: Option<String>,
    /// Unix nanoseconds, excluded.
    to: Option<String>,
}

impl TimeParams {
    pub(super) fn window(&self, state: &ApiState) -> Result<Window, Error> {
        time(self.from.as_deref(), self.to.as_deref(), state)
    }
}

/// Reads a time of a query string.
pub(super) fn time(
    from: Option<&str>,
    to: Option<&str>,
    state: &ApiState,
) -> Result<Window, Error> {
    let now = i64::try_from(state.clock.wall().0).unwrap_or(i64::MAX);
    let to = to.map_or(Some(now), |text| text.parse().ok());
    let from = match from {
        Some(text) => text.parse().ok(),
        None => to.map(|to: i64| to.saturating_sub(DEFAULT_NS)),
    };
    window(from, to)
}

/// A list's question.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    pub(super) time: Time,
    /// All of these must hold.
    #[serde(default, rename = "where")]
    pub(super) filters: Vec<Filter>,
    /// Logs: every word of it is in the body.
    #[serde(default)]
    pub(super) text: Option<String>,
    /// Rows of a page: 1 to 500, 100 when absent.
    #[serde(default)]
    limit: Option<usize>,
    /// `meta.next` of the page before.
    #[serde(default)]
    pub(super) page: Option<String>,
}

impl Search {
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 500)
    }

    /// What a page token belongs to. Time is not in it: lists run from the newest backwards, and a
    /// page goes on at its row whatever `to` was.
    pub(super) fn identity(&self) -> impl Serialize + '_ {
        (&self.filters, &self.text)
    }
}

/// A chart's question.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Chart {
    pub(super) time: Time,
    /// All of these must hold.
    #[serde(default, rename = "where")]
    pub(super) filters: Vec<Filter>,
    /// Logs: every word of it is in the body.
    #[serde(default)]
    pub(super) text: Option<String>,
    /// Length of a step; chosen by the time when absent.
    #[serde(default)]
    pub(super) step_ms: Option<i64>,
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::bad_request("bad_filter", error.to_string())
            .with_hint("a filter is {\"key\", \"op\", \"value\"}; ops are = != > >= < <= contains exists missing")
    }
}
