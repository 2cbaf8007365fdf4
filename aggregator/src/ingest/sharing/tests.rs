use petrel_spool::{Class, Entry, SpoolConfig};
use petrel_wire::{Batch, Limits, Sealed, Signal, SystemClock};
use tempfile::TempDir;

use super::*;
use crate::metadata::Database;

const PROJECT: ProjectId = ProjectId(1);

/// An aggregator as far as the ledger sees it.
struct Neighbour {
    sharing: Sharing,
    _dir: TempDir,
}

impl Neighbour {
    fn of(metadata: &Metadata) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Spool::open(SpoolConfig::at(dir.path()), SystemClock::shared()).unwrap();
        Self {
            sharing: Sharing::new(metadata.clone(), journal),
            _dir: dir,
        }
    }

    async fn append(&self, batch: BatchId, sealed: &Sealed) {
        let entry = Entry {
            project: PROJECT,
            origin: Some(batch),
            accepted: SystemClock::shared().wall(),
            sealed: sealed.clone(),
        };
        let spooled = self.sharing.journal.append(entry, Class::Keep).await;
        assert!(!spooled.unwrap().seen_before());
    }

    /// Ends what is interrupted, as after five seconds.
    async fn look(&self) {
        self.sharing.look(Duration::ZERO).await.unwrap();
    }
}

async fn two() -> (Neighbour, Neighbour, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("meta.sqlite"));
    let metadata = Metadata::open(&database, SystemClock::shared())
        .await
        .unwrap();
    (Neighbour::of(&metadata), Neighbour::of(&metadata), dir)
}

fn batch() -> (BatchId, Sealed) {
    // One resource with one scope with one empty span.
    let bytes: &[u8] = &[0x0a, 0x04, 0x12, 0x02, 0x12, 0x00];
    let batch = Batch::from_protobuf(Signal::Traces, bytes.into(), &Limits::default());
    let sealed = Sealed::pack(&batch.unwrap());
    let id = BatchId {
        agent: AgentId(9),
        epoch: 1,
        seq: 1,
        hash: sealed.hash(),
    };
    (id, sealed)
}

#[tokio::test]
async fn a_batch_that_a_neighbour_has_taken_is_answered_for_and_not_taken_again() {
    let (here, there, _dir) = two().await;
    let (id, sealed) = batch();
    let held = here.sharing.claim(PROJECT, id).await.unwrap().unwrap();
    let early = there.sharing.claim(PROJECT, id).await.unwrap_err();
    assert!(matches!(early, Refused::Elsewhere { .. }), "{early}");
    here.append(id, &sealed).await;
    held.confirm().await.unwrap();
    assert!(there.sharing.claim(PROJECT, id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_claim_cut_off_before_the_journal_is_given_up_and_one_cut_off_after_it_is_kept() {
    let (here, there, _dir) = two().await;
    let (id, sealed) = batch();
    drop(here.sharing.claim(PROJECT, id).await.unwrap());
    here.look().await;
    let held = there.sharing.claim(PROJECT, id).await.unwrap();
    there.append(id, &sealed).await;
    // The answer's request is gone before it was confirmed.
    drop(held);
    let early = here.sharing.claim(PROJECT, id).await.unwrap_err();
    assert!(matches!(early, Refused::Elsewhere { .. }), "{early}");
    there.look().await;
    assert!(here.sharing.claim(PROJECT, id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_request_under_way_keeps_its_claim_however_long_it_takes() {
    let (here, there, _dir) = two().await;
    let (id, _) = batch();
    let held = here.sharing.claim(PROJECT, id).await.unwrap();
    here.look().await;
    assert!(there.sharing.claim(PROJECT, id).await.is_err());
    drop(held);
}
