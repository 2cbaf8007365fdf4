//! [`ListenAddr`]: `:14318`, `127.0.0.1:14318`, `[::1]:14318` or `localhost:14318`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a listener listens. Without a host it is every interface, as Go programs read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddr {
    host: Option<String>,
    port: u16,
}

impl ListenAddr {
    /// This machine only.
    pub fn loopback(port: u16) -> Self {
        Self {
            host: Some(Ipv4Addr::LOCALHOST.to_string()),
            port,
        }
    }

    /// Reads `host:port`, `[v6]:port` or `:port`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "{text:?} is not an address; write \":14318\", \"127.0.0.1:14318\" or \"[::1]:14318\""
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
            host: (!host.is_empty()).then(|| host.to_owned()),
            port,
        })
    }

    /// The port; zero lets the system choose.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        match self.host() {
            Some("localhost") => true,
            Some(host) => host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
            None => false,
        }
    }

    /// The host, unless it is every interface.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => write!(f, ":{}", self.port),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_what_they_print() {
        for text in [":14317", "127.0.0.1:0", "[::1]:14318", "localhost:80"] {
            assert_eq!(ListenAddr::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "14317",
            "::1:80",
            "[::1:80",
            "host:70000",
            "http://host:80",
            "",
        ] {
            assert!(ListenAddr::parse(bad).is_err(), "{bad}");
        }
    }
}
