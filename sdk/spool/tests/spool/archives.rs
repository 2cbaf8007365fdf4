//! Looking without touching, archives, and what a person decides about dead letters.

use std::fs;
use std::path::Path;

use petrel_spool::{
    ArchiveReader, ArchiveWriter, Archived, Class, Glance, Spool, SpoolConfig, SpoolError,
};
use petrel_wire::{Delivery, Refusal, SystemClock};
use tempfile::TempDir;

use crate::entries::{assert_balanced, entry, open, sum};

async fn sow(dir: &TempDir) -> Spool {
    let spool = open(dir);
    for fill in 1..=30 {
        let class = if fill % 5 == 0 {
            Class::Keep
        } else {
            Class::Bulk
        };
        let _spooled = spool.append(entry(20_000, fill), class).await.unwrap();
    }
    spool.lease().await.unwrap().settle(&Delivery::Committed);
    spool.flush().await.unwrap();
    spool
}

fn image(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name(), fs::read(file.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_glance_sees_what_is_there_and_changes_nothing_with_and_without_an_owner() {
    let dir = TempDir::new().unwrap();
    let spool = sow(&dir).await;
    for owned in [true, false] {
        let before = image(dir.path());
        let glance = Glance::at(dir.path()).unwrap();
        let seen = glance.inspect();
        let pid = std::process::id().to_string();
        assert_eq!(seen.owner, owned.then_some(pid));
        assert_eq!(seen.agent, spool.identity().0);
        assert!(seen.segments.len() > 2 && seen.quarantined.is_empty());
        let mut fills: Vec<u64> = glance.waiting().map(|it| it.entry.accepted.0).collect();
        fills.sort_unstable();
        let all: Vec<u64> = (1..=30).filter(|fill| *fill != 5).collect();
        assert_eq!(fills, all);
        drop(glance);
        assert_eq!(image(dir.path()), before);
        spool.clone().close().await;
    }
    let empty = TempDir::new().unwrap();
    let error = Glance::at(empty.path()).unwrap_err();
    assert!(matches!(error, SpoolError::None { .. }), "{error}");
    assert!(error.to_string().contains("no spool in"), "{error}");
    let absent = empty.path().join("absent");
    assert!(Glance::at(&absent).is_err() && !absent.exists());
}

#[tokio::test]
async fn an_owner_at_work_is_looked_at_without_harm() {
    let dir = TempDir::new().unwrap();
    let spool = sow(&dir).await;
    let writing = tokio::spawn({
        let spool = spool.clone();
        async move {
            for fill in 100..400 {
                let _spooled = spool.append(entry(3000, fill), Class::Bulk).await.unwrap();
            }
        }
    });
    while !writing.is_finished() {
        let path = dir.path().to_owned();
        let seen = tokio::task::spawn_blocking(move || {
            let glance = Glance::at(&path).unwrap();
            let seen = glance.waiting().count();
            (seen, glance.inspect().segments.len())
        });
        assert!(seen.await.unwrap().0 >= 29);
    }
    writing.await.unwrap();
    let stats = spool.stats();
    assert_balanced(&stats);
    assert_eq!((stats.entries, sum(&stats, |s| s.corrupt)), (329, 0));
}

#[tokio::test]
async fn an_export_takes_everything_out_and_importing_it_twice_stores_it_once() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let spool = sow(&from).await;
    let before = sum(&spool.stats(), |s| s.here);
    let mut archive = ArchiveWriter::new(Vec::new()).unwrap();
    assert_eq!(spool.export(&mut archive, |_| Ok(())).await.unwrap(), 29);
    let archive = archive.finish().unwrap();
    let stats = spool.stats();
    assert_balanced(&stats);
    assert_eq!((stats.entries, sum(&stats, |s| s.exported)), (0, before));
    spool.close().await;
    let again = open(&from).stats();
    assert_eq!(again.by_signal, stats.by_signal);

    let batches: Vec<Archived> = ArchiveReader::open(archive.as_slice())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let keep = batches.iter().filter(|it| it.class == Class::Keep);
    assert_eq!(keep.count(), 5);
    let spool = open(&to);
    for round in 0..2 {
        for batch in batches.clone() {
            let spooled = spool.append(batch.entry, batch.class).await.unwrap();
            assert_eq!(spooled.seen_before(), round == 1);
        }
    }
    assert_eq!(spool.stats().entries, 29);
    for batch in &batches[..5] {
        let lease = spool.lease().await.unwrap();
        // The name that the agent gave it, so that the next hop knows it too.
        assert_eq!((lease.name(), lease.class()), (batch.id, Class::Keep));
        lease.settle(&Delivery::Committed);
    }
}

#[tokio::test]
async fn a_dead_letter_is_retried_under_its_name_or_dropped() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let mut ids = Vec::new();
    let refusal = Delivery::Refused(Refusal::Data, "HTTP 400: no".to_owned());
    for fill in 1..=3 {
        let _spooled = spool
            .append(entry(40_000, fill), Class::Bulk)
            .await
            .unwrap();
        let lease = spool.lease().await.unwrap();
        ids.push(lease.id());
        lease.settle(&refusal);
    }
    spool.flush().await.unwrap();
    for _ in 0..2 {
        // Refused again, it is a dead letter again, and can be tried once more.
        let spooled = spool.retry_dead_letter(ids[0]).await.unwrap().unwrap();
        assert!(!spooled.seen_before());
        assert_eq!(spool.dead_letters(10).await.unwrap().len(), 2);
        let lease = spool.lease().await.unwrap();
        assert_eq!((lease.name(), lease.entry().accepted.0), (ids[0], 1));
        lease.settle(&refusal);
        spool.flush().await.unwrap();
        assert_eq!(spool.dead_letters(10).await.unwrap().len(), 3);
    }
    assert_eq!(spool.drop_dead_letters(vec![ids[1]]).await.unwrap(), 1);
    assert_eq!(spool.drop_dead_letters(vec![ids[1]]).await.unwrap(), 0);
    assert!(spool.retry_dead_letter(ids[1]).await.unwrap().is_none());
    assert_balanced(&spool.stats());
    spool.close().await;
    let glance = Glance::at(dir.path()).unwrap();
    let mut left: Vec<_> = glance
        .dead_letters(10)
        .into_iter()
        .map(|it| it.id)
        .collect();
    left.sort();
    assert_eq!(left, [ids[0], ids[2]]);
    let spool = Spool::open(SpoolConfig::at(dir.path()), SystemClock::shared()).unwrap();
    assert_eq!(spool.drop_dead_letters(left).await.unwrap(), 2);
    let dead = fs::read_dir(dir.path())
        .unwrap()
        .map(|it| it.unwrap().file_name());
    assert!(
        !dead
            .into_iter()
            .any(|it| it.to_string_lossy().starts_with("dead-"))
    );
}
