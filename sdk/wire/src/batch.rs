//! [`Batch`]: one OTLP export request, still encoded, known to be well-formed.

use bytes::Bytes;

use crate::{Signal, otlp};

/// Bounds that a request must keep before anything else looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Encoded size of one request after decompression.
    pub request_bytes: usize,
    /// Spans, log records or data points in one request.
    pub items: u32,
    /// Attributes of one resource, scope, item or event, and elements of one array or map value.
    pub attributes: u32,
    /// How deep `AnyValue` may nest arrays and maps.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 64 << 20,
            items: 262_144,
            attributes: 16_384,
            depth: 64,
        }
    }
}

/// Why bytes are not a batch. Each variant's text tells the sender what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Longer than [`Limits::request_bytes`].
    #[error("the request has {bytes} bytes, {limit} are allowed; export smaller batches")]
    TooLarge {
        /// Size of what came.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// More elements than a limit allows; counted on the wire, before anything is built.
    #[error("the request has more than {limit} {what}; export smaller batches")]
    TooMany {
        /// `spans`, `attributes`, ...
        what: &'static str,
        /// What is allowed.
        limit: u32,
    },
    /// `AnyValue` nested deeper than [`Limits::depth`].
    #[error("attribute values nest deeper than {limit} levels")]
    TooDeep {
        /// What is allowed.
        limit: u32,
    },
    /// The bytes are not the protobuf message of this signal.
    #[error("not an OTLP {signal} request in protobuf: {reason} at byte {at}")]
    Protobuf {
        /// What the endpoint takes.
        signal: Signal,
        /// What was met.
        reason: &'static str,
        /// Offset in the uncompressed request.
        at: usize,
    },
    /// The text is not the JSON form of this signal's request.
    #[error("not an OTLP {signal} request in JSON: {reason}")]
    Json {
        /// What the endpoint takes.
        signal: Signal,
        /// What was met, with its place.
        reason: String,
    },
    /// Well-formed protobuf without one known field: most likely another signal's request.
    #[error("no OTLP {signal} in this request; was it meant for another endpoint than {path}?", path = .signal.path())]
    NothingKnown {
        /// What the endpoint takes.
        signal: Signal,
    },
}

/// One OTLP export request as it came: within limits, well-formed protobuf, valid UTF-8 where the
/// specification asks for it, its items counted. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    signal: Signal,
    items: u32,
    bytes: Bytes,
}

impl Batch {
    /// Checks and counts a protobuf request without building objects.
    pub fn from_protobuf(signal: Signal, bytes: Bytes, limits: &Limits) -> Result<Self, Malformed> {
        let items = otlp::check(signal, &bytes, limits)?;
        Ok(Self {
            signal,
            items,
            bytes,
        })
    }

    /// Turns the JSON form of OTLP (hex ids, integer enums, 64-bit numbers as strings) into
    /// protobuf and checks that.
    pub fn from_json(signal: Signal, text: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        if text.len() > limits.request_bytes {
            return Err(Malformed::TooLarge {
                bytes: text.len(),
                limit: limits.request_bytes,
            });
        }
        let bytes = otlp::json::to_protobuf(signal, text, limits)?;
        Self::from_protobuf(signal, bytes.into(), limits)
    }

    /// Which kind of request it is.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// How many spans, log records or data points it carries.
    pub fn items(&self) -> u32 {
        self.items
    }

    /// The encoded request.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Nothing to keep: no items.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Cuts the batch so that no part is encoded larger than `bytes`, if items allow it: an item is
    /// never cut, its resource and scope are repeated in every part. Item order is kept.
    #[must_use]
    pub fn split(self, bytes: usize) -> Vec<Batch> {
        otlp::split(&self, bytes)
    }

    /// Puts requests of one signal behind each other. In protobuf, concatenated messages merge
    /// and repeated fields append, so nothing is decoded.
    ///
    /// # Panics
    /// If `parts` are of different signals, which is a bug of the caller.
    #[must_use]
    pub fn concat(signal: Signal, parts: &[Batch]) -> Batch {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
        let mut items = 0;
        for part in parts {
            assert_eq!(
                part.signal, signal,
                "only batches of one signal can be joined"
            );
            bytes.extend_from_slice(&part.bytes);
            items += part.items;
        }
        Batch {
            signal,
            items,
            bytes: bytes.into(),
        }
    }

    /// This batch after edits by somebody who keeps its promises: whole fields replaced by
    /// well-formed ones, lengths put right, texts in UTF-8, limits kept, `items` left.
    ///
    /// It is not checked again, because a check reads every byte and most edits leave most bytes
    /// alone. Debug builds do check it.
    ///
    /// # Panics
    /// In debug builds, if the promise is broken, which is a bug of the caller.
    #[must_use]
    pub fn edited(&self, bytes: Bytes, items: u32) -> Batch {
        let limits = Limits {
            request_bytes: usize::MAX,
            items: u32::MAX,
            attributes: u32::MAX,
            depth: u32::MAX,
        };
        debug_assert!(
            bytes.is_empty() || otlp::check(self.signal, &bytes, &limits) == Ok(items),
            "an edited batch is not what it is said to be"
        );
        Self {
            signal: self.signal,
            items,
            bytes,
        }
    }

    /// For code of this crate that has just checked or built the bytes.
    pub(crate) fn trusted(signal: Signal, items: u32, bytes: Bytes) -> Self {
        Self {
            signal,
            items,
            bytes,
        }
    }
}
