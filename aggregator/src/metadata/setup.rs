//! Setup: the right to create the first user, held by who can read the server's log.

use std::time::Duration;

use super::users::insert_user;
use super::{Metadata, MetadataError, NewUser, User, doing, secrets};

/// How long a setup token lasts; a restart prints a new one.
const LASTS: Duration = Duration::from_secs(24 * 3600);

/// What came of an attempt to create the first user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// There is a first user now.
    Created(User),
    /// The token is wrong, used or too old.
    WrongToken,
    /// There are users already.
    NotNeeded,
}

impl Metadata {
    /// A fresh setup token while nobody can sign in; the one before it ends. For the log.
    pub async fn setup_token(&self) -> Result<Option<String>, MetadataError> {
        if self.any_user().await? {
            return Ok(None);
        }
        let token = secrets::fresh()?;
        let lasts = i64::try_from(LASTS.as_nanos()).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO setup (id, hash, expires_at) VALUES (1, $1, $2) \
             ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at",
        )
        .bind(secrets::digest(&token))
        .bind(self.now().saturating_add(lasts))
        .execute(&self.pool)
        .await
        .map_err(doing("store a setup token"))?;
        Ok(Some(token))
    }

    /// Creates the first user for who knows the token. The token works once.
    pub async fn claim_setup(&self, token: &str, first: NewUser) -> Result<Claim, MetadataError> {
        let doing = || doing("create the first user");
        if self.any_user().await? {
            return Ok(Claim::NotNeeded);
        }
        let known: Option<(String,)> =
            sqlx::query_as("SELECT hash FROM setup WHERE hash = $1 AND expires_at > $2")
                .bind(secrets::digest(token))
                .bind(self.now())
                .fetch_optional(&self.pool)
                .await
                .map_err(doing())?;
        // Nobody makes us hash passwords who does not know the token.
        if known.is_none() {
            return Ok(Claim::WrongToken);
        }
        let (user, phc) = self.prepare_user(first).await?;
        let mut work = self.pool.begin().await.map_err(doing())?;
        // The delete decides between two who come at once.
        let used = sqlx::query("DELETE FROM setup WHERE hash = $1 AND expires_at > $2")
            .bind(secrets::digest(token))
            .bind(self.now())
            .execute(&mut *work)
            .await
            .map_err(doing())?;
        if used.rows_affected() != 1 {
            work.rollback().await.map_err(doing())?;
            return Ok(Claim::WrongToken);
        }
        insert_user(&mut *work, &user, &phc, self.now()).await?;
        work.commit().await.map_err(doing())?;
        Ok(Claim::Created(user))
    }
}
