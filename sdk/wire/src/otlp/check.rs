//! One walk over a request by the schema: structure, UTF-8 and limits checked, items counted.
//!
//! The verdict is prost's, which the property tests hold it to, but for our limits and for two
//! shapes that no sender makes and that two readers could read differently: a sub-message given
//! twice where one is allowed (protobuf would merge the two), and two members of a oneof of which
//! one is a message (of two scalars the last one counts, everywhere).
//!
//! Nothing is allocated. What a small request could turn into is counted before anybody builds it:
//! items, what they are grouped by, and everything inside them.

use super::fields::{Cursor, MAX_NESTING, TOO_NESTED, WireError, WireType};
use super::pair;
use super::schema::{self, Kind, Message, Spec, Times};
use crate::{Limits, Malformed, Signal};

/// Attributes, events, links, exemplars and elements of values that a request may have for each
/// item it may have. Real telemetry has about ten; a span of two bytes could claim thousands.
const ELEMENTS_PER_ITEM: u32 = 32;

/// Checks one export request and counts its items.
pub fn check(signal: Signal, bytes: &[u8], limits: &Limits) -> Result<u32, Malformed> {
    if bytes.len() > limits.request_bytes {
        return Err(Malformed::TooLarge {
            bytes: bytes.len(),
            limit: limits.request_bytes,
        });
    }
    let mut walk = Walk {
        signal,
        limits,
        items: 0,
        groups: 0,
        elements: 0,
        most_elements: limits
            .items
            .saturating_mul(ELEMENTS_PER_ITEM)
            .max(limits.attributes.saturating_mul(4)),
        cursor: Cursor::at(bytes, 0),
    };
    walk.message(schema::request(signal), bytes.len(), MAX_NESTING, 0)?;
    // Every request message has one field, the repeated group of the signal's resources.
    if walk.groups == 0 && !bytes.is_empty() {
        return Err(Malformed::NothingKnown { signal });
    }
    Ok(walk.items)
}

struct Walk<'a> {
    signal: Signal,
    limits: &'a Limits,
    items: u32,
    groups: u32,
    elements: u32,
    most_elements: u32,
    /// Over the whole request, so that a place in it is a place in what was sent.
    cursor: Cursor<'a>,
}

impl Walk<'_> {
    /// Checks the message that ends at `end`. `nesting` is how many levels are left, `depth` how
    /// many values this one lies in.
    fn message(
        &mut self,
        message: &'static Message,
        end: usize,
        nesting: u32,
        depth: u32,
    ) -> Result<(), Malformed> {
        let mut seen = 0_u32;
        let mut elements = 0_u32;
        let whole = std::mem::take(&mut self.cursor.bytes);
        self.cursor.bytes = &whole[..end];
        while self.cursor.at < end {
            let start = self.cursor.at;
            let (number, wire_type) = self.cursor.key().map_err(|e| self.broken(e))?;
            let Some(spec) = message.field(number) else {
                self.cursor
                    .value(number, wire_type, nesting)
                    .map_err(|e| self.broken(e))?;
                continue;
            };
            let bit = 1 << number;
            match spec.times {
                Times::Once => {
                    if seen & bit != 0 && matches!(spec.kind, Kind::Message(_)) {
                        return Err(self.wrong(start, "a message given twice where one is allowed"));
                    }
                }
                Times::OneOf => {
                    let others = seen & message.one_of;
                    let messages = (others | bit) & message.one_of_messages;
                    if others != 0 && messages != 0 {
                        return Err(self.wrong(start, "two values where one is allowed"));
                    }
                }
                Times::Many => {
                    elements += 1;
                    self.elements += 1;
                    if elements > self.limits.attributes {
                        return Err(self.too_many(spec.name, self.limits.attributes));
                    }
                    if self.elements > self.most_elements {
                        return Err(self.too_many("elements in all", self.most_elements));
                    }
                }
                Times::Items => {
                    self.items += 1;
                    if self.items > self.limits.items {
                        return Err(self.too_many(self.signal.items_name(), self.limits.items));
                    }
                }
                Times::Groups => {
                    self.groups += 1;
                    if self.groups > self.limits.items {
                        return Err(
                            self.too_many("resources, scopes and metrics", self.limits.items)
                        );
                    }
                }
            }
            seen |= bit;
            self.value(spec, wire_type, nesting, depth)?;
        }
        self.cursor.bytes = whole;
        Ok(())
    }

    #[inline]
    fn value(
        &mut self,
        spec: &'static Spec,
        wire_type: WireType,
        nesting: u32,
        depth: u32,
    ) -> Result<(), Malformed> {
        let start = self.cursor.at;
        let cursor = &mut self.cursor;
        let read = match (spec.kind, wire_type) {
            (Kind::Message(inner), WireType::Len) => {
                return self.inner(inner, nesting, depth);
            }
            (Kind::Text, WireType::Len) => cursor.len_delimited().and_then(|text| {
                let error = WireError {
                    reason: "a text that is not UTF-8",
                    at: start,
                };
                pair::is_utf8(text).then_some(()).ok_or(error)
            }),
            (Kind::Bytes | Kind::Id, WireType::Len) => cursor.len_delimited().map(drop),
            (Kind::Fixed64 | Kind::Sfixed64 | Kind::Double, WireType::Fixed64) => {
                cursor.fixed64().map(drop)
            }
            (Kind::Fixed32, WireType::Fixed32) => cursor.fixed32().map(drop),
            (kind, WireType::Varint) if kind.is_varint() => cursor.varint().map(drop),
            (kind, WireType::Len) if spec.times == Times::Many => {
                return self.packed(kind, spec.name);
            }
            _ => Err(cursor.error("a field of another type than the schema's")),
        };
        read.map_err(|e| self.broken(e))
    }

    fn inner(
        &mut self,
        inner: &'static Message,
        nesting: u32,
        depth: u32,
    ) -> Result<(), Malformed> {
        if nesting == 0 {
            return Err(self.wrong(self.cursor.at, TOO_NESTED));
        }
        // Only arrays and maps nest: a plain value lies at depth 0.
        let depth = depth + u32::from(inner.nests);
        if depth > self.limits.depth {
            return Err(Malformed::TooDeep {
                limit: self.limits.depth,
            });
        }
        let bytes = self.cursor.len_delimited().map_err(|e| self.broken(e))?;
        // A value lies one level below its pair.
        if nesting > 1 && schema::is_pair(inner) && pair::is_plain(bytes) {
            return Ok(());
        }
        let end = self.cursor.at;
        self.cursor.at -= bytes.len();
        self.message(inner, end, nesting - 1, depth)
    }

    /// Packed numbers: as many as fit exactly, each an element of its message.
    fn packed(&mut self, kind: Kind, name: &'static str) -> Result<(), Malformed> {
        let start = self.cursor.at;
        let bytes = self.cursor.len_delimited().map_err(|e| self.broken(e))?;
        let mut numbers = Cursor::at(bytes, 0);
        let mut count = 0;
        while !numbers.is_at_end() {
            let number = if kind.is_varint() {
                numbers.varint()
            } else {
                numbers.fixed64()
            };
            number.map_err(|e| self.wrong(start, e.reason))?;
            count += 1;
            if count > self.limits.attributes {
                return Err(self.too_many(name, self.limits.attributes));
            }
        }
        Ok(())
    }

    #[cold]
    fn too_many(&self, what: &'static str, limit: u32) -> Malformed {
        Malformed::TooMany { what, limit }
    }

    #[cold]
    fn broken(&self, error: WireError) -> Malformed {
        self.wrong(error.at, error.reason)
    }

    #[cold]
    fn wrong(&self, at: usize, reason: &'static str) -> Malformed {
        Malformed::Protobuf {
            signal: self.signal,
            reason,
            at,
        }
    }
}
