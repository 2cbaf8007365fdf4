//! Who a plugin is.

use crate::bindings::petrel::plugin::types::Descriptor;
use crate::registry::Signals;

/// What a plugin says about itself. Begin with [`about!`](crate::about!).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "questions that have nothing to do with each other"
)]
pub struct About {
    name: String,
    version: String,
    signals: Signals,
    schema: String,
    fails_closed: bool,
    keeps_state: bool,
    is_random: bool,
    holds_traces: bool,
}

/// Name and version from the plugin's `Cargo.toml`.
#[macro_export]
macro_rules! about {
    () => {
        $crate::About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    };
}

impl About {
    /// A plugin for all signals, without which data may pass and of which several may run at once.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            signals: Signals::ALL,
            schema: String::new(),
            fails_closed: false,
            keeps_state: false,
            is_random: false,
            holds_traces: false,
        }
    }

    /// The signals that it can ever handle.
    #[must_use]
    pub fn signals(mut self, signals: Signals) -> Self {
        self.signals = signals;
        self
    }

    /// JSON Schema (2020-12) of its configuration, for forms and editors.
    #[must_use]
    pub fn schema(mut self, schema: &str) -> Self {
        self.schema = schema.into();
        self
    }

    /// Losing it must stop the data, as for redaction.
    #[must_use]
    pub fn fails_closed(mut self) -> Self {
        self.fails_closed = true;
        self
    }

    /// It remembers something from batch to batch: there shall be one instance.
    #[must_use]
    pub fn keeps_state(mut self) -> Self {
        self.keeps_state = true;
        self
    }

    /// The same batch, configuration and state may give other edits.
    #[must_use]
    pub fn is_random(mut self) -> Self {
        self.is_random = true;
        self
    }

    /// It may hold spans until it has decided about their traces ([`Edits::hold`](crate::Edits::hold)),
    /// so it keeps state, and has to be the last one of a chain.
    #[must_use]
    pub fn holds_traces(mut self) -> Self {
        self.holds_traces = true;
        self.keeps_state()
    }

    pub(crate) fn signals_bits(&self) -> u8 {
        self.signals.0
    }
}

impl From<About> for Descriptor {
    fn from(about: About) -> Self {
        Self {
            name: about.name,
            version: about.version,
            signals: about.signals.0,
            config_schema: about.schema,
            fail_closed: about.fails_closed,
            stateless: !about.keeps_state,
            deterministic: !about.is_random,
            extra: if about.holds_traces {
                vec![("holds".into(), "traces".into())]
            } else {
                Vec::new()
            },
        }
    }
}
