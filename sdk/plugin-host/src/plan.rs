//! What a plugin asked for in `configure`, checked against what this host can give.

use petrel_wire::Signal;

use crate::bindings::petrel::plugin::types;
use crate::keys::KeyRule;
use crate::layout::{self, Level, Read};
use crate::registry::{ALL_SLOTS, Table, access, field};

/// Selectors that make sense, and the walks that serve them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) selectors: Vec<Selector>,
    pub(crate) want_dict: bool,
    walks: [Option<Walk>; 3],
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
}

impl Selector {
    pub(crate) fn may(&self, access: u8) -> bool {
        self.access & access == access
    }
}

/// What to do at each field of a level's messages.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) level: &'static Level,
    /// By field number of the message, and of the message inside it where there is one.
    pub(crate) outer: [Action; SLOTS],
    pub(crate) inner: [Action; SLOTS],
    /// Selected fields: slot, number in the message, how to read it.
    pub(crate) fields: Vec<(u16, u32, Read)>,
    pub(crate) children: Vec<Walk>,
}

/// One more than the largest field number in OTLP.
const SLOTS: usize = 17;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    #[default]
    Skip,
    Attribute,
    Field,
    Inner,
    /// The index of the walk, and the field of the message between or 0.
    Child(u8, u8),
}

impl Walk {
    pub(crate) fn action(actions: &[Action; SLOTS], number: u32) -> Action {
        actions.get(number as usize).copied().unwrap_or_default()
    }
}

impl Plan {
    /// The error is for the operator: the plugin wants what there is not.
    pub(crate) fn check(plan: &types::Plan) -> Result<Self, String> {
        if plan.tick_ms > 0 {
            return Err("asks for a timer, which this version does not offer yet".into());
        }
        if plan.outputs.len() > 1 {
            return Err("asks for several outputs, which this version does not offer yet".into());
        }
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
        let walk = |signal| {
            let wanted = plan.signals & layout::signal_bit(signal) != 0;
            wanted.then(|| Walk::new(layout::root(signal), &selectors, used))
        };
        let walks = [
            walk(Signal::Traces),
            walk(Signal::Logs),
            walk(Signal::Metrics),
        ];
        Ok(Self {
            selectors,
            want_dict: plan.want_dict,
            walks,
        })
    }

    /// How to read a batch of this signal; nothing if it does not concern the plugin.
    pub(crate) fn walk(&self, signal: Signal) -> Option<&Walk> {
        match signal {
            Signal::Traces => self.walks[0].as_ref(),
            Signal::Logs => self.walks[1].as_ref(),
            Signal::Metrics => self.walks[2].as_ref(),
        }
    }
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
            None
        };
        Ok(Self {
            table,
            field: selector.field,
            rule,
            kinds: selector.kinds,
            access: selector.access,
        })
    }
}

impl Walk {
    fn new(level: &'static Level, selectors: &[Selector], used: u8) -> Self {
        let mut own = [Action::Skip; SLOTS];
        let mut fields = Vec::new();
        for (slot, selector) in selectors.iter().enumerate() {
            if selector.table != level.table {
                continue;
            }
            if selector.rule.is_some() {
                own[level.attributes as usize] = Action::Attribute;
            }
            for at in level.fields.iter().filter(|at| at.field == selector.field) {
                own[at.number as usize] = Action::Field;
                fields.push((u16::try_from(slot).unwrap_or(ALL_SLOTS), at.number, at.read));
            }
        }
        let (mut outer, mut inner) = ([Action::Skip; SLOTS], [Action::Skip; SLOTS]);
        if level.inner == 0 {
            outer = own;
        } else {
            inner = own;
            outer[level.inner as usize] = Action::Inner;
        }
        let mut children = Vec::new();
        for child in level.children {
            if used & child.level.table.bit() != 0 {
                let index = u8::try_from(children.len()).unwrap_or(u8::MAX);
                let through = u8::try_from(child.through).unwrap_or(u8::MAX);
                outer[child.number as usize] = Action::Child(index, through);
                children.push(Self::new(child.level, selectors, used));
            }
        }
        Self {
            level,
            outer,
            inner,
            fields,
            children,
        }
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
    fn a_signal_that_is_not_asked_for_is_not_walked() {
        let plan = Plan::check(&types::Plan {
            signals: 2,
            ..plan(2, 0, "a", 1)
        })
        .unwrap();
        assert!(plan.walk(Signal::Traces).is_none());
        assert!(plan.walk(Signal::Logs).is_some());
    }
}
