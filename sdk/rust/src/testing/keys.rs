//! Rules for attribute keys, as the host reads them.

/// Whether `rule` (alternatives with `|`) covers `key`.
pub(super) fn covers(rule: &str, key: &str) -> bool {
    let (rule, key) = (rule.to_ascii_lowercase(), key.to_ascii_lowercase());
    rule.split('|').any(|one| {
        let text = one.trim_matches('*');
        match (one.starts_with('*'), one.ends_with('*')) {
            (false, false) => key == text,
            (false, true) => key.starts_with(text),
            (true, false) => key.ends_with(text),
            (true, true) => key.contains(text),
        }
    })
}

/// Whether the host takes it.
pub(super) fn is_rule(rule: &str) -> bool {
    rule.split('|').all(|one| {
        let text = one.strip_prefix('*').unwrap_or(one);
        let text = text.strip_suffix('*').unwrap_or(text);
        !one.is_empty() && !text.contains('*')
    })
}

/// The key, if the rule means exactly one.
pub(super) fn exact(rule: &str) -> Option<&str> {
    (!rule.contains(['|', '*'])).then_some(rule)
}
