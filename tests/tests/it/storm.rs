//! The short form of `make torture`: a small fleet, a fixed seed, a bounded number of faults.

use petrel_tests::fleet::{Fleet, FleetSize};
use petrel_tests::torture::torture;

#[test]
fn a_small_fleet_keeps_the_promise_through_a_dozen_troubles() -> anyhow::Result<()> {
    let seed = 7;
    println!("seed {seed}");
    let mut fleet = Fleet::start(FleetSize {
        agents: 3,
        aggregators: 2,
        projects: 2,
    })?;
    let enough = |_, troubles| troubles >= 12;
    torture(&mut fleet, seed, enough, |line| println!("{line}"))
}
