//! One step of the chain: show, call, apply; and the policy for when that fails.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_wire::{Clock, Signal};

use crate::answer::{Question, part};
use crate::bindings::petrel::plugin::types::{Blob, Descriptor};
use crate::cache::{Cache, digest};
use crate::chain::{Account, PluginStats};
use crate::component::{self, Loaded};
use crate::config::{OnError, PluginLimits, ProcessorConfig};
use crate::engine::Engine;
use crate::host::{Shared, Work, printable};
use crate::instance::{Failure, Instance};
use crate::plan::Plan;
use crate::readers::Readers;
use crate::sheet::Sheet;
use crate::view::{Stamp, View};

/// Idle instances that are kept.
const MOST_IDLE: usize = 4;

/// A loaded plugin with its configuration.
pub(crate) struct Processor {
    name: String,
    loaded: Loaded,
    plan: Arc<Plan>,
    config: Vec<u8>,
    limits: PluginLimits,
    on_error: OnError,
    /// One instance for all, because it keeps state from batch to batch.
    single: bool,
    shared: Arc<Shared>,
    /// Held while an instance is taken or put back; by a single one also while it works.
    idle: Mutex<Vec<Instance>>,
    account: Account,
}

/// What became of a batch in one step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// So many of its items were dropped.
    Kept(u32),
    Dropped,
    Refused(String),
}

/// A batch on its way, and what a step has to know about the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) readers: &'a Readers,
    /// The step's place in the chain.
    pub(crate) place: u16,
    pub(crate) stamp: Stamp,
    /// Of the batch as it came.
    pub(crate) items: u32,
    /// Levels that arrays and maps may nest.
    pub(crate) depth: u32,
}

impl Processor {
    /// The error names file and remedy.
    pub(crate) fn load(
        config: &ProcessorConfig,
        engine: &Engine,
        cache: Option<&Cache>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let (name, file) = (&config.name, config.plugin.display());
        let bytes = component::read(&config.plugin, config.limits.component_bytes)
            .map_err(|error| format!("processor {name:?}: {error}"))?;
        let started = clock.monotonic();
        let loaded = component::load(&engine.engine, &config.plugin, &bytes, cache)
            .map_err(|error| format!("processor {name:?}: {error}"))?;
        let shared = Arc::new(Shared::new(name.clone(), Arc::clone(clock)));
        let failed = |doing: &str, failure: &Failure| {
            let words = failure.words();
            format!("processor {name:?}: {file} failed to {doing}: {words}")
        };
        let mut instance = Instance::new(engine, &loaded, &shared, &config.limits)
            .map_err(|failure| failed("start", &failure))?;
        let descriptor = instance
            .describe(engine)
            .map_err(|failure| failed("describe itself", &failure))?;
        let on_error = policy(config, &descriptor)?;
        let json = serde_json::to_vec(&config.config).map_err(|error| error.to_string())?;
        let asked = instance
            .configure(engine, &json, &config.limits)
            .map_err(|failure| {
                let words = failure.words();
                format!("processor {name:?}: {file} does not take its `config`: {words}")
            })?;
        let plan =
            Plan::check(&asked).map_err(|error| format!("processor {name:?}: {file} {error}"))?;
        let (plugin, version) = (printable(&descriptor.name), printable(&descriptor.version));
        let elapsed_ms = clock.monotonic().saturating_sub(started).as_millis();
        tracing::info!(
            processor = name,
            plugin,
            version,
            sha256 = digest(&bytes),
            imports = loaded.imports.join(" "),
            ?on_error,
            elapsed_ms,
            "processor {name} runs {plugin} {version}"
        );
        Ok(Self {
            name: name.clone(),
            loaded,
            plan: Arc::new(plan),
            config: json,
            limits: config.limits,
            on_error,
            single: !descriptor.stateless,
            shared,
            idle: Mutex::new(vec![instance]),
            account: Account::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn takes(&self, signal: Signal) -> bool {
        self.plan.takes(signal)
    }

    pub(crate) fn stats(&self) -> PluginStats {
        self.account.stats(&self.name)
    }

    /// `sheet` is the batch, or why nobody can be shown it.
    pub(crate) fn process(&self, sheet: Result<&mut Sheet, &str>, turn: Turn<'_>) -> Fate {
        let started = self.shared.clock.monotonic();
        let fate = match sheet {
            Ok(sheet) => match self.attempt(sheet, turn) {
                Ok(fate) => fate,
                Err(words) => {
                    self.report(&words, sheet.records());
                    self.after_failure(Some(sheet), turn)
                }
            },
            Err(words) => {
                self.report(words, turn.items as usize);
                self.after_failure(None, turn)
            }
        };
        let busy = self.shared.clock.monotonic().saturating_sub(started);
        self.account.busy(busy);
        fate
    }

    pub(crate) fn report(&self, words: &str, items: usize) {
        self.account.failed(words);
        tracing::warn!(
            processor = self.name,
            policy = ?self.on_error,
            items,
            "processor {} failed: {words}",
            self.name
        );
    }

    /// The error is for the operator.
    fn attempt(&self, sheet: &mut Sheet, turn: Turn<'_>) -> Result<Fate, String> {
        let selection = part(sheet, 0..sheet.records());
        let alone = turn.readers.is_one();
        let (view, codes) = View::new(sheet, turn.place, &self.plan, selection, alone, turn.stamp);
        let view = Arc::new(view);
        let rows = u32::try_from(sheet.records()).unwrap_or(u32::MAX);
        let budget = self.limits.call + self.limits.per_row.saturating_mul(rows);
        let strings = sheet.dictionary.len();
        let work = Work {
            plan: Arc::clone(&self.plan),
            view: Arc::clone(&view),
            codes,
            dictionary: std::mem::take(&mut sheet.dictionary),
            deadline: self.shared.clock.monotonic() + budget,
        };
        self.account.calls.fetch_add(1, Ordering::Relaxed);
        let mut work = Some(work);
        let answer = self.with_instance(turn.engine, |instance| {
            let Some(given) = work.take() else {
                return Err(Failure::Died("the host lost the batch".into()));
            };
            let (answer, back) = instance.process(turn.engine, given, budget);
            work = back;
            answer
        });
        let Some(work) = work else {
            return Err("the host lost the batch".into());
        };
        sheet.dictionary = work.dictionary;
        let checked = answer
            .map_err(|failure| failure.words().to_owned())
            .and_then(|edits| {
                let answer = self
                    .question(sheet, &view, &work.codes, turn)
                    .check(&edits)?;
                Ok((answer, edits.added))
            });
        match checked {
            Ok((answer, added)) => Ok(self.apply(sheet, answer, &added, turn)),
            Err(words) => {
                sheet.dictionary.truncate(strings);
                Err(words)
            }
        }
    }

    fn question<'a>(
        &'a self,
        sheet: &'a Sheet,
        view: &'a View,
        codes: &'a crate::view::Codes,
        turn: Turn<'_>,
    ) -> Question<'a> {
        Question {
            sheet,
            plan: &self.plan,
            view,
            codes,
            added_bytes: self.limits.added_bytes,
            depth: turn.depth,
        }
    }

    fn apply(
        &self,
        sheet: &mut Sheet,
        answer: crate::answer::Answer,
        added: &Blob,
        turn: Turn<'_>,
    ) -> Fate {
        let seen = |table, field, key: &[u8]| turn.readers.seen(table, field, key);
        let applied = answer.apply(sheet, &self.plan, added, seen);
        self.account
            .edits
            .fetch_add(applied.edits, Ordering::Relaxed);
        self.account.dropped(applied.dropped);
        if applied.dropped > 0 && sheet.records() == 0 {
            return Fate::Dropped;
        }
        Fate::Kept(applied.dropped)
    }

    fn with_instance<T>(
        &self,
        engine: &Engine,
        run: impl FnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle.pop();
        let held = self.single.then_some(idle);
        let mut instance = match taken {
            Some(instance) => instance,
            None => self.start(engine)?,
        };
        let answer = run(&mut instance);
        let healthy = !matches!(answer, Err(Failure::Died(_))) && !instance.is_worn();
        if healthy {
            let mut idle =
                held.unwrap_or_else(|| self.idle.lock().unwrap_or_else(PoisonError::into_inner));
            if idle.len() < MOST_IDLE {
                idle.push(instance);
            }
        }
        answer
    }

    fn start(&self, engine: &Engine) -> Result<Instance, Failure> {
        let mut instance = Instance::new(engine, &self.loaded, &self.shared, &self.limits)?;
        instance.configure(engine, &self.config, &self.limits)?;
        Ok(instance)
    }

    fn after_failure(&self, sheet: Option<&mut Sheet>, turn: Turn<'_>) -> Fate {
        let refused = || Fate::Refused(format!("processor {} failed; try again", self.name));
        match (self.on_error, sheet) {
            (OnError::Open, _) => Fate::Kept(0),
            (OnError::Drop, sheet) => {
                let items = sheet.map_or(turn.items as usize, |sheet| sheet.records());
                self.account
                    .dropped(u32::try_from(items).unwrap_or(u32::MAX));
                Fate::Dropped
            }
            (OnError::Strip, Some(sheet)) => self.strip(sheet, turn),
            // What cannot even be stripped is not passed on.
            (OnError::Closed | OnError::Strip, _) => refused(),
        }
    }

    fn strip(&self, sheet: &mut Sheet, turn: Turn<'_>) -> Fate {
        let selection = part(sheet, 0..sheet.records());
        let (view, codes) = View::new(sheet, turn.place, &self.plan, selection, true, turn.stamp);
        let answer = self.question(sheet, &view, &codes, turn).strip();
        let nothing = Blob {
            ends: Vec::new(),
            bytes: Vec::new(),
        };
        self.apply(sheet, answer, &nothing, turn)
    }
}

/// The operator's word beats the plugin's, but not silently where secrets would pass.
fn policy(config: &ProcessorConfig, descriptor: &Descriptor) -> Result<OnError, String> {
    let asked = if descriptor.fail_closed {
        OnError::Closed
    } else {
        OnError::Open
    };
    let chosen = config.on_error.unwrap_or(asked);
    if descriptor.fail_closed && chosen == OnError::Open && !config.i_accept_unredacted {
        return Err(format!(
            "processor {:?}: `on_error: open` would pass data on that {} should have processed; \
             choose closed, strip or drop, or write `i_accept_unredacted: true` beside it",
            config.name,
            config.plugin.display()
        ));
    }
    Ok(chosen)
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Processor")
            .field("name", &self.name)
            .field("on_error", &self.on_error)
            .field("call", &Duration::as_micros(&self.limits.call))
            .finish_non_exhaustive()
    }
}
