//! The present beside the past.

use std::sync::Arc;
use std::time::Duration;

use petrel_spool::{Class, Directory, Entry, Spool, SpoolConfig, Tuning};
use petrel_wire::{Delivery, Signal, SystemClock, UnixNanos};
use tempfile::TempDir;

use crate::entries::{assert_balanced, entry};

fn open(dir: &TempDir, live_percent: u8) -> Spool {
    let tuning = Tuning {
        segment_bytes: Some(256 << 10),
        settle_after: Duration::from_millis(20),
        ..Tuning::default()
    };
    let config = SpoolConfig {
        live_percent,
        ..SpoolConfig::at(dir.path())
    };
    let disk = Arc::new(Directory::new(dir.path()).unwrap());
    Spool::open_on(disk, config, tuning, SystemClock::shared()).unwrap()
}

/// An entry that was accepted so long ago.
fn of_age(seconds: u64, fill: u64) -> Entry {
    let mut entry = entry(10_000, fill);
    let now = SystemClock::shared().wall().0;
    entry.accepted = UnixNanos(now - seconds * 1_000_000_000);
    entry
}

async fn fill(spool: &Spool, seconds: u64, count: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for n in 0..count {
        let spooled = spool.append(of_age(seconds, n), Class::Bulk).await;
        numbers.push(spooled.unwrap().id().seq);
    }
    numbers
}

async fn lease_and_settle(spool: &Spool, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let lease = spool.lease().await.unwrap();
        numbers.push(lease.id().seq);
        lease.settle(&Delivery::Committed);
    }
    numbers
}

#[tokio::test]
async fn behind_a_backlog_seven_of_ten_leases_are_for_the_present() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir, 70);
    let old = fill(&spool, 3600, 100).await;
    // The first live turn closes what is behind; what comes then has a segment of its own.
    let begun = lease_and_settle(&spool, 2).await;
    let new = fill(&spool, 0, 60).await;
    let leased = lease_and_settle(&spool, 50).await;
    let (present, past): (Vec<u64>, Vec<u64>) = leased.iter().partition(|n| new.contains(n));
    assert!((34..=36).contains(&present.len()), "{leased:?}");
    let newest_segment = present.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(
        newest_segment <= 3,
        "not in order within a segment: {present:?}"
    );
    assert!(past.is_sorted() && past[0] <= 3 && begun.iter().all(|n| old.contains(n)));
}

#[tokio::test]
async fn without_a_backlog_or_when_told_so_the_oldest_goes_first() {
    for (live_percent, seconds) in [(70, 10), (0, 3600)] {
        let dir = TempDir::new().unwrap();
        let spool = open(&dir, live_percent);
        let mut all = fill(&spool, seconds, 60).await;
        all.extend(fill(&spool, 0, 20).await);
        assert_eq!(lease_and_settle(&spool, 80).await, all);
    }
}

#[tokio::test]
async fn what_arrives_is_never_more_ranges_than_the_spool_had_files() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir, 70);
    fill(&spool, 7200, 300).await;
    let mut seen = std::collections::BTreeSet::new();
    let mut worst = 0;
    // Two leave for each that comes.
    for round in 0..600 {
        if round % 2 == 0 {
            fill(&spool, 0, 1).await;
        }
        seen.extend(lease_and_settle(&spool, 1).await);
        let ranges = seen.iter().filter(|n| !seen.contains(&(*n + 1))).count();
        worst = worst.max(ranges);
    }
    // 300 entries of 10 kB in segments of 256 KiB, and a few that were closed early.
    assert!(worst <= 24, "{worst} ranges");
    spool.flush().await.unwrap();
    assert_eq!(spool.stats().entries, 0);
}

#[tokio::test]
async fn a_signal_that_is_held_back_waits_in_order_while_others_are_leased() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir, 0);
    for fill in 0..300 {
        let _spooled = spool.append(entry(100, fill), Class::Bulk).await.unwrap();
    }
    spool.hold(Signal::Traces, true);
    let mut leases = Vec::new();
    for _ in 0..200 {
        let lease = spool.lease().await.unwrap();
        assert_ne!(lease.entry().sealed.signal(), Signal::Traces);
        leases.push(lease);
    }
    let waiting = tokio::spawn({
        let spool = spool.clone();
        async move { spool.lease().await.unwrap() }
    });
    spool.flush().await.unwrap();
    spool.flush().await.unwrap();
    assert!(!waiting.is_finished());
    spool.hold(Signal::Traces, false);
    let first = waiting.await.unwrap();
    assert_eq!(first.entry().accepted.0, 0);
    first.settle(&Delivery::Committed);
    for fill in (3..300).step_by(3) {
        let lease = spool.lease().await.unwrap();
        assert_eq!(lease.entry().accepted.0, fill);
        lease.settle(&Delivery::Committed);
    }
    for lease in leases {
        lease.settle(&Delivery::Committed);
    }
    spool.flush().await.unwrap();
    assert_eq!(spool.stats().entries, 0);
    assert_balanced(&spool.stats());
}
