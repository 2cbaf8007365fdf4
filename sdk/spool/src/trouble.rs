//! [`Trouble`]: disk work that failed is left alone for a while, longer each time.
//!
//! Appends and the rest (reading, settling) are in trouble apart from each other: a full disk
//! refuses the one and goes on with the other. A disk that was refused is looked at again whether
//! or not anybody asks, so that health says when it is well.

use std::time::{Duration, Instant};

use crate::error::Fault;
use crate::owner::Owner;
use crate::state::Change;
use crate::{Class, SpoolError, Tuning};

#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) until: Instant,
    pause: Duration,
    error: SpoolError,
    words: String,
}

impl Trouble {
    /// After one more failure.
    fn again(before: Option<&Self>, fault: &Fault, tuning: &Tuning) -> Self {
        let pause = match before {
            None => tuning.retry_after,
            Some(before) if before.is_over() => (before.pause * 2).min(tuning.retry_most),
            Some(before) => before.pause,
        };
        Self {
            until: Instant::now() + pause,
            pause,
            error: SpoolError::disk(fault),
            words: fault.words(),
        }
    }

    /// Whether it may be tried again.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl Owner {
    /// Whether the disk is given a rest after a failure.
    pub(crate) fn is_resting(&self) -> bool {
        self.resting.as_ref().is_some_and(|rest| !rest.is_over())
    }

    /// Why appends are refused, if they are.
    pub(crate) fn refusing(&self) -> Option<SpoolError> {
        let trouble = self.refusing.as_ref().filter(|it| !it.is_over())?;
        Some(trouble.error.clone())
    }

    /// What the disk's last words were, as long as it has not recovered.
    pub(crate) fn last_words(&self) -> Option<String> {
        let short = self.room.short.as_ref().map(ToString::to_string);
        let trouble = self.refusing.as_ref().or(self.resting.as_ref());
        short.or_else(|| trouble.map(|trouble| trouble.words.clone()))
    }

    /// Records a failed append: logged once, and appends are refused for a while.
    pub(crate) fn refuse(&mut self, fault: &Fault) -> SpoolError {
        if self.refusing.is_none() {
            tracing::error!(
                dir = %self.config.dir.display(),
                error = %fault.source,
                "the spool's disk failed while {}; appends are refused until it recovers",
                fault.doing,
            );
        }
        // What is held back is for settlements, which make room.
        self.relieve(fault);
        let trouble = Trouble::again(self.refusing.as_ref(), fault, &self.tuning);
        self.refusing = Some(trouble);
        SpoolError::disk(fault)
    }

    /// Records a failure: logged once, and the disk is left alone for a while.
    pub(crate) fn rest(&mut self, fault: &Fault) -> SpoolError {
        if self.resting.is_none() {
            tracing::error!(
                dir = %self.config.dir.display(),
                error = %fault.source,
                "the spool's disk failed while {}; it will be tried again",
                fault.doing,
            );
        }
        let trouble = Trouble::again(self.resting.as_ref(), fault, &self.tuning);
        self.resting = Some(trouble);
        SpoolError::disk(fault)
    }

    /// Reading or settling has worked.
    pub(crate) fn rested(&mut self) {
        if self.resting.take().is_some() {
            tracing::info!("the spool's disk works again");
        }
    }

    /// An append has worked, or would.
    pub(crate) fn recovered(&mut self) {
        if self.refusing.take().is_some() {
            tracing::info!("the spool's disk has recovered");
        }
    }

    /// Tries the disk after a pause, with everything that an append needs but the append.
    pub(crate) fn try_again(&mut self) {
        if !self.refusing.as_ref().is_some_and(Trouble::is_over) {
            return;
        }
        if self.look_at_the_disk().is_err() {
            if let Some(trouble) = &mut self.refusing {
                trouble.until = Instant::now() + trouble.pause;
            }
            return;
        }
        let written = Class::ALL.map(|class| self.stream(class).active.map(|_| class));
        let tried = written
            .into_iter()
            .flatten()
            .try_for_each(|class| self.ready(class).map(|_| ()))
            .and_then(|()| self.commit_state(self.site.clone(), Change::default()));
        match tried {
            Ok(()) => self.recovered(),
            Err(fault) => {
                // Logged when it began.
                let _error = self.refuse(&fault);
            }
        }
    }
}
