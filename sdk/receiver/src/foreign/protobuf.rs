//! Protobuf of other protocols, read where it lies.

use petrel_wire::otlp::fields::{Fields, Wire};

use crate::Refused;

/// The fields of a message, one after the other.
pub(super) fn each<'a>(
    encoded: &'a [u8],
    mut take: impl FnMut(u32, Wire<'a>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let mut fields = Fields::new(encoded);
    loop {
        match fields.try_next() {
            Ok(Some(field)) => take(field.number, field.value)?,
            Ok(None) => return Ok(()),
            Err(why) => {
                return Err(Refused::Malformed(format!(
                    "not the protobuf that this path takes: {}",
                    why.reason
                )));
            }
        }
    }
}

/// Text; where it is used as a name or a value it has to be some.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Refused> {
    std::str::from_utf8(bytes)
        .map_err(|_| Refused::Malformed("a text in this request is not UTF-8".to_owned()))
}

/// Numbers that stand alone or packed.
pub(super) fn varints(value: Wire<'_>, mut take: impl FnMut(u64)) -> Result<(), Refused> {
    match value {
        Wire::Varint(number) => take(number),
        Wire::Len(packed) => {
            let mut rest = packed;
            while !rest.is_empty() {
                let (number, length) = varint(rest).ok_or_else(cut)?;
                take(number);
                rest = &rest[length..];
            }
        }
        _ => {}
    }
    Ok(())
}

/// Doubles that stand alone or packed.
pub(super) fn doubles(value: Wire<'_>, mut take: impl FnMut(f64)) -> Result<(), Refused> {
    match value {
        Wire::Fixed64(bits) => take(f64::from_bits(bits)),
        Wire::Len(packed) => {
            let (chunks, rest) = packed.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(cut());
            }
            for chunk in chunks {
                take(f64::from_le_bytes(*chunk));
            }
        }
        _ => {}
    }
    Ok(())
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

fn cut() -> Refused {
    Refused::Malformed("packed numbers that end in the middle of one".to_owned())
}
