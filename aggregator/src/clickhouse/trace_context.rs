//! The trace context that every statement carries, so that ClickHouse records what it does for it.
//!
//! A server that keeps `system.opentelemetry_span_log` writes spans for every statement with a
//! `traceparent` header (W3C Trace Context). What somebody asked gets a trace of its own. What this
//! program does by itself, round the clock, gets one as well, but with a prefix by which the
//! importer of the span log passes it over: imported spans are inserted, which makes spans.

use ::clickhouse::Client;

/// Why a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Somebody wants to know.
    Person,
    /// Inserts, migrations, imports.
    Machine,
}

/// The first 48 bits of trace ids that belong to no person's question: "petrel" in ASCII.
pub(crate) const MACHINE: &str = "70657472656c";

/// A client whose next statement begins a trace.
pub(crate) fn traced(client: &Client, sender: Sender) -> Client {
    match traceparent(sender) {
        Some(value) => client.clone().with_header("traceparent", value),
        // Without random numbers there are no traces; the statement is worth more.
        None => client.clone(),
    }
}

fn traceparent(sender: Sender) -> Option<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).ok()?;
    let trace = u128::from_be_bytes(*bytes.first_chunk()?).max(1);
    let span = u64::from_be_bytes(*bytes.last_chunk()?).max(1);
    let trace = format!("{trace:032x}");
    Some(match sender {
        Sender::Person if trace.starts_with(MACHINE) => {
            format!("00-f{}-{span:016x}-01", &trace[1..])
        }
        Sender::Person => format!("00-{trace}-{span:016x}-01"),
        Sender::Machine => format!("00-{MACHINE}{}-{span:016x}-01", &trace[MACHINE.len()..]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_that_of_the_w3c_and_tells_people_from_machines() {
        let machine = traceparent(Sender::Machine).unwrap();
        let person = traceparent(Sender::Person).unwrap();
        assert!(machine.starts_with("00-70657472656c"), "{machine}");
        assert!(!person.starts_with("00-70657472656c"), "{person}");
        for value in [machine, person] {
            let lengths: Vec<_> = value.split('-').map(str::len).collect();
            assert_eq!(lengths, [2, 32, 16, 2], "{value}");
            assert!(value.ends_with("-01"), "{value}");
        }
        assert_ne!(traceparent(Sender::Person), traceparent(Sender::Person));
    }
}
