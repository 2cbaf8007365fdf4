//! Splicing against decoding: for random requests and random edits, the spliced bytes are what comes
//! of decoding with prost, changing the objects, and encoding again.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use petrel_wire::otlp::fields::{Fields, put_len};
use petrel_wire::{Batch, Limits, UnixNanos};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::bindings::petrel::plugin::types;
use crate::emit::emit;
use crate::project::project;
use crate::readers::Readers;
use crate::view::Stamp;

const KEYS: [&str; 4] = ["a", "b", "secret", "c.d"];

/// Slots of the plan below.
const RESOURCE: u16 = 0;
const RECORD: u16 = 1;
const EVENT: u16 = 2;
const NAME: u16 = 3;
const STATUS: u16 = 4;
const CREATED: u16 = 5;

fn plan() -> Plan {
    let selector = |table, field, key: &str| types::Selector {
        table,
        field,
        key: key.into(),
        kinds: u32::MAX,
        access: access::ALL,
    };
    let asked = types::Plan {
        signals: 1,
        selectors: vec![
            selector(0, 0, "*"),
            selector(2, 0, "*"),
            selector(3, 0, "*"),
            selector(2, 1, ""),
            selector(2, 10, ""),
            selector(2, 0, "created"),
        ],
        only_if_key: Vec::new(),
        want_dict: true,
        outputs: Vec::new(),
        tick_ms: 0,
        merge_duplicates: false,
    };
    Plan::check(&asked).unwrap()
}

fn no_edits() -> Edits {
    Edits {
        verdicts: vec![],
        added: Blob {
            ends: vec![],
            bytes: vec![],
        },
        dict_slot: vec![],
        dict_from: vec![],
        dict_to: vec![],
        cell_slot: vec![],
        cell_key: vec![],
        cell_row: vec![],
        cell_kind: vec![],
        cell_word: vec![],
        drop_table: vec![],
        drop_key: vec![],
        route: vec![],
        decided: vec![],
        decided_verdict: vec![],
    }
}

fn batch(bytes: Vec<u8>) -> Batch {
    Batch::from_protobuf(Signal::Traces, bytes.into(), &Limits::default()).unwrap()
}

/// What one plugin answers to what it sees.
type Guest<'a> = &'a dyn Fn(&View) -> Edits;

/// What a processor does with the answer of its guest.
fn spliced(batch: &Batch, guest: Guest<'_>) -> Result<Vec<u8>, String> {
    chained(batch, &[guest])
}

/// What a chain of processors does.
fn chained(batch: &Batch, guests: &[Guest<'_>]) -> Result<Vec<u8>, String> {
    chained_with(plan(), batch, guests)
}

fn chained_with(plan: Plan, batch: &Batch, guests: &[Guest<'_>]) -> Result<Vec<u8>, String> {
    let plan = Arc::new(plan);
    let plans = vec![Arc::clone(&plan); guests.len()];
    let readers = Readers::new(Signal::Traces, &plans).unwrap();
    let mut sheet = project(batch, &readers, 9).unwrap();
    for (guest, place) in guests.iter().zip(0..) {
        let stamp = Stamp {
            id: 1,
            now: UnixNanos(0),
            seed: 9,
        };
        let kept = sheet.kept.clone();
        let (view, codes) = View::new(&sheet, place, &plan, kept, readers.is_one(), stamp);
        let edits = guest(&view);
        let question = Question {
            sheet: &sheet,
            plan: &plan,
            view: &view,
            codes: &codes,
            added_bytes: 1 << 20,
            depth: 64,
        };
        let answer = question.check(&edits)?;
        let seen = |table, field, key: &[u8]| readers.seen(table, field, key);
        answer.apply(&mut sheet, &plan, &edits.added, seen);
    }
    Ok(emit(&sheet).bytes)
}

/// The guest's string with this code.
fn text_of(view: &View, code: u32) -> Option<&[u8]> {
    let (ends, index) = (&view.batch.dict.ends, code as usize);
    let start = index.checked_sub(1).map_or(0, |before| ends[before]);
    view.batch
        .dict
        .bytes
        .get(start as usize..*ends.get(index)? as usize)
}

fn table_rows(view: &View, table: Table) -> u32 {
    let tables = &view.batch.tables;
    let found = tables.iter().find(|one| one.table == table as u8);
    found.map_or(0, |table| table.rows)
}

/// A change that both sides can make.
#[derive(Clone, Debug)]
enum Edit {
    /// Row (modulo), key, new value or delete; on resource, record or event attributes.
    Cell(u16, u32, usize, Option<NewText>),
    /// Everything under a key of records.
    Key(usize),
    /// Name or status message of a span.
    Field(u16, u32, Option<NewText>),
    /// A new attribute of a span.
    Create(u32, NewText),
    /// Every string of records that equals this becomes that.
    Replace(usize, NewText),
}

/// An index into `TEXTS`, which are what `added` holds.
type NewText = usize;
const TEXTS: [&str; 3] = [
    "",
    "short",
    "a text that is so long that lengths of messages around it need another byte: 0123456789012345678901234567890123456789012345678901234567890",
];
/// Values that requests are made of.
const VALUES: [&str; 4] = ["", "v1", "hunter2", "a longer value, to be replaced or not"];

fn value() -> impl Strategy<Value = Option<AnyValue>> {
    let of = |value| Some(AnyValue { value: Some(value) });
    prop_oneof![
        Just(None),
        (0..VALUES.len()).prop_map(move |n| of(Value::StringValue(VALUES[n].into()))),
        any::<i64>().prop_map(move |n| of(Value::IntValue(n))),
        any::<bool>().prop_map(move |n| of(Value::BoolValue(n))),
        proptest::collection::vec(any::<u8>(), 0..5).prop_map(move |n| of(Value::BytesValue(n))),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let one = (0..KEYS.len(), value()).prop_map(|(key, value)| KeyValue {
        key: KEYS[key].into(),
        value,
        ..KeyValue::default()
    });
    proptest::collection::vec(one, 0..5)
}

fn span() -> impl Strategy<Value = Span> {
    let events = proptest::collection::vec(attributes(), 0..3);
    let status = proptest::option::of("[a-z]{0,5}");
    ("[a-z]{0,9}", attributes(), events, status).prop_map(|(name, attributes, events, status)| {
        Span {
            name,
            attributes,
            events: events
                .into_iter()
                .map(|attributes| Event {
                    attributes,
                    ..Event::default()
                })
                .collect(),
            status: status.map(|message| Status { message, code: 0 }),
            ..Span::default()
        }
    })
}

fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope =
        (proptest::collection::vec(span(), 0..4), any::<bool>()).prop_map(|(spans, named)| {
            ScopeSpans {
                scope: named.then(InstrumentationScope::default),
                spans,
                ..ScopeSpans::default()
            }
        });
    let scopes = proptest::collection::vec(scope, 0..3);
    let resource =
        (proptest::option::of(attributes()), scopes).prop_map(|(attributes, scope_spans)| {
            ResourceSpans {
                resource: attributes.map(|attributes| Resource {
                    attributes,
                    ..Resource::default()
                }),
                scope_spans,
                ..ResourceSpans::default()
            }
        });
    proptest::collection::vec(resource, 1..3)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn edit() -> impl Strategy<Value = Edit> {
    let new = || proptest::option::of(0..TEXTS.len());
    prop_oneof![
        (0..3_u16, any::<u32>(), 0..KEYS.len(), new())
            .prop_map(|(slot, row, key, new)| Edit::Cell(slot, row, key, new)),
        (0..KEYS.len()).prop_map(Edit::Key),
        (NAME..=STATUS, any::<u32>(), new())
            .prop_map(|(slot, row, new)| Edit::Field(slot, row, new)),
        (any::<u32>(), 0..TEXTS.len()).prop_map(|(row, new)| Edit::Create(row, new)),
        (0..VALUES.len(), 0..TEXTS.len()).prop_map(|(old, new)| Edit::Replace(old, new)),
    ]
}

fn added(new: NewText) -> u32 {
    code::ADDED + u32::try_from(new).unwrap()
}

/// The edits as a plugin would answer them; those about nothing are left out.
fn answer(edits: &[Edit], dropped: &[bool], view: &View) -> Edits {
    let mut out = no_edits();
    let mut end = 0;
    for text in TEXTS {
        end += u32::try_from(text.len()).unwrap();
        out.added.ends.push(end);
        out.added.bytes.extend_from_slice(text.as_bytes());
    }
    let records = table_rows(view, Table::Record);
    out.verdicts = dropped
        .iter()
        .copied()
        .cycle()
        .map(u8::from)
        .take(records as usize)
        .collect();
    let key_code = |key: usize| {
        let is_key = |code: &u32| {
            text_of(view, *code) == Some(KEYS[key].as_bytes())
                && view.batch.columns.iter().any(|column| column.key == *code)
        };
        (0..u32::try_from(view.batch.dict.ends.len()).unwrap()).find(is_key)
    };
    let mut cell = |slot, key, row, new: Option<NewText>| {
        out.cell_slot.push(slot);
        out.cell_key.push(key);
        out.cell_row.push(row);
        out.cell_kind.push(new.map_or(kind::NULL, |_| kind::STRING));
        out.cell_word.push(new.map_or(0, |new| added(new).into()));
    };
    for edit in edits {
        match *edit {
            Edit::Cell(slot, row, key, new) => {
                let rows = rows_of(view, slot);
                let exists = |key| {
                    let row = row % rows;
                    view.batch.columns.iter().any(|column| {
                        let has_row = || column.rows.is_empty() || column.rows.contains(&row);
                        column.slot == slot && column.key == key && has_row()
                    })
                };
                if let Some(key) = key_code(key).filter(|key| rows > 0 && exists(*key)) {
                    cell(slot, key, row % rows, new);
                }
            }
            Edit::Field(slot, row, new) if records > 0 => {
                cell(slot, code::NULL, row % records, new);
            }
            Edit::Create(row, new) if records > 0 => {
                cell(CREATED, code::NULL, row % records, Some(new));
            }
            _ => {}
        }
    }
    for edit in edits {
        match *edit {
            Edit::Key(key) => {
                if let Some(code) = key_code(key) {
                    out.drop_table.push(Table::Record as u8);
                    out.drop_key.push(code);
                }
            }
            Edit::Replace(old, new) => {
                let of = |code: &u32| text_of(view, *code) == Some(VALUES[old].as_bytes());
                let code = (0..u32::try_from(view.batch.dict.ends.len()).unwrap()).find(of);
                if let Some(code) = code {
                    out.dict_slot.push(RECORD);
                    out.dict_from.push(code);
                    out.dict_to.push(added(new));
                }
            }
            _ => {}
        }
    }
    out
}

fn rows_of(view: &View, slot: u16) -> u32 {
    table_rows(
        view,
        [Table::Resource, Table::Record, Table::Event][usize::from(slot)],
    )
}

/// The same on objects, in the contract's order.
fn model(request: &mut ExportTraceServiceRequest, edits: &[Edit], dropped: &[bool]) {
    let before = request.clone();
    let dictionary_edits = |span: &mut Span, was: &Span| {
        let mut gone = vec![false; span.attributes.len()];
        for edit in edits {
            if let Edit::Key(key) = edit {
                for (gone, pair) in gone.iter_mut().zip(&was.attributes) {
                    *gone |= pair.key == KEYS[*key];
                }
            }
        }
        for edit in edits {
            if let Edit::Replace(old, new) = edit {
                for (at, pair) in was.attributes.iter().enumerate() {
                    let held = match pair.value.as_ref().and_then(|any| any.value.as_ref()) {
                        Some(Value::StringValue(text)) => Some(text.as_bytes()),
                        Some(Value::BytesValue(bytes)) => Some(bytes.as_slice()),
                        _ => None,
                    };
                    if held == Some(VALUES[*old].as_bytes()) {
                        let text = TEXTS[*new];
                        let is_bytes = !matches!(
                            pair.value.as_ref().and_then(|any| any.value.as_ref()),
                            Some(Value::StringValue(_))
                        );
                        let value = if is_bytes {
                            Value::BytesValue(text.into())
                        } else {
                            Value::StringValue(text.into())
                        };
                        span.attributes[at].value = Some(AnyValue { value: Some(value) });
                        gone[at] = false;
                    }
                }
            }
        }
        gone
    };
    let mut spans: Vec<(&mut Span, &Span)> = request
        .resource_spans
        .iter_mut()
        .zip(&before.resource_spans)
        .flat_map(|(now, was)| now.scope_spans.iter_mut().zip(&was.scope_spans))
        .flat_map(|(now, was)| now.spans.iter_mut().zip(&was.spans))
        .collect();
    let mut gone: Vec<Vec<bool>> = Vec::new();
    for (span, was) in &mut spans {
        gone.push(dictionary_edits(span, was));
    }
    let mut created = vec![None; spans.len()];
    for edit in edits {
        match *edit {
            Edit::Cell(RECORD, row, key, new) if !spans.is_empty() => {
                let row = row as usize % spans.len();
                set(&mut spans[row].0.attributes, &mut gone[row], key, new);
            }
            Edit::Cell(EVENT, row, key, new) => {
                let mut events: Vec<_> = spans
                    .iter_mut()
                    .flat_map(|(span, _)| &mut span.events)
                    .collect();
                let count = events.len();
                if count > 0 {
                    set_now(&mut events[row as usize % count].attributes, key, new);
                }
            }
            Edit::Field(slot, row, new) if !spans.is_empty() => {
                let row = row as usize % spans.len();
                let text = new.map_or("", |new| TEXTS[new]).to_owned();
                let (span, was) = &mut spans[row];
                if slot == NAME {
                    span.name = text;
                } else if was.status.is_some() || new.is_some() {
                    let code = was.status.as_ref().map_or(0, |status| status.code);
                    span.status = Some(Status {
                        message: text,
                        code,
                    });
                } else {
                    span.status = None;
                }
            }
            Edit::Create(row, new) if !spans.is_empty() => {
                let row = row as usize % spans.len();
                created[row] = Some(new);
            }
            _ => {}
        }
    }
    for ((span, _), gone) in spans.iter_mut().zip(&gone) {
        let mut gone = gone.iter();
        span.attributes.retain(|_| !gone.next().unwrap());
    }
    for ((span, _), created) in spans.iter_mut().zip(created) {
        if let Some(new) = created {
            let value = Value::StringValue(TEXTS[new].into());
            span.attributes.insert(
                0,
                KeyValue {
                    key: "created".into(),
                    value: Some(AnyValue { value: Some(value) }),
                    ..KeyValue::default()
                },
            );
        }
    }
    let resources = request.resource_spans.len();
    for edit in edits {
        if let Edit::Cell(RESOURCE, row, key, new) = *edit
            && let Some(resource) = &mut request.resource_spans[row as usize % resources].resource
        {
            set_now(&mut resource.attributes, key, new);
        }
    }
    drop_spans(request, dropped);
}

fn set(attributes: &mut [KeyValue], gone: &mut [bool], key: usize, new: Option<NewText>) {
    for (pair, gone) in attributes.iter_mut().zip(gone) {
        if pair.key == KEYS[key] {
            *gone = new.is_none();
            if let Some(new) = new {
                let value = Value::StringValue(TEXTS[new].into());
                pair.value = Some(AnyValue { value: Some(value) });
            }
        }
    }
}

/// Deletion leaves a mark, because a later edit of the same cell may undo it.
const DELETED: &str = "\u{0}deleted";

fn set_now(attributes: &mut [KeyValue], key: usize, new: Option<NewText>) {
    let text = new.map_or(DELETED, |new| TEXTS[new]);
    for pair in attributes.iter_mut().filter(|pair| pair.key == KEYS[key]) {
        let value = Value::StringValue(text.into());
        pair.value = Some(AnyValue { value: Some(value) });
    }
}

fn sweep(attributes: &mut Vec<KeyValue>) {
    let deleted = Some(AnyValue {
        value: Some(Value::StringValue(DELETED.into())),
    });
    attributes.retain(|pair| pair.value != deleted);
}

fn drop_spans(request: &mut ExportTraceServiceRequest, dropped: &[bool]) {
    let mut verdicts = dropped.iter().copied().cycle();
    for resource in &mut request.resource_spans {
        let scopes = resource.scope_spans.len();
        if let Some(known) = &mut resource.resource {
            sweep(&mut known.attributes);
        }
        resource.scope_spans.retain_mut(|scope| {
            let spans = scope.spans.len();
            scope.spans.retain(|_| !verdicts.next().unwrap());
            for event in scope.spans.iter_mut().flat_map(|span| &mut span.events) {
                sweep(&mut event.attributes);
            }
            !(scope.spans.is_empty() && spans > 0)
        });
        // Marks those that lost everything, so that those which had nothing stay.
        if resource.scope_spans.is_empty() && scopes > 0 {
            resource.schema_url = DELETED.into();
        }
    }
    request
        .resource_spans
        .retain(|resource| resource.schema_url != DELETED);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn splicing_is_decoding_editing_and_encoding(
        request in request(),
        edits in proptest::collection::vec(edit(), 0..12),
        dropped in proptest::collection::vec(proptest::bool::weighted(0.3), 1..5),
    ) {
        let before = batch(request.encode_to_vec());
        let after = spliced(&before, &|view| answer(&edits, &dropped, view)).unwrap();
        let mut want = request;
        model(&mut want, &edits, &dropped);
        let got = ExportTraceServiceRequest::decode(after.as_slice()).unwrap();
        prop_assert_eq!(got, want);
        let checked = Batch::from_protobuf(Signal::Traces, after.into(), &Limits::default());
        prop_assert!(checked.is_ok());
    }

    #[test]
    fn a_chain_over_one_projection_is_plugin_after_plugin(
        request in request(),
        steps in proptest::collection::vec((
            proptest::collection::vec(edit(), 0..8),
            proptest::collection::vec(proptest::bool::weighted(0.2), 1..5),
        ), 2..5),
    ) {
        let guests: Vec<_> = steps
            .iter()
            .map(|(edits, dropped)| move |view: &View| answer(edits, dropped, view))
            .collect();
        let guests: Vec<Guest<'_>> = guests.iter().map(|guest| guest as Guest<'_>).collect();
        let before = batch(request.encode_to_vec());
        let together = chained(&before, &guests).unwrap();
        let mut apart = before;
        for guest in &guests {
            let bytes = spliced(&apart, guest).unwrap();
            if bytes.is_empty() {
                apart = batch(Vec::new());
                break;
            }
            apart = batch(bytes);
        }
        // A status that was made and emptied again is there in one case, and says nothing.
        let decode = |bytes: &[u8]| {
            let mut request = ExportTraceServiceRequest::decode(bytes).unwrap();
            let scopes = request.resource_spans.iter_mut().flat_map(|one| &mut one.scope_spans);
            for span in scopes.flat_map(|scope| &mut scope.spans) {
                span.status = span.status.take().filter(|status| *status != Status::default());
            }
            request
        };
        prop_assert_eq!(decode(&together), decode(apart.bytes()));
    }

    #[test]
    fn unknown_fields_survive_every_edit_around_them(
        request in request(),
        edits in proptest::collection::vec(edit(), 0..12),
        dropped in proptest::collection::vec(proptest::bool::weighted(0.3), 1..5),
    ) {
        let plain = request.encode_to_vec();
        let guest: Guest<'_> = &|view| answer(&edits, &dropped, view);
        let want = spliced(&batch(plain.clone()), guest).unwrap();
        let marked = mark(&plain, &REQUEST);
        let after = spliced(&batch(marked), guest).unwrap();
        // Every message that was there still has its mark, and without marks all is the same.
        let (without, unmarked) = unmark(&after, &REQUEST);
        prop_assert_eq!(without, want);
        let may = edits.iter().filter(|edit| matches!(edit, Edit::Create(..) | Edit::Field(..)));
        prop_assert!(unmarked <= may.count(), "{unmarked} messages lost what nobody knows");
    }
}

/// A message, and the messages in its fields: as much of the schema as the tests edit.
struct Schema(&'static [(u32, Schema)]);
const KEY_VALUE: Schema = Schema(&[]);
const REQUEST: Schema = Schema(&[(
    1,
    Schema(&[(1, Schema(&[(1, KEY_VALUE)])), (2, SCOPE_SPANS)]),
)]);
const SCOPE_SPANS: Schema = Schema(&[(1, Schema(&[])), (2, SPAN)]);
const SPAN: Schema = Schema(&[
    (9, KEY_VALUE),
    (11, Schema(&[(3, KEY_VALUE)])),
    (15, Schema(&[])),
]);
const MARK: (u32, &[u8]) = (900, b"from the future");

/// The message with a field that nobody knows, at its end and at that of every message in it.
fn mark(message: &[u8], schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    for field in Fields::new(message) {
        let inner = schema.0.iter().find(|(number, _)| *number == field.number);
        match (inner, field.len_bytes()) {
            (Some((number, schema)), Some(content)) => {
                put_len(&mut out, *number, &mark(content, schema));
            }
            _ => out.extend_from_slice(&message[field.range]),
        }
    }
    put_len(&mut out, MARK.0, MARK.1);
    out
}

/// The message without those, and how many messages had none.
fn unmark(message: &[u8], schema: &Schema) -> (Vec<u8>, usize) {
    let (mut out, mut missing) = (Vec::new(), 1);
    for field in Fields::new(message) {
        let inner = schema.0.iter().find(|(number, _)| *number == field.number);
        match (inner, field.len_bytes()) {
            (_, Some(content)) if (field.number, content) == MARK => missing -= 1,
            (Some((number, schema)), Some(content)) => {
                let (content, more) = unmark(content, schema);
                missing += more;
                put_len(&mut out, *number, &content);
            }
            _ => out.extend_from_slice(&message[field.range]),
        }
    }
    (out, missing)
}

#[test]
fn fields_that_nobody_knows_survive_byte_for_byte() {
    let mut span = Span {
        name: "old".into(),
        ..Span::default()
    }
    .encode_to_vec();
    put_len(&mut span, 900, b"future of spans");
    let mut scope = Vec::new();
    put_len(&mut scope, 2, &span);
    put_len(&mut scope, 901, b"future of scopes");
    let mut resource = Vec::new();
    put_len(&mut resource, 2, &scope);
    let mut request = Vec::new();
    put_len(&mut request, 1, &resource);
    let after = spliced(&batch(request), &|_| {
        let mut edits = no_edits();
        edits.added.ends.push(3);
        edits.added.bytes.extend_from_slice(b"new");
        edits.dict_slot.push(NAME);
        edits.dict_from.push(code::ANY);
        edits.dict_to.push(code::ADDED);
        edits
    })
    .unwrap();
    for part in [&b"future of spans"[..], b"future of scopes", b"new"] {
        assert!(after.windows(part.len()).any(|bytes| bytes == part));
    }
    assert!(!after.windows(3).any(|bytes| bytes == b"old"));
}

#[test]
fn an_attribute_of_a_kind_that_is_not_read_is_not_made_a_second_time() {
    let created = |access, value: Option<Value>| {
        let asked = types::Plan {
            signals: 1,
            selectors: vec![types::Selector {
                table: Table::Record as u8,
                field: 0,
                key: "created".into(),
                kinds: 1 << kind::STRING,
                access,
            }],
            only_if_key: Vec::new(),
            want_dict: true,
            outputs: Vec::new(),
            tick_ms: 0,
            merge_duplicates: false,
        };
        let attributes = value.into_iter().map(|value| KeyValue {
            key: "created".into(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
        let span = Span {
            attributes: attributes.collect(),
            ..Span::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![span],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let guest: Guest<'_> = &|_| {
            let mut edits = no_edits();
            edits.added.ends.push(3);
            edits.added.bytes.extend_from_slice(b"new");
            edits.cell_slot.push(0);
            edits.cell_key.push(code::NULL);
            edits.cell_row.push(0);
            edits.cell_kind.push(kind::STRING);
            edits.cell_word.push(code::ADDED.into());
            edits
        };
        let plan = Plan::check(&asked).unwrap();
        let after = chained_with(plan, &batch(request.encode_to_vec()), &[guest]).unwrap();
        let after = ExportTraceServiceRequest::decode(after.as_slice()).unwrap();
        let span = &after.resource_spans[0].scope_spans[0].spans[0];
        let values = span
            .attributes
            .iter()
            .map(|pair| pair.value.clone().unwrap().value.unwrap());
        values.collect::<Vec<_>>()
    };
    let (new, seven) = (
        vec![Value::StringValue("new".into())],
        vec![Value::IntValue(7)],
    );
    let there = || Some(Value::IntValue(7));
    assert_eq!(created(access::CREATE, None), new);
    assert_eq!(created(access::CREATE, there()), seven);
    assert_eq!(created(access::CREATE | access::WRITE, there()), new);
}

#[test]
fn a_dropped_record_stays_dropped_when_an_attribute_is_created_on_an_empty_span() {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![Span::default(); 3],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let batch = batch(request.encode_to_vec());
    // Messages without content: what is made in one stands where the next one begins.
    let create: Guest<'_> = &|view| {
        let edits = (0..table_rows(view, Table::Record)).map(|row| Edit::Create(row, 1));
        answer(&edits.collect::<Vec<_>>(), &[false], view)
    };
    let drop: Guest<'_> = &|view| answer(&[], &[false, true, false], view);
    let both: Guest<'_> = &|view| {
        let edits = [Edit::Create(0, 1), Edit::Create(1, 1), Edit::Create(2, 1)];
        answer(&edits, &[false, true, false], view)
    };
    for guests in [&[both][..], &[create, drop], &[drop, create]] {
        let after = chained(&batch, guests).unwrap();
        let after = ExportTraceServiceRequest::decode(after.as_slice()).unwrap();
        let spans = &after.resource_spans[0].scope_spans[0].spans;
        assert_eq!(spans.len(), 2);
        for span in spans {
            assert_eq!(span.attributes.len(), 1);
            assert_eq!(span.attributes[0].key, "created");
        }
    }
}

#[test]
fn an_answer_with_one_fault_changes_nothing() {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![Span::default()],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let before = batch(request.encode_to_vec());
    let refused = |change: &dyn Fn(&mut Edits)| {
        let mut edits = no_edits();
        change(&mut edits);
        spliced(&before, &|_| edits.clone()).unwrap_err()
    };
    let cell = |edits: &mut Edits, slot, row, of| {
        edits.cell_slot.push(slot);
        edits.cell_key.push(code::NULL);
        edits.cell_row.push(row);
        edits.cell_kind.push(of);
        edits.cell_word.push(0);
    };
    assert!(refused(&|edits| cell(edits, NAME, 1, kind::STRING)).contains("row 1 of 1"));
    assert!(refused(&|edits| cell(edits, NAME, 0, kind::INT)).contains("kind 4 to field 1"));
    assert!(refused(&|edits| cell(edits, 99, 0, kind::INT)).contains("slot 99"));
    assert!(refused(&|edits| cell(edits, RECORD, 0, kind::INT)).contains("does not cover"));
    assert!(refused(&|edits| cell(edits, RECORD, 0, 77)).contains("kind 77"));
    assert!(refused(&|edits| edits.verdicts.push(9)).contains("verdict 9"));
    assert!(refused(&|edits| edits.cell_slot.push(0)).contains("cell-*"));
    assert!(refused(&|edits| edits.decided.push(0)).contains("not held"));
}
