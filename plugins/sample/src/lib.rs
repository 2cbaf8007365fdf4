//! Keeps a consistent part of the traces.
//!
//! The decision is made by the trace's own randomness (OpenTelemetry, "TraceState: Probability
//! Sampling"), so all spans of a trace share a fate wherever they are sampled, and a trace kept at 1 %
//! is among those kept at 10 %. What was sampled before (`ot=th:` in `tracestate`) counts: a threshold
//! only rises.

use petrel_plugin::prelude::*;
use petrel_plugin::sampling::{Threshold, Tracestate, randomness_of};

/// Where the threshold stands that a record was kept with, if it is not in `tracestate`.
const THRESHOLD: &str = "sampling.threshold";

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The part that is kept, from 0 to 1.
    ratio: f64,
    /// Another part for these services, by `service.name`; the first that fits counts.
    #[serde(default)]
    services: Vec<Service>,
    /// Whether log records that belong to a trace share its fate.
    #[serde(default)]
    logs: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    /// Exact, or with a `*` at its end.
    name: String,
    ratio: f64,
}

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["ratio"],
  "properties": {
    "ratio": { "type": "number", "minimum": 0, "maximum": 1, "description": "The part that is kept." },
    "services": {
      "type": "array",
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "ratio"],
        "properties": {
          "name": { "type": "string", "description": "service.name: exact, or with * at its end." },
          "ratio": { "type": "number", "minimum": 0, "maximum": 1 }
        }
      },
      "description": "Other parts for some services; the first that fits counts."
    },
    "logs": { "type": "boolean", "default": false, "description": "Log records of a trace share its fate." }
  }
}"#;

/// What `configure` prepared for `process`.
#[derive(Debug)]
pub struct Sample {
    otherwise: Option<Threshold>,
    services: Vec<(String, Option<Threshold>)>,
    service_name: Slot,
    trace_id: Slot,
    tracestate: Slot,
    recorded: Slot,
}

impl Processor for Sample {
    type Config = Config;

    fn about() -> About {
        about!()
            .schema(SCHEMA)
            .signals(Signals::TRACES | Signals::LOGS)
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        if !config.logs {
            plan.signals(Signals::TRACES);
        }
        let services = config.services.into_iter().map(|service| {
            let ratio = ratio(service.ratio)?;
            Ok((service.name, ratio))
        });
        Ok(Self {
            otherwise: ratio(config.ratio)?,
            services: services.collect::<Result<_>>()?,
            service_name: plan.select(Selector::attributes(Table::RESOURCE, "service.name")),
            trace_id: plan.select(Selector::field(Table::RECORD, Field::TRACE_ID)),
            tracestate: plan.select(Selector::field(Table::RECORD, Field::TRACESTATE)),
            recorded: plan.select(
                Selector::attributes(Table::RECORD, THRESHOLD)
                    .write()
                    .create(),
            ),
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        let by_resource: Vec<_> = (0..batch.rows(Table::RESOURCE))
            .map(|resource| self.of_service(batch, resource))
            .collect();
        for row in 0..batch.rows(Table::RECORD) {
            // A log record of no trace has no fate to share, a span without an id no randomness.
            let Some(Value::TraceId(id)) = batch.get(self.trace_id, row).map(|cell| cell.value)
            else {
                continue;
            };
            let state = match batch
                .get(self.tracestate, row)
                .and_then(|cell| cell.value.text())
            {
                Some(text) => Tracestate::read(&text.to_str()),
                None => Tracestate::default(),
            };
            let recorded = batch
                .get(self.recorded, row)
                .and_then(|cell| cell.value.text());
            let before = recorded
                .and_then(|text| Threshold::parse(&text.to_str()))
                .max(state.threshold);
            let wanted = batch
                .resource_of(row)
                .and_then(|resource| by_resource.get(resource as usize).copied())
                .unwrap_or(self.otherwise);
            let randomness = state.randomness.unwrap_or_else(|| randomness_of(id));
            match wanted {
                Some(wanted) if wanted.keeps(randomness) => {
                    if before.unwrap_or_default() < wanted {
                        edits.put(batch, self.recorded, row, &wanted.to_string());
                    }
                }
                _ => edits.drop_record(batch, row),
            }
        }
        Ok(())
    }
}

impl Sample {
    /// Nothing is kept of a service without a threshold.
    fn of_service(&self, batch: &Batch<'_>, resource: u32) -> Option<Threshold> {
        let name = batch.get(self.service_name, resource);
        let name = name.and_then(|cell| cell.value.text()).map(Text::to_str);
        let name = name.as_deref().unwrap_or_default();
        let fits = |rule: &str| match rule.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == rule,
        };
        let found = self.services.iter().find(|(rule, _)| fits(rule));
        found.map_or(self.otherwise, |(_, threshold)| *threshold)
    }
}

fn ratio(ratio: f64) -> Result<Option<Threshold>> {
    if !(0.0..=1.0).contains(&ratio) {
        return Err(Error::config(format!(
            "config: ratio {ratio} is not between 0 and 1; 0.1 keeps a tenth"
        )));
    }
    Ok(Threshold::of_ratio(ratio))
}

petrel_plugin::export!(Sample);
