//! Requests that nobody wrote: for `fuzz`, which wants the odd, and for `bench`, which wants many.
//!
//! All of it comes out of a seed, so that what was found once can be made again. Requests are OTLP/JSON,
//! which says all that can reach a plugin: texts that are not UTF-8 are refused at the door, and what
//! is left of such bytes comes as `bytesValue`.

use serde_json::{Map, Value, json};

/// SplitMix64: small, good enough, and the same for ever.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % (bound.max(1) as u64)).unwrap_or(0)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.number() % 100 < percent
    }

    fn hex(&mut self, digits: usize) -> String {
        let digit = |_| {
            u32::try_from(self.number() % 16)
                .ok()
                .and_then(|digit| char::from_digit(digit, 16))
        };
        (0..digits).filter_map(digit).collect()
    }
}

/// Keys that senders use.
const KEYS: [&str; 14] = [
    "http.route",
    "http.request.method",
    "url.full",
    "db.query.text",
    "user.email",
    "user.id",
    "password",
    "session.token",
    "exception.message",
    "service.name",
    "host.name",
    "k",
    "",
    "key with \u{0} and \u{1F980}",
];

/// Texts that have been trouble to somebody.
const TEXTS: [&str; 12] = [
    "",
    "0",
    "null",
    "{\"a\":[1,{\"b\":null}]}",
    "{\"broken\":",
    "\u{0}\u{1}\u{7f}",
    "\u{202e}esrever\u{202c} \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} e\u{301}",
    "someone@example.com 4111 1111 1111 1111 Bearer abc.def.ghi",
    "SELECT * FROM t WHERE a = 'it''s' AND b IN (1, 2, 3) -- x",
    "https://u:p@h:1/p?q=1&token=s#f",
    "((((((((((((((((((((((((((((((((",
    "%00%ff%zz\\\\..//\r\n",
];

/// What requests are made of: what we know of, and what the plugin's own cases have in them.
#[derive(Debug, Default)]
pub(crate) struct Words {
    keys: Vec<String>,
    texts: Vec<String>,
}

impl Words {
    /// Those of requests and of a configuration.
    pub(crate) fn of<'a>(examples: impl Iterator<Item = &'a Value>) -> Self {
        let mut words = Self::default();
        for example in examples {
            words.learn(example);
        }
        words.keys.sort();
        words.keys.dedup();
        words.texts.sort();
        words.texts.dedup();
        words.keys.extend(KEYS.map(str::to_owned));
        words.texts.extend(TEXTS.map(str::to_owned));
        words
    }

    fn learn(&mut self, example: &Value) {
        match example {
            Value::String(text) => self.texts.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|one| self.learn(one)),
            Value::Object(object) => {
                if let Some(key) = object.get("key").and_then(Value::as_str) {
                    self.keys.push(key.to_owned());
                }
                object.values().for_each(|one| self.learn(one));
            }
            _ => {}
        }
    }
}

/// The signals' words for resources, scopes and records.
pub(crate) const SHAPES: [[&str; 3]; 3] = [
    ["resourceSpans", "scopeSpans", "spans"],
    ["resourceLogs", "scopeLogs", "logRecords"],
    ["resourceMetrics", "scopeMetrics", "metrics"],
];

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) random: Random,
    words: Words,
}

impl Generator {
    pub(crate) fn new(seed: u64, words: Words) -> Self {
        let random = Random::seeded(seed);
        Self { random, words }
    }

    /// One request: none, one, some or many records, of any signal.
    pub(crate) fn request(&mut self) -> Value {
        let signal = self.random.below(3);
        let [resources, scopes, records] = SHAPES[signal];
        let total = match self.random.below(20) {
            0 => 0,
            1..8 => 1,
            8..19 => 2 + self.random.below(60),
            _ => 1_000 + self.random.below(4_000),
        };
        let groups = 1 + self.random.below(3);
        let groups: Vec<Value> = (0..groups)
            .map(|_| {
                let count = total / groups + usize::from(total == 1);
                let list: Vec<Value> = (0..count).map(|_| self.record(signal)).collect();
                let mut scope = Map::new();
                if self.random.chance(70) {
                    scope.insert(
                        "scope".into(),
                        json!({ "name": self.text(), "attributes": self.attributes() }),
                    );
                }
                scope.insert(records.into(), Value::Array(list));
                let mut group = Map::new();
                if self.random.chance(80) {
                    group.insert(
                        "resource".into(),
                        json!({ "attributes": self.attributes() }),
                    );
                }
                group.insert(scopes.into(), Value::Array(vec![Value::Object(scope)]));
                Value::Object(group)
            })
            .collect();
        json!({ resources: groups })
    }

    fn record(&mut self, signal: usize) -> Value {
        let mut record = match signal {
            0 => self.span(),
            1 => self.log(),
            _ => return self.metric(),
        };
        // Whatever may be missing is missing now and then.
        if self.random.chance(20) {
            let gone = self.random.below(record.len());
            let key = record.keys().nth(gone).cloned();
            key.and_then(|key| record.remove(&key));
        }
        Value::Object(record)
    }

    fn span(&mut self) -> Map<String, Value> {
        let start = self.random.number() >> 2;
        let mut span = object(json!({
            "traceId": self.id(32),
            "spanId": self.id(16),
            "parentSpanId": self.id(16),
            "name": self.text(),
            "kind": self.random.below(6),
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + (self.random.number() >> 30)).to_string(),
            "attributes": self.attributes(),
            "status": { "code": self.random.below(3), "message": self.text() },
        }));
        if self.random.chance(20) {
            let event = json!({ "name": self.text(), "attributes": self.attributes() });
            span.insert("events".into(), json!([event]));
        }
        if self.random.chance(10) {
            let link = json!({ "traceId": self.id(32), "attributes": self.attributes() });
            span.insert("links".into(), json!([link]));
        }
        if self.random.chance(10) {
            span.insert("traceState".into(), json!("ot=th:8;rv:0123456789abcd"));
        }
        span
    }

    fn log(&mut self) -> Map<String, Value> {
        object(json!({
            "timeUnixNano": (self.random.number() >> 1).to_string(),
            "observedTimeUnixNano": (self.random.number() >> 1).to_string(),
            "severityNumber": self.random.below(25),
            "severityText": self.text(),
            "body": self.value(3),
            "attributes": self.attributes(),
            "traceId": self.id(32),
            "spanId": self.id(16),
        }))
    }

    fn metric(&mut self) -> Value {
        let mut points = Vec::new();
        for _ in 0..=self.random.below(2) {
            let mut point = object(json!({
                "timeUnixNano": (self.random.number() >> 1).to_string(),
                "attributes": self.attributes(),
            }));
            if self.random.chance(50) {
                point.insert("asDouble".into(), self.double());
            } else {
                let number = self.random.number().cast_signed();
                point.insert("asInt".into(), json!(number.to_string()));
            }
            points.push(Value::Object(point));
        }
        let mut metric = object(json!({ "name": self.text(), "unit": "1" }));
        let data = match self.random.below(3) {
            0 => ("gauge", json!({ "dataPoints": points })),
            1 => (
                "sum",
                json!({ "dataPoints": points, "aggregationTemporality": 2, "isMonotonic": true }),
            ),
            _ => {
                let point = json!({
                    "attributes": self.attributes(), "count": "3", "sum": 1.5,
                    "bucketCounts": ["1", "2"], "explicitBounds": [1.0],
                });
                (
                    "histogram",
                    json!({ "dataPoints": [point], "aggregationTemporality": 1 }),
                )
            }
        };
        metric.insert(data.0.into(), data.1);
        Value::Object(metric)
    }

    /// A few; sometimes none, sometimes a key twice.
    fn attributes(&mut self) -> Value {
        let count = match self.random.below(30) {
            0..6 => 0,
            29 => 100,
            few => few / 4,
        };
        let pair = |this: &mut Self| {
            let at = this.random.below(this.words.keys.len());
            let key = this.words.keys.get(at).cloned().unwrap_or_default();
            // Null is an attribute whose value says nothing.
            json!({ "key": key, "value": this.value(3) })
        };
        (0..count).map(|_| pair(self)).collect()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.random.below(if depth == 0 { 13 } else { 16 }) {
            0..7 => json!({ "stringValue": self.text() }),
            7 => json!({ "intValue": self.random.number().cast_signed().to_string() }),
            8 => json!({ "doubleValue": self.double() }),
            9 => json!({ "boolValue": self.random.chance(50) }),
            // No UTF-8 in this one.
            10 => json!({ "bytesValue": "/////gDA" }),
            11 => json!({ "bytesValue": "" }),
            12 => json!({}),
            13 | 14 => {
                let values: Vec<Value> = (0..self.random.below(4))
                    .map(|_| self.value(depth - 1))
                    .collect();
                json!({ "arrayValue": { "values": values } })
            }
            _ => {
                let values: Vec<Value> = (0..self.random.below(4))
                    .map(|_| json!({ "key": self.text(), "value": self.value(depth - 1) }))
                    .collect();
                json!({ "kvlistValue": { "values": values } })
            }
        }
    }

    fn text(&mut self) -> String {
        let at = self.random.below(self.words.texts.len());
        let known = self.words.texts.get(at).cloned().unwrap_or_default();
        match self.random.below(200) {
            // Huge, once in a while.
            0 => known.chars().cycle().take(200_000).collect(),
            1..30 => {
                let cut = self.random.below(known.chars().count() + 1);
                known.chars().take(cut).collect()
            }
            30..50 => {
                let at = self.random.below(self.words.texts.len());
                known + self.words.texts.get(at).map_or("", String::as_str)
            }
            50..60 => self.random.hex(32),
            _ => known,
        }
    }

    fn double(&mut self) -> Value {
        match self.random.below(6) {
            0 => json!("NaN"),
            1 => json!("-Infinity"),
            2 => json!(-0.0),
            3 => json!(5e-324),
            _ => json!(1.5),
        }
    }

    /// Mostly of the right length: others are refused at the door or none.
    fn id(&mut self, digits: usize) -> String {
        match self.random.below(10) {
            0 => String::new(),
            1 => "0".repeat(digits),
            _ => self.random.hex(digits),
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// A request like `example` with so many records: its own, over and over, under its first resource and
/// scope, each with ids and one text of its own. Nothing if the example has no records.
pub(crate) fn enlarged(example: &Value, records: usize) -> Option<Value> {
    let [resources, scopes, items] = SHAPES
        .into_iter()
        .find(|[resources, _, _]| example.get(resources).is_some())?;
    let mut all = Vec::new();
    for resource in example[resources].as_array()? {
        for scope in resource[scopes].as_array()? {
            all.extend(scope[items].as_array().into_iter().flatten().cloned());
        }
    }
    let mut group = example[resources].as_array()?.first()?.clone();
    let mut scope = group[scopes].as_array()?.first()?.clone();
    let mut random = Random::seeded(records as u64);
    let mut list = Vec::with_capacity(records);
    for record in all.iter().cycle().take(records) {
        list.push(own(record.clone(), list.len(), &mut random));
    }
    if list.len() < records {
        return None;
    }
    scope[items] = Value::Array(list);
    group[scopes] = json!([scope]);
    Some(json!({ resources: [group] }))
}

fn own(mut record: Value, number: usize, random: &mut Random) -> Value {
    for (id, digits) in [("traceId", 32), ("spanId", 16)] {
        if record.get(id).is_some() {
            record[id] = json!(random.hex(digits));
        }
    }
    let text = format!("text number {number}");
    let pair = json!({ "key": "bench.text", "value": { "stringValue": text } });
    // A metric stays one data point: that is what is counted.
    for kind in [
        "gauge",
        "sum",
        "histogram",
        "exponentialHistogram",
        "summary",
    ] {
        let Some(points) = record.get_mut(kind).map(|data| &mut data["dataPoints"]) else {
            continue;
        };
        if let Some(first) = points.as_array().and_then(|points| points.first()).cloned() {
            *points = json!([first]);
        }
        push(&mut points[0], pair);
        return record;
    }
    push(&mut record, pair);
    record
}

fn push(record: &mut Value, pair: Value) {
    match record.get_mut("attributes").and_then(Value::as_array_mut) {
        Some(attributes) => attributes.push(pair),
        None => record["attributes"] = json!([pair]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::otlp::read_json;

    #[test]
    fn what_is_made_is_taken_at_the_door_and_made_again_by_its_seed() {
        let mut seen = [0; 3];
        let mut first = Generator::new(5, Words::of(std::iter::empty()));
        let mut again = Generator::new(5, Words::of(std::iter::empty()));
        for _ in 0..60 {
            let text = first.request().to_string();
            assert_eq!(text, again.request().to_string());
            let batch = read_json(text.as_bytes()).unwrap().remove(0);
            seen[usize::from(batch.signal().code()) - 1] += batch.items();
        }
        assert!(seen.iter().all(|items| *items > 0), "{seen:?}");
    }

    #[test]
    fn an_example_becomes_as_large_as_it_should_be() {
        let span = json!({ "traceId": "0".repeat(32), "name": "get" });
        let traces = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span, span] }] }] });
        let point = json!({ "asInt": "1" });
        let metric = json!({ "name": "m", "gauge": { "dataPoints": [point, point] } });
        let metrics = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] });
        for example in [traces, metrics] {
            for records in [1, 64, 512] {
                let text = enlarged(&example, records).unwrap().to_string();
                let batch = read_json(text.as_bytes()).unwrap().remove(0);
                assert_eq!(batch.items() as usize, records);
            }
        }
        assert!(enlarged(&json!({ "resourceLogs": [] }), 1).is_none());
    }
}
