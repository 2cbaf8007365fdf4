//! The same verdict, the same count and the same fields as the reference, on valid, mutated and
//! hostile input.

use petrel_wire::otlp::fields::{put_fixed32, put_fixed64, put_len, put_varint, put_varint_field};
use petrel_wire::{Batch, Limits, Malformed, Signal};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::generate::{self, Choices};
use crate::{fuzz, rebuild};

/// Reads the bytes in both ways and says whether they agree; `Ok` holds our batch.
fn agree(signal: Signal, bytes: &[u8]) -> Result<Batch, Malformed> {
    let ours = Batch::from_protobuf(signal, bytes.to_vec().into(), &Limits::default());
    let theirs = rebuild::from_reference(signal, bytes);
    match (&ours, &theirs) {
        (Ok(batch), Ok((encoded, items))) => {
            assert_eq!(batch.items() as usize, *items, "items of {bytes:x?}");
            assert_eq!(&rebuild::from_views(batch), encoded, "fields of {bytes:x?}");
        }
        (Ok(_), Err(error)) => panic!("we took what prost refuses ({error}): {bytes:x?}"),
        (Err(reason), Ok(_)) => assert!(is_stricter(reason), "{reason}: {bytes:x?}"),
        (Err(_), Err(_)) => {}
    }
    ours
}

/// The reasons for which we refuse what prost takes.
fn is_stricter(reason: &Malformed) -> bool {
    match reason {
        Malformed::TooMany { .. } | Malformed::TooDeep { .. } | Malformed::NothingKnown { .. } => {
            true
        }
        Malformed::Protobuf { reason, .. } => reason.ends_with("where one is allowed"),
        _ => false,
    }
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        Just(Signal::Traces),
        Just(Signal::Logs),
        Just(Signal::Metrics)
    ]
}

/// Fields at random: mostly numbers that OTLP has, of wire types that may or may not fit.
fn soup(c: &mut Choices<'_>, depth: u8, out: &mut Vec<u8>) {
    for _ in 0..c.below(6) {
        let number = match c.below(8) {
            0 => u32::from(c.below(30)),
            1 => 1 << c.below(32),
            _ => u32::from(1 + c.below(3)),
        };
        match c.below(if depth < 12 { 14 } else { 6 }) {
            0 => put_varint_field(out, number, c.long()),
            1 => put_fixed64(out, number, c.long()),
            2 => put_fixed32(out, number, u32::from(c.byte())),
            3 => put_len(out, number, &[c.byte(), c.byte()]),
            4 => out.extend([c.byte(), c.byte()]),
            5 => {
                put_varint(out, u64::from(number) << 3 | 3);
                soup(c, depth + 8, out);
                put_varint(out, u64::from(number) << 3 | 4);
            }
            _ => {
                let mut inner = Vec::new();
                soup(c, depth + 1, &mut inner);
                put_len(out, number, &inner);
            }
        }
    }
}

/// Small damage of the kinds that bad senders, proxies and attackers do.
fn mutate(c: &mut Choices<'_>, bytes: &mut Vec<u8>) {
    for _ in 0..=c.below(3) {
        if bytes.is_empty() {
            return;
        }
        let place = |c: &mut Choices<'_>| {
            (usize::from(c.byte()) << 8 | usize::from(c.byte())) % bytes.len()
        };
        let (from, to) = (place(c), place(c));
        let (from, to) = (from.min(to), from.max(to));
        match c.below(6) {
            0 => bytes[from] = c.byte(),
            1 => bytes[from] ^= 1 << c.below(8),
            2 => bytes.truncate(from),
            3 => drop(bytes.drain(from..to)),
            4 => bytes.insert(from, c.byte()),
            _ => {
                let piece = bytes[from..to].to_vec();
                bytes.extend(piece);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_valid_request_is_taken_with_every_field(signal in signal(), choices in vec(any::<u8>(), 0..2000)) {
        let bytes = generate::request(signal, &mut Choices(&choices));
        agree(signal, &bytes).unwrap();
    }

    #[test]
    fn a_mutated_request_gets_the_reference_s_verdict(
        signal in signal(),
        choices in vec(any::<u8>(), 0..600),
        damage in vec(any::<u8>(), 1..30),
    ) {
        let mut bytes = generate::request(signal, &mut Choices(&choices));
        mutate(&mut Choices(&damage), &mut bytes);
        drop(agree(signal, &bytes));
        fuzz::otlp(&bytes);
    }

    #[test]
    fn hostile_fields_get_the_reference_s_verdict(signal in signal(), choices in vec(any::<u8>(), 0..400)) {
        let mut bytes = Vec::new();
        soup(&mut Choices(&choices), 0, &mut bytes);
        drop(agree(signal, &bytes));
        fuzz::otlp(&bytes);
    }

    #[test]
    fn another_signal_s_request_gets_the_reference_s_verdict(
        signal in signal(), other in signal(), choices in vec(any::<u8>(), 0..800),
    ) {
        let bytes = generate::request(other, &mut Choices(&choices));
        drop(agree(signal, &bytes));
    }

    #[test]
    fn random_bytes_crash_nothing(bytes in vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            drop(agree(signal, &bytes));
        }
        fuzz::otlp(&bytes);
        fuzz::unpack(&bytes);
        fuzz::json(&bytes);
    }
}

/// `bytes` inside messages of these field numbers, outermost first.
fn within(numbers: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut message = bytes.to_vec();
    for number in numbers.iter().rev() {
        let mut outer = Vec::new();
        put_len(&mut outer, *number, &message);
        message = outer;
    }
    message
}

/// A span with `value` as the value of an attribute.
fn span_with_value(value: &[u8]) -> Vec<u8> {
    within(&[1, 2, 2, 9, 2], value)
}

#[test]
fn values_nest_as_deep_as_prost_lets_them_and_no_deeper() {
    for (array, most) in [(true, 47), (false, 31)] {
        for levels in 1..130 {
            let mut numbers = vec![1, 2, 2, 9, 2];
            for _ in 0..levels {
                numbers.extend(if array { &[5, 1][..] } else { &[6, 1, 2] });
            }
            let taken = agree(Signal::Traces, &within(&numbers, &[])).is_ok();
            assert_eq!(taken, levels <= most, "array: {array}, {levels} levels");
        }
    }
    let limits = Limits {
        depth: 3,
        ..Limits::default()
    };
    let nested = |levels: usize| {
        let numbers = [5, 1].repeat(levels);
        let bytes = span_with_value(&within(&numbers, &[]));
        Batch::from_protobuf(Signal::Traces, bytes.into(), &limits)
    };
    assert!(nested(3).is_ok());
    assert_eq!(nested(4), Err(Malformed::TooDeep { limit: 3 }));
}

#[test]
fn endless_nesting_uses_no_stack() {
    for bytes in [
        span_with_value(&within(&[5, 1].repeat(50_000), &[])),
        vec![0x0b; 1 << 20],
        within(&[1; 3], &vec![0x93; 1 << 20]),
    ] {
        assert!(Batch::from_protobuf(Signal::Traces, bytes.into(), &Limits::default()).is_err());
    }
}

#[test]
fn packed_and_unpacked_numbers_are_one() {
    // A histogram point with counts 1, 2 packed and 3 as a field of its own, then 4 packed.
    let mut point = Vec::new();
    put_len(
        &mut point,
        6,
        &[1_u64.to_le_bytes(), 2_u64.to_le_bytes()].concat(),
    );
    put_fixed64(&mut point, 6, 3);
    put_len(&mut point, 6, &4_u64.to_le_bytes());
    let histogram = within(&[1, 2, 2, 9, 1], &point);
    agree(Signal::Metrics, &histogram).unwrap();
    // The same for the varint counts of an exponential histogram's positive buckets.
    let mut buckets = Vec::new();
    put_len(&mut buckets, 2, &[1, 0x80, 0x01]);
    put_varint_field(&mut buckets, 2, 300);
    let exponential = within(&[1, 2, 2, 10, 1, 8], &buckets);
    agree(Signal::Metrics, &exponential).unwrap();
    for torn in [&[0; 7][..], &[0; 9]] {
        let torn = within(&[1, 2, 2, 9, 1, 6], torn);
        assert!(agree(Signal::Metrics, &torn).is_err());
    }
    assert!(agree(Signal::Metrics, &within(&[1, 2, 2, 10, 1, 8, 2], &[0x80])).is_err());
}

#[test]
fn a_scalar_given_twice_has_its_last_value_and_a_message_given_twice_is_refused() {
    let name = |text: &[u8]| within(&[5], text);
    let twice = [name(b"first"), name(b"last")].concat();
    agree(Signal::Traces, &within(&[1, 2, 2], &twice)).unwrap();
    let value = [within(&[1], b"text"), vec![0x18, 5]].concat();
    agree(Signal::Traces, &span_with_value(&value)).unwrap();

    let refused = |signal, bytes: Vec<u8>, words: &str| {
        let error = agree(signal, &bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let resources = [within(&[1], &[]), within(&[1], &[])].concat();
    refused(Signal::Logs, within(&[1], &resources), "given twice");
    let sum_and_gauge = [within(&[7], &[]), within(&[5], &[])].concat();
    refused(
        Signal::Metrics,
        within(&[1, 2, 2], &sum_and_gauge),
        "two values",
    );
    let text_and_array = [within(&[1], b"text"), within(&[5], &[])].concat();
    refused(
        Signal::Traces,
        span_with_value(&text_and_array),
        "two values",
    );
}

#[test]
fn a_text_must_be_utf_8_and_an_id_may_be_anything() {
    assert!(agree(Signal::Traces, &within(&[1, 2, 2, 5], &[0xff])).is_err());
    assert!(agree(Signal::Traces, &within(&[1, 2, 2, 1], &[0xff])).is_ok());
}

#[test]
fn a_malformed_request_is_named_by_reason_and_offset() {
    let bytes = within(&[1, 2, 2, 5], &[b'a', 0xff]);
    let at = bytes.len() - 3;
    assert_eq!(
        agree(Signal::Traces, &bytes).unwrap_err(),
        Malformed::Protobuf {
            signal: Signal::Traces,
            reason: "a text that is not UTF-8",
            at,
        }
    );
}

#[test]
fn an_empty_request_is_a_batch_without_items() {
    for bytes in [Vec::new(), vec![0x0a, 0], within(&[1, 2], &[])] {
        for signal in Signal::ALL {
            assert!(agree(signal, &bytes).unwrap().is_empty());
        }
    }
    let unknown = within(&[4], b"what");
    assert_eq!(
        agree(Signal::Logs, &unknown),
        Err(Malformed::NothingKnown {
            signal: Signal::Logs
        })
    );
}

#[test]
fn a_bomb_of_empty_elements_is_counted_before_anything_is_built() {
    let limits = Limits {
        items: 1000,
        attributes: 100,
        ..Limits::default()
    };
    let read = |signal, bytes: Vec<u8>| Batch::from_protobuf(signal, bytes.into(), &limits);
    let bomb = |number: u32, count| {
        let mut out = Vec::new();
        (0..count).for_each(|_| put_len(&mut out, number, &[]));
        out
    };
    let too_many = |what, limit| Err(Malformed::TooMany { what, limit });
    let spans = |count| within(&[1, 2], &bomb(2, count));
    assert_eq!(read(Signal::Traces, spans(1000)).unwrap().items(), 1000);
    assert_eq!(read(Signal::Traces, spans(1001)), too_many("spans", 1000));
    let points = within(&[1, 2, 2, 5], &bomb(1, 1001));
    assert_eq!(read(Signal::Metrics, points), too_many("data points", 1000));
    let groups = "resources, scopes and metrics";
    assert_eq!(read(Signal::Logs, bomb(1, 1001)), too_many(groups, 1000));
    assert_eq!(
        read(Signal::Metrics, within(&[1, 2], &bomb(2, 1001))),
        too_many(groups, 1000)
    );
    let attributes = within(&[1, 2, 2], &bomb(9, 101));
    assert_eq!(
        read(Signal::Traces, attributes),
        too_many("attributes", 100)
    );
    let events = within(&[1, 2, 2], &bomb(11, 101));
    assert_eq!(read(Signal::Traces, events), too_many("events", 100));
    let elements = span_with_value(&within(&[5], &bomb(1, 101)));
    assert_eq!(read(Signal::Traces, elements), too_many("values", 100));
    let counts = within(&[1, 2, 2, 10, 1, 8, 2], &[1; 101]);
    assert_eq!(
        read(Signal::Metrics, counts),
        too_many("bucket_counts", 100)
    );
    let full_span = within(&[2], &bomb(9, 100));
    let all = within(&[1, 2], &full_span.repeat(400));
    assert_eq!(
        read(Signal::Traces, all),
        too_many("elements in all", 32_000)
    );
}

#[test]
fn a_request_beyond_the_byte_limit_is_not_looked_at() {
    let limits = Limits {
        request_bytes: 10,
        ..Limits::default()
    };
    assert_eq!(
        Batch::from_protobuf(Signal::Traces, vec![0xff; 11].into(), &limits),
        Err(Malformed::TooLarge {
            bytes: 11,
            limit: 10
        })
    );
}
