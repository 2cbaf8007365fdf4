//! Hides secrets and personal data before anything is written down or sent on.
//!
//! By key: the values of attributes whose key matches a rule are replaced, whatever they are, on
//! resources, scopes, metrics, spans, log records, data points, events, links and exemplars, and
//! inside JSON. By pattern: e-mail addresses, card numbers, tokens and the like are replaced inside
//! every text, log bodies and names included.
//!
//! Not one byte of telemetry enters this module: it tells the host where to look, the host's kernels
//! look, and what comes back are codes. Two wishes need more and get it: `allow_keys` needs keys, and
//! the pattern `iban` needs texts to check. It fails closed.

mod allow;
mod config;
mod iban;
mod patterns;

use patterns::IBAN;
use petrel_plugin::Code;
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
    iban: Option<Iban>,
    /// Rules for keys that are left alone, in lower case.
    allowed: Vec<String>,
}

/// How IBANs are found: by shape in the host, by their check digits here.
#[derive(Debug)]
struct Iban {
    shape: Patterns,
    /// All patterns and the shape, for texts that have an IBAN. A second one in the same text that
    /// only looks like it goes along.
    with_shape: Patterns,
}

impl Processor for Redact {
    type Config = Config;

    fn about() -> About {
        about!().schema(config::SCHEMA).fails_closed()
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        config.check()?;
        let (rule, mut patterns) = (config.rule()?, config.patterns()?);
        let allowed = config.allowed()?;
        if allowed.is_empty() && !config.has_iban() {
            plan.without_strings();
        }
        let mut key_slots = Vec::new();
        if let Some(rule) = &rule {
            let hidden = |table| Selector::attributes(table, rule).unseen().write();
            key_slots.extend(Table::ALL.map(|table| plan.select(hidden(table))));
        }
        // JSON is looked into for keys, too, so it is selected in either case.
        let kinds = if patterns.is_empty() && !config.has_iban() {
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
        let compiled = has_patterns
            .then(|| Patterns::compile(&patterns))
            .transpose()?;
        let iban = if config.has_iban() {
            let shape = IBAN.1.to_owned();
            patterns.push(shape.clone());
            Some(Iban {
                shape: Patterns::compile(&[shape])?,
                with_shape: Patterns::compile(&patterns)?,
            })
        } else {
            None
        };
        Ok(Self {
            replacement: config.replacement,
            key_slots,
            patterns: compiled,
            keys: rule.map(|rule| Keys::compile(&rule)).transpose()?,
            iban,
            allowed,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        let (patterns, keys) = (self.patterns, self.keys);
        if self.iban.is_none() && self.allowed.is_empty() {
            accel::redact(edits, patterns, keys, Slot::ALL, &self.replacement);
        } else {
            let mut found = accel::redacted(patterns, keys, Slot::ALL, &self.replacement);
            if let Some(iban) = &self.iban {
                found.extend(iban.redacted(batch, keys, &self.replacement));
            }
            if !self.allowed.is_empty() {
                self.redact_unless_allowed(batch, edits, &found);
                return Ok(());
            }
            for (from, to) in found {
                edits.replace(Slot::ALL, from, to);
            }
        }
        // The later edit wins: a value hidden for its key is hidden as a whole.
        for slot in &self.key_slots {
            if batch.columns(*slot).next().is_some() {
                edits.replace_all(*slot, &self.replacement);
            }
        }
        Ok(())
    }
}

impl Iban {
    /// Texts that have an IBAN, without it.
    fn redacted(
        &self,
        batch: &Batch<'_>,
        keys: Option<Keys>,
        replacement: &str,
    ) -> Vec<(Code, Code)> {
        let has_shape = self.shape.matches(Slot::ALL);
        let is_one = |code: Code| {
            let text = has_shape
                .contains(code)
                .then(|| batch.dictionary().get(code));
            text.flatten().is_some_and(iban::is_in)
        };
        let count = u32::try_from(batch.dictionary().len()).unwrap_or(u32::MAX);
        if !(0..count).map(Code).any(is_one) {
            return Vec::new();
        }
        let mut found = accel::redacted(Some(self.with_shape), keys, Slot::ALL, replacement);
        found.retain(|(from, _)| is_one(*from));
        found
    }
}

petrel_plugin::export!(Redact);
