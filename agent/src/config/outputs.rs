//! `processors[].outputs`: names, and the DSNs that they lead to.

use petrel_plugin_host::written::size;
use petrel_wire::Dsn;
use serde_json::{Map, Value};

use super::proxy::Choice;
use super::section::Section;
use super::values::json;
use super::{Config, Environment, Forward, Output};

/// Of the spool's bound, for an output that says nothing; and what is enough for a spool.
const SHARE: u64 = 8;
const LEAST_BYTES: u64 = 64 << 20;

const KEY: &str = "outputs";

/// Reads those of all processors. Two may share a name, and then lead to the same place.
pub(super) fn read(
    root: &Section<'_>,
    config: &Config,
    choice: &Choice,
    environment: &Environment,
) -> Vec<Output> {
    let mut outputs = Vec::<Output>::new();
    for section in root.sections("processors") {
        // What is no map was complained about already.
        let Some(Value::Object(given)) = section.node(KEY).map(json) else {
            continue;
        };
        for (name, value) in given {
            let read = value
                .as_object()
                .ok_or_else(|| "expected a section with a dsn".to_owned())
                .and_then(|given| output(&name, given, config, choice, environment));
            let output = match read {
                Ok(output) => output,
                Err(what) => {
                    section.problem(KEY, format!("{name}: {what}"));
                    continue;
                }
            };
            match outputs.iter().find(|known| known.name == name) {
                None => outputs.push(output),
                Some(known) if known.forward.dsn == output.forward.dsn => {}
                Some(_) => {
                    let what =
                        format!("{name} leads elsewhere in another processor; give it one DSN");
                    section.problem(KEY, what);
                }
            }
        }
    }
    outputs
}

fn output(
    name: &str,
    given: &Map<String, Value>,
    config: &Config,
    choice: &Choice,
    environment: &Environment,
) -> Result<Output, String> {
    let text = |key: &str| {
        given.get(key).map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        })
    };
    if let Some(other) = given
        .keys()
        .find(|key| *key != "dsn" && *key != "max_bytes")
    {
        return Err(format!("{other}: unknown key; known here: dsn, max_bytes"));
    }
    let Some(dsn) = text("dsn") else {
        return Err("has no dsn; write `dsn: \"https://TOKEN@HOST/PROJECT\"`".to_owned());
    };
    let dsn = Dsn::parse(&dsn).map_err(|error| format!("dsn: {error}"))?;
    let max_bytes = match text("max_bytes") {
        None => (config.spool.max_bytes / SHARE).max(LEAST_BYTES),
        Some(text) => size(&text).map_err(|what| format!("max_bytes: {what}"))?,
    };
    if !(LEAST_BYTES..=config.spool.max_bytes).contains(&max_bytes) {
        return Err("max_bytes: must be at least 64MiB, and at most spool.max_bytes".to_owned());
    }
    Ok(Output {
        name: name.to_owned(),
        forward: forward(&config.forward, dsn, choice, environment)?,
        max_bytes,
    })
}

/// The way there. Endpoint, headers and what else is meant for one host are not shown to another.
fn forward(
    main: &Forward,
    dsn: Dsn,
    choice: &Choice,
    environment: &Environment,
) -> Result<Forward, String> {
    let origin = dsn.http_origin();
    let is_same = main
        .dsn
        .as_ref()
        .is_some_and(|main| main.http_origin() == origin);
    let mut forward = main.clone();
    forward.dsn = Some(dsn);
    if !is_same {
        forward.endpoint = None;
        forward.headers.clear();
        forward.tls.identity = None;
        forward.tls.server_name = None;
        let (url, local) = (forward.base_url(), forward.is_local());
        forward.proxy = choice.clone().resolve(&environment.proxies, &url, local)?;
    }
    Ok(forward)
}
