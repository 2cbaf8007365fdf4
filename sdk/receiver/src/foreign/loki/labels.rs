//! A stream's labels as Prometheus writes them: `{job="varlogs", host="a\"b"}`.

use crate::Refused;

/// Names and values, by name.
pub(super) fn parse(text: &str, most: usize) -> Result<Vec<(String, String)>, Refused> {
    let wrong = |what: &str| Refused::Malformed(format!("labels of a stream: {what}"));
    let mut labels = Vec::new();
    let text = text.trim();
    let inner = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(|| wrong("expected {name=\"value\", ...}"))?;
    let mut rest = inner.trim_start();
    while !rest.is_empty() {
        let (name, behind) = rest
            .split_once('=')
            .ok_or_else(|| wrong("a name without ="))?;
        let name = name.trim();
        if name.is_empty() || name.contains(['"', ',', '{', '}']) {
            return Err(wrong("a name that is none"));
        }
        let (value, behind) =
            quoted(behind.trim_start()).ok_or_else(|| wrong("a value without its quotes"))?;
        labels.push((name.to_owned(), value));
        if labels.len() > most {
            return Err(wrong(&format!("more than {most}")));
        }
        rest = behind.trim_start();
        if let Some(behind) = rest.strip_prefix(',') {
            rest = behind.trim_start();
        } else if !rest.is_empty() {
            return Err(wrong("two without a comma between them"));
        }
    }
    labels.sort();
    Ok(labels)
}

/// A string literal of Go, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (value, rest) = raw.split_once('`')?;
        return Some((value.to_owned(), rest));
    }
    let body = text.strip_prefix('"')?;
    let mut bytes = Vec::new();
    let mut chars = body.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                let value = String::from_utf8(bytes).ok()?;
                return Some((value, &body[at + 1..]));
            }
            '\\' => {
                let (_, kind) = chars.next()?;
                escape(kind, &mut chars, &mut bytes)?;
            }
            char => put(&mut bytes, char),
        }
    }
    None
}

fn escape(kind: char, chars: &mut std::str::CharIndices<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let mut number = |digits: usize, radix: u32, first: Option<char>| {
        let mut value = first.map_or(Some(0), |c| c.to_digit(radix))?;
        for _ in 0..digits {
            value = value
                .checked_mul(radix)?
                .checked_add(chars.next()?.1.to_digit(radix)?)?;
        }
        Some(value)
    };
    match kind {
        'a' => bytes.push(7),
        'b' => bytes.push(8),
        'f' => bytes.push(12),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(11),
        '\\' | '"' | '\'' => put(bytes, kind),
        // Bytes, of which several may make one character.
        'x' => bytes.push(u8::try_from(number(2, 16, None)?).ok()?),
        '0'..='7' => bytes.push(u8::try_from(number(2, 8, Some(kind))?).ok()?),
        'u' => put(bytes, char::from_u32(number(4, 16, None)?)?),
        'U' => put(bytes, char::from_u32(number(8, 16, None)?)?),
        _ => return None,
    }
    Some(())
}

fn put(bytes: &mut Vec<u8>, char: char) {
    bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<(String, String)> {
        parse(text, 10).unwrap()
    }

    #[test]
    fn labels_are_read_with_every_escape_that_go_writes() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(labels("{}"), []);
        assert_eq!(
            labels(r#"{job="varlogs",  host = "a\"b\\", }"#),
            [pair("host", "a\"b\\"), pair("job", "varlogs")]
        );
        assert_eq!(
            labels(r#"{a="\u00fc\xc3\xbc\303\274\t, }", b=`raw\n`}"#),
            [pair("a", "üüü\t, }"), pair("b", "raw\\n")]
        );
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for text in [
            "",
            "job",
            "{job}",
            "{job=x}",
            r#"{job="x}"#,
            r#"{job="x" host="y"}"#,
            r#"{="x"}"#,
            r#"{a="\q"}"#,
            r#"{a="\xff"}"#,
            r#"{a="\400"}"#,
            r#"{a="\ud800"}"#,
        ] {
            assert!(parse(text, 10).is_err(), "{text}");
        }
        assert!(parse(r#"{a="1",b="2"}"#, 1).is_err());
    }
}
