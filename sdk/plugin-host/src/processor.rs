//! One step of the chain: project, call, apply; and the policy for when that fails.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_wire::{Batch, Clock, Limits};

use crate::answer::{Outcome, Question};
use crate::bindings::petrel::plugin::types::Descriptor;
use crate::cache::{Cache, digest};
use crate::chain::{Account, PluginStats};
use crate::component::{self, Loaded};
use crate::config::{OnError, PluginLimits, ProcessorConfig};
use crate::dictionary::Dictionary;
use crate::engine::Engine;
use crate::host::{Shared, Work, printable};
use crate::instance::{Failure, Instance};
use crate::plan::{Plan, Walk};
use crate::project::{Projection, Stamp, project};
use crate::splice;

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
#[derive(Debug)]
pub(crate) enum Fate {
    Kept { batch: Batch, dropped: u32 },
    Dropped,
    Refused(String),
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

    pub(crate) fn stats(&self) -> PluginStats {
        self.account.stats(&self.name)
    }

    pub(crate) fn process(
        &self,
        engine: &Engine,
        batch: Batch,
        limits: &Limits,
        id: u64,
        seed: u64,
    ) -> Fate {
        let Some(walk) = self.plan.walk(batch.signal()) else {
            return Fate::Kept { batch, dropped: 0 };
        };
        let started = self.shared.clock.monotonic();
        let stamp = Stamp {
            id,
            now: self.shared.clock.wall(),
            seed,
        };
        let result = self.attempt(engine, &batch, walk, limits, stamp);
        let fate = match result {
            Ok(fate) => fate,
            Err(words) => {
                self.account.failed(&words);
                tracing::warn!(
                    processor = self.name,
                    policy = ?self.on_error,
                    items = batch.items(),
                    "processor {} failed: {words}",
                    self.name
                );
                self.after_failure(batch, walk, limits, stamp)
            }
        };
        let busy = self.shared.clock.monotonic().saturating_sub(started);
        let busy = u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX);
        self.account.busy_ns.fetch_add(busy, Ordering::Relaxed);
        fate
    }

    /// The error is for the operator.
    fn attempt(
        &self,
        engine: &Engine,
        batch: &Batch,
        walk: &Walk,
        limits: &Limits,
        stamp: Stamp,
    ) -> Result<Fate, String> {
        let (projection, dictionary) =
            project(batch, &self.plan, walk, stamp).map_err(|error| error.to_string())?;
        let projection = Arc::new(projection);
        let budget = self.limits.call + self.limits.per_row.saturating_mul(batch.items());
        let work = Work {
            plan: Arc::clone(&self.plan),
            projection: Arc::clone(&projection),
            dictionary,
            deadline: self.shared.clock.monotonic() + budget,
        };
        self.account.calls.fetch_add(1, Ordering::Relaxed);
        let answer = self.with_instance(engine, |instance| instance.process(engine, work, budget));
        let (edits, dictionary) = answer.map_err(|failure| failure.words().to_owned())?;
        let outcome = self
            .question(batch, &projection, &dictionary)
            .resolve(&edits);
        self.apply(batch, outcome?, limits)
    }

    fn question<'a>(
        &'a self,
        batch: &'a Batch,
        projection: &'a Projection,
        dictionary: &'a Dictionary,
    ) -> Question<'a> {
        Question {
            bytes: batch.bytes(),
            plan: &self.plan,
            projection,
            dictionary,
            added_bytes: self.limits.added_bytes,
        }
    }

    fn apply(&self, batch: &Batch, outcome: Outcome, limits: &Limits) -> Result<Fate, String> {
        let dropped = outcome.dropped;
        let counted = |counter: &std::sync::atomic::AtomicU64, by| {
            counter.fetch_add(by, Ordering::Relaxed);
        };
        if dropped > 0 && dropped == batch.items() {
            counted(&self.account.dropped_items, dropped.into());
            return Ok(Fate::Dropped);
        }
        if outcome.splices.is_empty() {
            return Ok(Fate::Kept {
                batch: batch.clone(),
                dropped: 0,
            });
        }
        let bytes = splice::apply(batch.bytes(), outcome.splices);
        // What the host wrote is checked like what a sender sent: nothing invalid passes on.
        let edited = Batch::from_protobuf(batch.signal(), bytes.into(), limits)
            .map_err(|error| format!("its edits do not fit: {error}"))?;
        if edited.items() + dropped != batch.items() {
            return Err("its edits changed the number of items".into());
        }
        counted(&self.account.edits, outcome.edits);
        counted(&self.account.dropped_items, dropped.into());
        Ok(Fate::Kept {
            batch: edited,
            dropped,
        })
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

    fn after_failure(&self, batch: Batch, walk: &Walk, limits: &Limits, stamp: Stamp) -> Fate {
        let refused = || Fate::Refused(format!("processor {} failed; try again", self.name));
        match self.on_error {
            OnError::Closed => refused(),
            OnError::Open => Fate::Kept { batch, dropped: 0 },
            OnError::Drop => {
                self.account
                    .dropped_items
                    .fetch_add(batch.items().into(), Ordering::Relaxed);
                Fate::Dropped
            }
            // What cannot even be stripped is not passed on.
            OnError::Strip => self
                .strip(&batch, walk, limits, stamp)
                .unwrap_or_else(|_| refused()),
        }
    }

    fn strip(
        &self,
        batch: &Batch,
        walk: &Walk,
        limits: &Limits,
        stamp: Stamp,
    ) -> Result<Fate, String> {
        let (projection, dictionary) =
            project(batch, &self.plan, walk, stamp).map_err(|error| error.to_string())?;
        let outcome = self.question(batch, &projection, &dictionary).strip()?;
        self.apply(batch, outcome, limits)
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
