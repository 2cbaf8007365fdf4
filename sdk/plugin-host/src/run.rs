//! A batch through a chain whose last processor may hold spans, and what that processor decides.
//!
//! A processor that holds is the last one: what is held has been through all the others, so nothing
//! unprocessed gets to a disk, and nothing is left to do when it is released. Spans whose trace has
//! been decided lately share its fate without a call.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use petrel_wire::otlp::by_trace::{Take, TraceId, select, trace_parts};
use petrel_wire::{Batch, Signal};

use crate::chain::{Chain, PART_BYTES, Verdict};
use crate::effects::Effects;
use crate::hold::{Decided, Decision, TraceFate};
use crate::processor::Processor;
use crate::route::Routed;
use crate::steps::{Ran, Steps};

/// What a chain made of a batch.
#[derive(Debug)]
pub struct Outcome {
    /// What is settled at once.
    pub verdict: Verdict,
    /// What goes elsewhere, by output; not in `verdict`.
    pub routed: Vec<Routed>,
    /// What has to wait, to be durable before anybody is told that it is accepted. Not in `verdict`.
    pub held: Option<Held>,
    /// What was decided on this occasion, about any traces.
    pub decided: Vec<Decision>,
    /// What processors counted: to be settled when the sender is told that all is accepted, what goes
    /// on as well as what is held.
    pub effects: Effects,
}

/// Spans that wait for a decision about their traces.
#[derive(Debug)]
pub struct Held {
    /// Processed; each span has a trace.
    pub batch: Batch,
    /// Of the instance that knows of them; see [`Chain::generation`].
    pub generation: u64,
}

impl From<(Verdict, Effects)> for Outcome {
    fn from((verdict, effects): (Verdict, Effects)) -> Self {
        Self {
            verdict,
            routed: Vec::new(),
            held: None,
            decided: Vec::new(),
            effects,
        }
    }
}

impl Outcome {
    /// For whoever cannot hold anything: what should be held is kept.
    pub(crate) fn unheld(mut self) -> Self {
        let held = self.held.take().map(|held| held.batch);
        self.keep_too(held);
        self
    }

    /// For whoever has one place for all of it.
    pub(crate) fn whole(self) -> (Verdict, Effects) {
        let mut all = self.unheld();
        let routed = std::mem::take(&mut all.routed);
        all.keep_too(routed.into_iter().map(|routed| routed.batch));
        (all.verdict, all.effects)
    }

    fn keep_too(&mut self, others: impl IntoIterator<Item = Batch>) {
        if let Verdict::Kept { batch, .. } = &mut self.verdict {
            let mut all = vec![batch.clone()];
            all.extend(others);
            if all.len() > 1 {
                *batch = Batch::concat(batch.signal(), &all);
            }
        }
    }
}

impl Chain {
    /// Runs the chain on the calling thread; bounded by the processors' budgets.
    pub fn run(&self, batch: Batch) -> Outcome {
        let steps = self.steps();
        let before = self.process_by(&steps, batch);
        self.end_with_holder(&steps, before)
    }

    /// Runs what a processor counted through those from a place on.
    pub(crate) fn run_telling(
        &self,
        steps: &Steps,
        batch: Batch,
        from: usize,
    ) -> (Verdict, Effects) {
        let before = self.process_parts(steps, batch, from);
        // What the holder itself counted does not come to it.
        if from >= steps.processors.len() {
            return before.whole();
        }
        self.end_with_holder(steps, before).whole()
    }

    /// Asks the one that holds, if there is one, about what the others made of a batch.
    /// What goes elsewhere has a way of its own, on which nothing waits.
    fn end_with_holder(&self, steps: &Steps, before: Outcome) -> Outcome {
        let (Some(holder), Verdict::Kept { batch, dropped }) = (steps.holder(), &before.verdict)
        else {
            return before;
        };
        if !holder.takes(batch.signal()) {
            return before;
        }
        let effects = RefCell::new(before.effects);
        let outcome = self.hold(holder, batch.clone(), *dropped, &effects);
        match outcome.verdict {
            // It comes again, and is counted then.
            Verdict::Refused { .. } => outcome,
            _ => Outcome {
                routed: before.routed,
                effects: effects.into_inner(),
                ..outcome
            },
        }
    }

    /// Whether the last processor holds spans, and somebody has to keep them for it.
    pub fn holds(&self) -> bool {
        self.steps().holder().is_some()
    }

    /// How often somebody should call [`Chain::tick`]; nothing if no processor asks for it.
    pub fn tick_every(&self) -> Option<Duration> {
        let steps = self.steps();
        let ticks = steps.processors.iter().filter_map(|one| one.plan().tick);
        ticks.min()
    }

    /// Calls those processors whose timer is due; what was decided since the last time.
    pub fn tick(&self) -> Vec<Decision> {
        self.ask_all(Processor::tick)
    }

    /// The last call of processors that keep state; what they decide.
    pub fn end(&self) -> Vec<Decision> {
        self.ask_all(Processor::end)
    }

    fn ask_all(
        &self,
        ask: impl Fn(&Processor, &crate::engine::Engine) -> Vec<Decision>,
    ) -> Vec<Decision> {
        let steps = self.steps();
        let mut decided = self.take_told();
        if let Some(engine) = steps.engine() {
            decided.extend(steps.processors.iter().flat_map(|one| ask(one, engine)));
        }
        decided
    }

    /// Which instance of the holding processor is at work, through all that handed their state on.
    /// Another number says that what it knew of held spans is lost: they have to be offered again.
    pub fn generation(&self) -> Option<u64> {
        let steps = self.steps();
        let holder = steps.holder()?.processors.first()?;
        Some(holder.pool().generation())
    }

    /// Shows held spans to the holding processor once more, since it has forgotten them. What it
    /// decides; nothing if it fails, which is no decision. Whatever it wants edited stays as it is.
    pub fn offer(&self, held: &Batch) -> Option<Vec<Decision>> {
        let steps = self.steps();
        let holder = steps.holder()?;
        let before = holder.troubles();
        // What they do besides was done when they came.
        let unheard = RefCell::default();
        let Outcome {
            verdict,
            held: still,
            mut decided,
            ..
        } = self.hold_parts(holder, held.clone(), 0, &unheard);
        let Verdict::Kept { batch, .. } = verdict else {
            return None;
        };
        if holder.troubles() != before {
            return None;
        }
        let traces = |batch: &Batch| -> std::collections::HashSet<TraceId> {
            let parts = trace_parts(batch);
            parts.into_iter().map(|part| part.trace).collect()
        };
        let (kept, still) = (
            traces(&batch),
            still.map_or_else(Default::default, |held| traces(&held.batch)),
        );
        for part in trace_parts(held) {
            let trace = part.trace;
            let fate = match (still.contains(&trace), kept.contains(&trace)) {
                (true, _) => continue,
                (false, true) => TraceFate::Kept,
                (false, false) => TraceFate::Dropped,
            };
            decided.push(Decision { trace, fate });
        }
        Some(decided)
    }

    /// Held items were dropped by decision, which counts for the processor that holds.
    pub fn dropped_held(&self, items: u64) {
        let steps = self.steps();
        if let Some(holder) = steps.holder().and_then(|one| one.processors.first()) {
            let items = usize::try_from(items).unwrap_or(usize::MAX);
            holder.account().dropped(items);
        }
    }

    /// What was decided lately; whoever makes decisions come true notes them there.
    pub fn decided(&self) -> &Decided {
        self.decided_lately()
    }

    /// Spans of decided traces go their way, the holder is asked about the others.
    fn hold(
        &self,
        holder: &Steps,
        batch: Batch,
        dropped: u32,
        effects: &RefCell<Effects>,
    ) -> Outcome {
        let traces: Vec<TraceId> = trace_parts(&batch).iter().map(|part| part.trace).collect();
        let now = self.clock().monotonic();
        let fates = self.decided().fates(&traces, now);
        if fates.iter().all(Option::is_none) {
            return self.hold_parts(holder, batch, dropped, effects);
        }
        let fates: std::collections::HashMap<TraceId, TraceFate> = traces
            .into_iter()
            .zip(fates)
            .filter_map(|(trace, fate)| Some((trace, fate?)))
            .collect();
        let fate = |trace: Option<TraceId>| trace.and_then(|trace| fates.get(&trace).copied());
        let passing = select(&batch, |_, trace| {
            fate(trace).map_or(Take::Leave, TraceFate::take)
        });
        let asked = select(&batch, |_, trace| match fate(trace) {
            Some(_) => Take::Leave,
            None => Take::Keep,
        });
        let late = batch.items() - passing.items() - asked.items();
        if let Some(processor) = holder.processors.first() {
            processor.account().dropped(late as usize);
        }
        let mut outcome = self.hold_parts(holder, asked, dropped + late, effects);
        if let Verdict::Kept { batch, .. } = &mut outcome.verdict {
            *batch = Batch::concat(
                Signal::Traces,
                &[passing, std::mem::replace(batch, empty(Signal::Traces))],
            );
        }
        outcome
    }

    /// Asks the holder about all of it, in parts that it can be asked about.
    fn hold_parts(
        &self,
        holder: &Steps,
        batch: Batch,
        dropped: u32,
        effects: &RefCell<Effects>,
    ) -> Outcome {
        let mut outcome = Outcome {
            verdict: Verdict::Kept {
                batch: empty(batch.signal()),
                dropped,
            },
            routed: Vec::new(),
            held: None,
            decided: Vec::new(),
            effects: Effects::default(),
        };
        let signal = batch.signal();
        let (mut kept, mut held) = (Vec::new(), Vec::new());
        let mut all_dropped = dropped;
        let mut generation = 0;
        for part in batch.split(PART_BYTES) {
            if part.is_empty() {
                continue;
            }
            let items = part.items();
            let Ran {
                verdict,
                holds,
                decided,
                generation: by,
                ..
            } = holder.run(part, self.ground(), 0, effects);
            outcome.decided.extend(decided);
            match verdict {
                Verdict::Kept { batch, dropped } => {
                    all_dropped += dropped;
                    if holds.is_empty() {
                        kept.push(batch);
                        continue;
                    }
                    generation = if generation == 0 {
                        by
                    } else {
                        by.min(generation)
                    };
                    let mut is_held = vec![false; batch.items() as usize];
                    for position in holds {
                        if let Some(is_held) = is_held.get_mut(position) {
                            *is_held = true;
                        }
                    }
                    // A span without a trace cannot wait for it.
                    let is_held = |at: usize, trace: Option<TraceId>| {
                        trace.is_some() && is_held.get(at).copied().unwrap_or(false)
                    };
                    let take = |wanted: bool| if wanted { Take::Keep } else { Take::Leave };
                    kept.push(select(&batch, |at, trace| take(!is_held(at, trace))));
                    held.push(select(&batch, |at, trace| take(is_held(at, trace))));
                }
                Verdict::Dropped { .. } => all_dropped += items,
                refused @ Verdict::Refused { .. } => {
                    outcome.verdict = refused;
                    return outcome;
                }
            }
        }
        outcome.verdict = Verdict::Kept {
            batch: Batch::concat(signal, &kept),
            dropped: all_dropped,
        };
        let held = Batch::concat(signal, &held);
        outcome.held = (!held.is_empty()).then_some(Held {
            batch: held,
            generation,
        });
        outcome
    }
}

fn empty(signal: Signal) -> Batch {
    Batch::concat(signal, &[])
}

/// The last of these processors, if it holds. A processor that holds and is not the last one is the
/// operator's mistake.
pub(crate) fn holder(processors: &[Arc<Processor>]) -> Result<Option<&Arc<Processor>>, String> {
    let Some((last, others)) = processors.split_last() else {
        return Ok(None);
    };
    let mut others = others.iter().enumerate();
    if let Some((place, early)) = others.find(|(_, one)| one.plan().holds) {
        let (name, next) = (early.name(), processors[place + 1].name());
        return Err(format!(
            "processor {name:?} holds traces, so it has to be the last one: what it releases goes on \
             its way without another processor; put it behind {next:?}"
        ));
    }
    Ok(last.plan().holds.then_some(last))
}
