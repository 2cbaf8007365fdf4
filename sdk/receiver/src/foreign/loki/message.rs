//! `logproto.PushRequest`, read where it lies.

use std::borrow::Cow;

use petrel_wire::Limits;
use petrel_wire::otlp::fields::Wire;

use super::Line;
use crate::Refused;
use crate::foreign::json::{Pairs, Value};
use crate::foreign::protobuf::{each, utf8};

/// Hands over each stream: its labels, and the stream itself to take the lines from.
pub(super) fn streams<'a>(
    body: &'a [u8],
    mut take: impl FnMut(&'a str, &'a [u8]) -> Result<(), Refused>,
) -> Result<(), Refused> {
    each(body, |number, value| match (number, value) {
        (1, Wire::Len(stream)) => {
            let mut labels = "";
            each(stream, |number, value| {
                if let (1, Wire::Len(text)) = (number, value) {
                    labels = utf8(text)?;
                }
                Ok(())
            })?;
            take(labels, stream)
        }
        _ => Ok(()),
    })
}

/// Hands over each line of a stream.
pub(super) fn lines<'a>(
    stream: &'a [u8],
    limits: &Limits,
    mut take: impl FnMut(Line<'a>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    each(stream, |number, value| match (number, value) {
        (2, Wire::Len(entry)) => take(line(entry, limits)?),
        _ => Ok(()),
    })
}

fn line<'a>(entry: &'a [u8], limits: &Limits) -> Result<Line<'a>, Refused> {
    let (mut seconds, mut nanos, mut text) = (0_u64, 0, "");
    let mut metadata = Vec::new();
    each(entry, |number, value| {
        match (number, value) {
            (1, Wire::Len(time)) => each(time, |number, value| {
                match (number, value) {
                    (1, Wire::Varint(value)) => seconds = value,
                    (2, Wire::Varint(value)) => nanos = value,
                    _ => {}
                }
                Ok(())
            })?,
            (2, Wire::Len(line)) => text = utf8(line)?,
            (3, Wire::Len(pair)) => {
                if metadata.len() >= limits.attributes as usize {
                    return Err(Refused::Malformed(format!(
                        "a line has more than {} labels of structured metadata",
                        limits.attributes
                    )));
                }
                let (name, value) = label(pair)?;
                metadata.push((Cow::Borrowed(name), Value::Text(Cow::Borrowed(value))));
            }
            _ => {}
        }
        Ok(())
    })?;
    // Before the epoch there is no time in OTLP; such numbers are huge here.
    let time = seconds
        .checked_mul(1_000_000_000)
        .and_then(|whole| whole.checked_add(nanos));
    Ok(Line {
        time: time.unwrap_or(0),
        text: Cow::Borrowed(text),
        metadata: Pairs(metadata),
    })
}

fn label(pair: &[u8]) -> Result<(&str, &str), Refused> {
    let (mut name, mut text) = ("", "");
    each(pair, |number, value| {
        match (number, value) {
            (1, Wire::Len(bytes)) => name = utf8(bytes)?,
            (2, Wire::Len(bytes)) => text = utf8(bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, text))
}
