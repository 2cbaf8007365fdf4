//! Several agents in front of several aggregators, and what must be true of all of them.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::central::{Central, Project, Servers};
use crate::edge::{Edge, EdgeOptions};
use crate::ledger::{Ledger, Stored};
use crate::postgres::Postgres;
use crate::process::{Process, wait_until};
use crate::proxy::Proxy;
use crate::traffic::Application;

/// What its aggregators fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stores {
    /// Each its own embedded store; an agent belongs to one aggregator.
    Own,
    /// All the same ClickHouse and PostgreSQL; an agent talks to all aggregators, as behind a load
    /// balancer.
    Shared,
}

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub struct FleetSize {
    /// Agents; they are spread over aggregators and projects.
    pub agents: usize,
    /// Aggregators.
    pub aggregators: usize,
    /// What these fill.
    pub stores: Stores,
    /// Projects of each aggregator.
    pub projects: u32,
}

/// The most memory that any process of a kind has had, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peaks {
    /// Agents.
    pub agent: u64,
    /// Aggregators, without their engines.
    pub aggregator: u64,
}

/// What aggregators with a shared store fill: the engine of one that has no senders, and PostgreSQL.
#[derive(Debug)]
struct SharedServers {
    store: Central,
    postgres: Postgres,
}

/// Everything is stopped when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    size: FleetSize,
    /// Agents, each with its link.
    pub edges: Vec<Edge>,
    /// Aggregators.
    pub centrals: Vec<Central>,
    servers: Option<SharedServers>,
    /// Kept up by [`Fleet::note_memory`].
    pub peaks: Peaks,
    // Last: the directory goes when nobody writes to it any more.
    dir: TempDir,
}

impl Fleet {
    /// Starts all of it. Every second agent redacts.
    pub fn start(size: FleetSize) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("petrel-fleet-").tempdir()?;
        let mut fleet = Self {
            size,
            edges: Vec::new(),
            centrals: Vec::new(),
            servers: None,
            peaks: Peaks::default(),
            dir,
        };
        if size.stores == Stores::Shared {
            fleet.servers = Some(SharedServers::start(fleet.dir.path())?);
        }
        for number in 0..size.aggregators {
            let place = fleet.home(number).0;
            let projects = (1..=size.projects).map(|id| Project {
                id,
                token: token(place, id),
            });
            let projects: Vec<Project> = projects.collect();
            let name = format!("aggregator-{number}");
            let mut central = Central::configure(fleet.dir.path(), &name, &projects)?;
            if let Some(servers) = &fleet.servers {
                central.use_servers(&servers.access()?)?;
            }
            central.start()?;
            fleet.centrals.push(central);
        }
        for number in 0..size.agents {
            let (central, project) = fleet.home(number);
            let mut ports: Vec<u16> = fleet.centrals.iter().map(|c| c.http_port).collect();
            if size.stores == Stores::Own {
                ports = vec![ports[central]];
            }
            let link = Proxy::among(ports);
            let options = EdgeOptions {
                redact: number % 2 == 0,
                ..EdgeOptions::default()
            };
            let (name, token) = (format!("agent-{number}"), token(central, project));
            let mut edge = Edge::configure(fleet.dir.path(), &name, link, &token, &options)?;
            edge.start()?;
            fleet.edges.push(edge);
        }
        Ok(fleet)
    }

    /// The store, by the first aggregator that fills it, and the project of an agent.
    fn home(&self, agent: usize) -> (usize, u32) {
        let project = u32::try_from(agent).unwrap_or(0) % self.size.projects + 1;
        match self.size.stores {
            Stores::Own => (agent % self.size.aggregators, project),
            Stores::Shared => (0, project),
        }
    }

    /// The aggregator whose embedded engine this one's store is.
    pub(crate) fn host_of_store(&mut self, aggregator: usize) -> &mut Central {
        match &mut self.servers {
            Some(servers) => &mut servers.store,
            None => &mut self.centrals[aggregator],
        }
    }

    /// Logs and data, for who wants to look.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One application for every agent.
    pub fn applications(&self, items: u64, pause: Duration) -> Vec<Application> {
        let application = |(number, edge): (usize, &Edge)| {
            let (central, project) = self.home(number);
            Application {
                place: place(central, project),
                name: format!("application-{number}"),
                port: edge.http_port,
                items,
                pause,
            }
        };
        self.edges.iter().enumerate().map(application).collect()
    }

    /// Returns once nothing is on its way: neither in a spool nor in a journal.
    pub fn wait_until_drained(&self, within: Duration) -> anyhow::Result<()> {
        wait_until(within, "every spool and journal is empty", || {
            for edge in &self.edges {
                if edge.metric("petrel_agent_spool_entries")? > 0.0 {
                    return Ok(false);
                }
            }
            for central in &self.centrals {
                if central.metric("aggregator_journal_entries")? > 0.0 {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Every row that came from an application.
    pub fn stored(&self) -> anyhow::Result<Vec<Stored>> {
        let mut stored = Vec::new();
        let stores = match self.size.stores {
            Stores::Own => self.centrals.len(),
            Stores::Shared => 1,
        };
        for (number, central) in self.centrals.iter().enumerate().take(stores) {
            stored.extend(central.stored(&format!("c{number}"))?);
        }
        Ok(stored)
    }

    /// Compares the stores with what was promised; complains with examples.
    pub fn check(&self, ledger: &Ledger) -> anyhow::Result<()> {
        let found = ledger.audit(&self.stored()?);
        let all = [
            ("lost", &found.lost),
            ("doubled", &found.doubled),
            ("damaged", &found.damaged),
            ("misplaced", &found.misplaced),
            ("invented", &found.invented),
            ("refused but stored", &found.refused_but_stored),
        ];
        let complaints: Vec<String> = all
            .iter()
            .filter(|(_, ids)| !ids.is_empty())
            .map(|(what, ids)| {
                let some: Vec<&str> = ids.iter().take(5).map(String::as_str).collect();
                format!("{} {what}, such as {}", ids.len(), some.join(", "))
            })
            .collect();
        anyhow::ensure!(complaints.is_empty(), "{}", complaints.join("; "));
        Ok(())
    }

    /// The equations of both halves, once nothing is on its way.
    pub fn check_books(&self) -> anyhow::Result<()> {
        for edge in &self.edges {
            let of = |name: &str| edge.metric(&format!("petrel_agent_{name}"));
            let settled = of("spooled_items_total")?
                + of("dropped_items_total")?
                + of("refused_items_total")?;
            balance("admitted", of("admitted_items_total")?, settled)?;
            let lost = of("spool_evicted_items_total")? + of("spool_corrupt_items_total")?;
            let gone = of("spool_delivered_items_total")? + of("spool_rejected_items_total")?;
            let here = of("spool_here_items")?;
            let spooled = of("spool_spooled_items_total")?;
            balance("spooled", spooled, gone + lost + here)?;
            balance("given up", lost, 0.0)?;
        }
        for central in &self.centrals {
            let of = |name: &str| central.metric(&format!("aggregator_journal_{name}"));
            let lost = of("evicted_items_total")? + of("corrupt_items_total")?;
            let gone = of("stored_items_total")? + of("rejected_items_total")?;
            let spooled = of("spooled_items_total")?;
            balance("journaled", spooled, gone + lost + of("here_items")?)?;
            balance("given up by the journal", lost, 0.0)?;
        }
        Ok(())
    }

    /// Looks at what memory everybody has needed so far; before a process goes, its peak goes too.
    pub fn note_memory(&mut self) {
        let peak = |process: &Option<Process>| {
            let peak = process.as_ref().map(Process::peak_resident_bytes);
            peak.and_then(Result::ok).unwrap_or(0)
        };
        for edge in &self.edges {
            self.peaks.agent = self.peaks.agent.max(peak(&edge.process));
        }
        for central in &self.centrals {
            self.peaks.aggregator = self.peaks.aggregator.max(peak(&central.process));
        }
    }
}

impl SharedServers {
    const DATABASE: &'static str = "shared";

    fn start(dir: &Path) -> anyhow::Result<Self> {
        let postgres = Postgres::start(dir)?;
        postgres.create_database(Self::DATABASE)?;
        let mut store = Central::configure(dir, "store", &[])?;
        store.start()?;
        Ok(Self { store, postgres })
    }

    fn access(&self) -> anyhow::Result<Servers> {
        Ok(Servers {
            clickhouse: self.store.engine()?,
            postgres: self.postgres.port,
            database: Self::DATABASE.to_owned(),
        })
    }
}

/// Counts of items, as exact as the format of metrics.
fn balance(what: &str, counted: f64, accounted_for: f64) -> anyhow::Result<()> {
    anyhow::ensure!(
        (counted - accounted_for).abs() < 0.5,
        "{what}: {counted}, accounted for: {accounted_for}"
    );
    Ok(())
}

fn token(central: usize, project: u32) -> String {
    format!("token{central}p{project}secret")
}

fn place(central: usize, project: u32) -> String {
    format!("c{central}p{project}")
}
