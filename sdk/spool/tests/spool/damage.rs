//! Damage of every kind to the files of a spool that is closed: it opens, what lies in undamaged
//! files is there byte for byte, what is not is counted, and nothing is handed out that was not
//! written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use petrel_spool::{Class, Entry, Spool, WhenFull};
use petrel_wire::{BatchId, Delivery};
use tempfile::TempDir;

use crate::entries::{Random, assert_balanced, entry, open, open_with, sum};

/// What was appended, by the file it lies in.
struct Sown {
    dir: TempDir,
    owed: BTreeMap<BatchId, (PathBuf, Entry)>,
}

fn files(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(prefix)
        })
        .collect();
    files.sort();
    files
}

async fn sow(seed: u64) -> Sown {
    hush();
    let dir = TempDir::new().unwrap();
    let spool = open_with(&dir, 1 << 30, WhenFull::Refuse);
    let mut random = Random::new(seed);
    let mut owed = BTreeMap::new();
    for fill in 0..40 {
        let bytes = usize::try_from(random.below(30_000)).unwrap();
        let class = if random.one_in(4) {
            Class::Keep
        } else {
            Class::Bulk
        };
        let known = files(dir.path(), "segment-");
        let appended = entry(bytes, fill);
        let id = spool.append(appended.clone(), class).await.unwrap().id();
        let now = files(dir.path(), "segment-");
        // A new file holds the entry that it was made for.
        let file = now.iter().find(|file| !known.contains(file)).cloned();
        let file = file.unwrap_or_else(|| {
            let of_same = owed
                .iter()
                .rev()
                .find(|(known, _): &(&BatchId, _)| known.epoch == id.epoch);
            let (_, (file, _)): (_, &(PathBuf, Entry)) = of_same.unwrap();
            file.clone()
        });
        owed.insert(id, (file, appended));
    }
    let settled = spool.lease().await.unwrap();
    owed.remove(&settled.id());
    settled.settle(&Delivery::Committed);
    spool.flush().await.unwrap();
    spool.close().await;
    Sown { dir, owed }
}

/// Everything that comes out.
async fn reap(spool: &Spool) -> BTreeMap<BatchId, Entry> {
    let mut here = BTreeMap::new();
    while spool.stats().entries > 0 {
        let lease = tokio::select! {
            lease = spool.lease() => lease.unwrap(),
            // The last ones were damaged: found out by the lease that now waits for others.
            () = none_left(spool) => break,
        };
        here.insert(lease.id(), lease.entry().clone());
        lease.settle(&Delivery::Committed);
        spool.flush().await.unwrap();
    }
    here
}

async fn none_left(spool: &Spool) {
    for _ in 0..6000 {
        if spool.stats().entries == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what waits does not come: {:#?}", spool.stats());
}

/// redb panics over garbage; the spool catches that, and a trace of each takes a second to print.
fn hush() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic
                .location()
                .is_none_or(|at| !at.file().contains("/redb-"))
            {
                loud(panic);
            }
        }));
    });
}

async fn check(sown: &Sown, damaged: &[PathBuf], what: &str) {
    let spool = open(&sown.dir);
    assert_balanced(&spool.stats());
    let here = reap(&spool).await;
    for (id, (file, entry)) in &sown.owed {
        match here.get(id) {
            Some(found) => assert_eq!(found, entry, "{what}"),
            None => assert!(
                damaged.contains(file),
                "{what}: {id} of {} is lost",
                file.display()
            ),
        }
    }
    let written = |entry: &Entry| entry.accepted.0 < 40;
    assert!(here.values().all(written), "{what}");
    let stats = spool.stats();
    assert_balanced(&stats);
    let next = spool.append(entry(10, 1), Class::Bulk).await.unwrap().id();
    assert!(
        !sown.owed.contains_key(&next),
        "{what}: {next} was used before"
    );
    // Set aside or read around; in either case the books say what is missing.
    let lost = sown.owed.keys().filter(|id| !here.contains_key(id)).count();
    assert!(
        lost == 0 || sum(&stats, |s| s.corrupt) > 0,
        "{what}: {stats:#?}"
    );
    spool.close().await;
    let again = open(&sown.dir);
    assert_balanced(&again.stats());
    again.close().await;
}

fn write_at(file: &Path, at: u64, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(file).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

/// Somewhere in the part of a file that has blocks.
fn somewhere(file: &Path, random: &mut Random) -> u64 {
    let bytes = fs::read(file).unwrap();
    loop {
        let at = random.below(bytes.len() as u64);
        let page = usize::try_from(at / 4096 * 4096).unwrap();
        if bytes[page..].iter().take(4096).any(|byte| *byte != 0) {
            return at;
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_costs_at_most_the_file_that_it_is_in() {
    for seed in 0..24 {
        let mut random = Random::new(seed);
        let sown = sow(seed).await;
        let files = [
            files(sown.dir.path(), "segment-"),
            files(sown.dir.path(), "state"),
        ]
        .concat();
        let file = files[usize::try_from(random.below(files.len() as u64)).unwrap()].clone();
        let at = somewhere(&file, &mut random);
        let byte = fs::read(&file).unwrap()[usize::try_from(at).unwrap()];
        write_at(&file, at, &[byte ^ (1 << random.below(8))]);
        let what = format!("seed {seed}: a bit at {at} of {file:?}");
        check(&sown, &[file], &what).await;
    }
}

#[tokio::test]
async fn a_truncated_zeroed_or_overwritten_file_costs_at_most_itself() {
    for seed in 0..24 {
        let mut random = Random::new(100 + seed);
        let sown = sow(seed).await;
        let files = [
            files(sown.dir.path(), "segment-"),
            files(sown.dir.path(), "state"),
        ]
        .concat();
        let file = files[usize::try_from(random.below(files.len() as u64)).unwrap()].clone();
        let what = match seed % 4 {
            0 => {
                let len = random.below(fs::metadata(&file).unwrap().len());
                fs::File::options()
                    .write(true)
                    .open(&file)
                    .unwrap()
                    .set_len(len)
                    .unwrap();
                format!("seed {seed}: {file:?} cut to {len}")
            }
            1 => {
                fs::write(&file, b"").unwrap();
                format!("seed {seed}: {file:?} empty")
            }
            2 => {
                let at = somewhere(&file, &mut random) / 512 * 512;
                write_at(&file, at, &[0; 512]);
                format!("seed {seed}: zeros at {at} of {file:?}")
            }
            _ => {
                let len = usize::try_from(random.below(200_000)).unwrap();
                let garbage: Vec<u8> = (0..len).map(|_| random.next().to_le_bytes()[0]).collect();
                fs::write(&file, garbage).unwrap();
                format!("seed {seed}: {file:?} overwritten")
            }
        };
        check(&sown, &[file], &what).await;
    }
}

#[tokio::test]
async fn a_file_in_anothers_place_is_not_taken_for_it() {
    // Two segments of one spool change places.
    let sown = sow(1).await;
    let segments = files(sown.dir.path(), "segment-");
    let (one, other) = (segments[0].clone(), segments[1].clone());
    let aside = sown.dir.path().join("aside");
    fs::rename(&one, &aside).unwrap();
    fs::rename(&other, &one).unwrap();
    fs::rename(&aside, &other).unwrap();
    check(&sown, &[one, other], "swapped").await;

    // A segment and a state file of another spool, and files that are nobody's.
    let (sown, stranger) = (sow(2).await, sow(3).await);
    let segments = files(sown.dir.path(), "segment-");
    let theirs = files(stranger.dir.path(), "segment-");
    fs::copy(&theirs[0], &segments[0]).unwrap();
    fs::write(sown.dir.path().join("core.1234"), vec![7; 9000]).unwrap();
    fs::write(sown.dir.path().join("segment-xyz.redb"), b"?").unwrap();
    fs::create_dir(sown.dir.path().join("lost+found")).unwrap();
    check_among_strangers(&sown, &stranger, &segments[..1]).await;

    let (sown, stranger) = (sow(4).await, sow(5).await);
    let theirs = files(stranger.dir.path(), "state");
    fs::copy(&theirs[0], sown.dir.path().join("state.redb")).unwrap();
    let all = files(sown.dir.path(), "segment-");
    check_among_strangers(&sown, &stranger, &all).await;
}

/// What comes out was written by one of the two, and nothing is lost outside of `damaged`.
async fn check_among_strangers(sown: &Sown, stranger: &Sown, damaged: &[PathBuf]) {
    let spool = open(&sown.dir);
    let here = reap(&spool).await;
    for (id, (file, entry)) in &sown.owed {
        match here.get(id) {
            Some(found) => assert_eq!(found, entry),
            None => assert!(damaged.contains(file), "{id} of {} is lost", file.display()),
        }
    }
    for (id, entry) in &here {
        let theirs = stranger
            .owed
            .get(id)
            .is_none_or(|(_, known)| known == entry);
        assert!(theirs && entry.accepted.0 < 40, "{id}");
    }
    assert_balanced(&spool.stats());
    spool.close().await;
    // Whatever was not ours is still there, under a name that says so.
    let left = files(sown.dir.path(), "").len();
    assert!(left > 0);
}
