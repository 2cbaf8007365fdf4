//! What a peer can answer, from the status codes of OTLP/HTTP and OTLP/gRPC.
//!
//! The tables are those of the OTLP specification ("Failures", "Retryable Response Codes"), with
//! one rule on top: a code that says "not here" or "not you" never costs data, it parks it.

use std::time::Duration;

use crate::BatchId;

/// The answer to one try to pass a sealed batch on; the only thing that settles a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The peer owes for every item now.
    Committed,
    /// The peer owes for all but `rejected` items, and will never take those. Not to be repeated
    /// (specification, "Partial Success").
    Partial {
        /// Items that the peer will never take.
        rejected: u64,
        /// The peer's words, bounded.
        message: String,
    },
    /// Not now. Everything that is not known to be final is this: the outcome of a lost
    /// connection is unknown, and the same bytes under the same id may come again.
    Busy {
        /// The peer's Retry-After or RetryInfo: a floor under our own back-off.
        after: Option<Duration>,
        /// What happened, for logs and status.
        reason: String,
    },
    /// No, and repeating it unchanged will not help.
    Refused(Refusal, String),
}

/// Why a peer refused, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The batch itself: set it aside with the peer's words (400, `INVALID_ARGUMENT`).
    Data,
    /// The size: split and send the halves (413, `OUT_OF_RANGE`).
    Size,
    /// Our credentials, address or proxy: keep the data, an operator must act (401, 404, 407...).
    Parked,
    /// The id is taken by other bytes: this spool is a copy of another (409).
    Conflict,
}

/// Whom we asked, which decides what counts as an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A peer that has never echoed a batch id: a 200 with a body of the right type acknowledges.
    Plain,
    /// A peer that has echoed a batch id before is held to it: without the exact echo, a captive
    /// portal or a proxy may have answered in its place.
    Echoing,
}

impl Delivery {
    /// Reads an OTLP/HTTP response.
    ///
    /// `content_type` and `echo` are the response headers of that name and of
    /// [`BatchId::HEADER`]; `retry_after` is already a duration; `body` is bounded by the caller.
    /// For success the body must decode as the protobuf `Export*ServiceResponse`.
    pub fn from_http(
        peer: Peer,
        sent: &BatchId,
        status: u16,
        content_type: Option<&str>,
        echo: Option<&str>,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> Self {
        match status {
            200 => Self::from_success(peer, sent, content_type, echo, body),
            400 | 422 => Self::Refused(Refusal::Data, words(status, body)),
            413 => Self::Refused(Refusal::Size, words(status, body)),
            409 if echo.is_some() => Self::Refused(Refusal::Conflict, words(status, body)),
            300..=399 | 401 | 403 | 404 | 405 | 407 | 415 | 501 => {
                Self::Refused(Refusal::Parked, words(status, body))
            }
            // 408, 425, 429, 502, 503, 504 by the specification; a 500 or an unknown code of a
            // peer that is being rolled out is no verdict on the data either.
            _ => Self::Busy {
                after: retry_after,
                reason: words(status, body),
            },
        }
    }

    fn from_success(
        peer: Peer,
        sent: &BatchId,
        content_type: Option<&str>,
        echo: Option<&str>,
        body: &[u8],
    ) -> Self {
        let not_otlp = |reason: &str| Self::Busy {
            after: None,
            reason: format!("the answer is no OTLP acknowledgement: {reason}"),
        };
        let essence = content_type
            .unwrap_or("")
            .split(';')
            .next()
            .unwrap_or("")
            .trim();
        if !essence.eq_ignore_ascii_case("application/x-protobuf")
            && !essence.eq_ignore_ascii_case("application/protobuf")
        {
            return not_otlp(&format!(
                "content type {essence:?}; a captive portal or a proxy?"
            ));
        }
        match echo {
            Some(echo) if echo.trim().parse() == Ok(*sent) => {}
            Some(_) => return not_otlp("it names another batch"),
            None if peer == Peer::Echoing => return not_otlp("it names no batch"),
            None => {}
        }
        match crate::otlp::response::read(body) {
            Ok(partial) if partial.rejected > 0 => Self::Partial {
                rejected: partial.rejected,
                message: partial.message,
            },
            Ok(_) => Self::Committed,
            Err(_) => not_otlp("its body is not an export response"),
        }
    }

    /// Reads a gRPC status (a number of `google.rpc.Code`) of a failed export.
    pub fn from_grpc(code: i32, message: &str, retry_info: Option<Duration>) -> Self {
        let reason = bounded(&format!("gRPC status {code}: {message}"));
        match code {
            0 => Self::Committed,
            3 => Self::Refused(Refusal::Data, reason), // INVALID_ARGUMENT
            5 | 7 | 12 | 16 => Self::Refused(Refusal::Parked, reason), // NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED
            6 => Self::Refused(Refusal::Conflict, reason),             // ALREADY_EXISTS
            8 if retry_info.is_none() => Self::Refused(Refusal::Size, reason), // RESOURCE_EXHAUSTED
            _ => Self::Busy {
                after: retry_info,
                reason,
            },
        }
    }
}

/// Status and the peer's text, bounded and without control characters.
fn words(status: u16, body: &[u8]) -> String {
    let text = crate::otlp::response::status_message(body)
        .unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(1024)]).into_owned());
    let text = text.trim();
    if text.is_empty() {
        format!("HTTP {status}")
    } else {
        bounded(&format!("HTTP {status}: {text}"))
    }
}

/// At most 1 KiB, control characters replaced: a peer must not write into our terminal.
fn bounded(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(1024)
        .collect()
}
