//! Sessions: an opaque secret in a cookie, its hash and two times here.

use std::fmt;
use std::time::Duration;

use super::users::UserRow;
use super::{Metadata, MetadataError, User, doing, secrets};

/// A session nobody uses ends after this.
pub const IDLE: Duration = Duration::from_secs(12 * 3600);
/// Every session ends after this.
pub const ABSOLUTE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Use is noted at most this often: a page asks many questions, each of which would be a write.
const NOTED: Duration = Duration::from_secs(60);

/// What the browser keeps. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(String);

impl SessionSecret {
    /// Takes what a cookie says.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(***)")
    }
}

impl Metadata {
    /// Opens a session, and sweeps out those that have ended.
    pub async fn open_session(&self, user: &User) -> Result<SessionSecret, MetadataError> {
        let now = self.now();
        let secret = SessionSecret(secrets::fresh()?);
        sqlx::query("DELETE FROM sessions WHERE created_at <= $1 OR seen_at <= $2")
            .bind(now - nanos(ABSOLUTE))
            .bind(now - nanos(IDLE))
            .execute(&self.pool)
            .await
            .map_err(doing("sweep sessions"))?;
        sqlx::query(
            "INSERT INTO sessions (hash, user_id, created_at, seen_at) VALUES ($1, $2, $3, $3)",
        )
        .bind(secrets::digest(&secret.0))
        .bind(user.id.as_str())
        .bind(now)
        .execute(&self.pool)
        .await
        .map_err(doing("open a session"))?;
        Ok(secret)
    }

    /// Whose session this is, while it lasts.
    pub async fn session(&self, secret: &SessionSecret) -> Result<Option<User>, MetadataError> {
        let now = self.now();
        let hash = secrets::digest(&secret.0);
        let row: Option<(String, String, String, String, i64)> = sqlx::query_as(
            "SELECT u.id, u.email, u.name, u.sees, s.seen_at \
             FROM sessions s JOIN users u ON u.id = s.user_id \
             WHERE s.hash = $1 AND s.created_at > $2 AND s.seen_at > $3 AND u.disabled_at IS NULL",
        )
        .bind(hash.as_str())
        .bind(now - nanos(ABSOLUTE))
        .bind(now - nanos(IDLE))
        .fetch_optional(&self.pool)
        .await
        .map_err(doing("look up a session"))?;
        let Some((id, email, name, sees, seen)) = row else {
            return Ok(None);
        };
        if seen < now - nanos(NOTED) {
            sqlx::query("UPDATE sessions SET seen_at = $1 WHERE hash = $2")
                .bind(now)
                .bind(hash)
                .execute(&self.pool)
                .await
                .map_err(doing("note a session's use"))?;
        }
        let row: UserRow = (id, email, name, sees);
        Ok(Some(User::read(row)))
    }

    /// Ends a session, if it is one.
    pub async fn close_session(&self, secret: &SessionSecret) -> Result<(), MetadataError> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1")
            .bind(secrets::digest(&secret.0))
            .execute(&self.pool)
            .await
            .map_err(doing("close a session"))?;
        Ok(())
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
