//! [`Aside`]: threads for work that nobody at the door waits for.
//!
//! Whoever waits for an answer comes before whoever will ask the store some time later. Without a
//! difference, ten thousand senders that come back at once wait behind the rows of the first of
//! them; with it, rows are built as soon as nobody waits.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// By how much less a thread counts than those at the door: a third, by the kernel's table
/// (`sched(7)`, "The nice value").
pub(crate) const LESS: i32 = 5;

/// The threads. Cheap to clone; gone with the last clone, when their work is done.
#[derive(Clone, Debug)]
pub(super) struct Aside(Arc<Threads>);

#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Aside {
    /// At most so many at once; others wait.
    pub(super) fn new(at_once: usize) -> Self {
        let runtime = Builder::new_current_thread()
            .thread_name("rows")
            .max_blocking_threads(at_once)
            .on_thread_start(|| {
                // A thread that may not be lowered works all the same.
                let _nice = rustix::process::nice(LESS);
            })
            .build();
        Self(Arc::new(Threads(runtime.ok())))
    }

    /// As `tokio::task::spawn_blocking`.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.0.0 {
            Some(runtime) => runtime.spawn_blocking(work),
            // No threads of our own to be had: then on those of everybody.
            None => tokio::task::spawn_blocking(work),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for them is not allowed where this may happen.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_aside_and_its_panic_stays_there() {
        let aside = Aside::new(1);
        let here = rustix::process::nice(0).unwrap();
        let there = aside
            .run(|| rustix::process::nice(0))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(there, (here + LESS).min(19));
        let failed = aside.run(|| assert_eq!(1, 2)).await.unwrap_err();
        assert!(failed.is_panic());
        assert_eq!(aside.run(|| 7).await.unwrap(), 7);
        assert_eq!(
            rustix::process::nice(0).unwrap(),
            here,
            "the door is as it was"
        );
    }
}
