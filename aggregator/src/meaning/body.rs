//! Log bodies: what a line says in JSON, in logfmt, or by the level it names.
//!
//! The body is kept as it came. What is found goes beside it, so that a question need not know how
//! an application writes its lines. Nothing is guessed from prose: pairs count only where they are
//! all there is, or all that follows the message.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::severity;

/// Most pairs that one body gives.
const MOST_PAIRS: usize = 128;
/// Objects nested deeper stay JSON.
const DEEPEST: u32 = 4;

/// What was found in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The message, where it is not the body itself.
    pub message: Option<Cow<'a, str>>,
    /// A severity number, 0 if none is named.
    pub severity: u8,
    /// Sixteen bytes, zeros if none is named.
    pub trace_id: [u8; 16],
    /// 0 if none is named.
    pub span_id: u64,
    /// Everything else, in the body's order.
    pub pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Looks into a body. Prose gives nothing, and costs a look for a `=`.
pub fn parse(body: &str) -> Parsed<'_> {
    let text = body.trim();
    if text.starts_with('{') && text.ends_with('}') {
        json(text).unwrap_or_default()
    } else if text.contains('=') && !text.contains('\n') {
        logfmt(text)
    } else {
        Parsed::default()
    }
}

impl<'a> Parsed<'a> {
    /// Sorts a pair in; the first of a kind counts.
    fn put(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        match &*key {
            "message" | "msg" | "log_message" if self.message.is_none() => {
                self.message = Some(value);
            }
            "level" | "severity" | "lvl" | "loglevel" | "log.level" | "log_level" | "levelname"
            | "severity_text"
                if self.severity == 0 && level(&value) != 0 =>
            {
                self.severity = level(&value);
            }
            "trace_id" | "traceid" | "traceId" | "trace.id" | "otelTraceID"
                if self.trace_id == [0; 16] && number(&value, 32).is_some() =>
            {
                self.trace_id = number(&value, 32).unwrap_or_default().to_be_bytes();
            }
            "span_id" | "spanid" | "spanId" | "span.id" | "otelSpanID"
                if self.span_id == 0 && number(&value, 16).is_some() =>
            {
                let id = number(&value, 16).unwrap_or_default();
                self.span_id = u64::try_from(id).unwrap_or_default();
            }
            _ if self.pairs.len() < MOST_PAIRS => self.pairs.push((key, value)),
            _ => {}
        }
    }
}

/// A word, or one of bunyan's and pino's numbers.
fn level(value: &str) -> u8 {
    match value.parse::<u8>() {
        Ok(number @ 10..=69) => severity::TRACE + (number / 10 - 1) * 4,
        Ok(_) => 0,
        Err(_) => severity::of_word(value),
    }
}

/// An id in hex.
fn number(text: &str, digits: usize) -> Option<u128> {
    let hex = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn json(text: &str) -> Option<Parsed<'_>> {
    let mut parsed = Parsed::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let fields = Fields {
        parsed: &mut parsed,
        prefix: None,
        depth: 0,
    };
    (&mut reader).deserialize_map(fields).ok()?;
    reader.end().ok()?;
    Some(parsed)
}

/// The fields of an object, those of objects in it under `outer.inner`.
struct Fields<'p, 'a> {
    parsed: &'p mut Parsed<'a>,
    prefix: Option<&'p str>,
    depth: u32,
}

impl<'a> Visitor<'a> for Fields<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(name)) = map.next_key::<Text<'a>>()? {
            let key = match self.prefix {
                Some(prefix) => Cow::Owned(format!("{prefix}.{name}")),
                None => name,
            };
            map.next_value_seed(Field {
                parsed: &mut *self.parsed,
                key,
                depth: self.depth,
            })?;
        }
        Ok(())
    }
}

/// Text, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'a> serde::Deserialize<'a> for Text<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'a> Visitor<'a> for Visit {
            type Value = Text<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}

/// The value of one field.
struct Field<'p, 'a> {
    parsed: &'p mut Parsed<'a>,
    key: Cow<'a, str>,
    depth: u32,
}

impl<'a> serde::de::DeserializeSeed<'a> for Field<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Field<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.parsed.put(self.key, Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.parsed.put(self.key, Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        let text = if value { "true" } else { "false" };
        self.parsed.put(self.key, Cow::Borrowed(text));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.parsed.put(self.key, Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.parsed.put(self.key, Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.parsed.put(self.key, Cow::Owned(format!("{value:?}")));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.parsed.put(self.key, Cow::Borrowed(""));
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        let mut values: Vec<serde_json::Value> = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        let text = serde_json::Value::Array(values).to_string();
        self.parsed.put(self.key, Cow::Owned(text));
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        if self.depth + 1 < DEEPEST {
            return Fields {
                parsed: self.parsed,
                prefix: Some(&self.key),
                depth: self.depth + 1,
            }
            .visit_map(map);
        }
        let mut object = serde_json::Map::new();
        while let Some((key, value)) = map.next_entry::<String, serde_json::Value>()? {
            object.insert(key, value);
        }
        let text = serde_json::Value::Object(object).to_string();
        self.parsed.put(self.key, Cow::Owned(text));
        Ok(())
    }
}

/// `a=1 b="two words"`, alone or behind a message.
fn logfmt(text: &str) -> Parsed<'_> {
    let mut parsed = Parsed::default();
    let mut run: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let mut run_start = text.len();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        at += blank;
        let rest = &rest[blank..];
        if rest.is_empty() {
            break;
        }
        if let Some((key, value, length)) = pair(rest) {
            if run.is_empty() {
                run_start = at;
            }
            if run.len() <= MOST_PAIRS {
                run.push((key, value));
            }
            at += length;
        } else {
            run.clear();
            run_start = text.len();
            at += rest.find(char::is_whitespace).unwrap_or(rest.len());
        }
    }
    let message = text[..run_start].trim_end();
    // One pair alone is an assignment; behind a message it is its parameter.
    if run.is_empty() || (message.is_empty() && run.len() < 2) {
        return parsed;
    }
    for (key, value) in run {
        parsed.put(Cow::Borrowed(key), value);
    }
    if !message.is_empty() {
        parsed.message = Some(Cow::Borrowed(message));
    }
    parsed
}

/// A pair at the start of `text`, and how long it is.
fn pair(text: &str) -> Option<(&str, Cow<'_, str>, usize)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))?;
    let key = &text[..end];
    let starts_well = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let value = text[end..].strip_prefix('=').filter(|_| starts_well)?;
    if value.starts_with('=') {
        return None;
    }
    let begin = end + 1;
    if let Some(inside) = value.strip_prefix('"') {
        let close = closing(inside)?;
        let raw = &inside[..close];
        let value = if raw.contains('\\') {
            Cow::Owned(unescaped(raw))
        } else {
            Cow::Borrowed(raw)
        };
        let behind = &inside[close + 1..];
        return behind
            .chars()
            .next()
            .is_none_or(char::is_whitespace)
            .then_some((key, value, begin + close + 2));
    }
    let length = value.find(char::is_whitespace).unwrap_or(value.len());
    Some((key, Cow::Borrowed(&value[..length]), begin + length))
}

fn closing(inside: &str) -> Option<usize> {
    let mut escaped = false;
    inside.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            (c, false) => text.push(c),
        }
    }
    text
}

/// The level that a line of prose names where loggers put it: one of its first words, in capitals,
/// in brackets or before a colon; or glog's letter and date. 0 if none.
pub fn level_in_text(body: &str) -> u8 {
    for word in body.split_whitespace().take(5) {
        let bare = word.trim_matches(['[', ']', '(', ')', '<', '>', '|', ':', ',', '-']);
        let named = severity::of_word(bare);
        if named == 0 {
            continue;
        }
        let shouted = bare.len() > 2
            && bare
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if shouted || word.starts_with(['[', '<', '(']) || word.ends_with(':') {
            return named;
        }
    }
    let bytes = body.as_bytes();
    if bytes.len() > 5 && bytes[1..5].iter().all(u8::is_ascii_digit) && bytes[5] == b' ' {
        return match bytes[0] {
            b'I' => severity::INFO,
            b'W' => severity::WARN,
            b'E' => severity::ERROR,
            b'F' => severity::FATAL,
            _ => 0,
        };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(body: &str) -> Vec<(String, String)> {
        let parsed = parse(body);
        let owned = |(key, value): (Cow<'_, str>, Cow<'_, str>)| (key.into(), value.into());
        parsed.pairs.into_iter().map(owned).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn json_gives_its_fields_and_what_they_mean() {
        let body = r#" {"ts":1.5,"level":"warn","msg":"no \"row\"","user":{"id":7,"tags":["a",1]},
            "ok":true,"none":null,"traceId":"000102030405060708090a0b0c0d0e0f","span_id":"00000000000000ff"} "#;
        let parsed = parse(body);
        assert_eq!(parsed.message.as_deref(), Some("no \"row\""));
        assert_eq!(parsed.severity, severity::WARN);
        assert_eq!(parsed.trace_id[15], 15);
        assert_eq!(parsed.span_id, 255);
        assert_eq!(
            pairs(body),
            owned(&[
                ("ts", "1.5"),
                ("user.id", "7"),
                ("user.tags", "[\"a\",1]"),
                ("ok", "true"),
                ("none", ""),
            ])
        );
        assert_eq!(
            parse(r#"{"level":30,"message":"x"}"#).severity,
            severity::INFO
        );
    }

    #[test]
    fn what_only_looks_like_json_stays_text() {
        for body in ["{not json}", "{\"a\":1} {\"b\":2}", "{\"a\":}", "[1,2]", ""] {
            assert_eq!(parse(body), Parsed::default(), "{body}");
        }
    }

    #[test]
    fn deep_and_wide_json_is_bounded() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        assert_eq!(parse(&deep).pairs.len(), 1);
        let wide: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":{n}")).collect();
        let wide = format!("{{{}}}", wide.join(","));
        assert_eq!(parse(&wide).pairs.len(), MOST_PAIRS);
    }

    #[test]
    fn pairs_count_where_they_are_all_that_is_left() {
        let line = r#"level=error msg="no such \"row\"" id=17 empty="" path=/a=b"#;
        let parsed = parse(line);
        assert_eq!(parsed.message.as_deref(), Some("no such \"row\""));
        assert_eq!(parsed.severity, severity::ERROR);
        assert_eq!(
            pairs(line),
            owned(&[("id", "17"), ("empty", ""), ("path", "/a=b")])
        );
        let behind = parse("user is gone id=17 retry=true");
        assert_eq!(behind.message.as_deref(), Some("user is gone"));
        assert_eq!(behind.pairs.len(), 2);
        for prose in [
            "SELECT a FROM t WHERE a=1 ORDER BY b",
            "x=1",
            "a = b",
            "base64 padding==",
            "=",
        ] {
            assert_eq!(parse(prose), Parsed::default(), "{prose}");
        }
    }

    #[test]
    fn a_level_is_found_where_loggers_put_it_and_not_in_prose() {
        for (body, expected) in [
            (
                "2026-01-01 12:00:00,123 ERROR c.e.Main - x",
                severity::ERROR,
            ),
            ("[warn] disk", severity::WARN),
            ("error: no such file", severity::ERROR),
            ("E0131 12:00:00.1 x.go:7] y", severity::ERROR),
            ("INFO  main", severity::INFO),
            ("no error occurred", 0),
            ("Log in", 0),
            ("", 0),
        ] {
            assert_eq!(level_in_text(body), expected, "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_breaks_it(body in "\\PC{0,80}") {
            parse(&body);
            level_in_text(&body);
        }

        #[test]
        fn no_pairs_break_it(body in "([a-z]{0,3}[=\" {}\\\\]){0,20}") {
            parse(&body);
        }
    }
}
