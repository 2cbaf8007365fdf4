use petrel_spool::SpoolConfig;
use petrel_wire::{Limits, SystemClock};
use tempfile::TempDir;

use super::*;
use crate::custody::Books;
use crate::testing::{logs, logs_of_severity};

struct Bench {
    books: Arc<Books>,
    sealer: Sealer,
    spool: Spool,
    stage: tokio::task::JoinHandle<()>,
    _dir: TempDir,
}

fn bench(batch_bytes: usize) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let config = SpoolConfig {
        dir: dir.path().to_owned(),
        ..SpoolConfig::default()
    };
    let spool = Spool::open(config, Arc::clone(&clock)).unwrap();
    let (seal, sealer) = Seal::new(spool.clone(), clock, SealConfig { batch_bytes });
    Bench {
        books: Arc::default(),
        sealer,
        spool,
        stage: tokio::spawn(seal.run()),
        _dir: dir,
    }
}

impl Bench {
    fn admit(&self, items: usize) -> Admitted {
        Admitted::new(&self.books, logs(items))
    }
}

#[tokio::test]
async fn requests_that_wait_together_become_one_batch_with_one_identity() {
    let bench = bench(1 << 20);
    let (first, second) = tokio::join!(
        bench.sealer.spool(bench.admit(2)),
        bench.sealer.spool(bench.admit(3))
    );
    assert_eq!(first.unwrap().id(), second.unwrap().id());
    let lease = bench.spool.lease().await.unwrap();
    assert_eq!(lease.entry().sealed.items(), 5);
    let batch = lease.entry().sealed.unpack(&Limits::default()).unwrap();
    assert_eq!(batch.items(), 5);
    assert_eq!(bench.books.account(Signal::Logs).spooled, 5);
}

#[tokio::test]
async fn a_group_that_weighs_enough_does_not_linger() {
    let bench = bench(1);
    let first = bench.sealer.spool(bench.admit(1)).await.unwrap();
    let second = bench.sealer.spool(bench.admit(1)).await.unwrap();
    assert_ne!(first.id(), second.id());
}

#[tokio::test]
async fn when_the_last_handle_is_gone_everybody_who_waited_is_answered() {
    let Bench {
        books,
        sealer,
        stage,
        _dir,
        ..
    } = bench(1 << 20);
    let admitted = Admitted::new(&books, logs(4));
    let waiting = tokio::spawn(async move { sealer.spool(admitted).await });
    let _spooled = waiting.await.unwrap().unwrap();
    stage.await.unwrap();
    assert_eq!(books.account(Signal::Logs).spooled, 4);
}

#[tokio::test]
async fn a_spool_that_is_closed_refuses_and_the_books_balance() {
    let bench = bench(1 << 20);
    bench.spool.clone().close().await;
    let refused = bench.sealer.spool(bench.admit(3)).await;
    assert!(matches!(refused, Err(SpoolError::Closed)), "{refused:?}");
    let account = bench.books.account(Signal::Logs);
    assert_eq!((account.admitted, account.refused), (3, 3));
}

#[test]
fn the_linger_follows_the_disk_between_its_bounds() {
    let commits = CommitTime::default();
    assert_eq!(commits.linger(), SHORTEST_LINGER);
    for _ in 0..100 {
        commits.record(Duration::from_millis(20));
    }
    let linger = commits.linger();
    assert!(linger > Duration::from_millis(38) && linger <= Duration::from_millis(40));
    for _ in 0..100 {
        commits.record(Duration::from_secs(3));
    }
    assert_eq!(commits.linger(), LONGEST_LINGER);
}

#[tokio::test]
async fn errors_are_sealed_by_themselves_and_leave_first() {
    let bench = bench(1 << 20);
    let errors = Admitted::new(&bench.books, logs_of_severity(&[17, 9]));
    let (plain, errors) = tokio::join!(
        bench.sealer.spool(bench.admit(5)),
        bench.sealer.spool(errors)
    );
    let (plain, errors) = (plain.unwrap().id(), errors.unwrap().id());
    assert_ne!(plain.epoch, errors.epoch);
    let first = bench.spool.lease().await.unwrap();
    assert_eq!((first.id(), first.entry().sealed.items()), (errors, 2));
    assert_eq!(bench.spool.lease().await.unwrap().id(), plain);
}
