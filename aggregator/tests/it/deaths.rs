//! A batch over which the process has died again and again.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolConfig};
use petrel_wire::{Batch, Limits, Sealed, Signal, SystemClock, UnixNanos};
use prost::Message as _;

use crate::store::{Running, eventually, logs, now, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_ends_every_life_is_set_aside_and_its_neighbours_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let config = SpoolConfig::at(dir.path().join("journal"));
    let journal = Spool::open(config, SystemClock::shared()).unwrap();
    for body in ["first", "deadly", "last"] {
        let record = LogRecord {
            body: text(body),
            time_unix_nano: now(),
            ..LogRecord::default()
        };
        let request = logs(vec![record]).encode_to_vec().into();
        let batch = Batch::from_protobuf(Signal::Logs, request, &Limits::default()).unwrap();
        let entry = Entry {
            project: ProjectId(7),
            origin: None,
            accepted: UnixNanos(now()),
            sealed: Sealed::pack(&batch),
        };
        drop(journal.append(entry, Class::Keep).await.unwrap());
    }
    // What is cut once comes back in the same extent.
    let cut = journal.cut(1000, 1 << 20).await.unwrap();
    assert_eq!(cut.entries().len(), 3);
    let id = cut.id();
    drop(cut);
    journal.close().await;

    // Three lives have ended over all of it, and one more over the second batch alone.
    let notes = dir.path().join("building");
    std::fs::create_dir(&notes).unwrap();
    std::fs::write(notes.join(format!("{id}-0-3")), "3").unwrap();
    std::fs::write(notes.join(format!("{id}-1-2")), "3").unwrap();

    let running = Running::start(dir.path()).await;
    running.stored().await;
    let bodies = running.sql("SELECT body FROM logs ORDER BY body").await;
    assert_eq!(bodies, [["first"], ["last"]]);
    assert_eq!(running.store.stats().dead_letters(), 1);
    eventually("nothing is noted of a cut that is stored", || {
        std::fs::read_dir(&notes).unwrap().count() == 0
    })
    .await;
    running.stop().await;
}
