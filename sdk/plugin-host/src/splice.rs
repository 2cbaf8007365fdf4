//! Rewrites a protobuf message by replacing ranges of it, without knowing its schema.
//!
//! A splice replaces a whole field, or stands empty where a message's content begins and inserts
//! there. Messages around it get new lengths; every other byte, unknown fields included, is copied.

use std::ops::Range;

use petrel_wire::otlp::fields::{Fields, put_varint, varint_len};

/// One replacement. Offsets are those of the whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Splice {
    /// Whole fields, or nothing at the start of a message that has fields.
    pub(crate) range: Range<usize>,
    /// What takes their place: whole fields, or nothing.
    pub(crate) with: Vec<u8>,
}

impl Splice {
    pub(crate) fn new(range: Range<usize>, with: Vec<u8>) -> Self {
        Self { range, with }
    }

    pub(crate) fn remove(range: Range<usize>) -> Self {
        Self::new(range, Vec::new())
    }
}

/// Applies `splices`, in any order, to `bytes`. A splice inside another's range is lost with what
/// it changed.
pub(crate) fn apply(bytes: &[u8], mut splices: Vec<Splice>) -> Vec<u8> {
    // An insertion comes before the replacement of the field that it precedes; of two that start
    // together the larger one holds the other; what is removed is not replaced.
    splices.sort_by_key(|splice| {
        let Range { start, end } = splice.range;
        let replaces = !splice.with.is_empty();
        (start, start != end, std::cmp::Reverse(end), replaces)
    });
    let mut covered = 0;
    splices.retain(|splice| {
        let kept = splice.range.start >= covered;
        if kept {
            covered = covered.max(splice.range.end);
        }
        kept
    });
    let added: usize = splices.iter().map(|splice| splice.with.len()).sum();
    let mut rewrite = Rewrite {
        bytes,
        splices: &splices,
        out: Vec::with_capacity(bytes.len() + added + 64),
    };
    rewrite.message(0..bytes.len());
    debug_assert!(rewrite.splices.is_empty(), "a splice was not at a field");
    rewrite.out
}

struct Rewrite<'a> {
    bytes: &'a [u8],
    /// Those not yet applied.
    splices: &'a [Splice],
    out: Vec<u8>,
}

impl Rewrite<'_> {
    /// Copies the content of the message at `range`, applying the splices in it.
    fn message(&mut self, range: Range<usize>) {
        let (mut at, mut copied) = (range.start, range.start);
        while let Some((splice, rest)) = self.splices.split_first() {
            if at >= range.end || splice.range.start >= range.end {
                break;
            }
            if splice.range == (at..at) {
                self.out.extend_from_slice(&self.bytes[copied..at]);
                self.out.extend_from_slice(&splice.with);
                copied = at;
                self.splices = rest;
                continue;
            }
            let Some(field) = Fields::new(&self.bytes[at..range.end]).next() else {
                break;
            };
            let end = at + field.range.end;
            if splice.range.start < end {
                self.out.extend_from_slice(&self.bytes[copied..at]);
                if splice.range.start == at {
                    self.out.extend_from_slice(&splice.with);
                    self.splices = rest;
                } else {
                    let content = field.len_bytes().map_or(0, <[u8]>::len);
                    self.inner(at, end - content..end);
                }
                copied = end;
            }
            at = end;
        }
        self.out.extend_from_slice(&self.bytes[copied..range.end]);
    }

    /// A length-delimited field that has splices inside.
    fn inner(&mut self, at: usize, content: Range<usize>) {
        let key = self.bytes[at..]
            .iter()
            .position(|byte| *byte < 0x80)
            .map_or(at, |last| at + last + 1);
        self.out.extend_from_slice(&self.bytes[at..key]);
        // Most edits leave the length as long as it was, so its place is kept and seldom moved.
        let start = self.out.len();
        let guess = varint_len(content.len() as u64);
        self.out.resize(start + guess, 0);
        self.message(content);
        let length = self.out.len() - start - guess;
        let needed = varint_len(length as u64);
        if needed != guess {
            let body = start + guess..self.out.len();
            if needed > guess {
                self.out.resize(self.out.len() + needed - guess, 0);
            }
            self.out.copy_within(body, start + needed);
            self.out.truncate(start + needed + length);
        }
        let mut prefix = Vec::with_capacity(needed);
        put_varint(&mut prefix, length as u64);
        self.out[start..start + needed].copy_from_slice(&prefix);
    }
}

#[cfg(test)]
mod tests {
    use petrel_wire::otlp::fields::{put_len, put_varint_field};

    use super::*;

    fn inner(name: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_len(&mut out, 1, name);
        put_varint_field(&mut out, 99, 7);
        out
    }

    fn outer(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            put_len(&mut out, 3, part);
        }
        out
    }

    fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_len(&mut out, number, bytes);
        out
    }

    #[test]
    fn lengths_follow_an_edit_that_grows_and_one_that_shrinks() {
        for (old, new) in [(5, 300), (300, 5), (5, 5), (5, 20_000), (126, 129)] {
            let (old, new) = (vec![b'o'; old], vec![b'n'; new]);
            let before = outer(&[inner(b"first"), inner(&old), inner(b"last")]);
            let first = field(3, &inner(b"first")).len();
            let start = first + field(3, &inner(&old)).len() - inner(&old).len();
            let splice = Splice::new(start..start + field(1, &old).len(), field(1, &new));
            let after = outer(&[inner(b"first"), inner(&new), inner(b"last")]);
            assert_eq!(apply(&before, vec![splice]), after);
        }
    }

    #[test]
    fn an_insertion_stands_before_the_field_that_is_replaced_too() {
        let before = outer(&[inner(b"one")]);
        let splices = vec![
            Splice::new(2..7, field(1, b"uno")),
            Splice::new(2..2, field(5, b"new")),
        ];
        let mut want = field(5, b"new");
        want.extend(inner(b"uno"));
        assert_eq!(apply(&before, splices), outer(&[want]));
    }

    #[test]
    fn what_was_changed_inside_a_removed_field_is_gone_with_it() {
        let before = outer(&[inner(b"one"), inner(b"two")]);
        let whole = field(3, &inner(b"one")).len();
        let splices = vec![
            Splice::new(2..7, field(1, b"uno")),
            Splice::remove(0..whole),
        ];
        assert_eq!(apply(&before, splices), outer(&[inner(b"two")]));
    }

    #[test]
    fn a_removed_field_stays_removed_whatever_else_replaces_it() {
        let before = outer(&[inner(b"one"), inner(b"two")]);
        let whole = field(3, &inner(b"one")).len();
        let replacement = || Splice::new(0..whole, field(3, &inner(b"uno")));
        for splices in [
            vec![replacement(), Splice::remove(0..whole)],
            vec![Splice::remove(0..whole), replacement()],
        ] {
            assert_eq!(apply(&before, splices), outer(&[inner(b"two")]));
        }
    }

    #[test]
    fn nothing_to_do_is_a_copy() {
        let before = outer(&[inner(b"one"), inner(b"two")]);
        assert_eq!(apply(&before, Vec::new()), before);
    }
}
