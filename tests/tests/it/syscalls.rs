//! Death at the n-th system call: strace kills the process in the middle of its disk work, wherever
//! that is: in recovery, in a commit, between a commit and its answer.

use std::time::Duration;

use anyhow::Context as _;
use petrel_tests::edge::EdgeOptions;
use petrel_tests::http;
use petrel_tests::ledger::{Differences, Ledger, Outcome};
use petrel_tests::process::{DeathAt, Process, wait_until};
use petrel_tests::site::Site;
use petrel_tests::traffic::{Application, post};

const REQUESTS: u64 = 50;

/// Who is to die.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Agent,
    Aggregator,
}

/// One site for all deaths, and what was promised so far.
struct Run {
    site: Site,
    ledger: Ledger,
    runtime: tokio::runtime::Runtime,
    deaths: u32,
}

impl Run {
    fn start() -> anyhow::Result<Self> {
        let options = EdgeOptions {
            redact: false,
            ..EdgeOptions::default()
        };
        Ok(Self {
            site: Site::start(&options)?,
            ledger: Ledger::default(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            deaths: 0,
        })
    }

    /// Starts the victim under the axe, sends until it is dead, and starts it again.
    fn die(&mut self, victim: Victim, axe: DeathAt) -> anyhow::Result<()> {
        self.die_there(victim, axe)
            .with_context(|| format!("{victim:?} at {axe}"))
    }

    fn die_there(&mut self, victim: Victim, axe: DeathAt) -> anyhow::Result<()> {
        match victim {
            Victim::Agent => {
                self.site
                    .edge
                    .running()
                    .terminate(Duration::from_secs(30))?;
                self.site.edge.start_under(axe)?;
            }
            Victim::Aggregator => {
                self.site
                    .central
                    .running()
                    .terminate(Duration::from_secs(30))?;
                self.site.central.start_under(axe)?;
            }
        }
        let (client, port) = (http::client(), self.site.edge.http_port);
        let application = Application {
            place: "c0p1".to_owned(),
            name: format!("{victim:?}-{axe}"),
            port,
            items: 5,
            pause: Duration::ZERO,
        };
        for number in 0..REQUESTS {
            let (names, body) = application.request_number(number);
            let signal = Application::signal(number);
            let outcome = self.runtime.block_on(post(&client, port, signal, body));
            self.ledger.note(names, outcome);
            if !self.victim(victim).is_running() {
                break;
            }
        }
        // Its work goes on when the last request is answered.
        wait_until(
            Duration::from_secs(30),
            "dead, or nothing left to do",
            || {
                let waiting = self.site.edge.metric("petrel_agent_spool_entries");
                Ok(
                    !self.victim(victim).is_running()
                        || waiting.is_ok_and(|entries| entries == 0.0),
                )
            },
        )?;
        self.deaths += u32::from(!self.victim(victim).is_running());
        match victim {
            Victim::Agent => {
                self.site.edge.running().kill_with_children()?;
                self.site.edge.start()
            }
            Victim::Aggregator => {
                self.site.central.running().kill_with_children()?;
                self.site.central.start()
            }
        }
    }

    fn victim(&mut self, victim: Victim) -> &mut Process {
        match victim {
            Victim::Agent => self.site.edge.running(),
            Victim::Aggregator => self.site.central.running(),
        }
    }

    /// Everything that was promised is stored once, and somebody has died on the way.
    fn end(self) -> anyhow::Result<()> {
        wait_until(Duration::from_secs(120), "the backlog is stored", || {
            Ok(self.site.edge.metric("petrel_agent_spool_entries")? == 0.0
                && self.site.central.metric("aggregator_journal_entries")? == 0.0)
        })?;
        assert!(self.ledger.count(Outcome::Acknowledged) > 0);
        assert!(self.deaths > 0, "nobody died");
        let found = self.ledger.audit(&self.site.central.stored("c0")?);
        assert_eq!(found, Differences::default());
        Ok(())
    }
}

#[test]
fn an_agent_that_dies_in_its_disk_work_keeps_what_it_has_promised() -> anyhow::Result<()> {
    let mut run = Run::start()?;
    for call in ["pwrite64", "fdatasync"] {
        for nth in [1, 9, 33] {
            run.die(Victim::Agent, DeathAt { call, nth })?;
        }
    }
    run.end()
}

#[test]
fn an_aggregator_that_dies_in_its_disk_work_keeps_what_it_has_promised() -> anyhow::Result<()> {
    let mut run = Run::start()?;
    for (call, nth) in [("pwrite64", 40), ("fdatasync", 7)] {
        run.die(Victim::Aggregator, DeathAt { call, nth })?;
    }
    run.end()
}

#[test]
#[ignore = "ten minutes; `make torture` runs it"]
fn an_agent_that_dies_at_any_of_three_hundred_system_calls_breaks_no_promise() -> anyhow::Result<()>
{
    let mut run = Run::start()?;
    for call in ["pwrite64", "fdatasync", "sendto"] {
        for nth in 1..=100 {
            run.die(Victim::Agent, DeathAt { call, nth })?;
        }
    }
    run.end()
}

#[test]
#[ignore = "some minutes; `make torture` runs it"]
fn an_aggregator_that_dies_at_any_of_thirty_system_calls_breaks_no_promise() -> anyhow::Result<()> {
    let mut run = Run::start()?;
    for call in ["pwrite64", "fdatasync", "sendto"] {
        for nth in (1..=100).step_by(10) {
            run.die(Victim::Aggregator, DeathAt { call, nth })?;
        }
    }
    run.end()
}
