//! Runs WASM processors over batches, under limits.
//!
//! Plugins declare what they read; the host projects just that, for the whole chain at once, out of
//! the OTLP bytes into packed columns ([`project`](mod@project), `sheet`), shows each plugin its own
//! (`view`), calls once per batch (`instance`), checks the sparse answer as a whole (`answer`) and
//! writes what has changed in the end (`emit`): what nobody changed is copied as bytes.
//! No WASI is linked: the import list of a component is its list of capabilities. When a processor
//! fails, what it can take is saved (`salvage`), its policy decides about the rest (`processor`), and
//! if it keeps failing it is turned off for a while (`breaker`). A processor may ask that spans
//! be held until it has decided about their traces (`run`, `hold`).
//!
//! The contract is `wit/plugin.wit`; its numbers are in `registry`.

mod account;
mod answer;
mod bindings;
mod breaker;
mod cache;
mod chain;
mod columns;
mod component;
mod config;
mod costs;
mod dictionary;
mod effects;
mod emit;
mod engine;
mod histogram;
mod hold;
mod host;
mod inspect;
mod instance;
mod instruments;
mod keys;
mod layout;
mod lookup;
mod measure;
mod meter;
mod patterns;
mod plan;
mod pool;
mod processor;
mod project;
mod readers;
mod redact;
mod registry;
mod rehearsal;
mod route;
mod run;
mod salvage;
mod scan;
mod scrub;
mod senses;
mod sheet;
mod signature;
mod state;
mod steps;
mod telling;
mod trust;
mod value;
mod view;
pub mod written;

pub use account::{OwnMetric, OwnValue, PluginState, PluginStats};
pub use chain::{Chain, PluginError, Reloaded, Verdict};
pub use config::{OnError, PluginLimits, ProcessorConfig};
pub use costs::{StartCosts, start_costs};
pub use effects::Effects;
pub use hold::{Decided, Decision, TraceFate};
pub use inspect::{Papers, inspect};
pub use measure::{RecordCosts, record_costs};
pub use route::Routed;
pub use run::{Held, Outcome};
pub use signature::{PublicKey, SecretKey, Signature};
pub use state::{Note, Store};
pub use telling::{Teller, Telling};
pub use trust::{Access, Scope, Trust, TrustedKey};
