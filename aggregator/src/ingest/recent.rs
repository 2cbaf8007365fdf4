//! [`Recent`]: the last arrivals of each project, for the page on which a user waits for the first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use petrel_spool::ProjectId;
use petrel_wire::{Signal, UnixNanos};
use tokio::sync::broadcast;

/// How many are replayed to who looks on from now.
const KEPT: usize = 50;
/// How far a slow onlooker may fall behind before it misses some.
const LAG: usize = 256;

/// One request, taken or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentArrival {
    /// When it was answered.
    pub at: UnixNanos,
    /// Whose it is.
    pub project: ProjectId,
    /// What it carried.
    pub signal: Signal,
    /// How many items; zero when it could not be counted.
    pub items: u64,
    /// `service.name` of the first resource.
    pub service: Option<String>,
    /// Why it was refused; `None` when it was accepted.
    pub refused: Option<String>,
    /// `http` or `grpc`.
    pub transport: &'static str,
    /// Whether an agent sent it.
    pub via_agent: bool,
}

/// A cheap handle: ingest notes, the API shows.
#[derive(Clone, Debug)]
pub struct Recent {
    kept: Arc<Mutex<HashMap<ProjectId, VecDeque<RecentArrival>>>>,
    live: broadcast::Sender<RecentArrival>,
}

impl Recent {
    /// Nothing arrived yet.
    pub fn new() -> Self {
        Self {
            kept: Arc::default(),
            live: broadcast::Sender::new(LAG),
        }
    }

    /// Notes one arrival.
    pub fn note(&self, arrival: RecentArrival) {
        {
            // Held for a push and never across an await.
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = kept.entry(arrival.project).or_default();
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(arrival.clone());
        }
        // Fails when nobody looks on, which is the usual case.
        drop(self.live.send(arrival));
    }

    /// The last fifty of a project, oldest first, and a feed of what comes after (of every
    /// project: the receiver picks).
    pub fn subscribe(
        &self,
        project: ProjectId,
    ) -> (Vec<RecentArrival>, broadcast::Receiver<RecentArrival>) {
        // Subscribed under the lock, so that nothing falls between the two.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = self.live.subscribe();
        let kept = kept
            .get(&project)
            .map_or_else(Vec::new, |kept| kept.iter().cloned().collect());
        (kept, feed)
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(project: u32, items: u64) -> RecentArrival {
        RecentArrival {
            at: UnixNanos(1),
            project: ProjectId(project),
            signal: Signal::Traces,
            items,
            service: None,
            refused: None,
            transport: "http",
            via_agent: false,
        }
    }

    #[test]
    fn a_late_onlooker_sees_the_last_fifty_of_its_project_only() {
        let recent = Recent::new();
        for items in 0..60 {
            recent.note(arrival(1, items));
            recent.note(arrival(2, items));
        }
        let (kept, mut feed) = recent.subscribe(ProjectId(1));
        assert_eq!(kept.len(), KEPT);
        assert!(kept.iter().all(|one| one.project == ProjectId(1)));
        assert_eq!(kept.first().map(|one| one.items), Some(10));
        recent.note(arrival(1, 99));
        assert_eq!(feed.try_recv().unwrap().items, 99);
    }
}
