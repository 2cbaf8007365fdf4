//! Projects: named by the configuration, referred to by number.

use petrel_spool::ProjectId;

use super::{Metadata, MetadataError, TokenHash, User, doing, users::Sees};
use crate::config;

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The number in addresses and rows.
    pub id: ProjectId,
    /// For people.
    pub name: String,
    /// Attributes that are listed first.
    pub pinned_attrs: Vec<String>,
}

type Row = (i64, String, String);

impl Project {
    fn read((id, name, pinned): Row) -> Result<Self, MetadataError> {
        let id = u32::try_from(id).map_err(|_| MetadataError::Value {
            doing: "read a project's number",
        })?;
        Ok(Self {
            id: ProjectId(id),
            name,
            pinned_attrs: serde_json::from_str(&pinned).unwrap_or_default(),
        })
    }
}

impl Metadata {
    /// Brings the projects of the configuration in, with their tokens. A token that the
    /// configuration no longer names is revoked; projects that it no longer names stay.
    pub async fn upsert_projects(&self, projects: &[config::Project]) -> Result<(), MetadataError> {
        let now = self.now();
        for project in projects {
            let doing = || doing("store a project of the configuration");
            let pinned = serde_json::to_string(&project.pinned_attrs).unwrap_or_default();
            let hash = TokenHash::of(&project.token);
            let mut work = self.pool.begin().await.map_err(doing())?;
            sqlx::query(
                "INSERT INTO projects (id, name, pinned, created_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, pinned = excluded.pinned",
            )
            .bind(i64::from(project.id.0))
            .bind(project.name.as_str())
            .bind(pinned)
            .bind(now)
            .execute(&mut *work)
            .await
            .map_err(doing())?;
            sqlx::query(
                "UPDATE tokens SET revoked_at = $1 WHERE project_id = $2 AND hash <> $3 \
                 AND origin = 'config' AND revoked_at IS NULL",
            )
            .bind(now)
            .bind(i64::from(project.id.0))
            .bind(hash.as_str())
            .execute(&mut *work)
            .await
            .map_err(doing())?;
            sqlx::query(
                "INSERT INTO tokens (hash, project_id, label, origin, created_at) \
                 VALUES ($1, $2, 'configuration', 'config', $3) \
                 ON CONFLICT (hash) DO UPDATE SET project_id = excluded.project_id, \
                 origin = 'config', revoked_at = NULL",
            )
            .bind(hash.as_str())
            .bind(i64::from(project.id.0))
            .bind(now)
            .execute(&mut *work)
            .await
            .map_err(doing())?;
            work.commit().await.map_err(doing())?;
        }
        Ok(())
    }

    /// Makes a project: with this number, or the next one. `None` if the number is taken.
    pub async fn create_project(
        &self,
        id: Option<ProjectId>,
        name: &str,
    ) -> Result<Option<ProjectId>, MetadataError> {
        let doing = || doing("create a project");
        // Two who come at once find the same number free; the second tries the next one.
        for _ in 0..8 {
            let number = match id {
                Some(id) => i64::from(id.0),
                None => {
                    let (last,): (i64,) =
                        sqlx::query_as("SELECT COALESCE(MAX(id), 0) FROM projects")
                            .fetch_one(&self.pool)
                            .await
                            .map_err(doing())?;
                    last + 1
                }
            };
            let done = sqlx::query(
                "INSERT INTO projects (id, name, pinned, created_at) VALUES ($1, $2, '[]', $3) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(number)
            .bind(name)
            .bind(self.now())
            .execute(&self.pool)
            .await
            .map_err(doing())?;
            if done.rows_affected() == 1 {
                let number = u32::try_from(number).map_err(|_| MetadataError::Value {
                    doing: "number a project",
                })?;
                return Ok(Some(ProjectId(number)));
            }
            if id.is_some() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Every project, by number.
    pub async fn projects(&self) -> Result<Vec<Project>, MetadataError> {
        let rows: Vec<Row> = sqlx::query_as("SELECT id, name, pinned FROM projects ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(doing("list projects"))?;
        rows.into_iter().map(Project::read).collect()
    }

    /// The projects that a user may see, by number.
    pub async fn projects_of(&self, user: &User) -> Result<Vec<Project>, MetadataError> {
        if user.sees == Sees::All {
            return self.projects().await;
        }
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT p.id, p.name, p.pinned FROM projects p \
             JOIN grants g ON g.project_id = p.id WHERE g.user_id = $1 ORDER BY p.id",
        )
        .bind(user.id.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(doing("list projects"))?;
        rows.into_iter().map(Project::read).collect()
    }

    /// One project, if the user may see it. `None` does not tell whether it exists.
    pub async fn project_of(
        &self,
        user: &User,
        id: ProjectId,
    ) -> Result<Option<Project>, MetadataError> {
        // Few projects, and one place that decides who sees what.
        Ok(self
            .projects_of(user)
            .await?
            .into_iter()
            .find(|project| project.id == id))
    }

    /// Whose token this is: live ones only.
    pub async fn project_by_token(
        &self,
        token: &petrel_wire::Token,
    ) -> Result<Option<Project>, MetadataError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT p.id, p.name, p.pinned FROM tokens t JOIN projects p ON p.id = t.project_id \
             WHERE t.hash = $1 AND t.revoked_at IS NULL",
        )
        .bind(TokenHash::of(token).as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(doing("look up a token"))?;
        row.map(Project::read).transpose()
    }
}
