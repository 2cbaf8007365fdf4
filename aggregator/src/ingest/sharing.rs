//! [`Sharing`]: aggregators that fill one store agree on who takes a batch.
//!
//! Claim, append, confirm, answer: in this order. Whatever is interrupted between claim and
//! confirmation, or refused by the journal, is looked up in our own journal a little later, because
//! nobody else can; then it is confirmed or given up.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use petrel_receiver::Refused;
use petrel_spool::{ProjectId, Spool};
use petrel_wire::{AgentId, BatchId};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::Config;
use crate::metadata::{Delivered, Metadata, MetadataError};

/// Between two looks at claims that nobody holds any more, and their age until then.
const LOOK: Duration = Duration::from_secs(5);

type Key = (ProjectId, BatchId);

/// The ledger that several aggregators have in common. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sharing {
    metadata: Metadata,
    journal: Spool,
    owner: AgentId,
    hands: Arc<Mutex<Hands>>,
}

/// Who works on which batch: requests, or the look into the journal, never both.
#[derive(Debug, Default)]
struct Hands {
    requests: HashMap<Key, u32>,
    looked_up: HashSet<Key>,
}

/// What became of a claim.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is ours to take while this is held.
    Held(Held),
    /// It is in a journal.
    Taken,
    /// We are finding out what became of an earlier claim of ours.
    LookedUp,
    /// Another aggregator has begun to take it.
    Elsewhere,
    /// Its number was claimed for other bytes.
    Conflict,
}

/// A request that works on a batch.
#[derive(Debug)]
pub(crate) struct Held {
    sharing: Sharing,
    key: Key,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut hands = self.sharing.hands();
        if let Some(requests) = hands.requests.get_mut(&self.key) {
            *requests -= 1;
            if *requests == 0 {
                hands.requests.remove(&self.key);
            }
        }
    }
}

impl Sharing {
    /// Shares what `journal` takes by way of `metadata`, if others can reach both the store and
    /// the metadata: they may fill the one beside us, and would tell us by the other.
    pub fn of(config: &Config, metadata: &Metadata, journal: &Spool) -> Option<Self> {
        let is_open = config.ch.url.is_some() && config.pg.is_some();
        is_open.then(|| Self::new(metadata.clone(), journal.clone()))
    }

    /// Shares what `journal` takes by way of `metadata`.
    pub fn new(metadata: Metadata, journal: Spool) -> Self {
        Self {
            owner: journal.identity().0,
            metadata,
            journal,
            hands: Arc::default(),
        }
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before it is claimed: between the two it could be looked up and given up.
    fn hold(&self, key: Key) -> Option<Held> {
        let mut hands = self.hands();
        if hands.looked_up.contains(&key) {
            return None;
        }
        *hands.requests.entry(key).or_default() += 1;
        Some(Held {
            sharing: self.clone(),
            key,
        })
    }

    /// Claims a batch. `None`: it is in a journal already, and may be answered for.
    pub(crate) async fn claim(
        &self,
        project: ProjectId,
        batch: BatchId,
    ) -> Result<Option<Held>, Refused> {
        match self.try_claim(project, batch).await {
            Ok(Claim::Held(held)) => Ok(Some(held)),
            Ok(Claim::Taken) => Ok(None),
            Ok(Claim::LookedUp) => Err(Refused::elsewhere("this batch is being looked up")),
            Ok(Claim::Elsewhere) => Err(Refused::elsewhere(
                "another aggregator has begun to take this batch and has not said how that ended",
            )),
            Ok(Claim::Conflict) => Err(Refused::Conflict(format!(
                "batch {batch}: its number was used for other bytes"
            ))),
            Err(why) => Err(unreachable(&why)),
        }
    }

    /// The same for those who are no request.
    pub(crate) async fn try_claim(
        &self,
        project: ProjectId,
        batch: BatchId,
    ) -> Result<Claim, MetadataError> {
        let Some(held) = self.hold((project, batch)) else {
            return Ok(Claim::LookedUp);
        };
        let claimed = self.metadata.claim(project, &batch, self.owner).await?;
        Ok(match claimed {
            Delivered::Mine => Claim::Held(held),
            Delivered::Taken => Claim::Taken,
            Delivered::Elsewhere => Claim::Elsewhere,
            Delivered::Conflict => Claim::Conflict,
        })
    }

    /// Whether any batch of this number is in a journal, whatever its bytes.
    pub(crate) async fn is_taken(
        &self,
        project: ProjectId,
        batch: &BatchId,
    ) -> Result<bool, MetadataError> {
        self.metadata.is_taken(project, batch).await
    }

    /// Looks into our journal for what became of claims that nobody works on, until `stop`; sums
    /// up what is old.
    pub async fn keep(self, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let done = self.look(LOOK).await;
            if let Err(why) = &done
                && !failing
            {
                warn!(error = %why, "the ledger that aggregators share cannot be kept; trying on");
            }
            failing = done.is_err();
        }
    }

    /// One round of [`Sharing::keep`].
    async fn look(&self, age: Duration) -> anyhow::Result<()> {
        for key in self.metadata.open_claims(self.owner, age).await? {
            {
                let mut hands = self.hands();
                if hands.requests.contains_key(&key) {
                    continue;
                }
                hands.looked_up.insert(key);
            }
            let done = self.look_up(key).await;
            self.hands().looked_up.remove(&key);
            done?;
        }
        self.metadata.sum_up_deliveries().await?;
        Ok(())
    }

    async fn look_up(&self, (project, batch): Key) -> anyhow::Result<()> {
        if self.journal.knows(project, batch).await? {
            self.metadata.confirm(project, &batch).await?;
        } else {
            self.metadata.release(project, &batch, self.owner).await?;
        }
        Ok(())
    }
}

impl Held {
    /// The journal has it. Only then may anybody be answered.
    pub(crate) async fn confirm(self) -> Result<(), Refused> {
        self.try_confirm().await.map_err(|why| unreachable(&why))
    }

    /// The same for those who are no request.
    pub(crate) async fn try_confirm(self) -> Result<(), MetadataError> {
        let (project, batch) = self.key;
        self.sharing.metadata.confirm(project, &batch).await
    }
}

fn unreachable(why: &MetadataError) -> Refused {
    warn!(error = ?why, "the ledger that aggregators share cannot be reached");
    Refused::busy("the ledger that the aggregators share cannot be reached; nothing was stored")
}

#[cfg(test)]
mod tests;
