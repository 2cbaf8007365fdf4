//! Database statements without their values, so that equal questions are equal.
//!
//! Literals and placeholders become `?`, lists of them one, comments and layout go. Not a parser:
//! it must do something sensible with every dialect and with commands that are not SQL.

/// Longest statement in bytes, more or less a word.
const MOST_BYTES: usize = 1000;

/// Writes `statement` without values, replacing what `out` holds.
pub fn write(statement: &str, out: &mut String) {
    out.clear();
    let bytes = statement.as_bytes();
    let mut at = 0;
    while at < bytes.len() && out.len() < MOST_BYTES {
        let start = at;
        match bytes[at] {
            b'-' if bytes.get(at + 1) == Some(&b'-') => at = line_end(bytes, at),
            // MySQL's other comment; `#>` is an operator, `#t` a table elsewhere.
            b'#' if bytes.get(at + 1) == Some(&b' ') => at = line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let end = statement[at + 2..].find("*/");
                at = end.map_or(bytes.len(), |end| at + 2 + end + 2);
                space(out);
            }
            b'\'' => {
                at = quoted(bytes, at);
                literal(out);
            }
            b'"' => {
                at = quoted(bytes, at);
                if is_name(bytes, start, at) {
                    out.push_str(&statement[start..at]);
                } else {
                    literal(out);
                }
            }
            b'`' => {
                at = quoted(bytes, at);
                out.push_str(&statement[start..at]);
            }
            b'?' => {
                at += 1;
                literal(out);
            }
            b'$' | b'@' | b':' | b'%' if is_placeholder(bytes, at) => {
                at = word_end(bytes, at + 1);
                literal(out);
            }
            b'0'..=b'9' => {
                at = number_end(bytes, at);
                literal(out);
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 => {
                at = word_end(bytes, at);
                out.push_str(&statement[start..at]);
            }
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                space(out);
            }
            b')' => {
                at += 1;
                close(out);
            }
            byte => {
                at += 1;
                out.push(char::from(byte));
            }
        }
    }
    let end = out.trim_end_matches([' ', ';']).len();
    out.truncate(end);
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with([' ', '(']) {
        out.push(' ');
    }
}

/// A value; one behind another of the same list is already there.
fn literal(out: &mut String) {
    let before = out.trim_end_matches(' ');
    // A sign belongs to the number.
    let before = match before.strip_suffix('-') {
        Some(rest) if rest.trim_end().ends_with(['(', ',', '=', '<', '>']) => rest,
        _ => before,
    };
    if let Some(list) = before.strip_suffix(',')
        && list.trim_end().ends_with('?')
    {
        let end = list.trim_end().len();
        out.truncate(end);
        return;
    }
    let end = before.len();
    if end < out.trim_end_matches(' ').len() {
        out.truncate(end);
    }
    out.push('?');
}

/// `(?), (?)` is one row of values.
fn close(out: &mut String) {
    let end = out.trim_end_matches(' ').len();
    out.truncate(end);
    out.push(')');
    let Some(before) = out.strip_suffix("(?)") else {
        return;
    };
    let before = before.trim_end_matches(' ');
    if let Some(before) = before.strip_suffix(',')
        && before.trim_end().ends_with("(?)")
    {
        let end = before.trim_end().len();
        out.truncate(end);
    }
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |end| at + end)
}

/// Behind the quote that closes the one at `at`; doubled and escaped ones do not.
fn quoted(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let mut at = at + 1;
    while at < bytes.len() {
        if bytes[at] == b'\\' && quote != b'`' {
            at += 1;
        } else if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

/// Double quotes hold names in SQL, keys in JSON, and values elsewhere.
fn is_name(bytes: &[u8], start: usize, end: usize) -> bool {
    let inside = &bytes[start + 1..end.saturating_sub(1).max(start + 1)];
    let word = inside
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.'))
        && inside.first().is_some_and(|byte| !byte.is_ascii_digit());
    let rest = &bytes[end..];
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    let before = bytes[..start]
        .iter()
        .rev()
        .find(|byte| !byte.is_ascii_whitespace());
    match (before, next) {
        (_, Some(b':')) => true,
        (Some(b':' | b'=' | b'['), _) => false,
        _ => word,
    }
}

/// `$1`, `:name`, `@p`, `%s`, but neither `::int` nor `a % b`.
fn is_placeholder(bytes: &[u8], at: usize) -> bool {
    let next = bytes.get(at + 1);
    // Neither `a::int` nor `{"a":1}`.
    let double = at > 0 && (bytes[at - 1] == bytes[at] || bytes[at - 1] == b'"');
    let word = next.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    match bytes[at] {
        b'%' => next == Some(&b's') && bytes.get(at + 2).is_none_or(|b| !b.is_ascii_alphanumeric()),
        _ => word && !double,
    }
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|byte| {
            !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || *byte >= 0x80)
        })
        .map_or(bytes.len(), |end| at + end)
}

fn number_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')))
        .map_or(bytes.len(), |end| at + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(statement: &str) -> String {
        let mut out = String::new();
        write(statement, &mut out);
        out
    }

    #[test]
    fn values_go_and_names_stay() {
        for (statement, expected) in [
            (
                "SELECT * FROM users2 WHERE id = 17 AND name = 'O''Brien \\' x'",
                "SELECT * FROM users2 WHERE id = ? AND name = ?",
            ),
            (
                "select a\n\tfrom t -- why\nwhere x IN (1, 2,3)",
                "select a from t where x IN (?)",
            ),
            (
                "INSERT INTO t (a, b) VALUES (1, 'x'), (-2, 'y') ;",
                "INSERT INTO t (a, b) VALUES (?)",
            ),
            (
                "SELECT $1::int, :name, @p, %s, ? FROM \"Order Lines\" /* c */ WHERE `a` > 1.5e3",
                "SELECT ?::int, ? FROM ? WHERE `a` > ?",
            ),
            ("UPDATE \"users\" SET a=-1", "UPDATE \"users\" SET a=?"),
            (
                "{\"find\": \"orders\", \"filter\": {\"id\": 5}}",
                "{\"find\": ?, \"filter\": {\"id\": ?}}",
            ),
            ("{\"a\":5,\"b\":[1,2]}", "{\"a\":?,\"b\":[?]}"),
            ("SELECT 'unclosed", "SELECT ?"),
            ("größe = 'ä'", "größe = ?"),
            ("", ""),
        ] {
            assert_eq!(bare(statement), expected, "{statement}");
        }
    }

    #[test]
    fn two_calls_with_other_values_are_the_same_question() {
        assert_eq!(
            bare("SELECT a FROM t WHERE id IN (1,2,3) LIMIT 10"),
            bare("SELECT a  FROM t WHERE id IN (7) LIMIT 500")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,80}") {
            proptest::prop_assert!(bare(&text).len() <= text.len() + 1);
        }
    }
}
