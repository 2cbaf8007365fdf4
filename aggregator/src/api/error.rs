//! [`Error`]: what the API says when it cannot answer, in one shape.
//!
//! `{"error": {"code", "message", "hint"}}`: the code is stable and for programs, the message is
//! for people, the hint says what to do. Nothing of the inside (SQL, addresses, causes) is in it;
//! that is logged here, where it is handled.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::metadata::MetadataError;

/// An answer that is not the one hoped for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: Option<String>,
    retry_after_s: Option<u64>,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What went wrong.
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// Stable, for programs.
    code: String,
    /// For people.
    message: String,
    /// What to do about it.
    #[schema(required)]
    hint: Option<String>,
}

impl Error {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            retry_after_s: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The question makes no sense.
    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Nobody is signed in.
    pub(crate) fn signed_out() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "signed_out",
            "you are not signed in",
        )
        .with_hint("sign in; sessions end after 12 hours without use")
    }

    /// The same words and the same time for unknown users and wrong passwords.
    pub(crate) fn wrong_login() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "wrong_login",
            "no user has this address and password",
        )
        .with_hint("check both; users are named under auth.users in the configuration")
    }

    /// Too many tries.
    pub(crate) fn too_many_logins(wait_s: u64) -> Self {
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_logins",
            "too many attempts to sign in",
        )
        .with_hint(format!("try again in {wait_s} seconds"));
        error.retry_after_s = Some(wait_s);
        error
    }

    /// Another site's page sent this.
    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "this request comes from another site's page",
        )
        .with_hint("behind a proxy, pass the Host header through or set site.addr to the address that users see")
    }

    /// May not do that (any more).
    pub(crate) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// Not there, or not for this user to know.
    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// This endpoint does not exist.
    pub(crate) fn no_such_endpoint() -> Self {
        Self::not_found("no_such_endpoint", "there is nothing at this address")
            .with_hint("the endpoints are described in openapi.json")
    }

    /// The body is not what the endpoint takes.
    pub(crate) fn bad_body(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "bad_body", message)
    }

    /// Two things would be one.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }
}

impl From<MetadataError> for Error {
    fn from(error: MetadataError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(error = %error, cause = source, "metadata failed a request");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "metadata_unavailable",
            "users and projects cannot be looked up now",
        )
        .with_hint("try again; the server's log says why")
    }
}

/// ClickHouse's numbers of what a person can do something about.
const TOO_SLOW: [&str; 2] = ["Code: 159.", "TIMEOUT_EXCEEDED"];
const TOO_HEAVY: [&str; 4] = ["Code: 241.", "Code: 158.", "Code: 307.", "Code: 396."];
const NO_TABLE: [&str; 2] = ["Code: 60.", "Code: 81."];

impl From<clickhouse::error::Error> for Error {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error as Cause;
        let text = error.to_string();
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let answer = match &error {
            Cause::TimedOut => Self::too_slow(),
            Cause::BadResponse(_) if any(&TOO_SLOW) => Self::too_slow(),
            Cause::BadResponse(_) if any(&TOO_HEAVY) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "query_too_heavy",
                "the store gave up: this reads or holds more than it may",
            )
            .with_hint("choose a shorter time or add a filter"),
            Cause::BadResponse(_) if any(&NO_TABLE) => {
                Self::unavailable("the store is not ready yet")
            }
            Cause::Network(_) => Self::unavailable("the store cannot be reached"),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "store_error",
                "the store refused a question that should be right",
            )
            .with_hint("the server's log says why; please report it"),
        };
        tracing::warn!(error = %text, answer.code = answer.code, "a query failed");
        answer
    }
}

impl Error {
    fn too_slow() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "query_timeout",
            "the store did not answer in time",
        )
        .with_hint("choose a shorter time or add a filter; ch.max_execution_time is the limit")
    }

    fn unavailable(message: &'static str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            message,
        )
        .with_hint("try again; what arrives meanwhile is safe in the journal")
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code.to_owned(),
                message: self.message,
                hint: self.hint,
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            let value = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}
