use petrel_plugin_host::Access;

use super::*;

const MINIMAL: &str = "\
dsn: http://project1_secret_token@127.0.0.1:14318?grpc=14317    # or PETREL_DSN
receivers:
  otlp:
    grpc: { endpoint: 127.0.0.1:4317 }
    http: { endpoint: 127.0.0.1:4318 }
processors:
  - { name: redact, plugin: redact.wasm, on_error: closed, config: {} }
spool: { dir: ./data/agent, max_bytes: 2GiB, when_full: evict_oldest }
";

/// A directory with `redact.wasm` in it, and the configuration that stands there.
fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, &Environment::default())
}

fn parse_with(text: &str, environment: &Environment) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("redact.wasm"), "").unwrap();
    let config = Config::parse(&dir.path().join("agent.yaml"), text, environment);
    config.map_err(|error| match error {
        ConfigError::Invalid(mut problems) => {
            let dir = format!("{}/", dir.path().display());
            for problem in &mut problems {
                problem.file = problem.file.replace(&dir, "");
                problem.what = problem.what.replace(&dir, "");
            }
            ConfigError::Invalid(problems)
        }
        other => other,
    })
}

fn problems(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn the_minimal_configuration_works_as_written() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.forward.base_url(), "http://127.0.0.1:14318");
    assert_eq!(config.receivers, Config::default().receivers);
    assert_eq!(config.spool.max_bytes, 2 << 30);
    assert!(config.spool.dir.is_absolute(), "beside the file");
    let redact = &config.processors[0];
    assert_eq!(redact.name, "redact");
    assert!(redact.plugin.ends_with("redact.wasm") && redact.plugin.is_absolute());
    assert_eq!(redact.config, serde_json::json!({}));
}

#[test]
fn a_typo_names_file_line_key_and_the_nearest_valid_key() {
    let text = MINIMAL
        .replace("endpoint: 127.0.0.1:4318", "endpiont: 127.0.0.1:4318")
        .replace("2GiB", "2 GB")
        .replace("evict_oldest", "evict")
        .replace("on_error: closed", "on_eror: closed");
    insta::assert_snapshot!(problems(&text), @r#"
    agent.yaml:5: receivers.otlp.http.endpiont: unknown key; did you mean "endpoint"?
    agent.yaml:7: processors[0].on_eror: unknown key; did you mean "on_error"?
    agent.yaml:8: spool.max_bytes: "2 GB" isn't a size; write "2GiB" or 2147483648
    agent.yaml:8: spool.when_full: "evict" is none of evict_oldest, refuse
    "#);
}

#[test]
fn what_is_missing_or_contradicts_itself_is_said_as_well() {
    let text = "\
receivers: { otlp: { grpc: { endpoint: 4317 }, memory_bytes: 1MiB } }
processors: [ { plugin: gone.wasm }, { name: nameless } ]
admin: { endpoint: 0.0.0.0:14319 }
forward: { endpoint: 'https://otlp.example.com/v1/traces', in_flight: 0, headers: { petrel-batch: x } }
nonsense: 1
";
    insta::assert_snapshot!(problems(text), @r#"
    agent.yaml:1: receivers.otlp.grpc.endpoint: "4317" is not an address; write it like "127.0.0.1:4317" or "[::1]:4317"
    agent.yaml:1: receivers.otlp.memory_bytes: must be at least twice max_request_bytes
    agent.yaml:2: processors[0].plugin: no file gone.wasm
    agent.yaml:2: processors[1].plugin: missing; name the component file, *.wasm
    agent.yaml:3: admin.endpoint: must be an address of this machine only, like "127.0.0.1:14319"
    agent.yaml:4: forward.endpoint: leave out "/v1/traces" at the end: it is added for each signal
    agent.yaml:4: forward.headers.petrel-batch: is set by the agent
    agent.yaml:4: forward.in_flight: "0" is not a number from 1 to 64
    agent.yaml:5: nonsense: unknown key; known here: admin, dsn, forward, logging, plugins, processors, receivers, spool, window
    "#);
}

#[test]
fn a_broken_file_names_its_line() {
    insta::assert_snapshot!(problems("dsn: http://t@h\nspool: [\n"), @"agent.yaml:2: unclosed bracket '['");
}

#[test]
fn an_agent_without_destination_says_how_to_name_one() {
    insta::assert_snapshot!(problems("logging: { level: info }"), @"agent.yaml:1: dsn: nothing says where to forward to; write `dsn: http://TOKEN@HOST:PORT?grpc=PORT`, set PETREL_DSN, or name an OTLP/HTTP endpoint in `forward.endpoint`");
}

#[test]
fn the_environment_wins_over_the_file_and_the_credential_comes_last() {
    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("dsn"), "http://c@credential\n").unwrap();
    let mut environment = Environment {
        dsn: None,
        credentials: Some(credentials.path().to_owned()),
        ..Environment::default()
    };
    let url = |text: &str, environment: &Environment| {
        parse_with(text, environment).unwrap().forward.base_url()
    };
    assert_eq!(url("", &environment), "http://credential");
    assert_eq!(url("dsn: http://f@file", &environment), "http://file");
    environment.dsn = Some("http://e@environment".to_owned());
    assert_eq!(
        url("dsn: http://f@file", &environment),
        "http://environment"
    );
}

#[test]
fn no_problem_and_no_debug_output_prints_a_secret() {
    let bad = "dsn: http://hunter2@ho st\nforward: { headers: { authorization: \"hunter2\\n\" } }";
    let words = problems(bad);
    assert!(!words.contains("hunter2"), "{words}");
    let good = "dsn: http://hunter2@host\nforward: { headers: { authorization: hunter2 } }";
    let config = parse(good).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn plaintext_to_another_machine_is_noticed_and_to_this_one_is_not() {
    let exposed = |dsn: &str| parse(&format!("dsn: {dsn}")).unwrap().forward.is_exposed();
    assert!(exposed("http://t@192.0.2.1:14318"));
    assert!(exposed("http://t@collector"));
    for safe in [
        "https://t@192.0.2.1",
        "http://t@127.0.0.1:14318",
        "http://t@localhost:14318",
        "\"http://t@[::1]:14318\"",
    ] {
        assert!(!exposed(safe), "{safe}");
    }
}

#[test]
fn a_processors_configuration_reaches_it_as_json() {
    let text = "dsn: http://t@h\nprocessors:\n  - name: redact\n    plugin: redact.wasm\n    \
                config: { keys: [a, 'true'], limit: 3, ratio: 0.5, on: true, none: ~ }\n";
    let config = parse(text).unwrap();
    assert_eq!(
        config.processors[0].config,
        serde_json::json!({"keys": ["a", "true"], "limit": 3, "ratio": 0.5, "on": true, "none": null})
    );
}

#[test]
fn who_may_vouch_for_plugins_and_for_what_is_read_from_the_file() {
    let text = format!(
        "dsn: http://t@h\nplugins:\n  require_signature: true\n  keys:\n    - name: team\n      \
         public_key: ed25519:{}\n      may: {{ access: [read], imports: [log] }}\n\
         processors: [ {{ plugin: redact.wasm }} ]\n",
        "ab".repeat(32)
    );
    let config = parse(&text).unwrap();
    let trust = &config.processors[0].trust;
    assert!(trust.require_signature);
    let may = &trust.keys[0].may;
    assert_eq!(
        (&may.plugins, &may.access),
        (&None, &Some(vec![Access::Read]))
    );
    insta::assert_snapshot!(problems("dsn: http://t@h\nplugins:\n  require_signature: true\n"), @"agent.yaml:3: plugins.require_signature: needs `keys`: without one no plugin could be loaded; `petrel plugin keygen` makes one");
    insta::assert_snapshot!(problems("
dsn: http://t@h
plugins:
  keys:
    - name: team
      public_key: ab12
      may: { access: [look], plugin: redact, imports: log }
    - public_key: ed25519:12
"), @r#"
    agent.yaml:6: plugins.keys[0].public_key: "ab12" is not a public key; write ed25519: and 64 hex digits, as `petrel plugin keygen` shows them
    agent.yaml:7: plugins.keys[0].may.imports: expected a list of words
    agent.yaml:7: plugins.keys[0].may.access: "look" is none of read, write, create, delete
    agent.yaml:7: plugins.keys[0].may.plugin: unknown key; did you mean "plugins"?
    agent.yaml:8: plugins.keys[1].public_key: "ed25519:12" is not a public key; write ed25519: and 64 hex digits, as `petrel plugin keygen` shows them
    agent.yaml:8: plugins.keys[1].name: missing; it is what errors and logs call the key
    "#);
}

#[test]
fn the_packaged_file_says_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/agent.yaml");
    let mut packaged = Config::load(&path, &Environment::default()).unwrap();
    // What a package must decide and a default cannot.
    assert_eq!(packaged.spool.dir, Path::new("/var/lib/petrel-agent"));
    packaged.spool.dir = Config::default().spool.dir;
    assert!(packaged.forward.dsn.take().is_some());
    assert_eq!(
        format!("{packaged:#?}"),
        format!("{:#?}", Config::default())
    );
}

#[test]
fn the_packaged_examples_are_read_as_well() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/agent.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let settled = [
        "processors: []\n",
        "  keys: []\n",
        "  headers: {}\n",
        "  tls: {}\n",
        "  bandwidth: { limit: unlimited, windows: [] }\n",
    ];
    let text = settled
        .iter()
        .fold(text, |text, line| text.replace(line, ""));
    let text = text
        .replace("#:", "")
        .replace("/usr/lib/petrel-agent/plugins/redact.wasm", "redact.wasm")
        .replace("/etc/petrel-agent/sites.csv", "redact.wasm")
        .replace("/etc/petrel-agent/ca.pem", "redact.wasm")
        .replace("/etc/petrel-agent/agent.pem", "redact.wasm")
        .replace("/etc/petrel-agent/agent.key", "redact.wasm");
    let config = parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let limits = config.processors[0].limits;
    assert_eq!(
        format!("{limits:?}"),
        format!("{:?}", petrel_plugin_host::PluginLimits::default())
    );
    assert!(config.processors[0].allow_clock);
    assert!(config.processors[0].lookups.contains_key("sites"));
    let [audit] = &config.outputs[..] else {
        panic!("{:?}", config.outputs);
    };
    assert_eq!((audit.name.as_str(), audit.max_bytes), ("audit", 256 << 20));
    assert_eq!(audit.forward.base_url(), "https://petrel.example.com");
    assert!(audit.forward.headers.is_empty() && audit.forward.tls.identity.is_none());
    assert_eq!(config.forward.base_url(), "https://otlp.example.com");
    assert_eq!(config.forward.headers.len(), 1);
    let forward = config.forward;
    assert!(forward.tls.identity.is_some() && forward.tls.server_name.is_some());
    assert_eq!(
        forward.proxy.unwrap().to_string(),
        "http://proxy.example.com:3128"
    );
    assert_eq!(forward.bandwidth.limit.to_string(), "256KiB/s");
    assert_eq!(forward.bandwidth.windows.len(), 2);
}

#[test]
fn what_is_wrong_with_the_way_out_is_said_with_its_key() {
    let text = "\
dsn: https://t@h
forward:
  tls: { cert_file: redact.wasm, server_name: 'a b', cafile: x }
  proxy: socks5://me:hunter2@proxy
  bandwidth: { limit: 1KiB/s, windows: [ { days: monday, from: 8, limit: fast }, {} ] }
";
    insta::assert_snapshot!(problems(text), @r#"
    agent.yaml:3: forward.tls.cert_file: needs its private key as well; name it in key_file
    agent.yaml:3: forward.tls.server_name: "a b" is not a name that a certificate can carry
    agent.yaml:3: forward.tls.cafile: unknown key; did you mean "ca_file"?
    agent.yaml:4: forward.proxy: is not the URL of a proxy; write it like "http://proxy.example.com:3128" or "http://NAME:PASSWORD@HOST:PORT"
    agent.yaml:5: forward.bandwidth.limit: must be at least 4KiB/s, or 0 for nothing
    agent.yaml:5: forward.bandwidth.windows[0].days: "monday" are no days; write "mon-fri" or "sat, sun"
    agent.yaml:5: forward.bandwidth.windows[0].from: "8" is not a time of day; write it like "08:30"
    agent.yaml:5: forward.bandwidth.windows[0].limit: "fast" is not a rate; write it like "256KiB/s", unlimited or 0
    agent.yaml:5: forward.bandwidth.windows[1].limit: missing; write a rate like "64KiB/s", unlimited or 0
    "#);
}

#[test]
fn a_proxy_comes_from_the_file_or_the_environment_and_none_means_none() {
    let environment = Environment {
        proxies: ProxyEnvironment {
            https: Some("http://env.example:1".to_owned()),
            ..ProxyEnvironment::default()
        },
        ..Environment::default()
    };
    let proxy = |forward: &str| {
        let text = format!("dsn: https://t@h.example\nforward: {{ {forward} }}");
        let config = parse_with(&text, &environment).unwrap();
        config.forward.proxy.map(|proxy| proxy.to_string())
    };
    assert_eq!(proxy("").unwrap(), "http://env.example:1");
    assert_eq!(
        proxy("proxy: file.example:2").unwrap(),
        "http://file.example:2"
    );
    assert_eq!(proxy("proxy: none"), None);
    assert_eq!(proxy("endpoint: 'https://127.0.0.1:1'"), None);
}

#[test]
fn outputs_are_named_lead_somewhere_and_to_one_place() {
    let text = "\
dsn: https://t@h
processors:
  - { plugin: redact.wasm, outputs: { audit: { dsn: \"https://u@h\" } } }
  - { name: b, plugin: redact.wasm, outputs: { audit: { dsn: \"https://v@h\" }, Big: {}, c: { url: x }, d: {} } }
  - { name: c, plugin: redact.wasm, outputs: [ audit ], allow: [ time ], lookups: { a: gone.csv } }
";
    let words = parse(text).unwrap_err().to_string();
    for part in [
        "processors[1].outputs: \"Big\" must be 1 to 64 of a-z",
        "processors[1].outputs: audit leads elsewhere in another processor",
        "processors[1].outputs: c: url: unknown key",
        "processors[1].outputs: d: has no dsn",
        "processors[2].outputs: expected names of outputs",
        "processors[2].allow: \"time\" is none of clock",
        "processors[2].lookups: no file",
    ] {
        assert!(words.contains(part), "{part} in\n{words}");
    }
    let text = "dsn: https://t@h\nforward: { headers: { x-tenant: a } }\nprocessors:\n  \
                - { plugin: redact.wasm, outputs: { here: { dsn: \"https://u@h\" } } }\n";
    let config = parse(text).unwrap();
    let output = &config.outputs[0];
    assert_eq!(output.max_bytes, config.spool.max_bytes / 8);
    // The same host is told what is meant for it.
    assert_eq!(output.forward.headers.len(), 1);
    assert_eq!(config.processors[0].outputs, Some(vec!["here".to_owned()]));
}
