//! Zipkin's spans (v2, JSON) as OTLP, by the mapping of OpenTelemetry's specification for its
//! Zipkin exporter, read from right to left.
//!
//! `POST /api/v2/spans` takes an array of spans. What ClickHouse's URL engine writes is taken as
//! well: objects line by line, 64-bit numbers in quotes, ids without their leading zeros, and a
//! parent of zeros for no parent.
//!
//! Zipkin lets the two sides of a call share one span id. OTLP knows no such thing, so the server's
//! half gets an id of its own, the same each time, and the client's half as its parent.

use std::borrow::Cow;
use std::collections::HashMap;

use petrel_wire::Limits;
use petrel_wire::otlp::fields::{put_fixed64, put_len, put_varint_field};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::json::{self, Pairs, Unsigned};
use super::otlp::{Groups, Scalar, attribute, message, text};
use crate::Refused;

/// Names the generation of ids for the server's half of a shared span; changing it would make
/// other spans of the same data.
const SERVER_HALF: u64 = 0x5a69_706b_696e;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default)]
    parent_id: Option<Cow<'a, str>>,
    #[serde(default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    name: Option<Cow<'a, str>>,
    /// Microseconds since the epoch.
    #[serde(default)]
    timestamp: Option<Unsigned>,
    /// Microseconds.
    #[serde(default)]
    duration: Option<Unsigned>,
    #[serde(default, borrow)]
    local_endpoint: Option<Endpoint<'a>>,
    #[serde(default, borrow)]
    remote_endpoint: Option<Endpoint<'a>>,
    #[serde(default, borrow)]
    annotations: Option<Vec<Annotation<'a>>>,
    #[serde(default, borrow)]
    tags: Pairs<'a>,
    #[serde(default)]
    shared: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    #[serde(default)]
    service_name: Option<Cow<'a, str>>,
    #[serde(default)]
    ipv4: Option<Cow<'a, str>>,
    #[serde(default)]
    ipv6: Option<Cow<'a, str>>,
    #[serde(default)]
    port: Option<Unsigned>,
}

#[derive(Debug, Deserialize)]
struct Annotation<'a> {
    /// Microseconds since the epoch.
    timestamp: Unsigned,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// What of a span is said once for many: service, and name and version of the instrumentation.
type Origin = (String, String, String);

/// An export request with the spans of `body`.
pub(super) fn translate(body: &[u8], limits: &Limits) -> Result<Vec<u8>, Refused> {
    let mut groups = Groups::<Origin>::new();
    let mut index = 0_usize;
    json::each(body, |span: Span<'_>| {
        let ids = Ids::read(&span)
            .map_err(|words| Refused::Malformed(format!("span {index}: {words}")))?;
        index += 1;
        groups.add(
            span.origin(),
            1,
            limits,
            |resource, scope| span.write_origin(resource, scope),
            |out| span.write(&ids, out),
        )
    })?;
    Ok(groups.finish())
}

#[derive(Debug)]
struct Ids {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
}

impl Ids {
    fn read(span: &Span<'_>) -> Result<Self, String> {
        let trace = hex(&span.trace_id).ok_or("traceId is not 1 to 32 hexadecimal digits")?;
        let id: [u8; 8] = hex(&span.id).ok_or("id is not 1 to 16 hexadecimal digits")?;
        let parent: Option<[u8; 8]> = match span.parent_id.as_deref().unwrap_or("") {
            "" => None,
            text => Some(hex(text).ok_or("parentId is not 1 to 16 hexadecimal digits")?),
        };
        for (name, is_zero) in [("traceId", trace == [0; 16]), ("id", id == [0; 8])] {
            if is_zero {
                return Err(format!("{name} is zero, which is no id"));
            }
        }
        if span.shared == Some(true) {
            let seed = xxh3_64_with_seed(&trace, SERVER_HALF);
            let own = xxh3_64_with_seed(&id, seed).max(1);
            return Ok(Self {
                trace,
                span: own.to_be_bytes(),
                parent: Some(id),
            });
        }
        Ok(Self {
            trace,
            span: id,
            // Zeros are how ClickHouse writes that there is none; itself, how old tracers did.
            parent: parent.filter(|parent| *parent != [0; 8] && *parent != id),
        })
    }
}

/// At most `2 * N` hexadecimal digits, with leading zeros or without.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.is_empty() || text.len() > 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let number = u128::from_str_radix(text, 16).ok()?;
    number.to_be_bytes().last_chunk().copied()
}

impl Span<'_> {
    fn origin(&self) -> Origin {
        let tag = |names: [&str; 2]| {
            let found = names.into_iter().find_map(|name| self.tags.text(name));
            found.unwrap_or("").to_owned()
        };
        (
            self.service().unwrap_or("").to_owned(),
            tag(["otel.scope.name", "otel.library.name"]),
            tag(["otel.scope.version", "otel.library.version"]),
        )
    }

    fn service(&self) -> Option<&str> {
        let endpoint = self.local_endpoint.as_ref()?;
        endpoint
            .service_name
            .as_deref()
            .filter(|name| !name.is_empty())
    }

    fn write_origin(&self, resource: &mut Vec<u8>, scope: &mut Vec<u8>) {
        let (service, name, version) = self.origin();
        if !service.is_empty() {
            attribute(resource, 1, "service.name", Scalar::Text(&service));
        }
        text(scope, 1, &name);
        text(scope, 2, &version);
    }

    fn write(&self, ids: &Ids, out: &mut Vec<u8>) {
        put_len(out, 1, &ids.trace);
        put_len(out, 2, &ids.span);
        text(out, 3, self.tags.text("w3c.tracestate").unwrap_or(""));
        if let Some(parent) = &ids.parent {
            put_len(out, 4, parent);
        }
        text(out, 5, self.name.as_deref().unwrap_or(""));
        put_varint_field(out, 6, self.kind());
        let start = self.start_micros();
        let end = start.saturating_add(self.duration.unwrap_or_default().0);
        put_fixed64(out, 7, nanos(start));
        put_fixed64(out, 8, nanos(end));
        self.write_attributes(out);
        for annotation in self.annotations.iter().flatten() {
            message(out, 11, |out| annotation.write(out));
        }
        self.write_status(out);
    }

    /// A span whose start nobody has seen begins with its first annotation; without any it has no
    /// time, as OTLP has it.
    fn start_micros(&self) -> u64 {
        let annotations = self.annotations.iter().flatten();
        let first = annotations.map(|annotation| annotation.timestamp.0).min();
        self.timestamp
            .map(|Unsigned(micros)| micros)
            .filter(|micros| *micros > 0)
            .or(first)
            .unwrap_or(0)
    }

    /// `SpanKind`: Zipkin says nothing for what OTLP calls internal.
    fn kind(&self) -> u64 {
        match self
            .kind
            .as_deref()
            .unwrap_or("")
            .to_ascii_uppercase()
            .as_str()
        {
            "" | "INTERNAL" => 1,
            "SERVER" => 2,
            "CLIENT" => 3,
            "PRODUCER" => 4,
            "CONSUMER" => 5,
            _ => 0,
        }
    }

    fn write_attributes(&self, out: &mut Vec<u8>) {
        for (key, value) in &self.tags.0 {
            match key.as_ref() {
                "otel.dropped_attributes_count" => put_count(out, 10, value.text()),
                "otel.dropped_events_count" => put_count(out, 12, value.text()),
                "error" if matches!(value.text(), Some("true" | "")) => {}
                "w3c.tracestate"
                | "otel.status_code"
                | "otel.status_description"
                | "otel.scope.name"
                | "otel.scope.version"
                | "otel.library.name"
                | "otel.library.version" => {}
                key => attribute(out, 9, key, value.scalar()),
            }
        }
        for (endpoint, prefix) in [
            (&self.local_endpoint, "network.local"),
            (&self.remote_endpoint, "network.peer"),
        ] {
            let Some(endpoint) = endpoint else { continue };
            if let Some(address) = endpoint.address() {
                self.write_missing(out, &format!("{prefix}.address"), Scalar::Text(address));
            }
            if let Some(Unsigned(port @ 1..=65_535)) = endpoint.port {
                let port = Scalar::Int(port.cast_signed());
                self.write_missing(out, &format!("{prefix}.port"), port);
            }
        }
        let peer = self
            .remote_endpoint
            .as_ref()
            .and_then(|peer| peer.service_name.as_deref());
        if let Some(peer) = peer.filter(|peer| !peer.is_empty()) {
            self.write_missing(out, "peer.service", Scalar::Text(peer));
        }
    }

    /// What a tag says already is not said again.
    fn write_missing(&self, out: &mut Vec<u8>, key: &str, value: Scalar<'_>) {
        if self.tags.get(key).is_none() {
            attribute(out, 9, key, value);
        }
    }

    /// Zipkin: whoever has a tag `error` has failed, and its value may say why.
    fn write_status(&self, out: &mut Vec<u8>) {
        let error = self.tags.get("error").map(json::Value::scalar);
        let failed = !matches!(
            error,
            None | Some(Scalar::Text("false") | Scalar::Bool(false))
        );
        let code = match self.tags.text("otel.status_code") {
            _ if failed => 2,
            Some("ERROR") => 2,
            Some("OK") => 1,
            _ => return,
        };
        let why = match (self.tags.text("otel.status_description"), error) {
            (Some(why), _) => why,
            (None, Some(Scalar::Text(why))) if failed && why != "true" => why,
            _ => "",
        };
        message(out, 15, |out| {
            text(out, 2, why);
            put_varint_field(out, 3, code);
        });
    }
}

fn put_count(out: &mut Vec<u8>, number: u32, value: Option<&str>) {
    if let Some(count) = value.and_then(|text| text.parse::<u32>().ok()) {
        put_varint_field(out, number, u64::from(count));
    }
}

/// Beyond the year 2554 there is no time in OTLP.
fn nanos(micros: u64) -> u64 {
    micros.saturating_mul(1000)
}

impl Endpoint<'_> {
    fn address(&self) -> Option<&str> {
        let (v4, v6) = (self.ipv4.as_deref(), self.ipv6.as_deref());
        v4.filter(|ip| !ip.is_empty())
            .or(v6.filter(|ip| !ip.is_empty()))
    }
}

impl Annotation<'_> {
    /// OpenTelemetry's exporters write an event that has attributes as `"name": {...}`.
    fn write(&self, out: &mut Vec<u8>) {
        put_fixed64(out, 1, nanos(self.timestamp.0));
        let Some((name, attributes)) = self.event() else {
            text(out, 2, &self.value);
            return;
        };
        text(out, 2, &name);
        for (key, value) in &attributes.0 {
            attribute(out, 3, key, value.scalar());
        }
    }

    fn event(&self) -> Option<(String, Pairs<'static>)> {
        if !self.value.starts_with('"') {
            return None;
        }
        let text = format!("{{{}}}", self.value);
        let event: HashMap<String, Pairs<'_>> = serde_json::from_str(&text).ok()?;
        let (name, attributes) = event.into_iter().next()?;
        Some((name, attributes.into_owned()))
    }
}

#[cfg(test)]
mod tests;
