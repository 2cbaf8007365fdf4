//! Which protocols there are: their paths, their signal, how their bodies are written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use petrel_wire::{Limits, Signal};

use super::zipkin;
use crate::{
    Refused, Transport,
    budget::Share,
    inflate::{Coding, inflate},
};

/// A protocol that is taken beside OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Zipkin,
}

impl Protocol {
    pub(crate) const ALL: [Self; 1] = [Self::Zipkin];

    /// Where it is taken.
    pub(crate) const fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Zipkin => &["/api/v2/spans"],
        }
    }

    pub(super) const fn signal(self) -> Signal {
        match self {
            Self::Zipkin => Signal::Traces,
        }
    }

    pub(super) const fn transport(self) -> Transport {
        match self {
            Self::Zipkin => Transport::Zipkin,
        }
    }

    /// What its receivers answer when all is well.
    pub(super) const fn success(self) -> StatusCode {
        match self {
            Self::Zipkin => StatusCode::ACCEPTED,
        }
    }

    /// How its bodies are written, by their `Content-Type`.
    pub(super) fn dialect(self, headers: &HeaderMap) -> Result<Dialect, Refused> {
        let value = headers.get(header::CONTENT_TYPE);
        let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = value.split(';').next().unwrap_or("").trim();
        match (self, essence.to_ascii_lowercase().as_str()) {
            (Self::Zipkin, "application/json" | "application/x-ndjson" | "") => Ok(Dialect::Zipkin),
            (Self::Zipkin, _) => Err(unsupported(
                essence,
                "Zipkin's spans are taken as application/json",
            )),
        }
    }
}

fn unsupported(essence: &str, words: &str) -> Refused {
    let essence: String = essence.chars().take(64).collect();
    Refused::Unsupported(format!(
        "content type {essence:?} is not read here; {words}"
    ))
}

/// One way to write the bodies of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Zipkin,
}

impl Dialect {
    /// The request in OTLP, from a body as it came.
    pub(super) fn translate(
        self,
        coding: Coding,
        body: Bytes,
        limits: &Limits,
        share: &mut Share,
    ) -> Result<Bytes, Refused> {
        let body = match coding {
            Coding::Identity => body,
            _ if body.is_empty() => body,
            coding => inflate(coding, &body, limits.request_bytes, share)?.into(),
        };
        // For a moment items stand here twice, each time about as large as they came.
        let foreseen = body.len().saturating_mul(2);
        share.grow(foreseen)?;
        let translated = match self {
            Self::Zipkin => zipkin::translate(&body, limits)?,
        };
        share.grow(translated.len().saturating_sub(foreseen))?;
        Ok(translated.into())
    }
}
