//! The protobuf wire format, field by field, where it lies.
//!
//! [`Fields`] walks one message and gives for each field its number, its value and the byte range
//! it occupies, so that a rewrite can be a splice of ranges. It knows no schema. What it accepts is
//! what prost accepts: varints of at most ten bytes that fit 64 bits (longer than needed is fine),
//! groups only if well nested, field numbers from 1.

use std::ops::Range;

/// How deep messages and groups may nest, counted as prost counts: the request itself is level 0.
pub const MAX_NESTING: u32 = 100;

/// The value of one field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire<'a> {
    /// Integers, booleans, enums.
    Varint(u64),
    /// `fixed64`, `sfixed64`, `double`.
    Fixed64(u64),
    /// `fixed32`, `sfixed32`, `float`.
    Fixed32(u32),
    /// Strings, bytes, messages, packed scalars.
    Len(&'a [u8]),
    /// What stands between the start and the end key of a group; OTLP has none, but an unknown
    /// field may be one.
    Group(&'a [u8]),
}

/// One field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field number, from 1.
    pub number: u32,
    /// The value.
    pub value: Wire<'a>,
    /// Key and value together, as a range of the message that was given to [`Fields::new`].
    pub range: Range<usize>,
}

impl<'a> Field<'a> {
    /// The bytes of a length-delimited value.
    pub fn len_bytes(&self) -> Option<&'a [u8]> {
        match self.value {
            Wire::Len(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Where a length-delimited value lies in the message, without key and length.
    pub fn len_range(&self) -> Option<Range<usize>> {
        self.len_bytes()
            .map(|bytes| self.range.end - bytes.len()..self.range.end)
    }
}

/// The bytes are not protobuf: what was met, and where in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {at}")]
pub struct WireError {
    /// What was met.
    pub reason: &'static str,
    /// Offset in the message that was being walked.
    pub at: usize,
}

/// Walks the fields of one message.
///
/// As an iterator it ends at the first malformed byte, which in the bytes of a checked
/// [`Batch`](crate::Batch) does not happen. For bytes of unknown origin use [`Fields::try_next`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    message: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Walks `message`, the bytes of one message without its own key and length.
    pub fn new(message: &'a [u8]) -> Self {
        Self {
            message,
            rest: message,
        }
    }

    /// The whole message.
    pub fn message(&self) -> &'a [u8] {
        self.message
    }

    /// How far it has come.
    #[inline]
    fn at(&self) -> usize {
        self.message.len() - self.rest.len()
    }

    /// The next field, nothing at the end, or what is wrong.
    pub fn try_next(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut cursor = Cursor::at(self.message, self.at());
        let (number, wire_type) = cursor.key()?;
        let value = cursor.value(number, wire_type, MAX_NESTING)?;
        let range = self.at()..cursor.at;
        self.rest = &self.message[cursor.at..];
        Ok(Some(Field {
            number,
            value,
            range,
        }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        match self.plain() {
            Some(field) => Some(field),
            None => self.next_of_any_shape(),
        }
    }
}

impl<'a> Fields<'a> {
    /// The next field if it has one of the shapes that OTLP is made of.
    #[expect(
        clippy::inline_always,
        reason = "as part of the loop around it, a third of the time: most of a field is never used"
    )]
    #[inline(always)]
    fn plain(&mut self) -> Option<Field<'a>> {
        let mut rest = self.rest;
        let key = u32::try_from(take_varint(&mut rest)?).ok()?;
        let number = key >> 3;
        if number == 0 {
            return None;
        }
        let value = match key & 7 {
            0 => Wire::Varint(take_varint(&mut rest)?),
            1 => Wire::Fixed64(u64::from_le_bytes(*take_chunk(&mut rest)?)),
            2 => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                let (value, behind) = rest.split_at_checked(length)?;
                rest = behind;
                Wire::Len(value)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(*take_chunk(&mut rest)?)),
            _ => return None,
        };
        let range = self.at()..self.message.len() - rest.len();
        self.rest = rest;
        Some(Field {
            number,
            value,
            range,
        })
    }

    #[cold]
    fn next_of_any_shape(&mut self) -> Option<Field<'a>> {
        self.try_next().unwrap_or_else(|_| {
            self.rest = &[];
            None
        })
    }
}

/// A varint of one or two bytes, as keys and lengths are; longer ones elsewhere.
#[inline]
fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    match **rest {
        [byte, ref behind @ ..] if byte < 0x80 => {
            *rest = behind;
            Some(u64::from(byte))
        }
        [low, high, ref behind @ ..] if high < 0x80 => {
            *rest = behind;
            Some(u64::from(low & 0x7f) | u64::from(high) << 7)
        }
        _ => take_long_varint(rest),
    }
}

fn take_long_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut cursor = Cursor::at(rest, 0);
    let value = cursor.long_varint().ok()?;
    *rest = &rest[cursor.at..];
    Some(value)
}

#[inline]
fn take_chunk<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (chunk, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(chunk)
}

/// The six wire types of the format, 6 and 7 being none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Len,
    StartGroup,
    EndGroup,
    Fixed32,
}

/// A place in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[cold]
    pub(crate) fn error(&self, reason: &'static str) -> WireError {
        WireError {
            reason,
            at: self.at,
        }
    }

    #[inline]
    pub(crate) fn key(&mut self) -> Result<(u32, WireType), WireError> {
        let start = self.at;
        let key = self.varint()?;
        let at_start = |reason| WireError { reason, at: start };
        let Ok(key) = u32::try_from(key) else {
            return Err(at_start("a field number beyond 29 bits"));
        };
        let wire_type = match key & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Len,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => return Err(at_start("an unknown wire type")),
        };
        if key >> 3 == 0 {
            return Err(at_start("field number 0"));
        }
        Ok((key >> 3, wire_type))
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (index, &byte) in self.bytes[self.at..].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    return Err(self.error("a varint beyond 64 bits"));
                }
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(self.error(if self.bytes.len() - self.at < 10 {
            "a truncated varint"
        } else {
            "a varint beyond 64 bits"
        }))
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        let Some(bytes) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) else {
            return Err(self.error("a truncated 64-bit value"));
        };
        self.at += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, WireError> {
        let Some(bytes) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) else {
            return Err(self.error("a truncated 32-bit value"));
        };
        self.at += 4;
        Ok(u32::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn len_delimited(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.varint()?;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| self.at.checked_add(length));
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => Err(self.error("a length that reaches beyond its message")),
        }
    }

    /// The value behind a key, whatever its meaning. `nesting`: how many levels are left, as prost
    /// counts them when it skips a field.
    #[inline]
    pub(crate) fn value(
        &mut self,
        number: u32,
        wire_type: WireType,
        nesting: u32,
    ) -> Result<Wire<'a>, WireError> {
        if nesting == 0 {
            return Err(self.error(TOO_NESTED));
        }
        match wire_type {
            WireType::Varint => self.varint().map(Wire::Varint),
            WireType::Fixed64 => self.fixed64().map(Wire::Fixed64),
            WireType::Fixed32 => self.fixed32().map(Wire::Fixed32),
            WireType::Len => self.len_delimited().map(Wire::Len),
            WireType::StartGroup => self.group(number, nesting).map(Wire::Group),
            WireType::EndGroup => Err(self.error("the end of a group that was not begun")),
        }
    }

    fn group(&mut self, number: u32, nesting: u32) -> Result<&'a [u8], WireError> {
        let start = self.at;
        loop {
            let end = self.at;
            let (inner, wire_type) = self.key()?;
            if wire_type != WireType::EndGroup {
                self.value(inner, wire_type, nesting - 1)?;
            } else if inner == number {
                return Ok(&self.bytes[start..end]);
            } else {
                return Err(self.error("the end of another group"));
            }
        }
    }
}

pub(crate) const TOO_NESTED: &str = "messages nested deeper than 100 levels";

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "seven bits and the continuation"
        )]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
    out.push(value as u8);
}

/// How many bytes [`put_varint`] appends.
pub fn varint_len(value: u64) -> usize {
    // ceil(bits / 7) without a division: 9/64 is close enough to 1/7 for 1 to 64 bits.
    (((value | 1).ilog2() * 9 + 73) / 64) as usize
}

/// Appends a length-delimited field: a string, bytes or an encoded message.
pub fn put_len(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a message field whose content `write` appends. Most are shorter than 128 bytes; longer
/// ones are moved to make room for their length.
pub fn put_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(number) << 3 | 2);
    out.push(0);
    let start = out.len();
    write(out);
    let end = out.len();
    match u8::try_from(end - start) {
        Ok(length) if length < 0x80 => out[start - 1] = length,
        _ => {
            put_varint(out, (end - start) as u64);
            let prefix = out.len() - end;
            out[start - 1..].rotate_right(prefix);
            out.remove(start - 1 + prefix);
        }
    }
}

/// Appends a varint field.
pub fn put_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a `fixed64`, `sfixed64` or (as bits) `double` field.
pub fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `fixed32` field.
pub fn put_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    put_varint(out, u64::from(number) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_knows_its_range_and_what_lies_in_it() {
        let mut bytes = Vec::new();
        put_varint_field(&mut bytes, 3, 300);
        put_len(&mut bytes, 2, b"hello");
        put_fixed64(&mut bytes, 7, 1);
        let fields: Vec<_> = Fields::new(&bytes).collect();
        assert_eq!(fields[0].value, Wire::Varint(300));
        assert_eq!(fields[0].range, 0..3);
        assert_eq!(fields[1].value, Wire::Len(b"hello"));
        assert_eq!(&bytes[fields[1].len_range().unwrap()], b"hello");
        assert_eq!(fields[2].range, 10..19);
    }

    #[test]
    fn malformed_bytes_are_named_with_their_place() {
        let cases: [(&[u8], &str, usize); 9] = [
            (&[0x08], "a truncated varint", 1),
            (&[0x08, 0xff, 0xff], "a truncated varint", 1),
            (&[0x08; 1], "a truncated varint", 1),
            (&[0x00, 0x00], "field number 0", 0),
            (&[0x0e], "an unknown wire type", 0),
            (
                &[0x12, 0x05, 1],
                "a length that reaches beyond its message",
                2,
            ),
            (&[0x09, 1, 2], "a truncated 64-bit value", 1),
            (&[0x0c], "the end of a group that was not begun", 1),
            (&[0x0b, 0x14], "the end of another group", 2),
        ];
        for (bytes, reason, at) in cases {
            let error = Fields::new(bytes).try_next().unwrap_err();
            assert_eq!(error, WireError { reason, at }, "{bytes:x?}");
            assert_eq!(Fields::new(bytes).next(), None);
        }
    }

    #[test]
    fn a_varint_may_be_longer_than_needed_but_not_than_ten_bytes_or_64_bits() {
        let read = |bytes: &[u8]| Cursor::at(bytes, 0).varint().ok();
        assert_eq!(read(&[0x80, 0x80, 0x00]), Some(0));
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(read(&most), Some(u64::MAX));
        most[9] = 2;
        assert_eq!(read(&most), None);
        assert_eq!(read(&[0x80; 11]), None);
    }

    #[test]
    fn a_message_of_any_length_is_read_back() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let content = vec![b'x'; length];
            let mut out = b"\x08\x01".to_vec();
            put_message(&mut out, 5, |out| out.extend_from_slice(&content));
            put_varint_field(&mut out, 6, 7);
            let fields: Vec<_> = Fields::new(&out).collect();
            assert_eq!(fields.len(), 3, "{length}");
            assert_eq!(fields[1].len_bytes(), Some(content.as_slice()), "{length}");
        }
    }

    #[test]
    fn a_varint_has_the_length_that_was_foretold() {
        for bits in 0..64 {
            for value in [1 << bits, (1_u64 << bits) - 1, u64::MAX >> bits] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
            }
        }
    }
}
