//! Audit: who changed what in a project, and when.
//!
//! Every entry is written in the transaction of the change itself: there is none without the other.

use petrel_spool::ProjectId;
use sqlx::{Any, Transaction};

use super::{Metadata, MetadataError, User, doing, secrets};

/// Who changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// Somebody who is signed in.
    pub fn user(user: &User) -> Self {
        Self(user.email.clone())
    }

    /// Somebody at the machine itself, by the number of the system's user.
    pub fn command_line(uid: u32) -> Self {
        Self(format!("command line of user {uid}"))
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Created,
    /// It is another.
    Changed,
    /// It is gone.
    Deleted,
}

impl Action {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Unix nanoseconds.
    pub at: i64,
    /// An e-mail address, or the command line of some system user.
    pub actor: String,
    /// `created`, `changed`, `deleted`.
    pub action: String,
    /// What kind of thing: `saved view`, `dashboard`, `monitors`, `limits`.
    pub object: String,
    /// Its name, or what it has become.
    pub subject: String,
}

impl Metadata {
    /// The last changes in a project, at most `most`, the newest first.
    pub async fn audit(
        &self,
        project: ProjectId,
        most: u32,
    ) -> Result<Vec<Audited>, MetadataError> {
        let rows: Vec<(i64, String, String, String, String)> = sqlx::query_as(
            "SELECT at, actor, action, object, subject FROM audit WHERE project_id = $1 \
             ORDER BY at DESC, id LIMIT $2",
        )
        .bind(i64::from(project.0))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map_err(doing("list changes"))?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|(at, actor, action, object, subject)| Audited {
                at,
                actor,
                action,
                object,
                subject,
            })
            .collect())
    }

    /// Notes a change in the transaction that makes it.
    pub(super) async fn note(
        &self,
        work: &mut Transaction<'_, Any>,
        (project, actor): (ProjectId, &Actor),
        (action, object, subject): (Action, &'static str, &str),
    ) -> Result<(), MetadataError> {
        sqlx::query(
            "INSERT INTO audit (id, at, actor, project_id, action, object, subject) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(secrets::fresh_id()?)
        .bind(self.now())
        .bind(actor.0.as_str())
        .bind(i64::from(project.0))
        .bind(action.as_str())
        .bind(object)
        .bind(subject)
        .execute(&mut **work)
        .await
        .map_err(doing("note who changed something"))?;
        Ok(())
    }
}
