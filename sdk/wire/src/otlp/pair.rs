//! Attributes in the shape in which every encoder writes them: the key, then a value of one member,
//! both short.
//!
//! Most of a request is attributes, and nearly all of them are of this shape. It is recognised at a
//! glance; whatever is not is read field by field, with the same result.

/// Key and encoded value of a `KeyValue`.
#[inline]
pub(super) fn plain(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = short(0x0a, pair)?;
    let (value, rest) = short(0x12, rest)?;
    rest.is_empty().then_some((key, value))
}

/// The text that an `AnyValue` is.
#[inline]
pub(super) fn plain_text(value: &[u8]) -> Option<&[u8]> {
    let (text, rest) = short(0x0a, value)?;
    rest.is_empty().then_some(text)
}

/// Whether this is a pair of this shape whose value is a text, a number or a truth, and well-formed.
#[inline]
pub(super) fn is_plain(pair: &[u8]) -> bool {
    plain(pair).is_some_and(|(key, value)| is_utf8(key) && is_plain_value(value))
}

#[inline]
fn is_plain_value(value: &[u8]) -> bool {
    match value {
        [0x0a, length @ ..0x80, text @ ..] => text.len() == usize::from(*length) && is_utf8(text),
        [0x10, ..0x80] => true,
        // Nine bytes fit 64 bits, whatever is in them.
        [0x18, more @ .., ..0x80] => more.len() < 9 && more.iter().all(|byte| *byte >= 0x80),
        [0x21, double @ ..] => double.len() == 8,
        _ => false,
    }
}

/// The question alone: most texts are ASCII, and that is quickly seen.
#[inline]
pub(super) fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || std::str::from_utf8(text).is_ok()
}

/// A length-delimited field with this key and less than 128 bytes, and what stands behind it.
#[inline]
fn short(key: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first, length @ ..0x80, rest @ ..] if *first == key => {
            rest.split_at_checked(usize::from(*length))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_plain_with(value: &[u8]) -> bool {
        let length = u8::try_from(value.len()).unwrap();
        is_plain(&[&b"\x0a\x01k\x12"[..], &[length], value].concat())
    }

    #[test]
    fn a_value_of_one_whole_member_is_plain_and_nothing_else_is() {
        let long = [&[0x18][..], &[0xff; 8], &[0x01]].concat();
        let double = [&[0x21][..], &[7; 8]].concat();
        for value in [
            b"\x0a\x01v",
            &b"\x10\x01"[..],
            b"\x18\x05",
            &*long,
            &*double,
        ] {
            assert!(is_plain_with(value), "{value:?}");
        }
        let longer = [&[0x18][..], &[0xff; 9], &[0x01]].concat();
        for value in [
            &b""[..],
            b"\x0a\x01\xff",
            b"\x0a\x02v",
            b"\x0a\x01v\x10\x01",
            b"\x10\x81\x00",
            b"\x18",
            b"\x18\x85",
            b"\x18\x05\x10\x01",
            &*longer,
            &double[..8],
            b"\x2a\x00",
        ] {
            assert!(!is_plain_with(value), "{value:?}");
        }
    }
}
