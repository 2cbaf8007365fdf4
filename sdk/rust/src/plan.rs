//! What a plugin asks for when it is configured.

use crate::bindings::petrel::plugin::types;
use crate::registry::{Field, Kinds, Signals, Table, access};

/// What to see and change, filled in `configure`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(crate) asked: types::Plan,
    state_bytes: u64,
    window_bytes: u64,
}

/// A selector's place in the plan: the way to its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub(crate) u16);

/// Where records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output(pub(crate) u8);

impl Output {
    /// Where they would go without this plugin.
    pub const DEFAULT: Self = Self(0);
}

impl Slot {
    /// Everything that the plugin selected; for edits of the dictionary, what it may write.
    pub const ALL: Self = Self(u16::MAX);

    /// Its number in the plan.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl Plan {
    pub(crate) fn new(signals: u8, limits: &types::Limits) -> Self {
        Self {
            state_bytes: limits.state_bytes,
            window_bytes: limits.window_bytes,
            asked: types::Plan {
                signals,
                selectors: Vec::new(),
                only_if_key: Vec::new(),
                want_dict: true,
                outputs: Vec::new(),
                tick_ms: 0,
                merge_duplicates: false,
            },
        }
    }

    /// Asks for one more thing.
    pub fn select(&mut self, selector: Selector) -> Slot {
        let slot = u16::try_from(self.asked.selectors.len()).unwrap_or(u16::MAX);
        self.asked.selectors.push(selector.asked);
        Slot(slot)
    }

    pub(crate) fn table(&self, slot: Slot) -> Table {
        let selector = self.asked.selectors.get(usize::from(slot.0));
        selector.map_or(Table(u8::MAX), |selector| Table(selector.table))
    }

    /// Only these signals, where the configuration says so.
    pub fn signals(&mut self, signals: Signals) {
        self.asked.signals = signals.0;
    }

    /// Names an output besides the default one, for [`Edits::route`](crate::Edits::route): letters (a-z),
    /// digits, `-` and `_`. The operator says where it leads.
    pub fn output(&mut self, name: &str) -> Output {
        let outputs = &mut self.asked.outputs;
        if outputs.is_empty() {
            outputs.push("default".into());
        }
        let place = outputs.iter().skip(1).position(|known| known == name);
        let place = place.map_or(outputs.len(), |place| place + 1);
        if place == outputs.len() {
            outputs.push(name.into());
        }
        Output(u8::try_from(place).unwrap_or(u8::MAX))
    }

    /// A hint: batches without any of these attribute keys do not concern the plugin.
    pub fn only_if_key(&mut self, key: &str) {
        self.asked.only_if_key.push(key.into());
    }

    /// Calls [`Processor::tick`](crate::Processor::tick) so often; a tenth of a second is the least.
    pub fn tick_every(&mut self, every: std::time::Duration) {
        self.asked.tick_ms = u32::try_from(every.as_millis()).unwrap_or(u32::MAX);
    }

    /// The most that [`Processor::save`](crate::Processor::save) may give.
    pub fn state_bytes(&self) -> u64 {
        self.state_bytes
    }

    /// The encoded size of the spans that the host holds for the processor.
    pub fn window_bytes(&self) -> u64 {
        self.window_bytes
    }

    /// Codes only, no strings: for plugins that leave the looking to kernels ([`crate::accel`]). Not
    /// one byte of telemetry then enters the plugin.
    pub fn without_strings(&mut self) {
        self.asked.want_dict = false;
    }
}

/// One thing to see, and what may be done with it. At first: strings, to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    asked: types::Selector,
}

impl Selector {
    /// Attributes by key: exact, `prefix*`, `*suffix`, `*part*` or `*`; alternatives with `|`.
    /// ASCII letters compare without case.
    pub fn attributes(table: Table, keys: &str) -> Self {
        Self::new(table, 0, keys)
    }

    /// A built-in field.
    pub fn field(table: Table, field: Field) -> Self {
        let mut selector = Self::new(table, field.0, "");
        // Fields have one kind each, bodies aside.
        selector.asked.kinds = Kinds::ANY.0;
        selector
    }

    fn new(table: Table, field: u16, key: &str) -> Self {
        Self {
            asked: types::Selector {
                table: table.0,
                field,
                key: key.into(),
                kinds: Kinds::STRING.0,
                access: access::READ,
            },
        }
    }

    /// The kinds of values wanted; values of others are left out.
    #[must_use]
    pub fn kinds(mut self, kinds: Kinds) -> Self {
        self.asked.kinds = kinds.0;
        self
    }

    /// Of any kind, but without the value: the plugin learns where one is, never what it is.
    #[must_use]
    pub fn unseen(mut self) -> Self {
        self.asked.kinds = Kinds::UNSEEN.0;
        self.asked.access &= !access::READ;
        self
    }

    /// May be replaced.
    #[must_use]
    pub fn write(self) -> Self {
        self.also(access::WRITE)
    }

    /// May be made where it is not.
    #[must_use]
    pub fn create(self) -> Self {
        self.also(access::CREATE)
    }

    /// May be removed.
    #[must_use]
    pub fn delete(self) -> Self {
        self.also(access::DELETE)
    }

    fn also(mut self, access: u8) -> Self {
        self.asked.access |= access;
        self
    }
}
