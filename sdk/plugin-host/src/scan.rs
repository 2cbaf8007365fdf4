//! The fields of a checked request, where they lie, read fast.
//!
//! `petrel_wire::otlp::fields` is the reader for bytes of any origin. Here the bytes were checked, so
//! nothing can be wrong with them; over other bytes a walk ends early, and never reaches outside.

use petrel_wire::otlp::fields::{self, Fields};

/// The wire types that a schema of ours has.
pub(crate) mod wire {
    pub(crate) const VARINT: u8 = 0;
    pub(crate) const FIXED64: u8 = 1;
    pub(crate) const LEN: u8 = 2;
    pub(crate) const FIXED32: u8 = 5;
}

/// One field. Offsets are those of the whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) wire: u8,
    /// Of its key.
    pub(crate) start: usize,
    /// Of its value: behind key and, if it has one, length.
    pub(crate) content: usize,
    pub(crate) end: usize,
}

impl Part {
    pub(crate) fn is_len(&self) -> bool {
        self.wire == wire::LEN
    }

    pub(crate) fn bytes<'a>(&self, request: &'a [u8]) -> &'a [u8] {
        &request[self.content..self.end]
    }

    pub(crate) fn varint(&self, request: &[u8]) -> Option<u64> {
        let mut at = self.content;
        (self.wire == wire::VARINT).then(|| varint(&request[..self.end], &mut at))
    }

    pub(crate) fn fixed64(&self, request: &[u8]) -> Option<u64> {
        let chunk = self.bytes(request).first_chunk()?;
        (self.wire == wire::FIXED64).then(|| u64::from_le_bytes(*chunk))
    }

    pub(crate) fn fixed32(&self, request: &[u8]) -> Option<u32> {
        let chunk = self.bytes(request).first_chunk()?;
        (self.wire == wire::FIXED32).then(|| u32::from_le_bytes(*chunk))
    }
}

/// Walks the fields of the message whose content is at `at..end`.
#[derive(Clone, Debug)]
pub(crate) struct Scan<'a> {
    request: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(request: &'a [u8], at: usize, end: usize) -> Self {
        let end = end.min(request.len());
        Self { request, at, end }
    }

    pub(crate) fn of(request: &'a [u8], part: Part) -> Self {
        Self::new(request, part.content, part.end)
    }

    /// The next field if it has the same key, of one byte, as the one before: attributes stand
    /// together, and most of a walk is walking over them.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
    pub(crate) fn next_like(&mut self, before: Part) -> Option<Part> {
        let tag = *self.request.get(before.start)?;
        let message = &self.request[..self.end];
        if tag >= 0x80 || message.get(self.at) != Some(&tag) {
            return None;
        }
        let mut content = self.at + 1;
        let length = varint(message, &mut content);
        let end = content.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        if end > self.end {
            return None;
        }
        let start = std::mem::replace(&mut self.at, end);
        Some(Part {
            start,
            content,
            end,
            ..before
        })
    }

    /// The field that counts, of those with this number.
    pub(crate) fn last_of(self, number: u32) -> Option<Part> {
        self.filter(|part| part.number == number).last()
    }
}

impl Iterator for Scan<'_> {
    type Item = Part;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
    fn next(&mut self) -> Option<Part> {
        let start = self.at;
        if start >= self.end {
            return None;
        }
        let message = &self.request[..self.end];
        let mut at = start;
        let key = varint(message, &mut at);
        let wire = (key & 7) as u8;
        let mut content = at;
        let end = match wire {
            wire::LEN => {
                let length = varint(message, &mut content);
                content.saturating_add(usize::try_from(length).unwrap_or(usize::MAX))
            }
            wire::VARINT => {
                varint(message, &mut at);
                at
            }
            wire::FIXED64 => at + 8,
            wire::FIXED32 => at + 4,
            _ => group(message, start),
        };
        if end > self.end || end == start {
            self.at = self.end;
            return None;
        }
        self.at = end;
        Some(Part {
            number: u32::try_from(key >> 3).unwrap_or(u32::MAX),
            wire,
            start,
            content,
            end,
        })
    }
}

/// Groups are in no schema of ours, but an unknown field may be one.
#[cold]
fn group(message: &[u8], start: usize) -> usize {
    Fields::new(&message[start..])
        .next()
        .map_or(start, |field| start + field.range.end)
}

/// The varint at `at`, which moves behind it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
pub(crate) fn varint(message: &[u8], at: &mut usize) -> u64 {
    match message.get(*at) {
        Some(&byte) if byte < 0x80 => {
            *at += 1;
            u64::from(byte)
        }
        Some(&low) => match message.get(*at + 1) {
            // Lengths of items have two bytes.
            Some(&high) if high < 0x80 => {
                *at += 2;
                u64::from(high) << 7 | u64::from(low & 0x7f)
            }
            _ => long_varint(message, at),
        },
        None => long_varint(message, at),
    }
}

/// Whether two short strings are equal. Keys and values are compared so often that a call for each
/// is a fifth of the walk.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // Two words each, of which the second overlaps the first.
    match one.len() {
        16..=32 => ends::<16>(one)
            .zip(ends::<16>(other))
            .is_some_and(|(a, b)| {
                let differs =
                    |a: &[u8; 16], b: &[u8; 16]| u128::from_ne_bytes(*a) ^ u128::from_ne_bytes(*b);
                (differs(a.0, b.0) | differs(a.1, b.1)) == 0
            }),
        8..=15 => ends::<8>(one).zip(ends::<8>(other)).is_some_and(|(a, b)| {
            let differs =
                |a: &[u8; 8], b: &[u8; 8]| u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b);
            (differs(a.0, b.0) | differs(a.1, b.1)) == 0
        }),
        0..=7 => one.iter().zip(other).all(|(a, b)| a == b),
        _ => one == other,
    }
}

/// Its first and its last `N` bytes.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    bytes.first_chunk().zip(bytes.last_chunk())
}

/// Appends a varint, most of which have one byte here.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: usize) {
    match u8::try_from(value) {
        Ok(byte) if byte < 0x80 => out.push(byte),
        _ => fields::put_varint(out, value as u64),
    }
}

/// Appends a length-delimited field with a number below 16.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a quarter of the walk, measured")]
pub(crate) fn put_short(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    out.push(number << 3 | wire::LEN);
    put_varint(out, content.len());
    out.extend_from_slice(content);
}

fn long_varint(message: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    let rest = message.get(*at..).unwrap_or_default();
    for (index, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            *at += index + 1;
            return value;
        }
    }
    *at = message.len() + 1;
    u64::MAX
}

#[cfg(test)]
mod tests {
    use petrel_wire::otlp::fields::{put_fixed32, put_fixed64, put_len, put_varint_field};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_wire_type_is_read_with_its_place() {
        let mut bytes = vec![0xff];
        put_varint_field(&mut bytes, 3, 300);
        put_len(&mut bytes, 2, b"hello");
        put_fixed64(&mut bytes, 700, 5);
        put_fixed32(&mut bytes, 8, 6);
        bytes.extend([0x4b, 0x08, 0x01, 0x4c]); // group 9 with a varint in it
        put_len(&mut bytes, 1, b"");
        let parts: Vec<_> = Scan::new(&bytes, 1, bytes.len()).collect();
        assert_eq!(parts[0].varint(&bytes), Some(300));
        assert_eq!(parts[1].bytes(&bytes), b"hello");
        assert_eq!((parts[2].number, parts[2].fixed64(&bytes)), (700, Some(5)));
        assert_eq!(parts[3].fixed32(&bytes), Some(6));
        assert_eq!(parts[4].end - parts[4].start, 4);
        assert_eq!(parts[5].bytes(&bytes), b"");
        assert_eq!(parts.len(), 6);
    }

    proptest! {
        #[test]
        fn strings_are_the_same_if_they_are(
            one in proptest::collection::vec(0_u8..3, 0..40),
            at in 0_usize..40,
            len in 0_usize..40,
        ) {
            let mut other = one.clone();
            prop_assert!(same(&one, &other));
            if let Some(byte) = other.get_mut(at) {
                *byte ^= 4;
                prop_assert!(!same(&one, &other));
            }
            let part = one.get(..len).unwrap_or(&one);
            prop_assert_eq!(same(&one, part), one == part);
        }

        #[test]
        fn it_sees_what_the_careful_reader_sees(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut careful = Fields::new(&bytes);
            let mut fast = Scan::new(&bytes, 0, bytes.len());
            while let Ok(Some(field)) = careful.try_next() {
                let part = fast.next().unwrap();
                prop_assert_eq!(part.number, field.number);
                prop_assert_eq!(part.start..part.end, field.range.clone());
                if let Some(content) = field.len_range() {
                    prop_assert_eq!(part.content..part.end, content);
                }
            }
            // From the first malformed byte on it may see anything, as long as it ends.
            prop_assert!(fast.count() <= bytes.len());
            let mut careful = Scan::new(&bytes, 0, bytes.len());
            while let Some(before) = careful.next() {
                let mut fast = careful.clone();
                if let Some(like) = before.is_len().then(|| fast.next_like(before)).flatten() {
                    prop_assert_eq!(careful.clone().next(), Some(like));
                }
            }
        }
    }
}
