//! ClickHouse's own spans: `system.opentelemetry_span_log` read into a project, once each.
//!
//! The log is read in windows of finish time, some seconds behind the server's clock, because the
//! server writes it in batches. A window is noted in the metadata database before its batch is
//! appended to the journal, and its batch has the identity that the note gives it; so a crash at
//! any place repeats the window, and the journal's ledger recognises what it has. After the
//! journal these spans are as any others.
//!
//! Several aggregators on one server import into one store. They stand at the same place of the log,
//! because they share the note: whoever notes a window first decides about it for all, and whoever
//! claims its batch ([`Sharing`]) takes it. One that dies over a claim holds the others up until it is
//! back, as with any batch.
//!
//! Statements that this program sends by itself are passed over
//! ([`trace_context`](crate::clickhouse)): to import the spans of an import would never end.

mod columns;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use petrel_spool::{Class, Entry, ProjectId, Spool, SpoolError};
use petrel_wire::{AgentId, Batch, BatchId, Clock, Limits, Malformed, Sealed, Signal};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use xxhash_rust::xxh3::xxh3_128;

use crate::clickhouse::Reader;
use crate::config::Config;
use crate::ingest::{Claim, Held, Sharing};
use crate::metadata::{Import, Metadata, MetadataError};

use columns::Columns;

/// How often the log is looked at once everything in it is taken.
const EVERY: Duration = Duration::from_secs(10);
/// How often a server is asked again that keeps no log, or none that we can read.
const EVERY_WHEN_AWAY: Duration = Duration::from_secs(60);
/// How far behind the server's clock a window ends: servers write the log every 7.5 seconds.
const BEHIND_SECONDS: u32 = 20;
/// Spans of one window, unless more than these finished in one microsecond. Each may carry a whole
/// statement.
const MOST_SPANS: usize = 2_000;

/// Reads the log of one server into one project.
#[derive(Debug)]
pub struct SpanLog {
    reader: Reader,
    metadata: Metadata,
    journal: Spool,
    sharing: Option<Sharing>,
    clock: Arc<dyn Clock>,
    project: ProjectId,
    source: String,
}

/// Whose a window is.
#[derive(Debug)]
enum Whose {
    /// Ours, by a claim if there are others.
    Ours(Option<Held>),
    /// It was taken.
    Taken,
    /// That is being found out, here or elsewhere.
    Open,
}

/// Something between the log and the journal failed; the window will be tried again.
#[derive(Debug, thiserror::Error)]
enum SpanLogError {
    #[error("cannot read system.opentelemetry_span_log")]
    Read(#[from] ::clickhouse::error::Error),
    #[error("system.opentelemetry_span_log is not as expected: {0}")]
    Odd(String),
    #[error("the spans of ClickHouse make no batch")]
    Batch(#[from] Malformed),
    #[error("the journal does not take the spans of ClickHouse")]
    Journal(#[from] SpoolError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl SpanLog {
    /// What the configuration asks for, if it asks.
    pub fn of(
        config: &Config,
        reader: Reader,
        metadata: Metadata,
        journal: Spool,
        sharing: Option<Sharing>,
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let project = config.ch.import_spans_to?;
        let server = config.ch.url.as_deref().unwrap_or("embedded");
        Some(Self {
            reader,
            metadata,
            journal,
            sharing,
            clock,
            project,
            source: format!("span log of {server} for project {}", project.0),
        })
    }

    /// Until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut away = false;
        loop {
            // Whatever is broken off here is repeated, as after a crash.
            let taken = tokio::select! {
                taken = self.take_all() => taken,
                () = stop.cancelled() => return,
            };
            let next = match taken {
                Ok(spans) => {
                    if away {
                        info!("the span log of ClickHouse can be read again");
                    }
                    away = false;
                    if spans > 0 {
                        debug!(spans, "imported {spans} spans of ClickHouse");
                    }
                    EVERY
                }
                Err(why) => {
                    // Once, not every minute: a server without a log may be meant so.
                    if !away {
                        warn!(error = %why, cause = ?why, "the span log of ClickHouse is not imported");
                    }
                    away = true;
                    EVERY_WHEN_AWAY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Window after window, until there is nothing more. Says how many spans there were.
    async fn take_all(&self) -> Result<u64, SpanLogError> {
        let columns = Columns::read(&self.reader).await?;
        let mut spans = 0;
        while let Some(taken) = self.take_window(&columns).await? {
            spans += taken;
        }
        Ok(spans)
    }

    /// One window, if there is one that we can take.
    async fn take_window(&self, columns: &Columns) -> Result<Option<u64>, SpanLogError> {
        let mut stood = self.metadata.import(&self.source).await?;
        let end = match stood.pending {
            Some(end) => end,
            None => {
                let end = columns
                    .window(&self.reader, stood.position, BEHIND_SECONDS, MOST_SPANS)
                    .await?;
                let Some(end) = end else { return Ok(None) };
                let begun = Import {
                    pending: Some(end),
                    ..stood.clone()
                };
                if !self.go_on(&stood, &begun).await? {
                    // Somebody else has decided about the window.
                    return Ok(Some(0));
                }
                stood = begun;
                end
            }
        };
        let rows = columns.rows(&self.reader, stood.position, end).await?;
        let mut taken = 0;
        if !rows.is_empty() {
            let Some(ours) = self.take(&rows::request(&rows), &stood).await? else {
                return Ok(None);
            };
            taken = if ours { rows.len() as u64 } else { 0 };
        }
        let stands = Import {
            seq: stood.seq + u64::from(!rows.is_empty()),
            position: end,
            pending: None,
            ..stood.clone()
        };
        // Or somebody else has noted it already.
        self.go_on(&stood, &stands).await?;
        Ok(Some(taken))
    }

    async fn go_on(&self, stood: &Import, stands: &Import) -> Result<bool, MetadataError> {
        self.metadata
            .go_on_with_import(&self.source, stood, stands)
            .await
    }

    /// Takes the spans of a window: true if we did, false if they are in a journal already, `None`
    /// if nobody knows yet.
    async fn take(&self, request: &[u8], import: &Import) -> Result<Option<bool>, SpanLogError> {
        let limits = Limits {
            request_bytes: usize::MAX,
            items: u32::MAX,
            ..Limits::default()
        };
        let batch = Batch::from_protobuf(Signal::Traces, request.to_vec().into(), &limits)?;
        let sealed = Sealed::pack(&batch);
        let origin = BatchId {
            agent: AgentId(xxh3_128(self.source.as_bytes())),
            epoch: import.epoch,
            seq: import.seq,
            hash: sealed.hash(),
        };
        let held = match self.whose(&origin).await? {
            Whose::Ours(held) => held,
            Whose::Taken => return Ok(Some(false)),
            Whose::Open => return Ok(None),
        };
        let entry = Entry {
            project: self.project,
            origin: Some(origin),
            accepted: self.clock.wall(),
            sealed,
        };
        match self.journal.append(entry, Class::Keep).await {
            Ok(_) => {}
            // The window was taken before a crash, and spans of its time came after.
            Err(SpoolError::Conflict(_)) => late(),
            Err(why) => return Err(why.into()),
        }
        if let Some(held) = held {
            held.try_confirm().await?;
        }
        Ok(Some(true))
    }

    async fn whose(&self, batch: &BatchId) -> Result<Whose, MetadataError> {
        let Some(sharing) = &self.sharing else {
            return Ok(Whose::Ours(None));
        };
        Ok(match sharing.try_claim(self.project, *batch).await? {
            Claim::Held(held) => Whose::Ours(Some(held)),
            Claim::Taken => Whose::Taken,
            Claim::LookedUp | Claim::Elsewhere => Whose::Open,
            // Other spans of the same window, which are in a journal, or were about to be when
            // somebody died. Then that claim is given up in a moment, and these can be taken.
            Claim::Conflict if sharing.is_taken(self.project, batch).await? => {
                late();
                Whose::Taken
            }
            Claim::Conflict => Whose::Open,
        })
    }
}

/// The server wrote its log later than it does.
fn late() {
    warn!("spans that ClickHouse wrote late into its log are not imported");
}
