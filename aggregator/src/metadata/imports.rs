//! Imports: how far a source outside has been read, so that each of its rows is taken once.

use super::{Metadata, MetadataError, doing};

/// Where an import stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Names the generation of sequence numbers: when this import was begun, in Unix seconds.
    pub epoch: u32,
    /// The number of the next batch, from 1.
    pub seq: u64,
    /// Everything up to here is taken.
    pub position: u64,
    /// Everything up to here is being taken under `seq`, if anything is.
    pub pending: Option<u64>,
}

impl Metadata {
    /// Where the import of this source stands; a new one is begun at 0.
    pub async fn import(&self, source: &str) -> Result<Import, MetadataError> {
        type Row = (i64, i64, i64, Option<i64>);
        let doing = || doing("look up an import");
        sqlx::query(
            "INSERT INTO imports (source, epoch, seq, position) VALUES ($1, $2, 1, 0) \
             ON CONFLICT DO NOTHING",
        )
        .bind(source)
        .bind(self.now() / 1_000_000_000)
        .execute(&self.pool)
        .await
        .map_err(doing())?;
        let (epoch, seq, position, pending): Row =
            sqlx::query_as("SELECT epoch, seq, position, pending FROM imports WHERE source = $1")
                .bind(source)
                .fetch_one(&self.pool)
                .await
                .map_err(doing())?;
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Import {
            epoch: u32::try_from(epoch).unwrap_or(0),
            seq: unsigned(seq),
            position: unsigned(position),
            pending: pending.map(unsigned),
        })
    }

    /// Notes where it stands now, if it still stands where it stood: of several who go on from the
    /// same place, one does. Says whether this one did.
    pub async fn go_on_with_import(
        &self,
        source: &str,
        stood: &Import,
        stands: &Import,
    ) -> Result<bool, MetadataError> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let noted = sqlx::query(
            "UPDATE imports SET seq = $1, position = $2, pending = $3 \
             WHERE source = $4 AND seq = $5 AND position = $6 AND COALESCE(pending, -1) = $7",
        )
        .bind(signed(stands.seq))
        .bind(signed(stands.position))
        .bind(stands.pending.map(signed))
        .bind(source)
        .bind(signed(stood.seq))
        .bind(signed(stood.position))
        .bind(stood.pending.map_or(-1, signed))
        .execute(&self.pool)
        .await
        .map_err(doing("note where an import stands"))?;
        Ok(noted.rows_affected() == 1)
    }
}
