//! The window: what is in it survives, what leaves it leaves once.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_spool::{
    Class, Directory, Disk as _, HeldWindow, Part, ProjectId, Release, Reopened, SpoolError,
    WindowChange,
};
use petrel_wire::{BatchId, SystemClock};
use tempfile::TempDir;

use crate::entries::{Random, entry, open};
use crate::sim_disk::SimDisk;

fn window_in(dir: &TempDir) -> (HeldWindow, Reopened) {
    HeldWindow::open(dir.path(), SystemClock::shared()).unwrap()
}

fn put(window: &HeldWindow, fills: &[u64]) -> WindowChange {
    let entries = (window.next_id()..).zip(fills);
    let mut change = WindowChange::default();
    for (id, fill) in entries {
        change.put.push((id, entry(3_000, *fill)));
        change.taken_items += 2;
    }
    change
}

fn part(entry: u64, part: u32) -> Part {
    Part {
        entry,
        part,
        items: 1,
        threshold: None,
    }
}

/// Entries and what has left them.
fn contents(reopened: &Reopened) -> BTreeMap<u64, Vec<u32>> {
    let entries = reopened.entries.iter();
    entries.map(|one| (one.id, one.gone.clone())).collect()
}

#[test]
fn entries_and_the_parts_that_left_them_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut window, found) = window_in(&dir);
    assert_eq!(contents(&found), BTreeMap::new());
    window.commit(&put(&window, &[1, 2, 3])).unwrap();
    let change = WindowChange {
        gone: [(1, vec![0])].into(),
        remove: vec![2],
        dropped_items: 3,
        ..WindowChange::default()
    };
    window.commit(&change).unwrap();
    drop(window);
    let (mut window, found) = window_in(&dir);
    assert_eq!(contents(&found), [(1, vec![0]), (3, vec![])].into());
    assert_eq!(window.read(3).unwrap(), Some(entry(3_000, 3)));
    assert_eq!(window.read(2).unwrap(), None);
    let stats = window.stats();
    assert_eq!((stats.taken, stats.dropped, stats.here), (6, 3, 3));
    assert_eq!(window.next_id(), 4);
}

#[test]
fn an_interrupted_release_is_there_under_its_number_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut window, _) = window_in(&dir);
    let mut change = put(&window, &[1]);
    let release = Release {
        name: window.next_release(),
        parts: vec![part(1, 0), part(1, 1)],
    };
    change.begin = Some(release.clone());
    window.commit(&change).unwrap();
    drop(window);
    let (mut window, found) = window_in(&dir);
    assert_eq!(found.release, Some(release.clone()));
    assert!(window.next_release().seq > release.name.seq);
    let end = WindowChange {
        end: true,
        remove: vec![1],
        released_items: 2,
        ..WindowChange::default()
    };
    window.commit(&end).unwrap();
    drop(window);
    let (window, found) = window_in(&dir);
    assert_eq!(found.release, None);
    assert_eq!((window.stats().released, window.stats().here), (2, 0));
}

#[tokio::test]
async fn the_spool_takes_a_release_once_however_often_it_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let release = {
        let (window, _) = window_in(&dir);
        window.next_release()
    };
    let mut released = entry(2_000, 7);
    released.origin = Some(BatchId {
        hash: released.sealed.hash(),
        ..release
    });
    for round in 0..3 {
        let spool = open(&dir);
        for again in 0..2 {
            let spooled = spool.append(released.clone(), Class::Bulk).await.unwrap();
            assert_eq!(spooled.seen_before(), round + again > 0);
        }
        assert!(
            spool
                .knows(ProjectId(0), released.origin.unwrap())
                .await
                .unwrap()
        );
        assert_eq!(spool.stats().entries, 1);
        spool.close().await;
    }
}

#[test]
fn a_window_that_cannot_be_read_is_set_aside_and_an_empty_one_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (mut window, _) = window_in(&dir);
    window.commit(&put(&window, &[1])).unwrap();
    drop(window);
    std::fs::write(dir.path().join("window.redb"), b"something else").unwrap();
    let (window, found) = window_in(&dir);
    assert_eq!(contents(&found), BTreeMap::new());
    assert_eq!(window.stats().taken, 0);
    let names = Directory::new(dir.path()).unwrap().list().unwrap();
    assert!(
        names
            .iter()
            .any(|name| name.starts_with("window.redb.corrupt-"))
    );
}

#[test]
fn a_commit_that_fails_is_known_after_the_file_was_opened_again() {
    let disk = SimDisk::new();
    let (mut window, _) =
        HeldWindow::open_on(Arc::new(disk.clone()), SystemClock::shared()).unwrap();
    window.commit(&put(&window, &[1])).unwrap();
    disk.fail_syncs(1, 5);
    let failed = window.commit(&put(&window, &[2]));
    assert!(matches!(failed, Err(SpoolError::Disk { .. })), "{failed:?}");
    assert!(window.commit(&put(&window, &[3])).is_err());
    disk.stop_failing();
    let found = window.reopen().unwrap();
    assert!(contents(&found).contains_key(&1));
    window.commit(&put(&window, &[4])).unwrap();
    // What was only in the kernel's memory before has been written anew.
    drop(window);
    let after = disk.after_a_cut(&mut Random::new(1));
    let (_, found) = HeldWindow::open_on(Arc::new(after), SystemClock::shared()).unwrap();
    assert!(contents(&found).contains_key(&1));
}

#[test]
fn after_a_power_cut_there_is_what_the_last_commit_left_or_the_one_that_was_cut() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new();
        disk.cut_in(5 + random.below(300));
        let mut committed = BTreeMap::new();
        let mut attempted = BTreeMap::new();
        if let Ok((mut window, _)) =
            HeldWindow::open_on(Arc::new(disk.clone()), SystemClock::shared())
        {
            for _ in 0..200 {
                let mut change = WindowChange::default();
                if random.one_in(2) || committed.is_empty() {
                    change = put(&window, &[random.next(), random.next()]);
                    let ids = change.put.iter().map(|(id, _)| *id);
                    attempted.extend(ids.map(|id| (id, Vec::new())));
                } else {
                    let nth = random.below(committed.len() as u64);
                    let id = *committed.keys().nth(usize::try_from(nth).unwrap()).unwrap();
                    if random.one_in(2) {
                        change.remove.push(id);
                        attempted.remove(&id);
                    } else {
                        change.gone.insert(id, vec![1]);
                        attempted.insert(id, vec![1]);
                    }
                }
                if window.commit(&change).is_err() {
                    break;
                }
                committed.clone_from(&attempted);
            }
        }
        let after = disk.after_a_cut(&mut random);
        let (mut window, found) =
            HeldWindow::open_on(Arc::new(after), SystemClock::shared()).unwrap();
        let found = contents(&found);
        assert!(
            found == committed || found == attempted,
            "seed {seed}: {found:?}"
        );
        for id in found.keys() {
            assert!(
                window.read(*id).unwrap().is_some(),
                "seed {seed}: entry {id}"
            );
        }
    }
}
