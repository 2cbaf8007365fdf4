//! Trouble: everything that may happen to a fleet while it works, drawn from a seed.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use crate::fleet::Fleet;
use crate::process::Process;
use crate::proxy::Weather;
use crate::telemetry::Ids;

/// What may happen to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// `kill -9`, and a new one.
    Kill,
    /// SIGTERM, and a new one.
    Restart,
    /// It stands still for a while.
    Freeze(Duration),
    /// Some of its fsyncs fail for a while.
    FailingDisk(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Agent(usize),
    Aggregator(usize),
    Engine(usize),
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble(What);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Link(usize, Weather),
    Process(Victim, Blow),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            What::Link(link, weather) => write!(f, "link {link}: {weather:?}"),
            What::Process(victim, blow) => write!(f, "{victim:?}: {blow:?}"),
        }
    }
}

impl Trouble {
    /// Draws one for a fleet of this size.
    pub fn draw(fleet: &Fleet, random: &mut Ids) -> Self {
        let mut among = |count: usize| {
            let picked = random.below(count as u64);
            usize::try_from(picked).unwrap_or(0)
        };
        let (edges, centrals) = (fleet.edges.len(), fleet.centrals.len());
        if among(2) == 0 {
            let weather = match among(9) {
                0 => Weather::Cut,
                1 => Weather::Hole,
                2 => Weather::LostAnswers,
                3 => Weather::BreaksAfter(1 + among(60_000) as u64),
                4 => Weather::Slow(8_000),
                5 => Weather::Portal,
                _ => Weather::Clear,
            };
            return Self(What::Link(among(edges), weather));
        }
        let victim = match among(5) {
            0 | 1 => Victim::Agent(among(edges)),
            2 | 3 => Victim::Aggregator(among(centrals)),
            _ => Victim::Engine(among(centrals)),
        };
        let a_while = Duration::from_millis(500 + among(12_000) as u64);
        let blow = match (among(8), victim) {
            (0..=2, _) | (_, Victim::Engine(_)) => Blow::Kill,
            (3 | 4, _) => Blow::Restart,
            (5, _) => Blow::FailingDisk(a_while),
            _ => Blow::Freeze(a_while),
        };
        Self(What::Process(victim, blow))
    }

    /// Lets it happen, and returns when it is over; the weather stays as it has become.
    pub fn happen(self, fleet: &mut Fleet) -> anyhow::Result<()> {
        fleet.note_memory();
        match self.0 {
            What::Link(link, weather) => fleet.edges[link].link.set(weather),
            What::Process(Victim::Engine(number), _) => kill_engine(fleet, number)?,
            What::Process(victim, Blow::Kill) => {
                process(fleet, victim).kill();
                start(fleet, victim)?;
            }
            What::Process(victim, Blow::Restart) => {
                // It may take its time while the link is down; it must end all the same.
                process(fleet, victim).terminate(Duration::from_secs(60))?;
                start(fleet, victim)?;
            }
            What::Process(victim, Blow::Freeze(a_while)) => {
                let pid = process(fleet, victim).pid();
                signal("STOP", pid)?;
                last(a_while);
                signal("CONT", pid)?;
            }
            What::Process(victim, Blow::FailingDisk(a_while)) => {
                fail_fsyncs(process(fleet, victim).pid(), a_while)?;
            }
        }
        Ok(())
    }
}

/// Clears every link; processes are up whenever no trouble is under way.
pub fn end_all(fleet: &Fleet) -> anyhow::Result<()> {
    for edge in &fleet.edges {
        edge.link.mend();
    }
    for central in &fleet.centrals {
        central.wait_until_ready()?;
    }
    Ok(())
}

fn process(fleet: &mut Fleet, victim: Victim) -> &mut Process {
    match victim {
        Victim::Agent(number) => fleet.edges[number].running(),
        Victim::Aggregator(number) | Victim::Engine(number) => fleet.centrals[number].running(),
    }
}

fn start(fleet: &mut Fleet, victim: Victim) -> anyhow::Result<()> {
    match victim {
        Victim::Agent(number) => fleet.edges[number].start(),
        Victim::Aggregator(number) | Victim::Engine(number) => fleet.centrals[number].start(),
    }
}

/// The aggregator must bring its engine up again by itself.
fn kill_engine(fleet: &mut Fleet, number: usize) -> anyhow::Result<()> {
    let parent = fleet.host_of_store(number);
    let pid = parent.running().pid();
    Command::new("pkill")
        .args(["-KILL", "-P", &pid.to_string()])
        .status()?;
    parent.wait_until_ready()
}

fn signal(name: &str, pid: u32) -> anyhow::Result<()> {
    let done = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()?;
    anyhow::ensure!(done.success(), "cannot send SIG{name}");
    Ok(())
}

/// Every third fdatasync of the process fails with EIO, from the kernel's side of the call.
fn fail_fsyncs(pid: u32, a_while: Duration) -> anyhow::Result<()> {
    let mut strace = Command::new("strace")
        .args(["-qq", "-f", "-o", "/dev/null", "-p", &pid.to_string()])
        .args(["-e", "trace=fdatasync,fsync"])
        .args(["-e", "inject=fdatasync,fsync:error=EIO:when=2+3"])
        .spawn()?;
    last(a_while);
    let ended = strace.try_wait()?;
    anyhow::ensure!(ended.is_none(), "strace cannot trace {pid}: {ended:?}");
    // SIGTERM makes it let go of the process.
    signal("TERM", strace.id())?;
    strace.wait()?;
    Ok(())
}

/// How long a fault lasts is part of the fault.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is waited for: the fault goes on"
)]
pub fn last(a_while: Duration) {
    std::thread::sleep(a_while);
}
