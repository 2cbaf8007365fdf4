//! The long run: `torture [--minutes N] [--seed N]`, five agents with three projects before two
//! aggregators, one half of the time with a store each, the other with one for both. What it does and checks is in [`petrel_tests::torture`].

use std::time::Duration;

use anyhow::Context as _;
use petrel_tests::fleet::{Fleet, FleetSize, Stores};
use petrel_tests::torture::torture;
use petrel_wire::{Clock as _, SystemClock};

const STORES: [Stores; 2] = [Stores::Own, Stores::Shared];

fn main() -> anyhow::Result<()> {
    let (minutes, seed) = arguments()?;
    say(&format!("torture for {minutes} minutes, seed {seed}"));
    for stores in STORES {
        say(&format!("two aggregators, {stores:?} stores"));
        let mut fleet = Fleet::start(FleetSize {
            agents: 5,
            aggregators: 2,
            stores,
            projects: 3,
        })?;
        let enough = |elapsed, _| elapsed >= Duration::from_secs(minutes * 60 / 2);
        let outcome = torture(&mut fleet, seed, enough, say);
        if outcome.is_err() {
            // Kept for who has to find out why.
            let kept = std::env::temp_dir().join(format!("petrel-torture-{seed}"));
            std::fs::rename(fleet.dir(), &kept)?;
            say(&format!("logs and data are in {}", kept.display()));
        }
        outcome?;
    }
    Ok(())
}

fn arguments() -> anyhow::Result<(u64, u64)> {
    let (mut minutes, mut seed) = (30, SystemClock::new().wall().0 / 1000 % 1_000_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next();
        let value = value.with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--minutes" => minutes = value.parse()?,
            "--seed" => seed = value.parse()?,
            _ => anyhow::bail!("usage: torture [--minutes N] [--seed N]"),
        }
    }
    Ok((minutes, seed))
}

#[expect(
    clippy::print_stdout,
    reason = "the report is the product of this program"
)]
fn say(line: &str) {
    println!("{line}");
}
