//! Tables of tests: mounted on the thread, as the host would have read them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::kernels;

/// A table as it stands in the file.
struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Every key is an address or a range.
    has_ranges: bool,
}

thread_local! {
    static TABLES: RefCell<Vec<Table>> = const { RefCell::new(Vec::new()) };
}

/// Replaces what was mounted. Panics over a file that the host would not read.
pub(super) fn mount(files: &BTreeMap<String, String>) {
    TABLES.set(files.iter().map(|(name, text)| read(name, text)).collect());
}

fn read(name: &str, text: &str) -> Table {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let texts = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    let columns: Vec<String> = match reader.headers() {
        Ok(header) => texts(header),
        Err(error) => panic!("lookup {name}: {error}"),
    };
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|record| match record {
            Ok(record) => texts(&record),
            Err(error) => panic!("lookup {name}: {error}"),
        })
        .collect();
    Table {
        name: name.to_owned(),
        columns,
        has_ranges: !rows.is_empty() && rows.iter().all(|row| range(&row[0]).is_some()),
        rows,
    }
}

/// First address as bits from the top, how many count, and the family.
fn range(text: &str) -> Option<(u128, u32, bool)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (top, whole, is_v6) = match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32, false),
        IpAddr::V6(address) => (address.to_bits(), 128, true),
    };
    let bits = bits.unwrap_or(whole);
    (bits <= whole).then_some((top, bits, is_v6))
}

impl Table {
    fn row(&self, key: &str) -> Option<&Vec<String>> {
        if !self.has_ranges {
            return self.rows.iter().find(|row| row[0] == key);
        }
        let (address, _, is_v6) = range(key).filter(|_| !key.contains('/'))?;
        let covers = |row: &&Vec<String>| {
            range(&row[0]).is_some_and(|(first, bits, of_v6)| {
                is_v6 == of_v6 && (first ^ address).leading_zeros() >= bits
            })
        };
        let rows = self.rows.iter().filter(covers);
        rows.max_by_key(|row| range(&row[0]).map(|(_, bits, _)| bits))
    }
}

pub(crate) fn open(name: &str) -> Option<u32> {
    TABLES.with_borrow(|tables| {
        let place = tables.iter().position(|table| table.name == name)?;
        u32::try_from(place).ok()
    })
}

pub(crate) fn join_dict(table: u32, codes: &[u32], column: &str) -> Vec<u32> {
    TABLES.with_borrow(|tables| {
        let Some(table) = tables.get(table as usize) else {
            panic!("lookup {table} was never opened");
        };
        let Some(column) = table.columns.iter().position(|name| name == column) else {
            let (name, columns) = (&table.name, table.columns.join(", "));
            panic!("the lookup {name} has no column {column:?}, it has {columns}");
        };
        let join = |code: &u32| {
            if *code == u32::MAX {
                return u32::MAX;
            }
            let Some(text) = kernels::string(*code) else {
                panic!("it looks up code {code}, which is no string's");
            };
            let row = table.row(&String::from_utf8_lossy(&text));
            match row.map(|row| row[column].as_str()) {
                None | Some("") => u32::MAX,
                Some(text) => kernels::append(text.as_bytes()),
            }
        };
        codes.iter().map(join).collect()
    })
}
