//! Which protocols there are: their paths, their signal, how their bodies are written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use petrel_wire::{Limits, Signal};

use super::{loki, prometheus, zipkin};
use crate::{
    Refused, Transport,
    budget::Share,
    inflate::{Coding, inflate, unsnap},
    routes::text,
};

/// A protocol that is taken beside OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Zipkin,
    Prometheus,
    Loki,
}

impl Protocol {
    pub(crate) const ALL: [Self; 3] = [Self::Zipkin, Self::Prometheus, Self::Loki];

    /// Where it is taken; more than one where Uptrace has a path of its own.
    pub(crate) const fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Zipkin => &["/api/v2/spans"],
            Self::Prometheus => &["/api/v1/write", "/api/v1/prometheus/write"],
            Self::Loki => &["/loki/api/v1/push"],
        }
    }

    pub(super) const fn signal(self) -> Signal {
        match self {
            Self::Zipkin => Signal::Traces,
            Self::Prometheus => Signal::Metrics,
            Self::Loki => Signal::Logs,
        }
    }

    pub(super) const fn transport(self) -> Transport {
        match self {
            Self::Zipkin => Transport::Zipkin,
            Self::Prometheus => Transport::Prometheus,
            Self::Loki => Transport::Loki,
        }
    }

    /// What its receivers answer when all is well.
    pub(super) const fn success(self) -> StatusCode {
        match self {
            Self::Zipkin => StatusCode::ACCEPTED,
            Self::Prometheus | Self::Loki => StatusCode::NO_CONTENT,
        }
    }

    /// How a body is written, by its `Content-Type`.
    pub(super) fn dialect(self, headers: &HeaderMap) -> Result<Dialect, Refused> {
        let value = text(headers, header::CONTENT_TYPE.as_str())?.unwrap_or("");
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let proto = parameters
            .split(';')
            .find_map(|pair| pair.trim().strip_prefix("proto="));
        match (
            self,
            essence.as_str(),
            proto.map(|name| name.trim_matches('"')),
        ) {
            (Self::Zipkin, "application/json" | "application/x-ndjson" | "", _) => {
                Ok(Dialect::Zipkin)
            }
            (
                Self::Prometheus,
                "application/x-protobuf" | "",
                None | Some("prometheus.WriteRequest"),
            ) => Ok(Dialect::Write(prometheus::Version::One)),
            (
                Self::Prometheus,
                "application/x-protobuf",
                Some("io.prometheus.write.v2.Request"),
            ) => Ok(Dialect::Write(prometheus::Version::Two)),
            (Self::Loki, "application/json", _) => Ok(Dialect::PushJson),
            (Self::Loki, "application/x-protobuf" | "", _) => Ok(Dialect::PushProtobuf),
            _ => Err(Refused::Unsupported(format!(
                "content type {:?} is not read here; {}",
                value.chars().take(96).collect::<String>(),
                self.reads()
            ))),
        }
    }

    const fn reads(self) -> &'static str {
        match self {
            Self::Zipkin => "Zipkin's spans are taken as application/json",
            Self::Prometheus => {
                "remote write is taken as application/x-protobuf, with \
                 proto=io.prometheus.write.v2.Request for 2.0"
            }
            Self::Loki => "Loki's pushes are taken as application/json or application/x-protobuf",
        }
    }
}

/// One way to write the bodies of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Zipkin,
    Write(prometheus::Version),
    PushJson,
    PushProtobuf,
}

/// How a body is packed. Snappy's block format is part of the protocols that use it, whether a
/// header says so or not, and of no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Coded(Coding),
    Snappy,
}

impl Packing {
    /// What says how much room the unpacked body wants beforehand. Snappy's says so itself, later.
    pub(super) fn coding(self) -> Coding {
        match self {
            Self::Coded(coding) => coding,
            Self::Snappy => Coding::Identity,
        }
    }

    pub(super) fn of(dialect: Dialect, headers: &HeaderMap) -> Result<Self, Refused> {
        let value = text(headers, header::CONTENT_ENCODING.as_str())?;
        match dialect {
            Dialect::Zipkin | Dialect::PushJson => Coding::parse(value).map(Self::Coded),
            Dialect::Write(_) | Dialect::PushProtobuf => match value.map(str::trim) {
                None | Some("" | "snappy") => Ok(Self::Snappy),
                Some(_) => Err(Refused::Unsupported(
                    "this protobuf is always packed with snappy, in its block format".to_owned(),
                )),
            },
        }
    }
}

/// A request in OTLP.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) bytes: Bytes,
    /// What there was of each kind, where the answer has to say so.
    pub(super) written: Option<prometheus::Written>,
}

impl Dialect {
    /// From a body as it came.
    pub(super) fn translate(
        self,
        packing: Packing,
        body: Bytes,
        limits: &Limits,
        share: &mut Share,
    ) -> Result<Translated, Refused> {
        let body = match packing {
            Packing::Coded(Coding::Identity) => body,
            _ if body.is_empty() => body,
            Packing::Coded(coding) => inflate(coding, &body, limits.request_bytes, share)?.into(),
            Packing::Snappy => unsnap(&body, limits.request_bytes, share)?.into(),
        };
        // For a moment items stand here twice, each time about as large as they came.
        let foreseen = body.len().saturating_mul(2);
        share.grow(foreseen)?;
        let mut written = None;
        let translated = match self {
            Self::Zipkin => zipkin::translate(&body, limits)?,
            Self::PushJson => loki::translate_json(&body, limits)?,
            Self::PushProtobuf => loki::translate_protobuf(&body, limits)?,
            Self::Write(version) => {
                let (translated, counted) = prometheus::translate(version, &body, limits)?;
                written = (version == prometheus::Version::Two).then_some(counted);
                translated
            }
        };
        share.grow(translated.len().saturating_sub(foreseen))?;
        Ok(Translated {
            bytes: translated.into(),
            written,
        })
    }
}
