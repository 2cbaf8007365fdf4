//! The guard: headers on every answer, and no state change for another site's page.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{Error, Site};

/// Scripts and styles are our own files and nothing else; telemetry is shown as text.
const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Adds the security headers to whatever is answered.
pub(super) async fn headers(
    State(site): State<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let set = |headers: &mut HeaderMap, name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(headers, header::CONTENT_SECURITY_POLICY, CSP);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "same-origin");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    set(headers, opener, "same-origin");
    if site.https() {
        set(
            headers,
            header::STRICT_TRANSPORT_SECURITY,
            "max-age=31536000",
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        set(headers, header::CACHE_CONTROL, "no-store");
    }
    response
}

/// Refuses unsafe methods from other sites' pages. `SameSite=Lax` already keeps the cookie at
/// home; this holds where a browser does not know it, or a sibling host is not trusted.
pub(super) async fn same_site(
    State(site): State<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let authority = request.uri().authority().map(ToString::to_string);
    if !safe && !comes_from_us(request.headers(), authority.as_deref(), site.authority()) {
        return Error::cross_site().into_response();
    }
    next.run(request).await
}

/// Programs send neither header; browsers send at least one, and pages cannot change either.
fn comes_from_us(headers: &HeaderMap, h2_authority: Option<&str>, site: &str) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
    };
    let fetch_site = HeaderName::from_static("sec-fetch-site");
    if text(fetch_site).is_some_and(|from| from != "same-origin" && from != "none") {
        return false;
    }
    let Some(origin) = text(header::ORIGIN) else {
        return true;
    };
    let Some((_, authority)) = origin.split_once("://") else {
        return false; // "null": a sandboxed page
    };
    let host = text(header::HOST).or(h2_authority);
    host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
        || authority.eq_ignore_ascii_case(site)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        comes_from_us(&headers, None, "traces.example.com")
    }

    #[test]
    fn only_our_own_pages_and_programs_may_change_things() {
        let host = ("host", "10.0.0.1:14318");
        assert!(check(&[host]));
        assert!(check(&[host, ("origin", "http://10.0.0.1:14318")]));
        assert!(
            check(&[host, ("origin", "https://traces.example.com")]),
            "behind a proxy"
        );
        assert!(check(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(check(&[host, ("sec-fetch-site", "none")]));
        assert!(!check(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!check(&[host, ("sec-fetch-site", "same-site")]));
        assert!(!check(&[host, ("origin", "http://10.0.0.1:8080")]));
        assert!(!check(&[host, ("origin", "https://evil.example")]));
        assert!(!check(&[host, ("origin", "null")]));
        assert!(!check(&[
            host,
            ("origin", "http://10.0.0.1:14318"),
            ("sec-fetch-site", "cross-site")
        ]));
    }
}
