//! The SDK as an author uses it: a processor, and what becomes of requests.

use petrel_plugin::log::{self, Level};
use petrel_plugin::metrics::{Instrument, Metric};
use petrel_plugin::prelude::*;
use petrel_plugin::state;
use petrel_plugin::testing::{
    Tested, attribute, json, log_with, logged, recorded, resource_with, span_with,
};

/// One of everything that edits can do, by configuration.
struct All {
    does: String,
    any: Slot,
    exact: Slot,
    name: Slot,
    body: Slot,
    resource: Slot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    does: String,
    #[serde(default)]
    timid: bool,
}

impl Processor for All {
    type Config = Config;

    fn about() -> About {
        about!().signals(Signals::TRACES | Signals::LOGS)
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        let any = Selector::attributes(Table::RECORD, "*").kinds(Kinds::ANY);
        let any = if config.timid {
            any
        } else {
            any.write().create().delete()
        };
        Ok(Self {
            any: plan.select(any),
            exact: plan.select(Selector::attributes(Table::RECORD, "one").write().create()),
            name: plan.select(Selector::field(Table::RECORD, Field::NAME).write().create()),
            body: plan.select(Selector::field(Table::RECORD, Field::BODY).write()),
            resource: plan.select(Selector::attributes(Table::RESOURCE, "host.*")),
            does: config.does,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        match self.does.as_str() {
            "map" => edits.map_text(batch, self.any, |text| Some(text.to_uppercase())),
            "name" => edits.put(batch, self.name, 0, "renamed"),
            "put" => edits.put(batch, self.exact, 0, "put"),
            "put key" => edits.put_key(batch, self.any, "two", 0, 2_i64),
            "delete" => batch.cells(self.any).for_each(|cell| edits.remove(&cell)),
            "drop key" => {
                let column = batch.columns(self.any).last();
                if let Some(key) = column.and_then(|column| column.key()) {
                    edits.drop_key(Table::RECORD, key);
                }
            }
            "drop" => (0..batch.rows(Table::RECORD)).for_each(|row| edits.drop_record(batch, row)),
            "numbers" => {
                for cell in batch.cells(self.any) {
                    match cell.value {
                        Value::Int(number) => edits.set(&cell, number + 1),
                        Value::Double(number) => edits.set(&cell, number * 2.0),
                        Value::Bool(truth) => edits.set(&cell, !truth),
                        Value::Json(json) => {
                            edits.set(&cell, New::Json(&json.to_str().replace('1', "[2]")));
                        }
                        _ => {}
                    }
                }
            }
            "body" => edits.replace_all(self.body, "hidden"),
            "resource" => {
                let resource = batch.resource_of(0).unwrap_or(9);
                let host = batch.get(self.resource, resource);
                let text = host
                    .and_then(|host| host.value.text())
                    .map_or("none".into(), Text::to_str);
                log::info(&format!("host {text}"));
            }
            other => return Err(Error::internal(format!("cannot {other}"))),
        }
        Ok(())
    }
}

petrel_plugin::export!(All);

fn after(does: &str, request: &petrel_plugin::testing::Value) -> petrel_plugin::testing::Value {
    let mut all = Tested::<All>::new(json!({"does": does})).expect("a configuration");
    all.run(request).expect("edits that the host takes")
}

fn one() -> petrel_plugin::testing::Value {
    span_with(json!([
        attribute("one", "a"),
        attribute("one", "b"),
        attribute("x", "a")
    ]))
}

#[test]
fn a_change_of_text_reaches_every_cell_that_holds_it() {
    let want = span_with(json!([
        attribute("one", "A"),
        attribute("one", "B"),
        attribute("x", "A")
    ]));
    assert_eq!(after("map", &one()), want);
}

#[test]
fn numbers_truth_values_and_json_are_seen_and_set() {
    let request = |int: &str, double: f64, truth: bool, array: petrel_plugin::testing::Value| {
        let span = |value| json!({"attributes": [{"key": "a", "value": value}]});
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [
            span(json!({"intValue": int})),
            span(json!({"doubleValue": double})),
            span(json!({"boolValue": truth})),
            span(json!({"arrayValue": {"values": [array]}})),
        ]}]}]})
    };
    let before = request("-5", 1.5, false, json!({"intValue": "1"}));
    let nested = json!({"arrayValue": {"values": [{"intValue": "2"}]}});
    assert_eq!(after("numbers", &before), request("-4", 3.0, true, nested));
}

#[test]
fn a_value_is_put_where_it_is_and_where_it_is_not() {
    // An attribute that is given twice is changed twice.
    let two = json!({"key": "two", "value": {"intValue": "2"}});
    let with_two = span_with(json!([attribute("x", "a"), two]));
    assert_eq!(
        after("put key", &span_with(json!([attribute("x", "a")]))),
        with_two
    );
    assert_eq!(after("put key", &with_two), with_two);
    let put = span_with(json!([
        attribute("one", "put"),
        attribute("one", "put"),
        attribute("x", "a")
    ]));
    assert_eq!(after("put", &one()), put);
    let put = span_with(json!([attribute("one", "put")]));
    assert_eq!(after("put", &span_with(json!([]))), put);
}

#[test]
fn fields_are_set_and_bodies_replaced_whatever_they_are() {
    let mut want = one();
    want["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] = json!("renamed");
    assert_eq!(after("name", &one()), want);
    let hidden = log_with(json!({"stringValue": "hidden"}), json!([]));
    for body in [json!({"stringValue": "x"}), json!({"intValue": "5"})] {
        assert_eq!(after("body", &log_with(body, json!([]))), hidden);
    }
}

#[test]
fn what_is_deleted_is_gone_and_what_holds_nothing_goes_with_it() {
    assert_eq!(after("delete", &one()), span_with(json!([])));
    assert_eq!(
        after("drop key", &one()),
        span_with(json!([attribute("one", "a"), attribute("one", "b")]))
    );
    assert_eq!(after("drop", &one()), json!({"resourceSpans": []}));
}

#[test]
fn a_row_finds_its_resource_and_the_operator_hears_of_it() {
    logged();
    after(
        "resource",
        &resource_with(json!([attribute("host.name", "h")])),
    );
    assert_eq!(logged(), [(Level::Info, "host h".into())]);
}

#[test]
fn a_write_without_the_right_is_refused_with_the_cure() {
    let mut timid = Tested::<All>::new(json!({"does": "delete", "timid": true})).unwrap();
    let error = timid.run(&one()).unwrap_err();
    assert!(error.message().contains(".delete()"), "{error}");
}

#[test]
fn a_mistake_in_the_configuration_and_a_failure_are_told_in_words() {
    let error = Tested::<All>::new(json!({"dos": "map"})).unwrap_err();
    assert!(error.message().contains("unknown field `dos`"), "{error}");
    let mut all = Tested::<All>::new(json!({"does": "sing"})).unwrap();
    assert_eq!(all.run(&one()).unwrap_err().message(), "cannot sing");
    assert!(
        all.run(&json!({"spans": []}))
            .unwrap_err()
            .message()
            .contains("resourceSpans")
    );
}

#[test]
fn a_signal_that_is_not_wanted_passes_untouched() {
    let request = json!({"resourceMetrics": [{"scopeMetrics": []}]});
    assert_eq!(after("drop", &request), request);
}

#[derive(Deserialize)]
struct Nothing {}

/// Counts values of `who`, and its requests in its state; fails if somebody is called `bad`.
struct Counts {
    who: Slot,
    seen: Metric,
}

impl Processor for Counts {
    type Config = Nothing;

    fn about() -> About {
        about!()
    }

    fn configure(_: Nothing, plan: &mut Plan) -> Result<Self> {
        let seen = Instrument::counter("seen").telemetry();
        Ok(Self {
            who: plan.select(Selector::attributes(Table::RECORD, "who")),
            seen: seen.labels(["who", "request", "nothing"]).declare(),
        })
    }

    fn process(&mut self, batch: &Batch<'_>, _: &mut Edits) -> Result<()> {
        let before = state::get("requests").map_or(0, |count| count[0]);
        state::put("requests", [before + 1], 10);
        let mut seen = self.seen.recorder();
        let request = seen.text(&before.to_string());
        for cell in batch.cells(self.who) {
            seen.record([1.0], [cell.into(), request]);
        }
        seen.finish();
        let is_bad = |cell: Cell<'_>| cell.value.text().is_some_and(|text| text.bytes == b"bad");
        if batch.cells(self.who).any(is_bad) {
            return Err(Error::bad_input("somebody is bad"));
        }
        Ok(())
    }
}

#[test]
fn what_is_counted_and_kept_counts_with_an_answer_and_not_without() {
    let mut plugin = Tested::<Counts>::new(json!(null)).unwrap();
    let request = |who: &str| span_with(json!([attribute("who", who)]));
    plugin.run(&request("ada")).unwrap();
    plugin.run(&request("bad")).unwrap_err();
    plugin.run(&request("ada")).unwrap();
    // What is kept for ten seconds is over.
    plugin.set_now_ns(1_732_215_700_000_000_000);
    plugin.run(&request("ada")).unwrap();
    let label = |key: &str, text: &str| (key.to_owned(), text.to_owned());
    let counted: Vec<_> = recorded()
        .into_iter()
        .map(|series| (series.labels, series.values))
        .collect();
    let of = |request, values: &[f64]| {
        (
            vec![label("who", "ada"), label("request", request)],
            values.to_vec(),
        )
    };
    assert_eq!(counted, [of("0", &[1.0, 1.0]), of("1", &[1.0])]);
    assert!(recorded().is_empty());
}
