//! A disk that is full, read-only or gone, on a real file system of a few MiB.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use petrel_spool::{
    Class, Directory, Spool, SpoolConfig, SpoolError, SpoolStats, Tuning, WhenFull,
};
use petrel_wire::{Delivery, SystemClock};
use tempfile::TempDir;

use crate::entries::{assert_balanced, entry, sum};

/// A file system of its own, as long as it lives. Making one takes root.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(mib: u64) -> Option<Self> {
        let tmpfs = Self(TempDir::new().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(tmpfs.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(tmpfs);
        }
        println!("SKIPPED: this needs the right to mount a tmpfs");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, how: &str) {
        let remounted = Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(self.path())
            .status();
        assert!(remounted.unwrap().success());
    }

    /// Somebody else writes until nothing is left.
    fn fill(&self) {
        let mut chunk = 1 << 20;
        let mut filler = fs::File::create(self.path().join("somebody else's")).unwrap();
        while chunk > 0 {
            if std::io::Write::write_all(&mut filler, &vec![7; chunk]).is_err() {
                chunk /= 2;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("somebody else's")).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a spool that a failed test left open must not keep it.
        let _gone = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn open(dir: &Path, max_bytes: u64, min_free_bytes: Option<u64>) -> Result<Spool, SpoolError> {
    let tuning = Tuning {
        segment_bytes: Some(256 << 10),
        settle_after: Duration::from_millis(20),
        retry_after: Duration::from_millis(10),
        retry_most: Duration::from_millis(50),
        recount_after: Duration::from_millis(50),
        ..Tuning::default()
    };
    let config = SpoolConfig {
        dir: dir.to_owned(),
        max_bytes,
        min_free_bytes,
        when_full: WhenFull::EvictOldest,
        live_percent: 0,
        ..SpoolConfig::default()
    };
    let disk = Arc::new(Directory::new(dir).unwrap());
    Spool::open_on(disk, config, tuning, SystemClock::shared())
}

/// The stats, once they are as wanted.
async fn once(spool: &Spool, wanted: impl Fn(&SpoolStats) -> bool) -> SpoolStats {
    for _ in 0..500 {
        let stats = spool.stats();
        if wanted(&stats) {
            return stats;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never so: {:#?}", spool.stats());
}

async fn take_all(spool: &Spool) -> u64 {
    let mut taken = 0;
    while spool.stats().entries > 0 {
        let lease = spool.lease().await.unwrap();
        let fill = lease.entry().accepted.0;
        assert_eq!(
            lease.entry(),
            &entry(lease.entry().sealed.body().len(), fill)
        );
        lease.settle(&Delivery::Committed);
        spool.flush().await.unwrap();
        taken += 1;
    }
    taken
}

#[tokio::test]
async fn a_disk_that_others_fill_refuses_evicts_nothing_and_recovers_by_itself() {
    let Some(disk) = Tmpfs::new(8) else { return };
    let dir = disk.path().join("spool");
    let spool = open(&dir, 1 << 30, None).unwrap();
    for fill in 1..=20 {
        let _spooled = spool
            .append(entry(50_000, fill), Class::Bulk)
            .await
            .unwrap();
    }
    disk.fill();
    let error = spool
        .append(entry(50_000, 21), Class::Bulk)
        .await
        .unwrap_err();
    assert!(matches!(error, SpoolError::NoSpace { .. }), "{error}");
    assert!(error.is_retryable());
    let stats = once(&spool, |stats| stats.disk_failing).await;
    let words = stats.trouble.as_deref().unwrap();
    assert!(words.contains("must stay free"), "{words}");
    assert_eq!((stats.entries, sum(&stats, |s| s.evicted)), (20, 0));

    // What is here goes on leaving; then others make room, and nobody has to do anything.
    let lease = spool.lease().await.unwrap();
    lease.settle(&Delivery::Committed);
    spool.flush().await.unwrap();
    disk.empty();
    once(&spool, |stats| !stats.disk_failing).await;
    let _spooled = spool.append(entry(50_000, 22), Class::Bulk).await.unwrap();
    assert_eq!(take_all(&spool).await, 20);
    assert_balanced(&spool.stats());
}

#[tokio::test]
async fn a_commit_that_meets_a_full_disk_releases_the_ballast_and_settlements_go_on() {
    let Some(disk) = Tmpfs::new(8) else { return };
    let dir = disk.path().join("spool");
    // Nothing guards the free space: the disk itself says no, in the middle of a commit.
    let spool = open(&dir, 1 << 30, Some(0)).unwrap();
    let mut stored = 0;
    for fill in 1..=20 {
        let _spooled = spool
            .append(entry(50_000, fill), Class::Bulk)
            .await
            .unwrap();
        stored += 1;
    }
    assert!(dir.join("ballast").exists());
    disk.fill();
    let error = loop {
        match spool.append(entry(50_000, stored + 1), Class::Bulk).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_retryable(), "{error}");
    assert!(!dir.join("ballast").exists());
    assert!(spool.stats().disk_failing);
    assert_eq!(take_all(&spool).await, stored);

    disk.empty();
    once(&spool, |stats| !stats.disk_failing).await;
    assert!(dir.join("ballast").exists());
    let _spooled = spool.append(entry(50_000, 1), Class::Bulk).await.unwrap();
    assert_eq!(sum(&spool.stats(), |s| s.evicted), 0);
    assert_balanced(&spool.stats());
}

#[tokio::test]
async fn a_spool_starts_on_a_disk_that_is_full_to_the_last_block() {
    let Some(disk) = Tmpfs::new(8) else { return };
    let dir = disk.path().join("spool");
    let spool = open(&dir, 1 << 30, None).unwrap();
    for fill in 1..=20 {
        let _spooled = spool
            .append(entry(50_000, fill), Class::Bulk)
            .await
            .unwrap();
    }
    // As after a crash: nothing was closed.
    let crashed = disk.path().join("crashed");
    fs::create_dir(&crashed).unwrap();
    for file in fs::read_dir(&dir).unwrap() {
        let from = file.unwrap().path();
        let copied = Command::new("cp")
            .arg("--sparse=always")
            .arg(&from)
            .arg(crashed.join(from.file_name().unwrap()))
            .status();
        assert!(copied.unwrap().success());
    }
    let ballast = fs::File::create(crashed.join("ballast")).unwrap();
    rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), 0, 900 << 10).unwrap();
    drop(ballast);
    disk.fill();
    let spool = open(&crashed, 1 << 30, None).unwrap();
    let error = spool
        .append(entry(50_000, 21), Class::Bulk)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(take_all(&spool).await, 20);
}

#[tokio::test]
async fn a_spool_larger_than_its_disk_evicts_like_one_at_its_bound() {
    let Some(disk) = Tmpfs::new(8) else { return };
    let spool = open(&disk.path().join("spool"), 1 << 30, None).unwrap();
    let limit = spool.stats().limit_bytes;
    assert!(limit < 8 << 20, "{limit}");
    for fill in 1..=400 {
        let _spooled = spool
            .append(entry(50_000, fill), Class::Bulk)
            .await
            .unwrap();
        assert!(spool.stats().used_bytes <= limit);
    }
    let stats = spool.stats();
    assert!(sum(&stats, |s| s.evicted) > 0);
    assert_balanced(&stats);
}

#[tokio::test]
async fn a_disk_that_becomes_read_only_refuses_lends_and_recovers() {
    let Some(disk) = Tmpfs::new(8) else { return };
    let spool = open(&disk.path().join("spool"), 1 << 30, None).unwrap();
    for fill in 1..=20 {
        let _spooled = spool
            .append(entry(50_000, fill), Class::Bulk)
            .await
            .unwrap();
    }
    // Files that are open for writing are in the way of a clean remount.
    spool.close().await;
    let spool = open(&disk.path().join("spool"), 1 << 30, None);
    let spool = spool.unwrap();
    let held = spool.lease().await.unwrap();
    if !Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.path())
        .status()
        .unwrap()
        .success()
    {
        // A kernel that does not remount below open files cannot do this to a spool either.
        return;
    }
    let error = spool
        .append(entry(50_000, 21), Class::Bulk)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(spool.stats().disk_failing);
    held.settle(&Delivery::Committed);
    assert_eq!(spool.lease().await.unwrap().id().seq, 2);
    disk.remount("rw");
    once(&spool, |stats| !stats.disk_failing).await;
    let _spooled = spool.append(entry(50_000, 22), Class::Bulk).await.unwrap();
    assert_eq!(take_all(&spool).await, 20);
    assert_balanced(&spool.stats());
}

#[tokio::test]
async fn everything_in_the_directory_counts_towards_the_bound() {
    let dir = TempDir::new().unwrap();
    let limit = 6 << 20;
    let spool = open(dir.path(), limit, Some(0)).unwrap();
    let before = spool.stats().used_bytes;
    fs::create_dir(dir.path().join("compiled")).unwrap();
    fs::write(dir.path().join("compiled/module"), vec![7; 1 << 20]).unwrap();
    fs::write(dir.path().join("notes"), vec![7; 1 << 20]).unwrap();
    let stats = once(&spool, |stats| stats.used_bytes >= before + (2 << 20)).await;
    assert!(stats.used_bytes < before + (3 << 20));
    for fill in 1..=100 {
        let _spooled = spool
            .append(entry(100_000, fill), Class::Bulk)
            .await
            .unwrap();
        assert!(spool.stats().used_bytes <= limit);
    }
    let theirs = 2 << 20;
    let ours = used_below(dir.path()) - theirs;
    assert!(ours + theirs <= limit + (64 << 10), "{ours}");
}

fn used_below(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    files
        .map(|file| {
            let below = if file.path().is_dir() {
                used_below(&file.path())
            } else {
                0
            };
            file.metadata().unwrap().blocks() * 512 + below
        })
        .sum()
}
