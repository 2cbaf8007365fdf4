//! Columns while they grow.

use std::ops::Range;

use crate::bindings::petrel::plugin::types;
use crate::registry::{code, kind};

/// The cells of one selector under one key, and where in the batch they lie.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) slot: u16,
    pub(crate) key: u32,
    kind: u8,
    pub(crate) rows: Vec<u32>,
    codes: Vec<u32>,
    words: Vec<u64>,
    kinds: Vec<u8>,
    /// For attributes: the `KeyValue` of each cell, with its key and length.
    pub(crate) places: Vec<(u32, u32)>,
}

/// A value, once strings have codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// There is a value; it is not the plugin's to see.
    Present,
    /// A code of this kind.
    Coded(u8, u32),
    /// A word of this kind.
    Word(u8, u64),
    /// 16 bytes.
    Wide([u64; 2]),
}

impl Column {
    pub(crate) fn new(slot: u16, key: u32) -> Self {
        Self {
            slot,
            key,
            kind: kind::NULL,
            rows: Vec::new(),
            codes: Vec::new(),
            words: Vec::new(),
            kinds: Vec::new(),
            places: Vec::new(),
        }
    }

    /// A cell of an attribute, whose `KeyValue` is at `place`.
    pub(crate) fn push_at(&mut self, row: u32, cell: Cell, place: Range<usize>) {
        self.push(row, cell);
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.places.push((offset(place.start), offset(place.end)));
    }

    /// The cell of a field. Of a scalar that is given twice the last one counts.
    pub(crate) fn set(&mut self, row: u32, cell: Cell) {
        if self.rows.last() == Some(&row) {
            self.rows.pop();
            match self.kind {
                kind::MIXED => {
                    self.kinds.pop();
                    self.words.pop();
                }
                kind::ID16 => self.words.truncate(self.words.len().saturating_sub(2)),
                of if kind::is_coded(of) => {
                    self.codes.pop();
                }
                _ => {
                    self.words.pop();
                }
            }
        }
        self.push(row, cell);
    }

    fn push(&mut self, row: u32, cell: Cell) {
        let of = match cell {
            Cell::Present => kind::NULL,
            Cell::Coded(of, _) | Cell::Word(of, _) => of,
            Cell::Wide(_) => kind::ID16,
        };
        if self.rows.is_empty() {
            self.kind = of;
        } else if self.kind != of && self.kind != kind::MIXED {
            self.mix();
        }
        self.rows.push(row);
        let mixed = self.kind == kind::MIXED;
        if mixed {
            self.kinds.push(of);
        }
        match cell {
            Cell::Present if mixed => self.words.push(0),
            Cell::Present => {}
            Cell::Coded(_, code) if mixed => self.words.push(u64::from(code)),
            Cell::Coded(_, code) => self.codes.push(code),
            Cell::Word(_, word) => self.words.push(word),
            Cell::Wide(words) => self.words.extend(words),
        }
    }

    /// From one kind to one kind a value.
    #[cold]
    fn mix(&mut self) {
        self.kinds = vec![self.kind; self.rows.len()];
        if kind::is_coded(self.kind) {
            self.words = self.codes.drain(..).map(u64::from).collect();
        }
        self.words.resize(self.rows.len(), 0);
        self.kind = kind::MIXED;
    }

    /// As the contract has it, and what the host keeps of it.
    pub(crate) fn finish(mut self, table_rows: usize) -> (types::Column, Places) {
        // One value in each row needs no row numbers.
        let dense = self.rows.len() == table_rows
            && self.rows.iter().zip(0..).all(|(row, index)| *row == index);
        if dense {
            self.rows.clear();
        }
        let column = types::Column {
            slot: self.slot,
            key: self.key,
            kind: self.kind,
            rows: self.rows,
            codes: self.codes,
            words: self.words,
            kinds: self.kinds,
            present: Vec::new(),
        };
        (column, self.places)
    }
}

/// Where the attributes of a column lie; empty for fields.
pub(crate) type Places = Vec<(u32, u32)>;

/// Reading a finished column.
pub(crate) trait ColumnView {
    /// The code of value `index`, if it is one.
    fn code_at(&self, index: usize) -> Option<(u8, u32)>;
    /// How many values could have codes.
    fn coded_len(&self) -> usize;
    /// The row of value `index`.
    fn row_at(&self, index: usize) -> u32;
    /// The values of `row`.
    fn find(&self, row: u32, table_rows: usize) -> Range<usize>;
}

impl ColumnView for types::Column {
    fn code_at(&self, index: usize) -> Option<(u8, u32)> {
        if self.kind == kind::MIXED {
            let of = *self.kinds.get(index)?;
            let word = *self.words.get(index)?;
            kind::is_coded(of).then(|| (of, u32::try_from(word).unwrap_or(code::NULL)))
        } else {
            self.codes.get(index).map(|code| (self.kind, *code))
        }
    }

    fn coded_len(&self) -> usize {
        if self.kind == kind::MIXED {
            self.kinds.len()
        } else {
            self.codes.len()
        }
    }

    fn row_at(&self, index: usize) -> u32 {
        let dense = || u32::try_from(index).unwrap_or(u32::MAX);
        self.rows.get(index).copied().unwrap_or_else(dense)
    }

    fn find(&self, row: u32, table_rows: usize) -> Range<usize> {
        if self.rows.is_empty() {
            let row = row as usize;
            return row..(row + 1).min(table_rows.max(row));
        }
        let start = self.rows.partition_point(|have| *have < row);
        let end = self.rows.partition_point(|have| *have <= row);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_one_kind_with_a_value_in_each_row_is_dense() {
        let mut column = Column::new(0, 5);
        for row in 0..3 {
            column.push_at(row, Cell::Coded(kind::STRING, row), 0..1);
        }
        let (column, places) = column.finish(3);
        assert!(column.rows.is_empty());
        assert_eq!(column.codes, [0, 1, 2]);
        assert_eq!(places.len(), 3);
        assert_eq!(column.find(1, 3), 1..2);
        assert_eq!(column.find(3, 3), 3..3);
    }

    #[test]
    fn values_of_two_kinds_become_mixed_and_keep_their_codes() {
        let mut column = Column::new(0, 5);
        column.push_at(0, Cell::Coded(kind::STRING, 9), 0..1);
        column.push_at(2, Cell::Word(kind::INT, 42), 0..1);
        column.push_at(2, Cell::Coded(kind::JSON, 8), 0..1);
        let (column, _) = column.finish(3);
        assert_eq!(column.kind, kind::MIXED);
        assert_eq!(column.kinds, [kind::STRING, kind::INT, kind::JSON]);
        assert_eq!(column.words, [9, 42, 8]);
        assert_eq!(column.code_at(0), Some((kind::STRING, 9)));
        assert_eq!(column.code_at(1), None);
        assert_eq!(column.find(2, 3), 1..3);
        assert_eq!(column.find(1, 3), 1..1);
    }

    #[test]
    fn of_a_field_given_twice_the_last_counts() {
        let mut column = Column::new(0, code::NULL);
        column.set(0, Cell::Coded(kind::STRING, 1));
        column.set(0, Cell::Coded(kind::STRING, 2));
        column.set(1, Cell::Word(kind::INT, 3));
        column.set(1, Cell::Word(kind::INT, 4));
        let (column, _) = column.finish(2);
        assert_eq!(column.words, [2, 4]);
        assert!(column.rows.is_empty());
    }
}
