//! Users: who may look, and at which projects.
//!
//! Whatever makes a session worthless ends it in the same transaction: a new password, a disabled
//! user, a withdrawn project.

use std::fmt;

use petrel_spool::ProjectId;

use super::{Metadata, MetadataError, doing, passwords, secrets};
use crate::config;

/// Names a user for life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which projects a user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// Every project, also future ones.
    All,
    /// Those that were granted.
    Granted,
}

impl Sees {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Granted => "granted",
        }
    }

    fn parse(text: &str) -> Self {
        // Unknown text sees less, not more.
        if text == "all" {
            Self::All
        } else {
            Self::Granted
        }
    }
}

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// For life.
    pub id: UserId,
    /// In lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// Which projects.
    pub sees: Sees,
}

pub(super) type UserRow = (String, String, String, String);

impl User {
    pub(super) fn read((id, email, name, sees): UserRow) -> Self {
        Self {
            id: UserId(id),
            email,
            name,
            sees: Sees::parse(&sees),
        }
    }
}

/// Somebody who shall be able to sign in.
#[derive(Clone)]
pub struct NewUser {
    /// Unique, whatever its case.
    pub email: String,
    /// As typed; the caller has checked it.
    pub password: String,
    /// For people.
    pub name: String,
    /// Which projects.
    pub sees: Sees,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("sees", &self.sees)
            .finish_non_exhaustive()
    }
}

/// Whether this may be somebody's address. Only a letter that arrives could prove it.
pub fn is_email(text: &str) -> bool {
    let plausible = text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace)
    });
    plausible && text.len() <= 254
}

impl Metadata {
    /// Brings the users of the configuration in. They see every project. A password that changed
    /// in the configuration is set anew and ends the user's sessions.
    pub async fn upsert_users(&self, users: &[config::User]) -> Result<(), MetadataError> {
        for user in users {
            let email = user.email.to_lowercase();
            let stored: Option<(String, String)> =
                sqlx::query_as("SELECT id, password FROM users WHERE email = $1")
                    .bind(email.as_str())
                    .fetch_optional(&self.pool)
                    .await
                    .map_err(doing("look up a user"))?;
            let password = user.password.expose().to_owned();
            let Some((id, phc)) = stored else {
                self.create_user(NewUser {
                    email,
                    password,
                    name: user.name.clone(),
                    sees: Sees::All,
                })
                .await?;
                continue;
            };
            sqlx::query(
                "UPDATE users SET name = $1, sees = 'all', disabled_at = NULL WHERE id = $2",
            )
            .bind(user.name.as_str())
            .bind(id.as_str())
            .execute(&self.pool)
            .await
            .map_err(doing("store a user of the configuration"))?;
            if !self.password_matches(Some(phc), password.clone()).await? {
                self.set_password(&UserId(id), password).await?;
            }
        }
        Ok(())
    }

    /// Every user, by address; and whether they may sign in.
    pub async fn users(&self) -> Result<Vec<(User, bool)>, MetadataError> {
        type Row = (String, String, String, String, Option<i64>);
        let rows: Vec<Row> =
            sqlx::query_as("SELECT id, email, name, sees, disabled_at FROM users ORDER BY email")
                .fetch_all(&self.pool)
                .await
                .map_err(doing("list users"))?;
        let read = |(id, email, name, sees, disabled): Row| {
            (User::read((id, email, name, sees)), disabled.is_none())
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// The user with this address, whatever its case.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, MetadataError> {
        let row: Option<UserRow> =
            sqlx::query_as("SELECT id, email, name, sees FROM users WHERE email = $1")
                .bind(email.to_lowercase())
                .fetch_optional(&self.pool)
                .await
                .map_err(doing("look up a user"))?;
        Ok(row.map(User::read))
    }

    /// Forgets a user, with sessions and grants.
    pub async fn remove_user(&self, user: &UserId) -> Result<(), MetadataError> {
        let doing = || doing("remove a user");
        let mut work = self.pool.begin().await.map_err(doing())?;
        for statement in [
            "DELETE FROM sessions WHERE user_id = $1",
            "DELETE FROM grants WHERE user_id = $1",
            "DELETE FROM users WHERE id = $1",
        ] {
            sqlx::query(statement)
                .bind(user.as_str())
                .execute(&mut *work)
                .await
                .map_err(doing())?;
        }
        work.commit().await.map_err(doing())
    }

    /// Creates a user; fails if the address is taken.
    pub async fn create_user(&self, new: NewUser) -> Result<User, MetadataError> {
        let (user, phc) = self.prepare_user(new).await?;
        insert_user(&self.pool, &user, &phc, self.now()).await?;
        Ok(user)
    }

    /// Hashes and names, so that the insert can stand in a transaction of its own.
    pub(super) async fn prepare_user(&self, new: NewUser) -> Result<(User, String), MetadataError> {
        let phc = self.hash_password(new.password).await?;
        let user = User {
            id: UserId(secrets::fresh()?.chars().take(16).collect()),
            email: new.email.to_lowercase(),
            name: new.name,
            sees: new.sees,
        };
        Ok((user, phc))
    }

    /// Who this is, if the password fits. Unknown, disabled and wrong take the same time.
    pub async fn authenticate(
        &self,
        email: &str,
        password: &str,
    ) -> Result<Option<User>, MetadataError> {
        let row: Option<(String, String, String, String, String)> = sqlx::query_as(
            "SELECT id, email, name, sees, password FROM users \
             WHERE email = $1 AND disabled_at IS NULL",
        )
        .bind(email.to_lowercase())
        .fetch_optional(&self.pool)
        .await
        .map_err(doing("look up a user"))?;
        let phc = row.as_ref().map(|row| row.4.clone());
        if !self.password_matches(phc, password.to_owned()).await? {
            return Ok(None);
        }
        let Some((id, email, name, sees, phc)) = row else {
            return Ok(None);
        };
        if passwords::outdated(&phc) {
            let better = self.hash_password(password.to_owned()).await?;
            sqlx::query("UPDATE users SET password = $1 WHERE id = $2 AND password = $3")
                .bind(better)
                .bind(id.as_str())
                .bind(phc)
                .execute(&self.pool)
                .await
                .map_err(doing("renew a password's hash"))?;
        }
        Ok(Some(User::read((id, email, name, sees))))
    }

    /// Sets a new password and ends every session of the user.
    pub async fn set_password(&self, user: &UserId, password: String) -> Result<(), MetadataError> {
        let doing = || doing("set a password");
        let phc = self.hash_password(password).await?;
        let mut work = self.pool.begin().await.map_err(doing())?;
        sqlx::query("UPDATE users SET password = $1 WHERE id = $2")
            .bind(phc)
            .bind(user.as_str())
            .execute(&mut *work)
            .await
            .map_err(doing())?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1")
            .bind(user.as_str())
            .execute(&mut *work)
            .await
            .map_err(doing())?;
        work.commit().await.map_err(doing())
    }

    /// Keeps a user from signing in and ends every session.
    pub async fn disable_user(&self, user: &UserId) -> Result<(), MetadataError> {
        let doing = || doing("disable a user");
        let mut work = self.pool.begin().await.map_err(doing())?;
        sqlx::query("UPDATE users SET disabled_at = $1 WHERE id = $2")
            .bind(self.now())
            .bind(user.as_str())
            .execute(&mut *work)
            .await
            .map_err(doing())?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1")
            .bind(user.as_str())
            .execute(&mut *work)
            .await
            .map_err(doing())?;
        work.commit().await.map_err(doing())
    }

    /// Lets a user see a project.
    pub async fn grant(&self, user: &UserId, project: ProjectId) -> Result<(), MetadataError> {
        sqlx::query(
            "INSERT INTO grants (user_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(user.as_str())
        .bind(i64::from(project.0))
        .execute(&self.pool)
        .await
        .map_err(doing("grant a project"))?;
        Ok(())
    }

    /// Withdraws it, and ends every session of the user.
    pub async fn withdraw(&self, user: &UserId, project: ProjectId) -> Result<(), MetadataError> {
        let doing = || doing("withdraw a project");
        let mut work = self.pool.begin().await.map_err(doing())?;
        sqlx::query("DELETE FROM grants WHERE user_id = $1 AND project_id = $2")
            .bind(user.as_str())
            .bind(i64::from(project.0))
            .execute(&mut *work)
            .await
            .map_err(doing())?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1")
            .bind(user.as_str())
            .execute(&mut *work)
            .await
            .map_err(doing())?;
        work.commit().await.map_err(doing())
    }

    /// Whether there is any user yet.
    pub async fn any_user(&self) -> Result<bool, MetadataError> {
        let found: Option<(String,)> = sqlx::query_as("SELECT id FROM users LIMIT 1")
            .fetch_optional(&self.pool)
            .await
            .map_err(doing("look for users"))?;
        Ok(found.is_some())
    }
}

pub(super) async fn insert_user<'e>(
    executor: impl sqlx::Executor<'e, Database = sqlx::Any>,
    user: &User,
    phc: &str,
    now: i64,
) -> Result<(), MetadataError> {
    sqlx::query(
        "INSERT INTO users (id, email, name, password, sees, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(user.id.as_str().to_owned())
    .bind(user.email.clone())
    .bind(user.name.clone())
    .bind(phc.to_owned())
    .bind(user.sees.as_str())
    .bind(now)
    .execute(executor)
    .await
    .map_err(doing("create a user"))?;
    Ok(())
}
