//! `grpc.health.v1.Health`, for load balancers: serving as long as it answers.

use axum::{extract::Request, response::Response};
use petrel_wire::Signal;

use crate::{
    ReceiverConfig, Refused,
    body::Incoming,
    budget::Budget,
    grpc::{is_grpc, not_found, not_grpc, refusal, success},
    inflate::Coding,
};

pub(crate) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// `HealthCheckResponse { status: SERVING }`.
const SERVING: [u8; 2] = [0x08, 0x01];

/// The names of services are short.
const MOST_BYTES: usize = 1024;

pub(crate) async fn check(request: Request) -> Response {
    if !is_grpc(request.headers()) {
        return not_grpc();
    }
    let mut share = Budget::new(MOST_BYTES as u64).share(0);
    let mut body = Incoming::new(request.into_body(), &ReceiverConfig::default(), None);
    match body
        .read_message(MOST_BYTES, Coding::Identity, &mut share)
        .await
    {
        Ok((false, message)) if is_known(&message) => success(&SERVING),
        Ok(_) => not_found(),
        Err(refused) => refusal(&refused),
    }
}

/// Clients take this answer as a reason to use `Check` (health checking protocol, "Watch").
pub(crate) async fn watch(_request: Request) -> Response {
    refusal(&Refused::Unsupported(
        "Watch is not offered; use Check".to_owned(),
    ))
}

/// `HealthCheckRequest { service }`, field 1.
fn is_known(message: &[u8]) -> bool {
    match message {
        [] | [0x0a, 0] => true,
        [0x0a, length, name @ ..] if usize::from(*length) == name.len() => {
            Signal::ALL.into_iter().any(|signal| {
                let path = signal.grpc_path().trim_start_matches('/');
                path.split('/').next().map(str::as_bytes) == Some(name)
            })
        }
        _ => false,
    }
}
