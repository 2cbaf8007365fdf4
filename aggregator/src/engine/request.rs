//! One request of ClickHouse's HTTP interface, taken apart.

use axum::extract::Query;
use axum::http::{HeaderMap, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a request asks for, before its body is read.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) query: Option<String>,
    pub(super) database: String,
    pub(super) format: String,
    pub(super) settings: Vec<(String, String)>,
    pub(super) parameters: Vec<(String, String)>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Part of the interface, but no settings of the engine: it has no connection that they are about.
const ABOUT_HTTP: [&str; 12] = [
    "query_id",
    "session_id",
    "session_timeout",
    "session_check",
    "client_protocol_version",
    "buffer_size",
    "wait_end_of_query",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "add_http_cors_header",
    "enable_http_compression",
    "quota_key",
];

impl Asked {
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, String> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| format!("cannot read the URL: {error}"))?
            .0;
        let mut asked = Self {
            format: "TabSeparated".to_owned(),
            ..Self::default()
        };
        asked.read_credentials(headers);
        for (name, value) in pairs {
            match name.as_str() {
                "query" => asked.query = Some(value),
                "database" => asked.database = value,
                "default_format" => asked.format = value,
                "user" => asked.user = value,
                "password" => asked.password = value,
                "compress" | "decompress" if value == "1" => {
                    return Err("compression is not offered on loopback".to_owned());
                }
                "compress" | "decompress" => {}
                name if ABOUT_HTTP.contains(&name) => {}
                name => match name.strip_prefix("param_") {
                    Some(parameter) => asked.parameters.push((parameter.to_owned(), value)),
                    None if is_identifier(name) => asked.settings.push((name.to_owned(), value)),
                    None => return Err(format!("{name:?} is not a setting")),
                },
            }
        }
        Ok(asked)
    }

    fn read_credentials(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(basic) =
            text(header::AUTHORIZATION.as_str()).and_then(|v| v.strip_prefix("Basic "))
            && let Ok(decoded) = STANDARD.decode(basic)
            && let Ok(decoded) = String::from_utf8(decoded)
            && let Some((user, password)) = decoded.split_once(':')
        {
            user.clone_into(&mut self.user);
            password.clone_into(&mut self.password);
        }
        if let Some(user) = text("x-clickhouse-user") {
            user.clone_into(&mut self.user);
        }
        if let Some(key) = text("x-clickhouse-key") {
            key.clone_into(&mut self.password);
        }
    }

    /// Takes the fields of a form: the query and its parameters.
    pub(super) fn read_form(&mut self, boundary: &str, body: &[u8]) -> Result<(), String> {
        for (name, value) in fields(boundary, body).ok_or("cannot read the form")? {
            let value =
                String::from_utf8(value.to_vec()).map_err(|_| format!("{name} is not text"))?;
            match name.strip_prefix("param_") {
                Some(parameter) => self.parameters.push((parameter.to_owned(), value)),
                None if name == "query" => {
                    self.query = Some(self.query.take().unwrap_or_default() + &value);
                }
                None => return Err(format!("{name:?} is not a parameter")),
            }
        }
        Ok(())
    }

    /// The statements that make a fresh connection what the request asks for. `readonly` is last:
    /// nothing can be set after it.
    pub(super) fn preparations(&self) -> Vec<String> {
        let mut statements = Vec::new();
        if !self.database.is_empty() {
            statements.push(format!("USE `{}`", escaped(&self.database, '`')));
        }
        let set = |(name, value): &(String, String)| format!("{name} = '{}'", escaped(value, '\''));
        let (lock, others): (Vec<_>, Vec<_>) = self
            .settings
            .iter()
            .partition(|(name, _)| name == "readonly");
        for settings in [others, lock] {
            if !settings.is_empty() {
                let settings: Vec<_> = settings.into_iter().map(set).collect();
                statements.push(format!("SET {}", settings.join(", ")));
            }
        }
        statements
    }

    pub(super) fn readonly(&self) -> bool {
        self.settings
            .iter()
            .any(|(name, value)| name == "readonly" && value != "0")
    }
}

/// The boundary of `multipart/form-data`.
pub(super) fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let boundary = kind
        .strip_prefix("multipart/form-data")?
        .split_once("boundary=")?
        .1;
    Some(boundary.trim_matches('"').to_owned())
}

/// Names and contents of a form's fields (RFC 7578, as clients of ClickHouse write it).
fn fields<'a>(boundary: &str, body: &'a [u8]) -> Option<Vec<(&'a str, &'a [u8])>> {
    let mark = format!("--{boundary}");
    let between = format!("\r\n{mark}");
    let mut rest = body.strip_prefix(mark.as_bytes())?;
    let mut found = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(found);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head = find(rest, b"\r\n\r\n")?;
        let name = std::str::from_utf8(&rest[..head])
            .ok()?
            .split_once("name=\"")?
            .1;
        let name = name.split_once('"')?.0;
        let content = &rest[head + 4..];
        let end = find(content, between.as_bytes())?;
        found.push((name, &content[..end]));
        rest = &content[end + between.len()..];
    }
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn escaped(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char == '\\' || char == quote {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str) -> Asked {
        Asked::read(&uri.parse().unwrap(), &HeaderMap::new()).unwrap()
    }

    #[test]
    fn settings_parameters_and_the_rest_are_told_apart() {
        let asked = asked(
            "/?query=SELECT+%7Bx%3AString%7D&database=p%60d&default_format=Native&max_threads=2\
             &param_x=a%27b&readonly=1&query_id=7&token=it%27s",
        );
        assert_eq!(asked.query.as_deref(), Some("SELECT {x:String}"));
        assert_eq!(asked.format, "Native");
        assert_eq!(asked.parameters, [("x".to_owned(), "a'b".to_owned())]);
        assert_eq!(
            asked.preparations(),
            [
                "USE `p\\`d`",
                "SET max_threads = '2', token = 'it\\'s'",
                "SET readonly = '1'"
            ]
        );
        assert!(asked.readonly());
    }

    #[test]
    fn a_setting_cannot_smuggle_a_statement() {
        let uri = "/?a%3D1%2C+b=2".parse().unwrap();
        assert!(Asked::read(&uri, &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_form_carries_query_and_parameters() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:String}\r\n\
                    --B\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\nx\r\n--y\r\n--B--\r\n";
        let mut asked = Asked::default();
        asked.read_form("B", body.as_bytes()).unwrap();
        assert_eq!(asked.query.as_deref(), Some("SELECT {a:String}"));
        assert_eq!(asked.parameters, [("a".to_owned(), "x\r\n--y".to_owned())]);
        for broken in ["", "--B\r\n", "--B\r\nx\r\n\r\n", "--B--\r\n-"] {
            let mut asked = Asked::default();
            assert!(asked.read_form("B", broken.as_bytes()).is_err() || asked.query.is_none());
        }
    }
}
