//! Known distributions through the clients that people use, each with a shape of its own, read back
//! as they were recorded.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use petrel_tests::api::Api;
use petrel_tests::edge::EdgeOptions;
use petrel_tests::process::{repository, wait_until};
use petrel_tests::site::Site;
use petrel_wire::{Clock as _, SystemClock};
use serde_json::{Value, json};

const ARRIVES: Duration = Duration::from_secs(30);
/// What each program records: 1, 2, ... 1000.
const RECORDED: f64 = 1000.0;

#[test]
fn what_four_clients_recorded_is_what_is_read_back() -> anyhow::Result<()> {
    let site = Site::start(&EdgeOptions::default())?;
    let programs = repository("tests/fixtures/apps/distribution").canonicalize()?;
    let python = python(&programs)?;
    run(Command::new("go")
        .args(["run", "./distribution"])
        .current_dir(repository("tests/fixtures/apps/go"))
        .env("UPTRACE_DSN", site.dsn()))?;
    run(Command::new(&python)
        .arg(programs.join("uptrace_python.py"))
        .env("UPTRACE_DSN", site.dsn()))?;
    run(Command::new("node")
        .arg(node(&programs)?)
        .env("UPTRACE_DSN", site.dsn()))?;
    // Nothing but the agent's address, as the specification names it.
    let agent = format!("http://127.0.0.1:{}", site.edge.grpc_port);
    run(Command::new(&python)
        .arg(programs.join("plain.py"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", agent)
        .env("OTEL_SERVICE_NAME", "plain"))?;

    let api = Api::sign_in(&site.central, site.dir())?;
    for client in ["uptrace_go", "uptrace_python", "uptrace_node", "plain"] {
        let durations = format!("{client}.duration");
        let arrived = || Ok(value(&api, &durations, "count")?.unwrap_or(0.0) >= RECORDED);
        wait_until(ARRIVES, &format!("all of {durations} is stored"), arrived)?;
        for (metric, aggregate, expected, tolerance) in [
            (&durations, "count", RECORDED, 0.0),
            (&durations, "sum", 500_500.0, 0.0),
            (&durations, "avg", 500.5, 1e-9),
            (&durations, "p50", 500.0, 0.05),
            (&durations, "p99", 990.0, 0.05),
            (&format!("{client}.requests"), "sum", RECORDED, 0.0),
        ] {
            let read = value(&api, metric, aggregate)?
                .with_context(|| format!("{metric} {aggregate} is not there"))?;
            assert!(
                (read - expected).abs() <= tolerance * expected,
                "{metric} {aggregate}: {read} was read, {expected} recorded"
            );
        }
    }
    Ok(())
}

/// One number for the last hour.
fn value(api: &Api, metric: &str, aggregate: &str) -> anyhow::Result<Option<f64>> {
    let now = SystemClock::new().wall().0;
    let hour = 3_600_000_000_000;
    let answer = api.post(
        "/projects/1/metrics/query",
        &json!({
            "metric": metric,
            "aggregate": aggregate,
            "time": { "from": (now - hour).to_string(), "to": (now + hour).to_string() },
            // One step, whatever the hour.
            "step_ms": 1000 * 24 * 3_600_000_u64,
        }),
    )?;
    let series = answer["data"]["series"].as_array().context("no series")?;
    anyhow::ensure!(series.len() <= 1, "{metric} has {} lines", series.len());
    let values = series.first().and_then(|line| line["values"].as_array());
    let mut values = values.into_iter().flatten().filter_map(Value::as_f64);
    let value = values.next();
    anyhow::ensure!(values.next().is_none(), "{metric} has several steps");
    Ok(value)
}

/// An interpreter with the clients, kept between runs.
fn python(programs: &Path) -> anyhow::Result<PathBuf> {
    let venv = repository("target/venv/distribution");
    let done = venv.join("installed");
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        run(Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(programs.join("requirements.txt")))?;
        std::fs::write(done, "")?;
    }
    Ok(venv.join("bin/python"))
}

/// The program beside its packages, which are kept between runs.
fn node(programs: &Path) -> anyhow::Result<PathBuf> {
    let dir = repository("target/npm/distribution");
    std::fs::create_dir_all(&dir)?;
    for file in ["package.json", "uptrace_node.mjs"] {
        std::fs::copy(programs.join(file), dir.join(file))?;
    }
    run(Command::new("npm")
        .args(["install", "--prefer-offline", "--no-audit", "--no-fund"])
        .arg("--loglevel=error")
        .current_dir(&dir))?;
    Ok(dir.join("uptrace_node.mjs"))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}; packaging/prepare.sh installs it"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?} failed: {words}");
    Ok(())
}
