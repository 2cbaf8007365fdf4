//! An fsync that fails, as the kernel does it: what it should have written can be read until the
//! power goes, and no later fsync writes it.

use std::sync::Arc;
use std::time::Duration;

use petrel_spool::{Class, Spool, SpoolError, Tuning, WhenFull};
use petrel_wire::Delivery;

use crate::entries::{Random, assert_balanced, entry, from_agent, open_on};
use crate::sim_disk::SimDisk;

fn open(disk: &SimDisk) -> Result<Spool, SpoolError> {
    let tuning = Tuning {
        segment_bytes: Some(96 << 10),
        settle_after: Duration::from_secs(3600),
        retry_after: Duration::from_millis(1),
        retry_most: Duration::from_millis(1),
        ballast_bytes: Some(16 << 10),
        ..Tuning::default()
    };
    open_on(Arc::new(disk.clone()), 1 << 30, WhenFull::Refuse, tuning)
}

#[tokio::test]
async fn an_fsync_that_fails_once_costs_one_refusal() {
    let disk = SimDisk::new();
    let spool = open(&disk).unwrap();
    let _spooled = spool.append(entry(5000, 1), Class::Bulk).await.unwrap();
    disk.fail_syncs(1, 0);
    let error = spool.append(entry(5000, 2), Class::Bulk).await.unwrap_err();
    assert!(matches!(error, SpoolError::Disk { .. }) && error.is_retryable());
    assert!(spool.stats().disk_failing);
    let words = spool.stats().trouble.unwrap();
    assert!(words.contains("error"), "{words}");
    disk.stop_failing();
    // It tries again by itself.
    while spool.stats().disk_failing {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let spooled = spool.append(entry(5000, 2), Class::Bulk).await.unwrap();
    disk.cut_now();
    drop(spool);
    let spool = open(&disk.after_a_cut(&mut Random::new(1))).unwrap();
    let lease = spool.lease().await.unwrap();
    assert_eq!(lease.entry(), &entry(5000, 1));
    let mut ids = Vec::new();
    while ids.len() < usize::try_from(spool.stats().entries).unwrap() - 1 {
        let lease = spool.lease().await.unwrap();
        ids.push(lease.id());
        lease.settle(&Delivery::Committed);
    }
    assert!(ids.contains(&spooled.id()));
}

/// One in three fails, anywhere: appends, settlements, new segments, the state file itself.
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_fsyncs_fail_and_then_the_power() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new();
        let spool = open(&disk).unwrap();
        disk.fail_syncs(3, seed);
        let mut owed = Vec::new();
        let mut claims = Vec::new();
        for fill in 0..40 {
            let bytes = usize::try_from(random.below(20_000)).unwrap();
            let entry = from_agent(1, fill + 1, bytes, fill);
            match spool.append(entry.clone(), Class::Bulk).await {
                Ok(spooled) => {
                    // Found again after a failed commit that had reached the disk all the same.
                    if !spooled.seen_before() {
                        owed.push((spooled.id(), entry.clone()));
                    }
                    claims.push(entry);
                }
                Err(error) => {
                    assert!(error.is_retryable(), "{error}");
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            if random.one_in(4) && !owed.is_empty() {
                let lease = spool.lease().await.unwrap();
                owed.retain(|(id, _)| *id != lease.id());
                lease.settle(&Delivery::Committed);
            }
            if random.one_in(4) {
                // Refused or not: what is settled stays settled, or comes once more.
                let _flushed = spool.flush().await;
            }
        }
        assert_balanced(&spool.stats());
        disk.cut_now();
        spool.close().await;

        let spool = open(&disk.after_a_cut(&mut random)).unwrap();
        let stats = spool.stats();
        assert_balanced(&stats);
        assert_eq!(stats.quarantined_files, 0, "seed {seed}: {stats:#?}");
        let mut here = Vec::new();
        for _ in 0..stats.entries {
            let lease = spool.lease().await.unwrap();
            here.push((lease.id(), lease.entry().clone()));
            lease.settle(&Delivery::Committed);
        }
        for (id, entry) in &owed {
            let found = here.iter().find(|(known, _)| known == id);
            assert_eq!(found.map(|(_, e)| e), Some(entry), "seed {seed}: {id}");
        }
        for entry in &claims {
            let again = spool.append(entry.clone(), Class::Bulk).await.unwrap();
            assert!(again.seen_before(), "seed {seed}: {:?}", entry.origin);
        }
    }
}

/// Whoever is told "no" passes the batch on to somebody else: then it may not come back.
#[tokio::test]
async fn what_the_spool_denies_after_a_failed_fsync_does_not_come_back() {
    let mut denied_in_all = 0;
    for seed in 0..60 {
        let disk = SimDisk::new();
        let spool = open(&disk).unwrap();
        let mut denied = Vec::new();
        disk.fail_syncs(3, seed);
        for fill in 0..20 {
            let entry = from_agent(1, fill + 1, 3000, fill);
            if spool.append(entry.clone(), Class::Bulk).await.is_err()
                && let Ok(false) = spool.knows(entry.project, entry.origin.unwrap()).await
            {
                denied.push(entry);
            }
        }
        // The process ends, and what the kernel has is still there.
        spool.close().await;
        disk.stop_failing();
        let spool = open(&disk).unwrap();
        for entry in &denied {
            let again = spool.append(entry.clone(), Class::Bulk).await.unwrap();
            assert!(!again.seen_before(), "seed {seed}: {:?}", entry.origin);
        }
        denied_in_all += denied.len();
    }
    assert!(
        denied_in_all > 0,
        "nothing was ever denied: this shows nothing"
    );
}
