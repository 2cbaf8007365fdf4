//! Telemetry without what it says: every value is replaced by another one of its shape.
//!
//! Letters become letters and digits digits, the rest stays, so that an address still looks like an
//! address and a card number like a card number (though its check digit is wrong now and then). The
//! same text becomes the same stand-in within a file, so that what was equal stays equal. What names
//! things rather than people stays: attribute keys, names of metrics, scopes and units, times, counts.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use serde_json::Value;

/// Replaces values, the same ones in the same way.
#[derive(Debug, Default)]
pub(crate) struct Scrubber {
    /// With keys of its own, from the system's randomness.
    hash: RandomState,
}

/// Texts of OTLP/JSON that say nothing about anybody.
const KEPT: [&str; 11] = [
    "key",
    "unit",
    "schemaUrl",
    "severityText",
    "count",
    "zeroCount",
    "asInt",
    "bucketCounts",
    "min",
    "max",
    "sum",
];
/// In hexadecimal.
const IDS: [&str; 3] = ["traceId", "spanId", "parentSpanId"];

impl Scrubber {
    /// A whole request.
    pub(crate) fn scrub(&self, request: &mut Value) {
        self.inside("", "", request);
    }

    /// `within` and `name`: the key of the value, and the one that is around it.
    fn inside(&self, within: &str, name: &str, value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, inner) in object {
                    self.inside(name, key, inner);
                }
            }
            Value::Array(list) => {
                for inner in list {
                    self.inside(within, name, inner);
                }
            }
            Value::String(text) => {
                let kept = KEPT.contains(&name)
                    || name.ends_with("UnixNano")
                    || (matches!(name, "name" | "version")
                        && matches!(within, "scope" | "metrics"))
                    || (matches!(name, "description") && within == "metrics");
                if kept {
                    return;
                }
                *text = match name {
                    "bytesValue" => "AAAA".to_owned(),
                    _ if IDS.contains(&name) => self.like(text, b"0123456789abcdef"),
                    _ => self.like(text, b""),
                };
            }
            Value::Number(_) if name == "doubleValue" => *value = 1.5.into(),
            _ => {}
        }
    }

    /// A stand-in; of `digits` alone, if there are any.
    fn like(&self, text: &str, digits: &[u8]) -> String {
        let mut state = self.hash.hash_one(text);
        let mut next = |letters: &[u8]| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(state >> 33).unwrap_or(0) % letters.len().max(1);
            char::from(letters.get(at).copied().unwrap_or(b'x'))
        };
        let stand_in = |letter: char| match letter {
            _ if !digits.is_empty() => next(digits),
            '0'..='9' => next(b"0123456789"),
            'A'..='Z' => next(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            letter if letter.is_alphanumeric() => next(b"abcdefghijklmnopqrstuvwxyz"),
            other => other,
        };
        text.chars().map(stand_in).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_replaced_by_others_of_their_shape_and_names_stay() {
        let mut request = json!({ "resourceSpans": [{
            "resource": { "attributes": [{ "key": "host.name", "value": { "stringValue": "Berlin-7" } }] },
            "scopeSpans": [{ "scope": { "name": "lib", "version": "1.2" }, "spans": [{
                "traceId": "5b8efff798038103d269b633813fc60c",
                "name": "GET /users/ada",
                "startTimeUnixNano": "1544712660000000000",
                "attributes": [
                    { "key": "user", "value": { "stringValue": "ada@example.com" } },
                    { "key": "again", "value": { "arrayValue": { "values": [
                        { "stringValue": "ada@example.com" }, { "intValue": "4711" }] } } },
                ],
            }]}],
        }]});
        let before = request.clone();
        Scrubber::default().scrub(&mut request);
        let text = request.to_string();
        for gone in ["ada", "example", "Berlin", "5b8e", "4711"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        let span =
            |request: &Value| request["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone();
        let (was, is) = (span(&before), span(&request));
        assert_eq!(was["startTimeUnixNano"], is["startTimeUnixNano"]);
        let user = |span: &Value| span["attributes"][0]["value"]["stringValue"].clone();
        let stand_in = user(&is);
        let stand_in = stand_in.as_str().unwrap();
        assert_eq!((stand_in.len(), stand_in.find('@')), (15, Some(3)));
        let again = &is["attributes"][1]["value"]["arrayValue"]["values"][0]["stringValue"];
        assert_eq!(again, stand_in);
        assert_eq!(is["attributes"][0]["key"], "user");
        assert!(text.contains(r#""name":"lib""#) && text.contains(r#""version":"1.2""#));
    }

    #[test]
    fn every_file_has_stand_ins_of_its_own() {
        let like = |scrubber: &Scrubber| scrubber.like("something to hide", b"");
        let (one, another) = (Scrubber::default(), Scrubber::default());
        assert_eq!(like(&one), like(&one));
        assert_ne!(like(&one), like(&another));
    }
}
