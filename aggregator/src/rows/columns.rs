//! Columns in ClickHouse's Native format, written as rows are pushed.
//!
//! A block is the number of columns and rows, then for each column its name, its type, the state
//! that readers need before the data (dictionary versions), and the data. Everything is little
//! endian; lengths are LEB128. The layout is that of protocol revision 0, which HTTP uses unless a
//! client asks for more: the same bytes go to every server version that we support.
//!
//! Dictionaries list their keys in the order in which they were first pushed, so equal rows in
//! equal order are equal bytes: a repeated insert is recognised by them.

mod dictionary;

pub(super) use dictionary::{Dictionary, Map, Seed};

use super::block::Pieces;

/// One column while it is built.
pub(super) trait Column {
    /// Type as ClickHouse spells it.
    fn kind(&self) -> String;
    /// What stands before the data of the whole column.
    fn prefix(&self, _out: &mut Vec<u8>) {}
    /// The data. Empty columns of dictionaries have none.
    fn data(self, out: &mut Pieces);
}

/// A number of fixed width.
pub(super) trait Scalar: Copy {
    /// Type as ClickHouse spells it.
    const KIND: &'static str;
    /// Little endian.
    fn put(self, out: &mut Vec<u8>);
}

macro_rules! scalars {
    ($($type:ty = $kind:literal),* $(,)?) => {
        $(impl Scalar for $type {
            const KIND: &'static str = $kind;
            #[inline]
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        })*
    };
}

scalars!(
    u8 = "UInt8",
    i16 = "Int16",
    u32 = "UInt32",
    u64 = "UInt64",
    i32 = "Int32",
    i64 = "Int64",
    f64 = "Float64"
);

/// Seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) u32);

/// Nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nanos(pub(super) i64);

/// Days since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day(pub(super) u16);

impl Scalar for Seconds {
    const KIND: &'static str = "DateTime('UTC')";
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
}

impl Scalar for Nanos {
    const KIND: &'static str = "DateTime64(9, 'UTC')";
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
}

impl Scalar for Day {
    const KIND: &'static str = "Date";
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }
}

impl Scalar for bool {
    const KIND: &'static str = "Bool";
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
}

/// An id of sixteen bytes.
impl Scalar for [u8; 16] {
    const KIND: &'static str = "FixedString(16)";
    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self);
    }
}

/// Names for the values of an `Enum8`.
pub(super) trait Names {
    /// Type as ClickHouse spells it.
    const KIND: &'static str;
}

/// `Enum8`: a number from a list of names.
#[derive(Debug)]
pub(super) struct Enum<N> {
    data: Vec<u8>,
    names: std::marker::PhantomData<N>,
}

impl<N> Default for Enum<N> {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            names: std::marker::PhantomData,
        }
    }
}

impl<N: Names> Enum<N> {
    /// Appends the value with this number.
    pub(super) fn push(&mut self, number: u8) {
        self.data.push(number);
    }

    /// Changes the value of a row that was pushed.
    pub(super) fn set(&mut self, row: usize, number: u8) {
        self.data[row] = number;
    }
}

impl<N: Names> Column for Enum<N> {
    fn kind(&self) -> String {
        N::KIND.to_owned()
    }

    fn data(self, out: &mut Pieces) {
        out.put(self.data);
    }
}

/// Numbers, times and ids.
#[derive(Debug)]
pub(super) struct Plain<T> {
    data: Vec<u8>,
    of: std::marker::PhantomData<T>,
}

impl<T> Default for Plain<T> {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            of: std::marker::PhantomData,
        }
    }
}

impl<T: Scalar> Plain<T> {
    /// Appends a value.
    #[inline]
    pub(super) fn push(&mut self, value: T) {
        value.put(&mut self.data);
    }
}

impl<T: Scalar> Column for Plain<T> {
    fn kind(&self) -> String {
        T::KIND.to_owned()
    }

    fn data(self, out: &mut Pieces) {
        out.put(self.data);
    }
}

/// Numbers that may be absent.
#[derive(Debug)]
pub(super) struct Maybe<T> {
    absent: Vec<u8>,
    values: Plain<T>,
}

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self {
            absent: Vec::new(),
            values: Plain::default(),
        }
    }
}

impl<T: Scalar + Default> Maybe<T> {
    /// Appends a value or its absence.
    pub(super) fn push(&mut self, value: Option<T>) {
        self.absent.push(u8::from(value.is_none()));
        self.values.push(value.unwrap_or_default());
    }
}

impl<T: Scalar> Column for Maybe<T> {
    fn kind(&self) -> String {
        format!("Nullable({})", T::KIND)
    }

    fn data(self, out: &mut Pieces) {
        out.put(self.absent);
        self.values.data(out);
    }
}

/// Text, each value with its length.
#[derive(Debug, Default)]
pub(super) struct Text {
    data: Vec<u8>,
}

impl Text {
    /// Appends a value.
    #[inline]
    pub(super) fn push(&mut self, value: impl AsRef<[u8]>) {
        put_text(&mut self.data, value.as_ref());
    }
}

impl Column for Text {
    fn kind(&self) -> String {
        "String".to_owned()
    }

    fn data(self, out: &mut Pieces) {
        out.put(self.data);
    }
}

/// Any number of values in each row.
#[derive(Debug, Default)]
pub(super) struct Array<C> {
    ends: Vec<u8>,
    end: u64,
    /// Where the values of the row go.
    pub(super) items: C,
}

impl<C> Array<C> {
    /// Ends a row to which `count` items were pushed.
    #[inline]
    pub(super) fn end_row(&mut self, count: usize) {
        self.end += count as u64;
        self.end.put(&mut self.ends);
    }
}

impl<T: Scalar> Array<Plain<T>> {
    /// Appends a row.
    pub(super) fn push(&mut self, values: impl Iterator<Item = T>) {
        let mut count = 0;
        for value in values {
            self.items.push(value);
            count += 1;
        }
        self.end_row(count);
    }
}

impl<C: Column> Column for Array<C> {
    fn kind(&self) -> String {
        format!("Array({})", self.items.kind())
    }

    fn prefix(&self, out: &mut Vec<u8>) {
        self.items.prefix(out);
    }

    fn data(self, out: &mut Pieces) {
        out.put(self.ends);
        self.items.data(out);
    }
}

/// Appends one column of a block.
pub(super) fn put_column(out: &mut Pieces, name: &str, column: impl Column) {
    put_text(out.tail(), name.as_bytes());
    put_text(out.tail(), column.kind().as_bytes());
    column.prefix(out.tail());
    column.data(out);
}

/// Appends the head of a block.
pub(super) fn put_head(out: &mut Pieces, columns: usize, rows: usize) {
    put_varint(out.tail(), columns);
    put_varint(out.tail(), rows);
}

#[inline]
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_varint(out, text.len());
    out.extend_from_slice(text);
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A column's name: Rust's keywords are spelled `r#type` where they name fields.
pub(super) const fn plain(name: &str) -> &str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Declares the columns of a table in the order in which they are written.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident<$life:lifetime> for $table:literal { $($column:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        struct $name<$life> {
            rows: usize,
            life: std::marker::PhantomData<&$life ()>,
            $( $column: $type, )*
        }

        impl $name<'_> {
            const TABLE: &'static str = $table;

            fn finish(self, day: u16) -> $crate::rows::Block {
                const NAMES: &[&str] = &[$( $crate::rows::columns::plain(stringify!($column)) ),*];
                let mut out = $crate::rows::block::Pieces::default();
                $crate::rows::columns::put_head(&mut out, NAMES.len(), self.rows);
                $( $crate::rows::columns::put_column(&mut out, $crate::rows::columns::plain(stringify!($column)), self.$column); )*
                $crate::rows::Block::new(Self::TABLE, NAMES, day, self.rows, out)
            }
        }
    };
}
pub(super) use table;
