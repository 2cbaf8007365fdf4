//! Write a Petrel processor in Rust.
//!
//! A processor says in [`Processor::configure`] what it wants to see and change, gets just that as
//! columns once per batch, and answers with edits. It never sees a byte that it did not ask for, and
//! what it does not touch is never re-encoded.
//!
//! ```
//! use petrel_plugin::prelude::*;
//!
//! /// Writes the value of one attribute in capital letters.
//! struct Shout {
//!     said: Slot,
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     key: String,
//! }
//!
//! impl Processor for Shout {
//!     type Config = Config;
//!
//!     fn about() -> About {
//!         about!()
//!     }
//!
//!     fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
//!         let said = plan.select(Selector::attributes(Table::RECORD, &config.key).write());
//!         Ok(Self { said })
//!     }
//!
//!     fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
//!         edits.map_text(batch, self.said, |text| Some(text.to_uppercase()));
//!         Ok(())
//!     }
//! }
//!
//! petrel_plugin::export!(Shout);
//! # fn main() {}
//! ```
//!
//! The host calls a processor through `wit/plugin.wit`; [`bindings`] has all of it, the rest of this
//! crate is what makes it pleasant. For tests that need no wasm there is `testing`.

// The generated bindings name this crate from outside, whoever expands them.
extern crate self as petrel_plugin;

mod about;
pub mod accel;
mod batch;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
mod column;
mod edits;
mod error;
#[doc(hidden)]
pub mod guest;
pub mod log;
pub mod lookup;
pub mod metrics;
mod plan;
pub mod random;
mod registry;
pub mod sampling;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use about::About;
pub use batch::{Batch, Dictionary};
pub use column::{Cell, Cells, Code, Column, Text, Value};
pub use edits::{Edits, Fate, New};
pub use error::{Error, Result};
pub use plan::{Output, Plan, Selector, Slot};
pub use registry::{Field, Kinds, Signals, Table};
#[doc(hidden)]
pub use wit_bindgen;

/// What every plugin uses.
pub mod prelude {
    pub use serde::Deserialize;

    pub use crate::{
        About, Batch, Cell, Edits, Error, Fate, Field, Kinds, New, Output, Plan, Processor, Result,
        Selector, Signals, Slot, Table, Text, Value, about,
    };
}

/// What a plugin does, once configured.
///
/// One value lives in each instance of the component. Several instances may work at once, unless
/// [`About::keeps_state`] says that there shall be one.
pub trait Processor: Sized + 'static {
    /// What the operator writes under `config:`; nothing written reads as `{}`.
    ///
    /// `#[serde(deny_unknown_fields)]` turns a misspelt key into an error at start.
    type Config: serde::de::DeserializeOwned;

    /// Who this is; called without data, also by `petrel plugin inspect`.
    fn about() -> About;

    /// Selects what to see and change, and prepares kernels. The text of an error is for the
    /// operator: say what is wrong in the configuration and what would be right.
    fn configure(config: Self::Config, plan: &mut Plan) -> Result<Self>;

    /// Looks at one batch and says what to change. After an error the batch is treated as the
    /// operator decided with `on_error`.
    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()>;

    /// Time has passed, whether or not batches came: see [`Plan::tick_every`]. Of the answer only
    /// decisions about traces ([`Edits::decide`]) are heard.
    fn tick(&mut self, now_ns: u64, edits: &mut Edits) -> Result<()> {
        let (_, _) = (now_ns, edits); // there is nothing to do
        Ok(())
    }

    /// The last call before another version takes over, or before the host stops. Of the answer only
    /// decisions about traces are heard; what is not decided waits for the next instance.
    fn flush(&mut self, edits: &mut Edits) -> Result<()> {
        let _ = edits; // there is nothing to do
        Ok(())
    }

    /// What the instance after this one has to know, at most [`Plan::state_bytes`]. Nothing says that
    /// it begins anew; spans that are held are then shown to it again.
    fn save(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// What an instance before this one saved, perhaps of another version. Called after `configure`.
    fn restore(&mut self, state: &[u8]) {
        let _ = state; // begins anew
    }
}

/// Makes a component of a type that is a [`Processor`]: `petrel_plugin::export!(MyProcessor);`
#[macro_export]
macro_rules! export {
    ($processor:ty) => {
        // Exports have names that only linkers for wasm take.
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        mod petrel_plugin_component {
            use super::*;

            type Component = $crate::guest::Component<$processor>;

            impl $crate::guest::Home for $processor {
                fn home() -> &'static ::std::thread::LocalKey<
                    ::std::cell::RefCell<
                        ::std::option::Option<$crate::guest::Configured<Self>>,
                    >,
                > {
                    ::std::thread_local! {
                        static HOME: ::std::cell::RefCell<
                            ::std::option::Option<$crate::guest::Configured<$processor>>,
                        > = const { ::std::cell::RefCell::new(None) };
                    }
                    &HOME
                }
            }

            $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        }
    };
}
