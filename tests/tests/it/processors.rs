//! An aggregator with processors of its own: those who send without an agent are processed before
//! anything of theirs is written down; agents have had their chain.

use std::fs;
use std::path::Path;
use std::time::Duration;

use petrel_tests::edge::EdgeOptions;
use petrel_tests::process::{artefact, wait_until};
use petrel_tests::site::Site;

const ARRIVES: Duration = Duration::from_secs(30);
const CANARY: &str = "canary91c2";

/// Whether a file below `dir` has it. Short records lie in the journal as literals.
fn holds(dir: &Path, needle: &str) -> anyhow::Result<bool> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            holds(&path, needle)?
        } else {
            let bytes = fs::read(&path)?;
            bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn post(port: u16, dsn: &str) -> anyhow::Result<u16> {
    let record = format!(
        r#"{{"body":{{"stringValue":"hello"}},"attributes":[{{"key":"secret","value":{{"stringValue":"{CANARY}"}}}}]}}"#
    );
    let request = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
    let request = petrel_tests::http::client()
        .post(format!("http://127.0.0.1:{port}/v1/logs"))
        .header("content-type", "application/json")
        .header("uptrace-dsn", dsn)
        .body(request);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime
        .block_on(async { request.send().await })?
        .status()
        .as_u16())
}

#[test]
fn a_redactor_in_the_aggregator_keeps_secrets_of_senders_without_an_agent_out_of_everything()
-> anyhow::Result<()> {
    let options = EdgeOptions {
        redact: false,
        ..EdgeOptions::default()
    };
    let mut site = Site::configure(&options)?;
    let file = site.central.config();
    let section = format!(
        "processors: [ {{ name: redact, plugin: {}, on_error: closed }} ]\n",
        artefact("target/plugins/redact.wasm").display()
    );
    fs::write(&file, fs::read_to_string(&file)? + &section)?;
    site.central.start()?;
    let dsn = site.dsn();
    assert_eq!(post(site.central.http_port, &dsn)?, 200);
    let count = |site: &Site, value: &str| {
        site.count(&format!(
            "SELECT count() FROM logs WHERE attributes['secret'] = '{value}'"
        ))
    };
    wait_until(ARRIVES, "the record is stored", || {
        Ok(count(&site, "[redacted]")? == 1)
    })?;
    assert_eq!(count(&site, CANARY)?, 0);
    assert!(!holds(&site.central.data_dir(), CANARY)?);

    // An agent that was told to process nothing is believed, which shows that the search finds it.
    site.edge.start()?;
    assert_eq!(post(site.edge.http_port, &dsn)?, 200);
    wait_until(ARRIVES, "the agent's record is stored", || {
        Ok(count(&site, CANARY)? == 1)
    })?;
    assert!(holds(&site.central.data_dir(), CANARY)?);
    Ok(())
}
