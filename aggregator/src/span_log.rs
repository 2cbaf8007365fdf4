//! ClickHouse's own spans: `system.opentelemetry_span_log` read into a project, once each.
//!
//! The log is read in windows of finish time, some seconds behind the server's clock, because the
//! server writes it in batches. A window is noted in the metadata database before its batch is
//! appended to the journal, and its batch has the identity that the note gives it; so a crash at
//! any place repeats the window, and the journal's ledger recognises what it has. After the
//! journal these spans are as any others.
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
    clock: Arc<dyn Clock>,
    project: ProjectId,
    source: String,
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
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let project = config.ch.import_spans_to?;
        let server = config.ch.url.as_deref().unwrap_or("embedded");
        Some(Self {
            reader,
            metadata,
            journal,
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

    /// One window, if there is one.
    async fn take_window(&self, columns: &Columns) -> Result<Option<u64>, SpanLogError> {
        let mut import = self.metadata.import(&self.source).await?;
        let end = match import.pending {
            Some(end) => end,
            None => {
                let end = columns
                    .window(&self.reader, import.position, BEHIND_SECONDS, MOST_SPANS)
                    .await?;
                let Some(end) = end else { return Ok(None) };
                import.pending = Some(end);
                self.metadata.set_import(&self.source, &import).await?;
                end
            }
        };
        let rows = columns.rows(&self.reader, import.position, end).await?;
        let spans = rows.len() as u64;
        if spans > 0 {
            self.append(&rows::request(&rows), &import).await?;
        }
        import = Import {
            seq: import.seq + u64::from(spans > 0),
            position: end,
            pending: None,
            ..import
        };
        self.metadata.set_import(&self.source, &import).await?;
        Ok(Some(spans))
    }

    async fn append(&self, request: &[u8], import: &Import) -> Result<(), SpanLogError> {
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
        let entry = Entry {
            project: self.project,
            origin: Some(origin),
            accepted: self.clock.wall(),
            sealed,
        };
        match self.journal.append(entry, Class::Keep).await {
            Ok(_) => Ok(()),
            // The window was taken before a crash, and spans of its time came after: the server
            // wrote its log later than it does.
            Err(SpoolError::Conflict(_)) => {
                warn!("spans that ClickHouse wrote late into its log are not imported");
                Ok(())
            }
            Err(why) => Err(why.into()),
        }
    }
}
