//! OTLP as translations write it: attributes, and one resource per key.
//!
//! Numbers of fields stand where they are written, with their names beside them; whatever comes
//! out is checked as if it had come from an SDK.

use std::collections::HashMap;
use std::hash::Hash;

use petrel_wire::Limits;
pub(super) use petrel_wire::otlp::fields::put_message as message;
use petrel_wire::otlp::fields::{put_fixed64, put_len, put_varint_field};

use crate::Refused;

/// A scalar `AnyValue`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
}

/// Writes a string field; an empty one is its own default.
pub(super) fn text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        put_len(out, number, text.as_bytes());
    }
}

/// Writes a `KeyValue`.
pub(super) fn attribute(out: &mut Vec<u8>, number: u32, key: &str, value: Scalar<'_>) {
    message(out, number, |out| {
        text(out, 1, key);
        any_value(out, 2, value);
    });
}

/// Writes an `AnyValue`. Its fields are a `oneof`: an empty text is written, it is not nothing.
pub(super) fn any_value(out: &mut Vec<u8>, number: u32, value: Scalar<'_>) {
    message(out, number, |out| match value {
        Scalar::Text(text) => put_len(out, 1, text.as_bytes()),
        Scalar::Bool(value) => put_varint_field(out, 2, u64::from(value)),
        Scalar::Int(value) => put_varint_field(out, 3, value.cast_unsigned()),
        Scalar::Double(value) => put_fixed64(out, 4, value.to_bits()),
    });
}

/// Where an item belongs: everything under one key shares a resource and a scope.
#[derive(Debug)]
pub(super) struct Groups<K> {
    places: HashMap<K, usize>,
    groups: Vec<Group>,
    items: u32,
    bytes: usize,
}

#[derive(Debug)]
struct Group {
    resource: Vec<u8>,
    scope: Vec<u8>,
    items: Vec<u8>,
}

impl<K: Eq + Hash> Groups<K> {
    pub(super) fn new() -> Self {
        Self {
            places: HashMap::new(),
            groups: Vec::new(),
            items: 0,
            bytes: 0,
        }
    }

    /// Adds `count` items, which `write` writes as field 2 of `ScopeSpans`, `ScopeLogs` or
    /// `ScopeMetrics`. `begin` writes resource and scope where the key is new. What is translated
    /// keeps the limits of what was not, while it is translated.
    pub(super) fn add(
        &mut self,
        key: K,
        count: u32,
        limits: &Limits,
        begin: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>),
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Refused> {
        self.items = self.items.saturating_add(count);
        if self.items > limits.items {
            return Err(Refused::TooLarge(format!(
                "the request has more than {} items; send smaller batches",
                limits.items
            )));
        }
        let place = *self.places.entry(key).or_insert_with(|| {
            let (mut resource, mut scope) = (Vec::new(), Vec::new());
            begin(&mut resource, &mut scope);
            self.bytes += resource.len() + scope.len();
            self.groups.push(Group {
                resource,
                scope,
                items: Vec::new(),
            });
            self.groups.len() - 1
        });
        let items = &mut self.groups[place].items;
        let before = items.len();
        message(items, 2, write);
        self.bytes += items.len() - before;
        if self.bytes > limits.request_bytes {
            return Err(Refused::TooLarge(format!(
                "the request has more than {} bytes in OTLP; send smaller batches",
                limits.request_bytes
            )));
        }
        Ok(())
    }

    /// The export request.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes + self.groups.len() * 32);
        for group in self.groups {
            message(&mut out, 1, |out| {
                put_len(out, 1, &group.resource);
                message(out, 2, |out| {
                    if !group.scope.is_empty() {
                        put_len(out, 1, &group.scope);
                    }
                    out.extend_from_slice(&group.items);
                });
            });
        }
        out
    }
}
