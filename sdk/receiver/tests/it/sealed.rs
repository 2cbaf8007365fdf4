//! Batches with an identity.

use petrel_receiver::{Arrival, ReceiverConfig, Refused};
use petrel_wire::{AgentId, Batch, BatchId, Limits, Sealed, Signal};
use prost::Message as _;

use crate::door::{Served, client, spans};

fn sealed() -> (BatchId, Sealed) {
    let bytes = spans(20).encode_to_vec().into();
    let batch = Batch::from_protobuf(Signal::Traces, bytes, &Limits::default()).unwrap();
    let sealed = Sealed::pack(&batch);
    let id = BatchId {
        agent: AgentId(1),
        epoch: 2,
        seq: 3,
        hash: sealed.hash(),
    };
    (id, sealed)
}

async fn send(served: &Served, id: &str, body: Vec<u8>, encoding: &str) -> reqwest::Response {
    client()
        .post(served.url("/v1/traces"))
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", encoding)
        .header(BatchId::HEADER, id)
        .body(body)
        .send()
        .await
        .unwrap()
}

fn echo(response: &reqwest::Response) -> Option<&str> {
    response
        .headers()
        .get(BatchId::HEADER)
        .map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_sealed_batch_goes_on_as_it_came_and_its_id_comes_back() {
    let served = Served::new(ReceiverConfig::default()).await;
    let (id, sealed) = sealed();
    let response = send(&served, &id.to_string(), sealed.body().to_vec(), "zstd").await;
    assert_eq!(response.status(), 200);
    assert_eq!(echo(&response), Some(id.to_string().as_str()));
    let accepted = served.door.accepted.lock().unwrap();
    let [
        Arrival::Sealed {
            id: came,
            sealed: body,
            batch,
        },
    ] = accepted.as_slice()
    else {
        panic!("{accepted:?}")
    };
    assert_eq!((came, body.body(), batch.items()), (&id, sealed.body(), 20));
}

#[tokio::test]
async fn a_body_that_is_not_the_promised_one_is_refused() {
    let served = Served::new(ReceiverConfig::default()).await;
    let (id, sealed) = sealed();
    let other = BatchId {
        hash: id.hash ^ 1,
        ..id
    };
    for (id, encoding) in [
        (other.to_string(), "zstd"),
        ("nonsense".to_owned(), "zstd"),
        (id.to_string(), "identity"),
    ] {
        let response = send(&served, &id, sealed.body().to_vec(), encoding).await;
        assert_eq!(response.status(), 400, "{id} {encoding}");
        assert_eq!(
            echo(&response),
            None,
            "only an answer about the batch names it"
        );
    }
    assert!(served.door.accepted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_conflict_names_the_batch_it_is_about() {
    let served = Served::new(ReceiverConfig::default()).await;
    *served.door.answer.lock().unwrap() = Some(Refused::Conflict("a copy".to_owned()));
    let (id, sealed) = sealed();
    let response = send(&served, &id.to_string(), sealed.body().to_vec(), "zstd").await;
    assert_eq!(response.status(), 409);
    assert_eq!(echo(&response), Some(id.to_string().as_str()));
}
