//! One step of the chain: a loaded plugin with its configuration, and its policy for when it fails.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_wire::{Clock, Signal};

use crate::account::{Account, OwnMetric, PluginState, PluginStats};
use crate::bindings::petrel::plugin::types::{Descriptor, Edits};
use crate::breaker::Breaker;
use crate::cache::{Cache, digest};
use crate::component;
use crate::config::{OnError, PluginLimits, ProcessorConfig};
use crate::effects::Effects;
use crate::engine::Engine;
use crate::hold::{self, Decision};
use crate::host::{Shared, printable};
use crate::instance::{Failure, Instance, SHUTDOWN};
use crate::lookup::Tables;
use crate::meter::Meter;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::readers::Readers;
use crate::salvage::Trouble;
use crate::sheet::Sheet;
use crate::state::{State, States};
use crate::view::Stamper;

/// A loaded plugin with its configuration.
pub(crate) struct Processor {
    config: ProcessorConfig,
    /// Name and version that the plugin gives itself.
    plugin: String,
    sha256: String,
    plan: Arc<Plan>,
    on_error: OnError,
    pool: Pool,
    breaker: Breaker,
    /// Of all that had this name.
    account: Arc<Account>,
    /// As `account`.
    meter: Arc<Meter>,
    /// Whether it may keep anything, and what it keeps. At first an empty one, for the rehearsal.
    may_keep: bool,
    state: Arc<State>,
    /// When the timer was last due; held to look and to set it.
    ticked: Mutex<Duration>,
    clock: Arc<dyn Clock>,
}

/// What became of a batch in one step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// So many of its items were dropped.
    Kept(usize),
    Dropped,
    Refused(String),
}

/// A batch on its way, and what a step has to know about the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) readers: &'a Readers,
    pub(crate) stamper: &'a Stamper,
    /// The step's place in the chain.
    pub(crate) place: u16,
    /// Of the batch as it came.
    pub(crate) items: u32,
    /// Levels that arrays and maps may nest.
    pub(crate) depth: u32,
    /// What else the batch does, if it is accepted.
    pub(crate) effects: &'a RefCell<Effects>,
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
        let named = |error: String| format!("processor {name:?}: {error}");
        let bytes =
            component::read(&config.plugin, config.limits.component_bytes).map_err(named)?;
        let sha256 = digest(&bytes);
        config.check_pin(&sha256).map_err(named)?;
        let vouched = config.trust.check(&config.plugin, &sha256).map_err(named)?;
        let started = clock.monotonic();
        let loaded =
            component::load(&engine.engine, &config.plugin, &bytes, cache).map_err(named)?;
        if loaded.imports("clock") && !config.allow_clock {
            return Err(named(format!(
                "{file} imports the clock, which is off unless you allow it, since clocks help to \
                 spy on others on this machine; batches carry their time without it. If you trust \
                 this plugin, write `allow: [clock]` beside `plugin:`"
            )));
        }
        let tables = Tables::read(&config.lookups).map_err(named)?;
        let shared = Arc::new(Shared::of(config, tables, Arc::clone(clock)));
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
            .configure(engine, &json, &config.limits, None)
            .map_err(|failure| {
                let words = failure.words();
                format!("processor {name:?}: {file} does not take its `config`: {words}")
            })?;
        let unfit = |error: String| format!("processor {name:?}: {file} {error}");
        let mut plan = Plan::check(&asked).map_err(unfit)?;
        plan.holds = hold::holds(&descriptor, &plan).map_err(unfit)?;
        check_outputs(&plan, config.outputs.as_deref()).map_err(unfit)?;
        if let Some(vouched) = &vouched {
            let (contract, imports) = (&loaded.contract, &loaded.imports);
            vouched
                .check(&descriptor, contract, imports, &asked.selectors)
                .map_err(unfit)?;
        }
        let (plugin, version) = (printable(&descriptor.name), printable(&descriptor.version));
        let elapsed_ms = clock.monotonic().saturating_sub(started).as_millis();
        tracing::info!(
            processor = name,
            plugin,
            version,
            sha256,
            imports = loaded.imports.join(" "),
            signed_by = vouched.map(|vouched| vouched.by.name),
            ?on_error,
            elapsed_ms,
            "processor {name} runs {plugin} {version}"
        );
        let single = !descriptor.stateless;
        let may_keep = loaded.imports("state");
        Ok(Self {
            config: config.clone(),
            plugin: format!("{plugin} {version}"),
            sha256,
            plan: Arc::new(plan),
            on_error,
            pool: Pool::new(loaded, json, config.limits, shared, single, instance),
            breaker: Breaker::default(),
            account: Arc::default(),
            meter: Arc::new(Meter::new(Arc::clone(clock))),
            may_keep,
            state: Arc::default(),
            ticked: Mutex::default(),
            clock: Arc::clone(clock),
        })
    }

    /// Whether it is just what `config`, the component behind it and its lookups would make anew.
    pub(crate) fn is(&self, config: &ProcessorConfig) -> bool {
        let read = || component::read(&config.plugin, config.limits.component_bytes);
        self.config == *config
            && read().is_ok_and(|bytes| digest(&bytes) == self.sha256)
            && self.pool.has_current_tables()
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Name and version that the plugin gives itself.
    pub(crate) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// From here on it counts: under the account of the one that had its name before, with instances
    /// that have seen nothing yet.
    pub(crate) fn begin(
        &mut self,
        before: Option<&Self>,
        engine: &Engine,
        states: &States,
    ) -> Result<(), String> {
        if self.may_keep {
            // By plugin and place in the configuration, so that another one under its name begins anew.
            let plugin = self.plugin.split(' ').next().unwrap_or_default();
            self.state = states.of(&format!("{}/{plugin}", self.config.name));
        }
        self.account = before.map_or_else(Arc::default, |before| Arc::clone(&before.account));
        self.meter = before.map_or_else(
            || Arc::new(Meter::new(Arc::clone(&self.clock))),
            |before| Arc::clone(&before.meter),
        );
        self.breaker = Breaker::default();
        self.pool.begin();
        let renewed = self.pool.renew(engine);
        renewed.map_err(|failure| {
            let (name, words) = (self.name(), failure.words());
            format!("processor {name:?} does not start a second time: {words}")
        })
    }

    pub(crate) fn limits(&self) -> &PluginLimits {
        &self.config.limits
    }

    pub(crate) fn on_error(&self) -> OnError {
        self.on_error
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(crate) fn takes(&self, signal: Signal) -> bool {
        self.plan.takes(signal)
    }

    pub(crate) fn stats(&self) -> PluginStats {
        let off = self.breaker.off(self.now());
        let (memory_bytes, fuel) = self.pool.taken();
        PluginStats {
            name: self.config.name.clone(),
            plugin: self.plugin.clone(),
            sha256: self.sha256.clone(),
            instances: self.pool.started(),
            memory_bytes,
            fuel,
            on_error: self.on_error,
            trips: self.breaker.trips(),
            state: off.map_or(PluginState::Running, |off| PluginState::Off {
                retry_in: off.retry_in,
                because: off.because,
            }),
            own: OwnMetric::all(&self.meter),
            ..self.account.stats()
        }
    }

    /// `sheet` is the batch, or why nobody can be shown it.
    pub(crate) fn process(&self, sheet: Result<&mut Sheet, &str>, turn: Turn<'_>) -> Fate {
        let started = self.now();
        let fate = match sheet {
            Ok(sheet) => self.step(sheet, turn),
            Err(words) => {
                self.report(words, turn.items as usize);
                self.after_failure(None, turn)
            }
        };
        self.account.busy(self.now().saturating_sub(started));
        fate
    }

    fn step(&self, sheet: &mut Sheet, turn: Turn<'_>) -> Fate {
        if let Err(off) = self.breaker.admit(self.now()) {
            self.account.passed_by();
            tracing::debug!(
                processor = self.name(),
                "processor {} is off for {:?}: {}",
                self.name(),
                off.retry_in,
                off.because
            );
            return self.after_failure(Some(sheet), turn);
        }
        let records = sheet.records();
        match self.work(sheet, turn) {
            Ok(outcome) => {
                match &outcome.trouble {
                    Some(trouble) => self.failed(trouble, records),
                    None => self.succeeded(),
                }
                if outcome.dropped > 0 && sheet.records() == 0 {
                    return Fate::Dropped;
                }
                Fate::Kept(outcome.dropped)
            }
            Err(trouble) => {
                self.failed(&trouble, records);
                self.after_failure(Some(sheet), turn)
            }
        }
    }

    /// Calls it if its timer is due; what it decides about traces.
    pub(crate) fn tick(&self, engine: &Engine) -> Vec<Decision> {
        let now = self.now();
        let Some(every) = self.plan.tick else {
            return Vec::new();
        };
        {
            let mut ticked = self.ticked.lock().unwrap_or_else(PoisonError::into_inner);
            if now < *ticked + every || self.breaker.off(now).is_some() {
                return Vec::new();
            }
            *ticked = now;
        }
        let wall = self.clock.wall().0;
        self.decisions(
            self.pool
                .with(engine, |instance| instance.tick(engine, wall)),
        )
    }

    /// Its last call, if it keeps state.
    pub(crate) fn end(&self, engine: &Engine) -> Vec<Decision> {
        if !self.pool.is_single() {
            return Vec::new();
        }
        self.decisions(
            self.pool
                .with(engine, |instance| instance.flush(engine, SHUTDOWN)),
        )
    }

    fn decisions(&self, answer: Result<Edits, Failure>) -> Vec<Decision> {
        let checked = answer.map_err(|failure| failure.words().to_owned());
        let checked = checked.and_then(|edits| match hold::decisions(&edits)? {
            decided if decided.is_empty() || self.plan.holds => Ok(decided),
            _ => Err("decides about traces that are not held".into()),
        });
        checked.unwrap_or_else(|words| {
            self.report(&words, 0);
            self.breaker.failed(self.now(), &words);
            Vec::new()
        })
    }

    fn succeeded(&self) {
        if self.breaker.succeeded() {
            tracing::info!(
                processor = self.name(),
                "processor {} works again",
                self.name()
            );
        }
    }

    fn failed(&self, trouble: &Trouble, items: usize) {
        let words = &trouble.words;
        self.report(words, items);
        if let Some(wait) = self.breaker.failed(self.now(), words) {
            tracing::error!(
                processor = self.name(),
                policy = ?self.on_error,
                "processor {} keeps failing and is off for {wait:?}: {words}",
                self.name()
            );
        }
    }

    /// Notes a failure, and says so now and then.
    pub(crate) fn report(&self, words: &str, items: usize) {
        if let Some(unsaid) = self.account.failed(words, self.now()) {
            tracing::warn!(
                processor = self.name(),
                policy = ?self.on_error,
                items,
                unsaid,
                "processor {} failed: {words}",
                self.name()
            );
        }
    }

    /// Notes records that got the policy while the others went on.
    pub(crate) fn report_bad(&self, trouble: &Trouble, bad: usize, items: usize) {
        if self.on_error == OnError::Closed {
            self.account.quarantined(bad);
        }
        let words = &trouble.words;
        let told = (bad > 0)
            .then(|| self.account.noted(words, self.now()))
            .flatten();
        if let Some(unsaid) = told {
            let fate = match self.on_error {
                OnError::Closed => "kept back",
                OnError::Open => "passed on unchanged",
                OnError::Drop => "dropped",
                OnError::Strip => "stripped",
            };
            tracing::warn!(
                processor = self.name(),
                unsaid,
                "processor {} cannot take {bad} of {items} items, which are {fate}: {words}",
                self.name()
            );
        }
    }

    fn after_failure(&self, sheet: Option<&mut Sheet>, turn: Turn<'_>) -> Fate {
        match (self.on_error, sheet) {
            (OnError::Open, _) => Fate::Kept(0),
            (OnError::Drop, sheet) => {
                self.account
                    .dropped(sheet.map_or(turn.items as usize, |sheet| sheet.records()));
                Fate::Dropped
            }
            (OnError::Strip, Some(sheet)) => {
                let all = 0..sheet.records();
                self.strip(sheet, turn, &all);
                Fate::Kept(0)
            }
            // What cannot even be stripped is not passed on.
            (OnError::Closed | OnError::Strip, _) => Fate::Refused(self.refusal()),
        }
    }

    /// For the sender, without data.
    fn refusal(&self) -> String {
        let name = self.name();
        match self.breaker.off(self.now()) {
            Some(off) => {
                let seconds = off.retry_in.as_secs() + 1;
                format!("processor {name} is off after failures; try again in {seconds} s")
            }
            None => format!("processor {name} failed; try again"),
        }
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

/// Where records go is the operator's to say, for every output that a plugin names.
fn check_outputs(plan: &Plan, mapped: Option<&[String]>) -> Result<(), String> {
    let named = plan.outputs.get(1..).unwrap_or_default();
    if plan.holds && !named.is_empty() {
        return Err("holds traces and names outputs; it can do one of them".to_owned());
    }
    let leads_somewhere = |name: &Arc<str>| match mapped {
        Some(mapped) => mapped.iter().any(|mapped| **mapped == **name),
        None => true,
    };
    match named.iter().find(|name| !leads_somewhere(name)) {
        None => Ok(()),
        Some(name) => Err(format!(
            "names the output {name:?}, which leads nowhere yet; write beside `plugin:` in an agent \
             `outputs: {{ {name}: {{ dsn: \"https://TOKEN@HOST\" }} }}`, in an aggregator \
             `outputs: {{ {name}: {{ project: NUMBER }} }}`"
        )),
    }
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Processor")
            .field("name", &self.name())
            .field("plugin", &self.plugin)
            .field("on_error", &self.on_error)
            .finish_non_exhaustive()
    }
}
