//! A whole site on loopback: an aggregator with its embedded engine, an agent, and the link between.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::process::{Process, artefact, binary, free_port, wait_until};
use crate::proxy::Proxy;

/// How long the slowest start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// What differs between sites.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// The agent redacts with the shipped processor.
    pub redact: bool,
    /// Ports of the agent's receivers; free ones if `None`.
    pub agent_ports: Option<(u16, u16)>,
}

impl Default for SiteOptions {
    fn default() -> Self {
        Self {
            redact: true,
            agent_ports: None,
        }
    }
}

/// Directories, ports and processes of one site. Everything is stopped when it is dropped.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    /// The link between agent and aggregator.
    pub link: Proxy,
    /// OTLP/HTTP, API and UI of the aggregator.
    pub http_port: u16,
    /// OTLP/gRPC of the aggregator.
    pub grpc_port: u16,
    /// OTLP/gRPC of the agent.
    pub agent_grpc_port: u16,
    /// OTLP/HTTP of the agent.
    pub agent_http_port: u16,
    admin_port: u16,
    /// The running aggregator, if any.
    pub aggregator: Option<Process>,
    /// The running agent, if any.
    pub agent: Option<Process>,
}

impl Site {
    /// The token of the site's only project.
    pub const TOKEN: &'static str = "project1_secret_token";
    /// Who may sign in.
    pub const EMAIL: &'static str = "operator@example.com";
    /// Their password.
    pub const PASSWORD: &'static str = "correct horse battery";

    /// Writes the configuration and starts both halves.
    pub fn start(options: &SiteOptions) -> anyhow::Result<Self> {
        let mut site = Self::configure(options)?;
        site.start_aggregator()?;
        site.start_agent()?;
        Ok(site)
    }

    /// Writes the configuration and starts nothing.
    pub fn configure(options: &SiteOptions) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("petrel-site-").tempdir()?;
        let (http_port, grpc_port) = (free_port(), free_port());
        let (agent_grpc_port, agent_http_port) = options
            .agent_ports
            .unwrap_or_else(|| (free_port(), free_port()));
        let site = Self {
            link: Proxy::to(http_port),
            http_port,
            grpc_port,
            agent_grpc_port,
            agent_http_port,
            admin_port: free_port(),
            aggregator: None,
            agent: None,
            dir,
        };
        site.write_configs(options)?;
        Ok(site)
    }

    fn write_configs(&self, options: &SiteOptions) -> anyhow::Result<()> {
        let aggregator = format!(
            r#"data_dir: {dir}/aggregator
listen:
  grpc: {{ addr: "127.0.0.1:{grpc}" }}
  http: {{ addr: "127.0.0.1:{http}" }}
site: {{ addr: "http://localhost:{http}" }}
projects:
  - {{ id: 1, name: "My Project", token: "{token}", pinned_attrs: [service.name, host.name] }}
auth:
  users:
    - {{ email: "{email}", name: "Operator", password: "{password}" }}
"#,
            dir = self.dir.path().display(),
            grpc = self.grpc_port,
            http = self.http_port,
            token = Self::TOKEN,
            email = Self::EMAIL,
            password = Self::PASSWORD,
        );
        std::fs::write(self.aggregator_config(), aggregator)?;
        let mut agent = format!(
            r"dsn: http://{token}@127.0.0.1:{link}?grpc={grpc}
receivers:
  otlp:
    grpc: {{ endpoint: 127.0.0.1:{otlp_grpc} }}
    http: {{ endpoint: 127.0.0.1:{otlp_http} }}
admin: {{ endpoint: 127.0.0.1:{admin} }}
spool: {{ dir: {dir}/agent, max_bytes: 2GiB, when_full: evict_oldest }}
",
            token = Self::TOKEN,
            link = self.link.port(),
            grpc = self.grpc_port,
            otlp_grpc = self.agent_grpc_port,
            otlp_http = self.agent_http_port,
            admin = self.admin_port,
            dir = self.dir.path().display(),
        );
        if options.redact {
            let plugin = artefact("target/plugins/redact.wasm");
            writeln!(
                agent,
                "processors:\n  - {{ name: redact, plugin: {}, on_error: closed, config: {{}} }}",
                plugin.display()
            )?;
        }
        Ok(std::fs::write(self.agent_config(), agent)?)
    }

    /// The aggregator's configuration file.
    pub fn aggregator_config(&self) -> PathBuf {
        self.dir.path().join("petrel.yml")
    }

    /// The agent's configuration file.
    pub fn agent_config(&self) -> PathBuf {
        self.dir.path().join("agent.yaml")
    }

    /// Where the agent keeps its spool.
    pub fn spool_dir(&self) -> PathBuf {
        self.dir.path().join("agent")
    }

    /// Where the aggregator keeps journal, metadata and engine.
    pub fn aggregator_dir(&self) -> PathBuf {
        self.dir.path().join("aggregator")
    }

    /// Scratch space.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A DSN of the site as an application would be given it.
    pub fn dsn(&self) -> String {
        format!(
            "http://{}@localhost:{}?grpc={}",
            Self::TOKEN,
            self.http_port,
            self.grpc_port
        )
    }

    /// Starts the aggregator and returns once it and its store are ready.
    pub fn start_aggregator(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(binary("petrel-aggregator"));
        command
            .args(["serve", "--config"])
            .arg(self.aggregator_config())
            .env("PETREL_ENGINE_LIB", artefact("target/engine/libchdb.so"));
        let url = format!("http://127.0.0.1:{}/ready", self.http_port);
        self.aggregator = Some(self.started("aggregator", &mut command, &url)?);
        wait_until(START, "the store is ready", || {
            Ok(get(&url)?.1.contains(r#""store":"ok""#))
        })
    }

    /// Starts the agent and returns once it answers `/health`.
    pub fn start_agent(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(binary("petrel-agent"));
        command.args(["run", "--config"]).arg(self.agent_config());
        let url = format!("http://127.0.0.1:{}/health", self.admin_port);
        self.agent = Some(self.started("agent", &mut command, &url)?);
        Ok(())
    }

    fn started(&self, name: &str, command: &mut Command, url: &str) -> anyhow::Result<Process> {
        let log = self.dir.path().join(format!("{name}.log"));
        let mut process = Process::start(name, command, &log)?;
        let up = wait_until(START, &format!("{name} answers {url}"), || {
            anyhow::ensure!(process.is_running(), "{name} has ended");
            Ok(get(url)?.0 == 200)
        });
        up.with_context(|| format!("the end of its log:\n{}", process.tail()))?;
        Ok(process)
    }

    /// Rows of a read-only query through the operator's door, cells as text.
    pub fn sql(&self, query: &str) -> anyhow::Result<Vec<Vec<String>>> {
        let output = Command::new(binary("petrel-aggregator"))
            .args(["sql", "--format", "TSVRaw", "--config"])
            .arg(self.aggregator_config())
            .arg(query)
            .output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "sql failed: {words}");
        let text = String::from_utf8(output.stdout)?;
        Ok(text
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect())
    }

    /// The single number that a query returns.
    pub fn count(&self, query: &str) -> anyhow::Result<u64> {
        let rows = self.sql(query)?;
        let cell = rows.first().and_then(|row| row.first()).context("no row")?;
        Ok(cell.parse()?)
    }

    /// A counter or gauge of the agent, summed over its labels.
    pub fn agent_metric(&self, name: &str) -> anyhow::Result<f64> {
        metric(self.admin_port, name)
    }

    /// A counter or gauge of the aggregator, summed over its labels.
    pub fn aggregator_metric(&self, name: &str) -> anyhow::Result<f64> {
        metric(self.http_port, name)
    }
}

fn metric(port: u16, name: &str) -> anyhow::Result<f64> {
    let (status, text) = get(&format!("http://127.0.0.1:{port}/metrics"))?;
    anyhow::ensure!(status == 200, "/metrics said {status}");
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    let values = lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or("").parse::<f64>()?));
    let values: Vec<f64> = values.collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!values.is_empty(), "there is no metric {name}");
    Ok(values.into_iter().sum())
}

/// A plain GET for waiting: status and body.
pub fn get(url: &str) -> anyhow::Result<(u16, String)> {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "5", "-w", "\n%{http_code}", url])
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("curl prints a status")?;
    Ok((status.parse()?, body.to_owned()))
}
