//! OTLP in protobuf into its JSON form, for people: tools and golden files, not the path.
//!
//! Fields come in the order of the schema, one attribute or value a line, so that two requests can
//! be compared line by line. What the schema does not know cannot be said in JSON and is left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::fields::{Field, Fields, Wire};
use super::super::schema::{self, Kind, Message, Spec, camel};
use crate::Batch;

/// How a request is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One line, as the OpenTelemetry Collector's file exporter writes them.
    Line,
    /// Indented, for reading; ends with a line feed.
    Indented,
}

/// The request as OTLP/JSON.
pub fn from_batch(batch: &Batch, layout: Layout) -> String {
    let mut writer = Writer {
        out: String::with_capacity(batch.bytes().len() * 3),
        layout,
        depth: 0,
    };
    let request = schema::request(batch.signal());
    if batch.bytes().is_empty() {
        // Nothing says which signal it was but the name of its list.
        let list = request.field(1).map_or("", |spec| spec.name);
        writer.out.push('{');
        writer.name(list);
        writer.out.push_str("[]}");
    } else {
        writer.message(request, batch.bytes());
    }
    if layout == Layout::Indented {
        writer.out.push('\n');
    }
    writer.out
}

struct Writer {
    out: String,
    layout: Layout,
    depth: usize,
}

impl Writer {
    fn message(&mut self, message: &Message, bytes: &[u8]) {
        let mut fields: Vec<_> = Fields::new(bytes)
            .filter(|field| message.field(field.number).is_some())
            .collect();
        // Stable: the elements of a list keep their order.
        fields.sort_by_key(|field| field.number);
        let open = !is_leaf(message);
        self.out.push('{');
        let runs = fields.chunk_by(|one, next| one.number == next.number);
        let mut first = true;
        for run in runs {
            let Some(spec) = run.first().and_then(|field| message.field(field.number)) else {
                continue;
            };
            self.next(open, first);
            first = false;
            self.name(spec.name);
            if spec.times.is_repeated() {
                let open = open && matches!(spec.kind, Kind::Message(_));
                self.list(spec, run, open);
            } else if let Some(last) = run.last() {
                self.value(spec.kind, last.value);
            }
        }
        self.close(open && !first);
        self.out.push('}');
    }

    fn list(&mut self, spec: &Spec, run: &[Field<'_>], open: bool) {
        self.out.push('[');
        let mut first = true;
        for field in run {
            let values = match field.value {
                Wire::Len(packed) if spec.kind.is_number() => unpacked(spec.kind, packed),
                value => vec![value],
            };
            for value in values {
                self.next(open, first);
                first = false;
                self.value(spec.kind, value);
            }
        }
        self.close(open && !first);
        self.out.push(']');
    }

    /// Before an element: the comma of the one before, and where lines are wanted a new one.
    fn next(&mut self, open: bool, first: bool) {
        let indented = self.layout == Layout::Indented;
        if !first {
            self.out.push(',');
        }
        if open && indented {
            self.depth += usize::from(first);
            self.line();
        } else if indented && !first {
            self.out.push(' ');
        }
    }

    fn close(&mut self, opened: bool) {
        if opened && self.layout == Layout::Indented {
            self.depth -= 1;
            self.line();
        }
    }

    fn line(&mut self) {
        self.out.push('\n');
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
    }

    fn name(&mut self, name: &str) {
        self.out.push('"');
        self.out.extend(camel(name).map(char::from));
        self.out.push_str("\":");
        if self.layout == Layout::Indented {
            self.out.push(' ');
        }
    }

    fn value(&mut self, kind: Kind, value: Wire<'_>) {
        match (kind, value) {
            (Kind::Message(message), Wire::Len(bytes)) => self.message(message, bytes),
            (Kind::Text, Wire::Len(text)) => self.text(&String::from_utf8_lossy(text)),
            (Kind::Bytes, Wire::Len(bytes)) => self.text(&STANDARD.encode(bytes)),
            (Kind::Id, Wire::Len(bytes)) => {
                self.out.push('"');
                for byte in bytes {
                    self.show(format_args!("{byte:02x}"));
                }
                self.out.push('"');
            }
            (Kind::Bool, Wire::Varint(word)) => self.show(format_args!("{}", word != 0)),
            (Kind::Double, Wire::Fixed64(word)) => self.double(f64::from_bits(word)),
            // 64-bit numbers are strings in proto3 JSON: not every reader has integers.
            (Kind::Uint64, Wire::Varint(word)) | (Kind::Fixed64, Wire::Fixed64(word)) => {
                self.show(format_args!("\"{word}\""));
            }
            (Kind::Int64, Wire::Varint(word)) | (Kind::Sfixed64, Wire::Fixed64(word)) => {
                self.show(format_args!("\"{}\"", word.cast_signed()));
            }
            (Kind::Fixed32, Wire::Fixed32(word)) => self.show(format_args!("{word}")),
            #[expect(clippy::cast_possible_truncation, reason = "32-bit fields")]
            (Kind::Sint32, Wire::Varint(word)) => {
                let word = word as u32;
                let signed = (word >> 1).cast_signed() ^ -(word & 1).cast_signed();
                self.show(format_args!("{signed}"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "32-bit fields")]
            (Kind::Uint32, Wire::Varint(word)) => self.show(format_args!("{}", word as u32)),
            #[expect(clippy::cast_possible_truncation, reason = "32-bit fields")]
            (Kind::Int32 | Kind::Enum(_), Wire::Varint(word)) => {
                self.show(format_args!("{}", word as i32));
            }
            // Of another wire type than its kind: a parser passes over it, JSON has to say something.
            _ => self.out.push_str("null"),
        }
    }

    fn show(&mut self, what: std::fmt::Arguments<'_>) {
        use std::fmt::Write as _;
        // Writing into a string does not fail.
        let _ = self.out.write_fmt(what);
    }

    fn text(&mut self, text: &str) {
        self.show(format_args!("{}", serde_json::Value::from(text)));
    }

    fn double(&mut self, value: f64) {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.show(format_args!("{number}")),
            None if value.is_nan() => self.out.push_str("\"NaN\""),
            None if value > 0.0 => self.out.push_str("\"Infinity\""),
            None => self.out.push_str("\"-Infinity\""),
        }
    }
}

/// What is readable on one line: attributes, values, statuses, scopes without attributes.
fn is_leaf(message: &Message) -> bool {
    let deep = |spec: &Spec| matches!(spec.kind, Kind::Message(_)) && spec.times.is_repeated();
    schema::is_any_value(message) || !message.fields.iter().flatten().any(deep) || message.nests
}

fn unpacked(kind: Kind, packed: &[u8]) -> Vec<Wire<'_>> {
    if kind.is_varint() {
        let mut rest = packed;
        let mut words = Vec::new();
        while let Some((word, after)) = varint(rest) {
            words.push(Wire::Varint(word));
            rest = after;
        }
        return words;
    }
    let fixed64 = |word: &[u8]| word.try_into().map(u64::from_le_bytes).unwrap_or_default();
    packed
        .chunks_exact(8)
        .map(|word| Wire::Fixed64(fixed64(word)))
        .collect()
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut word = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        word |= u64::from(byte & 0x7f) << (index * 7);
        if byte & 0x80 == 0 {
            return Some((word, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Signal};

    fn batch(signal: Signal, json: &str) -> Batch {
        Batch::from_json(signal, json.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn what_is_written_reads_as_the_same_bytes() {
        let span = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"x\"y"}}]},"scopeSpans":[{"scope":{"name":"lib"},"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"GET","kind":2,"startTimeUnixNano":"1732215600000000000","endTimeUnixNano":"1732215600000000001","attributes":[{"key":"i","value":{"intValue":"-5"}},{"key":"d","value":{"doubleValue":2.5}},{"key":"n","value":{}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{"bytesValue":"AQI="}]}}}],"events":[{"timeUnixNano":"5","name":"e"}],"status":{"message":"no","code":2},"flags":257}]}]}]}"#;
        let log = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","severityNumber":9,"body":{"kvlistValue":{"values":[{"key":"a","value":{"stringValue":"b"}}]}}},{"body":{"stringValue":"two"}}]}]}]}"#;
        let points = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"dataPoints":[{"count":"3","sum":1.5,"bucketCounts":["1","2"],"explicitBounds":[0.5]}],"aggregationTemporality":2}},{"name":"e","exponentialHistogram":{"dataPoints":[{"scale":-3,"positive":{"offset":-1,"bucketCounts":["1","300"]}}]}},{"name":"g","gauge":{"dataPoints":[{"asDouble":"NaN"},{"asInt":"-7"}]}}]}]}]}"#;
        for (signal, json) in [
            (Signal::Traces, span),
            (Signal::Logs, log),
            (Signal::Metrics, points),
        ] {
            let read = batch(signal, json);
            assert_eq!(from_batch(&read, Layout::Line), json);
            let indented = from_batch(&read, Layout::Indented);
            assert_eq!(batch(signal, &indented).bytes(), read.bytes());
        }
    }

    #[test]
    fn an_attribute_is_a_line_and_an_empty_request_says_its_signal() {
        let json = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"x"}},{"key":"b","value":{"intValue":"1"}}]}}]}"#;
        let want = r#"{
  "resourceLogs": [
    {
      "resource": {
        "attributes": [
          {"key": "a", "value": {"stringValue": "x"}},
          {"key": "b", "value": {"intValue": "1"}}
        ]
      }
    }
  ]
}
"#;
        assert_eq!(
            from_batch(&batch(Signal::Logs, json), Layout::Indented),
            want
        );
        let empty = batch(Signal::Metrics, "{}");
        assert_eq!(
            from_batch(&empty, Layout::Line),
            r#"{"resourceMetrics":[]}"#
        );
    }
}
