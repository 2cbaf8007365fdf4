//! Keeps data out of what plugins say.
//!
//! A line in the log, or the words of a failure, should say what is wrong and not with whom: a parser
//! likes to quote what it could not parse. So every word of a message that also occurs in the strings
//! of the batch is blacked out. That is for accidents; what a plugin encodes it could as well put
//! where it may write, and nobody keeps it from that but who grants it the right.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};

use crate::dictionary::Dictionary;

/// Shorter words are everywhere and tell nothing.
const SHORTEST: usize = 3;
const BLACK: &str = "***";

/// `message`, which the caller has shortened, without the words that occur in `strings`.
pub(crate) fn without_data<'a>(message: &'a str, strings: &Dictionary) -> Cow<'a, str> {
    let mut words: Vec<&str> = words(message).collect();
    words.sort_unstable();
    words.dedup();
    let mut found = Vec::new();
    // A match may lie over another, so whoever was not found is looked for again.
    while let Some(any) = any_of(&words) {
        let before = words.len();
        let mut at = 0;
        while let Some(matched) = any.find_at(strings.bytes(), at) {
            at = matched.end();
            let is_in = |word: &&str| contains(matched.as_bytes(), word.as_bytes());
            found.extend(words.iter().copied().filter(is_in));
            words.retain(|word| !is_in(word));
        }
        if words.len() == before {
            break;
        }
    }
    if found.is_empty() {
        return Cow::Borrowed(message);
    }
    let mut out = String::with_capacity(message.len());
    let mut copied = 0;
    for word in self::words(message).filter(|word| found.contains(word)) {
        let start = word.as_ptr() as usize - message.as_ptr() as usize;
        out.push_str(&message[copied..start]);
        out.push_str(BLACK);
        copied = start + word.len();
    }
    out.push_str(&message[copied..]);
    Cow::Owned(out)
}

fn words(message: &str) -> impl Iterator<Item = &str> {
    let words = message.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| word.len() >= SHORTEST)
}

/// Longer words first: they hold shorter ones.
fn any_of(words: &[&str]) -> Option<Regex> {
    let mut words = words.to_vec();
    words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    // Words have nothing that a pattern would mean otherwise.
    let any = RegexBuilder::new(&words.join("|")).unicode(true).build();
    any.ok().filter(|_| !words.is_empty())
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, strings: &[&str], want: &str) {
        let mut dictionary = Dictionary::new(7, 0, 0);
        for text in strings {
            dictionary.intern(text.as_bytes());
        }
        assert_eq!(without_data(message, &dictionary), want);
    }

    #[test]
    fn words_of_the_data_are_blacked_out_and_others_stay() {
        check(
            "cannot parse ada@example.com at 17",
            &["mail ada@example.com now"],
            "cannot parse ***@***.*** at 17",
        );
        check(
            "panicked at src/lib.rs:41",
            &["GET /cart"],
            "panicked at src/lib.rs:41",
        );
        check("", &["x"], "");
    }

    #[test]
    fn a_piece_of_a_value_is_data_and_so_are_words_that_overlap() {
        check("token eyJhbGci", &["eyJhbGciOiJIUzI1NiJ9"], "token ***");
        check("abcd cdef bcde abcdef", &["xxabcdefxx"], "*** *** *** ***");
    }

    #[test]
    fn letters_of_any_script_make_words() {
        check(
            "unknown: M\u{fc}ller",
            &["Herr M\u{fc}ller"],
            "unknown: ***",
        );
    }
}
