//! The processors in order, and what a batch meets on its way through them.

use std::cell::RefCell;
use std::sync::Arc;

use petrel_wire::{Batch, Limits, Signal};

use crate::cache::Cache;
use crate::chain::{PluginError, Reloaded, Verdict};
use crate::config::ProcessorConfig;
use crate::effects::Effects;
use crate::emit::{Emitted, emit};
use crate::engine::{Engine, Kind};
use crate::hold::Decision;
use crate::pool::Handover;
use crate::processor::{Fate, Processor, Turn};
use crate::project::project;
use crate::readers::Readers;
use crate::rehearsal::{Recent, rehearse};
use crate::route::{Routed, parts};
use crate::run::holder;
use crate::sheet::Sheet;
use crate::state::States;
use crate::view::Stamper;

/// A part has at most two million elements, and answers add some hundred thousand: with limits made
/// for so many items they need not be counted.
const ITEMS_FOR_ANY_PART: u32 = 80_000;

/// What a batch meets, from beginning to end.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    pub(crate) processors: Vec<Arc<Processor>>,
    /// The last of them alone, if it holds: its turn comes after all others are through.
    holder: Option<Box<Self>>,
    /// By signal, of those that do not hold.
    readers: [Option<Readers>; 3],
    /// There is one if there are processors.
    engine: Option<Arc<Engine>>,
}

/// What became of a batch, or a part of one.
#[derive(Debug)]
pub(crate) struct Ran {
    /// What is to be held counts as kept.
    pub(crate) verdict: Verdict,
    /// What goes elsewhere; not in `verdict`.
    pub(crate) routed: Vec<Routed>,
    /// By position in the batch that is kept.
    pub(crate) holds: Vec<usize>,
    pub(crate) decided: Vec<Decision>,
    pub(crate) generation: u64,
}

impl From<Verdict> for Ran {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            routed: Vec::new(),
            holds: Vec::new(),
            decided: Vec::new(),
            generation: 0,
        }
    }
}

/// What a batch has with it on its way.
#[derive(Clone, Copy)]
struct Way<'a> {
    readers: (&'a Engine, &'a Readers),
    ground: &'a Ground,
    /// The place of the first processor that it meets.
    from: usize,
    effects: &'a RefCell<Effects>,
}

/// What stays when processors are replaced.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) limits: Limits,
    pub(crate) stamper: Stamper,
    pub(crate) recent: Recent,
    pub(crate) states: States,
}

impl Steps {
    /// Those of `configs`, where nothing has changed the very same as in `old`.
    pub(crate) fn load(
        configs: &[ProcessorConfig],
        old: &Self,
        cache: Option<&Cache>,
        ground: &Ground,
    ) -> Result<(Self, Reloaded), PluginError> {
        let memory = configs.iter().map(|config| config.limits.memory_bytes);
        let Some(memory) = memory.max() else {
            return Ok((Self::default(), Reloaded::default()));
        };
        let kind = if configs.iter().any(|config| config.interpreted) {
            Kind::Interpreted
        } else {
            Kind::Compiled
        };
        let engine = match &old.engine {
            Some(engine) if engine.is(kind) => Arc::clone(engine),
            _ => Arc::new(Engine::of(memory, kind).map_err(PluginError)?),
        };
        // What another engine has made is no use here.
        let is_same = old
            .engine
            .as_ref()
            .is_some_and(|old| Arc::ptr_eq(old, &engine));
        let mut processors = Vec::<Arc<Processor>>::with_capacity(configs.len());
        let mut reloaded = Reloaded::default();
        for config in configs {
            if processors.iter().any(|one| one.name() == config.name) {
                let name = &config.name;
                return Err(PluginError(format!("two processors are called {name:?}")));
            }
            let before = old.processors.iter().find(|one| one.name() == config.name);
            if let Some(same) = before.filter(|before| is_same && before.is(config)) {
                processors.push(Arc::clone(same));
                reloaded.kept += 1;
                continue;
            }
            let processor = Processor::load(config, &engine, cache, ground.stamper.clock());
            let rehearsed = processor.and_then(|new| rehearse(new, &engine, ground));
            let mut processor = rehearsed.map_err(PluginError)?;
            let before = before.map(AsRef::as_ref);
            let begun = processor.begin(before, &engine, &ground.states);
            begun.map_err(PluginError)?;
            processors.push(Arc::new(processor));
            reloaded.loaded += 1;
        }
        let steps = match holder(&processors).map_err(PluginError)? {
            None => Self::of(processors, engine),
            Some(last) => {
                let last = Self::of(vec![Arc::clone(last)], Arc::clone(&engine));
                let others = processors[..processors.len() - 1].to_vec();
                Self {
                    holder: Some(Box::new(last)),
                    processors,
                    ..Self::of(others, engine)
                }
            }
        };
        Ok((steps, reloaded))
    }

    /// The last processor as a chain of its own, if it holds.
    pub(crate) fn holder(&self) -> Option<&Self> {
        self.holder.as_deref()
    }

    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.engine.as_deref()
    }

    /// Whether batches of this signal concern any of them.
    pub(crate) fn takes(&self, signal: Signal) -> bool {
        self.processors.iter().any(|one| one.takes(signal))
    }

    pub(crate) fn of(processors: Vec<Arc<Processor>>, engine: Arc<Engine>) -> Self {
        let plans: Vec<_> = processors
            .iter()
            .map(|one| Arc::clone(one.plan()))
            .collect();
        Self {
            readers: Signal::ALL.map(|signal| Readers::new(signal, &plans)),
            processors,
            holder: None,
            engine: Some(engine),
        }
    }

    /// How often anything went wrong so far.
    pub(crate) fn troubles(&self) -> u64 {
        let accounts = self.processors.iter().map(|one| one.account());
        accounts.map(super::account::Account::troubles).sum()
    }

    /// Hands state from the old processors to those that follow them under their names. While the
    /// handovers live, nobody calls either.
    pub(crate) fn take_over<'a>(&'a self, old: &'a Self) -> Vec<Handover<'a>> {
        let (Some(engine), Some(olds)) = (&self.engine, &old.engine) else {
            return Vec::new();
        };
        if !Arc::ptr_eq(engine, olds) {
            tracing::warn!("the engine of plugins is another one now; those with state begin anew");
            return Vec::new();
        }
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

    /// Those that do not hold.
    fn before(&self) -> &[Arc<Processor>] {
        let holders = usize::from(self.holder.is_some());
        &self.processors[..self.processors.len() - holders]
    }

    fn readers(&self, signal: Signal) -> Option<&Readers> {
        let mut readers = self.readers.iter().flatten();
        readers.find(|readers| readers.signal == signal)
    }

    /// Runs a batch, or a part of one, through those from place `from` on that do not hold. Called on a
    /// holder it says what is to be held of what is kept.
    pub(crate) fn run(
        &self,
        batch: Batch,
        ground: &Ground,
        from: usize,
        effects: &RefCell<Effects>,
    ) -> Ran {
        let readers = self.readers(batch.signal());
        let Some((engine, readers)) = self.engine.as_deref().zip(readers) else {
            return Verdict::Kept { batch, dropped: 0 }.into();
        };
        let seed = ground.stamper.stamp().seed;
        let mut sheet = project(&batch, readers, seed).map_err(|error| error.to_string());
        let way = Way {
            readers: (engine, readers),
            ground,
            from,
            effects,
        };
        let mut ran = self.walk(&batch, &mut sheet, way);
        if let Ok(sheet) = sheet {
            ran.holds = sheet.positions(&sheet.aside.rows);
            ran.decided = sheet.aside.decided;
            ran.generation = sheet.aside.generation;
        }
        ran
    }

    fn walk(&self, batch: &Batch, sheet: &mut Result<Sheet, String>, way: Way<'_>) -> Ran {
        let Way {
            readers: (engine, readers),
            ground,
            from,
            effects,
        } = way;
        let mut all_dropped = 0;
        let mut last_editor = None;
        for (processor, place) in self.before().iter().zip(0..).skip(from) {
            if !processor.takes(batch.signal()) {
                continue;
            }
            let turn = Turn {
                engine,
                readers,
                stamper: &ground.stamper,
                place,
                items: batch.items(),
                depth: ground.limits.depth,
                effects,
            };
            let answers = sheet.as_ref().map_or(0, |sheet| sheet.answers);
            let by = || processor.name().to_owned();
            match processor.process(sheet.as_mut().map_err(|words| words.as_str()), turn) {
                Fate::Kept(dropped) => {
                    all_dropped += u32::try_from(dropped).unwrap_or(u32::MAX);
                }
                Fate::Dropped => return Verdict::Dropped { by: by() }.into(),
                Fate::Refused(reason) => return Verdict::Refused { by: by(), reason }.into(),
            }
            let is_edited = |sheet: &Sheet| sheet.answers != answers;
            if last_editor.is_none() || sheet.as_ref().is_ok_and(is_edited) {
                last_editor = Some(processor);
            }
        }
        match (sheet, last_editor) {
            (Ok(sheet), Some(editor)) if !sheet.aside.routes.is_empty() => {
                ground.finish_parts(sheet, all_dropped, editor, batch)
            }
            (Ok(sheet), Some(editor)) if sheet.is_changed => {
                let items = batch.items() - all_dropped;
                match ground.finish(sheet, items, editor, batch) {
                    Ok(batch) => Verdict::Kept {
                        batch,
                        dropped: all_dropped,
                    }
                    .into(),
                    Err(refused) => refused.into(),
                }
            }
            _ => Verdict::Kept {
                batch: batch.clone(),
                dropped: all_dropped,
            }
            .into(),
        }
    }
}

impl Ground {
    /// Values are checked where plugins write them, and the host writes the rest, so what comes out
    /// is well-formed. Only limits that many edits could pass together are checked here, by reading
    /// it all where that cannot be told otherwise.
    fn finish(
        &self,
        sheet: &Sheet,
        items: u32,
        editor: &Processor,
        batch: &Batch,
    ) -> Result<Batch, Verdict> {
        let Emitted { bytes, is_nested } = emit(sheet);
        let made = sheet.made_columns();
        let within = !is_nested
            && bytes.len() <= self.limits.request_bytes
            && (made == 0
                || (sheet.most_attributes + made <= self.limits.attributes as usize
                    && self.limits.items >= ITEMS_FOR_ANY_PART));
        if within {
            return Ok(batch.edited(bytes.into(), items));
        }
        let checked = Batch::from_protobuf(sheet.signal, bytes.into(), &self.limits);
        let words = match checked {
            Ok(batch) if batch.items() == items => return Ok(batch),
            Ok(_) => "its edits changed the number of items".into(),
            Err(error) => format!("its edits do not fit: {error}"),
        };
        editor.report(&words, sheet.records());
        Err(Verdict::Refused {
            by: editor.name().to_owned(),
            reason: format!("processor {} failed; try again", editor.name()),
        })
    }

    /// As [`Ground::finish`], a batch for each output.
    fn finish_parts(
        &self,
        sheet: &mut Sheet,
        dropped: u32,
        editor: &Processor,
        batch: &Batch,
    ) -> Ran {
        let mut kept = Batch::concat(batch.signal(), &[]);
        let mut routed = Vec::new();
        let was_changed = std::mem::replace(&mut sheet.is_changed, true);
        for part in parts(sheet) {
            let before = std::mem::replace(&mut sheet.kept, part.kept);
            let removed = std::mem::replace(&mut sheet.removed, part.removed);
            let items = u32::try_from(sheet.records()).unwrap_or(u32::MAX);
            let made = if items == 0 {
                Ok(Batch::concat(batch.signal(), &[]))
            } else {
                self.finish(sheet, items, editor, batch)
            };
            (sheet.kept, sheet.removed) = (before, removed);
            match (made, part.output) {
                (Err(refused), _) => return refused.into(),
                (Ok(batch), None) => kept = batch,
                (Ok(batch), Some(output)) => routed.push(Routed { output, batch }),
            }
        }
        sheet.is_changed = was_changed;
        let verdict = Verdict::Kept {
            batch: kept,
            dropped,
        };
        Ran {
            routed,
            ..Ran::from(verdict)
        }
    }
}
