//! The JSON form of OTLP into protobuf, in one pass and without objects in between.
//!
//! A visitor over the schema: what a key means, how its value is written, which protobuf it turns
//! into. It takes what senders really send: ids in hexadecimal of any case, 64-bit numbers as
//! strings or numbers, enums as numbers or names, keys in lowerCamelCase or as in the protos,
//! base64 in both alphabets, `null` for "not there". Unknown keys are passed over, and of a key
//! given twice the last value counts. What is wrong is named with its path, never with its value.

mod write;

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{put_fixed32, put_fixed64, put_len, put_varint, put_varint_field};
use super::schema::{self, Kind, Message, SLOTS, Spec};
use crate::{Limits, Malformed, Signal};

pub use write::{Layout, from_batch};

/// Translates a request. What comes out is well-formed, but not yet checked against all limits.
pub fn to_protobuf(signal: Signal, text: &[u8], limits: &Limits) -> Result<Vec<u8>, Malformed> {
    if text.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let mut to = Translation {
        out: Vec::with_capacity(text.len() / 2),
        path: Vec::new(),
        depth: 0,
        limits,
        refused: None,
    };
    let mut json = serde_json::Deserializer::from_slice(text);
    let keys = Fields {
        message: schema::request(signal),
        to: &mut to,
    };
    let read = keys
        .deserialize(&mut json)
        .and_then(|keys| json.end().map(|()| keys));
    match (read, to.refused) {
        (Ok(Keys::NoneKnown), _) => Err(Malformed::NothingKnown { signal }),
        (Ok(Keys::Known | Keys::None), _) => Ok(to.out),
        (Err(_), Some(refused)) => Err(refused),
        // The parser's own guard, for nesting of any kind.
        (Err(error), None) if error.to_string().contains("recursion limit") => {
            Err(Malformed::TooDeep {
                limit: limits.depth,
            })
        }
        (Err(error), None) => Err(Malformed::Json {
            signal,
            reason: if to.path.is_empty() {
                error.to_string()
            } else {
                format!("{}: {error}", Path(&to.path))
            },
        }),
    }
}

struct Translation<'l> {
    out: Vec<u8>,
    /// Where we are; left as it is when something goes wrong.
    path: Vec<Step>,
    /// How many arrays and maps we are in.
    depth: u32,
    limits: &'l Limits,
    /// The reason to stop, if it is one of the limits.
    refused: Option<Malformed>,
}

#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Index(usize),
}

struct Path<'a>(&'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ends of a path say where; the middle of a deep one is only long.
        const ENDS: usize = 12;
        for (at, step) in self.0.iter().enumerate() {
            if at >= ENDS && at + ENDS < self.0.len() {
                if at == ENDS {
                    f.write_str("...")?;
                }
                continue;
            }
            match step {
                Step::Key(name) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    schema::camel(name).try_for_each(|c| write!(f, "{}", char::from(c)))?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Translation<'_> {
    /// Begins a length-delimited field: key, and one byte for a length that is not yet known.
    fn open(&mut self, number: u32) -> usize {
        put_varint(&mut self.out, u64::from(number) << 3 | 2);
        self.out.push(0);
        self.out.len()
    }

    /// Ends the field whose content begins at `start`. Most are shorter than 128 bytes; longer
    /// ones are moved to make room for their length.
    fn close<E: Error>(&mut self, start: usize) -> Result<(), E> {
        let end = self.out.len();
        match u8::try_from(end - start) {
            Ok(length) if length < 0x80 => self.out[start - 1] = length,
            _ => {
                // The length goes behind the content, then takes the place of the one byte.
                put_varint(&mut self.out, (end - start) as u64);
                let prefix = self.out.len() - end;
                self.out[start - 1..].rotate_right(prefix);
                self.out.remove(start - 1 + prefix);
            }
        }
        self.bounded()
    }

    /// Numbers can be longer in protobuf than in JSON; the limit holds for both.
    fn bounded<E: Error>(&mut self) -> Result<(), E> {
        if self.out.len() <= self.limits.request_bytes {
            return Ok(());
        }
        self.refused = Some(Malformed::TooLarge {
            bytes: self.out.len(),
            limit: self.limits.request_bytes,
        });
        Err(E::custom("too large"))
    }

    fn enter<E: Error>(&mut self, message: &Message) -> Result<(), E> {
        self.depth += u32::from(message.nests);
        if self.depth <= self.limits.depth {
            return Ok(());
        }
        self.refused = Some(Malformed::TooDeep {
            limit: self.limits.depth,
        });
        Err(E::custom("too deep"))
    }

    fn leave(&mut self, message: &Message) {
        self.depth -= u32::from(message.nests);
    }
}

/// Whether the keys of an object meant anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    None,
    NoneKnown,
    Known,
}

/// An object: the fields of a message.
struct Fields<'t, 'l> {
    message: &'static Message,
    to: &'t mut Translation<'l>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, '_> {
    type Value = Keys;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Keys, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Keys::None;
        let mut written = Written::default();
        while let Some(key) = map.next_key_seed(Key(self.message))? {
            let Some((number, spec)) = key else {
                map.next_value::<IgnoredAny>()?;
                if keys == Keys::None {
                    keys = Keys::NoneKnown;
                }
                continue;
            };
            keys = Keys::Known;
            written.forget(&mut self.to.out, self.message, number);
            self.to.path.push(Step::Key(spec.name));
            let start = self.to.out.len();
            map.next_value_seed(Value {
                number,
                spec,
                place: if spec.times.is_repeated() {
                    Place::List
                } else {
                    Place::Single
                },
                to: self.to,
            })?;
            written.remember(number, start, self.to.out.len());
            self.to.path.pop();
        }
        Ok(keys)
    }
}

/// Where the fields of the object under way have been written, so that the last of two values for
/// one key, or for two members of a oneof, is the one that stays.
#[derive(Default)]
struct Written([(usize, usize); SLOTS]);

impl Written {
    fn forget(&mut self, out: &mut Vec<u8>, message: &Message, number: u32) {
        let mut exclude = 1 << number;
        if message.one_of & exclude != 0 {
            exclude = message.one_of;
        }
        for other in 0..SLOTS {
            let (start, end) = self.0[other];
            if exclude & 1 << other == 0 || start == end {
                continue;
            }
            out.drain(start..end);
            self.0[other] = (0, 0);
            for (later_start, later_end) in &mut self.0 {
                if *later_start >= end {
                    *later_start -= end - start;
                    *later_end -= end - start;
                }
            }
        }
    }

    fn remember(&mut self, number: u32, start: usize, end: usize) {
        self.0[number as usize] = (start, end);
    }
}

/// A key: the field it names, if it names one.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<(u32, &'static Spec)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<(u32, &'static Spec)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.named(key))
    }
}

/// A value of a field: alone, a whole list, or one element of a list.
struct Value<'t, 'l> {
    number: u32,
    spec: &'static Spec,
    place: Place,
    to: &'t mut Translation<'l>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Single,
    List,
    Element,
    /// An element of a list of numbers, which protobuf packs: no key before it.
    Packed,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expects())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match (self.place, self.spec.kind) {
            (Place::Single | Place::List, _) => Ok(()),
            // An empty value in an array keeps the places of the others.
            (Place::Element, Kind::Message(message)) if schema::is_any_value(message) => {
                put_len(&mut self.to.out, self.number, &[]);
                Ok(())
            }
            (Place::Element, Kind::Message(_)) => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.spec.kind {
            Kind::Bool if self.place == Place::Single => {
                put_varint_field(&mut self.to.out, self.number, u64::from(value));
                Ok(())
            }
            _ => Err(self.unexpected()),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    #[expect(clippy::cast_possible_truncation, reason = "checked to be an integer")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if matches!(self.spec.kind, Kind::Double) {
            self.double(value)
        } else if value.fract() == 0.0 && value.abs() < 1e20 {
            self.integer(value as i128)
        } else {
            Err(self.unexpected())
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if !matches!(self.place, Place::Single | Place::Element | Place::Packed) {
            return Err(self.unexpected());
        }
        match self.spec.kind {
            Kind::Text => put_len(&mut self.to.out, self.number, text.as_bytes()),
            Kind::Id => return self.id(text),
            Kind::Bytes => return self.base64(text),
            Kind::Double => {
                return match text {
                    "NaN" => self.double(f64::NAN),
                    "Infinity" => self.double(f64::INFINITY),
                    "-Infinity" => self.double(f64::NEG_INFINITY),
                    _ => match text.parse::<f64>() {
                        Ok(value) if value.is_finite() => self.double(value),
                        _ => Err(self.unexpected()),
                    },
                };
            }
            Kind::Enum(names) => {
                return match names.iter().find(|(name, _)| *name == text) {
                    Some((_, value)) => self.integer(i128::from(*value)),
                    None => self.integer_text(text),
                };
            }
            Kind::Bool | Kind::Message(_) => return Err(self.unexpected()),
            _ => return self.integer_text(text),
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.spec.kind else {
            return Err(self.unexpected());
        };
        if self.place == Place::List {
            return Err(self.unexpected());
        }
        self.to.enter(message)?;
        let start = self.to.open(self.number);
        Fields {
            message,
            to: self.to,
        }
        .visit_map(map)?;
        self.to.leave(message);
        self.to.close(start)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.place != Place::List {
            return Err(self.unexpected());
        }
        let packed = self.spec.kind.is_number();
        let start = if packed { self.to.open(self.number) } else { 0 };
        for index in 0.. {
            self.to.path.push(Step::Index(index));
            let element = list.next_element_seed(Value {
                number: self.number,
                spec: self.spec,
                place: if packed {
                    Place::Packed
                } else {
                    Place::Element
                },
                to: self.to,
            })?;
            self.to.path.pop();
            self.to.bounded()?;
            if element.is_none() {
                break;
            }
        }
        if packed {
            self.to.close(start)?;
        }
        Ok(())
    }
}

impl Value<'_, '_> {
    fn expects(&self) -> &'static str {
        match (self.place, self.spec.kind) {
            (Place::List, _) => "an array",
            (_, Kind::Message(_)) => "an object",
            (_, Kind::Text) => "a string",
            (_, Kind::Bytes) => "a string in base64",
            (_, Kind::Id) => "a string of hexadecimal digits, two for each byte",
            (_, Kind::Bool) => "true or false",
            (_, Kind::Double) => {
                "a number, or one of the strings \"NaN\", \"Infinity\", \"-Infinity\""
            }
            (_, Kind::Enum(_)) => "a number or a name of the enum",
            (_, Kind::Int32 | Kind::Sint32) => "a 32-bit integer",
            (_, Kind::Uint32 | Kind::Fixed32) => "an unsigned 32-bit integer",
            (_, Kind::Int64 | Kind::Sfixed64) => "a 64-bit integer, as a string or a number",
            (_, Kind::Uint64 | Kind::Fixed64) => {
                "an unsigned 64-bit integer, as a string or a number"
            }
        }
    }

    fn unexpected<E: Error>(&self) -> E {
        E::custom(format_args!("expected {}", self.expects()))
    }

    fn double<E: Error>(self, value: f64) -> Result<(), E> {
        self.put_fixed64(value.to_bits());
        Ok(())
    }

    fn put_fixed64(self, bits: u64) {
        if self.place == Place::Packed {
            self.to.out.extend_from_slice(&bits.to_le_bytes());
        } else {
            put_fixed64(&mut self.to.out, self.number, bits);
        }
    }

    fn put_varint(self, value: u64) {
        if self.place == Place::Packed {
            put_varint(&mut self.to.out, value);
        } else {
            put_varint_field(&mut self.to.out, self.number, value);
        }
    }

    fn integer_text<E: Error>(self, text: &str) -> Result<(), E> {
        match text.parse() {
            Ok(value) => self.integer(value),
            Err(_) => Err(self.unexpected()),
        }
    }

    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        if self.place == Place::List {
            return Err(self.unexpected());
        }
        let signed = i64::try_from(value);
        let unsigned = u64::try_from(value);
        match self.spec.kind {
            #[expect(clippy::cast_precision_loss, reason = "a double was asked for")]
            Kind::Double => return self.double(value as f64),
            Kind::Int64 if signed.is_ok() => self.put_varint(value_of(signed).cast_unsigned()),
            Kind::Sfixed64 if signed.is_ok() => self.put_fixed64(value_of(signed).cast_unsigned()),
            Kind::Uint64 if unsigned.is_ok() => self.put_varint(value_of(unsigned)),
            Kind::Fixed64 if unsigned.is_ok() => self.put_fixed64(value_of(unsigned)),
            Kind::Int32 | Kind::Enum(_) => match i32::try_from(value) {
                Ok(value) => self.put_varint(i64::from(value).cast_unsigned()),
                Err(_) => return Err(self.unexpected()),
            },
            Kind::Sint32 => match i32::try_from(value) {
                Ok(value) => {
                    let zigzag = (value << 1) ^ (value >> 31);
                    self.put_varint(u64::from(zigzag.cast_unsigned()));
                }
                Err(_) => return Err(self.unexpected()),
            },
            Kind::Uint32 | Kind::Fixed32 => match (u32::try_from(value), self.spec.kind) {
                (Ok(value), Kind::Fixed32) => put_fixed32(&mut self.to.out, self.number, value),
                (Ok(value), _) => self.put_varint(u64::from(value)),
                (Err(_), _) => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        }
        Ok(())
    }

    fn id<E: Error>(self, text: &str) -> Result<(), E> {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| digit(byte).is_some()) {
            return Err(self.unexpected());
        }
        let start = self.to.open(self.number);
        for pair in text.as_bytes().chunks_exact(2) {
            let byte = pair
                .iter()
                .fold(0, |byte, &hex| byte << 4 | digit(hex).unwrap_or(0));
            self.to.out.push(u8::try_from(byte).unwrap_or(0));
        }
        self.to.close(start)
    }

    fn base64<E: Error>(self, text: &str) -> Result<(), E> {
        const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
        const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
        let engine = if text.contains(['-', '_']) {
            URL_SAFE
        } else {
            STANDARD
        };
        let start = self.to.open(self.number);
        match engine.decode_vec(text, &mut self.to.out) {
            Ok(()) => self.to.close(start),
            Err(_) => Err(self.unexpected()),
        }
    }
}

fn value_of<T: Default, E>(checked: Result<T, E>) -> T {
    checked.unwrap_or_default()
}
