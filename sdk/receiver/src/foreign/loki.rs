//! Loki's push requests, in JSON and in protobuf, as OTLP logs.
//!
//! A stream's labels say where its lines come from, so they are the resource, `service.name` being
//! found where Loki looks for it; structured metadata says something about one line and becomes
//! its attributes. The level stands among either, and so may the trace that a line belongs to.

mod labels;
mod message;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use petrel_wire::Limits;
use petrel_wire::otlp::fields::{put_fixed64, put_len, put_varint_field};
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::json::{self, Pairs, Unsigned, Value};
use super::otlp::{Groups, Scalar, any_value, attribute, text};
use crate::Refused;

/// Where Loki finds the name of a service, in its order (`discover_service_name`).
const SERVICE: [&str; 14] = [
    "service_name",
    "service.name",
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];

/// Labels that Loki makes of OTLP's resource attributes, and what they were.
const RESOURCE: [(&str, &str); 9] = [
    ("service_namespace", "service.namespace"),
    ("service_instance_id", "service.instance.id"),
    ("deployment_environment", "deployment.environment"),
    ("deployment_environment_name", "deployment.environment.name"),
    ("k8s_cluster_name", "k8s.cluster.name"),
    ("k8s_namespace_name", "k8s.namespace.name"),
    ("k8s_pod_name", "k8s.pod.name"),
    ("k8s_container_name", "k8s.container.name"),
    ("k8s_node_name", "k8s.node.name"),
];

/// Where a level stands.
const LEVEL: [&str; 6] = [
    "level",
    "severity_text",
    "severity",
    "detected_level",
    "lvl",
    "loglevel",
];
const TRACE: [&str; 3] = ["trace_id", "traceID", "traceId"];
const SPAN: [&str; 3] = ["span_id", "spanID", "spanId"];

/// One line on its way.
#[derive(Debug)]
struct Line<'a> {
    /// Nanoseconds since the epoch.
    time: u64,
    text: Cow<'a, str>,
    metadata: Pairs<'a>,
}

/// From `POST /loki/api/v1/push` with JSON: `{"streams": [{"stream": {..}, "values": [[..], ..]}]}`.
pub(super) fn translate_json(body: &[u8], limits: &Limits) -> Result<Vec<u8>, Refused> {
    let mut to = Translation::new(limits);
    let mut refused = None;
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let seed = Push {
        to: &mut to,
        refused: &mut refused,
    };
    let read = seed.deserialize(&mut json).and_then(|()| json.end());
    match (refused, read) {
        (Some(refused), _) => Err(refused),
        (None, Err(error)) => Err(json::malformed(&error)),
        (None, Ok(())) => Ok(to.groups.finish()),
    }
}

/// From the same with protobuf, unpacked.
pub(super) fn translate_protobuf(body: &[u8], limits: &Limits) -> Result<Vec<u8>, Refused> {
    let mut to = Translation::new(limits);
    message::streams(body, |text, lines| {
        let labels = labels::parse(text, limits.attributes as usize)?;
        let stream = Stream::new(labels);
        message::lines(lines, limits, |line| to.add(&stream, &line))
    })?;
    Ok(to.groups.finish())
}

struct Translation<'l> {
    groups: Groups<Vec<(String, String)>>,
    limits: &'l Limits,
}

impl<'l> Translation<'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            groups: Groups::new(),
            limits,
        }
    }

    fn add(&mut self, stream: &Stream, line: &Line<'_>) -> Result<(), Refused> {
        self.groups.add(
            stream.source.clone(),
            1,
            self.limits,
            |resource, _| {
                for (key, value) in &stream.source {
                    attribute(resource, 1, key, Scalar::Text(value));
                }
            },
            |out| line.write(stream, out),
        )
    }
}

/// What all lines of a stream share.
#[derive(Debug)]
struct Stream {
    /// Attributes of the resource.
    source: Vec<(String, String)>,
    level: Option<String>,
}

impl Stream {
    fn new(labels: Vec<(String, String)>) -> Self {
        let find = |names: &[&str]| {
            let mut names = names.iter();
            names.find_map(|name| {
                labels
                    .iter()
                    .find(|(label, value)| label == name && !value.is_empty())
            })
        };
        let service = find(&SERVICE).map(|(_, value)| value.clone());
        let level = find(&LEVEL).map(|(_, value)| value.clone());
        let mut source = Vec::with_capacity(labels.len() + 1);
        if let Some(service) = service {
            source.push(("service.name".to_owned(), service));
        }
        for (label, value) in labels {
            // A level says nothing about where a line comes from.
            if LEVEL.contains(&label.as_str())
                || matches!(label.as_str(), "service_name" | "service.name")
            {
                continue;
            }
            let known = RESOURCE.iter().find(|(name, _)| *name == label);
            source.push((known.map_or(label, |(_, key)| (*key).to_owned()), value));
        }
        Self { source, level }
    }
}

impl Line<'_> {
    fn write(&self, stream: &Stream, out: &mut Vec<u8>) {
        let find = |names: &[&str]| names.iter().find_map(|name| self.metadata.text(name));
        let level = find(&LEVEL).or(stream.level.as_deref()).unwrap_or("");
        if self.time > 0 {
            put_fixed64(out, 1, self.time);
        }
        if let number @ 1.. = severity(level) {
            put_varint_field(out, 2, number);
        }
        text(out, 3, level);
        any_value(out, 5, Scalar::Text(&self.text));
        let trace = find(&TRACE).and_then(id::<16>);
        let span = find(&SPAN).and_then(id::<8>);
        for (key, value) in &self.metadata.0 {
            let key = key.as_ref();
            let told = LEVEL.contains(&key)
                || (trace.is_some() && TRACE.contains(&key))
                || (span.is_some() && SPAN.contains(&key));
            if !told {
                attribute(out, 6, key, value.scalar());
            }
        }
        if let Some(trace) = trace {
            put_len(out, 9, &trace);
        }
        if let Some(span) = span {
            put_len(out, 10, &span);
        }
    }
}

/// An id in hexadecimal, whole.
fn id<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let number = u128::from_str_radix(text, 16)
        .ok()
        .filter(|number| *number > 0)?;
    number.to_be_bytes().last_chunk().copied()
}

/// OTLP's number for a level by any of its names; 0 for a name that nobody knows.
fn severity(level: &str) -> u64 {
    match level.to_ascii_lowercase().as_str() {
        "trace" | "trc" | "verbose" => 1,
        "debug" | "dbg" => 5,
        "info" | "inf" | "information" | "informational" => 9,
        "notice" => 10,
        "warn" | "wrn" | "warning" => 13,
        "error" | "err" | "eror" => 17,
        "critical" | "crit" => 18,
        "fatal" | "ftl" => 21,
        "alert" => 22,
        "emerg" | "emergency" | "panic" => 24,
        _ => 0,
    }
}

/// The whole request in JSON, read stream by stream and line by line.
struct Push<'t, 'l> {
    to: &'t mut Translation<'l>,
    refused: &'t mut Option<Refused>,
}

impl<'de> DeserializeSeed<'de> for Push<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Push<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with streams")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut known = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "streams" {
                known = true;
                map.next_value_seed(Streams {
                    to: self.to,
                    refused: self.refused,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if known {
            Ok(())
        } else {
            Err(A::Error::missing_field("streams"))
        }
    }
}

struct Streams<'t, 'l> {
    to: &'t mut Translation<'l>,
    refused: &'t mut Option<Refused>,
}

impl<'de> DeserializeSeed<'de> for Streams<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Streams<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of streams")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        // Whichever of labels and lines stands first: a stream is held until it is whole.
        while let Some(stream) = seq.next_element::<JsonStream<'de>>()? {
            let labels = stream.stream.0.into_iter().map(|(key, value)| {
                let value = match value {
                    Value::Text(text) => text.into_owned(),
                    Value::Bool(value) => value.to_string(),
                    Value::Int(value) => value.to_string(),
                    Value::Double(value) => value.to_string(),
                };
                (key.into_owned(), value)
            });
            let mut labels: Vec<_> = labels.collect();
            labels.sort();
            let shared = Stream::new(labels);
            for line in &stream.values.0 {
                self.to.add(&shared, &line.0).map_err(|why| {
                    *self.refused = Some(why);
                    A::Error::custom("refused")
                })?;
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct JsonStream<'a> {
    #[serde(borrow)]
    stream: Pairs<'a>,
    #[serde(borrow)]
    values: JsonLines<'a>,
}

/// Lines of one stream: they are held until it is whole, and weigh more here than as text.
const MOST_LINES: usize = 1 << 18;

struct JsonLines<'a>(Vec<JsonLine<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonLines<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(LinesVisitor(PhantomData))
    }
}

struct LinesVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for LinesVisitor<'a> {
    type Value = JsonLines<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of lines")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<JsonLines<'a>, A::Error> {
        let mut lines = Vec::new();
        while let Some(line) = seq.next_element()? {
            if lines.len() >= MOST_LINES {
                return Err(A::Error::custom(format_args!(
                    "a stream has more than {MOST_LINES} lines; send smaller batches"
                )));
            }
            lines.push(line);
        }
        Ok(JsonLines(lines))
    }
}

/// `["<nanoseconds>", "<line>", {structured metadata}]`
struct JsonLine<'a>(Line<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonLine<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(LineVisitor(PhantomData))
    }
}

struct LineVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for LineVisitor<'a> {
    type Value = JsonLine<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of a time in nanoseconds, a line and perhaps structured metadata")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<JsonLine<'a>, A::Error> {
        let time = seq
            .next_element::<Unsigned>()?
            .ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let text = match seq.next_element::<Value<'a>>()? {
            Some(Value::Text(text)) => text,
            Some(_) => return Err(A::Error::custom("expected a line of text")),
            None => return Err(A::Error::invalid_length(1, &self)),
        };
        let metadata = seq.next_element::<Pairs<'a>>()?.unwrap_or_default();
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(JsonLine(Line {
            time: time.0,
            text,
            metadata,
        }))
    }
}

#[cfg(test)]
mod tests;
