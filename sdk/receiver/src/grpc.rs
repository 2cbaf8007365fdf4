//! OTLP/gRPC: three unary calls, framed here by hand.
//!
//! A unary call is five bytes and a message each way. Reading them ourselves gives what a gRPC
//! library's server does not: the message's length is known, and paid for from the budget, before
//! its bytes are kept; it is unpacked by the same code under the same caps as over HTTP; and what
//! was received stays one `Bytes`, never a decoded object.

use std::sync::Arc;
use std::time::Duration;

use axum::{body::Body, extract::Request, response::Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use petrel_wire::{BatchId, Signal, otlp::response};
use tokio::time::Instant;

use crate::{
    Door, Head, Receipt, Refused, Transport,
    body::Incoming,
    http::echo,
    inflate::Coding,
    routes::{Shared, batch_id, peer, text},
    status,
    unpack::{Form, Packed},
};

/// Answers one `Export` call.
pub(crate) async fn export<D: Door>(
    shared: Arc<Shared<D>>,
    signal: Signal,
    request: Request,
) -> Response {
    if !is_grpc(request.headers()) {
        return not_grpc();
    }
    let (parts, body) = request.into_parts();
    let head = Head {
        signal,
        transport: Transport::Grpc,
        query: parts.uri.query().map(str::to_owned),
        peer: peer(&parts.extensions),
        headers: parts.headers,
    };
    let mut permit = None;
    let outcome = take(&shared, &head, body, &mut permit).await;
    let mut response = match &outcome {
        Ok(receipt) => success(&response::write(receipt.partial())),
        Err(refused) => {
            shared.door.refused(&head, permit.as_ref(), refused);
            refusal(refused)
        }
    };
    if let Some(echo) = echo(&head.headers, &outcome) {
        response.headers_mut().insert(BatchId::HEADER, echo);
    }
    response
}

async fn take<D: Door>(
    shared: &Shared<D>,
    head: &Head,
    body: Body,
    permit: &mut Option<D::Permit>,
) -> Result<Receipt, Refused> {
    let deadline = timeout(&head.headers).map(|wait| Instant::now() + wait);
    let admitted = permit.insert(shared.door.admit(head).await?);
    let mut share = shared.budget.share(shared.door.tenant(admitted));
    let coding = Coding::parse(text(&head.headers, "grpc-encoding")?)?;
    let id = batch_id(&head.headers)?;
    let cap = shared.config.limits.request_bytes;
    let (compressed, body) = Incoming::new(body, &shared.config, deadline)
        .read_message(cap, coding, &mut share)
        .await?;
    let coding = match (compressed, coding) {
        (false, _) => Coding::Identity,
        (true, Coding::Identity) => {
            return Err(Refused::Malformed(
                "the message says it is compressed, but there is no grpc-encoding".to_owned(),
            ));
        }
        (true, coding) => coding,
    };
    // From here on the items may become somebody's debt: not for a caller that has given up.
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return Err(Refused::TooSlow(
            "the call's deadline passed before the message was complete".to_owned(),
        ));
    }
    let packed = Packed {
        signal: head.signal,
        form: Form::Protobuf,
        coding,
        id,
        body,
    };
    shared.settle(head, packed, share, permit).await
}

/// `application/grpc`, alone or with the one message format that OTLP has.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    matches!(
        essence.to_ascii_lowercase().as_str(),
        "application/grpc" | "application/grpc+proto"
    )
}

/// What the gRPC specification asks for when the content type is another.
pub(crate) fn not_grpc() -> Response {
    let mut response = Response::new(Body::from(
        "this path takes gRPC (content type application/grpc); OTLP/HTTP is at /v1/traces, \
         /v1/logs and /v1/metrics\n",
    ));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// The caller's `grpc-timeout`; one that cannot be read is none.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// One message and the trailers that make it a success.
pub(crate) fn success(message: &[u8]) -> Response {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("responses are small"));
    frame.put_slice(message);
    let body = Full::new(frame.freeze()).with_trailers(async {
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Some(Ok(trailers))
    });
    let mut response = Response::new(Body::new(body));
    head(response.headers_mut());
    response
}

/// A status alone ("Trailers-Only" in the gRPC specification).
pub(crate) fn refusal(refused: &Refused) -> Response {
    let mut response = Response::new(Body::new(Full::new(Bytes::new())));
    let headers = response.headers_mut();
    head(headers);
    headers.insert("grpc-status", HeaderValue::from(refused.grpc_code()));
    if let Some(message) = status::message(refused) {
        headers.insert("grpc-message", message);
    }
    if let Some(details) = status::details(refused) {
        headers.insert("grpc-status-details-bin", details);
    }
    response
}

/// `NOT_FOUND`, which only the health service says.
pub(crate) fn not_found() -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    head(headers);
    headers.insert("grpc-status", HeaderValue::from_static("5"));
    headers.insert(
        "grpc-message",
        HeaderValue::from_static("no such service here"),
    );
    response
}

fn head(headers: &mut HeaderMap) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(
        "grpc-accept-encoding",
        HeaderValue::from_static("identity,gzip,deflate,zstd"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_one_to_eight_digits_and_a_unit() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(value));
            timeout(&headers)
        };
        assert_eq!(of("10S"), Some(Duration::from_secs(10)));
        assert_eq!(of("5000m"), Some(Duration::from_secs(5)));
        assert_eq!(
            of("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        for bad in ["", "S", "10", "-1S", "123456789m", "1x"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
