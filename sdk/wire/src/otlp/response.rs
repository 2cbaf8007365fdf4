//! The small messages that travel back: `Export*ServiceResponse` and `google.rpc.Status`.

use std::time::Duration;

use super::fields::{Fields, Wire, WireError, put_len, put_varint, put_varint_field};

/// `partial_success` of an export response; zero and empty when everything was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// `rejected_spans`, `rejected_log_records` or `rejected_data_points`.
    pub rejected: u64,
    /// The peer's words.
    pub message: String,
}

/// Reads the protobuf form of any of the three export responses.
pub fn read(body: &[u8]) -> Result<PartialSuccess, WireError> {
    let mut partial = PartialSuccess::default();
    let mut fields = Fields::new(body);
    while let Some(field) = fields.try_next()? {
        match (field.number, field.value) {
            (1, Wire::Len(message)) => {
                let mut inner = Fields::new(message);
                while let Some(field) = inner.try_next()? {
                    match (field.number, field.value) {
                        // An int64: a negative count is a peer's mistake, not a rejection.
                        (1, Wire::Varint(count)) => {
                            partial.rejected = i64::try_from(count).map_or(0, i64::unsigned_abs);
                        }
                        (2, Wire::Len(text)) => {
                            partial.message = String::from_utf8_lossy(text).into_owned();
                        }
                        _ => {}
                    }
                }
            }
            (1, _) => {
                return Err(WireError {
                    reason: "partial_success is no message",
                    at: field.range.start,
                });
            }
            _ => {}
        }
    }
    Ok(partial)
}

/// The protobuf form of an export response; empty when everything was taken.
pub fn write(partial: &PartialSuccess) -> Vec<u8> {
    let mut inner = Vec::new();
    if partial.rejected > 0 {
        inner.push(1 << 3);
        put_varint(&mut inner, partial.rejected.min(i64::MAX as u64));
    }
    if !partial.message.is_empty() {
        put_len(&mut inner, 2, partial.message.as_bytes());
    }
    let mut out = Vec::new();
    if !inner.is_empty() {
        put_len(&mut out, 1, &inner);
    }
    out
}

/// The JSON form of an export response to a request of this signal.
pub fn write_json(signal: crate::Signal, partial: &PartialSuccess) -> Vec<u8> {
    if *partial == PartialSuccess::default() {
        return b"{}".to_vec();
    }
    let rejected = match signal {
        crate::Signal::Traces => "rejectedSpans",
        crate::Signal::Logs => "rejectedLogRecords",
        crate::Signal::Metrics => "rejectedDataPoints",
    };
    let inner = serde_json::json!({
        rejected: partial.rejected.to_string(),
        "errorMessage": partial.message,
    });
    serde_json::json!({ "partialSuccess": inner })
        .to_string()
        .into_bytes()
}

/// The message of a `google.rpc.Status` in protobuf or JSON, if the body is one.
pub fn status_message(body: &[u8]) -> Option<String> {
    if body.trim_ascii_start().first() == Some(&b'{') {
        let json: serde_json::Value = serde_json::from_slice(body).ok()?;
        return Some(json.get("message")?.as_str()?.to_owned());
    }
    let mut message = None;
    let mut fields = Fields::new(body);
    while let Some(field) = fields.try_next().ok()? {
        match (field.number, field.value) {
            (1, Wire::Varint(_)) => {}
            (2, Wire::Len(text)) => message = Some(std::str::from_utf8(text).ok()?.to_owned()),
            (3, Wire::Len(_)) => {}
            // Any other text that happens to read as protobuf is no Status.
            _ => return None,
        }
    }
    message
}

/// The protobuf form of a `google.rpc.Status`.
pub fn write_status(code: i32, message: &str) -> Vec<u8> {
    let mut out = vec![1 << 3];
    put_varint(&mut out, u64::from(code.unsigned_abs()));
    put_len(&mut out, 2, message.as_bytes());
    out
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// A `google.rpc.Status` with a `RetryInfo` in its details: what gRPC carries as
/// `grpc-status-details-bin` so that a client knows when to come again.
pub fn write_status_with_retry(code: i32, message: &str, after: Duration) -> Vec<u8> {
    let mut delay = Vec::new();
    put_varint_field(&mut delay, 1, after.as_secs());
    put_varint_field(&mut delay, 2, u64::from(after.subsec_nanos()));
    let mut retry_info = Vec::new();
    put_len(&mut retry_info, 1, &delay);
    let mut any = Vec::new();
    put_len(&mut any, 1, RETRY_INFO.as_bytes());
    put_len(&mut any, 2, &retry_info);
    let mut out = write_status(code, message);
    put_len(&mut out, 3, &any);
    out
}

/// The delay of a `RetryInfo` in the details of a protobuf `google.rpc.Status`.
pub fn retry_delay(status: &[u8]) -> Option<Duration> {
    let find = |message, number| {
        Fields::new(message)
            .find(|field| field.number == number)
            .and_then(|field| field.len_bytes())
    };
    let any = Fields::new(status)
        .filter(|field| field.number == 3)
        .filter_map(|field| field.len_bytes())
        .find(|any| find(any, 1).is_some_and(|name| name.ends_with(b"/google.rpc.RetryInfo")))?;
    let mut delay = Duration::ZERO;
    for field in Fields::new(find(find(any, 2)?, 1)?) {
        match (field.number, field.value) {
            // Negative seconds and nanoseconds are varints beyond these bounds.
            (1, Wire::Varint(seconds)) if i64::try_from(seconds).is_ok() => {
                delay = delay.saturating_add(Duration::from_secs(seconds));
            }
            (2, Wire::Varint(nanos)) if nanos < 1_000_000_000 => {
                delay = delay.saturating_add(Duration::from_nanos(nanos));
            }
            _ => {}
        }
    }
    Some(delay)
}

/// The JSON form of a `google.rpc.Status`.
pub fn write_status_json(code: i32, message: &str) -> Vec<u8> {
    serde_json::json!({ "code": code, "message": message })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_reads_back_what_it_says() {
        let full = PartialSuccess {
            rejected: 3,
            message: "too old".to_owned(),
        };
        for partial in [PartialSuccess::default(), full] {
            assert_eq!(read(&write(&partial)), Ok(partial));
        }
        assert!(read(b"<html>").is_err());
    }

    #[test]
    fn a_status_reads_back_in_both_encodings_and_a_page_is_none() {
        for body in [
            write_status(3, "no spans"),
            write_status_json(3, "no spans"),
        ] {
            assert_eq!(status_message(&body).as_deref(), Some("no spans"));
        }
        assert_eq!(status_message(b"<html><body>Sign in</body></html>"), None);
    }

    #[test]
    fn what_a_portal_or_a_proxy_says_is_not_a_response() {
        for body in [
            "<!DOCTYPE html>",
            "OK",
            "ok\n",
            "{}",
            "{\"partialSuccess\":{}}",
        ] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn json_names_the_count_by_signal_and_writes_it_as_a_string() {
        let partial = PartialSuccess {
            rejected: 2,
            message: "too old".to_owned(),
        };
        for (signal, name) in [
            (crate::Signal::Traces, "rejectedSpans"),
            (crate::Signal::Logs, "rejectedLogRecords"),
            (crate::Signal::Metrics, "rejectedDataPoints"),
        ] {
            let json = String::from_utf8(write_json(signal, &partial)).unwrap();
            assert!(json.contains(&format!(r#""{name}":"2""#)), "{json}");
            assert_eq!(write_json(signal, &PartialSuccess::default()), b"{}");
        }
    }

    #[test]
    fn a_retry_delay_reads_back() {
        let after = Duration::from_millis(2500);
        let status = write_status_with_retry(14, "busy", after);
        assert_eq!(retry_delay(&status), Some(after));
        assert_eq!(status_message(&status).as_deref(), Some("busy"));
        assert_eq!(retry_delay(&write_status(14, "busy")), None);
    }
}
