//! Carrying one batch until its lease is settled, by what the peer says.
//!
//! A verdict on the data is traced to the items it is about: the batch is cut in two, the halves
//! get identities of their own, and so on, until a single item is refused and set aside. The peer
//! is believed only if it has acknowledged something: one that refuses everything is broken, or
//! isn't the one that was meant.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use petrel_spool::Lease;
use petrel_wire::{Delivery, Refusal};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

use super::blame::{Blame, Tally};
use super::{About, Answer, DEFERRED, DISK_PAUSE, Pass, Shared, Trouble, cut};

/// A batch that failed so often while others passed is poison.
const MOST_TRIES: u32 = 20;
/// A batch that met a peer without time so often lets another one knock.
const PATIENT_TRIES: u32 = 3;
/// So many may stand aside for that at once: each holds its file on the disk against eviction.
const MOST_ASIDE: usize = 4;
/// A peer that has never acknowledged anything may refuse a batch so often before it is cut.
const DOUBTFUL_TRIES: u32 = 3;

/// What became of one try.
enum Next {
    /// The lease is settled.
    Done,
    /// This batch alone waits and tries again, after what the peer asked for at least.
    Defer(Box<Lease>, Option<Duration>),
}

/// What a failure means for the batch.
struct Standing {
    /// How often it has failed.
    failures: u32,
    /// It fails while others pass.
    is_poison: bool,
    /// Batches that wait by themselves already; none if this was one of them.
    waiting: usize,
    /// Whoever answered has acknowledged batches before.
    is_credible: bool,
}

impl Shared {
    /// Carries one batch until its lease is settled. The slot is given back while it waits.
    pub(super) async fn carry(self: Arc<Self>, slot: OwnedSemaphorePermit, lease: Lease) {
        let stop = self.stop.clone();
        let mut blame = Blame::new(self.tally(), lease.attempts());
        let mut lease = lease;
        let mut slot = Some(slot);
        let mut waiting = None;
        loop {
            let pass = tokio::select! {
                // Dropped unsettled, the lease goes back.
                () = stop.cancelled() => return,
                pass = self.pace.enter() => pass,
            };
            let room = waiting.take().is_some();
            let (kept, after) = match self.try_once(pass, lease, &mut blame, room).await {
                Next::Done => return,
                Next::Defer(lease, after) => (lease, after),
            };
            lease = *kept;
            drop(slot.take());
            // There was room when the batch was deferred; a race merely defers one more.
            waiting = Arc::clone(&self.deferred).try_acquire_owned().ok();
            let wait = self.backoff.draw(blame.failures(), after);
            self.allow(wait);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.turned.notified() => {}
                () = sleep(wait) => {}
            }
            slot = self.slot().await.ok();
        }
    }

    async fn try_once(
        &self,
        pass: Pass<'_>,
        lease: Lease,
        blame: &mut Blame,
        has_waited: bool,
    ) -> Next {
        let id = lease.name();
        let sealed = &lease.entry().sealed;
        let (signal, items) = (sealed.signal(), sealed.items());
        let way = self.way();
        self.allow(way.client.allowance(sealed));
        // Before the question: a peer that recovers meanwhile has not meant what it said before.
        let is_credible = way.client.has_acknowledged();
        let Answer {
            delivery,
            about,
            sent_bytes,
        } = way.client.deliver(&id, sealed).await;
        self.step();
        self.counters
            .sent_bytes
            .fetch_add(sent_bytes as u64, Relaxed);
        match delivery {
            Delivery::Committed => {
                debug!(batch.id = %id, %signal, items, "delivered {items} {signal}");
                self.delivered(pass, lease, &delivery);
            }
            Delivery::Partial {
                rejected,
                ref message,
            } => {
                warn!(batch.id = %id, %signal, rejected, message, "the peer took a part only");
                self.delivered(pass, lease, &delivery);
            }
            Delivery::Refused(Refusal::Data, words) => {
                self.failed(blame, about);
                let standing = self.standing(blame, has_waited, is_credible);
                return self.bisect(pass, lease, words, &standing).await;
            }
            Delivery::Refused(Refusal::Size, words) => {
                self.failed(blame, about);
                pass.succeeded();
                if let Some(lease) = self.cut(lease, "too large for the peer: split").await {
                    self.set_aside(lease, words);
                }
            }
            Delivery::Refused(Refusal::Conflict, words) => {
                self.failed(blame, about);
                pass.succeeded();
                self.rename(lease, &words).await;
            }
            Delivery::Refused(Refusal::Parked, ref words) if about == About::Signal => {
                self.failed(blame, about);
                let (wait, is_news) = self.held.hold(signal, words);
                if is_news {
                    warn!(
                        endpoint = self.way().client.base_url(),
                        %signal, reason = words,
                        "the peer does not take this signal; its data stays in the spool, others pass"
                    );
                }
                self.allow(wait);
                pass.succeeded();
                self.spool.hold(signal, true);
                lease.settle(&delivery);
            }
            Delivery::Refused(Refusal::Parked, ref words) => {
                self.failed(blame, about);
                let reason = words.clone();
                self.say_once(&Trouble::Parked { reason });
                pass.parked(words.clone());
                lease.settle(&delivery);
            }
            Delivery::Busy { after, reason } => {
                self.failed(blame, about);
                let standing = self.standing(blame, has_waited, is_credible);
                return self.busy(pass, lease, about, (after, reason), &standing);
            }
        }
        Next::Done
    }

    /// The peer refuses something in the batch for good.
    async fn bisect(
        &self,
        pass: Pass<'_>,
        lease: Lease,
        words: String,
        standing: &Standing,
    ) -> Next {
        let lease = if standing.is_credible || standing.failures >= DOUBTFUL_TRIES {
            match self
                .cut(lease, "the peer refuses something in a batch: split")
                .await
            {
                None => {
                    pass.succeeded();
                    return Next::Done;
                }
                Some(single) => single,
            }
        } else {
            lease
        };
        if standing.is_credible {
            pass.succeeded();
            self.set_aside(lease, words);
            return Next::Done;
        }
        let reason = format!("{words} (from a peer that has acknowledged nothing so far)");
        self.busy(pass, lease, About::Batch, (None, reason), standing)
    }

    fn busy(
        &self,
        pass: Pass<'_>,
        lease: Lease,
        about: About,
        (after, reason): (Option<Duration>, String),
        standing: &Standing,
    ) -> Next {
        debug!(batch.id = %lease.name(), reason, "not delivered");
        if about == About::Way {
            self.say_once(&Trouble::Waiting {
                reason: reason.clone(),
            });
            pass.unreached(reason.clone());
            lease.settle(&Delivery::Busy { after, reason });
            return Next::Done;
        }
        if standing.is_poison {
            let tries = standing.failures;
            let words = format!("failed {tries} times while others passed; last: {reason}");
            if about == About::Peer || pass.is_probe() {
                pass.failed(after, reason);
            }
            self.set_aside(lease, words);
            return Next::Done;
        }
        let steps_aside = match about {
            About::Batch | About::Hands => standing.waiting < DEFERRED,
            About::Peer => standing.failures >= PATIENT_TRIES && standing.waiting < MOST_ASIDE,
            About::Way | About::Signal => false,
        };
        if about == About::Peer || !steps_aside {
            self.say_once(&Trouble::Waiting {
                reason: reason.clone(),
            });
        }
        if steps_aside {
            if about == About::Peer || pass.is_probe() {
                pass.failed(after, reason);
            }
            return Next::Defer(Box::new(lease), after);
        }
        pass.failed(after, reason.clone());
        lease.settle(&Delivery::Busy { after, reason });
        Next::Done
    }

    /// Replaces a batch by its halves; gives it back if it cannot be cut.
    async fn cut(&self, lease: Lease, why: &str) -> Option<Lease> {
        let id = lease.name();
        let sealed = lease.entry().sealed.clone();
        let halves = tokio::task::spawn_blocking(move || cut::halves(&sealed)).await;
        let Ok(Some(halves)) = halves else {
            return Some(lease);
        };
        debug!(batch.id = %id, "{why}");
        if let Err(why) = lease.split(halves.into()).await {
            warn!(batch.id = %id, error = %why, "cannot split a batch, trying on");
            sleep(DISK_PAUSE).await;
        } else {
            self.counters.splits.fetch_add(1, Relaxed);
        }
        None
    }

    /// To the dead letters, with the reason.
    fn set_aside(&self, lease: Lease, words: String) {
        let sealed = &lease.entry().sealed;
        let (signal, items) = (sealed.signal(), sealed.items());
        warn!(batch.id = %lease.name(), %signal, items, reason = words, "set aside as a dead letter");
        self.counters.dead.fetch_add(1, Relaxed);
        self.progress().dead_reason = Some(words.clone());
        lease.settle(&Delivery::Refused(Refusal::Data, words));
    }

    /// The peer knows this identity with other content: this spool is a copy of another (a cloned
    /// disk). What comes from now on gets a new identity, and so does this batch.
    async fn rename(&self, lease: Lease, words: &str) {
        let id = lease.name();
        error!(batch.id = %id, reason = words, "another agent uses this spool's identity; taking a new one");
        // Others of the old identity may have renewed it meanwhile; its epochs are those of classes.
        if self.spool.identity().0 == id.agent
            && let Err(why) = self.spool.renew_identity().await
        {
            warn!(error = %why, "cannot take a new identity, trying on");
            sleep(DISK_PAUSE).await;
            return;
        }
        let same = lease.entry().sealed.clone();
        if let Err(why) = lease.split(vec![same]).await {
            warn!(batch.id = %id, error = %why, "cannot rename a batch, trying on");
            sleep(DISK_PAUSE).await;
        }
    }

    fn delivered(&self, pass: Pass<'_>, lease: Lease, delivery: &Delivery) {
        let now = Instant::now();
        let signal = lease.entry().sealed.signal();
        if self.held.taken(signal) {
            self.spool.hold(signal, false);
            info!(%signal, "the peer takes this signal again");
        }
        {
            let mut progress = self.progress();
            progress.at = now;
            progress.delivery = Some(now);
            progress.tally.delivered += 1;
            progress.tally.tries += 1;
        }
        if self.pace.trouble().is_some() {
            info!(endpoint = self.way().client.base_url(), "forwarding again");
        }
        pass.succeeded();
        lease.settle(delivery);
    }

    fn failed(&self, blame: &mut Blame, about: About) {
        self.counters.failures.fetch_add(1, Relaxed);
        let tally = {
            let mut progress = self.progress();
            progress.tally.tries += 1;
            progress.tally
        };
        blame.failed(tally, about);
    }

    fn standing(&self, blame: &Blame, has_waited: bool, is_credible: bool) -> Standing {
        let waiting = DEFERRED - self.deferred.available_permits();
        Standing {
            failures: blame.failures(),
            is_poison: blame.is_poison(MOST_TRIES) && is_credible,
            waiting: if has_waited { 0 } else { waiting },
            is_credible,
        }
    }

    fn tally(&self) -> Tally {
        self.progress().tally
    }

    /// One line when trouble begins or changes its face, and none for each try.
    fn say_once(&self, trouble: &Trouble) {
        let known = self.pace.trouble();
        if known.is_none_or(|(known, _)| known != *trouble) {
            warn!(
                endpoint = self.way().client.base_url(),
                "nothing is forwarded now, data stays in the spool; {trouble}"
            );
        }
    }
}
