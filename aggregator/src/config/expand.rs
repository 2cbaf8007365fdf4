//! Environment variables in the text, as Uptrace expands them: `$NAME`, `${NAME}`,
//! `${NAME:default}`, and `$$` for a dollar. Names match `[A-Z][A-Z0-9_]+`, so that `pa$word`
//! stays what it is.

/// Expands the whole text. A variable that is not set is its default, or nothing.
pub(super) fn expand(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        rest = if let Some(behind) = behind.strip_prefix('$') {
            expanded.push('$');
            behind
        } else if let Some((name, default, behind)) = braced(behind) {
            expanded.push_str(&environment(name).unwrap_or_else(|| default.to_owned()));
            behind
        } else if let Some(end) = name_end(behind) {
            expanded.push_str(&environment(&behind[..end]).unwrap_or_default());
            &behind[end..]
        } else {
            expanded.push('$');
            behind
        };
    }
    expanded.push_str(rest);
    expanded
}

/// `{NAME}` or `{NAME:default}`: name, default, and what follows.
fn braced(text: &str) -> Option<(&str, &str, &str)> {
    let (inner, behind) = text.strip_prefix('{')?.split_once('}')?;
    let end = name_end(inner)?;
    match inner[end..].strip_prefix(':') {
        Some(default) => Some((&inner[..end], default, behind)),
        None if end == inner.len() => Some((inner, "", behind)),
        None => None,
    }
}

/// Where the name at the start of `text` ends.
fn name_end(text: &str) -> Option<usize> {
    let end = text
        .bytes()
        .position(|b| !(b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'))
        .unwrap_or(text.len());
    (end >= 2 && text.as_bytes()[0].is_ascii_uppercase()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_expanded_and_nothing_else() {
        let environment = |name: &str| (name == "HOST_1").then(|| "db".to_owned());
        for (text, expanded) in [
            ("a $HOST_1 b", "a db b"),
            ("${HOST_1}:9000", "db:9000"),
            ("${OTHER:localhost:9000}", "localhost:9000"),
            ("${OTHER}$OTHER.", "."),
            ("$$HOST_1", "$HOST_1"),
            (
                "pa$word $ ${lower} $A ${HOST_1",
                "pa$word $ ${lower} $A ${HOST_1",
            ),
        ] {
            assert_eq!(expand(text, &environment), expanded, "{text}");
        }
    }
}
