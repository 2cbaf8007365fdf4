//! Values as users write them: `2GiB`, `30s`, `127.0.0.1:4317`, `https://host/path`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use petrel_plugin_host::written::plain;
use serde_json::{Map, Value};

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
