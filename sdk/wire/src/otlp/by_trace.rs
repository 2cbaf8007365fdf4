//! Spans by trace: of which traces a request has spans, and a request with only some of its spans.
//!
//! Nothing is decoded: a span that is taken is copied as it is, with what its resource and scope say
//! about themselves. Containers of which no span is taken are left out.

use std::collections::HashMap;

use super::fields::{Field, Fields, put_len};
use super::view;
use crate::{Batch, Signal};

/// Sixteen bytes, as they are sent.
pub type TraceId = [u8; 16];

/// `Span.attributes` and `.trace_state`; in an attribute `KeyValue.key` and `.value`, and in that `AnyValue.string_value`.
const ATTRIBUTES: u32 = 9;
const TRACESTATE: u32 = 3;
const KEY: u32 = 1;
const VALUE: u32 = 2;
const TEXT: u32 = 1;
/// Where the threshold stands that a span was sampled with, as processors write it.
const THRESHOLD: &[u8] = b"sampling.threshold";
/// Hexadecimal digits of 56 bits.
const DIGITS: usize = 14;

/// What a request has of one trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracePart {
    /// Which trace.
    pub trace: TraceId,
    /// Spans of it.
    pub items: u32,
    /// Their encoded size.
    pub bytes: u64,
}

/// What becomes of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is left out.
    Leave,
    /// It is taken as it is.
    Keep,
    /// It is taken, and says under `sampling.threshold` that it was sampled with at least this
    /// threshold of 56 bits.
    Sampled(u64),
}

/// The traces of a request, in the order in which they are met. Spans without a valid trace id
/// belong to none.
pub fn trace_parts(batch: &Batch) -> Vec<TracePart> {
    let mut parts = Vec::<TracePart>::new();
    let mut places = HashMap::new();
    for (trace, bytes) in spans(batch).filter_map(|(trace, bytes)| Some((trace?, bytes))) {
        let place = *places.entry(trace).or_insert(parts.len());
        if place == parts.len() {
            parts.push(TracePart {
                trace,
                items: 0,
                bytes: 0,
            });
        }
        parts[place].items += 1;
        parts[place].bytes += bytes;
    }
    parts
}

fn spans(batch: &Batch) -> impl Iterator<Item = (Option<TraceId>, u64)> {
    let of_traces = batch.signal() == Signal::Traces;
    let bytes: &[u8] = if of_traces { batch.bytes() } else { &[] };
    let resources = view::Repeated::<view::ResourceSpans<'_>>::new(bytes, 1);
    resources
        .flat_map(|resource| resource.scopes())
        .flat_map(|scope| scope.spans())
        .map(|span| (trace_id(span.bytes()), span.bytes().len() as u64))
}

/// Of an encoded span; the last one counts, and all zeros is none.
fn trace_id(span: &[u8]) -> Option<TraceId> {
    let ids = Fields::new(span).filter(|field| field.number == 1);
    let id: TraceId = ids.last()?.len_bytes()?.try_into().ok()?;
    (id != [0; 16]).then_some(id)
}

/// A request with some of the spans of this one. `take` is asked about each, in their order, with
/// its position and its trace.
#[must_use]
pub fn select(batch: &Batch, take: impl FnMut(usize, Option<TraceId>) -> Take) -> Batch {
    let mut selection = Selection {
        take,
        position: 0,
        items: 0,
    };
    let mut out = Vec::with_capacity(batch.bytes().len());
    if batch.signal() == Signal::Traces {
        selection.container(batch.bytes(), &mut out, 0);
    }
    Batch::trusted(batch.signal(), selection.items, out.into())
}

struct Selection<F> {
    take: F,
    position: usize,
    items: u32,
}

impl<F: FnMut(usize, Option<TraceId>) -> Take> Selection<F> {
    /// Writes what is taken of a message, which is a request (0), a resource (1) or a scope (2).
    /// Whether anything of it is.
    fn container(&mut self, message: &[u8], out: &mut Vec<u8>, level: u32) -> bool {
        let child = if level == 0 { 1 } else { 2 };
        let mut is_taken = false;
        for field in Fields::new(message) {
            match field.len_bytes().filter(|_| field.number == child) {
                None => out.extend_from_slice(&message[field.range]),
                Some(span) if level == 2 => is_taken |= self.span(message, &field, span, out),
                Some(inner) => {
                    let mut kept = Vec::new();
                    if self.container(inner, &mut kept, level + 1) {
                        put_len(out, child, &kept);
                        is_taken = true;
                    }
                }
            }
        }
        is_taken
    }

    fn span(&mut self, scope: &[u8], field: &Field<'_>, span: &[u8], out: &mut Vec<u8>) -> bool {
        let taken = (self.take)(self.position, trace_id(span));
        self.position += 1;
        match taken {
            Take::Leave => return false,
            Take::Keep => out.extend_from_slice(&scope[field.range.clone()]),
            Take::Sampled(threshold) => put_len(out, field.number, &sampled(span, threshold)),
        }
        self.items += 1;
        true
    }
}

/// The span, with a threshold that is at least this.
fn sampled(span: &[u8], threshold: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(span.len() + 48);
    if in_tracestate(span).is_some_and(|before| before >= threshold) {
        return span.to_vec();
    }
    let mut highest = threshold;
    for field in Fields::new(span) {
        let attribute = field.len_bytes().filter(|_| field.number == ATTRIBUTES);
        match attribute.and_then(recorded) {
            Some(recorded) => highest = highest.max(recorded),
            None => out.extend_from_slice(&span[field.range]),
        }
    }
    let digits = format!("{highest:0DIGITS$x}");
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let (mut value, mut pair) = (Vec::new(), Vec::new());
    put_len(&mut value, TEXT, digits.as_bytes());
    put_len(&mut pair, KEY, THRESHOLD);
    put_len(&mut pair, VALUE, &value);
    put_len(&mut out, ATTRIBUTES, &pair);
    out
}

/// The threshold in an attribute, if it is that; zero if it is nonsense.
fn recorded(pair: &[u8]) -> Option<u64> {
    let last = |message, number| {
        let mut fields =
            Fields::new(message).filter(move |field: &Field<'_>| field.number == number);
        fields.by_ref().last().and_then(|field| field.len_bytes())
    };
    if last(pair, KEY) != Some(THRESHOLD) {
        return None;
    }
    let digits = last(pair, VALUE).and_then(|value| last(value, TEXT));
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    Some(digits.and_then(parsed).unwrap_or(0))
}

/// What `ot=th:` in the span's `tracestate` says.
fn in_tracestate(span: &[u8]) -> Option<u64> {
    let states = Fields::new(span).filter(|field| field.number == TRACESTATE);
    let state = std::str::from_utf8(states.last()?.len_bytes()?).ok()?;
    let mut members = state.split(',').map(str::trim);
    let ot = members.find_map(|member| member.strip_prefix("ot="))?;
    let digits = ot.split(';').find_map(|part| part.strip_prefix("th:"))?;
    parsed(digits)
}

/// Digits that are left out at the end are zeros.
fn parsed(digits: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if !(1..=DIGITS).contains(&digits.len()) || !digits.bytes().all(is_digit) {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    Some(value << (4 * (DIGITS - digits.len())))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Limits;

    /// Two resources with two scopes each; a span for each letter, which is its trace.
    fn request(scopes: [&str; 4]) -> Batch {
        let span = |trace: u8| {
            let mut span = Vec::new();
            put_len(&mut span, 1, &[trace; 16]);
            put_len(&mut span, 2, &[trace; 8]);
            put_len(&mut span, 5, b"name");
            span
        };
        let scope = |traces: &str| {
            let mut scope = Vec::new();
            put_len(&mut scope, 1, b"\x0a\x01s");
            traces
                .bytes()
                .for_each(|trace| put_len(&mut scope, 2, &span(trace)));
            scope
        };
        let mut request = Vec::new();
        for pair in scopes.chunks(2) {
            let mut resource = Vec::new();
            for traces in pair {
                put_len(&mut resource, 2, &scope(traces));
            }
            put_len(&mut resource, 3, b"schema");
            put_len(&mut request, 1, &resource);
        }
        checked(request.into())
    }

    fn checked(bytes: Bytes) -> Batch {
        Batch::from_protobuf(Signal::Traces, bytes, &Limits::default()).unwrap()
    }

    #[test]
    fn a_request_is_known_by_its_traces_in_their_order() {
        let parts = trace_parts(&request(["ab", "a", "", "cb"]));
        let parts: Vec<_> = parts
            .iter()
            .map(|part| (part.trace[0], part.items))
            .collect();
        assert_eq!(parts, [(b'a', 2), (b'b', 2), (b'c', 1)]);
    }

    #[test]
    fn what_is_taken_and_what_is_left_are_two_requests_without_empty_containers() {
        let all = request(["ab", "a", "", "cb"]);
        let of = |letter: u8| {
            select(&all, |_, trace| match trace {
                Some(trace) if trace[0] == letter => Take::Keep,
                _ => Take::Leave,
            })
        };
        assert_eq!(of(b'a'), request_of_one(&["a", "a"]));
        assert_eq!(checked(of(b'b').bytes().clone()).items(), 2);
        assert_eq!(of(b'x').bytes().len(), 0);
        let first = select(&all, |at, _| if at == 0 { Take::Keep } else { Take::Leave });
        assert_eq!(trace_parts(&first)[0].trace[0], b'a');
        assert_eq!(first.items(), 1);
    }

    fn request_of_one(scopes: &[&str; 2]) -> Batch {
        let both = request([scopes[0], scopes[1], "", ""]);
        select(&both, |_, _| Take::Keep)
    }

    #[test]
    fn a_threshold_is_written_once_and_only_rises() {
        let texts = |batch: &Batch| -> Vec<String> {
            let spans = view::traces(batch)
                .flat_map(|resource| resource.scopes())
                .flat_map(|scope| scope.spans());
            spans
                .flat_map(|span| span.attributes())
                .map(|(key, value)| format!("{key}={value:?}"))
                .collect()
        };
        let mark = |batch: &Batch, threshold| {
            let marked = select(batch, |_, _| Take::Sampled(threshold));
            checked(marked.bytes().clone())
        };
        let half = mark(&request(["a", "", "", ""]), 1 << 55);
        assert_eq!(texts(&half).len(), 1);
        assert!(
            texts(&half)[0].contains("sampling.threshold") && texts(&half)[0].contains("\"8\"")
        );
        assert_eq!(texts(&mark(&half, 1 << 54)), texts(&half));
        let quarter = mark(&half, 3 << 54);
        assert_eq!(texts(&quarter).len(), 1);
        assert!(
            texts(&quarter)[0].contains("\"c\""),
            "{:?}",
            texts(&quarter)
        );
    }
}
