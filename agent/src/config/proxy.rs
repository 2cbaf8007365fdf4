//! `forward.proxy` and the proxies of the environment.

use std::fmt;

/// An HTTP proxy on the way out.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// With its credentials; never printed.
    url: String,
    /// Hosts that are reached without it, as `NO_PROXY` lists them.
    exempt: Option<String>,
}

/// What `forward.proxy` says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) enum Choice {
    /// Nothing: the environment decides.
    #[default]
    Environment,
    /// `none`: nobody in between, whatever the environment says.
    Direct,
    /// This one.
    Proxy(Proxy),
}

impl Proxy {
    /// Reads `http://NAME:PASSWORD@HOST:PORT`. What is wrong is said without the text, which may
    /// hold a password.
    fn parse(text: &str) -> Result<Self, String> {
        let expected = "is not the URL of a proxy; write it like \"http://proxy.example.com:3128\" \
                        or \"http://NAME:PASSWORD@HOST:PORT\"";
        let text = text.trim().trim_end_matches('/');
        // As curl and most environments have it: a bare host and port.
        let url = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: http::Uri = url.parse().map_err(|_| expected)?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !known || uri.host().is_none_or(str::is_empty) || !matches!(uri.path(), "" | "/") {
            return Err(expected.to_owned());
        }
        Ok(Self { url, exempt: None })
    }

    /// The whole URL, for the client.
    pub fn expose(&self) -> &str {
        &self.url
    }

    /// Hosts that are reached without it.
    pub fn exempt(&self) -> Option<&str> {
        self.exempt.as_deref()
    }

    /// Whether it is spoken to in TLS itself.
    pub fn speaks_tls(&self) -> bool {
        self.url.starts_with("https://")
    }
}

/// Without its credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("http", &self.url));
        let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
        write!(f, "{scheme}://{address}")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Choice {
    /// Reads `forward.proxy`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => Ok(Self::Direct),
            url => Proxy::parse(url).map(Self::Proxy),
        }
    }

    /// The proxy on the way to a peer.
    pub(super) fn resolve(
        self,
        environment: &ProxyEnvironment,
        base_url: &str,
        local: bool,
    ) -> Result<Option<Proxy>, String> {
        match self {
            Self::Environment => environment.proxy_for(base_url, local),
            Self::Direct => Ok(None),
            Self::Proxy(proxy) => Ok(Some(proxy)),
        }
    }
}

/// Proxies as the environment names them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyEnvironment {
    /// `http_proxy`, for peers that are spoken to in the clear.
    pub http: Option<String>,
    /// `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `ALL_PROXY`: for both, if there is none of their own.
    pub all: Option<String>,
    /// `NO_PROXY`.
    pub exempt: Option<String>,
}

impl ProxyEnvironment {
    /// Reads the variables through `get`; the lower case wins, as in curl.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            let set = |name: &str| get(name).filter(|value| !value.trim().is_empty());
            set(&name.to_ascii_lowercase()).or_else(|| set(name))
        };
        Self {
            http: either("HTTP_PROXY"),
            https: either("HTTPS_PROXY"),
            all: either("ALL_PROXY"),
            exempt: either("NO_PROXY"),
        }
    }

    /// The proxy for a peer, if any. This machine itself is reached without one.
    fn proxy_for(&self, base_url: &str, local: bool) -> Result<Option<Proxy>, String> {
        let (name, own) = if base_url.starts_with("https://") {
            ("HTTPS_PROXY", &self.https)
        } else {
            ("HTTP_PROXY", &self.http)
        };
        let Some(text) = own.as_ref().or(self.all.as_ref()).filter(|_| !local) else {
            return Ok(None);
        };
        let mut proxy = Proxy::parse(text).map_err(|what| format!("{name} {what}"))?;
        proxy.exempt.clone_from(&self.exempt);
        Ok(Some(proxy))
    }
}

/// Proxies may hold passwords.
impl fmt::Debug for ProxyEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyEnvironment")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_never_shows_its_password() {
        let proxy = Proxy::parse("http://me:hunter2@proxy.example:3128/").unwrap();
        assert_eq!(proxy.to_string(), "http://proxy.example:3128");
        assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy.example:3128)");
        assert_eq!(proxy.expose(), "http://me:hunter2@proxy.example:3128");
    }

    #[test]
    fn the_environments_proxy_goes_by_the_scheme_of_the_peer_and_spares_this_machine() {
        let get = |name: &str| match name {
            "https_proxy" => Some("secure:1".to_owned()),
            "HTTPS_PROXY" => Some("loud:1".to_owned()),
            "ALL_PROXY" => Some("http://all:2".to_owned()),
            _ => None,
        };
        let environment = ProxyEnvironment::read(get);
        let proxy = |url: &str, local| {
            let proxy = environment.proxy_for(url, local).unwrap();
            proxy.map(|proxy| proxy.to_string())
        };
        assert_eq!(proxy("https://a", false).unwrap(), "http://secure:1");
        assert_eq!(proxy("http://a", false).unwrap(), "http://all:2");
        assert_eq!(proxy("https://127.0.0.1", true), None);
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_repeating_it() {
        let error = Proxy::parse("socks5://me:hunter2@proxy:1080").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
