//! The chain: processors in order, and what they make of a batch.
//!
//! A closed processor's failure refuses the batch to the sender: unprocessed data goes nowhere. The
//! processors can be replaced while batches go through; each batch meets those that were there when
//! it came.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use petrel_wire::{Batch, Clock, Limits, Signal, SystemClock};

use crate::account::PluginStats;
use crate::cache::Cache;
use crate::config::ProcessorConfig;
use crate::emit::{Emitted, emit};
use crate::engine::Engine;
use crate::pool::Handover;
use crate::processor::{Fate, Processor, Turn};
use crate::project::project;
use crate::readers::Readers;
use crate::sheet::Sheet;
use crate::view::Stamper;

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

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Processors that go on as they are, instances and all.
    pub kept: usize,
    /// Processors that are new, have another component or another configuration.
    pub loaded: usize,
}

/// Compiled processors in order. Shared between threads; each call takes an instance from a pool.
#[derive(Debug)]
pub struct Chain {
    /// Held to take a copy, and to put another there.
    steps: RwLock<Arc<Steps>>,
    reload: Mutex<Reload>,
    limits: Limits,
    stamper: Stamper,
}

/// What a batch meets, from beginning to end.
#[derive(Debug, Default)]
struct Steps {
    processors: Vec<Arc<Processor>>,
    /// By signal.
    readers: [Option<Readers>; 3],
    /// There is one if there are processors.
    engine: Option<Arc<Engine>>,
}

/// What a reload needs, and what the last one said.
#[derive(Debug)]
struct Reload {
    cache_dir: Option<PathBuf>,
    error: Option<String>,
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
        let cache = open_cache(cache_dir.as_ref());
        let (steps, _) = Steps::load(configs, &Steps::default(), cache.as_ref(), clock)?;
        Ok(Self {
            steps: RwLock::new(Arc::new(steps)),
            reload: Mutex::new(Reload {
                cache_dir,
                error: None,
            }),
            limits,
            stamper: Stamper::new(Arc::clone(clock)),
        })
    }

    /// Replaces the processors by those of `configs`, between two batches: a batch that is on its way
    /// finishes with the old ones, the next one meets the new ones, none meets both. What has not
    /// changed goes on with its instances; counters go on under their names; a processor with state
    /// hands it to the one that has its name next.
    ///
    /// If anything is wrong with the new ones, the old ones stay, all of them, and
    /// [`Chain::reload_error`] says why. Compiles on the calling thread.
    pub fn reload(&self, configs: &[ProcessorConfig]) -> Result<Reloaded, PluginError> {
        // One at a time.
        let mut reload = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.steps();
        let cache = open_cache(reload.cache_dir.as_ref());
        let loaded = Steps::load(configs, &old, cache.as_ref(), self.stamper.clock());
        let (steps, reloaded) = loaded.inspect_err(|error| {
            tracing::error!("the processors stay as they were: {error}");
            reload.error = Some(error.to_string());
        })?;
        reload.error = None;
        let new = Arc::new(steps);
        let handovers = new.take_over(&old);
        *self.steps.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        drop(handovers);
        let Reloaded { kept, loaded } = reloaded;
        tracing::info!(
            kept,
            loaded,
            "{loaded} processors loaded anew, {kept} go on"
        );
        Ok(reloaded)
    }

    /// Why the last reload changed nothing, if it did not.
    pub fn reload_error(&self) -> Option<String> {
        let reload: MutexGuard<'_, Reload> =
            self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        reload.error.clone()
    }

    fn steps(&self) -> Arc<Steps> {
        Arc::clone(&self.steps.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// No processors.
    pub fn is_empty(&self) -> bool {
        self.steps().processors.is_empty()
    }

    /// Runs the chain on the calling thread; bounded by the processors' budgets.
    pub fn process(&self, batch: Batch) -> Verdict {
        let steps = self.steps();
        let Some(engine) = steps.engine.as_ref().filter(|_| !batch.is_empty()) else {
            return Verdict::Kept { batch, dropped: 0 };
        };
        if batch.bytes().len() <= PART_BYTES {
            return self.process_part(&steps, engine, batch);
        }
        self.process_parts(&steps, engine, batch)
    }

    fn process_parts(&self, steps: &Steps, engine: &Engine, batch: Batch) -> Verdict {
        let signal = batch.signal();
        let mut kept = Vec::new();
        let mut all_dropped = 0;
        let mut dropper = None;
        for part in batch.split(PART_BYTES) {
            let items = part.items();
            match self.process_part(steps, engine, part) {
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

    fn process_part(&self, steps: &Steps, engine: &Engine, batch: Batch) -> Verdict {
        let Some(readers) = steps.readers(batch.signal()) else {
            return Verdict::Kept { batch, dropped: 0 };
        };
        let seed = self.stamper.stamp().seed;
        let mut sheet = project(&batch, readers, seed).map_err(|error| error.to_string());
        let mut all_dropped = 0;
        let mut last_editor = None;
        for (processor, place) in steps.processors.iter().zip(0..) {
            if !processor.takes(batch.signal()) {
                continue;
            }
            let turn = Turn {
                engine,
                readers,
                stamper: &self.stamper,
                place,
                items: batch.items(),
                depth: self.limits.depth,
            };
            let answers = sheet.as_ref().map_or(0, |sheet| sheet.answers);
            let by = || processor.name().to_owned();
            match processor.process(sheet.as_mut().map_err(|words| words.as_str()), turn) {
                Fate::Kept(dropped) => {
                    all_dropped += u32::try_from(dropped).unwrap_or(u32::MAX);
                }
                Fate::Dropped => return Verdict::Dropped { by: by() },
                Fate::Refused(reason) => return Verdict::Refused { by: by(), reason },
            }
            let is_edited = |sheet: &Sheet| sheet.answers != answers;
            if last_editor.is_none() || sheet.as_ref().is_ok_and(is_edited) {
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

    /// Accounts in the order of the chain.
    pub fn stats(&self) -> Vec<PluginStats> {
        let steps = self.steps();
        steps.processors.iter().map(|one| one.stats()).collect()
    }

    /// Where time comes from.
    pub fn clock(&self) -> &dyn Clock {
        self.stamper.clock().as_ref()
    }
}

impl Steps {
    /// Those of `configs`, where nothing has changed the very same as in `old`.
    fn load(
        configs: &[ProcessorConfig],
        old: &Self,
        cache: Option<&Cache>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Self, Reloaded), PluginError> {
        let memory = configs.iter().map(|config| config.limits.memory_bytes);
        let Some(memory) = memory.max() else {
            return Ok((Self::default(), Reloaded::default()));
        };
        let engine = match &old.engine {
            Some(engine) => Arc::clone(engine),
            None => Arc::new(Engine::new(memory).map_err(PluginError)?),
        };
        let mut processors = Vec::<Arc<Processor>>::with_capacity(configs.len());
        let mut reloaded = Reloaded::default();
        for config in configs {
            if processors.iter().any(|one| one.name() == config.name) {
                let name = &config.name;
                return Err(PluginError(format!("two processors are called {name:?}")));
            }
            let before = old.processors.iter().find(|one| one.name() == config.name);
            if let Some(same) = before.filter(|before| before.is(config)) {
                processors.push(Arc::clone(same));
                reloaded.kept += 1;
                continue;
            }
            let account = before.map(|before| Arc::clone(before.account()));
            let processor = Processor::load(config, &engine, cache, clock, account);
            processors.push(Arc::new(processor.map_err(PluginError)?));
            reloaded.loaded += 1;
        }
        let plans: Vec<_> = processors
            .iter()
            .map(|one| Arc::clone(one.plan()))
            .collect();
        let steps = Self {
            readers: Signal::ALL.map(|signal| Readers::new(signal, &plans)),
            processors,
            engine: Some(engine),
        };
        Ok((steps, reloaded))
    }

    /// Hands state from the old processors to those that follow them under their names. While the
    /// handovers live, nobody calls either.
    fn take_over<'a>(&'a self, old: &'a Self) -> Vec<Handover<'a>> {
        let Some(engine) = &self.engine else {
            return Vec::new();
        };
        let heirs = self.processors.iter().filter_map(|heir| {
            let older = old
                .processors
                .iter()
                .find(|one| one.name() == heir.name())?;
            (!Arc::ptr_eq(older, heir)).then_some((older, heir))
        });
        heirs
            .filter_map(|(older, heir)| heir.pool().take_over(older.pool(), engine))
            .collect()
    }

    fn readers(&self, signal: Signal) -> Option<&Readers> {
        let mut readers = self.readers.iter().flatten();
        readers.find(|readers| readers.signal == signal)
    }
}

/// Without a cache all works, but slower to start.
fn open_cache(dir: Option<&PathBuf>) -> Option<Cache> {
    let opened = Cache::open(dir?.clone()).inspect_err(|error| {
        tracing::warn!(error, "plugins are compiled at each start: {error}");
    });
    opened.ok()
}
