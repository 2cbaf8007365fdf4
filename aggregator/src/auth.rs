//! Who sends: from the DSN that a request shows, in any of its spellings, to a [`Scope`].
//!
//! Only the token in a DSN counts. Tokens are looked up in the metadata database and remembered
//! for some seconds, so that a revoked one stops working at once, as people see it, and a busy
//! sender costs one query in that time. While the database is away, whoever was known goes on.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use petrel_receiver::{Head, Refused};
use petrel_spool::ProjectId;
use petrel_wire::{Clock, Dsn, Token};
use tracing::warn;

/// Proof that a request belongs to a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    project: ProjectId,
}

impl Scope {
    /// Which one.
    pub fn project(self) -> ProjectId {
        self.project
    }
}

/// Where tokens are looked up: the metadata database, or a map in tests.
pub trait Directory: Clone + Send + Sync + 'static {
    /// The project that a token opens, if any.
    fn project_by_token(
        &self,
        token: &Token,
    ) -> impl Future<Output = Result<Option<ProjectId>, DirectoryError>> + Send;
}

/// The directory could not be asked; it says nothing about the token.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up a token")]
pub struct DirectoryError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// How long an answer counts; also how long a revoked token may still work.
const FRESH: Duration = Duration::from_secs(5);
/// How long "no such project" counts: short, for a sender that is configured before its project.
const FRESH_UNKNOWN: Duration = Duration::from_secs(5);
/// How long an old answer still counts while the directory is away.
const STALE: Duration = Duration::from_secs(3600);
/// Unknown tokens that are remembered; guessing must not fill memory.
const MOST_UNKNOWN: usize = 1024;

/// What every request at the door goes through.
pub struct Auth<D> {
    directory: D,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<Token, Answer>>,
}

#[derive(Clone, Copy)]
struct Answer {
    project: Option<ProjectId>,
    at: Duration,
}

impl<D: Directory> Auth<D> {
    /// Asks `directory`, with an empty memory.
    pub fn new(directory: D, clock: Arc<dyn Clock>) -> Self {
        Self {
            directory,
            clock,
            known: Mutex::default(),
        }
    }

    /// Who sends this request, or words that tell its sender what to change.
    pub async fn scope(&self, head: &Head) -> Result<Scope, Refused> {
        let token = token(head)?;
        let now = self.clock.monotonic();
        let remembered = self.remembered(&token);
        let fresh = |answer: &Answer| {
            let fresh = if answer.project.is_some() {
                FRESH
            } else {
                FRESH_UNKNOWN
            };
            now.saturating_sub(answer.at) < fresh
        };
        let project = match remembered {
            Some(answer) if fresh(&answer) => answer.project,
            remembered => match self.directory.project_by_token(&token).await {
                Ok(project) => {
                    self.remember(token, Answer { project, at: now });
                    project
                }
                Err(why) => {
                    warn!(error = %why, cause = ?why.0, "tokens cannot be looked up");
                    remembered
                        .filter(|answer| now.saturating_sub(answer.at) < STALE)
                        .and_then(|answer| answer.project)
                        .map_or_else(
                            || Err(Refused::busy("the DSN cannot be verified now; send again")),
                            |project| Ok(Some(project)),
                        )?
                }
            },
        };
        project.map(|project| Scope { project }).ok_or_else(|| {
            Refused::Unauthenticated(
                "no project has the token of this DSN; copy the DSN from the project's page"
                    .to_owned(),
            )
        })
    }

    /// Forgets everything, because projects or tokens have changed.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn remembered(&self, token: &Token) -> Option<Answer> {
        self.known().get(token).copied()
    }

    fn remember(&self, token: Token, answer: Answer) {
        let mut known = self.known();
        if answer.project.is_none() && known.len() >= MOST_UNKNOWN {
            known.retain(|_, answer| answer.project.is_some());
        }
        known.insert(token, answer);
    }

    // Held for a look into a map and never across an await.
    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Token, Answer>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D> fmt::Debug for Auth<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth")
    }
}

/// Headers, which are metadata in gRPC, in the order in which they are looked at; the second is a
/// typing error that senders carry since Uptrace's first documentation.
pub(crate) const HEADERS: [&str; 3] = [Dsn::HEADER, "uptrace-dns", "authorization"];

/// The token that a request shows. The first place where something stands decides.
fn token(head: &Head) -> Result<Token, Refused> {
    for name in HEADERS {
        if let Some(value) = single(&head.headers, name)? {
            let value = match value.split_once(' ') {
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest,
                _ => value,
            };
            return read(name, value);
        }
    }
    let query = head.query.as_deref().unwrap_or("");
    if let Some(value) = query.split('&').find_map(|pair| pair.strip_prefix("dsn=")) {
        return read("dsn parameter", value);
    }
    Err(Refused::Unauthenticated(format!(
        "no DSN; send the one from your project's page as the header (in gRPC: metadata) \
         {}: http://TOKEN@HOST:PORT?grpc=PORT",
        Dsn::HEADER
    )))
}

fn read(name: &str, value: &str) -> Result<Token, Refused> {
    Dsn::token_from_header(value).map_err(|why| Refused::Unauthenticated(format!("{name}: {why}")))
}

fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refused::Unauthenticated(format!(
            "more than one {name} header; send one DSN"
        )));
    }
    let value = value.to_str().map_err(|_| {
        Refused::Unauthenticated(format!("the {name} header is not printable text"))
    })?;
    Ok(Some(value.trim()).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests;
