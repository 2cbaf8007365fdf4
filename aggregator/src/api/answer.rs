//! [`Answer`]: data, and what it cost to get.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiState, Error};
use crate::query::Select;

/// The envelope of every answer that reads telemetry.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer<T> {
    data: T,
    meta: Meta,
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// What an answer cost, and whether it is all there is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Meta {
    elapsed_ms: u64,
    /// Rows that the store read, zero where it does not say.
    rows_read: u64,
    /// Bytes that the store read, zero where it does not say.
    bytes_read: u64,
    /// Why this is not all; null when it is.
    #[schema(required)]
    partial: Option<String>,
    /// `page` of the next request; null at the end.
    #[schema(required)]
    next: Option<String>,
    /// Where the numbers come from, if there is a choice: the items themselves (`spans`), or what
    /// was counted of groups by `minutes`, `five_minutes` or `hours`. Steps count as wholes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    source: Option<&'static str>,
}

/// One request's reading: asks the store and adds up what it costs.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    state: &'a ApiState,
    started: Duration,
    rows: u64,
    bytes: u64,
    partial: Option<String>,
    next: Option<String>,
    source: Option<&'static str>,
}

impl<'a> Reading<'a> {
    pub(super) fn start(state: &'a ApiState) -> Self {
        Self {
            started: state.clock.monotonic(),
            state,
            rows: 0,
            bytes: 0,
            partial: None,
            next: None,
            source: None,
        }
    }

    /// All rows of a question. Dropping the future (the browser went away) ends the query.
    pub(super) async fn rows<R>(&mut self, select: Select<R>) -> Result<Vec<R>, Error>
    where
        R: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let mut query = self.state.reader.query(select.sql());
        for (name, value) in select.params() {
            query = query.param(name, value);
        }
        let mut cursor = query.fetch::<R>()?;
        let mut rows = Vec::new();
        while let Some(row) = cursor.next().await? {
            rows.push(row);
        }
        if let Some(summary) = cursor.summary() {
            self.rows += summary.read_rows().unwrap_or(0);
            self.bytes += summary.read_bytes().unwrap_or(0);
        }
        Ok(rows)
    }

    /// Says that this is not all, and why.
    pub(super) fn partial(&mut self, why: impl Into<String>) {
        self.partial = Some(why.into());
    }

    /// Says where the numbers come from.
    pub(super) fn source(&mut self, source: &'static str) {
        self.source = Some(source);
    }

    /// Says how to go on.
    pub(super) fn next(&mut self, page: Option<String>) {
        self.next = page;
    }

    pub(super) fn answer<T>(self, data: T) -> Answer<T> {
        let elapsed = self.state.clock.monotonic().saturating_sub(self.started);
        Answer {
            data,
            meta: Meta {
                elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
                rows_read: self.rows,
                bytes_read: self.bytes,
                partial: self.partial,
                next: self.next,
                source: self.source,
            },
        }
    }
}
