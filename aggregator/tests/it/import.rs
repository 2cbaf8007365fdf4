//! An archive, into the journal of an aggregator that is stopped.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use petrel_aggregator::config::Config;
use petrel_aggregator::import::{self, ImportArgs, ImportError, Imported};
use petrel_spool::{ArchiveWriter, Class, Entry, ProjectId, Spool, SpoolConfig};
use petrel_wire::{AgentId, Batch, BatchId, Limits, Sealed, Signal, SystemClock};

use crate::ingest::spans;

fn config(dir: &Path) -> Config {
    let text = "projects: [{id: 1, token: one}]\nch: {addr: '127.0.0.1:1'}\n";
    let mut config = Config::parse("petrel.yml", text, &|_| None).unwrap().config;
    dir.clone_into(&mut config.data_dir);
    config
}

/// An archive of so many batches as an agent would have sent them.
fn archive(dir: &Path, batches: u64) -> PathBuf {
    archive_with(dir, 1..=batches, 0)
}

/// The same with so many items more in each.
fn archive_with(dir: &Path, numbers: RangeInclusive<u64>, more: usize) -> PathBuf {
    let mut archive = ArchiveWriter::new(Vec::new()).unwrap();
    for seq in numbers {
        let items = usize::try_from(seq).unwrap() + more;
        let batch = Batch::from_protobuf(Signal::Traces, spans(items).into(), &Limits::default());
        let sealed = Sealed::pack(&batch.unwrap());
        let id = BatchId {
            agent: AgentId(9),
            epoch: 1,
            seq,
            hash: sealed.hash(),
        };
        let entry = Entry {
            project: ProjectId::default(),
            origin: None,
            accepted: SystemClock::shared().wall(),
            sealed,
        };
        archive.append(&id, Class::Bulk, &entry).unwrap();
    }
    let path = dir.join("archive");
    std::fs::write(&path, archive.finish().unwrap()).unwrap();
    path
}

fn arguments(file: &Path, token: &str) -> ImportArgs {
    ImportArgs {
        file: file.to_owned(),
        dsn: format!("http://{token}@localhost:14318?grpc=14317"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_exported_is_imported_once_for_the_project_of_the_dsn() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let file = archive(dir.path(), 3);
    for (stored, known) in [(3, 0), (0, 3)] {
        let done = import::run(&config, &arguments(&file, "one"))
            .await
            .unwrap();
        let expected = Imported {
            stored,
            known,
            ..Imported::default()
        };
        assert_eq!(done, expected);
    }
    // A clone's number 3, with other contents, and a number 4.
    let clones = archive_with(dir.path(), 3..=4, 1);
    let done = import::run(&config, &arguments(&clones, "one"))
        .await
        .unwrap();
    let expected = Imported {
        stored: 1,
        known: 0,
        conflicting: 1,
    };
    assert_eq!(done, expected);
    let journal =
        Spool::open(SpoolConfig::at(config.journal_dir()), SystemClock::shared()).unwrap();
    assert_eq!(journal.stats().by_signal[0].here, 1 + 2 + 3 + 5);
    // A cut is of one segment, and every start began one.
    let mut batches = 0;
    while batches < 4 {
        let cut = journal.cut(u64::MAX, u64::MAX).await.unwrap();
        let project = |(_, entry): &(BatchId, Entry)| entry.project == ProjectId(1);
        assert!(cut.entries().iter().all(project));
        batches += cut.entries().len();
        cut.settle().await.unwrap();
    }
    assert_eq!((batches, journal.stats().entries), (4, 0));

    let error = import::run(&config, &arguments(&file, "one"))
        .await
        .unwrap_err();
    assert!(matches!(error, ImportError::InUse(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strange_token_and_a_strange_file_import_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let file = archive(dir.path(), 1);
    let error = import::run(&config, &arguments(&file, "two"))
        .await
        .unwrap_err();
    assert!(matches!(error, ImportError::Unknown), "{error}");
    std::fs::write(&file, "spans").unwrap();
    let error = import::run(&config, &arguments(&file, "one"))
        .await
        .unwrap_err();
    assert!(matches!(error, ImportError::Archive { .. }), "{error}");
    let whole = std::fs::read(archive(dir.path(), 2)).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let error = import::run(&config, &arguments(&file, "one"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("after 2 batches"), "{error}");
}
