//! From the tree to [`Config`]: one function a section.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use petrel_plugin_host::written::{self, Keys};
use petrel_spool::ProjectId;
use petrel_wire::Token;

use super::{
    ChSchema, ClickHouse, Cluster, Config, ConfigError, Ingest, Limit, LimitKind, ListenAddr,
    Listener, Loaded, Postgres, Processor, Project, ProjectTtl, Secret, Table, TlsFiles, Ttl, User,
    ZipkinPort,
    expand::expand,
    section::{Findings, Section},
    servers::{ServerDsn, host_and_port, http_url, site_url},
    values::{duration, size},
    yaml,
};

pub(super) fn load(
    file: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    let findings = Findings::new(file);
    let mut config = Config::default();
    match yaml::parse(&expand(text, environment)) {
        Ok(root) => {
            if let Some(root) = Section::of(&root, String::new(), &findings) {
                let beside = Path::new(file).parent().unwrap_or(Path::new(""));
                config = read(&root, beside);
                root.finish();
            }
        }
        Err((line, what)) => findings.borrow_mut().problem(line, String::new(), what),
    }
    config.ch.engine_library = environment("PETREL_ENGINE_LIB")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let mut findings = findings.into_inner();
    if findings.problems.is_empty() {
        findings.notices.sort_by_key(|notice| notice.line);
        return Ok(Loaded {
            config,
            notices: findings.notices,
        });
    }
    findings.problems.sort_by_key(|problem| problem.line);
    Err(ConfigError::Invalid(findings.problems))
}

fn read(root: &Section<'_>, beside: &Path) -> Config {
    let mut config = Config::default();
    if let Some(dir) = root.text("data_dir") {
        config.data_dir = dir.into();
    }
    if let Some(section) = root.section("ch") {
        config.ch = clickhouse(&section);
        section.finish();
    }
    if let Some(section) = root.section("ch_cluster") {
        cluster(&section, &mut config.ch);
        section.finish();
    }
    if let Some(section) = root.section("pg") {
        config.pg = postgres(&section);
        section.finish();
    }
    let mut ttls = BTreeMap::new();
    if let Some(section) = root.section("limits") {
        config.limits.everybody = limit(&section);
        section.finish();
    }
    config.projects = projects(root, &mut config.limits.projects, &mut ttls);
    if let Some(section) = root.section("auth") {
        config.users = users(&section);
        section.finish();
    }
    if let Some(section) = root.section("listen") {
        let shared = section.section("tls").and_then(|tls| tls_files(tls));
        listener(&section, "grpc", &mut config.listen.grpc, shared.as_ref());
        listener(&section, "http", &mut config.listen.http, shared.as_ref());
        if let Some(zipkin) = section.section("zipkin") {
            config.listen.zipkin = zipkin_port(&zipkin);
            zipkin.finish();
        }
        section.finish();
    }
    config.site_addr = site(root, &config);
    if let Some(section) = root.section("ch_schema") {
        config.ch_schema = schema(&section);
        section.finish();
    }
    config.ch_schema.projects = ttls;
    if let Some(section) = root.section("ingest") {
        config.ingest = ingest(&section);
        section.finish();
    }
    config.processors = processors(root, beside);
    if let Some(section) = root.section("logging") {
        if let Some(level) = section.parsed("level", level) {
            config.log_level = level;
        }
        section.finish();
    }
    config
}

fn clickhouse(section: &Section<'_>) -> ClickHouse {
    let mut ch = ClickHouse::default();
    let encrypted = client_tls(section);
    if let Some(server) = section.parsed("dsn", |text| ServerDsn::parse(text, "clickhouse")) {
        ch.url = http_url(&server.address, encrypted).ok();
        if let Some(user) = server.user {
            ch.user = user;
        }
        ch.password = Secret::new(server.password.unwrap_or_default());
        if let Some(database) = server.database {
            ch.database = database;
        }
    }
    // An empty address is the embedded engine.
    if let Some(url) = section.parsed("addr", |text| match text {
        "" => Ok(None),
        text => http_url(text, encrypted).map(Some),
    }) {
        ch.url = url;
    }
    if let Some(user) = section.text("user") {
        ch.user = user;
    }
    if let Some(password) = section.text("password") {
        ch.password = Secret::new(password);
    }
    if let Some(database) = section.parsed("database", identifier) {
        ch.database = database;
    }
    if let Some(time) = section.parsed("max_execution_time", duration) {
        ch.max_execution_time = time;
    }
    if let Some(durable) = section.flag("durable") {
        ch.durable = durable;
    }
    if let Some(project) = section.parsed("import_spans_to", |text| match text.parse() {
        Ok(0) => Ok(None),
        Ok(id) => Ok(Some(ProjectId(id))),
        Err(_) => Err(format!(
            "{text:?} is not the number of a project; write 0 to import nothing"
        )),
    }) {
        ch.import_spans_to = project;
    }
    ch.query_settings = section.pairs("query_settings").into_iter().collect();
    ch
}

/// Uptrace 2 names servers by shard and replica; one server is what we can use of that.
fn cluster(section: &Section<'_>, ch: &mut ClickHouse) {
    let mut servers = 0;
    for shard in section.sections("shards") {
        for replica in shard.sections("replicas") {
            servers += 1;
            if servers == 1 && ch.url.is_none() {
                *ch = clickhouse(&replica);
            } else {
                // Read all the same, for its typos.
                clickhouse(&replica);
            }
            replica.finish();
        }
        shard.finish();
    }
    if servers > 1 {
        section.problem(
            "shards",
            "more than one server is not supported yet; name one under ch.addr",
        );
    }
    for key in ["cluster", "replicated", "distributed"] {
        section.notice(key, "accepted, no effect yet");
    }
}

fn postgres(section: &Section<'_>) -> Option<Postgres> {
    let mut pg = Postgres {
        host: "localhost".to_owned(),
        port: 5432,
        user: "uptrace".to_owned(),
        password: Secret::new("uptrace"),
        database: "uptrace".to_owned(),
        tls: client_tls(section),
    };
    let mut wanted = true;
    if let Some(server) = section.parsed("dsn", |text| ServerDsn::parse(text, "postgres")) {
        if let Ok((host, port)) = host_and_port(&server.address, 5432) {
            (pg.host, pg.port) = (host, port);
        }
        if let Some(user) = server.user {
            pg.user = user;
        }
        pg.password = Secret::new(server.password.unwrap_or_default());
        if let Some(database) = server.database {
            pg.database = database;
        }
        pg.tls = pg.tls || !matches!(server.sslmode.as_deref(), None | Some("disable"));
    }
    match section.parsed("addr", |text| match text {
        "" => Ok(None),
        text => host_and_port(text, 5432).map(Some),
    }) {
        Some(Some((host, port))) => (pg.host, pg.port) = (host, port),
        Some(None) => wanted = section.has("dsn"),
        None => {}
    }
    if let Some(user) = section.text("user") {
        pg.user = user;
    }
    if let Some(password) = section.text("password") {
        pg.password = Secret::new(password);
    }
    if let Some(database) = section.text("database") {
        pg.database = database;
    }
    wanted.then_some(pg)
}

/// Whether a `tls` section asks for an encrypted connection to a server of ours.
fn client_tls(section: &Section<'_>) -> bool {
    if !section.has("tls") {
        return false;
    }
    let Some(tls) = section.section("tls") else {
        return false;
    };
    let disabled = tls.flag("disabled").unwrap_or(false);
    tls.finish();
    !disabled
}

fn projects(
    root: &Section<'_>,
    limits: &mut BTreeMap<ProjectId, Limit>,
    ttls: &mut BTreeMap<ProjectId, ProjectTtl>,
) -> Vec<Project> {
    let mut projects = Vec::<Project>::new();
    for section in root.sections("projects") {
        let id = section.parsed("id", |text| match text.parse() {
            Ok(0) | Err(_) => Err(format!("{text:?} is not a number from 1 to 4294967295")),
            Ok(id) => Ok(ProjectId(id)),
        });
        let token = section.parsed("token", token);
        let name = section.text("name");
        let pinned_attrs = section.texts("pinned_attrs");
        let ttl = project_ttl(&section);
        let own = section.section("limits").map(|section| {
            let limit = limit(&section);
            section.finish();
            limit
        });
        if let Some(id) = id {
            limits.extend(own.map(|own| (id, own)));
            ttls.extend(ttl.map(|ttl| (id, ttl)));
        }
        for (key, there) in [("id", section.has("id")), ("token", section.has("token"))] {
            if !there {
                section.problem(key, "is missing");
            }
        }
        if let (Some(id), Some(token)) = (id, token) {
            if projects.iter().any(|other| other.id == id) {
                section.problem("id", format!("another project has the id {} already", id.0));
            } else if projects.iter().any(|other| other.token == token) {
                section.problem("token", "another project has this token already");
            }
            projects.push(Project {
                id,
                name: name.unwrap_or_else(|| format!("Project {}", id.0)),
                token,
                pinned_attrs,
            });
        }
        section.finish();
    }
    projects
}

/// The keys of an agent's, and whose data it is for.
fn processors(root: &Section<'_>, beside: &Path) -> Vec<Processor> {
    let mut configs = Vec::new();
    let mut more_of = Vec::new();
    let plugins = root.section("plugins").map(written::plugins);
    let plugins = plugins.unwrap_or_default();
    for section in root.sections("processors") {
        let config = written::processor(&section, beside, &configs, &plugins);
        let mut projects = Vec::new();
        for text in section.texts("projects") {
            match text.parse() {
                Ok(0) | Err(_) => {
                    let what = format!("{text:?} is not the number of a project");
                    section.problem("projects", what);
                }
                Ok(id) => projects.push(ProjectId(id)),
            }
        }
        if section.has("projects") && projects.is_empty() {
            let what = "names nobody; leave it out for the data of all projects";
            section.problem("projects", what);
        }
        if let Some(config) = config {
            configs.push(config);
            more_of.push((projects, outputs(&section)));
        }
        section.finish();
    }
    let both = configs.into_iter().zip(more_of);
    both.map(|(config, (projects, outputs))| Processor {
        config,
        projects,
        outputs,
    })
    .collect()
}

/// Names of outputs, and the projects that they lead to. What is no map was complained about already.
fn outputs(section: &Section<'_>) -> BTreeMap<String, ProjectId> {
    const KEY: &str = "outputs";
    let mut outputs = BTreeMap::new();
    let Some(serde_json::Value::Object(given)) = Keys::json(section, KEY) else {
        return outputs;
    };
    for (name, value) in given {
        let number = value.get("project").and_then(serde_json::Value::as_u64);
        let number = number.and_then(|number| u32::try_from(number).ok());
        let is_alone = value.as_object().is_some_and(|keys| keys.len() == 1);
        match number.filter(|number| *number > 0 && is_alone) {
            Some(number) => {
                outputs.insert(name, ProjectId(number));
            }
            None => {
                let what =
                    format!("{name}: expected the number of a project, like {{ project: 2 }}");
                section.problem(KEY, what);
            }
        }
    }
    outputs
}

/// One time for all signals, or one for each.
fn project_ttl(project: &Section<'_>) -> Option<ProjectTtl> {
    const KEY: &str = "ttl_delete";
    if !project.is_section(KEY) {
        let ttl = project.parsed(KEY, Ttl::parse);
        return ttl.map(|_| ProjectTtl {
            spans: ttl,
            logs: ttl,
            metrics: ttl,
        });
    }
    let section = project.section(KEY)?;
    let ttl = ProjectTtl {
        spans: section.parsed("spans", Ttl::parse),
        logs: section.parsed("logs", Ttl::parse),
        metrics: section.parsed("metrics", Ttl::parse),
    };
    section.finish();
    Some(ttl)
}

fn limit(section: &Section<'_>) -> Limit {
    let mut limit = Limit::default();
    for kind in LimitKind::ALL {
        limit.set(kind, section.parsed(kind.name(), |text| kind.parse(text)));
    }
    limit
}

fn users(auth: &Section<'_>) -> Vec<User> {
    let mut users = Vec::<User>::new();
    for section in auth.sections("users") {
        let email = section.parsed("email", |text| {
            if text.contains('@') && !text.contains(char::is_whitespace) {
                Ok(text.to_owned())
            } else {
                Err(format!("{text:?} is not an e-mail address"))
            }
        });
        let password = section.parsed("password", |text| {
            if text.is_empty() {
                Err("must not be empty".to_owned())
            } else {
                Ok(Secret::new(text))
            }
        });
        let name = section.text("name");
        for (key, there) in [
            ("email", section.has("email")),
            ("password", section.has("password")),
        ] {
            if !there {
                section.problem(key, "is missing");
            }
        }
        if let (Some(email), Some(password)) = (email, password) {
            if users.iter().any(|other| other.email == email) {
                section.problem("email", "another user has this address already");
            }
            users.push(User {
                name: name.unwrap_or_else(|| email.clone()),
                email,
                password,
            });
        }
        section.finish();
    }
    users
}

/// `grpc: { addr: ":14317", tls: {...} }`, or only the address.
fn listener(
    listen: &Section<'_>,
    key: &'static str,
    listener: &mut Listener,
    shared: Option<&TlsFiles>,
) {
    listener.tls = shared.cloned();
    if !listen.is_section(key) {
        if let Some(addr) = listen.parsed(key, ListenAddr::parse) {
            listener.addr = addr;
        }
        return;
    }
    let Some(section) = listen.section(key) else {
        return;
    };
    if let Some(addr) = section.parsed("addr", ListenAddr::parse) {
        listener.addr = addr;
    }
    if let Some(tls) = section.section("tls") {
        listener.tls = tls_files(tls);
    }
    section.finish();
}

fn zipkin_port(section: &Section<'_>) -> Option<ZipkinPort> {
    let addr = section.parsed("addr", |text| {
        let addr = ListenAddr::parse(text)?;
        if addr.is_loopback() {
            return Ok(addr);
        }
        Err(format!(
            "{text:?} can be reached from elsewhere, and whoever reaches it may write; name \
             127.0.0.1, ::1 or localhost"
        ))
    });
    let token = section.parsed("token", token);
    for key in ["addr", "token"] {
        if !section.has(key) {
            section.problem(key, "is missing");
        }
    }
    Some(ZipkinPort {
        addr: addr?,
        token: token?,
    })
}

// Not through the text of the error: it would print the token.
fn token(text: &str) -> Result<Token, String> {
    Token::parse(text)
        .map_err(|_| "a token has 1 to 512 characters, none of them white space".to_owned())
}

fn tls_files(section: Section<'_>) -> Option<TlsFiles> {
    let cert = section.text("cert_file");
    let key = section.text("key_file");
    let client_ca = section.text("client_ca_file");
    let files = match (cert, key) {
        (Some(cert), Some(key)) => Some(TlsFiles {
            cert_file: cert.into(),
            key_file: key.into(),
            client_ca_file: client_ca.map(PathBuf::from),
        }),
        (None, None) if client_ca.is_none() => None,
        (None, _) => {
            section.problem("cert_file", "is missing");
            None
        }
        (Some(_), None) => {
            section.problem("key_file", "is missing");
            None
        }
    };
    section.finish();
    files
}

fn site(root: &Section<'_>, config: &Config) -> String {
    let tls = config.listen.http.tls.is_some();
    let host = config.listen.http.addr.host().unwrap_or("localhost");
    let host = match host {
        "127.0.0.1" | "::1" | "0.0.0.0" | "::" => "localhost".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let scheme = if tls { "https" } else { "http" };
    let derived = format!("{scheme}://{host}:{}", config.listen.http.addr.port());
    let Some(section) = root.section("site") else {
        return derived;
    };
    let (addr, url) = (
        section.parsed("addr", site_url),
        section.parsed("url", site_url),
    );
    let url = addr.or(url).filter(|url| !url.is_empty());
    if url.as_ref().is_some_and(|url| url.matches('/').count() > 2) {
        for key in ["addr", "url"] {
            section.notice(key, "its path has no effect yet: everything is served at /");
        }
    }
    section.finish();
    url.unwrap_or(derived)
}

fn schema(section: &Section<'_>) -> ChSchema {
    let mut schema = ChSchema::default();
    if let Some(compression) = section.parsed("compression", codec) {
        schema.compression = compression;
    }
    for key in ["spans", "spans_data"] {
        table(section, key, &mut schema.spans);
    }
    // Uptrace 1 keeps logs among the spans.
    schema.logs = schema.spans.clone();
    for key in ["logs", "logs_data"] {
        table(section, key, &mut schema.logs);
    }
    table(section, "metrics", &mut schema.metrics);
    let (replicated, distributed) = (section.flag("replicated"), section.flag("distributed"));
    let name = section.parsed("cluster", identifier);
    if name.is_none() {
        for (key, asked) in [("replicated", replicated), ("distributed", distributed)] {
            if asked == Some(true) {
                section.problem(
                    key,
                    "needs ch_schema.cluster, the cluster's name in remote_servers",
                );
            }
        }
    }
    schema.cluster = name.map(|name| Cluster {
        name,
        replicated: replicated.unwrap_or(false),
        distributed: distributed.unwrap_or(false),
    });
    schema
}

fn table(schema: &Section<'_>, key: &'static str, table: &mut Table) {
    let Some(section) = schema.section(key) else {
        return;
    };
    if let Some(ttl) = section.parsed("ttl_delete", Ttl::parse) {
        table.ttl_delete = ttl;
    }
    if let Some(policy) = section.parsed("storage_policy", identifier) {
        table.storage_policy = policy;
    }
    section.finish();
}

fn ingest(section: &Section<'_>) -> Ingest {
    let mut ingest = Ingest::default();
    for (key, bytes, least) in [
        ("max_request_bytes", &mut ingest.max_request_bytes, 1 << 10),
        ("memory_bytes", &mut ingest.memory_bytes, 1 << 20),
        ("journal_bytes", &mut ingest.journal_bytes, 64 << 20),
    ] {
        if let Some(value) = section.parsed(key, |text| match size(text)? {
            value if value < least => Err(format!("{text:?} is too small; at least {least}")),
            value => Ok(value),
        }) {
            *bytes = value;
        }
    }
    ingest.allow_network_file_system = section.flag("allow_network_file_system").unwrap_or(false);
    if let Some(most) = section.parsed("max_connections", |text| match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a number from 1")),
        Ok(most) => Ok(most),
    }) {
        ingest.max_connections = most;
    }
    if ingest.max_request_bytes > ingest.memory_bytes {
        section.problem(
            "max_request_bytes",
            "one request may be larger than memory_bytes, which all share",
        );
    }
    ingest
}

fn level(text: &str) -> Result<String, String> {
    match text.to_ascii_lowercase().as_str() {
        "fatal" | "panic" | "error" => Ok("error".to_owned()),
        "warn" | "warning" => Ok("warn".to_owned()),
        level @ ("trace" | "debug" | "info") => Ok(level.to_owned()),
        _ => Err(format!(
            "{text:?} is no level; write one of trace, debug, info, warn, error"
        )),
    }
}

/// What may stand in SQL without quotes.
fn identifier(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.is_empty() || text.len() > 64 || !text.chars().all(good) {
        return Err(format!(
            "{text:?} is not a name; use letters, digits and underscores"
        ));
    }
    Ok(text.to_owned())
}

/// `ZSTD(3)`, `LZ4`, `Delta, ZSTD(1)`: goes into DDL as it stands.
fn codec(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "(), ".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(good) {
        return Err(format!("{text:?} is no codec; write it like \"ZSTD(1)\""));
    }
    Ok(text.to_owned())
}
