//! Deduplication tokens of inserts that never came to an end.
//!
//! A table's log of tokens gets the token of an insert before the part that the insert has written
//! gets its name. An engine that is killed between the two has forgotten the rows and remembers the
//! token: the same insert, repeated, would be taken for done, and its rows be lost without a word.
//! So before the engine opens its tables, the last token of each is compared with the parts that
//! are there, and cut off if its part is not. Parts are named one after the other under a lock, so
//! that only the last one can be missing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Goes through all tables below the engine's directory. A table that cannot be looked at stays as it
/// is. Returns how many tokens were cut off.
pub(super) fn forget(engine: &Path) -> usize {
    tables(&engine.join("store"))
        .iter()
        .map(|table| match forget_in(table) {
            Ok(forgotten) => forgotten,
            Err(error) => {
                tracing::warn!(%error, table = %table.display(), "cannot compare tokens with parts");
                0
            }
        })
        .sum()
}

/// `store/<first three letters>/<uuid>`.
fn tables(store: &Path) -> Vec<PathBuf> {
    let within = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    within(store).iter().flat_map(|dir| within(dir)).collect()
}

fn forget_in(table: &Path) -> io::Result<usize> {
    let Some((log, text)) = newest_log(&table.join("deduplication_logs"))? else {
        return Ok(0);
    };
    let Some(last) = text.lines().next_back().and_then(Record::read) else {
        return Ok(0);
    };
    let Some(part) = last.adds.and_then(Part::read) else {
        return Ok(0);
    };
    for entry in fs::read_dir(table)? {
        let name = entry?.file_name();
        let there = name.to_str().and_then(Part::read);
        if there.is_some_and(|there| there.covers(&part)) {
            return Ok(0);
        }
    }
    // A part may have several tokens, which stand behind each other.
    let mut kept = text.as_str();
    let mut forgotten = 0;
    while let Some(record) = kept.lines().next_back()
        && Record::read(record).is_some_and(|record| record.adds == last.adds)
    {
        kept = &kept[..kept.trim_end_matches('\n').len() - record.len()];
        forgotten += 1;
    }
    let file = File::options().write(true).open(&log)?;
    file.set_len(kept.len() as u64)?;
    file.sync_all()?;
    Ok(forgotten)
}

/// `deduplication_log_<n>.txt` with the highest number, of those that say something.
fn newest_log(logs: &Path) -> io::Result<Option<(PathBuf, String)>> {
    let entries = match fs::read_dir(logs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("deduplication_log_"))
            .and_then(|rest| rest.strip_suffix(".txt"))
            .and_then(|number| number.parse().ok());
        if let Some(number) = number
            && entry.metadata()?.len() > 0
            && newest.as_ref().is_none_or(|(most, _)| number > *most)
        {
            newest = Some((number, entry.path()));
        }
    }
    newest
        .map(|(_, path)| fs::read_to_string(&path).map(|text| (path, text)))
        .transpose()
}

/// A line of the log: what was done, with which part, under which token.
#[derive(Debug)]
struct Record<'a> {
    /// The part, if a token was added for it.
    adds: Option<&'a str>,
}

impl<'a> Record<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (operation, part) = (fields.next()?, fields.next()?);
        Some(Self {
            adds: (operation == "1").then_some(part),
        })
    }
}

/// `<partition>_<first block>_<last block>_<level>`, and a version after a mutation.
#[derive(Debug)]
struct Part<'a> {
    partition: &'a str,
    blocks: (u64, u64),
}

impl<'a> Part<'a> {
    fn read(name: &'a str) -> Option<Self> {
        let mut fields = name.split('_');
        let partition = fields.next().filter(|partition| !partition.is_empty())?;
        let blocks = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let rest: Vec<u64> = fields
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        matches!(rest.len(), 1 | 2).then_some(Self { partition, blocks })
    }

    fn covers(&self, other: &Self) -> bool {
        self.partition == other.partition
            && self.blocks.0 <= other.blocks.0
            && self.blocks.1 >= other.blocks.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with some parts and a log.
    fn table(parts: &[&str], log: &str) -> tempfile::TempDir {
        let engine = tempfile::tempdir().unwrap();
        let table = engine.path().join("store/edb/edb1caa6");
        for part in parts {
            fs::create_dir_all(table.join(part)).unwrap();
        }
        fs::create_dir_all(table.join("deduplication_logs")).unwrap();
        fs::create_dir_all(table.join("detached")).unwrap();
        let logs = table.join("deduplication_logs");
        fs::write(logs.join("deduplication_log_2.txt"), log).unwrap();
        fs::write(
            logs.join("deduplication_log_1.txt"),
            "1\t20261120_9_9_0\told\n",
        )
        .unwrap();
        // The engine begins a new one when it starts.
        fs::write(logs.join("deduplication_log_10.txt"), "").unwrap();
        engine
    }

    fn log_after(parts: &[&str], log: &str) -> String {
        let engine = table(parts, log);
        forget(engine.path());
        let path = "store/edb/edb1caa6/deduplication_logs/deduplication_log_2.txt";
        fs::read_to_string(engine.path().join(path)).unwrap()
    }

    #[test]
    fn a_token_whose_part_never_got_its_name_is_forgotten_with_all_its_forms() {
        let before = "1\t20261121_1_1_0\ta\n";
        let log = format!("{before}1\t20261121_2_2_0\tb\n1\t20261121_2_2_0\tb2\n");
        let parts = [
            "20261121_1_1_0",
            "tmp_insert_20261121_2_2_0",
            "20261122_2_2_0",
        ];
        assert_eq!(log_after(&parts, &log), before);
    }

    #[test]
    fn a_token_whose_part_is_there_or_merged_into_another_stays() {
        let log = "1\t20261121_1_1_0\ta\n1\t20261121_2_2_0\tb\n";
        assert_eq!(log_after(&["20261121_1_1_0", "20261121_2_2_0"], log), log);
        assert_eq!(log_after(&["20261121_1_2_1"], log), log);
        assert_eq!(log_after(&["20261121_1_2_1_7"], log), log);
    }

    #[test]
    fn only_the_last_token_is_doubted() {
        let log = "1\t20261120_1_1_0\texpired\n1\t20261121_2_2_0\tb\n";
        assert_eq!(log_after(&["20261121_2_2_0"], log), log);
        let dropped = "1\t20261121_2_2_0\tb\n2\t20261121_2_2_0\tb\n";
        assert_eq!(log_after(&[], dropped), dropped);
    }

    #[test]
    fn what_is_no_log_is_left_alone() {
        assert_eq!(log_after(&[], "something else\n"), "something else\n");
        assert_eq!(forget(Path::new("/nonexistent")), 0);
    }
}
