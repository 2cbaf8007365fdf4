//! Counts spans and how long they took, by service, name, kind and status.
//!
//! Names and attributes are those of the OpenTelemetry Collector's spanmetrics connector, so that
//! dashboards fit. The host adds up; this module says which span goes where, with codes of strings
//! that the host holds anyway.

use std::collections::HashMap;

use petrel_plugin::metrics::{Instrument, Label, Metric, Recorder};
use petrel_plugin::prelude::*;

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Attributes of the span, or else of its resource, that are dimensions as well.
    dimensions: Vec<String>,
    /// Attributes of the resource that the metrics' resource has.
    resource: Vec<String>,
    unit: Unit,
    /// What metric names begin with.
    namespace: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dimensions: Vec::new(),
            resource: vec![
                "service.name".into(),
                "service.namespace".into(),
                "deployment.environment.name".into(),
            ],
            unit: Unit::Ms,
            namespace: "traces.span.metrics".into(),
        }
    }
}

/// Of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Ms,
    S,
}

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "dimensions": { "type": "array", "maxItems": 20, "items": { "type": "string" }, "description": "Attributes of the span, or else of its resource, that are dimensions as well." },
    "resource": { "type": "array", "maxItems": 8, "items": { "type": "string" }, "default": ["service.name", "service.namespace", "deployment.environment.name"], "description": "Attributes of the resource that the metrics' resource has." },
    "unit": { "enum": ["ms", "s"], "default": "ms", "description": "Of durations." },
    "namespace": { "type": "string", "default": "traces.span.metrics", "description": "What metric names begin with." }
  }
}"#;

const MOST_DIMENSIONS: usize = 20;
const MOST_RESOURCE: usize = 8;

/// By number, as OTLP spells them.
const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUSES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// What `configure` prepared for `process`.
#[derive(Debug)]
pub struct SpanMetrics {
    name: Slot,
    kind: Slot,
    status: Slot,
    duration: Slot,
    resource: Vec<Slot>,
    /// On the span, and on the resource.
    dimensions: Vec<(Slot, Slot)>,
    nanos_per_unit: f64,
    calls: Metric,
    durations: Metric,
}

impl Processor for SpanMetrics {
    type Config = Config;

    fn about() -> About {
        about!().schema(SCHEMA).signals(Signals::TRACES)
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        check(&config)?;
        let fixed = ["span.name", "span.kind", "status.code"].map(String::from);
        let of_resource = config.resource.iter().map(|key| format!("resource.{key}"));
        let labels: Vec<String> = of_resource
            .chain(fixed)
            .chain(config.dimensions.iter().cloned())
            .collect();
        let (unit, nanos_per_unit) = match config.unit {
            Unit::Ms => ("ms", 1e6),
            Unit::S => ("s", 1e9),
        };
        let namespace = config.namespace;
        let calls = Instrument::counter(&format!("{namespace}.calls")).unit("{call}");
        let durations = Instrument::histogram(&format!("{namespace}.duration")).unit(unit);
        // What is a number on a span makes a dimension as well.
        let kinds = Kinds::STRING | Kinds::INT | Kinds::BOOL;
        let mut attributes =
            |table, key: &String| plan.select(Selector::attributes(table, key).kinds(kinds));
        Ok(Self {
            resource: config
                .resource
                .iter()
                .map(|key| attributes(Table::RESOURCE, key))
                .collect(),
            dimensions: config
                .dimensions
                .iter()
                .map(|key| {
                    (
                        attributes(Table::RECORD, key),
                        attributes(Table::RESOURCE, key),
                    )
                })
                .collect(),
            name: plan.select(Selector::field(Table::RECORD, Field::NAME)),
            kind: plan.select(Selector::field(Table::RECORD, Field::SPAN_KIND)),
            status: plan.select(Selector::field(Table::RECORD, Field::STATUS_CODE)),
            duration: plan.select(Selector::field(Table::RECORD, Field::DURATION)),
            nanos_per_unit,
            calls: calls.telemetry().labels(labels.iter()).declare(),
            durations: durations.telemetry().labels(labels.iter()).declare(),
        })
    }

    fn process(&mut self, batch: &Batch<'_>, _: &mut Edits) -> Result<()> {
        let spans = batch.rows(Table::RECORD) as usize;
        let resources = batch.rows(Table::RESOURCE) as usize;
        let mut recorder = Recorder::of([self.calls, self.durations]);
        let mut numbers_as_text = HashMap::new();
        let mut labels = |slot: Slot, rows: usize| {
            labels_of(batch, slot, rows, &mut recorder, &mut numbers_as_text)
        };
        let resource: Vec<_> = self
            .resource
            .iter()
            .map(|slot| labels(*slot, resources))
            .collect();
        let names = labels(self.name, spans);
        let dimensions: Vec<_> = self
            .dimensions
            .iter()
            .map(|(own, above)| (labels(*own, spans), labels(*above, resources)))
            .collect();
        let kinds = KINDS.map(|text| recorder.text(text));
        let statuses = STATUSES.map(|text| recorder.text(text));
        let kind_of = numbers(batch, self.kind, spans);
        let status_of = numbers(batch, self.status, spans);
        let took = numbers(batch, self.duration, spans);
        for (row, span) in (0_u32..).zip(0..spans) {
            let above = batch
                .resource_of(row)
                .map_or(usize::MAX, |row| row as usize);
            let at = |labels: &[Label], row: usize| labels.get(row).copied().unwrap_or(Label::NONE);
            let dimension = |(own, of_resource): &(Vec<Label>, Vec<Label>)| match at(own, span) {
                Label::NONE => at(of_resource, above),
                own => own,
            };
            let labels = resource
                .iter()
                .map(|labels| at(labels, above))
                .chain([at(&names, span)])
                // A number that OTLP does not know is none.
                .chain([
                    one_of(&kinds, kind_of[span]),
                    one_of(&statuses, status_of[span]),
                ])
                .chain(dimensions.iter().map(dimension));
            let duration = took[span] as f64 / self.nanos_per_unit;
            recorder.record([1.0, duration], labels);
        }
        recorder.finish();
        Ok(())
    }
}

fn check(config: &Config) -> Result<()> {
    let given = config.dimensions.iter().chain(&config.resource);
    if given
        .clone()
        .any(|key| key.is_empty() || key.contains(['*', '|']))
    {
        return Err(Error::config(
            "config.dimensions and config.resource take keys of attributes, without * and |",
        ));
    }
    let fixed = ["span.name", "span.kind", "status.code"];
    if let Some(key) = config
        .dimensions
        .iter()
        .find(|key| fixed.contains(&key.as_str()))
    {
        return Err(Error::config(format!(
            "config.dimensions: {key} is a dimension anyway; leave it out"
        )));
    }
    for (keys, most, name) in [
        (&config.dimensions, MOST_DIMENSIONS, "dimensions"),
        (&config.resource, MOST_RESOURCE, "resource"),
    ] {
        let is_twice = (1..keys.len()).any(|at| keys[..at].contains(&keys[at]));
        if keys.len() > most || is_twice {
            return Err(Error::config(format!(
                "config.{name} takes up to {most} keys, each once"
            )));
        }
    }
    Ok(())
}

/// The label of each row; the first value where an attribute is given twice.
fn labels_of(
    batch: &Batch<'_>,
    slot: Slot,
    rows: usize,
    recorder: &mut Recorder<2>,
    known: &mut HashMap<String, Label>,
) -> Vec<Label> {
    let mut labels = vec![Label::NONE; rows];
    for cell in batch.cells(slot) {
        let label = labels.get_mut(cell.row as usize);
        let Some(label) = label.filter(|label| **label == Label::NONE) else {
            continue;
        };
        let text = match cell.value {
            Value::Text(text) => {
                *label = text.into();
                continue;
            }
            Value::Int(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => continue,
        };
        *label = *known
            .entry(text)
            .or_insert_with_key(|text| recorder.text(text));
    }
    labels
}

fn one_of(labels: &[Label], number: u64) -> Label {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    labels.get(index).copied().unwrap_or(labels[0])
}

/// The number of each row; zero where there is none.
fn numbers(batch: &Batch<'_>, slot: Slot, rows: usize) -> Vec<u64> {
    let mut numbers = vec![0; rows];
    for cell in batch.cells(slot) {
        let number = match cell.value {
            Value::Uint(number) => number,
            Value::Int(number) => number.unsigned_abs(),
            _ => continue,
        };
        if let Some(place) = numbers.get_mut(cell.row as usize) {
            *place = number;
        }
    }
    numbers
}

petrel_plugin::export!(SpanMetrics);
