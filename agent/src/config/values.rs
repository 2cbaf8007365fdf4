//! Values as users write them: `2GiB`, `30s`, `127.0.0.1:4317`, `https://host/path`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::yaml::{Kind, Node};

/// Where something listens: `127.0.0.1:4317`, `[::1]:4317`, `localhost:4317`, or `:4317` for every
/// interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// This machine only.
    pub fn loopback(port: u16) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
        }
    }

    /// Reads `host:port`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "{text:?} is not an address; write it like \"127.0.0.1:4317\" or \"[::1]:4317\""
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port.parse().map_err(|_| expected())?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                let inner = inner.strip_suffix(']').ok_or_else(expected)?;
                inner.parse::<Ipv6Addr>().map_err(|_| expected())?;
                inner
            }
            None if host.contains([':', '/', '@', ' ']) => return Err(expected()),
            None => host,
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// Host name or address; empty for every interface.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; zero lets the system choose.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// What to bind to.
    pub fn bind_address(&self) -> (&str, u16) {
        (
            if self.host.is_empty() {
                "::"
            } else {
                &self.host
            },
            self.port,
        )
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// `http://` or `https://`, host, port and path, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads a URL without user, query and fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "{text:?} is not the URL of an OTLP/HTTP endpoint; write it like \"https://otlp.example.com\""
            )
        };
        let url = text.trim().trim_end_matches('/');
        let uri: http::Uri = url.parse().map_err(|_| expected())?;
        let scheme = uri.scheme_str().unwrap_or("");
        let plain = !url.contains(['@', '?', '#']);
        if !plain || !matches!(scheme, "http" | "https") || uri.host().is_none_or(str::is_empty) {
            return Err(expected());
        }
        for signal in petrel_wire::Signal::ALL {
            if url.ends_with(signal.path()) {
                let path = signal.path();
                return Err(format!(
                    "leave out {path:?} at the end: it is added for each signal"
                ));
            }
        }
        Ok(Self(url.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads `30s`, `5m`, `250ms`, `20us`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is not a duration; write it like \"30s\" or \"250ms\"");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(expected)?;
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| expected())?;
    let unit = match unit.trim() {
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(expected()),
    };
    Ok(unit * number)
}

/// Reads `2GiB`, `512MiB`, `64KiB` or a number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let expected = || format!("{text:?} isn't a size; write \"2GiB\" or 2147483648");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(expected()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("{text:?} is larger than any disk"))
}

/// A count between bounds.
pub(super) fn count(text: &str, least: usize, most: usize) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|count| (least..=most).contains(count))
        .ok_or_else(|| format!("{text:?} is not a number from {least} to {most}"))
}

/// YAML's core schema as JSON, for the configuration that a processor is handed.
pub(super) fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::List(list) => list.iter().map(json).collect(),
        Kind::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.value)))
                .collect::<Map<_, _>>(),
        ),
        Kind::Scalar { text, quoted: true } => Value::String(text.clone()),
        Kind::Scalar { text, .. } => plain(text),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let number = text
        .starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        .then(|| {
            let whole = text.parse::<i64>().map(Number::from).ok();
            whole.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
        })
        .flatten();
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}
