//! Dashboards and monitors: YAML, kept as its author wrote it.
//!
//! Whether a text is a dashboard or makes monitors is decided before it comes here
//! ([`crate::documents`]); what stands in it is for those who show and evaluate it.

use petrel_spool::ProjectId;

use super::audit::{Action, Actor};
use super::views::Saved;
use super::{Metadata, MetadataError, doing, secrets};
use crate::documents::Checked;

/// Documents of one kind in one project. More are somebody's script.
const MOST: i64 = 1000;

/// What a document makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// One dashboard.
    Dashboard,
    /// One monitor or several.
    Monitors,
}

impl DocumentKind {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Monitors => "monitors",
        }
    }
}

/// A document that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Names it for life.
    pub id: String,
    /// Unique among its kind in the project; as its text says.
    pub name: String,
    /// As written.
    pub yaml: String,
    /// Unix nanoseconds.
    pub created_at: i64,
    /// Unix nanoseconds.
    pub changed_at: i64,
}

type Row = (String, String, String, i64, i64);

impl Document {
    fn read((id, name, yaml, created_at, changed_at): Row) -> Self {
        Self {
            id,
            name,
            yaml,
            created_at,
            changed_at,
        }
    }
}

impl Metadata {
    /// Every document of a kind, by name.
    pub async fn documents(
        &self,
        project: ProjectId,
        kind: DocumentKind,
    ) -> Result<Vec<Document>, MetadataError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, name, yaml, created_at, changed_at FROM documents \
             WHERE project_id = $1 AND kind = $2 ORDER BY name",
        )
        .bind(i64::from(project.0))
        .bind(kind.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(doing("list documents"))?;
        Ok(rows.into_iter().map(Document::read).collect())
    }

    /// Keeps a new document.
    pub async fn create_document(
        &self,
        project: ProjectId,
        actor: &Actor,
        document: &Checked,
    ) -> Result<Saved<String>, MetadataError> {
        let doing = || doing("keep a document");
        let kind = document.kind().as_str();
        let mut work = self.pool.begin().await.map_err(doing())?;
        let id = secrets::fresh_id()?;
        let made = sqlx::query(
            "INSERT INTO documents (id, project_id, kind, name, yaml, created_at, changed_at) \
             SELECT $1, $2, $3, $4, $5, $6, $6 \
             WHERE (SELECT COUNT(*) FROM documents WHERE project_id = $2 AND kind = $3) < $7 \
             ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(i64::from(project.0))
        .bind(kind)
        .bind(document.name())
        .bind(document.yaml())
        .bind(self.now())
        .bind(MOST)
        .execute(&mut *work)
        .await
        .map_err(doing())?;
        if made.rows_affected() == 0 {
            let (there,): (i64,) = sqlx::query_as(
                "SELECT COUNT(*) FROM documents WHERE project_id = $1 AND kind = $2",
            )
            .bind(i64::from(project.0))
            .bind(kind)
            .fetch_one(&mut *work)
            .await
            .map_err(doing())?;
            return Ok(if there >= MOST {
                Saved::TooMany
            } else {
                Saved::NameTaken
            });
        }
        let what = (Action::Created, kind, document.name());
        self.note(&mut work, (project, actor), what).await?;
        work.commit().await.map_err(doing())?;
        Ok(Saved::Done(id))
    }

    /// Replaces a document's text by another of its kind.
    pub async fn change_document(
        &self,
        project: ProjectId,
        actor: &Actor,
        id: &str,
        document: &Checked,
    ) -> Result<Saved<()>, MetadataError> {
        let doing = || doing("change a document");
        let kind = document.kind().as_str();
        let mut work = self.pool.begin().await.map_err(doing())?;
        let changed = sqlx::query(
            "UPDATE documents SET name = $1, yaml = $2, changed_at = $3 \
             WHERE id = $4 AND project_id = $5 AND kind = $6",
        )
        .bind(document.name())
        .bind(document.yaml())
        .bind(self.now())
        .bind(id)
        .bind(i64::from(project.0))
        .bind(kind)
        .execute(&mut *work)
        .await;
        match changed {
            Err(sqlx::Error::Database(why)) if why.is_unique_violation() => {
                return Ok(Saved::NameTaken);
            }
            Err(why) => return Err(doing()(why)),
            Ok(changed) if changed.rows_affected() == 0 => return Ok(Saved::Missing),
            Ok(_) => {}
        }
        let what = (Action::Changed, kind, document.name());
        self.note(&mut work, (project, actor), what).await?;
        work.commit().await.map_err(doing())?;
        Ok(Saved::Done(()))
    }

    /// Removes a document. Says whether it was there.
    pub async fn delete_document(
        &self,
        project: ProjectId,
        actor: &Actor,
        kind: DocumentKind,
        id: &str,
    ) -> Result<bool, MetadataError> {
        let doing = || doing("delete a document");
        let mut work = self.pool.begin().await.map_err(doing())?;
        let gone: Option<(String,)> = sqlx::query_as(
            "DELETE FROM documents WHERE id = $1 AND project_id = $2 AND kind = $3 RETURNING name",
        )
        .bind(id)
        .bind(i64::from(project.0))
        .bind(kind.as_str())
        .fetch_optional(&mut *work)
        .await
        .map_err(doing())?;
        let Some((name,)) = gone else {
            return Ok(false);
        };
        let what = (Action::Deleted, kind.as_str(), name.as_str());
        self.note(&mut work, (project, actor), what).await?;
        work.commit().await.map_err(doing())?;
        Ok(true)
    }
}
