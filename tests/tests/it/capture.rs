//! What comes into an agent, written down for whoever writes a processor: only where it is allowed,
//! and without what it says if that is asked for.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use petrel_tests::edge::EdgeOptions;
use petrel_tests::process::{artefact, binary, wait_until};
use petrel_tests::site::Site;

const CANARY: &str = "canary@example.com";

fn post(port: u16) -> anyhow::Result<()> {
    let request = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"from {CANARY}"}}}}]}}]}}]}}"#
    );
    let request = petrel_tests::http::client()
        .post(format!("http://127.0.0.1:{port}/v1/logs"))
        .header("content-type", "application/json")
        .body(request);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime
        .block_on(async { request.send().await })?
        .status()
        .as_u16();
    anyhow::ensure!(status == 200, "{status}");
    Ok(())
}

/// Looks for two seconds, in which something comes.
fn capture(site: &Site, output: &Path, more: &[&str]) -> anyhow::Result<Output> {
    let admin = format!("127.0.0.1:{}", site.edge.admin_port);
    let mut child = Command::new(binary("petrel"))
        .args(["capture", "--seconds", "2", "--admin", &admin, "--output"])
        .arg(output)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    wait_until(Duration::from_secs(60), "the look is over", || {
        post(site.edge.http_port)?;
        Ok(child.try_wait()?.is_some())
    })?;
    Ok(child.wait_with_output()?)
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

#[test]
fn what_comes_in_can_be_written_down_where_it_is_allowed_and_scrubbed() -> anyhow::Result<()> {
    let mut site = Site::configure(&EdgeOptions::default())?;
    let file = site.edge.config();
    let text = fs::read_to_string(&file)?;
    site.edge.start()?;
    let output = site.dir().join("capture.otlp.json");
    let refused = capture(&site, &output, &[])?;
    assert!(!refused.status.success());
    assert!(
        words(&refused).contains("admin: { capture: true }"),
        "{}",
        words(&refused)
    );
    assert!(!output.exists());
    site.edge.process = None;

    fs::write(&file, text.replace("admin: { ", "admin: { capture: true, "))?;
    site.edge.start()?;
    let captured = capture(&site, &output, &[])?;
    assert!(captured.status.success(), "{}", words(&captured));
    // The agent redacts; what came before that is here.
    assert!(fs::read_to_string(&output)?.contains(CANARY));
    let again = capture(&site, &output, &[])?;
    assert!(!again.status.success() && words(&again).contains("--output"));

    let scrubbed = site.dir().join("scrubbed.otlp.json");
    let captured = capture(&site, &scrubbed, &["--scrub"])?;
    assert!(captured.status.success(), "{}", words(&captured));
    let text = fs::read_to_string(&scrubbed)?;
    assert!(!text.contains("canary") && text.contains('@'), "{text}");

    let run = Command::new(binary("petrel"))
        .args(["plugin", "run"])
        .arg(artefact("target/plugins/redact.wasm"))
        .stdin(fs::File::open(&scrubbed)?)
        .output()?;
    assert!(run.status.success(), "{}", words(&run));
    assert!(words(&run).contains("[redacted]"), "{}", words(&run));
    Ok(())
}
