//! What a plugin counted over a case: one object a series, as `expected.metrics.json` has it.

use std::fmt::Write as _;

use petrel_plugin_host::{OwnMetric, OwnValue};
use serde_json::{Map, Value, json};

/// Series in an order that does not depend on how they were recorded.
pub(crate) fn summary(series: Vec<OwnMetric>) -> Value {
    let mut series: Vec<_> = series.into_iter().map(one).collect();
    series.sort_by_key(|one| (one["name"].to_string(), one["labels"].to_string()));
    series.into()
}

fn one(metric: OwnMetric) -> Value {
    let mut labels = metric.labels;
    labels.sort();
    let labels: Map<_, _> = labels
        .into_iter()
        .map(|(key, text)| (key, text.into()))
        .collect();
    let mut said = json!({"name": metric.name, "unit": metric.unit, "labels": labels});
    match metric.value {
        OwnValue::Counter(value) | OwnValue::Gauge(value) => said["value"] = value.into(),
        OwnValue::Distribution { count, sum } => {
            said["count"] = count.into();
            said["sum"] = sum.into();
        }
    }
    said
}

/// The series that differ, a line each; nothing if none does.
pub(crate) fn difference(expected: &Value, got: &Value) -> String {
    let none = Vec::new();
    let list = |value: &'_ Value| value.as_array().unwrap_or(&none).clone();
    let (want, got) = (list(expected), list(got));
    let mut told = String::new();
    let sides = [("-", &want, &got), ("+", &got, &want)];
    for (sign, these, those) in sides {
        for series in these.iter().filter(|series| !those.contains(series)) {
            // Writing into a string cannot fail.
            let _infallible = writeln!(told, "  {sign} counted {series}");
        }
    }
    told
}
