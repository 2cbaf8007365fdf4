//! Attributes as text, resources by hash, ids and times as columns want them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use petrel_wire::otlp::view::{Attributes, EncodedValue, Resource, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::columns::Map;
use crate::meaning::facts::{Fact, Facts};

/// Writes a value as queries see it: text as it is, bytes in base64, everything else in JSON.
pub(super) fn write_value(value: Value<'_>, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Str(text) => out.push_str(text),
        Value::Bytes(bytes) => STANDARD.encode_string(bytes, out),
        Value::Double(number) if number.is_nan() => out.push_str("NaN"),
        Value::Double(number) if number.is_infinite() => {
            out.push_str(if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            });
        }
        other => other.write_json(out),
    }
}

/// Adds a pair to a row and gives the number of its key; text goes without a copy in between.
#[inline]
pub(super) fn put<'a>(
    map: &mut Map<'a>,
    key: &'a [u8],
    value: EncodedValue<'_>,
    buffer: &mut String,
) -> u32 {
    match value {
        EncodedValue::Text(text) => map.put(key, text),
        EncodedValue::Other(Value::Int(number)) => map.put(key, itoa::Buffer::new().format(number)),
        EncodedValue::Other(other) => map.put_with(key, buffer, |out| write_value(other, out)),
    }
}

/// Adds all pairs in the sender's order.
#[inline]
pub(super) fn put_all<'a>(map: &mut Map<'a>, attributes: Attributes<'a>, buffer: &mut String) {
    for (key, value) in attributes.encoded() {
        put(map, key, value, buffer);
    }
}

/// Finds the facts among the attributes of one column: what a key means is looked up once for all
/// rows that have it.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// By the number of the key in its column; outside nothing where nobody has looked.
    by_key: Vec<Option<Option<Fact>>>,
}

impl Finder {
    /// The same as [`put_all`], with what the item is known by.
    #[inline]
    pub(super) fn put_all<'a>(
        &mut self,
        map: &mut Map<'a>,
        attributes: Attributes<'a>,
        facts: &mut Facts<'a>,
        buffer: &mut String,
    ) {
        for (key, value) in attributes.encoded() {
            let number = put(map, key, value, buffer);
            if let Some(fact) = self.fact(number, key) {
                facts.note(fact, &value);
            }
        }
    }

    #[inline]
    fn fact(&mut self, number: u32, key: &[u8]) -> Option<Fact> {
        match self.by_key.get(number as usize) {
            Some(Some(known)) => *known,
            _ => self.look_up(number as usize, key),
        }
    }

    #[cold]
    fn look_up(&mut self, number: usize, key: &[u8]) -> Option<Fact> {
        let fact = std::str::from_utf8(key).ok().and_then(Fact::of);
        if self.by_key.len() <= number {
            self.by_key.resize(number + 1, None);
        }
        self.by_key[number] = Some(fact);
        fact
    }
}

/// Pairs as text, by key. Of a repeated key the last value counts.
pub(super) type Pairs<'a> = Vec<(&'a str, String)>;

/// Pairs in a canonical order, so that two senders' orders make one identity.
pub(super) fn sorted(attributes: Attributes<'_>) -> Pairs<'_> {
    let mut pairs: Pairs<'_> = attributes
        .map(|(key, value)| {
            let mut text = String::new();
            write_value(value, &mut text);
            (key, text)
        })
        .collect();
    pairs.sort_by_key(|(key, _)| *key);
    // `dedup_by` keeps the first of equals; the last was meant.
    pairs.reverse();
    pairs.dedup_by_key(|(key, _)| *key);
    pairs.reverse();
    pairs
}

/// Bytes that mean one thing: every part with its length.
#[derive(Debug, Default)]
pub(super) struct Identity(Vec<u8>);

impl Identity {
    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn pairs(mut self, pairs: &Pairs<'_>) -> Self {
        self = self.number(pairs.len() as u64);
        for (key, value) in pairs {
            self = self.text(key).text(value);
        }
        self
    }

    pub(super) fn hash(&self) -> u64 {
        xxh3_64(&self.0)
    }
}

/// A resource as rows refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described<'a> {
    pub(super) id: u64,
    pub(super) service: &'a str,
    pub(super) schema_url: &'a str,
    pub(super) pairs: Pairs<'a>,
}

impl<'a> Described<'a> {
    pub(super) fn of(resource: &Resource<'a>, schema_url: &'a str) -> Self {
        let pairs = sorted(resource.attributes());
        let service = resource
            .attributes()
            .filter_map(|(key, value)| match value {
                Value::Str(text) if key == "service.name" => Some(text),
                _ => None,
            })
            .last()
            .unwrap_or("");
        let id = Identity::default().text(schema_url).pairs(&pairs).hash();
        Self {
            id,
            service,
            schema_url,
            pairs,
        }
    }
}

/// Sixteen bytes of a trace id; nothing but zeros for one that is absent or has another length.
pub(super) fn trace_id(id: &[u8]) -> [u8; 16] {
    id.try_into().unwrap_or_default()
}

/// A span id as a number; zero for one that is absent or has another length.
pub(super) fn span_id(id: &[u8]) -> u64 {
    id.try_into().map_or(0, u64::from_be_bytes)
}

/// An id that does not fit its column, as hex: it is kept beside the attributes.
pub(super) fn odd_id(id: &[u8], length: usize) -> Option<String> {
    use std::fmt::Write as _;
    if id.is_empty() || id.len() == length {
        return None;
    }
    let mut text = String::with_capacity(2 * id.len());
    for byte in id {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    Some(text)
}
