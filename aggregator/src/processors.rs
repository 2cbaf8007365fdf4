//! The chain between door and journal, for those who send without an agent.
//!
//! What comes without an identity (OTLP from an SDK, Zipkin, Prometheus, Loki) goes through the
//! configured processors before anything of it touches the disk. A batch that an agent has sealed
//! does not: its name promises its bytes, and the agent had a chain of its own.
//!
//! A processor may be for some projects only. Each list of processors that results is a chain of its
//! own, so that projects which differ share no instance and no state.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use petrel_plugin_host::{
    Chain, PluginError, PluginState, PluginStats, ProcessorConfig, Routed, Verdict,
};
use petrel_receiver::{Refused, Turns};
use petrel_spool::ProjectId;
use petrel_wire::{Batch, Limits};

use crate::config::Processor;
use crate::ingest::{header, line};

/// The loaded chains. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Processors {
    chains: Arc<Chains>,
    turns: Turns,
}

#[derive(Debug)]
struct Chains {
    /// Of projects that some processor is for.
    own: HashMap<ProjectId, Arc<Chain>>,
    others: Arc<Chain>,
    /// Each of them once.
    all: Vec<Arc<Chain>>,
    /// Projects that outputs lead to.
    outputs: BTreeMap<String, ProjectId>,
}

impl Processors {
    /// None.
    pub fn none() -> Result<Self, PluginError> {
        Self::load(&[], None, Limits::default(), Turns::of_this_machine())
    }

    /// Loads, compiles (or takes from `cache_dir`) and configures every processor, on the calling
    /// thread. `turns` are those of all work that takes a thread for long.
    pub fn load(
        processors: &[Processor],
        cache_dir: Option<PathBuf>,
        limits: Limits,
        turns: Turns,
    ) -> Result<Self, PluginError> {
        let mut all = BTreeMap::<Vec<usize>, Arc<Chain>>::new();
        let mut chain_of = |project: Option<ProjectId>| {
            let is_for = |processor: &Processor| {
                processor.projects.is_empty()
                    || project.is_some_and(|project| processor.projects.contains(&project))
            };
            let places: Vec<usize> = (0..processors.len())
                .filter(|place| is_for(&processors[*place]))
                .collect();
            if let Some(chain) = all.get(&places) {
                return Ok(Arc::clone(chain));
            }
            let configs: Vec<ProcessorConfig> = places
                .iter()
                .map(|place| processors[*place].config.clone())
                .collect();
            let chain = Arc::new(Chain::load(&configs, cache_dir.clone(), limits)?);
            all.insert(places, Arc::clone(&chain));
            Ok(chain)
        };
        let others = chain_of(None)?;
        let mut own = HashMap::new();
        for project in processors.iter().flat_map(|processor| &processor.projects) {
            own.insert(*project, chain_of(Some(*project))?);
        }
        let all = all.into_values().collect();
        let outputs = outputs(processors)?;
        let chains = Chains {
            own,
            others,
            all,
            outputs,
        };
        Ok(Self {
            chains: Arc::new(chains),
            turns,
        })
    }

    /// What is left of a batch without identity. A closed processor that failed refuses with "come
    /// again"; so does a host that panicked: nothing passes unprocessed.
    pub(crate) async fn process(
        &self,
        project: ProjectId,
        batch: Batch,
    ) -> Result<Processed, Refused> {
        let chains = &self.chains;
        let chain = chains.own.get(&project).unwrap_or(&chains.others);
        if chain.is_empty() {
            return Ok(Processed::all(batch));
        }
        let came = batch.items();
        let failed = || Refused::busy("a processor failed; send the batch again");
        let turn = self.turns.take(project.0).await.ok_or_else(failed)?;
        let chain = Arc::clone(chain);
        let verdict = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            chain.process_routed(batch)
        });
        let (verdict, routed) = verdict.await.map_err(|_| failed())?;
        let kept = match verdict {
            Verdict::Kept { batch, .. } => (!batch.is_empty()).then_some(batch),
            Verdict::Dropped { .. } => None,
            Verdict::Refused { by, reason } => {
                return Err(Refused::busy(format!("processor {by}: {reason}")));
            }
        };
        let mut elsewhere = Vec::new();
        for Routed { output, batch } in routed {
            // Processors were loaded for these outputs and no others.
            let project = chains.outputs.get(&*output).ok_or_else(failed)?;
            elsewhere.push((*project, batch));
        }
        Ok(Processed {
            came,
            kept,
            elsewhere,
        })
    }

    /// Those that kept failing and are not called, in words.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let mut said = Vec::new();
        for stats in self.stats() {
            if let PluginState::Off { retry_in, because } = stats.state {
                let seconds = retry_in.as_secs();
                said.push(format!(
                    "processor {} ({}) kept failing and is off for {seconds} s, on_error is {}: {because}",
                    stats.name,
                    stats.plugin,
                    stats.on_error.name(),
                ));
            }
        }
        said
    }

    /// In the text format of Prometheus.
    pub(crate) fn render(&self, out: &mut String) {
        let mut sums = BTreeMap::<String, PluginStats>::new();
        for stats in self.stats() {
            let sum = sums.entry(stats.name.clone()).or_default();
            add(sum, stats);
        }
        let name = "aggregator_processor_routed_items_total";
        if sums.values().any(|sum| !sum.routed_items.is_empty()) {
            header(
                out,
                name,
                "Items that a processor sent to an output",
                "counter",
            );
        }
        for (processor, sum) in &sums {
            let processor = escaped(processor);
            for (output, items) in &sum.routed_items {
                line(
                    out,
                    format_args!("{name}{{processor=\"{processor}\",output=\"{output}\"}} {items}"),
                );
            }
        }
        for (name, help, of) in METRICS {
            header(out, name, help, kind(name));
            for (processor, sum) in &sums {
                let processor = escaped(processor);
                let value = of(sum);
                line(
                    out,
                    format_args!("{name}{{processor=\"{processor}\"}} {value}"),
                );
            }
        }
    }

    fn stats(&self) -> impl Iterator<Item = PluginStats> {
        self.chains.all.iter().flat_map(|chain| chain.stats())
    }
}

/// What the chain made of a batch.
#[derive(Debug)]
pub(crate) struct Processed {
    /// Items of the batch as it came.
    pub(crate) came: u32,
    /// What stays with the project that sent it.
    pub(crate) kept: Option<Batch>,
    /// What goes to other projects.
    pub(crate) elsewhere: Vec<(ProjectId, Batch)>,
}

impl Processed {
    fn all(batch: Batch) -> Self {
        Self {
            came: batch.items(),
            kept: Some(batch),
            elsewhere: Vec::new(),
        }
    }
}

/// Where outputs lead, of all processors together. A name leads to one place.
fn outputs(processors: &[Processor]) -> Result<BTreeMap<String, ProjectId>, PluginError> {
    let mut all = BTreeMap::new();
    for (name, project) in processors.iter().flat_map(|one| &one.outputs) {
        if all
            .insert(name.clone(), *project)
            .is_some_and(|other| other != *project)
        {
            return Err(PluginError(format!(
                "the output {name:?} leads to one project in one processor and to another in \
                 another; give them names of their own"
            )));
        }
    }
    Ok(all)
}

/// A processor in several chains is counted once.
fn add(sum: &mut PluginStats, one: PluginStats) {
    sum.calls += one.calls;
    sum.failures += one.failures;
    sum.edits += one.edits;
    sum.dropped_items += one.dropped_items;
    for (output, items) in one.routed_items {
        *sum.routed_items.entry(output).or_default() += items;
    }
    sum.quarantined_items += one.quarantined_items;
    sum.instances += one.instances;
    sum.trips += one.trips;
    sum.busy += one.busy;
    if one.state != PluginState::Running {
        sum.state = one.state;
    }
}

type Metric = (&'static str, &'static str, fn(&PluginStats) -> f64);

const METRICS: [Metric; 9] = [
    (
        "aggregator_processor_calls_total",
        "Batches processed",
        |p| p.calls as f64,
    ),
    (
        "aggregator_processor_failures_total",
        "Traps, time-outs and refused answers",
        |p| p.failures as f64,
    ),
    (
        "aggregator_processor_edits_total",
        "Values changed, made or deleted",
        |p| p.edits as f64,
    ),
    (
        "aggregator_processor_dropped_items_total",
        "Items that a processor took out",
        |p| p.dropped_items as f64,
    ),
    (
        "aggregator_processor_quarantined_items_total",
        "Items that a processor failed on and that were kept back",
        |p| p.quarantined_items as f64,
    ),
    (
        "aggregator_processor_off",
        "1 while a processor that kept failing is not called",
        |p| f64::from(u8::from(p.state != PluginState::Running)),
    ),
    (
        "aggregator_processor_trips_total",
        "How often a processor kept failing and was turned off",
        |p| p.trips as f64,
    ),
    (
        "aggregator_processor_instances_total",
        "Instances started; many mean traps or leaks",
        |p| p.instances as f64,
    ),
    (
        "aggregator_processor_busy_seconds_total",
        "Time in the guest",
        |p| Duration::as_secs_f64(&p.busy),
    ),
];

fn kind(name: &str) -> &'static str {
    if name.ends_with("_total") {
        "counter"
    } else {
        "gauge"
    }
}

/// The name is the operator's: anything.
fn escaped(label: &str) -> String {
    let label = label.replace('\\', "\\\\").replace('"', "\\\"");
    label.replace('\n', "\\n")
}
