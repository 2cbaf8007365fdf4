//! Saved views: pages of the UI as people of a project want to find them again.

use petrel_spool::ProjectId;

use super::audit::{Action, Actor};
use super::{Metadata, MetadataError, doing, secrets};

/// Views of one project. More are somebody's script.
const MOST: i64 = 1000;
const OBJECT: &str = "saved view";

/// What a view shows and is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewDraft {
    /// Which page.
    pub page: String,
    /// Unique on its page.
    pub name: String,
    /// What stands behind the `?` of the page's address.
    pub query: String,
    /// Listed first.
    pub pinned: bool,
}

/// A view that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedView {
    /// Names it for life.
    pub id: String,
    /// What it shows.
    pub draft: ViewDraft,
    /// Unix nanoseconds.
    pub changed_at: i64,
}

/// What has become of a wish to save something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved<T> {
    /// It is there.
    Done(T),
    /// Something else in the project has that name.
    NameTaken,
    /// There are as many as there may be.
    TooMany,
    /// What should be changed is not there.
    Missing,
}

type Row = (String, String, String, String, i64, i64);

impl SavedView {
    fn read((id, page, name, query, pinned, changed_at): Row) -> Self {
        Self {
            id,
            draft: ViewDraft {
                page,
                name,
                query,
                pinned: pinned != 0,
            },
            changed_at,
        }
    }
}

impl Metadata {
    /// Every view of a project: pinned ones first, then by page and name.
    pub async fn saved_views(&self, project: ProjectId) -> Result<Vec<SavedView>, MetadataError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, page, name, query, pinned, changed_at FROM saved_views \
             WHERE project_id = $1 ORDER BY pinned DESC, page, name",
        )
        .bind(i64::from(project.0))
        .fetch_all(&self.pool)
        .await
        .map_err(doing("list saved views"))?;
        Ok(rows.into_iter().map(SavedView::read).collect())
    }

    /// Saves a new view.
    pub async fn create_saved_view(
        &self,
        project: ProjectId,
        actor: &Actor,
        draft: ViewDraft,
    ) -> Result<Saved<SavedView>, MetadataError> {
        let doing = || doing("save a view");
        let mut work = self.pool.begin().await.map_err(doing())?;
        let id = secrets::fresh_id()?;
        let now = self.now();
        let made = sqlx::query(
            "INSERT INTO saved_views (id, project_id, page, name, query, pinned, created_at, changed_at) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $7 \
             WHERE (SELECT COUNT(*) FROM saved_views WHERE project_id = $2) < $8 \
             ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(i64::from(project.0))
        .bind(draft.page.as_str())
        .bind(draft.name.as_str())
        .bind(draft.query.as_str())
        .bind(i64::from(draft.pinned))
        .bind(now)
        .bind(MOST)
        .execute(&mut *work)
        .await
        .map_err(doing())?;
        if made.rows_affected() == 0 {
            let (there,): (i64,) =
                sqlx::query_as("SELECT COUNT(*) FROM saved_views WHERE project_id = $1")
                    .bind(i64::from(project.0))
                    .fetch_one(&mut *work)
                    .await
                    .map_err(doing())?;
            return Ok(if there >= MOST {
                Saved::TooMany
            } else {
                Saved::NameTaken
            });
        }
        let what = (Action::Created, OBJECT, draft.name.as_str());
        self.note(&mut work, (project, actor), what).await?;
        work.commit().await.map_err(doing())?;
        Ok(Saved::Done(SavedView {
            id,
            draft,
            changed_at: now,
        }))
    }

    /// Makes a view another.
    pub async fn change_saved_view(
        &self,
        project: ProjectId,
        actor: &Actor,
        id: &str,
        draft: ViewDraft,
    ) -> Result<Saved<SavedView>, MetadataError> {
        let doing = || doing("change a saved view");
        let mut work = self.pool.begin().await.map_err(doing())?;
        let now = self.now();
        let changed = sqlx::query(
            "UPDATE saved_views SET page = $1, name = $2, query = $3, pinned = $4, changed_at = $5 \
             WHERE id = $6 AND project_id = $7",
        )
        .bind(draft.page.as_str())
        .bind(draft.name.as_str())
        .bind(draft.query.as_str())
        .bind(i64::from(draft.pinned))
        .bind(now)
        .bind(id)
        .bind(i64::from(project.0))
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
        let what = (Action::Changed, OBJECT, draft.name.as_str());
        self.note(&mut work, (project, actor), what).await?;
        work.commit().await.map_err(doing())?;
        Ok(Saved::Done(SavedView {
            id: id.to_owned(),
            draft,
            changed_at: now,
        }))
    }

    /// Removes a view. Says whether it was there.
    pub async fn delete_saved_view(
        &self,
        project: ProjectId,
        actor: &Actor,
        id: &str,
    ) -> Result<bool, MetadataError> {
        let doing = || doing("delete a saved view");
        let mut work = self.pool.begin().await.map_err(doing())?;
        let gone: Option<(String,)> = sqlx::query_as(
            "DELETE FROM saved_views WHERE id = $1 AND project_id = $2 RETURNING name",
        )
        .bind(id)
        .bind(i64::from(project.0))
        .fetch_optional(&mut *work)
        .await
        .map_err(doing())?;
        let Some((name,)) = gone else {
            return Ok(false);
        };
        let what = (Action::Deleted, OBJECT, name.as_str());
        self.note(&mut work, (project, actor), what).await?;
        work.commit().await.map_err(doing())?;
        Ok(true)
    }
}
