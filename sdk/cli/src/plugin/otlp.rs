//! Reading and writing requests: OTLP/JSON, one after the other, or one in protobuf.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::ValueEnum;
use petrel_wire::otlp::json::{Layout, from_batch};
use petrel_wire::{Batch, Limits, Signal};
use serde::de::IgnoredAny;
use serde_json::Value;

/// A signal as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignalName {
    Traces,
    Logs,
    Metrics,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Traces => Self::Traces,
            SignalName::Logs => Self::Logs,
            SignalName::Metrics => Self::Metrics,
        }
    }
}

/// How requests were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Protobuf,
}

/// Reads all requests of `input`; `signal` is needed for protobuf, which does not say its own.
pub(crate) fn read(input: Vec<u8>, signal: Option<Signal>) -> anyhow::Result<(Form, Vec<Batch>)> {
    if input.trim_ascii_start().first() == Some(&b'{') {
        return Ok((Form::Json, read_json(&input)?));
    }
    let Some(signal) = signal else {
        bail!(
            "this is not JSON; for protobuf say of which signal: --signal traces, logs or metrics"
        );
    };
    let batch = Batch::from_protobuf(signal, input.into(), &Limits::default())
        .with_context(|| format!("this is no {signal} request in protobuf"))?;
    Ok((Form::Protobuf, vec![batch]))
}

/// Requests in OTLP/JSON, one after the other, as the Collector's file exporter writes them.
pub(crate) fn read_json(input: &[u8]) -> anyhow::Result<Vec<Batch>> {
    let mut requests = serde_json::Deserializer::from_slice(input).into_iter::<IgnoredAny>();
    let mut batches = Vec::new();
    loop {
        let start = requests.byte_offset();
        let number = batches.len() + 1;
        match requests.next() {
            None => return Ok(batches),
            Some(Err(error)) => bail!("request {number} is not JSON: {error}"),
            Some(Ok(_)) => {}
        }
        let text = &input[start..requests.byte_offset()];
        let signal = signal_of(text).with_context(|| {
            format!(
                "request {number} is no OTLP/JSON: it has neither resourceSpans nor resourceLogs nor resourceMetrics"
            )
        })?;
        let batch = Batch::from_json(signal, text, &Limits::default())
            .with_context(|| format!("request {number}"))?;
        batches.push(batch);
    }
}

fn signal_of(text: &[u8]) -> Option<Signal> {
    let request: BTreeMap<String, Value> = serde_json::from_slice(text).ok()?;
    [
        ("resourceSpans", Signal::Traces),
        ("resourceLogs", Signal::Logs),
        ("resourceMetrics", Signal::Metrics),
    ]
    .into_iter()
    .find_map(|(key, signal)| request.contains_key(key).then_some(signal))
}

/// In the form that it came in.
pub(crate) fn write(batches: &[Batch], form: Form, layout: Layout) -> Vec<u8> {
    let mut out = Vec::new();
    for batch in batches {
        match form {
            Form::Protobuf => out.extend_from_slice(batch.bytes()),
            Form::Json => {
                out.extend_from_slice(from_batch(batch, layout).as_bytes());
                if layout == Layout::Line {
                    out.push(b'\n');
                }
            }
        }
    }
    out
}

/// What is left of a request that lost everything.
pub(crate) fn empty(signal: Signal) -> anyhow::Result<Batch> {
    Ok(Batch::from_protobuf(
        signal,
        Bytes::new(),
        &Limits::default(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_all_signals_may_follow_each_other() {
        let input = b"{\"resourceLogs\":[]}\n{\"resourceSpans\":[]} {\"resourceMetrics\":[]}\n";
        let (form, batches) = read(input.to_vec(), None).unwrap();
        assert_eq!(form, Form::Json);
        let signals: Vec<_> = batches.iter().map(Batch::signal).collect();
        assert_eq!(signals, [Signal::Logs, Signal::Traces, Signal::Metrics]);
    }

    #[test]
    fn a_mistake_is_named_with_its_request_and_cure() {
        let error = |input: &[u8]| format!("{:#}", read(input.to_vec(), None).unwrap_err());
        assert!(error(b"\x0a\x00").contains("--signal traces"));
        assert!(
            error(b"{\"resourceLogs\":[]}{\"spans\":[]}").contains("request 2 is no OTLP/JSON")
        );
        assert!(error(b"{\"resourceLogs\":[]}{").contains("request 2 is not JSON"));
        let wrong = error(b"{\"resourceLogs\":[{\"scopeLogs\":5}]}");
        assert!(wrong.contains("scopeLogs"), "{wrong}");
    }
}
