//! `google.rpc.Status` with the details that OTLP knows: `RetryInfo` and `BadRequest`.
//!
//! Written by hand: three nested messages of one or two fields each.

use base64::Engine as _;
use http::{HeaderMap, HeaderValue, header};
use petrel_wire::otlp::{
    fields::{put_len, put_varint_field},
    response,
};

use crate::{Refused, inflate::Coding};

/// Longest text of an error, in bytes (OTLP asks for bounded responses).
const MOST_TEXT_BYTES: usize = 1024;

/// The words of a refusal, bounded and in one line.
pub(crate) fn words(refused: &Refused) -> String {
    let text = refused.to_string();
    let mut words = String::with_capacity(text.len().min(MOST_TEXT_BYTES));
    for c in text.chars() {
        if words.len() + c.len_utf8() > MOST_TEXT_BYTES {
            break;
        }
        words.push(if c.is_control() { ' ' } else { c });
    }
    words
}

/// The protobuf form.
pub(crate) fn protobuf(refused: &Refused) -> Vec<u8> {
    let words = words(refused);
    let mut status = response::write_status(refused.grpc_code(), &words);
    if let Some(after) = refused.retry_after() {
        let mut delay = Vec::new();
        put_varint_field(&mut delay, 1, after.as_secs());
        put_varint_field(&mut delay, 2, u64::from(after.subsec_nanos()));
        let mut info = Vec::new();
        put_len(&mut info, 1, &delay);
        put_any(&mut status, "google.rpc.RetryInfo", &info);
    }
    if let Refused::Malformed(_) = refused {
        let mut violation = Vec::new();
        put_len(&mut violation, 2, words.as_bytes());
        let mut bad = Vec::new();
        put_len(&mut bad, 1, &violation);
        put_any(&mut status, "google.rpc.BadRequest", &bad);
    }
    status
}

/// For `grpc-status-details-bin`.
pub(crate) fn details(refused: &Refused) -> Option<HeaderValue> {
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(protobuf(refused));
    HeaderValue::from_str(&text).ok()
}

/// For `grpc-message`: everything but printable ASCII is percent-encoded.
pub(crate) fn message(refused: &Refused) -> Option<HeaderValue> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in words(refused).bytes() {
        match byte {
            b'%' => text.push_str("%25"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    HeaderValue::from_str(&text).ok()
}

/// The headers of HTTP that tell a sender what to do next, whatever its protocol.
pub(crate) fn advise(refused: &Refused, headers: &mut HeaderMap) {
    if let Some(after) = refused.retry_after() {
        // Rounded up: coming early would only be refused again.
        let seconds = after.as_millis().div_ceil(1000);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            headers.insert(header::RETRY_AFTER, value);
        }
    }
    match refused {
        Refused::Method(_) => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        Refused::Unsupported(_) => {
            let accepted = HeaderValue::from_static(Coding::ACCEPTED);
            headers.insert(header::ACCEPT_ENCODING, accepted);
        }
        Refused::Unauthenticated(_) => {
            let scheme = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        _ => {}
    }
}

/// Field 3 of `Status` is `repeated google.protobuf.Any details`.
fn put_any(status: &mut Vec<u8>, name: &str, message: &[u8]) {
    let mut any = Vec::new();
    put_len(
        &mut any,
        1,
        format!("type.googleapis.com/{name}").as_bytes(),
    );
    put_len(&mut any, 2, message);
    put_len(status, 3, &any);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_text_is_bounded_and_in_one_line() {
        let refused = Refused::Malformed(format!("a\nb\u{1b}[31m{}", "ü".repeat(4096)));
        let words = words(&refused);
        assert!(words.len() <= MOST_TEXT_BYTES);
        assert!(words.starts_with("a b [31mü"));
    }

    #[test]
    fn grpc_messages_are_percent_encoded() {
        let refused = Refused::Malformed("50% größer".to_owned());
        assert_eq!(message(&refused).unwrap(), "50%25 gr%C3%B6%C3%9Fer");
    }
}
