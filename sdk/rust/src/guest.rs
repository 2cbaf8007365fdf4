//! What stands between the component's exports and a [`Processor`].

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::thread::LocalKey;

use serde::de::DeserializeOwned;

use crate::bindings::exports::petrel::plugin::processor::Guest;
use crate::bindings::petrel::plugin::types;
use crate::error::{Error, Result};
use crate::{Batch, Edits, Plan, Processor};

/// Where an instance keeps its processor; `export!` makes one.
pub trait Home: Processor {
    /// The place.
    fn home() -> &'static LocalKey<RefCell<Option<Configured<Self>>>>;
}

/// A processor and what it asked for.
pub struct Configured<P> {
    pub(crate) processor: P,
    pub(crate) plan: Plan,
}

impl<P> fmt::Debug for Configured<P> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Configured").finish_non_exhaustive()
    }
}

/// The component's exports, for a processor that has a home.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);

impl<P: Home> Guest for Component<P> {
    fn describe() -> types::Descriptor {
        P::about().into()
    }

    fn configure(
        config: Vec<u8>,
        limits: types::Limits,
        state: Option<Vec<u8>>,
    ) -> Result<types::Plan, types::Error> {
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
        let mut configured = configure::<P>(&config, &limits)?;
        if let Some(state) = state {
            configured.processor.restore(&state);
        }
        let plan = configured.plan.asked.clone();
        P::home().set(Some(configured));
        Ok(plan)
    }

    fn process(batch: types::Batch) -> Result<types::Edits, types::Error> {
        P::home().with_borrow_mut(|configured| {
            let Some(configured) = configured else {
                return Err(Error::internal("process was called before configure").into());
            };
            Ok(configured.process(&batch)?)
        })
    }

    fn tick(now_ns: u64) -> Result<types::Edits, types::Error> {
        Self::ask(|configured| configured.tick(now_ns))
    }

    fn flush(_: u8) -> Result<types::Edits, types::Error> {
        Self::ask(Configured::flush)
    }

    fn save() -> Vec<u8> {
        P::home().with_borrow_mut(|configured| {
            let processor = configured.as_mut().map(|one| &mut one.processor);
            processor.map(P::save).unwrap_or_default()
        })
    }
}

impl<P: Home> Component<P> {
    fn ask(
        ask: impl FnOnce(&mut Configured<P>) -> Result<types::Edits>,
    ) -> Result<types::Edits, types::Error> {
        P::home().with_borrow_mut(|configured| match configured {
            Some(configured) => Ok(ask(configured)?),
            None => Ok(Edits::new().finish()),
        })
    }
}

pub(crate) fn configure<P: Processor>(
    config: &[u8],
    limits: &types::Limits,
) -> Result<Configured<P>> {
    let mut plan = Plan::new(P::about().signals_bits(), limits);
    let processor = P::configure(parse(config)?, &mut plan)?;
    Ok(Configured { processor, plan })
}

impl<P: Processor> Configured<P> {
    pub(crate) fn process(&mut self, batch: &types::Batch) -> Result<types::Edits> {
        let mut edits = Edits::new();
        self.processor
            .process(&Batch::new(batch, &self.plan), &mut edits)?;
        Ok(edits.finish())
    }
}

impl<P: Processor> Configured<P> {
    pub(crate) fn tick(&mut self, now_ns: u64) -> Result<types::Edits> {
        let mut edits = Edits::new();
        self.processor.tick(now_ns, &mut edits)?;
        Ok(edits.finish())
    }

    pub(crate) fn flush(&mut self) -> Result<types::Edits> {
        let mut edits = Edits::new();
        self.processor.flush(&mut edits)?;
        Ok(edits.finish())
    }
}

/// No configuration is an empty one.
fn parse<C: DeserializeOwned>(json: &[u8]) -> Result<C> {
    let json = match json.trim_ascii() {
        b"" | b"null" => b"{}",
        json => json,
    };
    serde_json::from_slice(json).map_err(|error| Error::config(format!("config: {error}")))
}
