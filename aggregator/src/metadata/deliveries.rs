//! Deliveries: the sequence ledger of aggregators that share one store.
//!
//! Every aggregator knows by its own journal what it has taken. When several stand behind one
//! address, a batch whose answer was lost at one of them may come again at another, so they agree
//! here: who takes a batch claims it before and confirms it after its journal has it. A claim that
//! is not confirmed belongs to its owner alone, who can look into its journal; everybody else
//! sends the batch away for the time being.
//!
//! Recent batches have a row each. Older ones are summed up into ranges of sequence numbers, in
//! two rounds: a row goes only after the range that replaces it has been visible for a whole round,
//! so that no claim can fall between the two.

use std::time::Duration;

use petrel_spool::ProjectId;
use petrel_wire::{AgentId, BatchId};
use sqlx::{Any, Transaction};

use super::{Metadata, MetadataError, doing};

/// Rows younger than this are not summed up: their hashes tell a copied spool from a repetition.
const RECENT: Duration = Duration::from_secs(600);
/// Between two rounds of summing up, whoever does it.
const ROUND: Duration = Duration::from_secs(120);
/// Senders summed up in one transaction.
const SENDERS: i64 = 1000;

/// What a claim has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is the claimant's to take, or to look up in its journal.
    Mine,
    /// Somebody has it in a journal.
    Taken,
    /// Another aggregator has begun to take it, and nobody but that one knows whether it has.
    Elsewhere,
    /// The number was used for other bytes.
    Conflict,
}

/// A sender of one project in one epoch.
type Sender = (i64, String, i64);

impl Metadata {
    /// Claims a batch for the aggregator whose journal is `owner`.
    pub async fn claim(
        &self,
        project: ProjectId,
        batch: &BatchId,
        owner: AgentId,
    ) -> Result<Delivered, MetadataError> {
        let (project_id, agent, epoch) = sender(project, batch);
        let claimed = sqlx::query(
            "INSERT INTO deliveries (project_id, agent, epoch, seq, hash, owner, taken, at) \
             SELECT $1, $2, $3, $4, $5, $6, 0, $7 WHERE NOT EXISTS (\
               SELECT 1 FROM delivered WHERE project_id = $1 AND agent = $2 AND epoch = $3 \
               AND first <= $4 AND last >= $4) \
             ON CONFLICT DO NOTHING",
        )
        .bind(project_id)
        .bind(&agent)
        .bind(epoch)
        .bind(signed(batch.seq))
        .bind(hex(batch.hash))
        .bind(owner.to_string())
        .bind(self.now())
        .execute(&self.pool)
        .await
        .map_err(doing("claim a batch"))?;
        if claimed.rows_affected() == 1 {
            return Ok(Delivered::Mine);
        }
        let known: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT hash, owner, taken FROM deliveries \
             WHERE project_id = $1 AND agent = $2 AND epoch = $3 AND seq = $4",
        )
        .bind(project_id)
        .bind(&agent)
        .bind(epoch)
        .bind(signed(batch.seq))
        .fetch_optional(&self.pool)
        .await
        .map_err(doing("look up a batch"))?;
        Ok(match known {
            Some((hash, _, _)) if hash != hex(batch.hash) => Delivered::Conflict,
            Some((_, _, taken)) if taken != 0 => Delivered::Taken,
            Some((_, who, _)) if who == owner.to_string() => Delivered::Mine,
            Some(_) => Delivered::Elsewhere,
            None if self.is_summed_up(project, batch).await? => Delivered::Taken,
            // Given up by its owner a moment ago.
            None => Delivered::Elsewhere,
        })
    }

    /// The journal has the batch. From now on everybody may answer for it.
    pub async fn confirm(&self, project: ProjectId, batch: &BatchId) -> Result<(), MetadataError> {
        let (project_id, agent, epoch) = sender(project, batch);
        sqlx::query(
            "UPDATE deliveries SET taken = 1 \
             WHERE project_id = $1 AND agent = $2 AND epoch = $3 AND seq = $4 AND taken = 0",
        )
        .bind(project_id)
        .bind(agent)
        .bind(epoch)
        .bind(signed(batch.seq))
        .execute(&self.pool)
        .await
        .map_err(doing("confirm a batch"))?;
        Ok(())
    }

    /// The journal does not have the batch and will not: anybody may take it.
    pub async fn release(
        &self,
        project: ProjectId,
        batch: &BatchId,
        owner: AgentId,
    ) -> Result<(), MetadataError> {
        let (project_id, agent, epoch) = sender(project, batch);
        sqlx::query(
            "DELETE FROM deliveries WHERE project_id = $1 AND agent = $2 AND epoch = $3 \
             AND seq = $4 AND taken = 0 AND owner = $5",
        )
        .bind(project_id)
        .bind(agent)
        .bind(epoch)
        .bind(signed(batch.seq))
        .bind(owner.to_string())
        .execute(&self.pool)
        .await
        .map_err(doing("give a batch up"))?;
        Ok(())
    }

    /// Claims of this owner that were neither confirmed nor released for `age`, oldest first.
    pub async fn open_claims(
        &self,
        owner: AgentId,
        age: Duration,
    ) -> Result<Vec<(ProjectId, BatchId)>, MetadataError> {
        type Row = (i64, String, i64, i64, String);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT project_id, agent, epoch, seq, hash FROM deliveries \
             WHERE owner = $1 AND taken = 0 AND at <= $2 ORDER BY at LIMIT 1000",
        )
        .bind(owner.to_string())
        .bind(self.now() - nanos(age))
        .fetch_all(&self.pool)
        .await
        .map_err(doing("list claims"))?;
        let unreadable = || MetadataError::Value {
            doing: "read a claim",
        };
        rows.into_iter()
            .map(|(project, agent, epoch, seq, hash)| {
                let project = u32::try_from(project).map_err(|_| unreadable())?;
                let batch = format!("{agent}:{epoch}:{seq}:{hash}");
                let batch = batch.parse().map_err(|_| unreadable())?;
                Ok((ProjectId(project), batch))
            })
            .collect()
    }

    /// Replaces old rows by ranges, if it is time and nobody else does. Says whether it did.
    pub async fn sum_up_deliveries(&self) -> Result<bool, MetadataError> {
        let doing = || doing("sum up what was delivered");
        let mut transaction = self.pool.begin().await.map_err(doing())?;
        let now = self.now();
        // The lock on this row lasts until the end of the transaction.
        let turn = sqlx::query("UPDATE summing_up SET at = $1 WHERE at <= $2")
            .bind(now)
            .bind(now - nanos(ROUND))
            .execute(&mut *transaction)
            .await
            .map_err(doing())?;
        if turn.rows_affected() == 0 {
            return Ok(false);
        }
        let old = now - nanos(RECENT);
        sqlx::query(
            "DELETE FROM deliveries WHERE taken = 1 AND at <= $1 AND EXISTS (\
               SELECT 1 FROM delivered WHERE delivered.project_id = deliveries.project_id \
               AND delivered.agent = deliveries.agent AND delivered.epoch = deliveries.epoch \
               AND delivered.first <= deliveries.seq AND delivered.last >= deliveries.seq)",
        )
        .bind(old)
        .execute(&mut *transaction)
        .await
        .map_err(doing())?;
        let senders: Vec<Sender> = sqlx::query_as(
            "SELECT DISTINCT project_id, agent, epoch FROM deliveries \
             WHERE taken = 1 AND at <= $1 LIMIT $2",
        )
        .bind(old)
        .bind(SENDERS)
        .fetch_all(&mut *transaction)
        .await
        .map_err(doing())?;
        for sender in &senders {
            sum_up(&mut transaction, sender, old)
                .await
                .map_err(doing())?;
        }
        transaction.commit().await.map_err(doing())?;
        Ok(true)
    }

    /// Whether any batch of this number is in a journal, whatever its bytes.
    pub async fn is_taken(
        &self,
        project: ProjectId,
        batch: &BatchId,
    ) -> Result<bool, MetadataError> {
        let (project_id, agent, epoch) = sender(project, batch);
        let known: Option<(i64,)> = sqlx::query_as(
            "SELECT taken FROM deliveries \
             WHERE project_id = $1 AND agent = $2 AND epoch = $3 AND seq = $4",
        )
        .bind(project_id)
        .bind(&agent)
        .bind(epoch)
        .bind(signed(batch.seq))
        .fetch_optional(&self.pool)
        .await
        .map_err(doing("look up a batch"))?;
        match known {
            Some((taken,)) => Ok(taken != 0),
            None => self.is_summed_up(project, batch).await,
        }
    }

    async fn is_summed_up(
        &self,
        project: ProjectId,
        batch: &BatchId,
    ) -> Result<bool, MetadataError> {
        let (project_id, agent, epoch) = sender(project, batch);
        let range: Option<(i64,)> = sqlx::query_as(
            "SELECT first FROM delivered WHERE project_id = $1 AND agent = $2 AND epoch = $3 \
             AND first <= $4 AND last >= $4",
        )
        .bind(project_id)
        .bind(agent)
        .bind(epoch)
        .bind(signed(batch.seq))
        .fetch_optional(&self.pool)
        .await
        .map_err(doing("look up a batch"))?;
        Ok(range.is_some())
    }
}

/// Writes the ranges of one sender anew, with its old rows in them.
async fn sum_up(
    transaction: &mut Transaction<'_, Any>,
    (project_id, agent, epoch): &Sender,
    old: i64,
) -> Result<(), sqlx::Error> {
    let mut ranges: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT first, last FROM delivered WHERE project_id = $1 AND agent = $2 AND epoch = $3 \
         UNION ALL SELECT seq, seq FROM deliveries WHERE project_id = $1 AND agent = $2 \
         AND epoch = $3 AND taken = 1 AND at <= $4",
    )
    .bind(project_id)
    .bind(agent)
    .bind(epoch)
    .bind(old)
    .fetch_all(&mut **transaction)
    .await?;
    ranges.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    sqlx::query("DELETE FROM delivered WHERE project_id = $1 AND agent = $2 AND epoch = $3")
        .bind(project_id)
        .bind(agent)
        .bind(epoch)
        .execute(&mut **transaction)
        .await?;
    for (first, last) in merged {
        sqlx::query(
            "INSERT INTO delivered (project_id, agent, epoch, first, last) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(project_id)
        .bind(agent)
        .bind(epoch)
        .bind(first)
        .bind(last)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

fn sender(project: ProjectId, batch: &BatchId) -> Sender {
    let (agent, epoch) = (batch.agent.to_string(), i64::from(batch.epoch));
    (i64::from(project.0), agent, epoch)
}

fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}

/// Sequence numbers come from outside; whoever uses more than 63 bits shares the last one.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
