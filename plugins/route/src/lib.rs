//! Sends spans, log records and data points to outputs, by the value of an attribute: another project, of
//! another team or with another retention.
//!
//! Rules are asked in order, and the first that knows the value decides. What no rule knows goes where
//! the configuration says, or where everything goes.

use std::collections::BTreeMap;

use petrel_plugin::Code;
use petrel_plugin::prelude::*;

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    rules: Vec<RuleConfig>,
    /// For what no rule knows; nothing is the default output.
    #[serde(default)]
    otherwise: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    on: On,
    key: String,
    /// By the attribute's value, the output.
    to: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    Resource,
    Record,
}

/// The name that stands for where everything goes.
const DEFAULT: &str = "default";

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["rules"],
  "properties": {
    "rules": {
      "type": "array",
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["on", "key", "to"],
        "properties": {
          "on": { "enum": ["resource", "record"] },
          "key": { "type": "string", "description": "The attribute that is looked at." },
          "to": { "type": "object", "additionalProperties": { "type": "string" }, "description": "By its value, the output; default is where everything goes." }
        }
      }
    },
    "otherwise": { "type": "string", "description": "The output for what no rule knows." }
  }
}"#;

/// What `configure` prepared for `process`.
#[derive(Debug)]
pub struct Route {
    rules: Vec<Rule>,
    otherwise: Output,
}

#[derive(Debug)]
struct Rule {
    on: On,
    key: Slot,
    to: BTreeMap<String, Output>,
}

impl Processor for Route {
    type Config = Config;

    fn about() -> About {
        about!().schema(SCHEMA)
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        if config.rules.is_empty() {
            return Err(Error::config(
                "config: `rules` is empty, so nothing would go anywhere else; write one such as \
                 { on: resource, key: service.name, to: { checkout: payments } }",
            ));
        }
        let mut rules = Vec::new();
        for rule in config.rules {
            rules.push(Rule::of(rule, plan)?);
        }
        let otherwise = config.otherwise.as_deref().unwrap_or(DEFAULT);
        Ok(Self {
            rules,
            otherwise: output(otherwise, plan)?,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        let records = batch.rows(Table::RECORD);
        let mut outputs = vec![None; records as usize];
        for rule in &self.rules {
            rule.ask(batch, &mut outputs);
        }
        for (row, output) in (0..records).zip(outputs) {
            let output = output.unwrap_or(self.otherwise);
            if output != Output::DEFAULT {
                edits.route(batch, row, output);
            }
        }
        Ok(())
    }
}

impl Rule {
    fn of(config: RuleConfig, plan: &mut Plan) -> Result<Self> {
        let RuleConfig { on, key, to } = config;
        if key.is_empty() || key.contains(['*', '|']) {
            return Err(Error::config(format!(
                "config: {key:?} is not one attribute's key, such as \"service.name\""
            )));
        }
        if to.is_empty() {
            return Err(Error::config(format!(
                "config: the rule for {key:?} leads nowhere; write `to: {{ VALUE: OUTPUT }}`"
            )));
        }
        let mut outputs = BTreeMap::new();
        for (value, name) in to {
            outputs.insert(value, output(&name, plan)?);
        }
        let table = match on {
            On::Resource => Table::RESOURCE,
            On::Record => Table::RECORD,
        };
        Ok(Self {
            on,
            key: plan.select(Selector::attributes(table, &key)),
            to: outputs,
        })
    }

    /// Decides about records that no rule before has decided about.
    fn ask(&self, batch: &Batch<'_>, outputs: &mut [Option<Output>]) {
        // Of distinct values there are few.
        let mut known = BTreeMap::<Code, Option<Output>>::new();
        let mut decide = |row: u32| {
            let text = batch.get(self.key, row)?.value.text()?;
            let found = || self.to.get(text.to_str().as_ref()).copied();
            *known.entry(text.code).or_insert_with(found)
        };
        match self.on {
            On::Record => {
                for (row, output) in (0..).zip(outputs) {
                    *output = output.or_else(|| decide(row));
                }
            }
            On::Resource => {
                let resources = 0..batch.rows(Table::RESOURCE);
                let decided: Vec<Option<Output>> = resources.map(decide).collect();
                let of_row = |row| {
                    let resource = batch.resource_of(row)? as usize;
                    decided.get(resource).copied().flatten()
                };
                for (row, output) in (0..).zip(outputs) {
                    *output = output.or_else(|| of_row(row));
                }
            }
        }
    }
}

/// A name as an output; `default` is where everything goes.
fn output(name: &str, plan: &mut Plan) -> Result<Output> {
    if name == DEFAULT {
        return Ok(Output::DEFAULT);
    }
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        return Err(Error::config(format!(
            "config: {name:?} cannot be the name of an output: 1 to 64 of a-z, 0-9, - and _"
        )));
    }
    Ok(plan.output(name))
}

petrel_plugin::export!(Route);
