//! [`Dsn`]: where a project lives and the token that opens it, in every spelling in use.
//!
//! `http://TOKEN@host:14317/1` (old: gRPC port, project id), `https://TOKEN@host?grpc=4317`,
//! `http://TOKEN@host:14318?grpc=14317`, `https://TOKEN@host/2?grpc=4317`. The project is found by
//! the token alone; path, password and other query parameters are ignored.

use std::fmt;
use std::str::FromStr;

/// A project's secret. Compare and send it, never print it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

impl Token {
    /// Takes any non-empty text without white space or control characters, at most 512 bytes.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        if text.is_empty() {
            return Err(DsnError::NoToken);
        }
        if text.len() > 512 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(DsnError::BadToken);
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, for the one header or lookup that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Scheme, host, ports and token of a project. `Display` and `Debug` hide the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn {
    tls: bool,
    host: String,
    port: Option<u16>,
    grpc: Option<u16>,
    token: Option<Token>,
}

/// What is missing or wrong in a DSN; never carries the text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DsnError {
    /// Nothing there.
    #[error("the DSN is empty; expected http://TOKEN@HOST:PORT?grpc=PORT")]
    Empty,
    /// No `http://` or `https://`.
    #[error("the DSN has no scheme; start it with http:// or https://")]
    NoScheme,
    /// Another scheme.
    #[error("the DSN's scheme is neither http nor https")]
    BadScheme,
    /// Nothing between `@` and `/`.
    #[error("the DSN has no host; expected http://TOKEN@HOST:PORT?grpc=PORT")]
    NoHost,
    /// Characters that no host has.
    #[error("the DSN's host is not a host name or address")]
    BadHost,
    /// Nothing before `@`.
    #[error("the DSN has no token; expected http://TOKEN@HOST:PORT?grpc=PORT")]
    NoToken,
    /// White space or control characters, or too long.
    #[error("the DSN's token has white space or control characters, or is too long")]
    BadToken,
    /// Not a number from 1 to 65535.
    #[error("the DSN's {0} is not a number from 1 to 65535")]
    BadPort(&'static str),
}

impl Dsn {
    /// The request header and gRPC metadata key that carries a DSN.
    pub const HEADER: &'static str = "uptrace-dsn";

    /// Longest DSN that is looked at, in bytes.
    pub const MAX_BYTES: usize = 2048;

    /// Reads a DSN; the token may be missing (some peers need none).
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(DsnError::Empty);
        }
        let (scheme, rest) = text.split_once("://").ok_or(DsnError::NoScheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(DsnError::BadScheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let token = match user.map(|user| user.split(':').next().unwrap_or("")) {
            Some(token) => Some(Token::parse(&percent_decode(token)?)?),
            None => None,
        };
        let (host, port) = split_address(address)?;
        let query = tail.split_once('?').map_or("", |(_, query)| query);
        let query = query.split('#').next().unwrap_or("");
        let grpc = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("grpc="))
            .map(|text| port_number(text, "grpc parameter"))
            .transpose()?;
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            grpc,
            token,
        })
    }

    /// Reads the value of an ingest header: a DSN, a percent-encoded DSN (as
    /// `OTEL_EXPORTER_OTLP_HEADERS` senders write it), or a bare token.
    pub fn token_from_header(value: &str) -> Result<Token, DsnError> {
        let value = value.trim();
        if value.is_empty() {
            return Err(DsnError::Empty);
        }
        if value.len() > Self::MAX_BYTES {
            return Err(DsnError::BadToken);
        }
        if value.contains("://") {
            return Self::parse(value)?.token.ok_or(DsnError::NoToken);
        }
        let decoded = percent_decode(value)?;
        if decoded.contains("://") {
            return Self::parse(&decoded)?.token.ok_or(DsnError::NoToken);
        }
        Token::parse(value)
    }

    /// Whether to speak TLS.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Host name or address; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The token, if the DSN has one.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Port for OTLP/HTTP. As the clients do: an old DSN names only the gRPC port 14317, whose
    /// HTTP twin is 14318.
    pub fn http_port(&self) -> u16 {
        match (self.port, self.grpc) {
            (Some(14317), None) => 14318,
            (Some(port), _) => port,
            (None, _) if self.tls => 443,
            (None, _) => 80,
        }
    }

    /// Port for OTLP/gRPC: the `grpc` parameter, else the port, else 4317.
    pub fn grpc_port(&self) -> u16 {
        self.grpc.or(self.port).unwrap_or(4317)
    }

    /// `scheme://host:port` for OTLP/HTTP, without the default port.
    pub fn http_origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let port = self.http_port();
        if port == if self.tls { 443 } else { 80 } {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{port}", self.host)
        }
    }

    /// The whole DSN with its token, for the header that a peer reads.
    pub fn expose(&self) -> String {
        self.write(|token| token.expose().to_owned())
    }

    fn write(&self, token: impl Fn(&Token) -> String) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let user = self
            .token
            .as_ref()
            .map_or(String::new(), |t| format!("{}@", token(t)));
        let port = self.port.map_or(String::new(), |port| format!(":{port}"));
        let grpc = self
            .grpc
            .map_or(String::new(), |grpc| format!("?grpc={grpc}"));
        format!("{scheme}://{user}{}{port}{grpc}", self.host)
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write(|_| "***".to_owned()))
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        Self::parse(text)
    }
}

fn split_address(address: &str) -> Result<(&str, Option<u16>), DsnError> {
    let (host, port) = if address.starts_with('[') {
        let end = address.find(']').ok_or(DsnError::BadHost)?;
        let (host, tail) = address.split_at(end + 1);
        let port = match tail {
            "" => None,
            _ => Some(tail.strip_prefix(':').ok_or(DsnError::BadHost)?),
        };
        (host, port)
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    if host.is_empty() {
        return Err(DsnError::NoHost);
    }
    let plain = |c: char| c.is_alphanumeric() || "-._[]:".contains(c);
    if !host.chars().all(plain) {
        return Err(DsnError::BadHost);
    }
    let port = port
        .filter(|text| !text.is_empty())
        .map(|text| port_number(text, "port"));
    Ok((host, port.transpose()?))
}

fn port_number(text: &str, what: &'static str) -> Result<u16, DsnError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(DsnError::BadPort(what)),
    }
}

fn percent_decode(text: &str) -> Result<String, DsnError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(DsnError::BadToken);
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| DsnError::BadToken)?);
    }
    String::from_utf8(bytes).map_err(|_| DsnError::BadToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> (String, u16, u16) {
        let dsn = Dsn::parse(text).unwrap();
        (dsn.http_origin(), dsn.http_port(), dsn.grpc_port())
    }

    #[test]
    fn every_spelling_in_use_names_the_same_ports_as_the_clients() {
        let cases = [
            (
                "http://t@localhost:14317/1",
                ("http://localhost:14318", 14318, 14317),
            ),
            (
                "http://t@localhost:14318?grpc=14317",
                ("http://localhost:14318", 14318, 14317),
            ),
            (
                "https://t@api.example.com?grpc=4317",
                ("https://api.example.com", 443, 4317),
            ),
            (
                "https://t@example.com/2?grpc=4317",
                ("https://example.com", 443, 4317),
            ),
            (
                "http://t@[::1]:14318?grpc=14317",
                ("http://[::1]:14318", 14318, 14317),
            ),
            ("http://t:password@host:80", ("http://host", 80, 80)),
        ];
        for (text, (origin, http, grpc)) in cases {
            assert_eq!(ports(text), (origin.to_owned(), http, grpc), "{text}");
        }
    }

    #[test]
    fn a_dsn_never_prints_its_token() {
        let dsn = Dsn::parse("http://hunter2@host:14318?grpc=14317").unwrap();
        assert_eq!(dsn.to_string(), "http://***@host:14318?grpc=14317");
        assert!(!format!("{dsn:?} {:?}", dsn.token()).contains("hunter2"));
        assert_eq!(dsn.expose(), "http://hunter2@host:14318?grpc=14317");
    }

    #[test]
    fn an_error_names_what_is_missing_and_not_the_text() {
        let cases = [
            ("", DsnError::Empty),
            ("token@host", DsnError::NoScheme),
            ("ftp://token@host", DsnError::BadScheme),
            ("http://token@", DsnError::NoHost),
            ("http://@host", DsnError::NoToken),
            ("http://token@host:0", DsnError::BadPort("port")),
            (
                "http://token@host?grpc=x",
                DsnError::BadPort("grpc parameter"),
            ),
            ("http://token@ho st", DsnError::BadHost),
        ];
        for (text, error) in cases {
            assert_eq!(Dsn::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_header_may_carry_a_dsn_an_encoded_dsn_or_a_bare_token() {
        for value in [
            "http://secret@h:14317/1",
            "http%3A%2F%2Fsecret%40h%3Fgrpc%3D4317",
            "secret",
        ] {
            assert_eq!(
                Dsn::token_from_header(value).unwrap().expose(),
                "secret",
                "{value}"
            );
        }
        assert_eq!(
            Dsn::token_from_header("http://h:4317"),
            Err(DsnError::NoToken)
        );
    }
}
