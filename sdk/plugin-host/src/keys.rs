//! Rules for attribute keys: exact, `prefix*`, `*suffix`, `*part*`, `*`; alternatives with `|`.

/// A list of alternatives. ASCII letters compare without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRule {
    alternatives: Vec<Alternative>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    text: Box<[u8]>,
    open_start: bool,
    open_end: bool,
}

impl KeyRule {
    /// Nothing if `rule` or an alternative is empty, or has a `*` in its middle.
    pub(crate) fn parse(rule: &str) -> Option<Self> {
        let alternatives = rule.split('|').map(Alternative::parse);
        alternatives
            .collect::<Option<_>>()
            .map(|alternatives| Self { alternatives })
    }

    /// Whether one of the alternatives covers `key`.
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        self.alternatives
            .iter()
            .any(|alternative| alternative.covers(key))
    }

    /// The key, if this rule means exactly one.
    pub(crate) fn exact(&self) -> Option<&[u8]> {
        match self.alternatives.as_slice() {
            [one] if !one.open_start && !one.open_end => Some(&one.text),
            _ => None,
        }
    }
}

impl Alternative {
    fn parse(text: &str) -> Option<Self> {
        let (open_start, rest) = match text.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (open_end, rest) = match rest.strip_suffix('*') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let usable = !text.is_empty() && !rest.contains('*');
        usable.then(|| Self {
            text: rest.as_bytes().into(),
            open_start,
            open_end: open_end || (open_start && rest.is_empty()),
        })
    }

    fn covers(&self, key: &[u8]) -> bool {
        let text = &self.text;
        let Some(spare) = key.len().checked_sub(text.len()) else {
            return false;
        };
        match (self.open_start, self.open_end) {
            (false, false) => spare == 0 && key.eq_ignore_ascii_case(text),
            (false, true) => key[..text.len()].eq_ignore_ascii_case(text),
            (true, false) => key[spare..].eq_ignore_ascii_case(text),
            (true, true) => {
                text.is_empty()
                    || key
                        .windows(text.len())
                        .any(|part| part.eq_ignore_ascii_case(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_either_end_covers_anything_there() {
        let check = |rule: &str, yes: &[&str], no: &[&str]| {
            let parsed = KeyRule::parse(rule).unwrap();
            for key in yes {
                assert!(parsed.covers(key.as_bytes()), "{rule} should cover {key}");
            }
            for key in no {
                assert!(
                    !parsed.covers(key.as_bytes()),
                    "{rule} should not cover {key}"
                );
            }
        };
        check(
            "password",
            &["password", "PassWord"],
            &["passwords", "a.password", ""],
        );
        check("db.*", &["db.", "db.query", "DB.x"], &["db", "xdb.y"]);
        check(
            "*.secret",
            &[".secret", "a.Secret"],
            &["secret", "a.secrets"],
        );
        check("*key*", &["key", "a key b", "KEYS"], &["ke", "k-ey"]);
        check("*", &["", "anything"], &[]);
        check("a|*.b|c*", &["a", "x.b", "cd"], &["b", "xa"]);
    }

    #[test]
    fn a_rule_that_means_nothing_is_refused() {
        for rule in ["", "a||b", "a*b", "*a*b*", "|"] {
            assert_eq!(KeyRule::parse(rule), None, "{rule:?}");
        }
    }

    #[test]
    fn only_a_single_plain_key_is_exact() {
        let exact = |rule| KeyRule::parse(rule).unwrap().exact().map(<[u8]>::to_vec);
        assert_eq!(exact("a.b"), Some(b"a.b".to_vec()));
        assert_eq!(exact("a|b"), None);
        assert_eq!(exact("a*"), None);
    }
}
