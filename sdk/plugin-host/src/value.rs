//! New values, encoded as OTLP has them.

use std::fmt;

use petrel_wire::otlp::fields::{put_fixed64, put_len, put_varint_field};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::layout::{KEY, VALUE};
use crate::registry::kind;

/// The members of `AnyValue`.
const STRING: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: u32 = 5;
const MAP: u32 = 6;
const BYTES: u32 = 7;

/// An `AnyValue` of text, bytes or JSON. JSON that is none becomes text.
pub(crate) fn coded(of: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 4);
    match of {
        kind::BYTES => put_len(&mut out, BYTES, bytes),
        kind::JSON if json(bytes, &mut out).is_ok() => {}
        _ => {
            out.clear();
            put_len(&mut out, STRING, bytes);
        }
    }
    out
}

/// An `AnyValue` of a scalar; nothing if the kind is none.
pub(crate) fn scalar(of: u8, word: u64) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(10);
    match of {
        kind::BOOL => put_varint_field(&mut out, BOOL, u64::from(word != 0)),
        kind::INT | kind::UINT | kind::TIME => put_varint_field(&mut out, INT, word),
        kind::DOUBLE => put_fixed64(&mut out, DOUBLE, word),
        _ => return None,
    }
    Some(out)
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
        let read = |of, word| format!("{:?}", Value::read(&scalar(of, word).unwrap()));
        assert_eq!(read(kind::INT, (-5_i64).cast_unsigned()), "Int(-5)");
        assert_eq!(read(kind::DOUBLE, 2.5_f64.to_bits()), "Double(2.5)");
        assert_eq!(read(kind::BOOL, 1), "Bool(true)");
        assert_eq!(scalar(kind::ID16, 1), None);
    }
}
