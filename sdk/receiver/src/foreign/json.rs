//! JSON of other protocols: one element at a time, numbers that may stand in quotes, errors that
//! name places and never values.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::otlp::Scalar;
use crate::Refused;

/// Hands every element of an array to `take`, or every object of a text that has one behind the
/// other. Only one of them is in memory at a time.
pub(super) fn each<'a, T: Deserialize<'a>>(
    text: &'a [u8],
    mut take: impl FnMut(T) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let text = text.trim_ascii();
    let mut json = serde_json::Deserializer::from_slice(text);
    if text.first() != Some(&b'[') {
        for element in json.into_iter() {
            take(element.map_err(|error| malformed(&error))?)?;
        }
        return Ok(());
    }
    let mut refused = None;
    let elements = Elements {
        take: |element: T| take(element).map_err(|why| refused = Some(why)),
        element: PhantomData,
    };
    let read = json.deserialize_seq(elements).and_then(|()| json.end());
    match (refused, read) {
        (Some(refused), _) => Err(refused),
        (None, read) => read.map_err(|error| malformed(&error)),
    }
}

/// What the parser says, without what the sender wrote.
pub(super) fn malformed(error: &serde_json::Error) -> Refused {
    let words = error.to_string();
    let hidden = words
        .split_once(" string \"")
        .and_then(|(before, rest)| Some((before, rest.rsplit_once("\", expected")?.1)))
        .map(|(before, after)| format!("{before} string, expected{after}"));
    Refused::Malformed(format!(
        "not what this path takes: {}",
        hidden.unwrap_or(words)
    ))
}

struct Elements<F, T> {
    take: F,
    element: PhantomData<fn() -> T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), ()>> Visitor<'de> for Elements<F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            (self.take)(element).map_err(|()| A::Error::custom("refused"))?;
        }
        Ok(())
    }
}

/// A number that is not negative, in quotes or not; senders that write JSON for JavaScript quote
/// what a double cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unsigned(pub(super) u64);

impl<'de> Deserialize<'de> for Unsigned {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(UnsignedVisitor)
    }
}

struct UnsignedVisitor;

impl Visitor<'_> for UnsignedVisitor {
    type Value = Unsigned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Unsigned, E> {
        Ok(Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Unsigned, E> {
        // Whole microseconds of this century have 51 bits: a double holds them exactly.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if !(0.0..EXACT).contains(&value) {
            return Err(E::custom("expected a whole number from 0"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in range, and what is behind the point is less than a microsecond"
        )]
        Ok(Unsigned(value as u64))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Unsigned, E> {
        value
            .trim()
            .parse()
            .map(Unsigned)
            .map_err(|_| E::custom("expected a whole number from 0"))
    }
}

/// A value that a label, a tag or an attribute can have.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
}

impl Value<'_> {
    pub(super) fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Text(text) => Scalar::Text(text),
            Self::Bool(value) => Scalar::Bool(*value),
            Self::Int(value) => Scalar::Int(*value),
            Self::Double(value) => Scalar::Double(*value),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// An object of such values, in the order in which they stand; what is null is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pairs<'a>(pub(super) Vec<(Cow<'a, str>, Value<'a>)>);

impl Pairs<'_> {
    pub(super) fn get(&self, key: &str) -> Option<&Value<'_>> {
        let mut pairs = self.0.iter();
        pairs.find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::text)
    }

    pub(super) fn into_owned(self) -> Pairs<'static> {
        let owned = |(key, value): (Cow<'_, str>, Value<'_>)| {
            let value = match value {
                Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
                Value::Bool(value) => Value::Bool(value),
                Value::Int(value) => Value::Int(value),
                Value::Double(value) => Value::Double(value),
            };
            (Cow::Owned(key.into_owned()), value)
        };
        Pairs(self.0.into_iter().map(owned).collect())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for PairsVisitor<'a> {
    type Value = Pairs<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with texts as values")
    }

    fn visit_unit<E: Error>(self) -> Result<Pairs<'a>, E> {
        Ok(Pairs::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'a>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            if let Some(value) = map.next_value::<Option<Value<'a>>>()? {
                pairs.push((name, value));
            }
        }
        Ok(Pairs(pairs))
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        match json.deserialize_any(ValueVisitor(PhantomData))? {
            Value::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("expected a text")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ValueVisitor(PhantomData))
    }
}

struct ValueVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for ValueVisitor<'a> {
    type Value = Value<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or a truth value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'a>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'a>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'a>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value<'a>, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'a>, E> {
        Ok(i64::try_from(value).map_or(Value::Double(value as f64), Value::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'a>, E> {
        Ok(Value::Double(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_place_and_not_the_value() {
        let refused = each(br#"[{"a":"1"},"sec\"ret, expected x"]"#, |_: Pairs<'_>| {
            Ok(())
        });
        let words = refused.unwrap_err().to_string();
        assert!(!words.contains("sec"), "{words}");
        assert!(words.contains("expected an object"), "{words}");
        assert!(words.contains("line 1 column"), "{words}");
    }

    #[test]
    fn numbers_may_stand_in_quotes() {
        let mut seen = Vec::new();
        each(br#"[1, "2", 3.0]"#, |Unsigned(n)| {
            seen.push(n);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [1, 2, 3]);
        for wrong in ["[-1]", "[\"x\"]", "[-0.5]", "[1e300]", "[{}]"] {
            assert!(
                each(wrong.as_bytes(), |_: Unsigned| Ok(())).is_err(),
                "{wrong}"
            );
        }
    }
}
