//! `petrel-agent spool`, as a person types it.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output};

use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolConfig};
use petrel_wire::{BatchId, Delivery, Refusal, Sealed, Signal, SystemClock};
use tempfile::TempDir;

fn spool(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_petrel-agent"))
        .arg("spool")
        .args(arguments)
        .arg("--dir")
        .arg(dir)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let words = [output.stdout.clone(), output.stderr.clone()].concat();
    let words = String::from_utf8(words).unwrap();
    assert!(output.status.success(), "{words}");
    words
}

fn complained(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn open(dir: &Path) -> Spool {
    Spool::open(SpoolConfig::at(dir), SystemClock::shared()).unwrap()
}

/// Three batches, of which one is to be kept and one is a dead letter.
async fn sown(dir: &Path) -> (Spool, BatchId) {
    let spool = open(dir);
    for n in 0..3_u8 {
        let entry = Entry {
            project: ProjectId::default(),
            origin: None,
            accepted: SystemClock::shared().wall(),
            sealed: Sealed::from_parts(Signal::Logs, 4, 900, vec![n; 300].into()),
        };
        let class = if n == 0 { Class::Keep } else { Class::Bulk };
        let _spooled = spool.append(entry, class).await.unwrap();
    }
    let (_kept, lease) = (spool.lease().await.unwrap(), spool.lease().await.unwrap());
    let id = lease.id();
    lease.settle(&Delivery::Refused(Refusal::Data, "HTTP 400: no".to_owned()));
    spool.flush().await.unwrap();
    (spool, id)
}

#[tokio::test]
async fn a_spool_is_looked_at_while_it_is_used_and_changed_only_when_it_is_not() {
    let dir = TempDir::new().unwrap();
    let (owner, dead) = sown(dir.path()).await;
    let words = said(&spool(dir.path(), &["inspect"]));
    assert!(
        words.contains(&format!("in use by  pid {}", std::process::id())),
        "{words}"
    );
    assert_eq!(said(&spool(dir.path(), &["list"])).lines().count(), 2);
    let words = said(&spool(dir.path(), &["dead-letter", "list"]));
    assert!(words.contains("logs 4 items: HTTP 400: no"), "{words}");
    let archive = dir.path().join("archive");
    let archive = archive.to_str().unwrap();
    let dead = dead.to_string();
    for arguments in [
        &["export", archive][..],
        &["export", archive, "--remove"],
        &["dead-letter", "retry", &dead],
        &["dead-letter", "drop", "--all"],
    ] {
        let words = complained(&spool(dir.path(), arguments));
        assert!(
            words.contains("in use by pid") && words.contains("stop the agent"),
            "{words}"
        );
    }
    owner.close().await;
    let words = complained(&spool(&dir.path().join("nowhere"), &["list"]));
    assert!(words.contains("no spool in"), "{words}");
}

#[tokio::test]
async fn an_archive_carries_batches_from_one_spool_to_another_once() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    sown(from.path()).await.0.close().await;
    open(to.path()).close().await;
    let archive = from.path().join("archive");
    let archive = archive.to_str().unwrap();
    let words = said(&spool(from.path(), &["export", archive, "--remove"]));
    assert!(words.starts_with("2 batches are in"), "{words}");
    let mode = std::fs::metadata(archive).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "telemetry is for its owner");
    assert_eq!(said(&spool(from.path(), &["list"])), "");
    let words = complained(&spool(from.path(), &["export", archive]));
    assert!(words.contains("cannot write"), "{words}");
    let words = said(&spool(to.path(), &["import", archive]));
    assert_eq!(words, "2 batches imported, 0 were imported before\n");
    let words = said(&spool(to.path(), &["import", archive]));
    assert_eq!(words, "0 batches imported, 2 were imported before\n");
    assert_eq!(said(&spool(to.path(), &["list"])).lines().count(), 2);

    let half = from.path().join("half");
    let whole = std::fs::read(archive).unwrap();
    std::fs::write(&half, &whole[..whole.len() - 20]).unwrap();
    let words = complained(&spool(to.path(), &["import", half.to_str().unwrap()]));
    assert!(words.contains("cut off after 2 batches"), "{words}");
}

#[tokio::test]
async fn dead_letters_are_shown_retried_and_dropped() {
    let dir = TempDir::new().unwrap();
    let (owner, id) = sown(dir.path()).await;
    owner.close().await;
    let id = id.to_string();
    let words = said(&spool(dir.path(), &["dead-letter", "show", &id]));
    assert!(words.contains("reason    HTTP 400: no"), "{words}");
    said(&spool(dir.path(), &["dead-letter", "retry", &id]));
    assert_eq!(said(&spool(dir.path(), &["dead-letter", "list"])), "");
    assert!(said(&spool(dir.path(), &["list"])).contains(&id));
    let words = complained(&spool(dir.path(), &["dead-letter", "drop", &id]));
    assert!(words.contains("no dead letters"), "{words}");
}

#[tokio::test]
async fn a_spool_of_another_user_is_looked_at_and_not_written() {
    let (dir, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    sown(dir.path()).await.0.close().await;
    // Only root can give a directory away, and only root makes this mistake.
    if chown(dir.path(), Some(1), Some(1)).is_err() {
        return;
    }
    assert_eq!(said(&spool(dir.path(), &["list"])).lines().count(), 2);
    let archive = elsewhere.path().join("archive");
    let archive = archive.to_str().unwrap();
    said(&spool(dir.path(), &["export", archive]));
    for arguments in [
        &["export", archive, "--remove"][..],
        &["import", archive],
        &["dead-letter", "drop", "--all"],
    ] {
        let words = complained(&spool(dir.path(), arguments));
        assert!(
            words.contains("belongs to the user with number 1"),
            "{words}"
        );
    }
}
