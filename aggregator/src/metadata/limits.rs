//! Limits of projects that were set beside the configuration, and win over it.

use std::collections::BTreeMap;

use petrel_spool::ProjectId;

use super::audit::{Action, Actor};
use super::{Metadata, MetadataError, doing};
use crate::config::{LimitKind, OwnLimits};

/// What becomes of one limit of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitChange {
    /// The configuration decides again.
    Default,
    /// As much as there is room for.
    Unlimited,
    /// This much.
    Most(u64),
}

impl Metadata {
    /// Every limit that was set, by project. One of a later version is passed over.
    pub async fn limits(&self) -> Result<BTreeMap<ProjectId, OwnLimits>, MetadataError> {
        let rows: Vec<(i64, String, Option<i64>)> =
            sqlx::query_as("SELECT project_id, name, most FROM project_limits")
                .fetch_all(&self.pool)
                .await
                .map_err(doing("list limits"))?;
        let mut limits = BTreeMap::<ProjectId, OwnLimits>::new();
        for (project, name, most) in rows {
            let kind = LimitKind::ALL.into_iter().find(|kind| kind.name() == name);
            if let (Ok(project), Some(kind)) = (u32::try_from(project), kind) {
                let most = most.map(|most| u64::try_from(most).unwrap_or(0));
                limits
                    .entry(ProjectId(project))
                    .or_default()
                    .insert(kind, most);
            }
        }
        Ok(limits)
    }

    /// Changes limits of a project, all of them or none.
    pub async fn set_limits(
        &self,
        project: ProjectId,
        actor: &Actor,
        changes: &[(LimitKind, LimitChange)],
    ) -> Result<(), MetadataError> {
        let doing = || doing("change a limit");
        let mut work = self.pool.begin().await.map_err(doing())?;
        for (kind, change) in changes {
            let most = match change {
                LimitChange::Default => {
                    sqlx::query("DELETE FROM project_limits WHERE project_id = $1 AND name = $2")
                        .bind(i64::from(project.0))
                        .bind(kind.name())
                        .execute(&mut *work)
                        .await
                        .map_err(doing())?;
                    continue;
                }
                LimitChange::Unlimited => None,
                LimitChange::Most(most) => Some(i64::try_from(*most).unwrap_or(i64::MAX)),
            };
            sqlx::query(
                "INSERT INTO project_limits (project_id, name, most) VALUES ($1, $2, $3) \
                 ON CONFLICT (project_id, name) DO UPDATE SET most = excluded.most",
            )
            .bind(i64::from(project.0))
            .bind(kind.name())
            .bind(most)
            .execute(&mut *work)
            .await
            .map_err(doing())?;
        }
        if !changes.is_empty() {
            let words = changes.iter().map(|(kind, change)| match change {
                LimitChange::Default => format!("{} default", kind.name()),
                LimitChange::Unlimited => format!("{} none", kind.name()),
                LimitChange::Most(most) => format!("{} {most}", kind.name()),
            });
            let words = words.collect::<Vec<_>>().join(", ");
            let what = (Action::Changed, "limits", words.as_str());
            self.note(&mut work, (project, actor), what).await?;
        }
        work.commit().await.map_err(doing())
    }
}
