//! What goes first, and what is dropped last.

use std::collections::BTreeMap;

use petrel_spool::{Class, SpoolError, SpoolStats, WhenFull};
use petrel_wire::Delivery;
use tempfile::TempDir;

use crate::entries::{assert_balanced, entry, open, open_with, sum};

#[tokio::test]
async fn what_is_to_be_kept_goes_first_and_each_class_has_numbers_without_holes() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    for fill in 1..=60 {
        let class = if fill % 3 == 0 {
            Class::Keep
        } else {
            Class::Bulk
        };
        let _spooled = spool.append(entry(20_000, fill), class).await.unwrap();
    }
    spool.close().await;
    let spool = open(&dir);
    let mut fills = Vec::new();
    let mut numbers: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for _ in 0..60 {
        let lease = spool.lease().await.unwrap();
        numbers
            .entry(lease.id().epoch)
            .or_default()
            .push(lease.id().seq);
        fills.push(lease.entry().accepted.0);
        lease.settle(&Delivery::Committed);
    }
    let (keep, bulk): (Vec<u64>, Vec<u64>) = (1..=60).partition(|fill| fill % 3 == 0);
    assert_eq!(fills, [keep, bulk].concat());
    let numbers: Vec<_> = numbers.into_values().collect();
    assert_eq!(numbers.len(), 2);
    for of_class in numbers {
        let count = of_class.len() as u64;
        assert_eq!(of_class, (1..=count).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn callers_of_both_classes_are_answered_by_one_turn() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let appends = (0..100).map(|fill| {
        let class = if fill % 2 == 0 {
            Class::Keep
        } else {
            Class::Bulk
        };
        let spool = spool.clone();
        tokio::spawn(async move { spool.append(entry(500, fill), class).await.unwrap().id() })
    });
    let mut ids = Vec::new();
    for append in appends.collect::<Vec<_>>() {
        ids.push(append.await.unwrap());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100);
}

#[tokio::test]
async fn bulk_leaves_a_fifth_of_the_bound_to_what_is_to_be_kept() {
    let dir = TempDir::new().unwrap();
    let limit = 6 << 20;
    let spool = open_with(&dir, limit, WhenFull::Refuse);
    let error = loop {
        if let Err(error) = spool.append(entry(100_000, 1), Class::Bulk).await {
            break error;
        }
    };
    assert!(matches!(error, SpoolError::Full { .. }), "{error}");
    assert!(spool.stats().used_bytes < limit / 100 * 85);
    for fill in 0..8 {
        let _spooled = spool
            .append(entry(100_000, fill), Class::Keep)
            .await
            .unwrap();
    }
}

/// What is here, by the number that each entry was made from.
async fn fills_here(spool: &petrel_spool::Spool) -> Vec<u64> {
    let mut leases = Vec::new();
    for _ in 0..spool.stats().entries {
        leases.push(spool.lease().await.unwrap());
    }
    leases
        .iter()
        .map(|lease| lease.entry().accepted.0)
        .collect()
}

fn evicted(stats: &SpoolStats) -> u64 {
    sum(stats, |s| s.evicted)
}

#[tokio::test]
async fn the_oldest_bulk_is_dropped_first_and_then_the_oldest_of_what_is_kept() {
    let dir = TempDir::new().unwrap();
    let spool = open_with(&dir, 4 << 20, WhenFull::EvictOldest);
    for fill in 1..=10 {
        let _spooled = spool
            .append(entry(100_000, fill), Class::Keep)
            .await
            .unwrap();
    }
    for fill in 101..=200 {
        let _spooled = spool
            .append(entry(100_000, fill), Class::Bulk)
            .await
            .unwrap();
    }
    let stats = spool.stats();
    assert!(evicted(&stats) > 0);
    let here = fills_here(&spool).await;
    assert_eq!(here[..10], (1..=10).collect::<Vec<_>>());
    assert!(here.contains(&200) && !here.contains(&101), "{here:?}");

    // More than everything: first the bulk goes, all of it, then the oldest.
    for fill in 11..=80 {
        let _spooled = spool
            .append(entry(100_000, fill), Class::Keep)
            .await
            .unwrap();
    }
    let stats = spool.stats();
    assert_balanced(&stats);
    let here = fills_here(&spool).await;
    assert!(here.iter().all(|fill| *fill <= 80), "{here:?}");
    assert!(here.contains(&80) && !here.contains(&1), "{here:?}");

    // And bulk does not displace it.
    let error = spool.append(entry(100_000, 300), Class::Bulk).await;
    assert!(matches!(error, Err(SpoolError::Full { .. })), "{error:?}");
    assert_eq!(evicted(&spool.stats()), evicted(&stats));
}
