//! The UI: files of `ui/dist`, embedded in the binary.
//!
//! File names under `assets/` carry a hash of their content and are cached for ever; `index.html`
//! is asked for anew each time and answers every address that a page of the application may have.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Dist;

/// What is shown when the binary was built without the UI.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<title>Petrel</title></head><body><h1>Petrel is running, without its pages</h1>\
<p>This binary was built before the UI was. Build both:</p>\
<pre>cd aggregator/ui &amp;&amp; npm ci &amp;&amp; npm run build\ncargo build -p petrel-aggregator</pre>\
<p>or run <code>make run</code>. Telemetry is taken and the API answers meanwhile.</p></body></html>";

/// Answers whatever is not the API: a file, or the application itself.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if path != "index.html"
        && let Some(file) = Dist::get(path)
    {
        return answer(path, file, &headers);
    }
    if !wants_a_page(path, &headers) {
        return (StatusCode::NOT_FOUND, "there is nothing at this address\n").into_response();
    }
    match Dist::get("index.html") {
        Some(index) => answer("index.html", index, &headers),
        None => (StatusCode::NOT_FOUND, Html(NOT_BUILT)).into_response(),
    }
}

/// Whether this is somebody's browser at an address of the application, and not a missing file.
fn wants_a_page(path: &str, headers: &HeaderMap) -> bool {
    if path.starts_with("assets/") {
        return false;
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html")) || path.is_empty()
}

fn answer(path: &str, file: rust_embed::EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..16]));
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known.contains(&tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(file.data.into_owned()).into_response()
    };
    let cached = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let set = response.headers_mut();
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static(cached));
    set.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type(path)),
    );
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        set.insert(header::ETAG, tag);
    }
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &'static str, accept: &'static str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        serve(Method::GET, Uri::from_static(path), headers).await
    }

    #[tokio::test]
    async fn pages_of_the_application_are_html_whether_it_was_built_or_not() {
        for path in [
            "/",
            "/traces/0af7651916cd43dd8448eb211c80319c?span_id=1",
            "/p/1/setup",
        ] {
            let response = get(path, "text/html,*/*").await;
            let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert!(
                content_type.starts_with("text/html"),
                "{path}: {content_type}"
            );
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_not_a_page() {
        for (path, accept) in [
            ("/assets/gone-1a2b3c.js", "*/*"),
            ("/assets/gone-1a2b3c.js", "text/html"),
            ("/favicon.png", "image/png"),
            ("/..%2f..%2fetc/passwd", "*/*"),
            ("/../Cargo.toml", "*/*"),
        ] {
            assert_eq!(
                get(path, accept).await.status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }
}
