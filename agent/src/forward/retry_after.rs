//! `Retry-After`, in seconds or as a date.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// Whoever asks for more than this is asked again all the same.
const MOST: Duration = Duration::from_secs(3600);

/// A date counts from the peer's own `Date`: our clock may be years off.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let value = text(header::RETRY_AFTER)?.trim();
    let after = if let Ok(seconds) = value.parse() {
        Duration::from_secs(seconds)
    } else {
        let until: SystemTime = httpdate::parse_http_date(value).ok()?;
        let now = httpdate::parse_http_date(text(header::DATE)?).ok()?;
        until.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(after.min(MOST))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(retry: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry));
        if let Some(date) = date {
            headers.insert(header::DATE, HeaderValue::from_static(date));
        }
        retry_after(&headers).map(|after| after.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read_and_dates_by_the_peers_clock() {
        assert_eq!(check("7", None), Some(7));
        let date = "Fri, 01 Jan 1999 00:00:00 GMT";
        assert_eq!(check("Fri, 01 Jan 1999 00:01:30 GMT", Some(date)), Some(90));
        assert_eq!(check("Fri, 01 Jan 1999 00:01:30 GMT", None), None);
        assert_eq!(check("soon", Some(date)), None);
    }

    #[test]
    fn nobody_is_left_alone_for_longer_than_an_hour() {
        assert_eq!(check("99999999", None), Some(3600));
    }
}
