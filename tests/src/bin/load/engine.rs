//! The embedded engine of a running aggregator, asked as its owner, and what it costs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use petrel_tests::http;
use petrel_tests::process::cpu_time_of;

/// The engine child of an aggregator.
pub(crate) struct Owner {
    client: reqwest::Client,
    url: String,
    user: String,
    password: String,
    database: String,
    pid: u32,
}

/// What a client has to know.
pub(crate) struct Access<'a> {
    pub(crate) url: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) database: &'a str,
}

impl Owner {
    /// Of the aggregator with this data directory and process id.
    pub(crate) fn find(data_dir: &Path, aggregator: u32) -> anyhow::Result<Self> {
        let access = std::fs::read_to_string(data_dir.join("engine.json"))?;
        let access: serde_json::Value = serde_json::from_str(&access)?;
        let field = |name: &str| {
            let value = access[name].as_str();
            Ok::<_, anyhow::Error>(value.with_context(|| format!("no {name}"))?.to_owned())
        };
        let children = Command::new("pgrep")
            .args(["-P", &aggregator.to_string()])
            .output()?;
        let pid = String::from_utf8_lossy(&children.stdout)
            .trim()
            .parse()
            .context("an aggregator has one child, the engine")?;
        Ok(Self {
            client: http::client(),
            url: field("url")?,
            user: field("user")?,
            password: field("password")?,
            database: field("database")?,
            pid,
        })
    }

    /// Where it is reached and by whom, for other programs.
    pub(crate) fn access(&self) -> Access<'_> {
        Access {
            url: &self.url,
            user: &self.user,
            password: &self.password,
            database: &self.database,
        }
    }

    /// Runs a statement; `rows` follow an INSERT.
    pub(crate) async fn run(&self, sql: &str, rows: Vec<u8>) -> anyhow::Result<String> {
        let parameters = [("query", sql), ("database", &self.database)];
        let response = self
            .client
            .post(reqwest::Url::parse_with_params(&self.url, parameters)?)
            .header("x-clickhouse-user", &self.user)
            .header("x-clickhouse-key", &self.password)
            .timeout(Duration::from_secs(3600))
            .body(rows)
            .send()
            .await?;
        let (status, text) = (response.status(), response.text().await?);
        anyhow::ensure!(status == 200, "{sql}: {text}");
        Ok(text.trim().to_owned())
    }

    /// A single number.
    pub(crate) async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let text = self.run(sql, Vec::new()).await?;
        text.parse().with_context(|| format!("{sql} said {text:?}"))
    }

    /// User and system time that the engine has used.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        cpu_time_of(&format!("/proc/{}", self.pid))
    }
}
