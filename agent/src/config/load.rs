//! From the tree to [`Config`]: one function a section.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use petrel_plugin_host::ProcessorConfig;
use petrel_plugin_host::written::{self, duration, size};
use petrel_spool::WhenFull;
use petrel_wire::{BatchId, Dsn};

use super::proxy::Choice;
use super::section::{Problems, Section};
use super::values::count;
use super::{
    BaseUrl, Compression, Config, ConfigError, Endpoint, Environment, Forward, Tls, bandwidth,
    outputs, yaml,
};
use crate::window::{Undecided, WindowConfig};

/// What may wait in the window, and how long.
const LEAST_WINDOW_BYTES: u64 = 1 << 20;
const MOST_WINDOW_BYTES: u64 = 1 << 30;
const MOST_WINDOW_AGE: std::time::Duration = std::time::Duration::from_secs(3_600);
/// Below this a spool has no room for segments and their bookkeeping.
const LEAST_SPOOL_BYTES: u64 = 64 << 20;
/// What belongs to the protocol and is not for a user to send along.
const OURS: [&str; 5] = [
    "content-type",
    "content-encoding",
    "content-length",
    BatchId::HEADER,
    "petrel-items",
];

pub(super) fn load(
    path: &Path,
    text: &str,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let problems = Problems::of(path.display().to_string());
    let mut config = Config::default();
    match yaml::parse(text) {
        Ok(root) => {
            if let Some(root) = Section::of(&root, String::new(), &problems) {
                config = read(&root, path.parent().unwrap_or(Path::new("")), environment);
                root.finish();
            }
        }
        Err((line, what)) => problems.add(line, "", what),
    }
    let problems = problems.into_sorted();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Invalid(problems))
    }
}

fn read(root: &Section<'_>, beside: &Path, environment: &Environment) -> Config {
    let mut config = Config::default();
    if let Some(receivers) = root.section("receivers") {
        if let Some(otlp) = receivers.section("otlp") {
            receive(&otlp, &mut config);
            otlp.finish();
        }
        receivers.finish();
    }
    config.processors = processors(root, beside);
    if let Some(section) = root.section("window") {
        window(&section, &mut config.window);
        section.finish();
    }
    for processor in &mut config.processors {
        processor.limits.window_bytes = config.window.max_bytes;
    }
    if let Some(section) = root.section("spool") {
        spool(&section, &mut config);
        section.finish();
    }
    config.spool.dir = beside.join(&config.spool.dir);
    let mut destination = root.node("dsn").is_some();
    config.forward.dsn = dsn(root, environment);
    let mut choice = Choice::default();
    if let Some(section) = root.section("forward") {
        forward(&section, beside, &mut config.forward);
        if let Some(said) = section.parsed("proxy", Choice::parse) {
            choice = said;
        }
        destination |= section.node("endpoint").is_some();
        section.finish();
    }
    let (url, local) = (config.forward.base_url(), config.forward.is_local());
    config.forward.proxy = choice
        .clone()
        .resolve(&environment.proxies, &url, local)
        .unwrap_or_else(|what| {
            root.problem("forward", what);
            None
        });
    config.outputs = outputs::read(root, &config, &choice, environment);
    if let Some(section) = root.section("admin") {
        if let Some(capture) = section.choice("capture", &[("true", true), ("false", false)]) {
            config.capture = capture;
        }
        if let Some(endpoint) = section.parsed("endpoint", Endpoint::parse) {
            // It knows no passwords.
            if endpoint.is_loopback() {
                config.admin = endpoint;
            } else {
                let what = "must be an address of this machine only, like \"127.0.0.1:14319\"";
                section.problem("endpoint", what);
            }
        }
        section.finish();
    }
    if let Some(section) = root.section("logging") {
        let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
        if let Some(level) = section.choice("level", &levels) {
            level.clone_into(&mut config.log_level);
        }
        section.finish();
    }
    // One that is wrong was complained about already.
    destination |= environment.dsn.is_some() || config.forward.dsn.is_some();
    if !destination {
        root.problem(
            "dsn",
            "nothing says where to forward to; write `dsn: http://TOKEN@HOST:PORT?grpc=PORT`, set \
             PETREL_DSN, or name an OTLP/HTTP endpoint in `forward.endpoint`",
        );
    }
    config
}

/// The environment first, then the file, then systemd's credential.
fn dsn(root: &Section<'_>, environment: &Environment) -> Option<Dsn> {
    let from = |name: &str, text: &str| {
        Dsn::parse(text)
            .map_err(|error| root.problem("dsn", format!("{name}: {error}")))
            .ok()
    };
    let parse = |text: &str| Dsn::parse(text).map_err(|error| error.to_string());
    let in_file = root.parsed("dsn", parse);
    if let Some(text) = &environment.dsn {
        return from("PETREL_DSN", text);
    }
    if in_file.is_some() || root.node("dsn").is_some() {
        return in_file;
    }
    let path = environment.credentials.as_ref()?.join("dsn");
    let text = std::fs::read_to_string(path).ok()?;
    from("the credential \"dsn\"", &text)
}

fn receive(otlp: &Section<'_>, config: &mut Config) {
    let receivers = &mut config.receivers;
    for (key, endpoint) in [("grpc", &mut receivers.grpc), ("http", &mut receivers.http)] {
        if let Some(section) = otlp.section(key) {
            if let Some(parsed) = section.parsed("endpoint", Endpoint::parse) {
                *endpoint = parsed;
            }
            section.finish();
        }
    }
    if receivers.grpc == receivers.http && receivers.http.port() != 0 {
        otlp.problem("http", "has the address of grpc; give it another port");
    }
    if let Some(bytes) = otlp.parsed("max_request_bytes", size) {
        receivers.max_request_bytes = bytes;
        if !(1 << 16..=1 << 30).contains(&bytes) {
            otlp.problem("max_request_bytes", "must be between 64KiB and 1GiB");
        }
    }
    if let Some(bytes) = otlp.parsed("memory_bytes", size) {
        receivers.memory_bytes = bytes;
    }
    if receivers.memory_bytes < receivers.max_request_bytes.saturating_mul(2) {
        // Packed and unpacked, a request is in memory twice.
        otlp.problem("memory_bytes", "must be at least twice max_request_bytes");
    }
    if let Some(count) = otlp.parsed("max_connections", |text| count(text, 1, 1 << 20)) {
        receivers.max_connections = count;
    }
}

fn processors(root: &Section<'_>, beside: &Path) -> Vec<ProcessorConfig> {
    let mut chain = Vec::new();
    let plugins = root.section("plugins").map(written::plugins);
    let plugins = plugins.unwrap_or_default();
    for section in root.sections("processors") {
        let next = written::processor(&section, beside, &chain, &plugins);
        chain.extend(next);
        section.finish();
    }
    chain
}

fn window(section: &Section<'_>, window: &mut WindowConfig) {
    if let Some(bytes) = section.parsed("max_bytes", size) {
        window.max_bytes = bytes;
        if !(LEAST_WINDOW_BYTES..=MOST_WINDOW_BYTES).contains(&bytes) {
            section.problem("max_bytes", "must be between 1MiB and 1GiB");
        }
    }
    if let Some(age) = section.parsed("max_age", duration) {
        window.max_age = age;
        if age.is_zero() || age > MOST_WINDOW_AGE {
            section.problem("max_age", "must be more than nothing and at most 1h");
        }
    }
    let words = [("keep", Undecided::Keep), ("drop", Undecided::Drop)];
    if let Some(undecided) = section.choice("undecided", &words) {
        window.undecided = undecided;
    }
}

fn spool(section: &Section<'_>, config: &mut Config) {
    if let Some(dir) = section.text("dir") {
        config.spool.dir = PathBuf::from(dir);
    }
    if let Some(bytes) = section.parsed("max_bytes", size) {
        config.spool.max_bytes = bytes;
        if bytes < LEAST_SPOOL_BYTES {
            section.problem("max_bytes", "must be at least 64MiB");
        }
    }
    config.spool.min_free_bytes = section.parsed("min_free_bytes", size);
    config.spool.allow_network_file_system = section.choice(
        "allow_network_file_system",
        &[("true", true), ("false", false)],
    ) == Some(true);
    if let Some(percent) = section.parsed("live_percent", |text| count(text, 0, 100)) {
        config.spool.live_percent = u8::try_from(percent).unwrap_or(100);
    }
    if let Some(when_full) = section.choice(
        "when_full",
        &[
            ("evict_oldest", WhenFull::EvictOldest),
            ("refuse", WhenFull::Refuse),
        ],
    ) {
        config.spool.when_full = when_full;
    }
}

fn forward(section: &Section<'_>, beside: &Path, forward: &mut Forward) {
    forward.endpoint = section.parsed("endpoint", BaseUrl::parse);
    for (line, name, value) in section.pairs("headers") {
        if let Err(what) = add_header(&mut forward.headers, name, value) {
            section.problem_in("headers", name, line, what);
        }
    }
    if let Some(compression) = section.choice(
        "compression",
        &[
            ("zstd", Compression::Zstd),
            ("gzip", Compression::Gzip),
            ("none", Compression::None),
        ],
    ) {
        forward.compression = compression;
    }
    if let Some(count) = section.parsed("in_flight", |text| count(text, 1, 64)) {
        forward.in_flight = count;
    }
    if let Some(bytes) = section.parsed("batch_bytes", size) {
        forward.batch_bytes = bytes;
        if !(4 << 10..=8 << 20).contains(&bytes) {
            section.problem("batch_bytes", "must be between 4KiB and 8MiB");
        }
    }
    if let Some(timeout) = section.parsed("timeout", duration) {
        forward.timeout = timeout;
        if timeout.is_zero() {
            section.problem("timeout", "must be more than nothing");
        }
    }
    if let Some(tls) = section.section("tls") {
        forward.tls = read_tls(&tls, beside);
        tls.finish();
    }
    // Its older place.
    if let Some(path) = file(section, "ca_file", beside) {
        if forward.tls.ca_file.is_some() {
            section.problem(
                "ca_file",
                "stands in `forward.tls` as well; leave it out here",
            );
        }
        forward.tls.ca_file = Some(path);
    }
    if let Some(section) = section.section("bandwidth") {
        forward.bandwidth = bandwidth::read(&section);
        section.finish();
    }
}

fn read_tls(section: &Section<'_>, beside: &Path) -> Tls {
    let ca_file = file(section, "ca_file", beside);
    let cert_file = file(section, "cert_file", beside);
    let key_file = file(section, "key_file", beside);
    let identity = match (cert_file, key_file) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => {
            section.problem(
                "cert_file",
                "needs its private key as well; name it in key_file",
            );
            None
        }
        (None, Some(_)) => {
            section.problem(
                "key_file",
                "needs its certificate as well; name it in cert_file",
            );
            None
        }
    };
    let server_name = section.parsed("server_name", |text| {
        let name = text.trim().to_owned();
        rustls::pki_types::ServerName::try_from(name.clone())
            .map(|_| name)
            .map_err(|_| format!("{text:?} is not a name that a certificate can carry"))
    });
    Tls {
        ca_file,
        identity,
        server_name,
    }
}

/// A file that must be there.
fn file(section: &Section<'_>, key: &'static str, beside: &Path) -> Option<PathBuf> {
    let path = beside.join(section.text(key)?);
    if !path.is_file() {
        section.problem(key, format!("no file {}", path.display()));
    }
    Some(path)
}

/// The value never stands in what is wrong with it.
fn add_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), &'static str> {
    let name: HeaderName = name.parse().map_err(|_| "is not the name of a header")?;
    if OURS.contains(&name.as_str()) || name == header::HOST {
        return Err("is set by the agent");
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| "is not the value of a header")?;
    value.set_sensitive(true);
    headers.append(name, value);
    Ok(())
}
