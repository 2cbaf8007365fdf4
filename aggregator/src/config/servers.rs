//! Addresses of servers, in the spellings that Uptrace's files have them.

/// The port of ClickHouse's own protocol, and the HTTP port of the same server.
const NATIVE_PORTS: [(u16, u16); 2] = [(9000, 8123), (9440, 8443)];

/// An address for people and browsers, without a slash at its end.
pub(super) fn site_url(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match host {
        _ if text.is_empty() => Ok(String::new()),
        Some(host) if !host.is_empty() && !host.starts_with('/') => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!(
            "{text:?} is not an address; write it like \"http://localhost:14318\""
        )),
    }
}

/// The HTTP address of a ClickHouse server from what Uptrace is given: `clickhouse:9000`.
pub(super) fn http_url(text: &str, encrypted: bool) -> Result<String, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return site_url(text);
    }
    let (host, port) = host_and_port(text, 8123)?;
    let encrypted = encrypted || port == 9440 || port == 8443;
    let port = match NATIVE_PORTS.iter().find(|(native, _)| *native == port) {
        Some(_) if encrypted => 8443,
        Some((_, http)) => *http,
        None => port,
    };
    let scheme = if encrypted { "https" } else { "http" };
    Ok(format!("{scheme}://{host}:{port}"))
}

pub(super) fn host_and_port(text: &str, default: u16) -> Result<(String, u16), String> {
    let expected = || format!("{text:?} is not an address; write it like \"host:{default}\"");
    if text.is_empty() || text.contains(['/', '@', ' ']) {
        return Err(expected());
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => Err(expected()),
        Some((host, port)) if !text.ends_with(']') => {
            let host = if host.is_empty() { "localhost" } else { host };
            Ok((host.to_owned(), port.parse().map_err(|_| expected())?))
        }
        _ => Ok((text.to_owned(), default)),
    }
}

/// `clickhouse://user:password@host:port/database?sslmode=disable`.
pub(super) struct ServerDsn {
    pub(super) address: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
    pub(super) sslmode: Option<String>,
}

impl ServerDsn {
    /// Its errors do not repeat the text, which holds a password.
    pub(super) fn parse(text: &str, scheme: &str) -> Result<Self, String> {
        let expected = || {
            format!("is not a DSN; write it like \"{scheme}://user:password@host:port/database\"")
        };
        let (found, rest) = text.split_once("://").ok_or_else(expected)?;
        if found != scheme && !(scheme == "postgres" && found == "postgresql") {
            return Err(expected());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, authority),
        };
        host_and_port(address, 0).map_err(|_| expected())?;
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, "")))
        {
            Some((user, password)) => (Some(decoded(user)), Some(decoded(password))),
            None => (None, None),
        };
        let sslmode = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("sslmode="))
            .map(str::to_owned);
        Ok(Self {
            address: address.to_owned(),
            user: user.filter(|user| !user.is_empty()),
            password,
            database: (!database.is_empty()).then(|| database.to_owned()),
            sslmode,
        })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let (b'%', Some(byte)) = (first, hex) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
