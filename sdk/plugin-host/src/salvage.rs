//! One call, and what can be saved of a batch when it fails.
//!
//! A plugin that traps on one record must not cost the others: the batch is halved until the records
//! that it cannot take are alone. Those get the policy, the rest goes on. There is an end to it: to
//! the calls, and to the time, which is that of the batch once more.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::answer::{Answer, Question, part};
use crate::bindings::petrel::plugin::types::Blob;
use crate::config::OnError;
use crate::host::Work;
use crate::instance::Failure;
use crate::processor::{Processor, Turn};
use crate::sheet::Sheet;
use crate::state::Notes;
use crate::view::{Codes, Stamp, View};

/// Calls for one batch after the first: enough for five bad records in a thousand.
const MOST_CALLS: u32 = 96;

/// Why a call brought nothing.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// For the operator.
    pub(crate) words: String,
    cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It trapped or its answer was refused: perhaps for some record's sake.
    Records,
    /// It says that it fails, and may ask to be called again.
    Plugin { retryable: bool },
    /// It took too long; there is no time to look for the reason.
    Time,
}

impl Trouble {
    fn new(words: String, cause: Cause) -> Self {
        Self { words, cause }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let cause = match &failure {
            Failure::Answered { retryable, .. } => Cause::Plugin {
                retryable: *retryable,
            },
            Failure::Died(_) => Cause::Records,
            Failure::Late(_) => Cause::Time,
        };
        Self::new(failure.words().to_owned(), cause)
    }
}

/// What became of a batch that was not lost as a whole.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Items that are not in it any more.
    pub(crate) dropped: usize,
    /// The plugin failed on a part of it.
    pub(crate) trouble: Option<Trouble>,
    /// Records that it could not take.
    pub(crate) bad: usize,
}

impl Processor {
    /// Calls the plugin for all of the sheet. An error means that nothing of it was processed, or
    /// not enough to let anything pass.
    pub(crate) fn work(&self, sheet: &mut Sheet, turn: Turn<'_>) -> Result<Outcome, Trouble> {
        let all = 0..sheet.records();
        let stamp = turn.stamper.stamp();
        let mut result = self.attempt(sheet, turn, &all, stamp);
        if let Err(trouble) = &result
            && trouble.cause == (Cause::Plugin { retryable: true })
        {
            result = self.attempt(sheet, turn, &all, stamp);
        }
        match result {
            Ok(dropped) => Ok(Outcome {
                dropped,
                ..Outcome::default()
            }),
            Err(trouble) if trouble.cause == Cause::Records && all.len() > 1 => {
                self.salvage(sheet, turn, trouble)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Halves the batch until what fails is alone.
    fn salvage(
        &self,
        sheet: &mut Sheet,
        turn: Turn<'_>,
        first: Trouble,
    ) -> Result<Outcome, Trouble> {
        let records = sheet.records();
        let until = self.now() + self.budget(records);
        let mut outcome = Outcome::default();
        let mut is_saved = false;
        let mut last = first;
        // From the end to the start: what goes out behind a part does not move it.
        let mut parts = halves(0..records).to_vec();
        let mut calls = MOST_CALLS;
        while let Some(range) = parts.pop() {
            if calls == 0 || self.now() > until {
                parts.push(range);
                break;
            }
            calls -= 1;
            match self.attempt(sheet, turn, &range, turn.stamper.stamp()) {
                Ok(dropped) => {
                    outcome.dropped += dropped;
                    is_saved = true;
                    continue;
                }
                Err(trouble) => last = trouble,
            }
            match last.cause {
                Cause::Records if range.len() > 1 => parts.extend(halves(range)),
                Cause::Records => {
                    outcome.bad += 1;
                    outcome.dropped += self.settle(sheet, turn, range);
                }
                Cause::Plugin { .. } | Cause::Time => {
                    parts.push(range);
                    break;
                }
            }
        }
        // Not one record could be taken: it is not the records.
        if !is_saved || (!parts.is_empty() && self.on_error() == OnError::Closed) {
            return Err(last);
        }
        let is_through = parts.is_empty();
        while let Some(range) = parts.pop() {
            outcome.dropped += self.settle(sheet, turn, range);
        }
        self.report_bad(&last, outcome.bad, records);
        outcome.trouble = (!is_through).then_some(last);
        Ok(outcome)
    }

    /// Does to some records what the policy says about what the plugin could not take: none passes
    /// that must not. Says how many are out.
    fn settle(&self, sheet: &mut Sheet, turn: Turn<'_>, range: Range<usize>) -> usize {
        match self.on_error() {
            OnError::Open => 0,
            OnError::Strip => {
                self.strip(sheet, turn, &range);
                0
            }
            OnError::Closed | OnError::Drop => {
                let mut gone = vec![false; sheet.records()];
                gone[range.clone()].fill(true);
                let next = sheet.without(&gone);
                sheet.keep(next);
                if self.on_error() == OnError::Drop {
                    self.account().dropped(range.len());
                }
                range.len()
            }
        }
    }

    /// Removes from some records everything that the plugin may write.
    pub(crate) fn strip(&self, sheet: &mut Sheet, turn: Turn<'_>, range: &Range<usize>) {
        let selection = part(sheet, range.clone());
        let stamp = turn.stamper.stamp();
        let (view, codes) = View::new(sheet, turn.place, self.plan(), selection, true, stamp);
        let answer = self.question(sheet, &view, &codes, turn).strip();
        let nothing = Blob {
            ends: Vec::new(),
            bytes: Vec::new(),
        };
        self.apply(sheet, answer, &nothing, turn);
    }

    /// Calls the plugin for some records, once. Says how many it dropped.
    fn attempt(
        &self,
        sheet: &mut Sheet,
        turn: Turn<'_>,
        range: &Range<usize>,
        stamp: Stamp,
    ) -> Result<usize, Trouble> {
        let selection = part(sheet, range.clone());
        let alone = turn.readers.is_one();
        let (view, codes) = View::new(sheet, turn.place, self.plan(), selection, alone, stamp);
        let view = Arc::new(view);
        let budget = self.budget(range.len());
        let strings = sheet.dictionary.len();
        let written = turn.effects.borrow_mut().take(self.state());
        let mut generation = 0;
        let mut work = Some(Work {
            plan: Arc::clone(self.plan()),
            view: Arc::clone(&view),
            codes,
            dictionary: std::mem::take(&mut sheet.dictionary),
            deadline: self.now() + budget,
            recordings: Box::default(),
            notes: Box::new(Notes::new(Arc::clone(self.state()), written)),
            joined: Box::default(),
        });
        self.account().calls.fetch_add(1, Ordering::Relaxed);
        let answer = self.pool().with(turn.engine, |instance| {
            let Some(given) = work.take() else {
                return Err(Failure::Died("the host lost the batch".into()));
            };
            let (answer, back) = instance.process(turn.engine, given, budget);
            work = back;
            generation = instance.generation;
            answer
        });
        let Some(work) = work else {
            let words = "the host lost the batch".to_owned();
            return Err(Trouble::new(words, Cause::Plugin { retryable: false }));
        };
        sheet.dictionary = work.dictionary;
        let notes = work.notes;
        let checked = answer.map_err(Trouble::from).and_then(|edits| {
            let checked = self.question(sheet, &view, &work.codes, turn).check(&edits);
            let answer = checked.map_err(|words| Trouble::new(words, Cause::Records))?;
            Ok((answer, edits.added))
        });
        let mut effects = turn.effects.borrow_mut();
        let (state, written) = notes.end(checked.is_ok());
        effects.keep(state, written);
        match checked {
            Ok((answer, added)) => {
                effects.record(self.meter(), work.recordings.groups);
                sheet.aside.answered_by(generation);
                Ok(self.apply(sheet, answer, &added, turn))
            }
            Err(trouble) => {
                sheet.dictionary.truncate(strings);
                Err(trouble)
            }
        }
    }

    fn question<'a>(
        &'a self,
        sheet: &'a Sheet,
        view: &'a View,
        codes: &'a Codes,
        turn: Turn<'_>,
    ) -> Question<'a> {
        Question {
            sheet,
            plan: self.plan(),
            view,
            codes,
            added_bytes: self.limits().added_bytes,
            depth: turn.depth,
        }
    }

    fn apply(&self, sheet: &mut Sheet, answer: Answer, added: &Blob, turn: Turn<'_>) -> usize {
        let seen = |table, field, key: &[u8]| turn.readers.seen(table, field, key);
        let applied = answer.apply(sheet, self.plan(), added, seen);
        self.account()
            .edits
            .fetch_add(applied.edits, Ordering::Relaxed);
        let dropped = applied.dropped as usize;
        self.account().dropped(dropped);
        self.account().routed(applied.routed);
        dropped
    }

    fn budget(&self, records: usize) -> Duration {
        let rows = u32::try_from(records).unwrap_or(u32::MAX);
        self.limits().call + self.limits().per_row.saturating_mul(rows)
    }
}

fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [range.start..middle, middle..range.end]
}
