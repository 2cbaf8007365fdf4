//! [`Turns`]: who may have a processor next.
//!
//! Memory is shared fairly by the budget; time is shared here. Whoever waits, waits behind the
//! requests of its own tenant, and tenants take turns: one that sends eighty of a hundred requests
//! does not make the others wait for eighty.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// So many at once; more wait. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Mutex<Books>>);

#[derive(Debug)]
struct Books {
    free: usize,
    waiting: HashMap<u32, VecDeque<oneshot::Sender<Turn>>>,
    /// Tenants with somebody waiting, the next one first.
    order: VecDeque<u32>,
}

/// Passed on when it is dropped.
#[derive(Debug)]
pub struct Turn(Turns);

impl Turns {
    /// One for each processor of this machine, and two at least.
    pub fn of_this_machine() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self::new(threads.max(2))
    }

    /// So many at once.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Books {
            free: at_once.max(1),
            waiting: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// Waits for a turn of this tenant. `None` never comes while there are others who have one.
    pub async fn take(&self, tenant: u32) -> Option<Turn> {
        let turn = {
            let mut books = self.lock();
            if books.free > 0 {
                books.free -= 1;
                return Some(Turn(self.clone()));
            }
            books.wait(tenant)
        };
        turn.await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn wait(&mut self, tenant: u32) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let queue = self.waiting.entry(tenant).or_default();
        if queue.is_empty() {
            self.order.push_back(tenant);
        }
        queue.push_back(sender);
        receiver
    }

    /// Whoever still waits, of the tenant whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(tenant) = self.order.pop_front() {
            let Some(queue) = self.waiting.get_mut(&tenant) else {
                continue;
            };
            let found = loop {
                match queue.pop_front() {
                    Some(gone) if gone.is_closed() => {}
                    found => break found,
                }
            };
            if queue.is_empty() {
                self.waiting.remove(&tenant);
            } else {
                self.order.push_back(tenant);
            }
            if found.is_some() {
                return found;
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.lock().next();
        if let Some(next) = next {
            // Gone in this very moment, it leaves the turn here, to be passed on again.
            drop(next.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waiters in the order in which they get a turn, each giving it back at once.
    async fn order_of(waiting: &[(u32, &'static str)]) -> Vec<&'static str> {
        let turns = Turns::new(1);
        let first = turns.take(0).await.unwrap();
        let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
        for (tenant, name) in waiting {
            let receiver = turns.lock().wait(*tenant);
            let (served, name) = (served.clone(), *name);
            tokio::spawn(async move {
                let turn = receiver.await.unwrap();
                served.send(name).unwrap();
                drop(turn);
            });
        }
        drop((first, served));
        let mut names = Vec::new();
        while let Some(name) = order.recv().await {
            names.push(name);
        }
        names
    }

    #[tokio::test]
    async fn tenants_take_turns_and_each_keeps_its_order() {
        let waiting = [(1, "a"), (1, "b"), (1, "c"), (2, "x"), (3, "y"), (2, "z")];
        assert_eq!(order_of(&waiting).await, ["a", "x", "y", "b", "z", "c"]);
    }

    #[tokio::test]
    async fn who_has_gone_costs_nobody_a_turn() {
        let turns = Turns::new(1);
        let first = turns.take(1).await.unwrap();
        let gone = turns.lock().wait(1);
        let patient = turns.lock().wait(2);
        drop(gone);
        drop(first);
        let turn = patient.await.unwrap();
        drop(turn);
        // Sent, and never looked at.
        let first = turns.take(1).await.unwrap();
        let late = turns.lock().wait(1);
        drop(first);
        drop(late);
        assert_eq!(turns.lock().free, 1);
        assert!(turns.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn so_many_have_a_turn_at_once_and_not_one_more() {
        let turns = Turns::new(2);
        let held = (turns.take(1).await, turns.take(1).await);
        let mut third = turns.lock().wait(1);
        assert!(third.try_recv().is_err());
        drop(held);
        assert!(third.try_recv().is_ok());
    }
}
