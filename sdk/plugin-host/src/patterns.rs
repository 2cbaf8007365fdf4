//! The kernel behind `accel.regex-set`: native, linear-time, capped in size.
//!
//! Bytes, not text: a value need not be UTF-8. One set finds which patterns concern a value at all;
//! only those are then run over it.

use regex::bytes::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// How many patterns a plugin may have in one set, and how long each may be.
const MAX_PATTERNS: usize = 256;
const MAX_PATTERN_BYTES: usize = 4 << 10;
/// Compiled size of all patterns together, and of the cache that the lazy automaton may fill.
const MAX_COMPILED_BYTES: usize = 2 << 20;
const CACHE_BYTES: usize = 512 << 10;

/// Patterns with their rules of replacement.
#[derive(Debug)]
pub(crate) struct PatternSet {
    any: RegexSet,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    /// Whether there is a group `value` or `luhn` to look at.
    value: bool,
    luhn: bool,
}

impl PatternSet {
    /// The error names the pattern and what is wrong with it.
    pub(crate) fn compile(patterns: &[String]) -> Result<Self, String> {
        if patterns.len() > MAX_PATTERNS {
            return Err(format!(
                "{} patterns, {MAX_PATTERNS} are allowed",
                patterns.len()
            ));
        }
        if let Some(long) = patterns.iter().find(|one| one.len() > MAX_PATTERN_BYTES) {
            return Err(format!(
                "a pattern of {} bytes, {MAX_PATTERN_BYTES} are allowed",
                long.len()
            ));
        }
        let wrong = |error: regex::Error| error.to_string();
        let any = RegexSetBuilder::new(patterns)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(CACHE_BYTES)
            .build()
            .map_err(wrong)?;
        let patterns = patterns
            .iter()
            .map(|pattern| {
                let regex = RegexBuilder::new(pattern)
                    .size_limit(MAX_COMPILED_BYTES)
                    .dfa_size_limit(CACHE_BYTES)
                    .build()
                    .map_err(wrong)?;
                let has = |name| regex.capture_names().flatten().any(|group| group == name);
                Ok(Pattern {
                    value: has("value"),
                    luhn: has("luhn"),
                    regex,
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { any, patterns })
    }

    /// Whether any pattern occurs in `value`.
    pub(crate) fn is_match(&self, value: &[u8]) -> bool {
        self.any.is_match(value)
    }

    /// `value` with every match replaced; nothing if there is none.
    pub(crate) fn redact(&self, value: &[u8], replacement: &[u8]) -> Option<Vec<u8>> {
        // Most values have nothing in them, and that is quickly seen.
        if !self.any.is_match(value) {
            return None;
        }
        let mut changed: Option<Vec<u8>> = None;
        for index in &self.any.matches(value) {
            let current = changed.as_deref().unwrap_or(value);
            if let Some(next) = self.patterns[index].redact(current, replacement) {
                changed = Some(next);
            }
        }
        changed
    }
}

impl Pattern {
    fn redact(&self, value: &[u8], replacement: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut copied = 0;
        let mut replace = |start: usize, end: usize| {
            out.extend_from_slice(&value[copied..start]);
            out.extend_from_slice(replacement);
            copied = end;
        };
        if self.value || self.luhn {
            for found in self.regex.captures_iter(value) {
                if let Some((start, end)) = self.part(&found) {
                    replace(start, end);
                }
            }
        } else {
            for found in self.regex.find_iter(value) {
                // An empty match hides nothing and would never end.
                if !found.is_empty() {
                    replace(found.start(), found.end());
                }
            }
        }
        (copied > 0).then(|| {
            out.extend_from_slice(&value[copied..]);
            out
        })
    }

    /// What of a match is to be replaced.
    fn part(&self, found: &Captures<'_>) -> Option<(usize, usize)> {
        if self.luhn
            && !found
                .name("luhn")
                .is_some_and(|digits| luhn(digits.as_bytes()))
        {
            return None;
        }
        let part = if self.value {
            found.name("value")
        } else {
            found.get(0)
        }?;
        (!part.is_empty()).then(|| (part.start(), part.end()))
    }
}

/// The check digit of card numbers; what is not a digit is skipped.
fn luhn(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|byte| byte.is_ascii_digit());
    let mut sum = 0;
    for (place, digit) in digits.enumerate() {
        let digit = u32::from(digit - b'0');
        sum += match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, double @ 0..=9) => double,
            (_, double) => double - 9,
        };
    }
    sum % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], value: &str, want: &str) {
        let patterns: Vec<_> = patterns.iter().copied().map(String::from).collect();
        let set = PatternSet::compile(&patterns).unwrap();
        let got = set.redact(value.as_bytes(), b"X");
        let got = got.map_or(value.into(), |got| String::from_utf8(got).unwrap());
        assert_eq!(got, want);
    }

    #[test]
    fn every_match_of_every_pattern_is_replaced() {
        check(&["a+", "b"], "caab baac", "cXX XXc");
        check(&["a+"], "nothing", "nothXing".replace('X', "").as_str());
    }

    #[test]
    fn only_the_group_called_value_is_replaced() {
        check(&["key=(?P<value>[a-z]+)"], "key=abc key=d", "key=X key=X");
    }

    #[test]
    fn a_number_that_fails_the_check_digit_stays() {
        let card = r"\b(?P<luhn>[0-9](?:[ -]?[0-9]){11,18})\b";
        check(&[card], "4111 1111 1111 1111", "X");
        check(&[card], "4111 1111 1111 1112", "4111 1111 1111 1112");
    }

    #[test]
    fn a_pattern_that_matches_nothing_at_all_ends() {
        check(&["x*"], "abc", "abc");
    }

    #[test]
    fn patterns_out_of_bounds_are_refused_in_words() {
        let error = |pattern: String| PatternSet::compile(&[pattern]).unwrap_err();
        assert!(error("(".into()).contains("unclosed group"));
        assert!(error("a".repeat(5_000)).contains("bytes"));
        assert!(error("(?:a{1000}){1000}".into()).contains("size limit"));
    }
}
