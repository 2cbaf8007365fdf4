//! The short form of `make torture`: a small fleet, a fixed seed, a bounded number of faults.

use petrel_tests::fleet::{Fleet, FleetSize, Stores};
use petrel_tests::torture::torture;

#[test]
fn a_small_fleet_keeps_the_promise_through_a_dozen_troubles() -> anyhow::Result<()> {
    println!("seed 7");
    a_dozen_troubles(Stores::Own, 7, |line| println!("{line}"))
}

#[test]
fn aggregators_that_share_a_store_keep_it_through_another_dozen() -> anyhow::Result<()> {
    println!("seed 8");
    a_dozen_troubles(Stores::Shared, 8, |line| println!("{line}"))
}

fn a_dozen_troubles(stores: Stores, seed: u64, say: impl Fn(&str)) -> anyhow::Result<()> {
    let mut fleet = Fleet::start(FleetSize {
        agents: 3,
        aggregators: 2,
        stores,
        projects: 2,
    })?;
    torture(&mut fleet, seed, |_, troubles| troubles >= 12, say)
}
