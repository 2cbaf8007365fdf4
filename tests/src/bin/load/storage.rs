//! What tables take on the disk, and what it takes to merge them.

use std::time::Duration;

use anyhow::Context as _;

use crate::engine::Owner;

pub(crate) async fn parts(owner: &Owner, table: &str) -> anyhow::Result<u64> {
    owner
        .number(&format!(
            "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = '{table}'"
        ))
        .await
}

/// Merges to one part a partition; what that took.
pub(crate) async fn merge(owner: &Owner, tables: &[&str]) -> anyhow::Result<Duration> {
    let before = owner.cpu_time()?;
    owner.run("SYSTEM START MERGES", Vec::new()).await?;
    for table in tables {
        owner
            .run(&format!("OPTIMIZE TABLE {table} FINAL"), Vec::new())
            .await?;
    }
    Ok(owner.cpu_time()?.saturating_sub(before))
}

pub(crate) async fn disk(owner: &Owner, tables: &[&str]) -> anyhow::Result<u64> {
    let names: Vec<_> = tables.iter().map(|table| format!("'{table}'")).collect();
    owner
        .number(&format!(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() AND table IN ({})",
            names.join(", ")
        ))
        .await
        .context("disk")
}

pub(crate) async fn disk_by_table(
    owner: &Owner,
    tables: &[&str],
) -> anyhow::Result<Vec<(String, u64)>> {
    let mut shares = Vec::new();
    for table in tables {
        shares.push(((*table).to_owned(), disk(owner, &[*table]).await?));
    }
    shares.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    Ok(shares)
}

pub(crate) async fn disk_by_column(
    owner: &Owner,
    table: &str,
) -> anyhow::Result<Vec<(String, u64)>> {
    let text = owner
        .run(
            &format!(
                "SELECT column, sum(column_data_compressed_bytes) AS bytes FROM system.parts_columns WHERE active AND database = currentDatabase() AND table = '{table}' GROUP BY column ORDER BY bytes DESC"
            ),
            Vec::new(),
        )
        .await?;
    let column = |line: &str| {
        let (column, bytes) = line.split_once('\t').context("two columns")?;
        Ok((column.to_owned(), bytes.parse()?))
    };
    text.lines().map(column).collect()
}
