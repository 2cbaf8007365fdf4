//! A carrier: takes a cut, stores it, settles it, takes the next.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use petrel_spool::{Cut, Spool};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::appetite::Appetite;
use super::aside::Aside;
use super::dead::{DeadLetters, Verdict};
use super::deaths::{self, Deaths};
use super::describe;
use super::pieces::{Entries, Load, Piece, pieces};
use super::pulse::Pulse;
use super::stats::StoreStats;
use crate::clickhouse::{InsertError, Trouble, Writer};
use crate::rows::Displacements;

/// Packed bytes of a cut.
const CUT_BYTES: u64 = 8 << 20;
/// Inserts of one piece at a time.
const IN_FLIGHT: usize = 4;
/// What no encoding of a piece, no fsync and no settlement takes, on the slowest machine.
const LONGEST_STEP: Duration = Duration::from_secs(120);
/// Answers that blame the block before it is believed: a proxy that cuts bodies off can look so.
const BLAMES: u32 = 3;
/// Entries that a table may refuse in a row before the table is blamed and not the entries: after
/// an ALTER by hand everything looks like poison, and nobody wants that set aside batch by batch.
const MOST_REFUSED: u32 = 16;
const REFUSES_ALL: Trouble = Trouble::Operator(
    "a table refuses every batch: compare it with aggregator/migrations/clickhouse",
);

/// Everything that carrying needs; a clone for each carrier.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    journal: Spool,
    writer: Writer,
    dead: DeadLetters,
    stats: std::sync::Arc<StoreStats>,
    pulse: Pulse,
    appetite: Appetite,
    aside: Aside,
    deaths: Deaths,
}

/// The block will never be taken.
#[derive(Debug)]
struct Poisonous {
    reason: String,
}

/// Entries whose rows a table refuses together.
#[derive(Debug)]
struct Suspect {
    piece: Piece,
    load: Load,
    poison: Poisonous,
}

impl Carrier {
    pub(super) fn new(
        journal: Spool,
        writer: Writer,
        dead: DeadLetters,
        stats: std::sync::Arc<StoreStats>,
        pulse: Pulse,
        aside: Aside,
        deaths: Deaths,
    ) -> Self {
        Self {
            journal,
            writer,
            dead,
            stats,
            pulse,
            appetite: Appetite::default(),
            aside,
            deaths,
        }
    }

    pub(super) fn stats(&self) -> &StoreStats {
        &self.stats
    }

    /// Carries until told to stop, then finishes what it has.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let cut = stop
                .run_until_cancelled(self.journal.cut(self.appetite.items(), CUT_BYTES))
                .await;
            match cut {
                None | Some(Err(petrel_spool::SpoolError::Closed)) => return,
                Some(Ok(cut)) => {
                    self.carry(cut).await;
                    backoff = Backoff::default();
                }
                Some(Err(error)) => {
                    warn!(error = %describe(&error), "the journal gives no cut; trying again");
                    backoff.pause().await;
                }
            }
        }
    }

    async fn carry(&self, cut: Cut) {
        let _owed = self.pulse.owe();
        let id = cut.id();
        let entries: Entries = cut.entries().into();
        for piece in pieces(id, &entries) {
            self.store(piece).await;
        }
        let _step = self.pulse.step(LONGEST_STEP);
        match cut.settle().await {
            Ok(()) => {
                self.stats.settled();
                let deaths = self.deaths.clone();
                // Nobody waits for it.
                drop(self.aside.run(move || deaths.forget(id)));
            }
            // It may come back after a restart; its tokens are known then.
            Err(error) => warn!(cut = id, error = %describe(&error), "a stored cut is not settled"),
        }
        debug!(cut = id, entries = entries.len(), "cut stored");
    }

    /// Returns when every block of the piece is stored or its poison set aside.
    async fn store(&self, piece: Piece) {
        let (loads, displaced) = self.build(&piece).await;
        // Once per piece: a build that is repeated finds the same again.
        self.stats.displaced(&displaced);
        // What rows refer to goes first, so that no reader finds a row without its resource.
        let (first, rest): (Vec<_>, Vec<_>) = loads
            .into_iter()
            .partition(|load| matches!(load.block.table(), "resources" | "series"));
        for loads in [first, rest] {
            stream::iter(loads)
                .for_each_concurrent(IN_FLIGHT, |load| self.store_or_salvage(&piece, load))
                .await;
        }
    }

    async fn store_or_salvage(&self, piece: &Piece, load: Load) {
        if let Err(poison) = self.insert(&load).await {
            self.salvage(Suspect {
                piece: piece.clone(),
                load,
                poison,
            })
            .await;
        }
    }

    /// Repeats until it is acknowledged, or until it is certain that it never will be.
    async fn insert(&self, load: &Load) -> Result<(), Poisonous> {
        let mut backoff = Backoff::default();
        let mut blames = 0;
        loop {
            let Some(error) = self.try_insert(load).await else {
                return Ok(());
            };
            let trouble = error.trouble();
            match trouble {
                Trouble::Poison => {
                    blames += 1;
                    if blames >= BLAMES {
                        return Err(Poisonous {
                            reason: error.words(),
                        });
                    }
                }
                Trouble::Memory => self.appetite.less(),
                _ => {}
            }
            self.complain(load, trouble, &error);
            backoff.pause_for(trouble).await;
        }
    }

    async fn try_insert(&self, load: &Load) -> Option<InsertError> {
        let step = self.pulse.step(Writer::LONGEST + LONGEST_STEP);
        let inserted = self.writer.insert(&load.block, &load.token).await;
        drop(step);
        if inserted.is_ok() {
            self.pulse.beat();
            self.stats.stored(load.block.table(), load.block.rows());
            self.appetite.more();
            if self.stats.went_up() {
                info!("the store takes inserts again");
            }
        }
        inserted.err()
    }

    /// Says it once, until the trouble is over or another one.
    fn complain(&self, load: &Load, trouble: Trouble, error: &InsertError) {
        if !self.stats.went_down(trouble) {
            return;
        }
        let table = load.block.table();
        match trouble {
            Trouble::Operator(remedy) => {
                error!(
                    table,
                    error = error.words(),
                    "ClickHouse takes no inserts; {remedy}"
                );
            }
            _ => {
                warn!(
                    table,
                    error = error.words(),
                    "an insert failed; repeating until it is taken"
                );
            }
        }
    }

    /// Finds the entries whose rows a table refuses, and stores the others'.
    async fn salvage(&self, suspect: Suspect) {
        let (table, day) = (suspect.load.block.table(), suspect.load.block.day());
        let mut suspects = vec![suspect];
        while let Some(suspect) = suspects.pop() {
            let Some(halves) = suspect.piece.halves() else {
                if self.stays_poison(&suspect).await {
                    self.bury(&suspect.piece, Some(table), day, &suspect.poison.reason)
                        .await;
                }
                continue;
            };
            for half in halves {
                let (loads, _) = self.build(&half).await;
                let load = loads
                    .into_iter()
                    .find(|load| load.block.table() == table && load.block.day() == day);
                let Some(load) = load else { continue };
                if let Err(poison) = self.insert(&load).await {
                    suspects.push(Suspect {
                        piece: half,
                        load,
                        poison,
                    });
                }
            }
        }
    }

    /// Waits while the table is more suspicious than the entry; false if the entry was taken then.
    async fn stays_poison(&self, suspect: &Suspect) -> bool {
        let mut backoff = Backoff::default();
        while self.stats.refused_in_a_row(suspect.load.block.table()) >= MOST_REFUSED {
            let Some(error) = self.try_insert(&suspect.load).await else {
                return false;
            };
            self.complain(&suspect.load, REFUSES_ALL, &error);
            backoff.pause_for(REFUSES_ALL).await;
        }
        true
    }

    /// Encodes aside. Entries that cannot be are set aside.
    async fn build(&self, piece: &Piece) -> (Vec<Load>, Displacements) {
        let (mut loads, mut displaced) = (Vec::new(), Displacements::new());
        let mut waiting = vec![(piece.clone(), false)];
        while let Some((piece, of_a_suspect)) = waiting.pop() {
            let (work, deaths) = (piece.clone(), self.deaths.clone());
            let _step = self.pulse.step(LONGEST_STEP);
            let building = self.aside.run(move || {
                let tick = match deaths.begin(&work, of_a_suspect) {
                    deaths::Verdict::Build(tick) => tick,
                    verdict => return Err(verdict),
                };
                let built = work.build();
                drop(tick);
                Ok(built)
            });
            match building.await {
                Ok(Err(deaths::Verdict::Deadly)) => {
                    self.bury(&piece, None, 0, "the process died whenever it was encoded")
                        .await;
                }
                Ok(Err(_)) => {
                    warn!(
                        cut = piece.cut,
                        entries = piece.range.len(),
                        "the process has died over these batches; encoding them one by one"
                    );
                    let singles = piece.singles().into_iter().rev();
                    waiting.extend(singles.map(|single| (single, true)));
                }
                Ok(Ok(built)) => {
                    loads.extend(built.loads);
                    for (whose, items) in built.displaced {
                        *displaced.entry(whose).or_default() += items;
                    }
                    for entry in built.unreadable {
                        let piece = Piece {
                            range: entry.index..entry.index + 1,
                            ..piece.clone()
                        };
                        self.bury(&piece, None, 0, &entry.reason.to_string()).await;
                    }
                }
                Err(panic) => match piece.halves() {
                    Some([left, right]) => {
                        waiting.extend([(right, of_a_suspect), (left, of_a_suspect)]);
                    }
                    None => {
                        self.bury(&piece, None, 0, &format!("encoding failed: {panic}"))
                            .await;
                    }
                },
            }
        }
        (loads, displaced)
    }

    /// Sets a single entry aside, for ever trying until that is durable.
    async fn bury(&self, piece: &Piece, table: Option<&'static str>, day: u16, reason: &str) {
        let mut backoff = Backoff::default();
        loop {
            let _step = self.pulse.step(LONGEST_STEP);
            let (dead, piece, words) = (self.dead.clone(), piece.clone(), reason.to_owned());
            let buried = tokio::task::spawn_blocking(move || {
                let verdict = Verdict {
                    table,
                    day,
                    reason: &words,
                };
                let (id, entry) = &piece.entries()[0];
                dead.bury(id, entry, verdict)
            })
            .await
            .unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
            match buried {
                Ok(path) => {
                    self.stats.buried(table);
                    error!(file = %path.display(), reason, "the store will never take a batch; set aside");
                    return;
                }
                Err(error) => {
                    error!(%error, "cannot set a batch aside; trying again");
                    backoff.pause().await;
                }
            }
        }
    }
}

/// Pauses that double, drawn from zero to their ceiling so that carriers do not move in step.
#[derive(Debug)]
pub(super) struct Backoff {
    ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            ceiling: Duration::from_millis(100),
        }
    }
}

impl Backoff {
    /// The pause after a failed insert. Who is under pressure, or waits for somebody to come, is
    /// asked less often.
    pub(super) async fn pause_for(&mut self, trouble: Trouble) {
        let least = match trouble {
            Trouble::Passing | Trouble::Poison => Duration::ZERO,
            Trouble::Pressure | Trouble::Memory => Duration::from_secs(1),
            Trouble::Operator(_) => Duration::from_secs(5),
        };
        self.ceiling = self.ceiling.max(least);
        self.pause().await;
    }

    pub(super) async fn pause(&mut self) {
        /// Long enough to be no burden, short enough that nobody waits after a repair.
        const MOST: Duration = Duration::from_secs(15);
        let mut bytes = [0; 4];
        // Without a random source the whole pause is taken.
        let share = match getrandom::fill(&mut bytes) {
            Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
            Err(_) => 1.0,
        };
        tokio::time::sleep(self.ceiling.mul_f64(share)).await;
        self.ceiling = (self.ceiling * 2).min(MOST);
    }
}
