//! An engine that is killed between the token of an insert and its rows.

use petrel_aggregator::rows::{self, Source};
use petrel_spool::ProjectId;
use petrel_wire::{Batch, Limits, Signal, UnixNanos};
use prost::Message as _;

use crate::store::{Running, now, simple_span, traces};

async fn insert(running: &Running, batch: &Batch, accepted: UnixNanos) {
    let source = Source {
        project: ProjectId(1),
        accepted,
        origin: "",
        batch,
    };
    let writer = running.store.writer();
    for (number, block) in rows::build(&[source]).iter().enumerate() {
        let token = format!("token {number}");
        writer.insert(block, &token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_whose_rows_never_got_their_name_is_taken_when_it_comes_again() {
    const COUNT: &str = "SELECT count() FROM span_rows";
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let request = traces((0..10).map(simple_span).collect()).encode_to_vec();
    let batch = Batch::from_protobuf(Signal::Traces, request.into(), &Limits::default()).unwrap();
    let accepted = UnixNanos(now());
    insert(&running, &batch, accepted).await;
    let path = "SELECT path FROM system.parts WHERE active AND table = 'span_rows'";
    let part = running.cell(path).await;
    running.stop().await;

    // What a kill leaves at that moment: the token in the log, and no part of that name.
    std::fs::remove_dir_all(part).unwrap();
    let running = Running::start(dir.path()).await;
    assert_eq!(running.cell(COUNT).await, "0");
    for _ in 0..2 {
        insert(&running, &batch, accepted).await;
        assert_eq!(running.cell(COUNT).await, "10");
    }
    running.stop().await;
}
