//! Unpacking request bodies under caps: a small body must never make a large buffer that was not
//! paid for from the budget.
//!
//! There is no limit on the ratio: telemetry of a loop that repeats itself compresses a
//! thousandfold and is welcome. The cap on the output and the budget bound what a bomb can cost.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use petrel_wire::{unpack_zstd, zstd_content_bytes};

use crate::{Refused, budget::Share};

/// zstd windows up to 8 MiB, the most that RFC 9659 allows in HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

impl Coding {
    /// For `Accept-Encoding` and `grpc-accept-encoding`.
    pub(crate) const ACCEPTED: &'static str = "gzip, zstd, deflate, identity";

    /// Reads `Content-Encoding` or `grpc-encoding`. One coding at most: nested ones are only ever
    /// seen in attacks.
    pub(crate) fn parse(value: Option<&str>) -> Result<Self, Refused> {
        let value = value.unwrap_or("").trim();
        match value.to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" | "zlib" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Refused::Unsupported(format!(
                "content encoding {:?} is not supported; use one of: {}",
                value.chars().take(64).collect::<String>(),
                Self::ACCEPTED
            ))),
        }
    }
}

/// What unpacking begins with: four times the packed size, within reason.
pub(crate) fn first_output_bytes(coding: Coding, packed_bytes: usize, limit: usize) -> usize {
    match coding {
        Coding::Identity => 0,
        _ => packed_bytes
            .saturating_mul(4)
            .max(16 << 10)
            // One byte above the limit is enough to know.
            .min(limit.saturating_add(1)),
    }
}

/// Unpacks `packed` into at most `limit` bytes, growing `share` before the output grows.
pub(crate) fn inflate(
    coding: Coding,
    packed: &[u8],
    limit: usize,
    share: &mut Share,
) -> Result<Vec<u8>, Refused> {
    let first = first_output_bytes(coding, packed.len(), limit);
    match coding {
        Coding::Identity => fill(
            packed,
            packed.len().min(limit.saturating_add(1)),
            limit,
            share,
        ),
        Coding::Gzip => fill(MultiGzDecoder::new(packed), first, limit, share),
        Coding::Deflate if is_zlib(packed) => {
            let mut decoder = ZlibDecoder::new(packed);
            let bytes = fill(&mut decoder, first, limit, share)?;
            nothing_behind(decoder.into_inner())?;
            Ok(bytes)
        }
        // Some senders take the name of the encoding at its word and leave out the zlib header.
        Coding::Deflate => {
            let mut decoder = DeflateDecoder::new(packed);
            let bytes = fill(&mut decoder, first, limit, share)?;
            nothing_behind(decoder.into_inner())?;
            Ok(bytes)
        }
        Coding::Zstd => {
            // A frame that says how long its content is comes out in one go.
            if let Some(length) = zstd_content_bytes(packed) {
                if length > limit {
                    return Err(too_large(limit));
                }
                share.grow(length)?;
                return unpack_zstd(packed, limit).map_err(|why| broken(&why));
            }
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(packed).map_err(|why| broken(&why))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .map_err(|why| broken(&why))?;
            fill(decoder, first, limit, share)
        }
    }
}

/// Unpacks snappy's block format, which says first how long its content is.
pub(crate) fn unsnap(packed: &[u8], limit: usize, share: &mut Share) -> Result<Vec<u8>, Refused> {
    let broken = |why: snap::Error| {
        Refused::Malformed(format!("the body is not snappy in its block format: {why}"))
    };
    let length = snap::raw::decompress_len(packed).map_err(broken)?;
    if length > limit {
        return Err(Refused::TooLarge(format!(
            "the body unpacks to {length} bytes, {limit} are allowed; send smaller batches"
        )));
    }
    share.grow(length)?;
    snap::raw::Decoder::new()
        .decompress_vec(packed)
        .map_err(broken)
}

fn fill(
    mut reader: impl Read,
    first: usize,
    limit: usize,
    share: &mut Share,
) -> Result<Vec<u8>, Refused> {
    let most = limit.saturating_add(1);
    let mut bytes = Vec::new();
    let mut next = first.max(1);
    loop {
        share.grow(next - bytes.capacity())?;
        bytes.reserve_exact(next - bytes.len());
        let room = next - bytes.len();
        let read = reader
            .by_ref()
            .take(room as u64)
            .read_to_end(&mut bytes)
            .map_err(|why| broken(&why))?;
        if bytes.len() > limit {
            return Err(too_large(limit));
        }
        if read < room {
            return Ok(bytes);
        }
        next = bytes.capacity().saturating_mul(2).clamp(next, most);
    }
}

fn too_large(limit: usize) -> Refused {
    Refused::TooLarge(format!(
        "the body unpacks to more than {limit} bytes; export smaller batches"
    ))
}

fn broken(why: &dyn std::error::Error) -> Refused {
    Refused::Malformed(format!(
        "the body does not unpack as its encoding says: {why}"
    ))
}

fn nothing_behind(rest: &[u8]) -> Result<(), Refused> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(Refused::Malformed(format!(
        "{} bytes follow the end of the compressed body",
        rest.len()
    )))
}

/// RFC 1950: compression method 8, and the first two bytes are a multiple of 31.
fn is_zlib(packed: &[u8]) -> bool {
    matches!(packed, [cmf, flg, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::*};

    use super::*;
    use crate::budget::Budget;

    fn unpacked(coding: Coding, packed: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
        inflate(coding, packed, limit, &mut Budget::new(1 << 30).share(0))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_coding_gives_back_what_was_packed() {
        let text = b"telemetry ".repeat(10_000);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(&text).unwrap();
        for (coding, packed) in [
            (Coding::Identity, text.clone()),
            (Coding::Gzip, gzip(&text)),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, raw.finish().unwrap()),
            (Coding::Zstd, zstd::bulk::compress(&text, 1).unwrap()),
        ] {
            assert_eq!(
                unpacked(coding, &packed, text.len()).unwrap(),
                text,
                "{coding:?}"
            );
            assert!(
                matches!(
                    unpacked(coding, &packed, text.len() - 1),
                    Err(Refused::TooLarge(_))
                ),
                "{coding:?}"
            );
            if coding != Coding::Identity {
                assert!(
                    matches!(
                        unpacked(coding, &packed[..packed.len() - 1], text.len()),
                        Err(Refused::Malformed(_))
                    ),
                    "{coding:?}, truncated"
                );
                let garbage = [packed.as_slice(), b"garbage"].concat();
                assert!(
                    matches!(
                        unpacked(coding, &garbage, text.len()),
                        Err(Refused::Malformed(_))
                    ),
                    "{coding:?}, garbage behind"
                );
            }
        }
    }

    #[test]
    fn snappy_is_unpacked_under_the_same_caps() {
        let text = b"telemetry ".repeat(10_000);
        let packed = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        let unpacked =
            |packed: &[u8], limit, budget| unsnap(packed, limit, &mut Budget::new(budget).share(0));
        assert_eq!(unpacked(&packed, text.len(), 1 << 20).unwrap(), text);
        for (limit, budget) in [(text.len() - 1, 1 << 20), (1 << 20, 1 << 10)] {
            let refused = unpacked(&packed, limit, budget);
            assert!(matches!(refused, Err(Refused::TooLarge(_))), "{refused:?}");
        }
        for broken in [
            &packed[..packed.len() - 1],
            b"",
            b"\xff\xff\xff\xff\xff\xff",
        ] {
            let refused = unpacked(broken, 1 << 20, 1 << 20);
            assert!(matches!(refused, Err(Refused::Malformed(_))), "{refused:?}");
        }
    }

    #[test]
    fn members_behind_each_other_count_together() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(unpacked(Coding::Gzip, &two, 7).unwrap(), b"one two");
        assert!(matches!(
            unpacked(Coding::Gzip, &two, 6),
            Err(Refused::TooLarge(_))
        ));
        let frames = [
            zstd::bulk::compress(b"one ", 1).unwrap(),
            zstd::bulk::compress(b"two", 1).unwrap(),
        ]
        .concat();
        assert_eq!(unpacked(Coding::Zstd, &frames, 7).unwrap(), b"one two");
        assert!(matches!(
            unpacked(Coding::Zstd, &frames, 6),
            Err(Refused::TooLarge(_))
        ));
    }

    #[test]
    fn a_bomb_is_refused_by_the_budget_long_before_the_limit() {
        let bomb = zstd::bulk::compress(&vec![0; 32 << 20], 1).unwrap();
        let mut share = Budget::new(1 << 20).share(0);
        assert!(matches!(
            inflate(Coding::Zstd, &bomb, 64 << 20, &mut share),
            Err(Refused::TooLarge(_))
        ));
    }

    #[test]
    fn nested_and_unknown_codings_are_unsupported() {
        for value in ["br", "gzip, zstd", "snappy", "gzip,"] {
            assert!(
                matches!(Coding::parse(Some(value)), Err(Refused::Unsupported(_))),
                "{value}"
            );
        }
        assert_eq!(Coding::parse(Some(" GZIP ")), Ok(Coding::Gzip));
        assert_eq!(Coding::parse(None), Ok(Coding::Identity));
    }
}
