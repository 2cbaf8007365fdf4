//! Tokens: what senders show. Several per project, each revocable, none readable.

use petrel_spool::ProjectId;
use petrel_wire::{Token, UnixNanos};

use super::{Metadata, MetadataError, doing, secrets};

/// How a token is known here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash(String);

impl TokenHash {
    /// SHA-256 of the token.
    pub fn of(token: &Token) -> Self {
        Self(secrets::digest(token.expose()))
    }

    /// In hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of it to tell tokens of one project apart; nobody can guess the token from it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// Who made a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOrigin {
    /// The configuration names it, and brings it back at every start.
    Config,
    /// Somebody asked for it.
    User,
}

/// What is known of a token, which is not the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name here.
    pub hash: TokenHash,
    /// What it is for, in the words of who made it.
    pub label: String,
    /// Who made it.
    pub origin: TokenOrigin,
    /// When it was made.
    pub created: UnixNanos,
    /// When it was ended, if it was.
    pub revoked: Option<UnixNanos>,
}

impl Metadata {
    /// Makes a new token for a project. This is the only time that anyone sees it.
    pub async fn create_token(
        &self,
        project: ProjectId,
        label: &str,
    ) -> Result<Token, MetadataError> {
        let token = Token::parse(&secrets::fresh()?).map_err(|_| MetadataError::Value {
            doing: "make a token",
        })?;
        sqlx::query(
            "INSERT INTO tokens (hash, project_id, label, origin, created_at) \
             VALUES ($1, $2, $3, 'user', $4)",
        )
        .bind(TokenHash::of(&token).as_str())
        .bind(i64::from(project.0))
        .bind(label)
        .bind(self.now())
        .execute(&self.pool)
        .await
        .map_err(doing("create a token"))?;
        Ok(token)
    }

    /// All tokens of a project, also those that are revoked, oldest first.
    pub async fn tokens(&self, project: ProjectId) -> Result<Vec<TokenRecord>, MetadataError> {
        type Row = (String, String, String, i64, Option<i64>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT hash, label, origin, created_at, revoked_at FROM tokens \
             WHERE project_id = $1 ORDER BY created_at, hash",
        )
        .bind(i64::from(project.0))
        .fetch_all(&self.pool)
        .await
        .map_err(doing("list tokens"))?;
        let time = |nanos: i64| UnixNanos(u64::try_from(nanos).unwrap_or(0));
        let record = |(hash, label, origin, created, revoked): Row| TokenRecord {
            hash: TokenHash(hash),
            label,
            origin: if origin == "config" {
                TokenOrigin::Config
            } else {
                TokenOrigin::User
            },
            created: time(created),
            revoked: revoked.map(time),
        };
        Ok(rows.into_iter().map(record).collect())
    }

    /// Ends a token of this project. Says whether there was one to end.
    pub async fn revoke_token(
        &self,
        project: ProjectId,
        token: &TokenHash,
    ) -> Result<bool, MetadataError> {
        let done = sqlx::query(
            "UPDATE tokens SET revoked_at = $1 \
             WHERE hash = $2 AND project_id = $3 AND revoked_at IS NULL",
        )
        .bind(self.now())
        .bind(token.as_str())
        .bind(i64::from(project.0))
        .execute(&self.pool)
        .await
        .map_err(doing("revoke a token"))?;
        Ok(done.rows_affected() == 1)
    }
}
