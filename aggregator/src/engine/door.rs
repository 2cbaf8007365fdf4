//! ClickHouse's HTTP interface in front of the engine's library.

use std::io::{self, Seek as _, Write as _};
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::library::{Connection, Library, Output};
use super::request::{Asked, boundary};
use super::statement;
use super::{Access, CONCURRENCY};

/// A statement, or a form with one.
const MOST_TEXT: usize = 16 << 20;
/// Rows of one insert.
const MOST_ROWS: usize = 1 << 30;

#[derive(Clone, Debug)]
struct Door {
    library: Library,
    dir: PathBuf,
    access: Arc<Access>,
    places: Arc<Semaphore>,
}

/// Serves until SIGTERM. SIGINT is for the parent, which decides when we stop.
pub(super) async fn serve(
    listener: TcpListener,
    library: Library,
    dir: PathBuf,
    access: Access,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let _ignored = signal(SignalKind::interrupt())?;
    let door = Door {
        library,
        dir,
        access: Arc::new(access),
        places: Arc::new(Semaphore::new(CONCURRENCY)),
    };
    let router = Router::new().fallback(answer).with_state(door);
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served,
        _ = terminate.recv() => Ok(()),
    }
}

async fn answer(State(door): State<Door>, request: Request) -> Response {
    if request.uri().path() == "/ping" {
        return "Ok.\n".into_response();
    }
    match door.run(request).await {
        Ok((output, format)) => success(output, &format),
        Err(failure) => failure.into_response(),
    }
}

/// The engine's words, or ours in the same form.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    fn new(code: u32, words: impl std::fmt::Display, name: &str) -> Self {
        Self(format!("Code: {code}. DB::Exception: {words}. ({name})"))
    }

    fn code(&self) -> u32 {
        let digits = self.0.strip_prefix("Code: ").unwrap_or("");
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        digits[..end].parse().unwrap_or(1000)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The codes that ClickHouse's server maps so (`exceptionCodeToHTTPStatus`).
        let status = match self.code() {
            516 => StatusCode::FORBIDDEN,
            60 | 81 => StatusCode::NOT_FOUND,
            62 | 46 | 115 => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let code = HeaderValue::from(self.code());
        let mut response = (status, self.0 + "\n").into_response();
        response
            .headers_mut()
            .insert("x-clickhouse-exception-code", code);
        response
    }
}

fn success(output: Output, format: &str) -> Response {
    let nanos = std::time::Duration::try_from_secs_f64(output.elapsed_seconds)
        .map_or(0, |elapsed| elapsed.as_nanos());
    let summary = format!(
        "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\"written_bytes\":\"{}\",\
         \"total_rows_to_read\":\"0\",\"result_rows\":\"0\",\"result_bytes\":\"{}\",\"elapsed_ns\":\"{nanos}\"}}",
        output.rows_read,
        output.bytes_read,
        output.rows_written,
        output.bytes_written,
        output.body.len(),
    );
    let kind = if format.starts_with("JSON") {
        "application/json; charset=UTF-8"
    } else if format.starts_with("TabSeparated") || format.starts_with("TSV") {
        "text/tab-separated-values; charset=UTF-8"
    } else {
        "application/octet-stream"
    };
    let mut response = Response::new(Body::from(output.body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in [
        ("x-clickhouse-summary", summary.as_str()),
        ("x-clickhouse-format", format),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

impl Door {
    async fn run(&self, request: Request) -> Result<(Output, String), Failure> {
        let (parts, body) = request.into_parts();
        let bad = |words: String| Failure::new(36, words, "BAD_ARGUMENTS");
        let mut asked = Asked::read(&parts.uri, &parts.headers).map_err(bad)?;
        if !self.access.admits(&asked.user, &asked.password) {
            return Err(Failure::new(
                516,
                "authentication failed",
                "AUTHENTICATION_FAILED",
            ));
        }
        let rows = match boundary(&parts.headers) {
            Some(boundary) => {
                asked
                    .read_form(&boundary, &text(body).await?)
                    .map_err(bad)?;
                None
            }
            None => match asked.query.as_deref().and_then(statement::insert_head) {
                Some(_) => Some(rows(body).await?),
                None => {
                    let text = text(body).await?;
                    let text = std::str::from_utf8(&text)
                        .map_err(|_| bad("the statement is not text".to_owned()))?;
                    let query = asked.query.get_or_insert_default();
                    if !query.is_empty() && !text.is_empty() {
                        query.push('\n');
                    }
                    query.push_str(text);
                    None
                }
            },
        };
        let query = asked.query.take().unwrap_or_default();
        // As the server has it: a GET must not change anything.
        let readonly = asked.readonly() || parts.method != Method::POST;
        statement::check(&query, readonly).map_err(|why| Failure::new(164, why, "READONLY"))?;
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| Failure::new(210, "the engine stops", "NETWORK_ERROR"))?;
        let door = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = door.execute(&asked, query, rows);
            drop(place);
            result.map(|output| (output, asked.format))
        })
        .await
        .map_err(|_| Failure::new(1001, "the engine's thread has ended", "STD_EXCEPTION"))?
    }

    fn execute(
        &self,
        asked: &Asked,
        query: String,
        rows: Option<std::fs::File>,
    ) -> Result<Output, Failure> {
        let mut connection = self
            .library
            .join(&self.dir)
            .ok_or_else(|| Failure::new(210, "no connection to the engine", "NETWORK_ERROR"))?;
        for statement in asked.preparations() {
            run(&mut connection, &statement, "Null", &[])?;
        }
        // Rows that stand behind the statement are cut at a blank line; those of a file are not.
        let query = match (&rows, statement::insert_head(&query)) {
            (Some(rows), Some((head, format))) => format!(
                "{head}FROM INFILE '/proc/self/fd/{}' COMPRESSION 'none' FORMAT {format}",
                rows.as_raw_fd()
            ),
            _ => query,
        };
        run(&mut connection, &query, &asked.format, &asked.parameters)
    }
}

fn run(
    connection: &mut Connection,
    sql: &str,
    format: &str,
    parameters: &[(String, String)],
) -> Result<Output, Failure> {
    connection.query(sql, format, parameters).map_err(Failure)
}

async fn text(body: Body) -> Result<Bytes, Failure> {
    axum::body::to_bytes(body, MOST_TEXT)
        .await
        .map_err(|error| {
            Failure::new(
                210,
                format!("cannot read the request: {error}"),
                "NETWORK_ERROR",
            )
        })
}

/// A body as a file in memory. Only a whole one is inserted.
async fn rows(body: Body) -> Result<std::fs::File, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            210,
            format!("cannot take the rows: {error}"),
            "NETWORK_ERROR",
        )
    };
    let mut file = memfd_create("petrel-rows", MemfdFlags::CLOEXEC)
        .map(std::fs::File::from)
        .map_err(|error| failed(&error))?;
    let mut length = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| failed(&error))?;
        length += chunk.len();
        if length > MOST_ROWS {
            return Err(failed(&"more than 1 GiB in one insert"));
        }
        file.write_all(&chunk).map_err(|error| failed(&error))?;
    }
    file.rewind().map_err(|error| failed(&error))?;
    Ok(file)
}
