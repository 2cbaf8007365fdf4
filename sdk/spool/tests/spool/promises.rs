//! What a user of the spool is promised, one sentence a test, on a real directory.

use std::sync::Arc;

use petrel_spool::{Class, ProjectId, Spool, SpoolConfig, SpoolError, Tuning, WhenFull};
use petrel_wire::{BatchId, Delivery, Refusal, Sealed, Signal, SystemClock};
use tempfile::TempDir;

use crate::entries::{assert_balanced, entry, from_agent, open, open_with, sealed, sum};
use crate::sim_disk::SimDisk;

#[tokio::test]
async fn what_was_appended_is_leased_in_order_and_whole_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let (agent, epoch) = spool.identity();
    for fill in 1..=40 {
        let spooled = spool
            .append(entry(20_000, fill), Class::Bulk)
            .await
            .unwrap();
        assert_eq!(spooled.id().seq, fill);
    }
    spool.close().await;

    let spool = open(&dir);
    assert_eq!(spool.identity(), (agent, epoch));
    let mut leases = Vec::new();
    for fill in 1..=40 {
        let lease = spool.lease().await.unwrap();
        assert_eq!((lease.id().seq, lease.id().epoch), (fill, epoch));
        assert_eq!(lease.entry(), &entry(20_000, fill));
        leases.push(lease);
    }
    for lease in leases {
        lease.settle(&Delivery::Committed);
    }
    spool.flush().await.unwrap();
    let stats = spool.stats();
    assert_balanced(&stats);
    let items: u64 = (1..=40).map(|fill| fill % 5 + 1).sum();
    assert_eq!(sum(&stats, |s| s.delivered), items);
    assert_eq!(stats.entries, 0);
    spool.close().await;
    let stats = open(&dir).stats();
    assert_eq!(
        (sum(&stats, |s| s.spooled), sum(&stats, |s| s.delivered)),
        (items, items)
    );
}

#[tokio::test]
async fn callers_that_wait_together_share_a_commit() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let appends: Vec<_> = (0..200)
        .map(|fill| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.append(entry(500, fill), Class::Bulk).await.unwrap() })
        })
        .collect();
    for append in appends {
        let _spooled = append.await.unwrap();
    }
    let stats = spool.stats();
    assert!(stats.commits < 200, "{} commits", stats.commits);
    assert_eq!(stats.entries, 200);
}

#[tokio::test]
async fn a_lease_that_is_dropped_goes_back_to_the_front() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    for fill in 1..=3 {
        let _spooled = spool.append(entry(100, fill), Class::Bulk).await.unwrap();
    }
    drop(spool.lease().await.unwrap());
    let lease = spool.lease().await.unwrap();
    assert_eq!((lease.id().seq, lease.attempts()), (1, 1));
    lease.settle(&Delivery::Busy {
        after: None,
        reason: String::new(),
    });
    let lease = spool.lease().await.unwrap();
    assert_eq!((lease.id().seq, lease.attempts()), (1, 2));
    lease.settle(&Delivery::Committed);
    assert_eq!(spool.lease().await.unwrap().id().seq, 2);
}

#[tokio::test]
async fn a_settlement_survives_and_a_lease_does_not() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    for fill in 1..=3 {
        let _spooled = spool.append(entry(100, fill), Class::Bulk).await.unwrap();
    }
    spool.lease().await.unwrap().settle(&Delivery::Committed);
    let held = spool.lease().await.unwrap();
    spool.close().await;
    let spool = open(&dir);
    assert_eq!(spool.lease().await.unwrap().id(), held.id());
}

#[tokio::test]
async fn refused_data_becomes_a_dead_letter_with_the_reason() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let spooled = spool.append(entry(50_000, 7), Class::Bulk).await.unwrap();
    let refusal = Delivery::Refused(Refusal::Data, "HTTP 400: no".to_owned());
    spool.lease().await.unwrap().settle(&refusal);
    spool.flush().await.unwrap();
    spool.close().await;
    let spool = open(&dir);
    let letters = spool.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].id, spooled.id());
    assert_eq!(letters[0].reason, "HTTP 400: no");
    assert_eq!(letters[0].entry, entry(50_000, 7));
    let stats = spool.stats();
    assert_balanced(&stats);
    assert_eq!(sum(&stats, |s| s.rejected), 3);
}

#[tokio::test]
async fn a_closed_spool_has_let_go_of_every_file() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    for fill in 0..3 {
        let _spooled = spool
            .append(entry(50_000, fill), Class::Bulk)
            .await
            .unwrap();
    }
    let refusal = Delivery::Refused(Refusal::Data, "HTTP 400: no".to_owned());
    spool.lease().await.unwrap().settle(&refusal);
    spool.flush().await.unwrap();
    spool.close().await;
    let open_files = std::fs::read_dir("/proc/self/fd").unwrap();
    let ours = open_files
        .filter_map(|file| std::fs::read_link(file.unwrap().path()).ok())
        .filter(|path| path.starts_with(dir.path()));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn the_parts_of_a_split_take_the_place_of_the_whole() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let _spooled = spool.append(entry(10_000, 12), Class::Bulk).await.unwrap();
    let part = |items, fill| {
        Sealed::from_parts(Signal::Traces, items, 100, sealed(50, fill).body().clone())
    };
    let lease = spool.lease().await.unwrap();
    lease.split(vec![part(1, 2), part(1, 3)]).await.unwrap();
    spool.close().await;
    let spool = open(&dir);
    let first = spool.lease().await.unwrap();
    let second = spool.lease().await.unwrap();
    assert_eq!((first.id().seq, second.id().seq), (2, 3));
    let stats = spool.stats();
    assert_balanced(&stats);
    assert_eq!(stats.entries, 2);
    // One item was in no part.
    assert_eq!(stats.by_signal[0].spooled, 3);
    assert_eq!(stats.by_signal[0].rejected, 1);
}

#[tokio::test]
async fn a_sender_that_repeats_itself_is_stored_once_even_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let spool = open_with(&dir, 1 << 30, WhenFull::Refuse);
    let first = spool
        .append(from_agent(1, 5, 100, 5), Class::Bulk)
        .await
        .unwrap();
    assert!(!first.seen_before());
    assert!(
        spool
            .append(from_agent(1, 5, 100, 5), Class::Bulk)
            .await
            .unwrap()
            .seen_before()
    );
    assert!(
        !spool
            .append(from_agent(2, 5, 100, 5), Class::Bulk)
            .await
            .unwrap()
            .seen_before()
    );
    spool.close().await;
    let spool = open_with(&dir, 1 << 30, WhenFull::Refuse);
    assert!(
        spool
            .append(from_agent(1, 5, 100, 5), Class::Bulk)
            .await
            .unwrap()
            .seen_before()
    );
    let conflict = spool.append(from_agent(1, 5, 100, 6), Class::Bulk).await;
    assert!(matches!(conflict, Err(SpoolError::Conflict(_))));
    // Through rotation and retirement of the segments that the claims were made in.
    for seq in 10..200 {
        let mut big = from_agent(1, seq, 100, seq);
        big.sealed = sealed(20_000, seq);
        let _spooled = spool.append(big, Class::Bulk).await.unwrap();
    }
    while spool.stats().entries > 0 {
        let cut = spool.cut(u64::MAX, u64::MAX).await.unwrap();
        cut.settle().await.unwrap();
    }
    assert!(
        spool
            .append(from_agent(1, 5, 100, 5), Class::Bulk)
            .await
            .unwrap()
            .seen_before()
    );
    spool.close().await;
    let spool = open_with(&dir, 1 << 30, WhenFull::Refuse);
    assert!(
        spool
            .append(from_agent(1, 5, 100, 5), Class::Bulk)
            .await
            .unwrap()
            .seen_before()
    );
    let entry = from_agent(1, 5, 100, 5);
    let origin = entry.origin.unwrap();
    assert!(spool.knows(entry.project, origin).await.unwrap());
    let never = BatchId { seq: 201, ..origin };
    assert!(!spool.knows(entry.project, never).await.unwrap());
    let others = ProjectId(99);
    assert!(!spool.knows(others, origin).await.unwrap());
    assert_balanced(&spool.stats());
}

#[tokio::test]
async fn a_cut_is_the_same_cut_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    for fill in 1..=10 {
        let _spooled = spool.append(entry(1000, fill), Class::Bulk).await.unwrap();
    }
    let first = spool.cut(9, u64::MAX).await.unwrap();
    let second = spool.cut(u64::MAX, 4000).await.unwrap();
    assert_eq!((first.entries().len(), second.entries().len()), (3, 4));
    assert_ne!(first.id(), second.id());
    spool.close().await;

    let spool = open(&dir);
    let again = spool.cut(1, 1).await.unwrap();
    assert_eq!((again.id(), again.entries()), (first.id(), first.entries()));
    again.settle().await.unwrap();
    let again = spool.cut(1, 1).await.unwrap();
    assert_eq!(
        (again.id(), again.entries()),
        (second.id(), second.entries())
    );
    let rest = spool.cut(u64::MAX, u64::MAX).await.unwrap();
    assert_eq!(rest.entries().len(), 3);
    rest.settle().await.unwrap();
    again.settle().await.unwrap();
    assert_eq!(spool.stats().entries, 0);
    assert_balanced(&spool.stats());
}

#[tokio::test]
async fn the_bound_evicts_the_oldest_and_counts_it() {
    let dir = TempDir::new().unwrap();
    let limit = 4 << 20;
    let spool = open_with(&dir, limit, WhenFull::EvictOldest);
    for fill in 1..=100 {
        let _spooled = spool
            .append(entry(100_000, fill), Class::Bulk)
            .await
            .unwrap();
        assert!(spool.stats().used_bytes <= limit);
    }
    let stats = spool.stats();
    assert_balanced(&stats);
    assert!(sum(&stats, |s| s.evicted) > 0);
    assert_eq!(sum(&stats, |s| s.spooled), 300);
    assert!(spool.lease().await.unwrap().id().seq > 1);
    spool.close().await;
    let again = open_with(&dir, limit, WhenFull::EvictOldest).stats();
    assert_eq!(again.by_signal, stats.by_signal);
}

#[tokio::test]
async fn the_bound_refuses_if_told_so_and_recovers_when_drained() {
    let dir = TempDir::new().unwrap();
    let spool = open_with(&dir, 3 << 20, WhenFull::Refuse);
    let mut stored = 0;
    let error = loop {
        match spool.append(entry(100_000, stored), Class::Bulk).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Full { .. }), "{error}");
    assert!(error.is_retryable());
    for _ in 0..stored {
        spool.lease().await.unwrap().settle(&Delivery::Committed);
    }
    spool.flush().await.unwrap();
    let _spooled = spool.append(entry(100_000, 1), Class::Bulk).await.unwrap();
    assert_balanced(&spool.stats());
}

#[tokio::test]
async fn a_drained_spool_gives_its_space_back() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    for fill in 1..=100 {
        let _spooled = spool
            .append(entry(50_000, fill), Class::Bulk)
            .await
            .unwrap();
    }
    for _ in 0..100 {
        spool.lease().await.unwrap().settle(&Delivery::Committed);
    }
    spool.flush().await.unwrap();
    let stats = spool.stats();
    assert!(stats.used_bytes < 512 << 10, "{} bytes", stats.used_bytes);
}

#[tokio::test]
async fn a_second_user_of_the_directory_is_told_who_has_it() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let error = Spool::open(SpoolConfig::at(dir.path()), SystemClock::shared()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("in use by pid {}", std::process::id())),
        "{text}"
    );
    spool.close().await;
    let _spool = open(&dir);
}

#[tokio::test]
async fn a_renewed_identity_starts_at_one_and_leaves_the_old_entries_theirs() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let old = spool.append(entry(100, 1), Class::Bulk).await.unwrap();
    let (agent, epoch) = spool.renew_identity().await.unwrap();
    let new = spool.append(entry(100, 2), Class::Bulk).await.unwrap();
    assert_eq!(
        (new.id().agent, new.id().epoch, new.id().seq),
        (agent, epoch, 1)
    );
    spool.close().await;
    let spool = open(&dir);
    assert_eq!(spool.identity(), (agent, epoch));
    let (first, second) = (spool.lease().await.unwrap(), spool.lease().await.unwrap());
    assert_eq!((first.id(), second.id()), (old.id(), new.id()));
}

#[tokio::test]
async fn a_closed_spool_says_so() {
    let dir = TempDir::new().unwrap();
    let spool = open(&dir);
    let other = spool.clone();
    spool.close().await;
    let answer = other.append(entry(1, 1), Class::Bulk).await;
    assert!(matches!(answer, Err(SpoolError::Closed)));
}

#[tokio::test]
async fn a_network_file_system_is_refused_until_somebody_allows_it() {
    let disk = SimDisk::new();
    disk.move_to("NFS");
    let open = |allow_network_file_system| {
        let config = SpoolConfig {
            allow_network_file_system,
            ..SpoolConfig::at("/mnt/share/spool")
        };
        let disk = Arc::new(disk.clone());
        Spool::open_on(disk, config, Tuning::default(), SystemClock::shared())
    };
    let refused = open(false).unwrap_err().to_string();
    for word in ["/mnt/share/spool", "NFS", "allow_network_file_system"] {
        assert!(refused.contains(word), "{refused}");
    }
    open(true).unwrap().close().await;
}

#[test]
fn a_directory_of_this_machine_is_not_taken_for_a_network() {
    let dir = TempDir::new().unwrap();
    let disk = petrel_spool::Directory::new(dir.path()).unwrap();
    assert_eq!(petrel_spool::Disk::network(&disk).unwrap(), None);
}
