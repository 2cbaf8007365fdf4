//! The kernel behind `accel.redact-dict`: patterns in texts, patterns and keys inside JSON.
//!
//! JSON is not rebuilt but walked and copied, so that what stays is byte for byte what it was.

use serde::de::IgnoredAny;

use crate::keys::KeyRule;
use crate::patterns::PatternSet;

/// JSON in strings in JSON: deeper than this only patterns apply.
const MAX_STRINGS_DEEP: u32 = 4;

/// What to look for and what to put there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redaction<'a> {
    pub(crate) patterns: Option<&'a PatternSet>,
    pub(crate) keys: Option<&'a KeyRule>,
    pub(crate) replacement: &'a str,
}

impl Redaction<'_> {
    /// `value` without what was looked for; nothing if it has none of it.
    pub(crate) fn apply(&self, value: &[u8]) -> Option<Vec<u8>> {
        self.text(value, 0)
    }

    fn text(&self, value: &[u8], strings_deep: u32) -> Option<Vec<u8>> {
        let opens = value.iter().find(|byte| !byte.is_ascii_whitespace());
        let may_be_json = matches!(opens, Some(b'{' | b'['));
        if may_be_json
            && strings_deep < MAX_STRINGS_DEEP
            && serde_json::from_slice::<IgnoredAny>(value).is_ok()
        {
            let mut walk = Walk {
                redaction: self,
                json: value,
                at: 0,
                copied: 0,
                out: Vec::new(),
                changed: false,
                strings_deep,
            };
            walk.value();
            return walk.finish();
        }
        self.patterns?.redact(value, self.replacement.as_bytes())
    }
}

/// Walks JSON that is known to be well-formed.
struct Walk<'a> {
    redaction: &'a Redaction<'a>,
    json: &'a [u8],
    at: usize,
    copied: usize,
    out: Vec<u8>,
    changed: bool,
    strings_deep: u32,
}

impl Walk<'_> {
    fn finish(mut self) -> Option<Vec<u8>> {
        self.out.extend_from_slice(&self.json[self.copied..]);
        self.changed.then_some(self.out)
    }

    fn peek(&mut self) -> Option<u8> {
        while self.json.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.json.get(self.at).copied()
    }

    fn value(&mut self) {
        match self.peek() {
            Some(b'{') => self.members(b'}'),
            Some(b'[') => self.members(b']'),
            Some(b'"') => self.leaf(),
            _ => self.scalar(),
        }
    }

    /// An object or an array, to its `end`.
    fn members(&mut self, end: u8) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            if byte == end {
                self.at += 1;
                return;
            }
            if byte == b',' {
                self.at += 1;
                continue;
            }
            if end == b'}' {
                let key = self.string();
                let covered = |rule: &KeyRule| rule.covers(key.as_bytes());
                let covered = self.redaction.keys.is_some_and(covered);
                self.peek();
                self.at += 1;
                self.peek();
                if covered {
                    self.hide();
                    continue;
                }
            }
            self.value();
        }
    }

    /// Replaces the value that begins here, whatever it is.
    fn hide(&mut self) {
        let start = self.at;
        let before = (self.copied, self.out.len(), self.changed);
        self.value();
        // What was done inside the value is of no interest any more.
        (self.copied, self.changed) = (before.0, before.2);
        self.out.truncate(before.1);
        let redaction = self.redaction;
        self.replace(start, redaction.replacement.as_bytes());
    }

    fn leaf(&mut self) {
        let start = self.at;
        let text = self.string();
        let redaction = self.redaction;
        if let Some(text) = redaction.text(text.as_bytes(), self.strings_deep + 1) {
            self.replace(start, &text);
        }
    }

    /// Puts `text` as a string where `start..at` was.
    fn replace(&mut self, start: usize, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        self.out.extend_from_slice(&self.json[self.copied..start]);
        self.out
            .extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
        self.copied = self.at;
        self.changed = true;
    }

    /// Reads the string that begins here.
    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while let Some(&byte) = self.json.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => break,
                _ => {}
            }
        }
        self.at = self.at.min(self.json.len());
        serde_json::from_slice(&self.json[start..self.at]).unwrap_or_default()
    }

    fn scalar(&mut self) {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
        while self.json.get(self.at).is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, want: &str) {
        let patterns = PatternSet::compile(&["[a-z]+@[a-z]+".into()]).unwrap();
        let keys = KeyRule::parse("password|*.secret").unwrap();
        let redaction = Redaction {
            patterns: Some(&patterns),
            keys: Some(&keys),
            replacement: "\"X\"",
        };
        let got = redaction.apply(value.as_bytes());
        let got = got.map_or(value.into(), |got| String::from_utf8(got).unwrap());
        assert_eq!(got, want, "{value}");
    }

    #[test]
    fn values_under_a_key_are_hidden_whatever_they_are() {
        check(r#"{"password":"p","a":1}"#, r#"{"password":"\"X\"","a":1}"#);
        check(
            r#"{ "a.Secret" : {"b":["me@x", 1]} , "c": 2.50 }"#,
            r#"{ "a.Secret" : "\"X\"" , "c": 2.50 }"#,
        );
        check(
            r#"[{"password":null},{"pass\u0077ord":12}]"#,
            r#"[{"password":"\"X\""},{"pass\u0077ord":"\"X\""}]"#,
        );
    }

    #[test]
    fn patterns_are_found_in_strings_of_json_and_in_json_in_strings() {
        check(r#"{"a":"to me@x now"}"#, r#"{"a":"to \"X\" now"}"#);
        check(
            r#"{"a":"{\"password\":1,\"b\":\"me@x\"}"}"#,
            r#"{"a":"{\"password\":\"\\\"X\\\"\",\"b\":\"\\\"X\\\"\"}"}"#,
        );
    }

    #[test]
    fn what_is_not_json_is_text() {
        check("{me@x", "{\"X\"");
        check("[not json] me@x", "[not json] \"X\"");
    }

    #[test]
    fn what_has_nothing_to_hide_is_left_alone() {
        for same in ["{}", "[]", " [1, 2.0e1 , {\"a\" : [] } ] ", "plain", ""] {
            check(same, same);
        }
    }
}
