//! URLs without what may be personal: user information, values of parameters, fragments.

/// What the semantic conventions put in place.
const REDACTED: &str = "REDACTED";

/// A URL, or a path with a query.
pub(crate) fn scrub(text: &str, keep: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let (text, fragment) = split(text, '#');
    let (place, parameters) = split(text, '?');
    match place.split_once("://") {
        Some((scheme, rest)) => {
            let host_ends = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(host_ends);
            out.push_str(scheme);
            out.push_str("://");
            match authority.rsplit_once('@') {
                Some((_, host)) => {
                    out.push_str(REDACTED);
                    out.push('@');
                    out.push_str(host);
                }
                None => out.push_str(authority),
            }
            out.push_str(path);
        }
        None => out.push_str(place),
    }
    if let Some(parameters) = parameters {
        out.push('?');
        query(parameters, keep, &mut out);
    }
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(if fragment.is_empty() { "" } else { REDACTED });
    }
    out
}

/// A query string without `?`.
pub(crate) fn query(text: &str, keep: &[String], out: &mut String) {
    for (index, parameter) in text.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        match parameter.split_once('=') {
            Some((name, value)) if value.is_empty() || keep.iter().any(|kept| kept == name) => {
                out.push_str(parameter);
            }
            Some((name, _)) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
            }
            // Without a name it is a value itself, except where it is nothing.
            None if parameter.is_empty() || keep.iter().any(|kept| kept == parameter) => {
                out.push_str(parameter);
            }
            None => out.push_str(REDACTED),
        }
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str) {
        assert_eq!(scrub(before, &["page".into()]), after);
    }

    #[test]
    fn parameters_users_and_fragments_go_and_places_stay() {
        check("https://shop.example/cart", "https://shop.example/cart");
        check(
            "https://bob:pw@shop.example:8080/cart?page=2&token=a%20b&empty=#step",
            "https://REDACTED@shop.example:8080/cart?page=2&token=REDACTED&empty=#REDACTED",
        );
        check("/cart?id=5", "/cart?id=REDACTED");
        check("/cart?5&page&&x=1?2", "/cart?REDACTED&page&&x=REDACTED");
        check("https://a@b@host", "https://REDACTED@host");
        check("https://host/a@b", "https://host/a@b");
        check("/a#", "/a#");
        check("", "");
    }
}
