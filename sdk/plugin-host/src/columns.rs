//! One attribute key of a table, or one built-in field: its cells in the order of rows.
//!
//! A chain has each column once, however many of its plugins see it, and edits change the cells
//! where they stand. What was changed is marked; only that is written back.

use std::ops::Range;

use crate::registry::{Table, kind};

/// Which plugin sees a column through which of its selectors.
pub(crate) type Seen = (u16, u16);

/// Kinds that plugins never meet.
pub(crate) mod hidden {
    /// There is a value, but nobody asked what it is.
    pub(crate) const UNREAD: u8 = 254;
    /// A plugin deleted it.
    pub(crate) const DELETED: u8 = 253;
}

/// Where a cell that was made by a plugin lies: nowhere yet.
pub(crate) const MADE: (u32, u32) = (u32::MAX, u32::MAX);

/// Cells, and where in the batch they lie.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) table: Table,
    /// The code of the key, of a field the null code.
    pub(crate) key: u32,
    /// 0 for attributes.
    pub(crate) field: u16,
    pub(crate) seen: Vec<Seen>,
    /// The kind of all cells, or mixed.
    pub(crate) kind: u8,
    pub(crate) rows: Vec<u32>,
    pub(crate) codes: Vec<u32>,
    pub(crate) words: Vec<u64>,
    pub(crate) kinds: Vec<u8>,
    /// For attributes: the `KeyValue` of each cell, with its key and length.
    pub(crate) places: Vec<(u32, u32)>,
    /// Which answer changed a cell last, counting from 1; empty = none did.
    pub(crate) changed_by: Vec<u8>,
}

/// A value, once strings have codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Nothing but a kind: null, unread, deleted.
    Bare(u8),
    /// A code of this kind.
    Coded(u8, u32),
    /// A word of this kind.
    Word(u8, u64),
    /// 16 bytes.
    Wide([u64; 2]),
}

impl Cell {
    pub(crate) fn kind(self) -> u8 {
        match self {
            Self::Bare(of) | Self::Coded(of, _) | Self::Word(of, _) => of,
            Self::Wide(_) => kind::ID16,
        }
    }
}

impl Column {
    pub(crate) fn new(table: Table, key: u32, field: u16, seen: Vec<Seen>) -> Self {
        Self {
            table,
            key,
            field,
            seen,
            kind: kind::NULL,
            rows: Vec::new(),
            codes: Vec::new(),
            words: Vec::new(),
            kinds: Vec::new(),
            places: Vec::new(),
            changed_by: Vec::new(),
        }
    }

    /// Makes room for so many cells of strings.
    pub(crate) fn reserve(&mut self, cells: usize) {
        self.rows.reserve(cells);
        self.codes.reserve(cells);
        self.places.reserve(cells);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A cell of an attribute, whose `KeyValue` is at `place`.
    #[inline]
    pub(crate) fn push_at(&mut self, row: u32, cell: Cell, place: (u32, u32)) {
        match cell {
            Cell::Coded(of, code) if of == self.kind => {
                self.rows.push(row);
                self.codes.push(code);
            }
            _ => self.push(row, cell),
        }
        self.places.push(place);
    }

    /// The cell of a field. Of a scalar that is given twice the last one counts.
    #[inline]
    pub(crate) fn set(&mut self, row: u32, cell: Cell) {
        if self.rows.last() == Some(&row) {
            self.pop();
        }
        self.push(row, cell);
    }

    #[cold]
    fn pop(&mut self) {
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

    #[inline]
    fn push(&mut self, row: u32, cell: Cell) {
        let of = cell.kind();
        if self.kind != of {
            if self.rows.is_empty() {
                self.kind = of;
            } else {
                self.mix();
            }
        }
        self.rows.push(row);
        if self.kind == kind::MIXED {
            self.kinds.push(of);
            self.words.push(word_of(cell));
            return;
        }
        match cell {
            Cell::Bare(_) => {}
            Cell::Coded(_, code) => self.codes.push(code),
            Cell::Word(_, word) => self.words.push(word),
            Cell::Wide(words) => self.words.extend(words),
        }
    }

    /// From one kind to one kind a value.
    #[cold]
    fn mix(&mut self) {
        if self.kind == kind::MIXED {
            return;
        }
        self.kinds = vec![self.kind; self.rows.len()];
        if kind::is_coded(self.kind) {
            self.words = self.codes.drain(..).map(u64::from).collect();
        }
        self.words.resize(self.rows.len(), 0);
        self.kind = kind::MIXED;
    }

    /// The value of a cell.
    pub(crate) fn cell(&self, index: usize) -> Cell {
        let word = |at: usize| self.words.get(at).copied().unwrap_or_default();
        let of = match self.kind {
            kind::MIXED => self.kinds[index],
            kind::ID16 => return Cell::Wide([word(2 * index), word(2 * index + 1)]),
            of => of,
        };
        match of {
            kind::NULL | hidden::UNREAD | hidden::DELETED => Cell::Bare(of),
            _ if !kind::is_coded(of) => Cell::Word(of, word(index)),
            _ if self.kind == kind::MIXED => {
                Cell::Coded(of, u32::try_from(word(index)).unwrap_or(u32::MAX))
            }
            _ => Cell::Coded(of, self.codes[index]),
        }
    }

    /// The kind of a cell.
    pub(crate) fn kind_at(&self, index: usize) -> u8 {
        match self.kind {
            kind::MIXED => self.kinds[index],
            of => of,
        }
    }

    /// Changes a cell on behalf of answer number `by`. True if that changes something that this
    /// answer has not changed before.
    pub(crate) fn change(&mut self, index: usize, cell: Cell, by: u8) -> bool {
        if self.cell(index) == cell {
            return false;
        }
        match cell {
            Cell::Coded(of, code) if of == self.kind => self.codes[index] = code,
            _ => {
                self.mix();
                self.kinds[index] = cell.kind();
                self.words[index] = word_of(cell);
            }
        }
        self.changed_by.resize(self.rows.len(), 0);
        std::mem::replace(&mut self.changed_by[index], by) != by
    }

    /// Changes every cell on behalf of answer number `by`; says how many that changes. None of them
    /// may have been deleted.
    pub(crate) fn change_all(&mut self, cell: Cell, by: u8) -> u64 {
        let Cell::Coded(of, code) = cell else {
            return (0..self.len())
                .map(|index| u64::from(self.change(index, cell, by)))
                .sum();
        };
        let count = self.len();
        self.changed_by.resize(count, 0);
        // Where all are of another kind, as those that nobody read, none has to be compared.
        let is_other = self.kind != kind::MIXED && self.kind != of;
        let mut changed = 0;
        for index in 0..count {
            if is_other || self.cell(index) != cell {
                changed += u64::from(std::mem::replace(&mut self.changed_by[index], by) != by);
            }
        }
        self.kind = of;
        self.kinds.clear();
        self.words.clear();
        self.codes.clear();
        self.codes.resize(count, code);
        changed
    }

    /// Adds a cell that the batch did not have, on behalf of answer number `by`.
    pub(crate) fn create(&mut self, row: u32, cell: Cell, by: u8) {
        let is_last = self.rows.last().is_none_or(|last| *last < row);
        self.push_at(row, cell, MADE);
        self.changed_by.resize(self.rows.len(), 0);
        if let Some(last) = self.changed_by.last_mut() {
            *last = by;
        }
        if !is_last {
            self.move_last_to(
                self.rows[..self.rows.len() - 1].partition_point(|have| *have <= row),
            );
        }
    }

    fn move_last_to(&mut self, at: usize) {
        fn rotate<T>(list: &mut [T], at: usize) {
            // Of the lists of values only one is in use.
            if at < list.len() {
                list[at..].rotate_right(1);
            }
        }
        rotate(&mut self.rows, at);
        rotate(&mut self.places, at);
        rotate(&mut self.changed_by, at);
        rotate(&mut self.codes, at);
        rotate(&mut self.kinds, at);
        rotate(&mut self.words, at);
    }

    /// The cells of `row`.
    pub(crate) fn find(&self, row: u32) -> Range<usize> {
        // Rows without gaps are the rule: then the place is known.
        if self.rows.get(row as usize) == Some(&row)
            && self.rows.get(row as usize + 1) != Some(&row)
            && (row == 0 || self.rows[row as usize - 1] != row)
        {
            return row as usize..row as usize + 1;
        }
        let start = self.rows.partition_point(|have| *have < row);
        let end = self.rows.partition_point(|have| *have <= row);
        start..end
    }
}

fn word_of(cell: Cell) -> u64 {
    match cell {
        Cell::Bare(_) => 0,
        Cell::Coded(_, code) => u64::from(code),
        Cell::Word(_, word) => word,
        Cell::Wide([word, _]) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::code;

    fn column() -> Column {
        Column::new(Table::Record, 5, 0, Vec::new())
    }

    #[test]
    fn values_of_two_kinds_become_mixed_and_keep_their_codes() {
        let mut column = column();
        column.push_at(0, Cell::Coded(kind::STRING, 9), (0, 1));
        column.push_at(2, Cell::Word(kind::INT, 42), (0, 1));
        column.push_at(2, Cell::Coded(kind::JSON, 8), (0, 1));
        assert_eq!(column.kind, kind::MIXED);
        assert_eq!(column.kinds, [kind::STRING, kind::INT, kind::JSON]);
        assert_eq!(column.words, [9, 42, 8]);
        assert_eq!(column.cell(0), Cell::Coded(kind::STRING, 9));
        assert_eq!(column.cell(1), Cell::Word(kind::INT, 42));
        assert_eq!(column.find(2), 1..3);
        assert_eq!(column.find(1), 1..1);
        assert_eq!(column.find(0), 0..1);
    }

    #[test]
    fn of_a_field_given_twice_the_last_counts() {
        let mut column = Column::new(Table::Record, code::NULL, 2, Vec::new());
        column.set(0, Cell::Coded(kind::STRING, 1));
        column.set(0, Cell::Coded(kind::STRING, 2));
        column.set(1, Cell::Word(kind::INT, 3));
        column.set(1, Cell::Word(kind::INT, 4));
        assert_eq!(column.words, [2, 4]);
        assert_eq!(column.rows, [0, 1]);
    }

    #[test]
    fn a_change_is_counted_once_an_answer_and_not_if_it_changes_nothing() {
        let mut column = column();
        for row in 0..3 {
            column.push_at(row, Cell::Coded(kind::STRING, row), (0, 1));
        }
        assert!(!column.change(1, Cell::Coded(kind::STRING, 1), 1));
        assert!(column.changed_by.is_empty());
        assert!(column.change(1, Cell::Coded(kind::STRING, 7), 1));
        assert!(!column.change(1, Cell::Word(kind::INT, 8), 1));
        assert!(column.change(1, Cell::Bare(hidden::DELETED), 2));
        assert_eq!(column.cell(0), Cell::Coded(kind::STRING, 0));
        assert_eq!(column.cell(1), Cell::Bare(hidden::DELETED));
        assert_eq!(column.changed_by, [0, 2, 0]);
    }

    #[test]
    fn a_made_cell_finds_its_place_among_the_rows() {
        let mut column = column();
        for row in [0, 2, 5] {
            column.push_at(row, Cell::Coded(kind::STRING, row), (1, 2));
        }
        column.create(3, Cell::Word(kind::INT, 33), 1);
        column.create(9, Cell::Word(kind::INT, 99), 1);
        assert_eq!(column.rows, [0, 2, 3, 5, 9]);
        let mut strings = self::column();
        strings.push_at(1, Cell::Coded(kind::STRING, 8), (1, 2));
        strings.create(0, Cell::Coded(kind::STRING, 7), 1);
        assert_eq!((strings.rows, strings.codes), (vec![0, 1], vec![7, 8]));
        let kept: Vec<_> = (0..5).map(|index| word_of(column.cell(index))).collect();
        assert_eq!(kept, [0, 2, 33, 5, 99]);
        assert_eq!(column.places[2], MADE);
        assert_eq!(column.changed_by, [0, 0, 1, 0, 1]);
    }
}
