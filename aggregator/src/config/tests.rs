use super::*;

fn nothing(_: &str) -> Option<String> {
    None
}

fn loaded(text: &str) -> Loaded {
    Config::parse("petrel.yml", text, &nothing).unwrap()
}

fn problems(text: &str) -> Vec<String> {
    match Config::parse("petrel.yml", text, &nothing) {
        Err(ConfigError::Invalid(problems)) => problems.iter().map(Problem::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_file_is_the_default_with_the_embedded_engine_and_sqlite() {
    let config = loaded("# nothing\n").config;
    assert_eq!(config, Config::default());
    assert_eq!(config.ch.url, None);
    assert_eq!(config.pg, None);
}

#[test]
fn the_users_uptrace_file_loads_unchanged() {
    let text = include_str!("../../../tests/fixtures/uptrace/uptrace.yml");
    let Loaded { config, notices } = loaded(text);
    assert_eq!(notices, []);
    assert_eq!(config.ch.url.as_deref(), Some("http://clickhouse:8123"));
    assert_eq!(config.ch.database, "uptrace");
    let pg = config.pg.as_ref().unwrap();
    assert_eq!((pg.host.as_str(), pg.port), ("postgres", 5432));
    assert_eq!(config.ch_schema.spans.ttl_delete, Ttl::days(30));
    assert_eq!(config.ch_schema.logs.ttl_delete, Ttl::days(30));
    assert_eq!(config.ch_schema.metrics.ttl_delete, Ttl::days(90));
    let project = &config.projects[0];
    assert_eq!((project.id.0, project.name.as_str()), (1, "My Project"));
    assert_eq!(
        project.pinned_attrs,
        ["service.name", "host.name", "deployment.environment"]
    );
    assert_eq!(config.listen.grpc.addr.to_string(), ":14317");
    assert_eq!(
        config.dsn(&project.token),
        "http://project1_secret_token@localhost:14318?grpc=14317"
    );
}

#[test]
fn the_packaged_file_explains_every_key_and_is_the_default() {
    let text = include_str!("../../../packaging/petrel.yml");
    let Loaded { config, notices } = loaded(text);
    assert_eq!(notices, []);
    assert_eq!(config.data_dir, Path::new("/var/lib/petrel-aggregator"));
    let expected = Config {
        data_dir: config.data_dir.clone(),
        ..Config::default()
    };
    assert_eq!(config, expected);
    // What is commented out is an example, and must load as well once it is not. It takes the place of
    // a list without entries.
    let all: Vec<_> = text
        .lines()
        .filter(|line| !line.ends_with(": []"))
        .map(|line| line.replacen("#:", "", 1))
        // A component has to be there.
        .map(|line| {
            line.replace(
                "/usr/lib/petrel/plugins/redact.wasm",
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            )
        })
        .collect();
    let config = loaded(&all.join("\n")).config;
    assert_eq!(config.projects.len(), 1);
    assert_eq!(config.processors[0].projects, [ProjectId(1)]);
    assert_eq!(config.processors[0].outputs["audit"], ProjectId(2));
    assert!(config.pg.is_some() && config.listen.http.tls.is_some());
}

#[test]
fn zipkins_port_is_for_this_machine_only() {
    let with = |addr: &str| format!("listen:\n  zipkin: {{ addr: '{addr}', token: t }}\n");
    for addr in ["127.0.0.1:9411", "[::1]:9411", "localhost:9411"] {
        let config = loaded(&with(addr)).config;
        assert_eq!(config.listen.zipkin.unwrap().addr.to_string(), addr);
    }
    for addr in [":9411", "0.0.0.0:9411", "192.168.1.2:9411"] {
        let problems = problems(&with(addr));
        assert!(problems[0].contains("may write"), "{problems:?}");
    }
    assert_eq!(
        problems("listen:\n  zipkin: { addr: 'localhost:9411' }\n"),
        ["petrel.yml:2: listen.zipkin.token: is missing"]
    );
}

#[test]
fn every_typo_names_file_line_key_and_the_nearest_key() {
    let text = "ch:\n  adr: x:9000\nprojects:\n  - id: 1\n    tokn: t\n    name: n\n\
                smtp_mailer:\n  hst: mail\nlisten:\n  htp:\n    addr: ':1'\n";
    assert_eq!(
        problems(text),
        [
            "petrel.yml:2: ch.adr: unknown key; did you mean \"addr\"?",
            "petrel.yml:4: projects[0].token: is missing",
            "petrel.yml:5: projects[0].tokn: unknown key; did you mean \"token\"?",
            "petrel.yml:8: smtp_mailer.hst: unknown key; did you mean \"host\"?",
            "petrel.yml:10: listen.htp: unknown key; did you mean \"http\"?",
        ]
    );
}

#[test]
fn wrong_values_say_what_to_write() {
    let text = "ch_schema:\n  spans:\n    ttl_delete: forever\nlisten:\n  grpc:\n    addr: 14317\n\
                ingest:\n  journal_bytes: 2 GB\nlogging:\n  level: loud\nsite: {addr: localhost}\n\
                projects: {id: 1}\n";
    let problems = problems(text);
    assert_eq!(problems.len(), 6, "{problems:#?}");
    assert!(problems[0].contains("petrel.yml:3: ch_schema.spans.ttl_delete"));
    assert!(problems[0].contains("\"30 DAY\""));
    assert!(problems[2].contains("2GiB"), "{}", problems[2]);
    assert!(problems[5].contains("expected a list, found a section"));
}

#[test]
fn no_problem_prints_a_secret() {
    let text = "projects:\n  - id: 1\n    token: 'canary one'\nch:\n  dsn: http://u:canary@h/db\n\
                pg:\n  dsn: mysql://u:canary@h/db\nauth:\n  users:\n    - email: x\n      password: canary\n";
    for problem in problems(text) {
        assert!(!problem.contains("canary"), "{problem}");
    }
}

#[test]
fn keys_of_uptrace_without_effect_are_named_and_accepted() {
    let text = "projects:\n  - {id: 1, token: t, group_by_env: true}\nsmtp_mailer:\n  host: mail\n\
                spans:\n  batch_size: 5\npg:\n  conn_params:\n    anything: goes\n";
    let notices: Vec<_> = loaded(text).notices.iter().map(Notice::to_string).collect();
    assert_eq!(
        notices,
        [
            "line 2: projects[0].group_by_env: accepted, no effect yet",
            "line 3: smtp_mailer: accepted, no effect yet",
            "line 5: spans: accepted, no effect yet",
            "line 8: pg.conn_params: accepted, no effect yet",
        ]
    );
}

#[test]
fn spellings_of_uptrace_2_are_understood_where_that_is_cheap() {
    let text = "ch_cluster:\n  shards:\n    - replicas:\n        - {addr: 'ch:9440', user: u, database: d}\n\
                listen: {http: ':80', grpc: ':4317'}\nsite: {url: 'https://o11y.example.com/'}\n\
                ch_schema: {spans_data: {ttl_delete: 14 DAY}, logs_data: {ttl_delete: 3 DAY}}\n";
    let config = loaded(text).config;
    assert_eq!(config.ch.url.as_deref(), Some("https://ch:8443"));
    assert_eq!(config.listen.http.addr.to_string(), ":80");
    assert_eq!(config.site_addr, "https://o11y.example.com");
    assert_eq!(config.ch_schema.spans.ttl_delete, Ttl::days(14));
    assert_eq!(config.ch_schema.logs.ttl_delete, Ttl::days(3));
}

#[test]
fn server_addresses_are_read_in_every_spelling() {
    for (text, url) in [
        ("ch: {addr: 'h:9000'}", Some("http://h:8123")),
        ("ch: {addr: 'h:8123'}", Some("http://h:8123")),
        ("ch: {addr: 'h:18123'}", Some("http://h:18123")),
        ("ch: {addr: 'h'}", Some("http://h:8123")),
        (
            "ch: {addr: 'h:9000', tls: {ca_file: x}}",
            Some("https://h:8443"),
        ),
        ("ch: {addr: 'https://h:1/'}", Some("https://h:1")),
        ("ch: {addr: ''}", None),
        (
            "ch: {dsn: 'clickhouse://u:p%40w@h:9000/db?sslmode=disable'}",
            Some("http://h:8123"),
        ),
    ] {
        assert_eq!(loaded(text).config.ch.url.as_deref(), url, "{text}");
    }
    let pg = loaded("pg: {dsn: 'postgres://u:p%40w@h/db?sslmode=require'}")
        .config
        .pg
        .unwrap();
    assert_eq!((pg.host.as_str(), pg.port, pg.tls), ("h", 5432, true));
    assert_eq!(pg.password.expose(), "p@w");
}

#[test]
fn variables_of_the_environment_are_expanded_before_anything_is_read() {
    let environment = |name: &str| (name == "TOKEN").then(|| "from-outside".to_owned());
    let text = "projects:\n  - {id: 1, token: $TOKEN, name: '${NAME:Edge}'}\n";
    let config = Config::parse("petrel.yml", text, &environment)
        .unwrap()
        .config;
    assert_eq!(config.projects[0].token.expose(), "from-outside");
    assert_eq!(config.projects[0].name, "Edge");
}

#[test]
fn processors_have_the_keys_of_an_agents_and_may_be_for_some_projects() {
    let problems = problems(
        "processors:\n  - { name: a, plugin: /nowhere/a.wasm, projects: [1, x], sha256: 12 }\n  \
         - { name: a, limit: {}, on_error: shut, projects: [] }\n",
    );
    assert_eq!(
        problems,
        [
            "petrel.yml:2: processors[0].sha256: must be 64 hex digits; `petrel plugin inspect` shows them",
            "petrel.yml:2: processors[0].plugin: no file /nowhere/a.wasm",
            "petrel.yml:2: processors[0].projects: \"x\" is not the number of a project",
            "petrel.yml:3: processors[1].on_error: \"shut\" is none of closed, open, drop, strip",
            "petrel.yml:3: processors[1].name: \"a\" is the name of another processor already",
            "petrel.yml:3: processors[1].plugin: missing; name the component file, *.wasm",
            "petrel.yml:3: processors[1].projects: names nobody; leave it out for the data of all projects",
            "petrel.yml:3: processors[1].limit: unknown key; did you mean \"limits\"?",
        ]
    );
}
