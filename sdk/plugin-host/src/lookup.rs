//! Tables that the operator mounts, and the import `lookup` over them.
//!
//! A table is a CSV file with a header, whose first column is the key. If every key is an IP address
//! or a range of them, it is asked with addresses, and the most specific range answers. Tables are read
//! when their processor is loaded, and looked at again at each reload.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bindings::petrel::plugin::lookup;
use crate::cache::digest;
use crate::host::{HostState, Phase};
use crate::registry::{ALL_SLOTS, access, code};

mod keys;

use keys::Keys;

/// A larger file is refused: tables are in memory, beside everything else that an agent may have.
const MOST_BYTES: u64 = 16 << 20;
/// Fields of a table, each of which costs more in memory than in the file.
const MOST_FIELDS: usize = 1 << 20;
/// Tables of one processor.
const MOST_TABLES: usize = 16;
/// Strings that look-ups may bring into one batch.
const JOINED_BYTES: usize = 4 << 20;

/// The tables of one processor, by name.
#[derive(Debug, Default)]
pub(crate) struct Tables(Vec<Table>);

#[derive(Debug)]
struct Table {
    name: String,
    file: PathBuf,
    sha256: String,
    columns: Vec<String>,
    keys: Keys,
    /// Row by row; numbers of values, null for empty ones.
    cells: Vec<u32>,
    values: Vec<Box<str>>,
}

/// What look-ups have brought into the batch in hand.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// By table and value, the guest's code.
    codes: HashMap<(u32, u32), u32>,
    bytes: usize,
}

impl Tables {
    /// Reads `files`, by the names that plugins know. The error names file and line.
    pub(crate) fn read(files: &BTreeMap<String, PathBuf>) -> Result<Self, String> {
        if files.len() > MOST_TABLES {
            return Err(format!(
                "{} lookups are mounted, {MOST_TABLES} are allowed",
                files.len()
            ));
        }
        let tables = files.iter().map(|(name, file)| Table::read(name, file));
        Ok(Self(tables.collect::<Result<_, _>>()?))
    }

    /// Whether the files still hold what was read.
    pub(crate) fn are_current(&self) -> bool {
        let is_current =
            |table: &Table| bytes_of(&table.file).is_ok_and(|bytes| digest(&bytes) == table.sha256);
        self.0.iter().all(is_current)
    }

    fn table(&self, number: u32) -> wasmtime::Result<&Table> {
        let table = self.0.get(number as usize);
        table.ok_or_else(|| wasmtime::Error::msg(format!("lookup {number} was never opened")))
    }
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, String> {
    let shown = file.display();
    let cannot = |error| format!("cannot read the lookup {shown}: {error}; correct `lookups:`");
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(cannot)?;
    opened
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        return Err(format!(
            "the lookup {shown} has more than {most} MiB, which is the most"
        ));
    }
    Ok(bytes)
}

impl Table {
    fn read(name: &str, file: &Path) -> Result<Self, String> {
        let bytes = bytes_of(file)?;
        let parsed = Self::parse(&bytes).map_err(|(line, what)| {
            let file = file.display();
            format!("{file}:{line}: {what}")
        });
        Ok(Self {
            name: name.to_owned(),
            file: file.to_owned(),
            sha256: digest(&bytes),
            ..parsed?
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, (u64, String)> {
        let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
        let header = reader.headers().map_err(|error| told(&error))?;
        let columns: Vec<String> = header.iter().map(str::to_owned).collect();
        let twice = |(at, name): (usize, &String)| columns[..at].contains(name);
        if columns.iter().any(String::is_empty) {
            let what = "a lookup begins with the names of its columns, and one is empty";
            return Err((1, what.to_owned()));
        }
        if columns.iter().enumerate().any(twice) {
            return Err((1, "two columns have one name".to_owned()));
        }
        let (mut keys, mut cells) = (Vec::new(), Vec::new());
        let mut values = Vec::<Box<str>>::new();
        let mut known = HashMap::<Box<str>, u32>::new();
        for record in reader.records() {
            let record = record.map_err(|error| told(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            keys.push((record.get(0).unwrap_or_default().to_owned(), line));
            if cells.len() + columns.len() > MOST_FIELDS {
                let what =
                    format!("the lookup has more than {MOST_FIELDS} fields, which is the most");
                return Err((line, what));
            }
            for text in &record {
                if text.is_empty() {
                    cells.push(code::NULL);
                    continue;
                }
                let number = known.get(text).copied().unwrap_or_else(|| {
                    let number = u32::try_from(values.len()).unwrap_or(code::NULL);
                    values.push(text.into());
                    known.insert(text.into(), number);
                    number
                });
                cells.push(number);
            }
        }
        Ok(Self {
            name: String::new(),
            file: PathBuf::new(),
            sha256: String::new(),
            columns,
            keys: Keys::of(keys)?,
            cells,
            values,
        })
    }

    fn column(&self, name: &str) -> wasmtime::Result<usize> {
        let place = self.columns.iter().position(|column| column == name);
        place.ok_or_else(|| {
            let (file, columns) = (self.file.display(), self.columns.join(", "));
            wasmtime::Error::msg(format!(
                "the lookup {file} has no column {name:?}, it has {columns}"
            ))
        })
    }

    /// The number of a value in the row of this key.
    fn find(&self, key: &[u8], column: usize) -> Option<u32> {
        let row = self.keys.row(key)? as usize;
        let cell = *self.cells.get(row * self.columns.len() + column)?;
        (cell != code::NULL).then_some(cell)
    }
}

/// Where the file is wrong, and how.
fn told(error: &csv::Error) -> (u64, String) {
    let line = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("has {len} fields, the header has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    (line, what)
}

impl lookup::Host for HostState {
    fn open(&mut self, name: String) -> wasmtime::Result<Option<u32>> {
        let mut tables = self.shared.tables.0.iter();
        let place = tables.position(|table| table.name == name);
        Ok(place.and_then(|place| u32::try_from(place).ok()))
    }

    fn join_dict(
        &mut self,
        table: u32,
        codes: Vec<u32>,
        column: String,
    ) -> wasmtime::Result<Vec<u32>> {
        let tables = Arc::clone(&self.shared.tables);
        let from = tables.table(table)?;
        let column = from.column(&column)?;
        let work = match &mut self.phase {
            Phase::Process(work) => work,
            // So that a wrong name is found before there is data.
            Phase::Configure if codes.is_empty() => return Ok(codes),
            _ => return Err(wasmtime::Error::msg("lookup.join-dict outside process")),
        };
        // An answer to a value that the plugin did not ask for would tell it what that is.
        let mut own = vec![false; work.codes.len(&work.dictionary)];
        let shown = work.values(ALL_SLOTS, access::READ)?.into_iter();
        for code in shown.chain(work.joined.codes.values().copied()) {
            if let Some(own) = own.get_mut(code as usize) {
                *own = true;
            }
        }
        let mut watch = work.watch(&self.shared);
        let mut known = HashMap::<u32, u32>::new();
        let mut found = Vec::with_capacity(codes.len());
        for code in codes {
            if code == code::NULL {
                found.push(code::NULL);
                continue;
            }
            if let Some(known) = known.get(&code) {
                found.push(*known);
                continue;
            }
            watch.look()?;
            let value = match own.get(code as usize) {
                Some(true) => from.find(work.text(code), column),
                Some(false) => None,
                None => {
                    let words = format!("it looks up code {code}, which is no string's");
                    return Err(wasmtime::Error::msg(words));
                }
            };
            let joined = match value {
                Some(value) => {
                    let text = from.values[value as usize].as_bytes();
                    work.join((table, value), text)?
                }
                None => code::NULL,
            };
            known.insert(code, joined);
            found.push(joined);
        }
        Ok(found)
    }
}

impl crate::host::Work {
    /// The guest's code of a table's value, which is in the dictionary once.
    fn join(&mut self, value: (u32, u32), text: &[u8]) -> wasmtime::Result<u32> {
        if let Some(code) = self.joined.codes.get(&value) {
            return Ok(*code);
        }
        self.joined.bytes += text.len();
        if self.joined.bytes > JOINED_BYTES {
            let most = JOINED_BYTES >> 20;
            return Err(wasmtime::Error::msg(format!(
                "its look-ups bring more than {most} MiB into one batch"
            )));
        }
        let code = self.dictionary.append(text);
        let code = self.codes.publish(code);
        self.joined.codes.insert(value, code);
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::parse(text.as_bytes()).unwrap()
    }

    fn answer<'a>(table: &'a Table, key: &str, column: &str) -> Option<&'a str> {
        let column = table.column(column).unwrap();
        let value = table.find(key.as_bytes(), column)?;
        Some(&table.values[value as usize])
    }

    fn error(text: &str) -> (u64, String) {
        Table::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_row_is_found_by_its_key_and_an_empty_field_is_no_value() {
        let sites = table("host,site,team\na,Berlin,\nb,\"Paris, north\",web\n");
        assert_eq!(answer(&sites, "a", "site"), Some("Berlin"));
        assert_eq!(answer(&sites, "b", "site"), Some("Paris, north"));
        assert_eq!(answer(&sites, "a", "team"), None);
        assert_eq!(answer(&sites, "c", "site"), None);
        assert_eq!(answer(&sites, "b", "host"), Some("b"));
    }

    #[test]
    fn of_ranges_the_most_specific_answers() {
        let nets = table(
            "net,zone\n0.0.0.0/0,world\n10.0.0.0/8,office\n10.1.0.0/16,lab\n10.1.2.3,printer\n\
             2001:db8::/32,docs\n",
        );
        for (address, zone) in [
            ("10.1.2.3", Some("printer")),
            ("10.1.2.4", Some("lab")),
            ("10.2.0.1", Some("office")),
            ("192.0.2.1", Some("world")),
            ("::ffff:10.1.2.4", Some("lab")),
            ("2001:db8::1", Some("docs")),
            ("2001:db9::1", None),
            ("printer", None),
        ] {
            assert_eq!(answer(&nets, address, "zone"), zone, "{address}");
        }
    }

    #[test]
    fn keys_that_are_not_all_addresses_are_texts() {
        let mixed = table("host,zone\n10.0.0.0/8,office\nlocalhost,here\n");
        assert_eq!(answer(&mixed, "10.1.1.1", "zone"), None);
        assert_eq!(answer(&mixed, "localhost", "zone"), Some("here"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, part) in [
            ("a,b\n1,2\n3\n", 3, "has 1 fields, the header has 2"),
            ("a,b\n1,2\n1,3\n", 3, "stands in line 2 already"),
            ("a,a\n", 1, "one name"),
            ("a,\n", 1, "empty"),
            ("net,b\n10.0.0.1/8,x\n", 2, "10.0.0.0/8"),
            ("net,b\n10.0.0.0/8,x\n10.0.0.0/8,y\n", 3, "line 2"),
        ] {
            let (at, what) = error(text);
            assert!(at == line && what.contains(part), "{text:?}: {at} {what}");
        }
        let (at, what) = Table::parse(b"a,b\n1,2\n\xff,3\n").unwrap_err();
        assert_eq!((at, what.as_str()), (3, "is not UTF-8"));
    }
}
