//! The chain: processors in order, and what happens to data when one fails.
//!
//! A closed processor's failure refuses the batch to the sender: unprocessed data goes nowhere.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_wire::{Batch, Clock, Limits, Signal, SystemClock};

use crate::cache::Cache;
use crate::config::ProcessorConfig;
use crate::emit::{Emitted, emit};
use crate::engine::Engine;
use crate::processor::{Fate, Processor, Turn};
use crate::project::project;
use crate::readers::Readers;
use crate::sheet::Sheet;
use crate::view::Stamp;

/// Larger batches are cut and put together again: it bounds what a call takes and needs.
const PART_BYTES: usize = 4 << 20;

/// A part has at most two million elements, and answers add some hundred thousand: with limits made
/// for so many items they need not be counted.
const ITEMS_FOR_ANY_PART: u32 = 80_000;

/// What the chain says about a batch.
#[derive(Debug)]
pub enum Verdict {
    /// Goes on, perhaps rewritten; `dropped` items were taken out by processors.
    Kept {
        /// The batch to seal; may be empty.
        batch: Batch,
        /// Items that processors dropped.
        dropped: u32,
    },
    /// Everything was dropped by a named processor (verdict or `on_error: drop`).
    Dropped {
        /// Which one.
        by: String,
    },
    /// A closed processor failed: the sender must be told to come again.
    Refused {
        /// Which one.
        by: String,
        /// For the sender, without data.
        reason: String,
    },
}

/// Why a chain could not be built, in words that name file and remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PluginError(pub String);

/// One processor's account.
#[derive(Clone, Debug, Default)]
pub struct PluginStats {
    /// Name in config.
    pub name: String,
    /// Calls into the guest.
    pub calls: u64,
    /// Traps, time-outs, refused answers.
    pub failures: u64,
    /// Values changed, made or deleted.
    pub edits: u64,
    /// Items that the processor dropped.
    pub dropped_items: u64,
    /// Total time: projection, guest, edits.
    pub busy: Duration,
    /// The last failure's words.
    pub last_error: Option<String>,
}

/// Compiled processors in order. Shared between threads; each call takes an instance from a pool.
#[derive(Debug)]
pub struct Chain {
    /// Before the engine, so that instances go first.
    processors: Vec<Processor>,
    /// By signal.
    readers: [Option<Readers>; 3],
    engine: Option<Engine>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    batches: AtomicU64,
    random: RandomState,
}

impl Chain {
    /// Loads, checks imports, compiles (or loads from `cache_dir`) and configures every processor.
    pub fn load(
        configs: &[ProcessorConfig],
        cache_dir: Option<PathBuf>,
        limits: Limits,
    ) -> Result<Self, PluginError> {
        Self::load_with_clock(configs, cache_dir, limits, &SystemClock::shared())
    }

    /// As [`Chain::load`], with time from elsewhere.
    pub fn load_with_clock(
        configs: &[ProcessorConfig],
        cache_dir: Option<PathBuf>,
        limits: Limits,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, PluginError> {
        let mut chain = Self {
            processors: Vec::with_capacity(configs.len()),
            readers: [const { None }; 3],
            engine: None,
            limits,
            clock: Arc::clone(clock),
            batches: AtomicU64::new(0),
            random: RandomState::new(),
        };
        let memory = configs
            .iter()
            .map(|config| config.limits.memory_bytes)
            .max();
        let Some(memory) = memory else {
            return Ok(chain);
        };
        let engine = Engine::new(memory).map_err(PluginError)?;
        let cache = cache_dir.and_then(|dir| {
            Cache::open(dir)
                .inspect_err(|error| {
                    tracing::warn!(error, "plugins are compiled at each start: {error}");
                })
                .ok()
        });
        for config in configs {
            let twin = chain.processors.iter().any(|one| one.name() == config.name);
            if twin {
                let name = &config.name;
                return Err(PluginError(format!("two processors are called {name:?}")));
            }
            chain.processors.push(
                Processor::load(config, &engine, cache.as_ref(), clock).map_err(PluginError)?,
            );
        }
        let plans: Vec<_> = chain
            .processors
            .iter()
            .map(|one| Arc::clone(one.plan()))
            .collect();
        chain.readers = Signal::ALL.map(|signal| Readers::new(signal, &plans));
        chain.engine = Some(engine);
        Ok(chain)
    }

    /// No processors.
    pub fn is_empty(&self) -> bool {
        self.processors.is_empty()
    }

    /// Runs the chain on the calling thread; bounded by the processors' budgets.
    pub fn process(&self, batch: Batch) -> Verdict {
        let Some(engine) = self.engine.as_ref().filter(|_| !batch.is_empty()) else {
            return Verdict::Kept { batch, dropped: 0 };
        };
        if batch.bytes().len() <= PART_BYTES {
            return self.process_part(engine, batch);
        }
        self.process_parts(engine, batch)
    }

    fn process_parts(&self, engine: &Engine, batch: Batch) -> Verdict {
        let signal = batch.signal();
        let mut kept = Vec::new();
        let mut all_dropped = 0;
        let mut dropper = None;
        for part in batch.split(PART_BYTES) {
            let items = part.items();
            match self.process_part(engine, part) {
                Verdict::Kept { batch, dropped } => {
                    kept.push(batch);
                    all_dropped += dropped;
                }
                Verdict::Dropped { by } => {
                    all_dropped += items;
                    dropper = Some(by);
                }
                refused @ Verdict::Refused { .. } => return refused,
            }
        }
        match dropper {
            Some(by) if kept.is_empty() => Verdict::Dropped { by },
            _ => Verdict::Kept {
                batch: Batch::concat(signal, &kept),
                dropped: all_dropped,
            },
        }
    }

    fn process_part(&self, engine: &Engine, batch: Batch) -> Verdict {
        let Some(readers) = self.readers(batch.signal()) else {
            return Verdict::Kept { batch, dropped: 0 };
        };
        let first = self
            .batches
            .fetch_add(self.processors.len() as u64, Ordering::Relaxed);
        let mut sheet =
            project(&batch, readers, self.seed(first)).map_err(|error| error.to_string());
        let mut all_dropped = 0;
        let mut last_editor = None;
        for (processor, place) in self.processors.iter().zip(0..) {
            if !processor.takes(batch.signal()) {
                continue;
            }
            let id = first + u64::from(place);
            let turn = Turn {
                engine,
                readers,
                place,
                stamp: Stamp {
                    id,
                    now: self.clock.wall(),
                    seed: self.seed(id),
                },
                items: batch.items(),
                depth: self.limits.depth,
            };
            let answers = sheet.as_ref().map_or(0, |sheet| sheet.answers);
            let by = || processor.name().to_owned();
            match processor.process(sheet.as_mut().map_err(|words| words.as_str()), turn) {
                Fate::Kept(dropped) => all_dropped += dropped,
                Fate::Dropped => return Verdict::Dropped { by: by() },
                Fate::Refused(reason) => return Verdict::Refused { by: by(), reason },
            }
            if sheet.as_ref().is_ok_and(|sheet| sheet.answers != answers) {
                last_editor = Some(processor);
            }
        }
        match (sheet, last_editor) {
            (Ok(sheet), Some(editor)) if sheet.is_changed => {
                self.finish(&sheet, all_dropped, editor, &batch)
            }
            _ => Verdict::Kept {
                batch,
                dropped: all_dropped,
            },
        }
    }

    /// Values are checked where plugins write them, and the host writes the rest, so what comes out
    /// is well-formed. Only limits that many edits could pass together are checked here, by reading
    /// it all where that cannot be told otherwise.
    fn finish(&self, sheet: &Sheet, dropped: u32, editor: &Processor, batch: &Batch) -> Verdict {
        let Emitted { bytes, is_nested } = emit(sheet);
        let items = batch.items() - dropped;
        let made = sheet.made_columns();
        let within = !is_nested
            && bytes.len() <= self.limits.request_bytes
            && (made == 0
                || (sheet.most_attributes + made <= self.limits.attributes as usize
                    && self.limits.items >= ITEMS_FOR_ANY_PART));
        if within {
            let batch = batch.edited(bytes.into(), items);
            return Verdict::Kept { batch, dropped };
        }
        let checked = Batch::from_protobuf(sheet.signal, bytes.into(), &self.limits);
        let words = match checked {
            Ok(batch) if batch.items() == items => return Verdict::Kept { batch, dropped },
            Ok(_) => "its edits changed the number of items".into(),
            Err(error) => format!("its edits do not fit: {error}"),
        };
        editor.report(&words, sheet.records());
        Verdict::Refused {
            by: editor.name().to_owned(),
            reason: format!("processor {} failed; try again", editor.name()),
        }
    }

    fn readers(&self, signal: Signal) -> Option<&Readers> {
        let mut readers = self.readers.iter().flatten();
        readers.find(|readers| readers.signal == signal)
    }

    /// A number that nobody outside can know.
    fn seed(&self, id: u64) -> u64 {
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(id);
        hasher.finish()
    }

    /// Counters by processor name.
    pub fn stats(&self) -> Vec<PluginStats> {
        self.processors.iter().map(Processor::stats).collect()
    }

    /// Where time comes from.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}

/// One processor's counters while they grow.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) calls: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) edits: AtomicU64,
    pub(crate) dropped_items: AtomicU64,
    pub(crate) busy_ns: AtomicU64,
    pub(crate) last_error: Mutex<Option<String>>,
}

impl Account {
    pub(crate) fn busy(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.fetch_add(took, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, items: u32) {
        self.dropped_items
            .fetch_add(items.into(), Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, words: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(words.to_owned());
    }

    pub(crate) fn stats(&self, name: &str) -> PluginStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last_error = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        PluginStats {
            name: name.to_owned(),
            calls: load(&self.calls),
            failures: load(&self.failures),
            edits: load(&self.edits),
            dropped_items: load(&self.dropped_items),
            busy: Duration::from_nanos(load(&self.busy_ns)),
            last_error: last_error.clone(),
        }
    }
}
