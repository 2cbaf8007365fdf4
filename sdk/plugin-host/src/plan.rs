//! What a plugin asked for in `configure`, checked against what this host can give.

use std::sync::Arc;
use std::time::Duration;

use petrel_wire::Signal;

use crate::bindings::petrel::plugin::types;
use crate::keys::KeyRule;
use crate::layout;
use crate::registry::{ALL_SLOTS, Table, access, field};
use crate::route::{MOST_OUTPUTS, is_name};

/// A timer that runs more often than this would keep an idle machine awake.
const LEAST_TICK_MS: u32 = 100;

/// Selectors that make sense, and what else was asked for.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) selectors: Vec<Selector>,
    pub(crate) want_dict: bool,
    /// How often it is called though no batch comes.
    pub(crate) tick: Option<Duration>,
    /// It may hold spans; its descriptor says so.
    pub(crate) holds: bool,
    /// Names of outputs, as `edits.route` numbers them; the first is the default one.
    pub(crate) outputs: Vec<Arc<str>>,
    signals: u8,
    /// Bits of the tables that it hears of.
    tables: u8,
}

/// One thing the plugin may see or change.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) table: Table,
    /// The built-in field, 0 for attributes.
    pub(crate) field: u16,
    /// For attributes: which.
    pub(crate) rule: Option<KeyRule>,
    pub(crate) kinds: u32,
    pub(crate) access: u8,
    /// A field of one kind, which is its kind whatever was asked for.
    is_scalar: bool,
}

impl Selector {
    pub(crate) fn may(&self, access: u8) -> bool {
        self.access & access == access
    }

    /// Whether it may change anything.
    pub(crate) fn writes(&self) -> bool {
        self.access & !access::READ != 0
    }

    /// Whether it may make what is not there.
    pub(crate) fn creates(&self) -> bool {
        self.may(access::CREATE)
    }

    /// Whether it asked for values of this kind.
    pub(crate) fn wants(&self, of: u8) -> bool {
        self.is_scalar || (of < 32 && self.kinds & (1 << of) != 0)
    }
}

impl Plan {
    /// The error is for the operator: the plugin wants what there is not.
    pub(crate) fn check(plan: &types::Plan) -> Result<Self, String> {
        if (1..LEAST_TICK_MS).contains(&plan.tick_ms) {
            return Err(format!(
                "asks for a timer of {} ms; {LEAST_TICK_MS} ms is the least",
                plan.tick_ms
            ));
        }
        let outputs = check_outputs(&plan.outputs)?;
        if plan.merge_duplicates {
            return Err("asks to merge data points, which this version does not offer yet".into());
        }
        if plan.selectors.len() >= usize::from(ALL_SLOTS) {
            return Err("asks for too many selectors".into());
        }
        let selectors = plan
            .selectors
            .iter()
            .enumerate()
            .map(|(slot, selector)| {
                Selector::check(selector).map_err(|error| format!("selector {slot} {error}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut used =
            Table::Resource.bit() | Table::Scope.bit() | Table::Metric.bit() | Table::Record.bit();
        for selector in &selectors {
            used |= selector.table.bit();
        }
        Ok(Self {
            selectors,
            want_dict: plan.want_dict,
            tick: (plan.tick_ms > 0).then(|| Duration::from_millis(plan.tick_ms.into())),
            holds: false,
            outputs,
            signals: plan.signals,
            tables: used,
        })
    }

    /// Whether batches of this signal concern the plugin.
    pub(crate) fn takes(&self, signal: Signal) -> bool {
        self.signals & layout::signal_bit(signal) != 0
    }

    pub(crate) fn hears_of(&self, table: Table) -> bool {
        self.tables & table.bit() != 0
    }
}

/// The first is the default one, whatever it is called.
fn check_outputs(outputs: &[String]) -> Result<Vec<Arc<str>>, String> {
    if outputs.len() > MOST_OUTPUTS {
        let count = outputs.len();
        return Err(format!(
            "names {count} outputs, {MOST_OUTPUTS} are the most"
        ));
    }
    for (at, name) in outputs.iter().enumerate().skip(1) {
        if !is_name(name) {
            let rule = "1 to 64 of a-z, 0-9, - and _";
            return Err(format!("names the output {name:?}; a name is {rule}"));
        }
        if outputs[1..at].contains(name) {
            return Err(format!("names the output {name:?} twice"));
        }
    }
    Ok(outputs.iter().map(|name| name.as_str().into()).collect())
}

impl Selector {
    fn check(selector: &types::Selector) -> Result<Self, String> {
        let Some(table) = Table::from_number(selector.table) else {
            return Err(format!(
                "names table {}, which this version does not know",
                selector.table
            ));
        };
        if selector.access == 0 || selector.access & !access::ALL != 0 {
            return Err(format!("asks for access {}", selector.access));
        }
        let mut is_scalar = false;
        let rule = if selector.field == field::ATTRIBUTES {
            let rule = KeyRule::parse(&selector.key);
            Some(rule.ok_or_else(|| format!("has the key rule {:?}", selector.key))?)
        } else {
            let Some(read) = layout::find(table, selector.field) else {
                return Err(format!(
                    "names field {} of table {}, which this version does not offer",
                    selector.field, selector.table
                ));
            };
            if selector.access != access::READ && !read.is_writable() {
                return Err(format!("wants to write field {}", selector.field));
            }
            is_scalar = selector.kinds != 0 && read.is_scalar();
            None
        };
        Ok(Self {
            table,
            field: selector.field,
            rule,
            kinds: selector.kinds,
            access: selector.access,
            is_scalar,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(table: u8, field: u16, key: &str, access: u8) -> types::Plan {
        types::Plan {
            signals: 7,
            selectors: vec![types::Selector {
                table,
                field,
                key: key.into(),
                kinds: 2,
                access,
            }],
            only_if_key: Vec::new(),
            want_dict: false,
            outputs: Vec::new(),
            tick_ms: 0,
            merge_duplicates: false,
        }
    }

    #[test]
    fn a_plan_that_cannot_be_served_is_refused_with_the_selector_at_fault() {
        let error = |plan| Plan::check(&plan).unwrap_err();
        assert!(error(plan(9, 0, "a", 1)).contains("selector 0 names table 9"));
        assert!(error(plan(2, 999, "", 1)).contains("field 999"));
        assert!(error(plan(2, 11, "", 3)).contains("wants to write field 11"));
        assert!(error(plan(2, 0, "", 1)).contains("key rule"));
        assert!(error(plan(2, 0, "a", 0)).contains("access 0"));
        let timer = types::Plan {
            tick_ms: 5,
            ..plan(2, 0, "a", 1)
        };
        assert!(error(timer).contains("timer"));
    }

    #[test]
    fn a_signal_that_is_not_asked_for_is_not_taken() {
        let plan = Plan::check(&types::Plan {
            signals: 2,
            ..plan(2, 0, "a", 1)
        })
        .unwrap();
        assert!(!plan.takes(Signal::Traces));
        assert!(plan.takes(Signal::Logs));
    }
}
