//! Attributes and the values they carry: `KeyValue`, `AnyValue`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::pair;
use super::{Fields, Wire, boolean, bytes, double, text, varint};

/// A repeated `KeyValue` field: pairs of key and value, in the sender's order, repeats included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    message: &'a [u8],
    number: u32,
    at: usize,
}

impl<'a> Attributes<'a> {
    /// The pairs in field `number` of `message`.
    pub fn new(message: &'a [u8], number: u32) -> Self {
        Self {
            message,
            number,
            at: 0,
        }
    }

    /// The same pairs for who copies bytes: that a text is UTF-8 was seen when the batch was
    /// checked, and costs as much again as everything else here.
    pub fn encoded(self) -> Encoded<'a> {
        Encoded(self)
    }

    #[inline]
    fn next_pair(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = &self.message[self.at..];
            // One pair follows the other, and most are short.
            if let [key @ ..0x80, length @ ..0x80, behind @ ..] = rest
                && u32::from(*key) == self.number << 3 | 2
                && let Some(pair) = behind.get(..usize::from(*length))
            {
                self.at += 2 + pair.len();
                return Some(pair);
            }
            let mut fields = Fields::new(rest);
            let field = fields.next()?;
            self.at += field.range.end;
            if let (true, Wire::Len(pair)) = (field.number == self.number, field.value) {
                return Some(pair);
            }
        }
    }

    /// The value of the first pair with this key.
    pub fn get(mut self, key: &str) -> Option<Value<'a>> {
        self.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Appends them as a JSON object. A key that was sent twice is written twice: looking for
    /// repeats would be quadratic on input that a stranger chooses.
    pub fn write_json(self, out: &mut String) {
        self.write_json_at(out, 0);
    }

    fn write_json_at(self, out: &mut String, depth: u32) {
        out.push('{');
        for (index, (key, value)) in self.enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_json_str(out, key);
            out.push(':');
            value.write_json_at(out, depth + 1);
        }
        out.push('}');
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_pair().map(read_pair)
    }
}

/// Pairs whose texts are bytes, see [`Attributes::encoded`].
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a>(Attributes<'a>);

/// A value whose text is bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EncodedValue<'a> {
    /// A text; UTF-8 if the batch was checked.
    Text(&'a [u8]),
    /// Anything else.
    Other(Value<'a>),
}

impl<'a> Iterator for Encoded<'a> {
    type Item = (&'a [u8], EncodedValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let encoded = self.0.next_pair()?;
        if let Some((key, value)) = pair::plain(encoded) {
            return Some(match pair::plain_text(value) {
                Some(text) => (key, EncodedValue::Text(text)),
                None => (key, EncodedValue::Other(Value::read(value))),
            });
        }
        Some(match read_pair(encoded) {
            (key, Value::Str(text)) => (key.as_bytes(), EncodedValue::Text(text.as_bytes())),
            (key, other) => (key.as_bytes(), EncodedValue::Other(other)),
        })
    }
}

#[inline]
fn read_pair(pair: &[u8]) -> (&str, Value<'_>) {
    if let Some((key, value)) = pair::plain(pair) {
        return (str::from_utf8(key).unwrap_or(""), Value::read(value));
    }
    let (mut key, mut value) = ("", Value::Null);
    for field in Fields::new(pair) {
        match field.number {
            1 => key = text(field.value).unwrap_or(key),
            2 => value = some_value(field.value).flatten().unwrap_or(value),
            _ => {}
        }
    }
    (key, value)
}

/// An `AnyValue`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Value<'a> {
    /// Empty, or of a kind that has no meaning in this signal.
    #[default]
    Null,
    /// Text.
    Str(&'a str),
    /// Truth.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A float, perhaps not finite.
    Double(f64),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// Values in order.
    Array(Array<'a>),
    /// Values by key.
    Map(Attributes<'a>),
}

/// The elements of an array value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Array<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        loop {
            let mut fields = Fields::new(&self.message[self.at..]);
            let field = fields.next()?;
            self.at += field.range.end;
            if let (1, Wire::Len(value)) = (field.number, field.value) {
                return Some(Value::read(value));
            }
        }
    }
}

pub(super) fn some_value(value: Wire<'_>) -> Option<Option<Value<'_>>> {
    bytes(value).map(|message| Some(Value::read(message)))
}

/// JSON deeper than this is cut off; checked batches nest less.
const MAX_JSON_DEPTH: u32 = 128;

impl<'a> Value<'a> {
    /// Reads an encoded `AnyValue`. Of several members the last one counts.
    #[inline]
    pub fn read(message: &'a [u8]) -> Self {
        if let Some(text) = pair::plain_text(message) {
            return str::from_utf8(text).map_or(Self::Null, Self::Str);
        }
        let mut value = Self::Null;
        for field in Fields::new(message) {
            let read = match field.number {
                1 => text(field.value).map(Self::Str),
                2 => boolean(field.value).map(Self::Bool),
                3 => varint(field.value).map(|value| Self::Int(value.cast_signed())),
                4 => double(field.value).map(Self::Double),
                5 => bytes(field.value).map(|message| Self::Array(Array { message, at: 0 })),
                6 => bytes(field.value).map(|message| Self::Map(Attributes::new(message, 1))),
                7 => bytes(field.value).map(Self::Bytes),
                // An index into the dictionary of a profile: to be treated as empty elsewhere.
                8 => Some(Self::Null),
                _ => None,
            };
            value = read.unwrap_or(value);
        }
        value
    }

    /// Appends the value as plain JSON: maps as objects, bytes as base64, floats that are not
    /// finite as the strings `NaN`, `Infinity`, `-Infinity`.
    pub fn write_json(self, out: &mut String) {
        self.write_json_at(out, 0);
    }

    fn write_json_at(self, out: &mut String, depth: u32) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Str(text) => write_json_str(out, text),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(value) => push(out, format_args!("{value}")),
            Self::Double(value) => write_json_f64(out, value),
            Self::Bytes(bytes) => {
                out.push('"');
                STANDARD.encode_string(bytes, out);
                out.push('"');
            }
            Self::Array(_) | Self::Map(_) if depth >= MAX_JSON_DEPTH => out.push_str("null"),
            Self::Array(values) => {
                out.push('[');
                for (index, value) in values.enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write_json_at(out, depth + 1);
                }
                out.push(']');
            }
            Self::Map(pairs) => pairs.write_json_at(out, depth),
        }
    }
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments)
        .expect("writing to a string cannot fail");
}

fn write_json_f64(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    } else {
        // Debug keeps a fraction or an exponent, so that the number stays a float for its reader.
        push(out, format_args!("{value:?}"));
    }
}

/// Appends `text` as a JSON string.
pub fn write_json_str(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if escape.is_empty() {
            push(out, format_args!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::fields::{put_fixed64, put_len, put_varint_field};

    fn json(value: &[u8]) -> String {
        let mut out = String::new();
        Value::read(value).write_json(&mut out);
        out
    }

    fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_len(&mut out, number, bytes);
        out
    }

    #[test]
    fn every_kind_of_value_has_a_json_form() {
        let mut int = Vec::new();
        put_varint_field(&mut int, 3, (-5_i64).cast_unsigned());
        let mut nan = Vec::new();
        put_fixed64(&mut nan, 4, f64::NAN.to_bits());
        let mut five = Vec::new();
        put_fixed64(&mut five, 4, 5.0_f64.to_bits());
        assert_eq!(json(&[]), "null");
        assert_eq!(json(&field(1, b"a\"\\\n\x01b")), r#""a\"\\\n\u0001b""#);
        assert_eq!(json(&[0x10, 1]), "true");
        assert_eq!(json(&int), "-5");
        assert_eq!(json(&nan), "\"NaN\"");
        assert_eq!(json(&five), "5.0");
        assert_eq!(json(&field(7, &[0xff, 0])), "\"/wA=\"");
        let array = [field(1, &field(1, b"x")), field(1, &int)].concat();
        assert_eq!(json(&field(5, &array)), r#"["x",-5]"#);
        let pair = |value: &[u8]| field(1, &[field(1, b"k"), field(2, value)].concat());
        let map = [pair(&int), pair(&[])].concat();
        assert_eq!(json(&field(6, &map)), r#"{"k":-5,"k":null}"#);
    }

    #[test]
    fn pairs_of_every_shape_read_the_same_as_texts_and_as_bytes() {
        let (key, text) = (field(1, b"k"), field(2, &field(1, b"v")));
        let long = field(2, &field(1, &[b'v'; 300]));
        let mut int = Vec::new();
        put_varint_field(&mut int, 3, 5);
        let shapes = [
            (vec![&key, &text], "k", Value::Str("v")),
            (vec![&text, &key], "k", Value::Str("v")),
            (vec![&key, &text, &key], "k", Value::Str("v")),
            (vec![&text], "", Value::Str("v")),
            (vec![&key], "k", Value::Null),
        ];
        let long_text = "v".repeat(300);
        let int = field(2, &int);
        let others = [
            (vec![&key, &long], "k", Value::Str(&long_text)),
            (vec![&key, &int], "k", Value::Int(5)),
        ];
        for (parts, key, value) in shapes.into_iter().chain(others) {
            let pair: Vec<u8> = parts.into_iter().flatten().copied().collect();
            let message = field(7, &pair);
            let mut attributes = Attributes::new(&message, 7);
            let bytes = match value {
                Value::Str(text) => EncodedValue::Text(text.as_bytes()),
                other => EncodedValue::Other(other),
            };
            let mut encoded = attributes.encoded();
            assert_eq!(encoded.next(), Some((key.as_bytes(), bytes)));
            assert_eq!(attributes.next(), Some((key, value)));
            assert!(encoded.next().is_none() && attributes.next().is_none());
        }
    }

    #[test]
    fn the_last_member_of_a_value_counts() {
        let both = [field(1, b"x"), vec![0x10, 1]].concat();
        assert_eq!(Value::read(&both), Value::Bool(true));
    }

    #[test]
    fn endless_nesting_in_unchecked_bytes_is_cut_off() {
        let mut value = Vec::new();
        for _ in 0..5000 {
            value = field(5, &field(1, &value));
        }
        assert_eq!(json(&value).matches('[').count(), 128);
    }
}
