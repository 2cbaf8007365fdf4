//! OTLP/HTTP (specification, "OTLP/HTTP"): protobuf and JSON, answered in the type they came in.

use std::sync::Arc;

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use petrel_wire::{BatchId, Signal, otlp::response};

use crate::{
    Door, Head, Receipt, Refused, Transport,
    body::Incoming,
    cors,
    inflate::Coding,
    routes::{Shared, batch_id, peer, text},
    status,
    unpack::{Form, Packed},
};

/// Answers one request to `/v1/<signal>`, whatever its method.
pub(crate) async fn export<D: Door>(
    shared: Arc<Shared<D>>,
    signal: Signal,
    request: Request,
) -> Response {
    if shared.config.cors && request.method() == Method::OPTIONS {
        return cors::preflight();
    }
    let (parts, body) = request.into_parts();
    let head = Head {
        signal,
        transport: Transport::Http,
        query: parts.uri.query().map(str::to_owned),
        peer: peer(&parts.extensions),
        headers: parts.headers,
    };
    let form = form(&head.headers);
    let length = http_body::Body::size_hint(&body).exact();
    let mut body = Incoming::new(body, &shared.config, None);
    let mut permit = None;
    let outcome = if parts.method == Method::POST {
        take(&shared, &head, &form, length, &mut body, &mut permit).await
    } else {
        Err(Refused::Method(format!(
            "{} takes POST only; the method was {}",
            signal.path(),
            parts.method
        )))
    };
    let mut response = match &outcome {
        Ok(receipt) => success(
            signal,
            receipt,
            form.as_ref().copied().unwrap_or(Form::Json),
        ),
        Err(refused) => {
            shared.door.refused(&head, permit.as_ref(), refused);
            // The sender waits for our leave to send (Expect) or writes into a stream of its own
            // (HTTP/2): only then may the rest of the body be left where it is.
            if parts.version < Version::HTTP_2 && !head.headers.contains_key(header::EXPECT) {
                tokio::spawn(body.forget());
            }
            refusal(refused, form.as_ref().copied().unwrap_or(Form::Json))
        }
    };
    if let Some(echo) = echo(&head.headers, &outcome) {
        response.headers_mut().insert(BatchId::HEADER, echo);
    }
    if shared.config.cors {
        cors::allow(response.headers_mut());
    }
    response
}

async fn take<D: Door>(
    shared: &Shared<D>,
    head: &Head,
    form: &Result<Form, Refused>,
    length: Option<u64>,
    body: &mut Incoming,
    permit: &mut Option<D::Permit>,
) -> Result<Receipt, Refused> {
    let admitted = permit.insert(shared.door.admit(head).await?);
    let mut share = shared.budget.share(shared.door.tenant(admitted));
    let form = form.clone()?;
    let coding = Coding::parse(text(&head.headers, header::CONTENT_ENCODING.as_str())?)?;
    let id = batch_id(&head.headers)?;
    let cap = shared.config.limits.request_bytes;
    let body = body.read_all(length, cap, coding, &mut share).await?;
    let packed = Packed {
        signal: head.signal,
        form,
        coding,
        id,
        body,
    };
    shared.settle(head, packed, share, permit).await
}

/// What the `Content-Type` says, its parameters aside.
fn form(headers: &HeaderMap) -> Result<Form, Refused> {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Ok(Form::Protobuf),
        "application/json" => Ok(Form::Json),
        _ => Err(Refused::Unsupported(format!(
            "content type {:?} is not OTLP; use application/x-protobuf or application/json",
            essence.chars().take(64).collect::<String>()
        ))),
    }
}

fn success(signal: Signal, receipt: &Receipt, form: Form) -> Response {
    let body = match form {
        Form::Protobuf => response::write(receipt.partial()),
        Form::Json => response::write_json(signal, receipt.partial()),
    };
    answer(StatusCode::OK, form, body)
}

fn refusal(refused: &Refused, form: Form) -> Response {
    let body = match form {
        Form::Protobuf => status::protobuf(refused),
        Form::Json => response::write_status_json(refused.grpc_code(), &status::words(refused)),
    };
    let code = StatusCode::from_u16(refused.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = answer(code, form, body);
    status::advise(refused, response.headers_mut());
    response
}

fn answer(code: StatusCode, form: Form, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    let content_type = match form {
        Form::Protobuf => "application/x-protobuf",
        Form::Json => "application/json",
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// The batch id goes back with a success, and with a conflict, which is about it.
pub(crate) fn echo(headers: &HeaderMap, outcome: &Result<Receipt, Refused>) -> Option<HeaderValue> {
    match outcome {
        Ok(_) | Err(Refused::Conflict(_)) => headers.get(BatchId::HEADER).cloned(),
        Err(_) => None,
    }
}
