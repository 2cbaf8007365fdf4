//! The sealed body for peers that lack zstd: unpacked, and packed with gzip where they take that.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use petrel_wire::{Sealed, unpack_zstd};

use crate::config::Compression;

/// `Content-Encoding`, in the order in which a peer is offered them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As on the disk.
    Zstd,
    /// Recoded for each try.
    Gzip,
    /// Unpacked for each try.
    Identity,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Identity];

    pub(super) fn of(compression: Compression) -> Self {
        match compression {
            Compression::Zstd => Self::Zstd,
            Compression::Gzip => Self::Gzip,
            Compression::None => Self::Identity,
        }
    }

    pub(super) fn from_index(index: u64) -> Self {
        match index {
            0 => Self::Zstd,
            1 => Self::Gzip,
            _ => Self::Identity,
        }
    }

    pub(super) fn index(self) -> u64 {
        self as u64
    }

    /// What to offer after this one.
    pub(super) fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    /// The header's value, if there is one.
    pub(super) fn header(self) -> Option<&'static str> {
        match self {
            Self::Zstd => Some("zstd"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// For status.
    pub fn name(self) -> &'static str {
        self.header().unwrap_or("none")
    }
}

/// The body in this coding. The error is in words for the dead letter.
pub(super) async fn body(sealed: &Sealed, coding: Coding) -> Result<Bytes, String> {
    if coding == Coding::Zstd {
        return Ok(sealed.body().clone());
    }
    let (body, bytes) = (sealed.body().clone(), sealed.unpacked_bytes() as usize);
    let work = tokio::task::spawn_blocking(move || {
        let unpacked = unpack_zstd(&body, bytes).map_err(|error| error.to_string())?;
        match coding {
            Coding::Zstd | Coding::Identity => Ok(unpacked.into()),
            Coding::Gzip => gzip(&unpacked).map_err(|error| error.to_string()),
        }
    });
    work.await.unwrap_or_else(|error| Err(error.to_string()))
}

fn gzip(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Level::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
}
