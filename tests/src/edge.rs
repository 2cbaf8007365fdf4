//! The edge: an agent, and the link over which it reaches an aggregator.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::process::{DeathAt, Process, START, artefact, free_port, get, metric, wait_until};
use crate::proxy::Proxy;
use crate::versions;

/// What differs between agents.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    /// It redacts with the shipped processor.
    pub redact: bool,
    /// Ports of its receivers (gRPC, HTTP); free ones if `None`.
    pub ports: Option<(u16, u16)>,
    /// Where it keeps its spool; beside its configuration if `None`.
    pub spool_dir: Option<PathBuf>,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            redact: true,
            ports: None,
            spool_dir: None,
        }
    }
}

/// Directory, ports and process of one agent. Stopped when it is dropped.
#[derive(Debug)]
pub struct Edge {
    dir: PathBuf,
    name: String,
    spool_dir: PathBuf,
    /// The link to the aggregator.
    pub link: Proxy,
    /// OTLP/gRPC.
    pub grpc_port: u16,
    /// OTLP/HTTP.
    pub http_port: u16,
    /// Health, metrics, status.
    pub admin_port: u16,
    /// The running agent, if any.
    pub process: Option<Process>,
}

impl Edge {
    /// Writes a configuration below `dir` that forwards over `link` as `token`; starts nothing.
    pub fn configure(
        dir: &Path,
        name: &str,
        link: Proxy,
        token: &str,
        options: &EdgeOptions,
    ) -> anyhow::Result<Self> {
        let (grpc_port, http_port) = options.ports.unwrap_or_else(|| (free_port(), free_port()));
        let spool_dir = options.spool_dir.clone();
        let edge = Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            spool_dir: spool_dir.unwrap_or_else(|| dir.join(name)),
            link,
            grpc_port,
            http_port,
            admin_port: free_port(),
            process: None,
        };
        let mut text = format!(
            r"dsn: http://{token}@127.0.0.1:{link}
receivers:
  otlp:
    grpc: {{ endpoint: 127.0.0.1:{grpc_port} }}
    http: {{ endpoint: 127.0.0.1:{http_port} }}
admin: {{ endpoint: 127.0.0.1:{admin} }}
spool: {{ dir: {spool}, max_bytes: 2GiB, when_full: evict_oldest }}
",
            link = edge.link.port(),
            admin = edge.admin_port,
            spool = edge.spool_dir.display(),
        );
        if options.redact {
            let plugin = artefact("target/plugins/redact.wasm");
            writeln!(
                text,
                "processors:\n  - {{ name: redact, plugin: {}, on_error: closed, config: {{}} }}",
                plugin.display()
            )?;
        }
        std::fs::write(edge.config(), text)?;
        Ok(edge)
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join(format!("{}.yaml", self.name))
    }

    /// Where it keeps its spool.
    pub fn spool_dir(&self) -> PathBuf {
        self.spool_dir.clone()
    }

    /// Runs it until it ends by itself, which is expected.
    pub fn run_to_its_end(&self) -> anyhow::Result<Output> {
        let mut command = Command::new("timeout");
        command.arg(START.as_secs().to_string());
        command.arg(versions::agent()).args(["run", "--config"]);
        Ok(command.arg(self.config()).output()?)
    }

    fn spawn(&self, death: Option<DeathAt>) -> anyhow::Result<Process> {
        let mut command = Command::new(versions::agent());
        command.args(["run", "--config"]).arg(self.config());
        if let Some(death) = death {
            command = death.around(&command);
        }
        let log = self.dir.join(format!("{}.log", self.name));
        Process::start(&self.name, &mut command, &log)
    }

    /// Starts it to die; returns once its door is open or it is dead.
    pub fn start_under(&mut self, death: DeathAt) -> anyhow::Result<()> {
        let door = format!("http://127.0.0.1:{}/v1/traces", self.http_port);
        let process = self.spawn(Some(death))?;
        let process = self.process.insert(process);
        wait_until(START, "its door is open or it is dead", || {
            Ok(!process.is_running() || get(&door)?.0 > 0)
        })
    }

    /// Starts it and returns once its door is open.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_within(START)
    }

    /// As [`Edge::start`], for processors that take long to compile.
    pub fn start_within(&mut self, within: Duration) -> anyhow::Result<()> {
        let process = self.spawn(None)?;
        // Any HTTP answer will do: a GET is not what the path is for.
        let door = format!("http://127.0.0.1:{}/v1/traces", self.http_port);
        self.process = Some(process.once_up(within, "its door is open", || Ok(get(&door)?.0 > 0))?);
        Ok(())
    }

    /// The running process.
    ///
    /// # Panics
    /// If it is not running.
    pub fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("the agent runs")
    }

    /// A counter or gauge, summed over its labels.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        metric(self.admin_port, name)
    }
}
