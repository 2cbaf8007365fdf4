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

/// Whether this is a pair of this shape whose value is a text, and both are UTF-8.
#[inline]
pub(super) fn is_plain_text(pair: &[u8]) -> bool {
    let text = plain(pair).and_then(|(key, value)| Some((key, plain_text(value)?)));
    text.is_some_and(|(key, text)| is_utf8(key) && is_utf8(text))
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
