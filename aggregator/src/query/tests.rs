//! The text of every question, and what must hold for all of them.

use std::fmt::Write as _;

use super::keys::Items;
use super::metrics::MetricQuestion;
use super::traces::After;
use super::*;

const DAY: i64 = 86_400 * NANOS_PER_S;
const NOON: i64 = 20_000 * DAY + DAY / 2 + 17;

fn scope() -> Scope {
    Scope(vec![7])
}

fn window() -> Window {
    Window::new(NOON, NOON + 3600 * NANOS_PER_S).unwrap()
}

fn filter(key: &str, op: Op, value: impl Into<Option<Value>>) -> Filter {
    Filter {
        key: key.to_owned(),
        op,
        value: value.into(),
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn show<R>(select: &Select<R>) -> String {
    let mut out = select.sql().to_owned();
    for (name, value) in select.params() {
        write!(out, "\n{name} = {value:?}").unwrap();
    }
    out
}

/// Every question there is, with filters of every kind.
fn questions() -> Vec<(&'static str, String)> {
    let (scope, window) = (scope(), window());
    let spans = [
        filter("service.name", Op::Equal, text("shop")),
        filter("duration", Op::AtLeast, text("100ms")),
        filter("status", Op::NotEqual, text("OK")),
        filter(
            "http.response.status_code",
            Op::AtLeast,
            Value::Number(500.0),
        ),
        filter("deployment.environment", Op::Missing, None),
    ];
    let records = [
        filter("severity", Op::AtLeast, text("warn")),
        filter("body", Op::Contains, text("timeout")),
        filter("trace_id", Op::Exists, None),
    ];
    let which = groups::Which {
        system: Some("http:till"),
        service: Some("till"),
        environment: Some("prod"),
        part: Some("orders"),
        order: groups::Order::Errors,
    };
    let logs = groups::Which {
        system: Some("log:"),
        ..groups::Which::default()
    };
    let labels = [filter("host.name", Op::Equal, text("web-1"))];
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traces_after = After {
        time: NOON,
        tie: trace.to_owned(),
    };
    let after = After {
        time: NOON,
        tie: 42,
    };
    let metric = MetricQuestion {
        metric: "http.server.duration",
        window,
        filters: &labels,
        step_ms: 60_000,
    };
    let ids = [trace.to_owned()];
    let words = Some("connection refused");
    vec![
        (
            "traces_search",
            show(&traces::search(&scope, window, &spans, 101, Some(&traces_after)).unwrap()),
        ),
        ("traces_extents", show(&traces::extents(&scope, &ids))),
        (
            "traces_find",
            show(&traces::extents(&Scope(vec![1, 2]), &ids)),
        ),
        (
            "traces_summaries",
            show(&traces::summaries(&scope, window, &ids)),
        ),
        (
            "spans_search",
            show(&traces::spans(&scope, window, &spans, 101, Some(&after)).unwrap()),
        ),
        (
            "spans_timeseries",
            show(&traces::timeseries(&scope, window, &spans, 60_000).unwrap()),
        ),
        (
            "trace_outline",
            show(&traces::outline(&scope, window, trace, 100)),
        ),
        (
            "trace_logged",
            show(&traces::logged(&scope, window, trace, 100)),
        ),
        (
            "trace_spans",
            show(&traces::full(&scope, window, trace, &[1, 2])),
        ),
        ("resources", show(&traces::resources(&scope, &[1, 2]))),
        (
            "logs_search",
            show(&logs::search(&scope, window, &records, words, 101, Some((&after, 2))).unwrap()),
        ),
        (
            "logs_of_trace",
            show(&logs::of_trace(&scope, window, trace, 100)),
        ),
        (
            "logs_histogram",
            show(&logs::histogram(&scope, window, &records, words, 60_000).unwrap()),
        ),
        ("services", show(&services::list(&scope, window))),
        (
            "services_counted",
            show(&services::counted(&scope, window, Level::FiveMinutes)),
        ),
        ("edges", show(&edges::list(&scope, window))),
        (
            "cardinality_attributes",
            show(&cardinality::attributes(&scope, window, Items::Logs)),
        ),
        (
            "groups",
            show(&groups::list(&scope, window, Level::Minutes, &which)),
        ),
        (
            "groups_of_a_kind",
            show(&groups::list(&scope, window, Level::Hours, &logs)),
        ),
        ("metrics_list", show(&metrics::list(&scope, window))),
        ("metrics_series", show(&metric.series(&scope).unwrap())),
        ("metrics_numbers", show(&metric.numbers(&scope).unwrap())),
        (
            "metrics_distributions",
            show(&metric.distributions(&scope).unwrap()),
        ),
        (
            "keys_traces",
            show(&keys::keys(&scope, window, Items::Traces, Some("http"))),
        ),
        (
            "keys_metrics",
            show(&keys::keys(&scope, window, Items::Metrics, None)),
        ),
        (
            "values_frequent",
            show(&keys::values(
                &scope,
                window,
                Items::Traces,
                "http.method",
                None,
            )),
        ),
        (
            "values_logs",
            show(&keys::values(
                &scope,
                window,
                Items::Logs,
                "host.name",
                Some("web"),
            )),
        ),
        (
            "values_services",
            show(&keys::values(
                &scope,
                window,
                Items::Traces,
                "service.name",
                None,
            )),
        ),
    ]
}

#[test]
fn every_question_reads_as_it_did() {
    for (name, text) in questions() {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn no_table_is_read_without_its_project_its_bucket_and_its_time() {
    let tables = [
        "span_rows",
        "log_rows",
        "samples",
        "histogram_samples",
        "trace_index",
        "resources",
        "series",
        "attribute_values",
        "group_minutes",
        "group_five_minutes",
        "group_hours",
        "service_edges",
    ];
    for (name, text) in questions() {
        let mut rest = text.as_str();
        while let Some(at) = rest.find(" FROM ") {
            rest = &rest[at + 6..];
            let table = rest.split([' ', ')']).next().unwrap_or("");
            if table.starts_with('(') {
                continue;
            }
            assert!(tables.contains(&table), "{name} reads {table}");
            let condition = &rest[table.len()..];
            let project = condition.starts_with(" WHERE project_id = {")
                || condition.starts_with(" WHERE has({");
            assert!(project, "{name}: {table}: {condition}");
            if matches!(
                table,
                "span_rows" | "log_rows" | "samples" | "histogram_samples"
            ) {
                let end = condition[1..].find(" FROM ").unwrap_or(condition.len() - 1);
                for part in [" bucket >= ", " bucket <= ", " time >= ", " time <= "] {
                    assert!(
                        condition[..=end].contains(part),
                        "{name}: {table} without{part}"
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_that_a_user_typed_is_part_of_the_text() {
    let hostile = [
        "\\",
        "'",
        "\\'",
        "`",
        "\"",
        "\0",
        "--",
        "/* */",
        "{p0:String}",
        "{x:Identifier}",
        "?",
        "??",
        "') OR 1=1 --",
        "’",
        "\u{202e}",
        "x'] OR attributes['y",
    ];
    let calm = traces::spans(
        &scope(),
        window(),
        &[
            filter("calm", Op::Equal, text("calm")),
            filter("name", Op::Contains, text("calm")),
        ],
        10,
        None,
    );
    let calm = calm.unwrap();
    for word in hostile {
        let filters = [
            filter(word, Op::Equal, text(word)),
            filter("name", Op::Contains, text(word)),
        ];
        let asked = traces::spans(&scope(), window(), &filters, 10, None).unwrap();
        assert_eq!(asked.sql(), calm.sql(), "{word:?}");
        let held = |(_, value): &(String, Param)| *value == Param::Text(word.to_owned());
        assert!(asked.params().iter().any(held), "{word:?}");
        let values = keys::values(&scope(), window(), Items::Logs, word, Some(word));
        let quiet = keys::values(&scope(), window(), Items::Logs, "calm", Some("calm"));
        assert_eq!(values.sql(), quiet.sql(), "{word:?}");
    }
}

#[test]
fn the_buckets_of_a_window_cover_it_and_no_more() {
    let ask = |from, to| {
        let window = Window::new(from, to).unwrap();
        let mut sql = Sql::new("");
        sql.from(Table::Spans, &scope(), window);
        let numbers = sql.params.iter().filter_map(|(_, value)| match value {
            Param::Integer(number) => Some(*number),
            _ => None,
        });
        numbers.take(2).collect::<Vec<_>>()
    };
    assert_eq!(
        ask(300 * NANOS_PER_S, 600 * NANOS_PER_S),
        [300, 300 * NANOS_PER_S],
        "one bucket"
    );
    assert_eq!(ask(299 * NANOS_PER_S, 600 * NANOS_PER_S + 1)[..2], [0, 600]);
}

#[test]
fn windows_grow_backwards_to_the_whole() {
    let window = Window::new(NOON - 10 * DAY, NOON).unwrap();
    let reach: Vec<i64> = window
        .newest_first()
        .map(|part| (part.to() - part.from()) / NANOS_PER_S)
        .collect();
    assert_eq!(reach, [900, 3 * 3600, 86_400, 864_000]);
    let short = Window::new(NOON - 60 * NANOS_PER_S, NOON).unwrap();
    assert_eq!(short.newest_first().collect::<Vec<_>>(), [short]);
    assert_eq!(Window::new(5, 5), None);
    assert_eq!(Window::new(-1, 5), None);
    assert_eq!(Window::new(0, i64::MAX), None);
}

#[test]
fn a_chart_has_about_sixty_steps_and_never_more_than_a_thousand() {
    for seconds in [1, 60, 900, 3600, 86_400, 30 * 86_400, 400 * 86_400] {
        let window = Window::new(NOON, NOON + seconds * NANOS_PER_S).unwrap();
        let step = step_ms(window, None);
        let count = steps(window, step).len();
        assert!(
            (1..=92).contains(&count),
            "{seconds} s: {count} steps of {step} ms"
        );
        assert!(steps(window, step_ms(window, Some(1))).len() <= 1001);
    }
    let window = Window::new(NOON, NOON + 90 * NANOS_PER_S).unwrap();
    assert_eq!(steps(window, 60_000).len(), 2);
    assert_eq!(steps(window, 60_000)[0] % 60_000, 0);
}

#[test]
fn ids_are_hexadecimal_and_never_zero() {
    let id = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(
        trace_id("0AF76519-16CD-43DD-8448-EB211C80319C").as_deref(),
        Some(id)
    );
    for bad in [
        "",
        "0af7",
        &"0".repeat(32),
        "0af7651916cd43dd8448eb211c80319'",
    ] {
        assert_eq!(trace_id(bad), None, "{bad}");
    }
    assert_eq!(span_id("00f067aa0ba902b7"), Some(0x00f0_67aa_0ba9_02b7));
    assert_eq!(span_hex(0x00f0_67aa_0ba9_02b7), "00f067aa0ba902b7");
    assert_eq!(span_hex(0), "");
    for bad in ["", "0", "x", "0000f067aa0ba902b7ff", "+1"] {
        assert_eq!(span_id(bad), None, "{bad}");
    }
}

#[test]
fn filters_that_make_no_sense_say_why() {
    let ask = |filter| {
        traces::spans(&scope(), window(), &[filter], 1, None)
            .map(drop)
            .unwrap_err()
    };
    assert_eq!(
        ask(filter("x", Op::Equal, None)),
        FilterError::NoValue("x".to_owned())
    );
    assert_eq!(
        ask(filter("x", Op::Less, text("y"))),
        FilterError::NotANumber("x".to_owned())
    );
    assert_eq!(ask(filter("", Op::Exists, None)), FilterError::BadKey);
    assert!(matches!(
        ask(filter("kind", Op::Less, text("server"))),
        FilterError::BadValue(..)
    ));
    assert!(matches!(
        ask(filter("trace_id", Op::Equal, text("x"))),
        FilterError::BadValue(..)
    ));
    let many = vec![filter("x", Op::Exists, None); 51];
    let error = traces::spans(&scope(), window(), &many, 1, None).unwrap_err();
    assert_eq!(error, FilterError::TooMany);
}
