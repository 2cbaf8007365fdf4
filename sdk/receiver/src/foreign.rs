//! Protocols other than OTLP: translated into it at the door, so that nothing behind the door
//! knows of them.
//!
//! A request is admitted, bounded and checked as an OTLP request is, and answered in the words of
//! its own protocol. Its sender repeats what these protocols let it repeat: a code that says
//! "come again" in OTLP says so here as well, even where that takes another number.

mod json;
mod loki;
mod otlp;
mod prometheus;
mod protobuf;
mod protocol;
mod zipkin;

use std::sync::Arc;

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, Method, StatusCode, Version, header};

pub(crate) use protocol::Protocol;

use prometheus::Written;
use protocol::Packing;

use crate::{
    Door, Head, Receipt, Refused,
    body::Incoming,
    budget::Share,
    cors,
    inflate::Coding,
    routes::{Shared, peer},
    status,
    unpack::{Form, Packed},
};

/// Answers one request to a path of `protocol`, whatever its method.
pub(crate) async fn push<D: Door>(
    shared: Arc<Shared<D>>,
    protocol: Protocol,
    request: Request,
) -> Response {
    if shared.config.cors && request.method() == Method::OPTIONS {
        return cors::preflight();
    }
    let (parts, body) = request.into_parts();
    let head = Head {
        signal: protocol.signal(),
        transport: protocol.transport(),
        query: parts.uri.query().map(str::to_owned),
        peer: peer(&parts.extensions),
        headers: parts.headers,
    };
    let length = http_body::Body::size_hint(&body).exact();
    let mut body = Incoming::new(body, &shared.config, None);
    let mut permit = None;
    let outcome = if parts.method == Method::POST {
        take(&shared, protocol, &head, length, &mut body, &mut permit).await
    } else {
        Err(Refused::Method(format!(
            "{} takes POST only; the method was {}",
            parts.uri.path(),
            parts.method
        )))
    };
    let mut response = match &outcome {
        Ok((receipt, written)) => success(protocol, receipt, *written),
        Err(refused) => {
            shared.door.refused(&head, permit.as_ref(), refused);
            // As for OTLP: whoever still writes would see a reset instead of the answer.
            if parts.version < Version::HTTP_2 && !head.headers.contains_key(header::EXPECT) {
                tokio::spawn(body.forget());
            }
            refusal(refused)
        }
    };
    if shared.config.cors {
        cors::allow(response.headers_mut());
    }
    response
}

async fn take<D: Door>(
    shared: &Shared<D>,
    protocol: Protocol,
    head: &Head,
    length: Option<u64>,
    body: &mut Incoming,
    permit: &mut Option<D::Permit>,
) -> Result<(Receipt, Option<Written>), Refused> {
    let admitted = permit.insert(shared.door.admit(head).await?);
    let mut share = shared.budget.share(shared.door.tenant(admitted));
    let dialect = protocol.dialect(&head.headers)?;
    let packing = Packing::of(dialect, &head.headers)?;
    let cap = shared.config.limits.request_bytes;
    let body = body
        .read_all(length, cap, packing.coding(), &mut share)
        .await?;
    let limits = shared.config.limits;
    let bytes = body.len();
    let translate = move |share: &mut Share| dialect.translate(packing, body, &limits, share);
    let (translated, share) = shared.opened(bytes, share, translate).await?;
    let packed = Packed {
        signal: head.signal,
        form: Form::Protobuf,
        coding: Coding::Identity,
        id: None,
        body: translated.bytes,
    };
    let receipt = shared.settle(head, packed, share, permit).await?;
    Ok((receipt, translated.written))
}

fn success(protocol: Protocol, receipt: &Receipt, written: Option<Written>) -> Response {
    // What was not taken has no field in these protocols; the words are for whoever looks, where
    // the answer may have some.
    let words = match protocol.success() {
        StatusCode::NO_CONTENT => String::new(),
        _ => receipt.partial().message.clone(),
    };
    let mut response = plain(protocol.success(), words);
    if let Some(written) = written {
        written.tell(response.headers_mut());
    }
    response
}

fn refusal(refused: &Refused) -> Response {
    let code = match refused {
        // Their senders give up on every code below 500, and a late body is worth another try.
        Refused::TooSlow(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::from_u16(refused.http_status()).unwrap_or(StatusCode::BAD_REQUEST),
    };
    let mut response = plain(code, status::words(refused));
    status::advise(refused, response.headers_mut());
    response
}

fn plain(code: StatusCode, words: String) -> Response {
    let empty = words.is_empty();
    let mut response = Response::new(Body::from(words));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    if !empty {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
