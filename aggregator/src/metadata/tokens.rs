//! Tokens: what senders show. Several per project, each revocable, none readable.

use petrel_spool::ProjectId;
use petrel_wire::Token;

use super::{Metadata, MetadataError, doing, secrets};

/// How a token is known here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash(String);

impl TokenHash {
    /// SHA-256 of the token.
    pub fn of(token: &Token) -> Self {
        Self(secrets::digest(token.expose()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
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
