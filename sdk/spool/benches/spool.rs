//! What the spool costs on this disk: `cargo bench -p petrel-spool`.
//!
//! Commits of several sizes, one after the other: how many a second, the CPU time of each, and
//! bytes that reached the disk for each byte of payload. Then how long a restart after a crash
//! takes, behind backlogs of several sizes: the image of a crash is a copy of the directory while
//! the spool has it open.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolConfig, WhenFull};
use petrel_wire::{Clock as _, Sealed, Signal, SystemClock};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    say("payload of a commit | commits/s | CPU us/commit | disk B/payload B");
    for kib in [4, 20, 100, 400] {
        runtime.block_on(commits(kib << 10));
    }
    say("backlog | reopened after a crash in");
    for mib in [8, 63, 512] {
        runtime.block_on(reopen(mib << 20));
    }
}

fn config(dir: &Path) -> SpoolConfig {
    SpoolConfig {
        dir: dir.to_owned(),
        max_bytes: 8 << 30,
        when_full: WhenFull::Refuse,
        ..SpoolConfig::default()
    }
}

fn open(dir: &Path) -> Spool {
    Spool::open(config(dir), Arc::new(SystemClock::new())).expect("a spool")
}

/// Bytes that no compression would make smaller, as batches are.
fn entry(bytes: usize, fill: u64) -> Entry {
    let mut state = fill | 1;
    let body: Vec<u8> = (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect();
    Entry {
        project: ProjectId::default(),
        origin: None,
        accepted: SystemClock::new().wall(),
        sealed: Sealed::from_parts(Signal::Traces, 100, bytes * 6, body.into()),
    }
}

async fn commits(bytes: usize) {
    let dir = tempfile::tempdir_in(".").expect("a directory on this disk");
    let spool = open(dir.path());
    let entries: Vec<Entry> = (0..16).map(|fill| entry(bytes, fill)).collect();
    let (cpu, disk, started) = (cpu_time(), disk_bytes(), Instant::now());
    let mut commits = 0_u32;
    while started.elapsed() < Duration::from_secs(3) {
        let entry = entries[commits as usize % entries.len()].clone();
        let _spooled = spool
            .append(entry, Class::Bulk)
            .await
            .expect("a healthy disk");
        commits += 1;
    }
    let took = started.elapsed();
    let payload = f64::from(commits) * bytes as f64;
    say(&format!(
        "{:15} KiB | {:9.0} | {:13.0} | {:16.2}",
        bytes >> 10,
        f64::from(commits) / took.as_secs_f64(),
        cpu_time().saturating_sub(cpu).as_secs_f64() * 1e6 / f64::from(commits),
        (disk_bytes() - disk) as f64 / payload,
    ));
    spool.close().await;
}

async fn reopen(backlog: usize) {
    const BYTES: usize = 200 << 10;
    let dir = tempfile::tempdir_in(".").expect("a directory on this disk");
    let spool = open(dir.path());
    for fill in 0..backlog / BYTES {
        let entry = entry(BYTES, fill as u64);
        let _spooled = spool
            .append(entry, Class::Bulk)
            .await
            .expect("a healthy disk");
    }
    let image = tempfile::tempdir_in(".").expect("a directory on this disk");
    for file in std::fs::read_dir(dir.path()).expect("a directory") {
        let file = file.expect("a file").path();
        let name = file.file_name().expect("a name");
        std::fs::copy(&file, image.path().join(name)).expect("a copy");
    }
    let started = Instant::now();
    let reopened = open(image.path());
    say(&format!(
        "{:3} MiB | {:.1} ms",
        backlog >> 20,
        started.elapsed().as_secs_f64() * 1e3
    ));
    assert_eq!(reopened.stats().entries, (backlog / BYTES) as u64);
    reopened.close().await;
    spool.close().await;
}

fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a Linux kernel");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let fields: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    // USER_HZ is 100 on every Linux that Rust supports.
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}

fn disk_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("a Linux kernel");
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

#[expect(
    clippy::print_stdout,
    reason = "the report is the product of this program"
)]
fn say(line: &str) {
    println!("{line}");
}
