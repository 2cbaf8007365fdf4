//! A machine that is cloned, or brought back from a backup, brings its spool along; and a spool that
//! has forgotten what it knew.

use std::fs;

use petrel_spool::{Class, Spool};
use petrel_wire::Delivery;
use tempfile::TempDir;

use crate::entries::{assert_balanced, entry, open};

/// Sends everything to the next hop; how much of it that took for something it knows.
async fn send(spool: &Spool, next_hop: &Spool) -> Vec<u64> {
    let mut known = Vec::new();
    while spool.stats().entries > 0 {
        let lease = spool.lease().await.unwrap();
        let mut entry = lease.entry().clone();
        let fill = entry.accepted.0;
        entry.origin = Some(lease.name());
        let spooled = next_hop.append(entry, Class::Keep).await.unwrap();
        if spooled.seen_before() {
            known.push(fill);
        }
        lease.settle(&Delivery::Committed);
        spool.flush().await.unwrap();
    }
    known.sort_unstable();
    known
}

#[tokio::test]
async fn what_a_copy_takes_is_never_mistaken_for_what_the_original_took() {
    let (original, copy, center) = (
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
    );
    let next_hop = open(&center);
    let spool = open(&original);
    for fill in 1..=5 {
        let _spooled = spool.append(entry(100, fill), Class::Bulk).await.unwrap();
    }
    spool.close().await;
    for file in fs::read_dir(original.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }

    // The original gets far ahead of the copy, which then goes on where it was made.
    for (place, first, again) in [(&original, 100, vec![]), (&copy, 400, vec![1, 2, 3, 4, 5])] {
        let spool = open(place);
        for fill in first..first + 200 {
            let _spooled = spool.append(entry(100, fill), Class::Bulk).await.unwrap();
        }
        assert_eq!(send(&spool, &next_hop).await, again);
        assert_balanced(&spool.stats());
    }
    assert_eq!(next_hop.stats().entries, 5 + 200 + 200);
}

#[tokio::test]
async fn a_start_that_takes_nothing_makes_no_file() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let _spooled = spool.append(entry(100, 1), Class::Bulk).await.unwrap();
    spool.close().await;
    let files = || fs::read_dir(dir.path()).unwrap().count();
    let before = files();
    for _ in 0..3 {
        open(&dir).close().await;
    }
    assert_eq!(files(), before);
}

#[tokio::test]
async fn a_spool_that_has_lost_its_state_file_loses_and_doubles_nothing() {
    let (site, center) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let next_hop = open(&center);
    let spool = open(&site);
    let before = spool.identity().0;
    for fill in 1..=10 {
        let _spooled = spool.append(entry(100, fill), Class::Bulk).await.unwrap();
    }
    for fill in 1..=5 {
        let lease = spool.lease().await.unwrap();
        let mut entry = lease.entry().clone();
        assert_eq!(entry.accepted.0, fill);
        entry.origin = Some(lease.name());
        let _spooled = next_hop.append(entry, Class::Keep).await.unwrap();
        lease.settle(&Delivery::Committed);
    }
    spool.close().await;
    fs::remove_file(site.path().join("state.redb")).unwrap();

    let spool = open(&site);
    for fill in 11..=15 {
        let _spooled = spool.append(entry(100, fill), Class::Bulk).await.unwrap();
    }
    assert_ne!(spool.identity().0, before);
    // What had been settled comes again, under its old name.
    assert_eq!(send(&spool, &next_hop).await, [1, 2, 3, 4, 5]);
    assert_eq!(next_hop.stats().entries, 15);
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_directory_that_was_removed() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let _spooled = spool.append(entry(100, 1), Class::Bulk).await.unwrap();
    fs::remove_dir_all(dir.path()).unwrap();
    for fill in 2..5 {
        let answer = spool.append(entry(100, fill), Class::Bulk).await;
        assert!(answer.is_err_and(|error| error.is_retryable()));
    }
}
