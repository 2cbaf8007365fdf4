//! A whole site on loopback: an aggregator with its embedded engine, an agent, and the link between.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::central::{Central, Project};
use crate::edge::{Edge, EdgeOptions};
use crate::proxy::Proxy;

/// One aggregator and one agent. Everything is stopped when it is dropped.
#[derive(Debug)]
pub struct Site {
    /// The agent and its link.
    pub edge: Edge,
    /// The aggregator.
    pub central: Central,
    // Last: the directory goes when nobody writes to it any more.
    dir: TempDir,
}

impl Site {
    /// The token of the site's only project.
    pub const TOKEN: &'static str = "project1_secret_token";
    /// Who may sign in.
    pub const EMAIL: &'static str = Central::EMAIL;
    /// Their password.
    pub const PASSWORD: &'static str = Central::PASSWORD;

    /// Writes the configuration and starts both halves.
    pub fn start(options: &EdgeOptions) -> anyhow::Result<Self> {
        let mut site = Self::configure(options)?;
        site.central.start()?;
        site.edge.start()?;
        Ok(site)
    }

    /// Writes the configuration and starts nothing.
    pub fn configure(options: &EdgeOptions) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("petrel-site-").tempdir()?;
        let project = Project {
            id: 1,
            token: Self::TOKEN.to_owned(),
        };
        let central = Central::configure(dir.path(), "aggregator", &[project])?;
        let link = Proxy::to(central.http_port);
        let edge = Edge::configure(dir.path(), "agent", link, Self::TOKEN, options)?;
        Ok(Self { edge, central, dir })
    }

    /// Scratch space.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the agent keeps its spool.
    pub fn spool_dir(&self) -> PathBuf {
        self.edge.spool_dir()
    }

    /// A DSN of the site as an application would be given it.
    pub fn dsn(&self) -> String {
        self.central.dsn(Self::TOKEN)
    }

    /// Rows of a read-only query through the operator's door, cells as text.
    pub fn sql(&self, query: &str) -> anyhow::Result<Vec<Vec<String>>> {
        self.central.sql(query)
    }

    /// The single number that a query returns.
    pub fn count(&self, query: &str) -> anyhow::Result<u64> {
        self.central.count(query)
    }
}
