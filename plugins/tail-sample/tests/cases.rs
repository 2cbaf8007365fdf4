//! The cases natively; `petrel plugin test` runs the same files in the host.

use petrel_plugin::testing::{Tested, Value, json};
use tail_sample::TailSample;

#[test]
fn every_case_comes_out_as_expected() {
    petrel_plugin::testing::golden::<TailSample>("cases");
}

const START: u64 = 1_732_215_600_000_000_000;

fn span(trace: u8, status: u8) -> Value {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": format!("{trace:032x}"),
        "spanId": "0000000000000001",
        "name": "GET /",
        "status": {"code": status},
    }]}]}]})
}

fn spans(request: &Value) -> usize {
    let groups = request["resourceSpans"].as_array();
    let groups = groups.map(Vec::as_slice).unwrap_or_default();
    let scopes = groups
        .iter()
        .flat_map(|group| group["scopeSpans"].as_array().into_iter().flatten());
    scopes
        .map(|scope| scope["spans"].as_array().map_or(0, Vec::len))
        .sum()
}

#[test]
fn what_waited_when_a_new_version_took_over_is_decided_by_it_in_time() {
    let config = json!({"decision_wait_s": 5, "ratio": 1});
    let mut plugin = Tested::<TailSample>::new(config.clone()).unwrap();
    assert_eq!(spans(&plugin.run(&span(1, 0)).unwrap()), 0);
    plugin.replace(config).unwrap();
    plugin.set_now_ns(START + 5_000_000_000);
    assert_eq!(spans(&plugin.run(&span(2, 0)).unwrap()), 1);
}

#[test]
fn of_too_many_traces_the_oldest_are_decided_early() {
    let config = json!({"max_traces": 2, "ratio": 1});
    let mut plugin = Tested::<TailSample>::new(config).unwrap();
    let out: Vec<_> = (1..=5)
        .map(|trace| spans(&plugin.run(&span(trace, 0)).unwrap()))
        .collect();
    assert_eq!(out, [0, 0, 1, 1, 1]);
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_what_would() {
    let error = |config| Tested::<TailSample>::new(config).unwrap_err().to_string();
    assert!(error(json!({"ratio": 2})).contains("between 0 and 1"));
    assert!(error(json!({"decision_wait_s": 0})).contains("decision_wait_s"));
    assert!(error(json!({"max_traces": 0})).contains("max_traces"));
}
