//! Why there was no answer, in words that say what to do.
//!
//! Most failures of a link pass by themselves. A certificate that doesn't verify and a proxy that
//! wants a password do not: somebody must act, so the data is parked, with the cause named.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use petrel_wire::{Delivery, Refusal};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

/// What a failed exchange means for the batch that it carried.
pub(super) fn delivery(error: &(dyn Error + 'static)) -> Delivery {
    if let Some(words) = causes(error).into_iter().find_map(lasting) {
        return Delivery::Refused(Refusal::Parked, words);
    }
    Delivery::Busy {
        after: None,
        reason: chain(error),
    }
}

/// Whether no connection came about at all: a name that is not found, no way there, nobody who
/// listens. A handshake that failed has reached somebody; one that was not answered in time counts
/// as an attempt to connect, which from here looks the same as a hole in the network, and which by
/// its length spares a peer that is merely slow.
pub(super) fn reached_nobody(error: &reqwest::Error) -> bool {
    error.is_connect() && (error.is_timeout() || error.is_dns() || has_no_way(error))
}

fn has_no_way(error: &(dyn Error + 'static)) -> bool {
    let kinds = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::NetworkDown,
        io::ErrorKind::AddrNotAvailable,
        io::ErrorKind::TimedOut,
    ];
    causes(error)
        .into_iter()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| kinds.contains(&cause.kind()))
}

/// The error and everything below it. `io::Error` hides its cause from `source`.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        causes.push(error);
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    causes
}

/// What will not pass by itself.
fn lasting(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return tls(error);
    }
    // HTTP/2 keeps nothing but the words of what ended a connection.
    let words = error.to_string();
    if let Some((_, alert)) = words.rsplit_once("received fatal alert: ") {
        let ours = ABOUT_US
            .into_iter()
            .find(|ours| format!("{ours:?}") == alert);
        return ours.map(refused_as);
    }
    // The connector's own type is private.
    (words == "tunnel error: proxy authorization required").then(|| {
        "HTTP 407: the proxy wants a name and a password; write them into forward.proxy \
         (http://NAME:PASSWORD@HOST:PORT)"
            .to_owned()
    })
}

/// Alerts that a peer sends when it minds our certificate, or the lack of one.
const ABOUT_US: [AlertDescription; 8] = [
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::CertificateRequired,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
];

fn refused_as(alert: AlertDescription) -> String {
    format!(
        "the peer does not take our certificate ({alert:?}); see forward.tls.cert_file and key_file"
    )
}

fn tls(error: &TlsError) -> Option<String> {
    match error {
        TlsError::InvalidCertificate(why) => Some(certificate(why)),
        TlsError::AlertReceived(alert) if ABOUT_US.contains(alert) => Some(refused_as(*alert)),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => Some(
            "what answers there does not speak TLS; is it https, and the right port?".to_owned(),
        ),
        TlsError::NoCertificatesPresented | TlsError::PeerIncompatible(_) => {
            Some(format!("TLS: {error}"))
        }
        _ => None,
    }
}

fn certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired => "the peer's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the peer's certificate has expired on {}; this machine's clock says {}",
            date(*not_after),
            date(*time)
        ),
        CertificateError::NotValidYet => {
            "the peer's certificate is not yet valid; is this machine's clock right?".to_owned()
        }
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the peer's certificate is not yet valid, it begins on {}; this machine's clock says \
             {}, set the clock if that is wrong",
            date(*not_before),
            date(*time)
        ),
        CertificateError::UnknownIssuer => "the peer's certificate is from an unknown issuer; \
             if it is the right peer, name the issuer's certificate in forward.tls.ca_file"
            .to_owned(),
        CertificateError::NotValidForName => {
            "the peer's certificate is for another name; see forward.tls.server_name".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the peer's certificate is not for the name {}, but for {}; if it is the right peer, \
             write that into forward.tls.server_name",
            expected.to_str(),
            list(presented)
        ),
        CertificateError::Revoked => "the peer's certificate is revoked".to_owned(),
        other => format!("the peer's certificate cannot be used: {other}"),
    }
}

/// Names as in `DnsName("a.example")`, without the wrapping.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "no name at all".to_owned();
    }
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest);
        inner.trim_end_matches(')').trim_matches('"').to_owned()
    };
    names.iter().map(bare).collect::<Vec<_>>().join(", ")
}

fn date(time: UnixTime) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

/// An error with its causes, each once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = String::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(error: TlsError) -> String {
        // As it comes out of the HTTP client: wrapped in I/O errors.
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        match delivery(&error) {
            Delivery::Refused(Refusal::Parked, words) => words,
            other => panic!("{other:?}"),
        }
    }

    fn on(day: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(day * 86_400))
    }

    #[test]
    fn a_certificate_that_is_not_yet_valid_makes_us_suspect_the_clock() {
        let words = parked(TlsError::InvalidCertificate(
            CertificateError::NotValidYetContext {
                time: on(1),
                not_before: on(20_000),
            },
        ));
        assert!(words.contains("not yet valid"), "{words}");
        assert!(words.contains("clock says Fri, 02 Jan 1970"), "{words}");
    }

    #[test]
    fn a_wrong_name_is_told_with_the_right_ones() {
        let words = parked(TlsError::InvalidCertificate(
            CertificateError::NotValidForNameContext {
                expected: "a.example".try_into().unwrap(),
                presented: vec!["DnsName(\"b.example\")".to_owned()],
            },
        ));
        assert!(
            words.contains("name a.example, but for b.example;"),
            "{words}"
        );
    }

    #[test]
    fn a_broken_connection_is_not_a_matter_for_an_operator() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let outer = io::Error::other(reset);
        let Delivery::Busy { reason, .. } = delivery(&outer) else {
            panic!("parked");
        };
        assert!(reason.contains("reset"), "{reason}");
    }
}
