//! Templates: a text with its parameters taken out.
//!
//! `user 17 logged in from 10.0.0.3` becomes `user <num> logged in from <ip>`. What is a parameter
//! is decided by its shape alone and never by what came before. Drain and its relatives learn from
//! the stream, so that the same line has another template in another process or after a restart;
//! here a template's hash names it for ever. The price: a name in the middle of prose stays.

use xxhash_rust::xxh3::xxh3_64;

/// Longest template in bytes, more or less a placeholder; what follows does not tell lines apart.
const MOST_BYTES: usize = 300;
/// Longer words are data.
const LONGEST_WORD: usize = 48;

/// The template's name.
pub fn id(template: &str) -> u64 {
    xxh3_64(template.as_bytes())
}

/// Writes the template of the first line of `text` that is not empty, replacing what `out` holds.
pub fn write(text: &str, out: &mut String) {
    out.clear();
    let line = text.lines().find(|line| !line.trim().is_empty());
    let mut writer = Writer {
        out,
        list: None,
        value: false,
    };
    let mut rest = line.unwrap_or("").trim();
    while let Some(first) = rest.chars().next() {
        if writer.out.len() >= MOST_BYTES {
            return;
        }
        rest = match first {
            '"' | '\'' | '`' => writer.quoted(rest, first),
            c if c.is_whitespace() => {
                writer.space();
                rest.trim_start()
            }
            c if is_delimiter(c) => {
                writer.mark(c);
                &rest[c.len_utf8()..]
            }
            _ => writer.word(rest),
        };
    }
}

fn is_delimiter(c: char) -> bool {
    c.is_ascii() && CLASSES[c as usize] & DELIMITER != 0
}

// What an ASCII character can be; most bytes of a text are none of these.
const ENDS_WORD: u8 = 1;
const DELIMITER: u8 = 2;
const DIGIT: u8 = 4;
const COLON: u8 = 8;
const AT: u8 = 16;

const CLASSES: [u8; 128] = {
    let mut classes = [0; 128];
    let mut c = 0_u8;
    while c < 128 {
        classes[c as usize] = match c {
            b',' | b';' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'=' | b'|' => {
                DELIMITER | ENDS_WORD
            }
            b'\t'..=b'\r' | b' ' | b'"' => ENDS_WORD,
            b'0'..=b'9' => DIGIT,
            b':' => COLON,
            b'@' => AT,
            _ => 0,
        };
        c += 1;
    }
    classes
};

/// Where the word at the start of `text` ends, and what was seen in it.
fn word_end(text: &str) -> (usize, u8) {
    let (mut end, mut seen) = (0, 0);
    while let Some(byte) = text.as_bytes().get(end) {
        match CLASSES.get(usize::from(*byte)) {
            Some(class) if class & ENDS_WORD != 0 => break,
            Some(class) => {
                seen |= class;
                end += 1;
            }
            None => match text[end..].chars().next() {
                Some(c) if !c.is_whitespace() => end += c.len_utf8(),
                _ => break,
            },
        }
    }
    (end, seen)
}

struct Writer<'o> {
    out: &'o mut String,
    /// The placeholder that a list may go on with, and where the text ended after it.
    list: Option<(&'static str, usize)>,
    /// Behind a `=`: whatever comes is a value.
    value: bool,
}

impl Writer<'_> {
    fn space(&mut self) {
        if !self.out.ends_with(' ') {
            self.out.push(' ');
        }
        self.value = false;
    }

    fn mark(&mut self, c: char) {
        self.out.push(c);
        self.value = c == '=';
        if c != ',' && c != ';' {
            self.list = None;
        }
    }

    /// Of a list of equals one is left: how many there are is a parameter, too.
    fn parameter(&mut self, name: &'static str) {
        self.value = false;
        if let Some((last, end)) = self.list
            && last == name
            && self.out[end..]
                .bytes()
                .all(|byte| matches!(byte, b' ' | b',' | b';'))
        {
            self.out.truncate(end);
            return;
        }
        self.out.push_str(name);
        self.list = Some((name, self.out.len()));
    }

    fn quoted<'t>(&mut self, rest: &'t str, quote: char) -> &'t str {
        // An apostrophe within a word is none of ours: words begin elsewhere.
        let inside = &rest[1..];
        let Some(end) = inside.find(quote) else {
            self.out.push(quote);
            return inside;
        };
        self.parameter("<str>");
        &inside[end + 1..]
    }

    fn word<'t>(&mut self, rest: &'t str) -> &'t str {
        let (end, seen) = word_end(rest);
        let (word, rest) = rest.split_at(end);
        let bare = word.trim_end_matches(['.', ':', '!', '?', '\'']);
        match shape(bare, seen) {
            Some(name) => self.parameter(name),
            None if self.value && !bare.is_empty() => self.parameter("<*>"),
            None => {
                self.list = None;
                self.out.push_str(bare);
            }
        }
        self.out.push_str(&word[bare.len()..]);
        self.value = false;
        rest
    }
}

/// What a word is in which such characters were seen, if it is a parameter.
fn shape(word: &str, seen: u8) -> Option<&'static str> {
    let bytes = word.as_bytes();
    let (digits, at) = (seen & DIGIT != 0, seen & AT != 0);
    if seen & COLON != 0 && word.contains("://") {
        return Some("<url>");
    }
    if bytes.first() == Some(&b'/') && bytes.len() > 1 {
        return Some("<path>");
    }
    if !digits {
        // Most words are this one's.
        if !at && bytes.len() < 16 {
            return None;
        }
        let email = word
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        return match () {
            () if email => Some("<email>"),
            () if is_hex(bytes) && bytes.len() >= 16 => Some("<hex>"),
            () if bytes.len() > LONGEST_WORD => Some("<*>"),
            () => None,
        };
    }
    if at {
        return Some("<email>");
    }
    if is_uuid(bytes) {
        return Some("<uuid>");
    }
    if is_address(bytes) {
        return Some("<ip>");
    }
    if is_time(bytes) {
        return Some("<time>");
    }
    if is_number(bytes) {
        return Some("<num>");
    }
    let hex = bytes.strip_prefix(b"0x").unwrap_or(bytes);
    if is_hex(hex) && (hex.len() >= 8 || hex.len() < bytes.len()) {
        return Some("<hex>");
    }
    Some("<*>")
}

fn is_hex(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_hexdigit)
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// IPv4 with or without a port.
fn is_address(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'.').count() == 4
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':' | b'/'))
}

/// `2026-01-31`, `12:30:59.123`, both with a `T` between and a zone behind.
fn is_time(bytes: &[u8]) -> bool {
    let marks = bytes
        .iter()
        .filter(|byte| matches!(byte, b'-' | b':'))
        .count();
    marks >= 1
        && bytes.len() >= 4
        && bytes[0].is_ascii_digit()
        && bytes.iter().all(|byte| {
            byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'T' | b'Z' | b'+')
        })
}

/// A number with sign, fraction, exponent and unit: `-3`, `1.5e9`, `12ms`, `50%`, `10MiB`.
fn is_number(bytes: &[u8]) -> bool {
    let bytes = bytes
        .strip_prefix(b"-")
        .or_else(|| bytes.strip_prefix(b"+"))
        .or_else(|| bytes.strip_prefix(b"#"))
        .or_else(|| bytes.strip_prefix(b"$"))
        .unwrap_or(bytes);
    let end = bytes
        .iter()
        .position(|byte| !(byte.is_ascii_digit() || matches!(byte, b'.' | b'_')))
        .unwrap_or(bytes.len());
    let unit = &bytes[end..];
    bytes.first().is_some_and(u8::is_ascii_digit)
        && (unit == b"%"
            || (unit.len() <= 4 && unit.iter().all(u8::is_ascii_alphabetic))
            || (matches!(unit.first(), Some(b'e' | b'E'))
                && unit[1..]
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> String {
        let mut out = String::new();
        write(text, &mut out);
        out
    }

    #[test]
    fn parameters_are_known_by_their_shape() {
        for (text, expected) in [
            (
                "user 17 logged in from 10.0.0.3:99",
                "user <num> logged in from <ip>",
            ),
            ("GET /orders/17 took 12ms.", "GET <path> took <num>."),
            (
                "request 550e8400-e29b-41d4-a716-446655440000 failed: \"no such row\"",
                "request <uuid> failed: <str>",
            ),
            ("2026-01-31T12:00:00Z start", "<time> start"),
            ("retry=3 user=alice ok=true", "retry=<num> user=<*> ok=<*>"),
            ("ids [1, 2, 3]", "ids [<num>]"),
            ("ids [4, 5]", "ids [<num>]"),
            ("can't open file 'x y'", "can't open file <str>"),
            ("mail to a.b@example.com", "mail to <email>"),
            ("see https://example.com/a?b=1", "see <url>=<num>"),
            ("object 0xdeadbeef and deadbeef01", "object <hex> and <hex>"),
            ("node12 is down", "<*> is down"),
            ("\n\n  first line \n second", "first line"),
            ("", ""),
            ("größer als \u{1F600}", "größer als \u{1F600}"),
        ] {
            assert_eq!(template(text), expected, "{text}");
        }
    }

    #[test]
    fn a_template_stays_what_it_is_and_is_bounded() {
        let once = template("user 17 did <x> at 10:30 with [1, 2]");
        assert_eq!(once, "user <num> did <x> at <time> with [<num>]");
        let long = template(&"word ".repeat(10_000));
        assert!(long.len() <= MOST_BYTES + LONGEST_WORD);
    }

    #[test]
    fn a_word_ends_where_its_characters_say() {
        for c in (0..=char::MAX as u32).filter_map(char::from_u32) {
            let ends = c.is_whitespace()
                || matches!(
                    c,
                    '"' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '=' | '|'
                );
            let text = format!("ab{c}cd");
            let expected = if ends { 2 } else { text.len() };
            assert_eq!(word_end(&text).0, expected, "{c:?}");
        }
        assert_eq!(word_end("a1:b@c").1, DIGIT | COLON | AT);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,80}") {
            let template = template(&text);
            proptest::prop_assert!(template.len() <= 3 * text.len() + MOST_BYTES);
        }
    }
}
