//! The middle: an aggregator with its embedded engine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::ledger::Stored;
use crate::postgres::Postgres;
use crate::process::{DeathAt, Process, START, artefact, free_port, get, metric, wait_until};
use crate::traffic::{ID, PAYLOAD};
use crate::versions;

/// A project of an aggregator: number and token.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its number.
    pub id: u32,
    /// What its senders show.
    pub token: String,
}

/// Servers that an aggregator fills and asks instead of embedded ones; others may do so too.
#[derive(Clone, Debug)]
pub struct Servers {
    /// ClickHouse's HTTP address, user, password.
    pub clickhouse: [String; 3],
    /// PostgreSQL's port on loopback.
    pub postgres: u16,
    /// The database in both.
    pub database: String,
}

impl Servers {
    fn yaml(&self) -> String {
        let Self {
            clickhouse: [addr, user, password],
            postgres,
            database,
        } = self;
        let pg_user = Postgres::USER;
        format!(
            "ch: {{ addr: \"{addr}\", user: \"{user}\", password: \"{password}\", database: {database} }}\n\
             pg: {{ addr: \"127.0.0.1:{postgres}\", user: {pg_user}, password: any, database: {database} }}\n"
        )
    }
}

/// Directory, ports and process of one aggregator. Stopped when it is dropped.
#[derive(Debug)]
pub struct Central {
    dir: PathBuf,
    name: String,
    /// OTLP/HTTP, API and UI.
    pub http_port: u16,
    /// OTLP/gRPC.
    pub grpc_port: u16,
    /// Set when it is started.
    pub environment: Vec<(&'static str, &'static str)>,
    /// The running aggregator, if any.
    pub process: Option<Process>,
}

impl Central {
    /// Who may sign in.
    pub const EMAIL: &'static str = "operator@example.com";
    /// Their password.
    pub const PASSWORD: &'static str = "correct horse battery";

    /// Writes a configuration below `dir` and starts nothing.
    pub fn configure(dir: &Path, name: &str, projects: &[Project]) -> anyhow::Result<Self> {
        let central = Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            http_port: free_port(),
            grpc_port: free_port(),
            environment: Vec::new(),
            process: None,
        };
        let mut text = format!(
            r#"data_dir: {data}
listen:
  grpc: {{ addr: "127.0.0.1:{grpc}" }}
  http: {{ addr: "127.0.0.1:{http}" }}
site: {{ addr: "http://localhost:{http}" }}
auth:
  users:
    - {{ email: "{email}", name: "Operator", password: "{password}" }}
projects:
"#,
            data = central.data_dir().display(),
            grpc = central.grpc_port,
            http = central.http_port,
            email = Self::EMAIL,
            password = Self::PASSWORD,
        );
        for Project { id, token } in projects {
            writeln!(
                text,
                "  - {{ id: {id}, name: \"Project {id}\", token: \"{token}\", pinned_attrs: [service.name, host.name] }}"
            )?;
        }
        std::fs::write(central.config(), text)?;
        Ok(central)
    }

    /// Lets one that is not started yet use servers instead of embedded ones.
    pub fn use_servers(&self, servers: &Servers) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.config())?;
        Ok(std::fs::write(self.config(), servers.yaml() + &text)?)
    }

    /// Where the embedded engine of a running one listens, and who may ask it.
    pub fn engine(&self) -> anyhow::Result<[String; 3]> {
        let text = std::fs::read_to_string(self.data_dir().join("engine.json"))?;
        let access: serde_json::Value = serde_json::from_str(&text)?;
        let text = |name: &str| access[name].as_str().unwrap_or_default().to_owned();
        Ok([text("url"), text("user"), text("password")])
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join(format!("{}.yml", self.name))
    }

    /// Where it keeps journal, metadata and engine.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// A DSN as an application would be given it.
    pub fn dsn(&self, token: &str) -> String {
        let (http, grpc) = (self.http_port, self.grpc_port);
        format!("http://{token}@localhost:{http}?grpc={grpc}")
    }

    fn spawn(&self, death: Option<DeathAt>) -> anyhow::Result<Process> {
        let mut command = Command::new(versions::aggregator());
        command
            .args(["serve", "--config"])
            .arg(self.config())
            .env("PETREL_ENGINE_LIB", artefact("target/engine/libchdb.so"))
            .envs(self.environment.iter().copied());
        if let Some(death) = death {
            command = death.around(&command);
        }
        let log = self.dir.join(format!("{}.log", self.name));
        Process::start(&self.name, &mut command, &log)
    }

    /// Starts it to die; returns once its door is open or it is dead. Its store may never be ready:
    /// each engine that it starts dies as well, at its own n-th call.
    pub fn start_under(&mut self, death: DeathAt) -> anyhow::Result<()> {
        let mut process = self.spawn(Some(death))?;
        let door = format!("http://127.0.0.1:{}/ready", self.http_port);
        let outcome = wait_until(START, "its door is open or it is dead", || {
            Ok(!process.is_running() || get(&door)?.0 > 0)
        });
        self.process = Some(process);
        outcome
    }

    /// Starts it and returns once it and its store are ready.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let process = self.spawn(None)?;
        self.process = Some(process.once_up(START, "the store is ready", || self.is_ready())?);
        Ok(())
    }

    /// Returns once a running one and its store are ready.
    pub fn wait_until_ready(&self) -> anyhow::Result<()> {
        wait_until(START, "the store is ready", || self.is_ready())
    }

    fn is_ready(&self) -> anyhow::Result<bool> {
        let (status, body) = get(&format!("http://127.0.0.1:{}/ready", self.http_port))?;
        Ok(status == 200 && body.contains(r#""store":"ok""#))
    }

    /// The running process.
    ///
    /// # Panics
    /// If it is not running.
    pub fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("the aggregator runs")
    }

    /// Rows of a read-only query through the operator's door, cells as text.
    pub fn sql(&self, query: &str) -> anyhow::Result<Vec<Vec<String>>> {
        let output = Command::new(versions::aggregator())
            .args(["sql", "--format", "TSVRaw", "--config"])
            .arg(self.config())
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

    /// Every row that came from an [`Application`](crate::traffic::Application), told to be of
    /// `place` and its project's number.
    pub fn stored(&self, place: &str) -> anyhow::Result<Vec<Stored>> {
        let attributes = format!("attributes['{ID}'], attributes['{PAYLOAD}']");
        let questions = [
            format!("SELECT project_id, {attributes}, count() FROM spans GROUP BY ALL"),
            format!("SELECT project_id, {attributes}, count() FROM points GROUP BY ALL"),
            "SELECT project_id, substringIndex(body, ' ', 1), substring(body, position(body, ' ') + 1), count() FROM logs GROUP BY ALL".to_owned(),
        ];
        let mut stored = Vec::new();
        for question in &questions {
            for row in self.sql(question)? {
                let [project, id, payload, rows] = row.as_slice() else {
                    anyhow::bail!("a row of {} cells", row.len());
                };
                stored.push(Stored {
                    id: id.clone(),
                    place: format!("{place}p{project}"),
                    payload: payload.clone(),
                    rows: rows.parse()?,
                });
            }
        }
        Ok(stored)
    }

    /// A counter or gauge, summed over its labels.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        metric(self.http_port, name)
    }
}
