//! OTLP/gRPC, asked by tonic.

use std::time::Duration;

use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use petrel_receiver::{ReceiverConfig, Refused, ServeConfig};
use petrel_wire::{Limits, Signal};
use tonic::{
    Code, Request, Response, Status, client::Grpc, codec::CompressionEncoding, transport::Channel,
};

use crate::codec::ProstCodec;
use crate::door::{Remembering, Served, spans};

async fn channel(served: &Served) -> Channel {
    Channel::from_shared(served.url(""))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn export(
    served: &Served,
    encoding: Option<CompressionEncoding>,
    request: Request<ExportTraceServiceRequest>,
) -> Result<Response<ExportTraceServiceResponse>, Status> {
    let mut grpc = Grpc::new(channel(served).await);
    if let Some(encoding) = encoding {
        grpc = grpc.send_compressed(encoding);
    }
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(Signal::Traces.grpc_path());
    grpc.unary(request, path, ProstCodec).await
}

#[tokio::test]
async fn a_call_is_answered_with_every_compression() {
    let served = Served::new(ReceiverConfig::default()).await;
    for encoding in [
        None,
        Some(CompressionEncoding::Gzip),
        Some(CompressionEncoding::Zstd),
    ] {
        for count in [0, 1, 5000] {
            let response = export(&served, encoding, Request::new(spans(count))).await;
            let response = response.unwrap().into_inner();
            assert_eq!(response.partial_success, None);
        }
    }
    assert_eq!(served.door.bodies().len(), 6, "two with items, three times");
}

#[tokio::test]
async fn refusals_carry_their_code_and_retry_info_only_where_a_retry_helps() {
    let served = Served::new(ReceiverConfig::default()).await;
    for (refused, code) in [
        (Refused::busy("später"), Code::Unavailable),
        (Refused::disk("the disk is full"), Code::Unavailable),
        (
            Refused::Throttled {
                after: Duration::from_secs(7),
                reason: "slower".to_owned(),
            },
            Code::ResourceExhausted,
        ),
        (
            Refused::TooLarge("smaller".to_owned()),
            Code::ResourceExhausted,
        ),
        (
            Refused::Malformed("wrong".to_owned()),
            Code::InvalidArgument,
        ),
        (
            Refused::Unauthenticated("who?".to_owned()),
            Code::Unauthenticated,
        ),
        (Refused::Conflict("known".to_owned()), Code::AlreadyExists),
    ] {
        *served.door.answer.lock().unwrap() = Some(refused.clone());
        let status = export(&served, None, Request::new(spans(1)))
            .await
            .unwrap_err();
        assert_eq!(status.code(), code);
        assert_eq!(status.message(), refused.to_string());
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert_eq!(
            details.contains("google.rpc.RetryInfo"),
            refused.retry_after().is_some()
        );
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_by_its_announced_and_by_its_unpacked_length() {
    let config = ReceiverConfig {
        limits: Limits {
            request_bytes: 4096,
            ..Limits::default()
        },
        ..ReceiverConfig::default()
    };
    let served = Served::new(config).await;
    for encoding in [
        None,
        Some(CompressionEncoding::Zstd),
        Some(CompressionEncoding::Gzip),
    ] {
        let status = export(&served, encoding, Request::new(spans(1000)))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{encoding:?}");
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert!(!details.contains("RetryInfo"));
    }
}

#[tokio::test]
async fn who_may_not_come_in_is_unauthenticated() {
    let served = Served::new(ReceiverConfig::default()).await;
    *served.door.admission.lock().unwrap() = Some(Refused::Unauthenticated("no DSN".to_owned()));
    let status = export(&served, None, Request::new(spans(5000)))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "no DSN")
    );
}

#[tokio::test]
async fn rejected_items_are_told_in_a_partial_success() {
    let door = Remembering {
        rejects: 2,
        ..Remembering::default()
    };
    let served = Served::with(door, ReceiverConfig::default(), ServeConfig::default()).await;
    let response = export(&served, None, Request::new(spans(3))).await.unwrap();
    let partial = response.into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert_eq!(partial.error_message, "not these");
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_commits_nothing() {
    let served = Served::new(ReceiverConfig::default()).await;
    let mut request = Request::new(spans(1));
    request
        .metadata_mut()
        .insert("grpc-timeout", "0n".parse().unwrap());
    let status = export(&served, None, request).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    assert!(served.door.bodies().is_empty());
}

#[tokio::test]
async fn unknown_services_are_unimplemented_and_health_is_serving() {
    let served = Served::new(ReceiverConfig::default()).await;
    let ask = |path: &'static str| {
        let served = &served;
        async move {
            let mut grpc = Grpc::new(channel(served).await);
            grpc.ready().await.unwrap();
            let codec = ProstCodec;
            grpc.unary(
                Request::new(ExportTraceServiceRequest::default()),
                PathAndQuery::from_static(path),
                codec,
            )
            .await
        }
    };
    let status =
        ask("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export");
    assert_eq!(status.await.unwrap_err().code(), Code::Unimplemented);
    let health = ask("/grpc.health.v1.Health/Check").await;
    // The answer is a number in the field where an export response has a message.
    assert_eq!(health.unwrap_err().message(), "not this message");
}
