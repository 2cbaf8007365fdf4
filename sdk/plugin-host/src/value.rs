//! New values, encoded as OTLP has them.

use std::fmt;

use petrel_wire::otlp::fields::{put_fixed64, put_len, put_varint_field};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::layout::{KEY, VALUE};
use crate::registry::kind;
use crate::scan::put_short;

/// The members of `AnyValue`.
const STRING: u32 = 1;
const STRING_FIELD: u8 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: u32 = 5;
const MAP: u32 = 6;
const BYTES: u32 = 7;

/// Appends an `AnyValue` of text, bytes or JSON. JSON that is none becomes text.
pub(crate) fn put_coded(out: &mut Vec<u8>, of: u8, bytes: &[u8]) {
    let start = out.len();
    match of {
        kind::BYTES => put_len(out, BYTES, bytes),
        kind::JSON if json(bytes, out).is_ok() => {}
        _ => {
            out.truncate(start);
            put_short(out, STRING_FIELD, bytes);
        }
    }
}

/// Appends an `AnyValue` of a scalar; of a kind that is none, an empty one.
pub(crate) fn put_scalar(out: &mut Vec<u8>, of: u8, word: u64) {
    match of {
        kind::BOOL => put_varint_field(out, BOOL, u64::from(word != 0)),
        kind::INT | kind::UINT | kind::TIME => put_varint_field(out, INT, word),
        kind::DOUBLE => put_fixed64(out, DOUBLE, word),
        _ => {}
    }
}

/// Messages that an `AnyValue` may nest, wherever it stands: of the hundred that protobuf's readers
/// take, those around the value of an exemplar's attribute are used.
const MOST_MESSAGES: u32 = 100 - 8;

/// Whether JSON nests no deeper than `depth`, and not too deep for protobuf.
pub(crate) fn fits(json: &[u8], depth: u32) -> bool {
    let (mut deep, mut messages) = (0_u32, 0_u32);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        // A map is a list of pairs with values, an array a list of values.
        let weight = if matches!(byte, b'{' | b'}') { 3 } else { 2 };
        match byte {
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'{' | b'[' => {
                deep += 1;
                messages += weight;
                if deep > depth || messages > MOST_MESSAGES {
                    return false;
                }
            }
            b'}' | b']' => {
                deep = deep.saturating_sub(1);
                messages = messages.saturating_sub(weight);
            }
            _ => {}
        }
    }
    true
}

/// A `KeyValue` without its own key and length.
pub(crate) fn pair(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + value.len() + 8);
    put_len(&mut out, KEY, key);
    put_len(&mut out, VALUE, value);
    out
}

fn json(text: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    AnyValue(out).deserialize(&mut reader)?;
    reader.end()
}

/// Writes what it reads as an `AnyValue`, in the order of the text, repeated keys included.
struct AnyValue<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for AnyValue<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        put_varint_field(self.0, BOOL, u64::from(value));
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        put_varint_field(self.0, INT, value.cast_unsigned());
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        put_fixed64(self.0, DOUBLE, value.to_bits());
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        put_len(self.0, STRING, value.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let mut array = Vec::new();
        let mut value = Vec::new();
        while values.next_element_seed(AnyValue(&mut value))?.is_some() {
            put_len(&mut array, 1, &value);
            value.clear();
        }
        put_len(self.0, ARRAY, &array);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let mut map = Vec::new();
        let mut value = Vec::new();
        while let Some(key) = pairs.next_key::<String>()? {
            pairs.next_value_seed(AnyValue(&mut value))?;
            put_len(&mut map, 1, &pair(key.as_bytes(), &value));
            value.clear();
        }
        put_len(self.0, MAP, &map);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use petrel_wire::otlp::view::Value;

    use super::*;

    fn coded(of: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_coded(&mut out, of, bytes);
        out
    }

    fn scalar(of: u8, word: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_scalar(&mut out, of, word);
        out
    }

    #[test]
    fn json_that_nests_too_deep_for_a_reader_does_not_fit() {
        let arrays = |deep: usize| ["[".repeat(deep), "]".repeat(deep)].concat();
        assert!(fits(arrays(46).as_bytes(), 64));
        assert!(!fits(arrays(47).as_bytes(), 64));
        assert!(!fits(arrays(11).as_bytes(), 10));
        assert!(fits(arrays(5).repeat(40).as_bytes(), 5));
        assert!(fits(br#"{"a":"[[[[{{\"[[[","b":[1]}"#, 2));
        assert!(!fits(r#"{"a":"#.repeat(31).as_bytes(), 64));
    }

    #[test]
    fn json_becomes_a_value_and_back_with_order_and_repeats() {
        let text = r#"{"b":[1,-2,2.5,"x",true,null,{}],"a":{"b":"c"},"a":9007199254740993}"#;
        let encoded = coded(kind::JSON, text.as_bytes());
        let mut back = String::new();
        Value::read(&encoded).write_json(&mut back);
        assert_eq!(back, text);
    }

    #[test]
    fn json_that_is_none_becomes_text() {
        let encoded = coded(kind::JSON, b"{oops");
        assert_eq!(Value::read(&encoded), Value::Str("{oops"));
    }

    #[test]
    fn scalars_keep_their_bits() {
        let read = |of, word| format!("{:?}", Value::read(&scalar(of, word)));
        assert_eq!(read(kind::INT, (-5_i64).cast_unsigned()), "Int(-5)");
        assert_eq!(read(kind::DOUBLE, 2.5_f64.to_bits()), "Double(2.5)");
        assert_eq!(read(kind::BOOL, 1), "Bool(true)");
        assert!(scalar(kind::ID16, 1).is_empty());
    }
}
