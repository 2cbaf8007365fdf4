//! Power cuts at every kind of moment, against a model of what was promised.
//!
//! A run does random work until the power goes at a random operation, opens what is left (in a
//! third of the runs the power goes again while it opens), and compares it with the model: every
//! acknowledged entry is there byte for byte or was durably settled, nothing else is there but
//! what was in flight, cuts come back under their ids, claims hold, numbers are not reused, and
//! the books balance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use petrel_spool::{Class, Cut, Entry, Lease, Spool, SpoolConfig, SpoolError, Tuning};
use petrel_wire::{BatchId, Delivery, SystemClock};
use tokio::task::JoinSet;

use crate::entries::{Random, entry, from_agent, sealed, sum};
use crate::sim_disk::SimDisk;

/// What the spool owes us.
#[derive(Debug, Default)]
struct Model {
    /// Acknowledged and not settled: must be there.
    owed: BTreeMap<BatchId, Entry>,
    /// Settled, not known to be durable: may be there.
    settling: BTreeMap<BatchId, Entry>,
    /// Durably settled: must not be there.
    settled: BTreeSet<BatchId>,
    /// Handed to `append` when the power went: may be there, by content.
    in_flight: Vec<Entry>,
    /// Cuts that were handed out and not settled, with their entries.
    cuts: BTreeMap<u64, Vec<BatchId>>,
    /// Cuts whose settlement was in flight.
    cuts_in_flight: BTreeMap<u64, Vec<BatchId>>,
    /// Claims that were acknowledged.
    claims: Vec<Entry>,
    evicting: bool,
    next_origin: u64,
}

impl Model {
    /// Whether somebody who asks for an entry gets one.
    fn waiting(&self, leased: usize) -> bool {
        let in_cuts: usize = self.cuts.values().map(Vec::len).sum();
        self.owed.len() > leased + in_cuts
    }

    fn flushed(&mut self) {
        self.settled.extend(self.settling.keys().copied());
        self.settling.clear();
    }

    fn settle(&mut self, id: &BatchId) {
        if let Some(entry) = self.owed.remove(id) {
            self.settling.insert(*id, entry);
        }
    }
}

fn tuning() -> Tuning {
    Tuning {
        segment_bytes: Some(96 << 10),
        // Settlements become durable when the run says so.
        settle_after: Duration::from_secs(3600),
        settle_most: 8,
        cut_linger: Duration::ZERO,
        retry_after: Duration::from_millis(1),
        ballast_bytes: Some(16 << 10),
        ..Tuning::default()
    }
}

fn open_spool(disk: &SimDisk, evicting: bool) -> Result<Spool, SpoolError> {
    let max_bytes = if evicting { 640 << 10 } else { 1 << 30 };
    let config = SpoolConfig {
        max_bytes,
        ..SpoolConfig::at("spool")
    };
    let disk = Arc::new(disk.clone());
    Spool::open_on(disk, config, tuning(), SystemClock::shared())
}

/// Random work until the power goes.
async fn work(spool: &Spool, disk: &SimDisk, model: &mut Model, random: &mut Random) {
    let mut leases: Vec<Lease> = Vec::new();
    let mut cuts = cuts_that_came_back(spool, disk, model).await;
    for _ in 0..40 {
        if disk.is_dead() {
            break;
        }
        match random.below(10) {
            0..=4 => append(spool, disk, model, random).await,
            5 | 6 => {
                if model.waiting(leases.len()) {
                    tokio::select! {
                        lease = spool.lease() => leases.extend(lease.ok()),
                        () = patience(disk, model) => {}
                    }
                }
            }
            7 => {
                if !leases.is_empty() {
                    let at = usize::try_from(random.below(leases.len() as u64)).unwrap();
                    let lease = leases.swap_remove(at);
                    if random.one_in(4) {
                        drop(lease);
                    } else {
                        let id = lease.id();
                        lease.settle(&Delivery::Committed);
                        model.settle(&id);
                    }
                }
            }
            8 => {
                if model.waiting(leases.len()) && random.one_in(2) {
                    tokio::select! {
                        cut = spool.cut(random.below(20), 30_000) => if let Ok(cut) = cut {
                            let ids = cut.entries().iter().map(|(id, _)| *id).collect();
                            model.cuts.insert(cut.id(), ids);
                            cuts.push(cut);
                        },
                        () = patience(disk, model) => {}
                    }
                } else if !cuts.is_empty() {
                    settle_cut(cuts.remove(0), model).await;
                }
            }
            _ => {
                if random.one_in(2) {
                    if spool.flush().await.is_ok() {
                        model.flushed();
                    }
                } else if let Some(lease) = leases.pop() {
                    split(lease, model, random).await;
                }
            }
        }
    }
    disk.cut_now();
    // Dropped on a dead disk: as if they had never ended.
    drop((leases, cuts));
}

/// Takes the cuts of the last round, whose entries nobody else gets.
async fn cuts_that_came_back(spool: &Spool, disk: &SimDisk, model: &mut Model) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for _ in 0..spool.stats().cuts {
        tokio::select! {
            cut = spool.cut(1, 1) => if let Ok(cut) = cut {
                let ids = cut.entries().iter().map(|(id, _)| *id).collect();
                model.cuts.insert(cut.id(), ids);
                cuts.push(cut);
            },
            () = patience(disk, model) => {}
        }
    }
    cuts
}

/// Waits for the end; not for ever where eviction may have taken what the model waits for.
async fn patience(disk: &SimDisk, model: &Model) {
    let wait = Duration::from_millis(if model.evicting { 50 } else { 60_000 });
    // Either way there is nothing more to wait for.
    let _waited = tokio::time::timeout(wait, disk.died()).await;
    assert!(disk.is_dead() || model.evicting, "an entry did not come");
}

async fn append(spool: &Spool, disk: &SimDisk, model: &mut Model, random: &mut Random) {
    let count = 1 + random.below(4);
    let mut group = JoinSet::new();
    let mut entries = Vec::new();
    for _ in 0..count {
        let bytes = usize::try_from(match random.below(4) {
            0 => random.below(100),
            1 => 16_000 + random.below(1000),
            2 => random.below(40_000),
            _ => random.below(3000),
        })
        .unwrap();
        let fill = random.next();
        let entry = if random.one_in(2) {
            model.next_origin += 1;
            from_agent(1, model.next_origin, bytes, fill)
        } else {
            entry(bytes, fill)
        };
        entries.push(entry.clone());
        let class = if random.one_in(3) {
            Class::Keep
        } else {
            Class::Bulk
        };
        let spool = spool.clone();
        group.spawn(async move { (spool.append(entry.clone(), class).await, entry) });
    }
    while let Some(done) = group.join_next().await {
        match done.unwrap() {
            (Ok(spooled), entry) => {
                assert!(!spooled.seen_before());
                let id = spooled.id();
                let reused = model.owed.contains_key(&id)
                    || model.settling.contains_key(&id)
                    || model.settled.contains(&id);
                assert!(!reused, "{id} was given twice");
                if entry.origin.is_some() {
                    model.claims.push(entry.clone());
                }
                model.owed.insert(id, entry);
            }
            // Everything is in flight and may not be evicted.
            (Err(SpoolError::Full { .. }), _) if model.evicting => {}
            (Err(error), entry) => {
                assert!(disk.is_dead(), "refused by a healthy disk: {error:?}");
                model.in_flight.push(entry);
            }
        }
    }
}

async fn settle_cut(cut: Cut, model: &mut Model) {
    let id = cut.id();
    let settled = cut.settle().await;
    let Some(ids) = model.cuts.remove(&id) else {
        return;
    };
    for entry in &ids {
        model.settle(entry);
    }
    if settled.is_ok() {
        model.flushed();
    } else {
        model.cuts_in_flight.insert(id, ids);
    }
}

async fn split(lease: Lease, model: &mut Model, random: &mut Random) {
    let id = lease.id();
    let whole = lease.entry().clone();
    let parts: Vec<_> = (0..2)
        .map(|_| {
            let part = sealed(500, random.next());
            petrel_wire::Sealed::from_parts(
                whole.sealed.signal(),
                whole.sealed.items() / 2,
                900,
                part.body().clone(),
            )
        })
        .collect();
    let in_parts = parts.clone().into_iter().map(|sealed| Entry {
        project: whole.project,
        origin: None,
        accepted: whole.accepted,
        sealed,
    });
    model.in_flight.extend(in_parts);
    if lease.split(parts).await.is_ok() {
        model.owed.remove(&id);
        model.settled.insert(id);
    } else {
        model.settle(&id);
    }
}

/// Opens a copy of the disk and compares it with the model.
async fn verify(disk: &SimDisk, model: &mut Model) -> Result<(), String> {
    let copy = disk.copy();
    let spool = open_spool(&copy, false).map_err(|error| format!("does not open: {error:?}"))?;
    let stats = spool.stats();
    for signal in &stats.by_signal {
        if !signal.is_balanced() {
            return Err(format!("books do not balance: {stats:#?}"));
        }
    }
    if sum(&stats, |s| s.corrupt) > 0 || stats.quarantined_files > 0 {
        return Err(format!("an honest disk was called damaged: {stats:#?}"));
    }
    let mut here: BTreeMap<BatchId, Entry> = BTreeMap::new();
    let mut cuts = Vec::new();
    while (here.len() as u64) < stats.entries {
        let waiting = tokio::time::timeout(Duration::from_secs(10), spool.cut(1, 1));
        let cut = waiting
            .await
            .map_err(|_| format!("{} of {} entries come out", here.len(), stats.entries))?
            .map_err(|error| error.to_string())?;
        let ids: Vec<BatchId> = cut.entries().iter().map(|(id, _)| *id).collect();
        let expected = model.cuts.get(&cut.id());
        if expected.is_some_and(|expected| *expected != ids) {
            return Err(format!("cut {} came back with {ids:?}", cut.id()));
        }
        here.extend(cut.entries().iter().cloned());
        cuts.push(cut);
    }
    for (id, ids) in &model.cuts {
        if !cuts.iter().any(|cut| cut.id() == *id) && ids.iter().any(|id| here.contains_key(id)) {
            return Err(format!("cut {id} did not come back as it was"));
        }
    }
    let mut missing = 0;
    for (id, entry) in &model.owed {
        match here.get(id) {
            Some(found) if found == entry => {}
            Some(_) => return Err(format!("{id} came back with other bytes")),
            None if model.evicting => missing += u64::from(entry.sealed.items()),
            None => return Err(format!("{id} was acknowledged and is lost")),
        }
    }
    let evicted = sum(&stats, |s| s.evicted);
    if missing > evicted {
        return Err(format!("{missing} items are gone, {evicted} were counted"));
    }
    for (id, entry) in &here {
        let known = model.owed.get(id).or_else(|| model.settling.get(id));
        let known = known.or_else(|| model.in_flight.iter().find(|e| *e == entry));
        if known != Some(entry) {
            return Err(format!("{id} should not be here"));
        }
    }
    for entry in &model.claims {
        let again = spool.append(entry.clone(), Class::Bulk).await;
        if !again.as_ref().is_ok_and(petrel_spool::Spooled::seen_before) {
            return Err(format!("claim {:?} was forgotten: {again:?}", entry.origin));
        }
    }
    drop(cuts);
    // What survived is what the next round starts from.
    let survivors: BTreeSet<BatchId> = here.keys().copied().collect();
    for entry in std::mem::take(&mut model.in_flight) {
        if let Some((id, entry)) = here.iter().find(|(_, found)| **found == entry) {
            model.owed.entry(*id).or_insert_with(|| entry.clone());
        }
    }
    for (id, entry) in std::mem::take(&mut model.settling) {
        if survivors.contains(&id) {
            model.owed.insert(id, entry);
        } else {
            model.settled.insert(id);
        }
    }
    model.owed.retain(|id, _| survivors.contains(id));
    for (id, ids) in std::mem::take(&mut model.cuts_in_flight) {
        if ids.iter().any(|id| survivors.contains(id)) {
            model.cuts.insert(id, ids);
        }
    }
    spool.close().await;
    Ok(())
}

async fn run(seed: u64, lying: bool) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut disk = SimDisk::new();
    let mut model = Model {
        evicting: random.one_in(4),
        ..Model::default()
    };
    for _ in 0..3 {
        if lying {
            disk.lie();
        }
        let reach = if random.one_in(3) { 60 } else { 900 };
        disk.cut_in(1 + random.below(reach));
        match open_spool(&disk, model.evicting) {
            Ok(spool) => {
                work(&spool, &disk, &mut model, &mut random).await;
                spool.close().await;
            }
            Err(_) if disk.is_dead() => {}
            Err(error) => return Err(format!("does not open: {error:?}")),
        }
        disk = disk.after_a_cut(&mut random);
        if random.one_in(3) {
            // The power goes again while what is left of it is opened.
            disk.cut_in(1 + random.below(40));
            match open_spool(&disk, model.evicting) {
                Ok(spool) => {
                    disk.cut_now();
                    spool.close().await;
                }
                Err(_) if disk.is_dead() => {}
                Err(error) => return Err(format!("does not open again: {error:?}")),
            }
            disk = disk.after_a_cut(&mut random);
        }
        verify(&disk, &mut model).await?;
        // The next round learns from the spool which of them are still out.
        model.cuts.clear();
        let spool = open_spool(&disk, model.evicting).map_err(|error| error.to_string())?;
        spool.close().await;
    }
    Ok(())
}

/// Runs seeds from `first` on, in as many threads as there are processors.
fn torture(first: u64, seeds: u64, lying: bool) -> Vec<(u64, String)> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..threads as u64 {
            let failures = &failures;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                let mut seed = first + thread;
                while seed < first + seeds {
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        runtime.block_on(run(seed, lying))
                    }));
                    let failure = match outcome {
                        Ok(Ok(())) => None,
                        Ok(Err(failure)) => Some(failure),
                        Err(_) => Some("panicked".to_owned()),
                    };
                    if let Some(failure) = failure {
                        println!("seed {seed}: {failure}");
                        failures.lock().unwrap().push((seed, failure));
                    }
                    seed += threads as u64;
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    println!("seeds 1..=300");
    let failures = torture(1, 300, false);
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
#[ignore = "minutes; `make torture` runs it"]
fn what_was_acknowledged_survives_twenty_thousand_power_cuts() {
    println!("seeds 1000..21000");
    let failures = torture(1000, 20_000, false);
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_disk_that_lies_about_its_sync_is_found_out() {
    let failures = torture(1, 40, true);
    assert!(!failures.is_empty(), "the model cannot see a lost write");
}
