//! Ingest: what stands behind the aggregator's door.
//!
//! A request is admitted for the project whose DSN it shows, processed and sealed if its sender has
//! not done so, and appended to the journal; the `Spooled` that comes back is the answer's receipt. Whether
//! ClickHouse is up does not matter here: the journal takes what comes until it is full.

use std::sync::Arc;

use petrel_receiver::{Arrival, Door, Head, Receipt, Refused};
use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolError, Spooled};
use petrel_wire::{Batch, Clock, Sealed, Signal, otlp::view};
use tracing::debug;

mod cardinality;
mod counters;
mod full;
mod limits;
mod recent;
mod sharing;

pub use counters::Counters;
pub(crate) use counters::{header, line};
pub use limits::Limits;
pub use recent::{Recent, RecentArrival};
pub use sharing::Sharing;
pub(crate) use sharing::{Claim, Held};

use crate::auth::{Auth, Directory, Scope};
use crate::processors::Processors;

use full::Full;

/// Batches up to this size are packed where they are.
const SMALL_BYTES: usize = 64 << 10;

/// The aggregator's [`Door`]. Cheap to clone.
#[derive(Debug)]
pub struct Ingest<D> {
    shared: Arc<Shared<D>>,
}

#[derive(Debug)]
struct Shared<D> {
    auth: Auth<D>,
    journal: Spool,
    clock: Arc<dyn Clock>,
    recent: Recent,
    counters: Counters,
    full: Full,
    sharing: Option<Sharing>,
    limits: Limits,
    processors: Processors,
}

impl<D> Clone for Ingest<D> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<D: Directory> Ingest<D> {
    /// Appends to `journal` what `auth` lets in, as much as `limits` allow, and tells `recent`. With
    /// `sharing`, batches of agents are agreed on with other aggregators.
    pub fn new(
        auth: Auth<D>,
        journal: Spool,
        clock: Arc<dyn Clock>,
        recent: Recent,
        limits: Limits,
        processors: Processors,
        sharing: Option<Sharing>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                auth,
                journal,
                clock,
                recent,
                counters: Counters::default(),
                full: Full::default(),
                sharing,
                limits,
                processors,
            }),
        }
    }

    /// What came and what was answered, since the start.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// What each project may send, and has sent.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// What data without identity goes through.
    pub fn processors(&self) -> &Processors {
        &self.shared.processors
    }

    /// Whether the journal has just refused for want of room.
    pub fn is_full(&self) -> bool {
        let shared = &self.shared;
        let used = || shared.journal.stats().used_bytes;
        shared.full.still(shared.clock.monotonic(), used)
    }

    /// Who may come in.
    pub fn auth(&self) -> &Auth<D> {
        &self.shared.auth
    }

    /// What processors leave of an arrival, if it is anything, and what of it goes to other projects. A
    /// sealed batch stays what its name says that it is.
    async fn processed(
        &self,
        scope: Scope,
        head: &Head,
        arrival: Arrival,
    ) -> Result<(Option<Arrival>, Vec<(ProjectId, Batch)>), Refused> {
        let Arrival::Bare(batch) = arrival else {
            return Ok((Some(arrival), Vec::new()));
        };
        let processors = &self.shared.processors;
        match processors.process(scope.project(), batch).await {
            Ok(processed) => {
                if processed.kept.is_none() && processed.elsewhere.is_empty() {
                    let items = processed.came;
                    debug!(signal = %head.signal, items, "processors dropped all items of a batch");
                }
                Ok((processed.kept.map(Arrival::Bare), processed.elsewhere))
            }
            Err(refused) => {
                self.note(scope, head, Seen::nothing(head), Some(&refused));
                Err(refused)
            }
        }
    }

    /// Appends what processors send to other projects, under these; one of the receipts.
    async fn append_elsewhere(
        &self,
        scope: Scope,
        head: &Head,
        elsewhere: Vec<(ProjectId, Batch)>,
    ) -> Result<Option<Spooled>, Refused> {
        let shared = &self.shared;
        let wall = shared.clock.wall();
        let mut last = None;
        for (project, batch) in elsewhere {
            let (signal, items) = (head.signal, batch.items());
            if let Err(refused) = shared.limits.look(project, &batch, wall.seconds()) {
                self.note(scope, head, Seen::nothing(head), Some(&refused));
                return Err(refused);
            }
            let entry = Entry {
                project,
                origin: None,
                accepted: wall,
                sealed: seal(batch).await?,
            };
            let appended = shared.journal.append(entry, Class::Keep).await;
            let spooled = appended.map_err(|why| {
                debug!(error = ?why, %signal, items, "the journal does not take a batch");
                let refused = self.not_taken(why);
                self.note(scope, head, Seen::nothing(head), Some(&refused));
                refused
            })?;
            debug!(
                batch.id = %spooled.id(), %signal, project = project.0, items,
                "accepted {items} {signal} that a processor sent there"
            );
            last = Some(spooled);
        }
        Ok(last)
    }

    /// The journal did not take something.
    fn not_taken(&self, why: SpoolError) -> Refused {
        if let SpoolError::Full { .. } = why {
            let used_bytes = self.shared.journal.stats().used_bytes;
            let now = self.shared.clock.monotonic();
            self.shared.full.note(now, used_bytes);
        }
        why.into()
    }

    fn note(&self, scope: Scope, head: &Head, seen: Seen, refused: Option<&Refused>) {
        self.shared.recent.note(RecentArrival {
            at: self.shared.clock.wall(),
            project: scope.project(),
            signal: head.signal,
            items: seen.items,
            service: seen.service,
            refused: refused.map(Refused::to_string),
            transport: head.transport.name(),
            via_agent: seen.via_agent,
        });
    }
}

impl<D: Directory> Door for Ingest<D> {
    type Permit = Scope;

    async fn admit(&self, head: &Head) -> Result<Scope, Refused> {
        let scope = self.shared.auth.scope(head).await?;
        let now = self.shared.clock.monotonic();
        self.shared.limits.admit(scope.project(), head, now)?;
        if self.is_full() {
            return Err(Refused::disk("the journal is full; the store is behind"));
        }
        Ok(scope)
    }

    fn tenant(&self, scope: &Scope) -> u32 {
        scope.project().0
    }

    async fn accept(
        &self,
        scope: Scope,
        head: &Head,
        arrival: Arrival,
    ) -> Result<Receipt, Refused> {
        // A project pays for what it sends, whatever processors leave of it.
        let sent = (
            arrival.batch().bytes().len() as u64,
            arrival.batch().items(),
        );
        let (limits, wall) = (&self.shared.limits, self.shared.clock.wall().0);
        let (arrival, elsewhere) = self.processed(scope, head, arrival).await?;
        let gone = elsewhere.iter().map(|(_, batch)| batch);
        let (gone_items, gone_bytes) = gone.fold((0, 0), |(items, bytes), batch| {
            (
                items + u64::from(batch.items()),
                bytes + batch.bytes().len(),
            )
        });
        let Some(arrival) = arrival else {
            let spooled = self.append_elsewhere(scope, head, elsewhere).await?;
            limits.pay(scope.project(), sent.0, sent.1.into());
            let counters = &self.shared.counters;
            counters.accepted(head, gone_items, gone_bytes, false);
            return Ok(match spooled {
                Some(spooled) => Receipt::spooled(&spooled),
                None => Receipt::dropped(sent.1.into()),
            });
        };
        let seen = Seen::of(&arrival);
        let (signal, transport) = (head.signal, head.transport);
        let (items, bytes) = (seen.items, arrival.batch().bytes().len());
        let looked = limits.look(scope.project(), arrival.batch(), wall / 1_000_000_000);
        if let Err(refused) = looked {
            self.note(scope, head, seen, Some(&refused));
            return Err(refused);
        }
        let (origin, sealed) = match arrival {
            Arrival::Bare(batch) => (None, seal(batch).await?),
            Arrival::Sealed { id, sealed, .. } => (Some(id), sealed),
        };
        let held = match (&self.shared.sharing, origin) {
            (Some(sharing), Some(batch)) => match sharing.claim(scope.project(), batch).await {
                Ok(Some(held)) => Some(held),
                Ok(None) => {
                    debug!(batch.id = %batch, %signal, items, "taken by another aggregator before");
                    self.shared.counters.accepted(head, items, bytes, true);
                    return Ok(Receipt::taken_elsewhere());
                }
                Err(refused) => {
                    self.note(scope, head, seen, Some(&refused));
                    return Err(refused);
                }
            },
            _ => None,
        };
        let entry = Entry {
            project: scope.project(),
            origin,
            accepted: self.shared.clock.wall(),
            sealed,
        };
        // All of it was answered for: nothing in the journal is worth less than the rest. What waits
        // together shares a commit; if one part is not taken, the sender repeats all of them.
        let append = self.shared.journal.append(entry, Class::Keep);
        let (appended, elsewhere) =
            tokio::join!(append, self.append_elsewhere(scope, head, elsewhere));
        match appended {
            Ok(spooled) => {
                let _durable = elsewhere?;
                if let Some(held) = held {
                    held.confirm().await?;
                }
                let known = spooled.seen_before();
                let (all_items, all_bytes) = (items + gone_items, bytes + gone_bytes);
                self.shared
                    .counters
                    .accepted(head, all_items, all_bytes, known);
                if !known {
                    limits.pay(scope.project(), sent.0, sent.1.into());
                }
                debug!(
                    batch.id = %spooled.id(), %signal, transport = transport.name(),
                    project = scope.project().0, items, known, "accepted {items} {signal}"
                );
                if !known {
                    self.note(scope, head, seen, None);
                }
                Ok(Receipt::spooled(&spooled))
            }
            Err(why) => {
                debug!(error = ?why, %signal, items, "the journal does not take a batch");
                let refused = self.not_taken(why);
                self.note(scope, head, seen, Some(&refused));
                Err(refused)
            }
        }
    }

    fn refused(&self, head: &Head, permit: Option<&Scope>, why: &Refused) {
        self.shared.counters.refused(head, why);
        // Without a scope nobody may be told: an unknown token has no project.
        if let Some(scope) = permit {
            self.note(*scope, head, Seen::nothing(head), Some(why));
        }
    }
}

/// What an onlooker is shown of a request.
#[derive(Debug)]
struct Seen {
    items: u64,
    service: Option<String>,
    via_agent: bool,
}

impl Seen {
    fn of(arrival: &Arrival) -> Self {
        Self {
            items: u64::from(arrival.batch().items()),
            service: service(arrival.batch()),
            via_agent: matches!(arrival, Arrival::Sealed { .. }),
        }
    }

    fn nothing(head: &Head) -> Self {
        Self {
            items: 0,
            service: None,
            via_agent: head.headers.contains_key(petrel_wire::BatchId::HEADER),
        }
    }
}

/// `service.name` of the first resource, bounded.
fn service(batch: &Batch) -> Option<String> {
    let resource = match batch.signal() {
        Signal::Traces => view::traces(batch).next()?.resource(),
        Signal::Logs => view::logs(batch).next()?.resource(),
        Signal::Metrics => view::metrics(batch).next()?.resource(),
    };
    match resource.attributes().get("service.name")? {
        view::Value::Str(name) => Some(name.chars().take(128).collect()),
        _ => None,
    }
}

/// Packs what a sender without identity sent; the journal keeps nothing loose.
async fn seal(batch: Batch) -> Result<Sealed, Refused> {
    if batch.bytes().len() <= SMALL_BYTES {
        return Ok(Sealed::pack(&batch));
    }
    tokio::task::spawn_blocking(move || Sealed::pack(&batch))
        .await
        .map_err(|_| Refused::busy("shutting down; send again elsewhere or later"))
}
