//! Rows of the log as an OTLP request: always the same bytes for the same rows.

use petrel_wire::otlp::fields::{put_fixed64, put_len, put_message, put_varint_field};
use serde_json::Value;

/// One span as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) parent: u64,
    pub(super) name: String,
    pub(super) start_us: u64,
    pub(super) finish_us: u64,
    /// From 0, INTERNAL to CONSUMER.
    pub(super) kind: u64,
    pub(super) attributes: Vec<(String, String)>,
}

impl Row {
    /// As [`super::columns`] asks for it.
    pub(super) fn read(cells: &[Value]) -> Option<Self> {
        let text = |at: usize| cells.get(at).and_then(Value::as_str);
        let number = |at: usize| text(at)?.parse::<u64>().ok();
        let texts = |at: usize| {
            let cells = cells.get(at)?.as_array()?.iter();
            cells
                .map(|cell| cell.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        };
        Some(Self {
            trace: u128::from_str_radix(text(0)?, 16).ok()?,
            span: number(1)?,
            parent: number(2)?,
            name: text(3)?.to_owned(),
            start_us: number(4)?,
            finish_us: number(5)?,
            kind: number(6).unwrap_or(0),
            attributes: texts(7)?.into_iter().zip(texts(8)?).collect(),
        })
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let (_, value) = attributes.find(|(key, _)| key == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_len(out, 1, &self.trace.to_be_bytes());
        put_len(out, 2, &self.span.to_be_bytes());
        if self.parent != 0 {
            put_len(out, 4, &self.parent.to_be_bytes());
        }
        put_len(out, 5, self.name.as_bytes());
        put_varint_field(out, 6, self.kind.saturating_add(1));
        put_fixed64(out, 7, self.start_us.saturating_mul(1000));
        put_fixed64(out, 8, self.finish_us.saturating_mul(1000));
        for (key, value) in &self.attributes {
            put_text_attribute(out, 9, key, value);
        }
        let code = self
            .attribute("clickhouse.exception_code")
            .filter(|code| *code != "0");
        let words = self.attribute("clickhouse.exception");
        if code.is_some() || words.is_some() {
            put_message(out, 15, |out| {
                put_len(out, 2, words.unwrap_or_default().as_bytes());
                put_varint_field(out, 3, 2);
            });
        }
    }
}

/// An export request with these spans, of the service `clickhouse`. Spans without an id, which the
/// log does not have, would be none.
pub(super) fn request(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    put_message(&mut out, 1, |out| {
        put_message(out, 1, |out| {
            put_text_attribute(out, 1, "service.name", "clickhouse");
            put_text_attribute(out, 1, "db.system.name", "clickhouse");
        });
        put_message(out, 2, |out| {
            put_message(out, 1, |out| {
                put_len(out, 1, b"system.opentelemetry_span_log");
            });
            for row in rows {
                put_message(out, 2, |out| row.write(out));
            }
        });
    });
    out
}

fn put_text_attribute(out: &mut Vec<u8>, number: u32, key: &str, value: &str) {
    put_message(out, number, |out| {
        put_len(out, 1, key.as_bytes());
        put_message(out, 2, |out| put_len(out, 1, value.as_bytes()));
    });
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
    use prost::Message as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_a_span_of_clickhouse_and_an_exception_its_status() {
        let cells = json!([
            "0af7651916cd43dd8448eb211c80319c",
            "255",
            "7",
            "query",
            "1700000000000000",
            "1700000000001500",
            "1",
            [
                "db.statement",
                "clickhouse.exception_code",
                "clickhouse.exception"
            ],
            ["SELECT 1", "60", "no such table"]
        ]);
        let row = Row::read(cells.as_array().unwrap()).unwrap();
        let request = ExportTraceServiceRequest::decode(request(&[row]).as_slice()).unwrap();
        let span = &request.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!(
            span.trace_id,
            0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()
        );
        assert_eq!(
            (span.span_id.as_slice(), span.parent_span_id.as_slice()),
            (
                255_u64.to_be_bytes().as_slice(),
                7_u64.to_be_bytes().as_slice()
            )
        );
        assert_eq!(
            (span.name.as_str(), span.kind()),
            ("query", SpanKind::Server)
        );
        assert_eq!(
            span.end_time_unix_nano - span.start_time_unix_nano,
            1_500_000
        );
        let status = span.status.as_ref().unwrap();
        assert_eq!(
            (status.code(), status.message.as_str()),
            (StatusCode::Error, "no such table")
        );
        assert_eq!(span.attributes.len(), 3);
    }

    #[test]
    fn a_row_that_is_none_is_not_read() {
        assert_eq!(Row::read(&[]), None);
        let short = json!(["xyz", "1", "0", "q", "1", "2", "0", [], []]);
        assert_eq!(Row::read(short.as_array().unwrap()), None);
    }
}
