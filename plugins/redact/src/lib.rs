//! Hides secrets and personal data before anything is written down or sent on.
//!
//! By key: the values of attributes whose key matches a rule are replaced, whatever they are, on
//! resources, scopes, metrics, spans, log records, data points, events, links and exemplars, and
//! inside JSON. By pattern: e-mail addresses, card numbers, tokens and the like are replaced inside
//! every text, log bodies and names included.
//!
//! Not one byte of telemetry enters this module: it tells the host where to look, the host's kernels
//! look, and what comes back are codes. It fails closed.

mod config;
mod patterns;

use petrel_plugin::accel::{self, Keys, Patterns};
use petrel_plugin::prelude::*;

pub use config::Config;

/// Built-in texts that people write secrets into.
const TEXTS: [(Table, Field); 5] = [
    (Table::RECORD, Field::NAME),
    (Table::RECORD, Field::BODY),
    (Table::RECORD, Field::STATUS_MESSAGE),
    (Table::EVENT, Field::NAME),
    (Table::METRIC, Field::METRIC_DESCRIPTION),
];

/// What `configure` prepared for `process`.
#[derive(Debug)]
pub struct Redact {
    replacement: String,
    /// One for each table, if there are rules for keys.
    key_slots: Vec<Slot>,
    patterns: Option<Patterns>,
    keys: Option<Keys>,
}

impl Processor for Redact {
    type Config = Config;

    fn about() -> About {
        about!().schema(config::SCHEMA).fails_closed()
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        config.check()?;
        let (rule, patterns) = (config.rule()?, config.patterns()?);
        plan.without_strings();
        let mut key_slots = Vec::new();
        if let Some(rule) = &rule {
            let hidden = |table| Selector::attributes(table, rule).unseen().write();
            key_slots.extend(Table::ALL.map(|table| plan.select(hidden(table))));
        }
        // JSON is looked into for keys, too, so it is selected in either case.
        let kinds = if patterns.is_empty() {
            Kinds::JSON
        } else {
            Kinds::STRING | Kinds::JSON
        };
        for table in Table::ALL {
            plan.select(Selector::attributes(table, "*").kinds(kinds).write());
        }
        for (table, field) in TEXTS {
            plan.select(Selector::field(table, field).kinds(kinds).write());
        }
        let has_patterns = !patterns.is_empty();
        Ok(Self {
            replacement: config.replacement,
            key_slots,
            patterns: has_patterns
                .then(|| Patterns::compile(&patterns))
                .transpose()?,
            keys: rule.map(|rule| Keys::compile(&rule)).transpose()?,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        let replacement = &self.replacement;
        accel::redact(edits, self.patterns, self.keys, Slot::ALL, replacement);
        // The later edit wins: a value hidden for its key is hidden as a whole.
        for slot in &self.key_slots {
            if batch.columns(*slot).next().is_some() {
                edits.replace_all(*slot, replacement);
            }
        }
        Ok(())
    }
}

petrel_plugin::export!(Redact);
