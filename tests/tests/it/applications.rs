//! The users' own programs, unmodified, against a running site; and a browser on what they sent.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use petrel_tests::edge::EdgeOptions;
use petrel_tests::process::{Process, artefact, free_port, get, repository, wait_until};
use petrel_tests::site::Site;

const ARRIVES: Duration = Duration::from_secs(30);

#[test]
fn the_go_quickstart_prints_a_link_that_opens_its_trace_with_the_exception() -> anyhow::Result<()> {
    let site = Site::start(&EdgeOptions::default())?;
    // The program's own exporters speak to the aggregator: no agent in between.
    let output = Command::new("go")
        .args(["run", "."])
        .current_dir(repository("tests/fixtures/apps/go"))
        .env("UPTRACE_DSN", site.dsn())
        .output()
        .context("go is needed: packaging/prepare.sh test")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let link = printed
        .lines()
        .find_map(|line| line.strip_prefix("trace: "));
    let link = link
        .with_context(|| format!("no link in {printed:?}"))?
        .trim()
        .to_owned();
    let trace = link
        .rsplit('/')
        .next()
        .unwrap_or("")
        .split('?')
        .next()
        .unwrap_or("")
        .to_owned();
    anyhow::ensure!(
        link.starts_with(&format!(
            "http://localhost:{}/traces/",
            site.central.http_port
        )),
        "{link}"
    );

    let spans = format!("SELECT count() FROM spans WHERE trace_id = '{trace}'");
    wait_until(ARRIVES, "the three spans are stored", || {
        Ok(site.count(&spans)? == 3)
    })?;
    let names = site.sql(&format!(
        "SELECT name FROM spans WHERE trace_id = '{trace}' ORDER BY name"
    ))?;
    assert_eq!(
        names.concat(),
        ["GET /posts/:id", "SELECT", "main-operation"]
    );

    browse(
        &site,
        "trace-link.mjs",
        &[&link, "main-operation", "GET /posts/:id", "dummy error"],
    )
}

#[test]
fn the_flask_application_shows_up_in_the_list_of_traces() -> anyhow::Result<()> {
    // The application has the agent's port written in.
    let taken = std::net::TcpListener::bind("127.0.0.1:4317").is_err();
    anyhow::ensure!(
        !taken,
        "port 4317 is in use, and the application under test needs it"
    );
    let options = EdgeOptions {
        ports: Some((4317, free_port())),
        ..EdgeOptions::default()
    };
    let site = Site::start(&options)?;

    let port = free_port();
    let log = site.dir().join("flask.log");
    let mut flask = Command::new(flask_environment()?.join("bin/flask"));
    flask
        .args(["--app", "app", "run", "--port", &port.to_string()])
        .current_dir(repository("tests/fixtures/apps/flask"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let mut application = Process::start("flask", &mut flask, &log)?;
    let url = format!("http://127.0.0.1:{port}/");
    let answered = wait_until(ARRIVES, "the application answers", || {
        anyhow::ensure!(application.is_running(), "it has ended");
        Ok(get(&url)?.1.contains("Hello from Uptrace!"))
    });
    answered.with_context(|| application.tail())?;
    for _ in 0..4 {
        get(&url)?;
    }

    let traces = "SELECT count(DISTINCT trace_id) FROM spans WHERE service_name = 'my-flask-app'";
    wait_until(ARRIVES, "five traces are stored", || {
        Ok(site.count(traces)? >= 5)
    })?;
    let actions = "SELECT count() FROM spans WHERE name = 'process-request' AND attributes['user.action'] = 'page_view'";
    assert!(site.count(actions)? >= 5);

    browse(
        &site,
        "trace-list.mjs",
        &["my-flask-app", "GET /", "process-request"],
    )
}

/// The packages of the application, installed as its instructions say, kept between runs.
fn flask_environment() -> anyhow::Result<PathBuf> {
    let venv = repository("target/venv/flask");
    let done = venv.join("installed");
    if done.exists() {
        return Ok(venv);
    }
    let run = |command: &mut Command| -> anyhow::Result<()> {
        let output = command.output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{command:?} failed: {words}");
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(repository("tests/fixtures/apps/flask/requirements.txt")))?;
    std::fs::write(done, "")?;
    Ok(venv)
}

/// Runs a browser script of `tests/fixtures/browser` against the site, signed in as its operator.
pub(crate) fn browse(site: &Site, script: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let shots = repository("target/screenshots");
    std::fs::create_dir_all(&shots)?;
    let output = Command::new("node")
        .arg(repository(&format!("tests/fixtures/browser/{script}")))
        .args(arguments)
        .env(
            "PETREL_URL",
            format!("http://localhost:{}", site.central.http_port),
        )
        .env("PETREL_EMAIL", Site::EMAIL)
        .env("PETREL_PASSWORD", Site::PASSWORD)
        .env("PETREL_SHOTS", &shots)
        .env("PLAYWRIGHT", playwright())
        .output()?;
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    anyhow::ensure!(output.status.success(), "the browser says:\n{words}");
    Ok(())
}

fn playwright() -> PathBuf {
    artefact("aggregator/ui/node_modules/playwright-core/index.js")
}
