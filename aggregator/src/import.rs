//! `petrel-aggregator import`: what an agent exported, straight into the journal.
//!
//! For batches that no network carries. The aggregator must be stopped, since the journal has one
//! owner; it stores them when it starts. Each batch keeps the id that its agent gave it and is
//! claimed in the ledger like one that came in at the door: imported twice, or imported and sent,
//! it is stored once.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use petrel_receiver::Refused;
use petrel_spool::{ArchiveError, ArchiveReader, Class, SpoolError};
use petrel_wire::{Dsn, DsnError, Limits, Sealed, SystemClock, UnpackError};

use crate::config::Config;
use crate::ingest::Sharing;
use crate::manage::{self, ManageError};
use crate::metadata::{Database, Metadata, MetadataError};
use crate::pipeline;

/// What is imported, and as whose.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// An archive that `petrel-agent spool export` wrote.
    pub file: PathBuf,
    /// The DSN of the project that the batches are for, as the agent has it.
    #[arg(long, value_name = "DSN", env = "PETREL_DSN", hide_env_values = true)]
    pub dsn: String,
}

/// What became of an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Batches that are in the journal now.
    pub stored: u64,
    /// Batches that the ledger knew.
    pub known: u64,
    /// Batches whose numbers the ledger knows with other contents: of a machine that was cloned.
    pub conflicting: u64,
}

impl Imported {
    fn batches(self) -> u64 {
        self.stored + self.known + self.conflicting
    }
}

/// Nothing, or not everything, was imported. What was is recognised when it is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// `--dsn`.
    #[error("--dsn: {0}")]
    Dsn(#[from] DsnError),
    /// No token in it, or one of nobody.
    #[error("--dsn: its token opens no project here")]
    Unknown,
    /// The journal would get files that the server cannot open.
    #[error(transparent)]
    Place(#[from] ManageError),
    /// Whose the token is cannot be found out.
    #[error("cannot look up the project")]
    Metadata(#[from] MetadataError),
    /// The archive cannot be read, or not to its end.
    #[error("{file}, after {} batches", .done.batches())]
    Archive {
        /// Its path.
        file: String,
        /// What was imported of it.
        done: Imported,
        /// Why not on.
        source: ArchiveError,
    },
    /// A batch that no agent would send.
    #[error("a batch of the archive is not OTLP within limits, after {} batches", .done.batches())]
    Malformed {
        /// What was imported before it.
        done: Imported,
        /// What is wrong.
        source: UnpackError,
    },
    /// The journal is in use.
    #[error("stop the aggregator first, and start it again after")]
    InUse(#[source] SpoolError),
    /// Aggregators share a ledger, and it does not let the batch in now.
    #[error("the ledger that the aggregators share does not let a batch in now, after {} batches; try again", .done.batches())]
    Elsewhere {
        /// What was imported before.
        done: Imported,
        /// Why not on.
        source: Refused,
    },
    /// The journal cannot be opened, or takes no more.
    #[error("the journal takes no more after {} batches; start the aggregator and try again later", .done.batches())]
    Journal {
        /// What was imported before.
        done: Imported,
        /// Why not on.
        source: SpoolError,
    },
}

/// Imports an archive into the journal of an aggregator that is stopped.
pub async fn run(config: &Config, args: &ImportArgs) -> Result<Imported, ImportError> {
    let file = args.file.display().to_string();
    let mut done = Imported::default();
    let unreadable = |done, source| ImportError::Archive {
        file: file.clone(),
        done,
        source,
    };
    let opened = File::open(&args.file).map_err(|error| unreadable(done, error.into()))?;
    let archive = ArchiveReader::open(BufReader::new(opened));
    let archive = archive.map_err(|error| unreadable(done, error))?;
    let clock = SystemClock::shared();
    let dsn = Dsn::parse(&args.dsn)?;
    manage::ours(config)?;
    let metadata = Metadata::open(&Database::of(config), Arc::clone(&clock)).await?;
    metadata.upsert_projects(&config.projects).await?;
    let token = dsn.token().ok_or(ImportError::Unknown)?;
    let project = metadata.project_by_token(token).await?;
    let project = project.ok_or(ImportError::Unknown)?.id;
    let journal = match pipeline::open_journal(config, &clock).await {
        Ok(journal) => journal,
        Err(source @ SpoolError::InUse { .. }) => return Err(ImportError::InUse(source)),
        Err(source) => return Err(ImportError::Journal { done, source }),
    };
    let limits = Limits {
        request_bytes: usize::try_from(config.ingest.max_request_bytes).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    // A neighbour may have taken the batch from the agent, or may take it at this moment.
    let sharing = Sharing::of(config, &metadata, &journal);
    for batch in archive {
        let mut entry = batch.map_err(|error| unreadable(done, error))?.entry;
        // As at the door: what the archive says about the batch is not taken at its word.
        let unpacked = entry.sealed.unpack(&limits);
        let unpacked = unpacked.map_err(|source| ImportError::Malformed { done, source })?;
        entry.sealed = Sealed::from_parts(
            entry.sealed.signal(),
            unpacked.items(),
            unpacked.bytes().len(),
            entry.sealed.body().clone(),
        );
        entry.project = project;
        let claimed = match (&sharing, entry.origin) {
            (Some(sharing), Some(origin)) => match sharing.claim(project, origin).await {
                Ok(Some(held)) => Some(held),
                Ok(None) => {
                    done.known += 1;
                    continue;
                }
                Err(Refused::Conflict(_)) => {
                    done.conflicting += 1;
                    continue;
                }
                Err(source) => return Err(ImportError::Elsewhere { done, source }),
            },
            _ => None,
        };
        let known = match journal.append(entry, Class::Keep).await {
            Ok(spooled) => spooled.seen_before(),
            Err(SpoolError::Conflict(_)) => {
                done.conflicting += 1;
                continue;
            }
            Err(source) => return Err(ImportError::Journal { done, source }),
        };
        if let Some(claimed) = claimed {
            let confirmed = claimed.confirm().await;
            confirmed.map_err(|source| ImportError::Elsewhere { done, source })?;
        }
        if known {
            done.known += 1;
        } else {
            done.stored += 1;
        }
    }
    journal.close().await;
    metadata.close().await;
    Ok(done)
}
